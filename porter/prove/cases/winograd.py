# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Winograd's transforms for a filter of 3 and an output tile of 6, from their definition.

Convolving 8 numbers with a filter of 3 is a product of polynomials. Toom and Cook multiply these at seven points and at
infinity, and interpolate by Lagrange (Blahut, "Fast Algorithms for Signal Processing", 2010, section 5.2); Lavin and
Gray (arXiv:1509.09308) write it, in two dimensions, as

    out = A^T [(G g G^T) * (B^T d B)] A

The points and their order are those of MLX (mlx/backend/metal/kernels/conv.metal, lines 334-371: `out_transform` lists
their powers), and so is the sign of the row of point 0, negative in both G and B. tests/prove/cases shows that the
three matrices make a convolution.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial

from porter.prove.cases.values import Array

TILE, FILTER = 6, 3
SIZE = TILE + FILTER - 1
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)


def input_transform() -> Array:
    """B (8 x 8): a column for each point, the coefficients of the product of (x - q) over all other points q."""
    b = np.zeros((SIZE, SIZE))
    for i, point in enumerate(_POINTS):
        b[: len(_POINTS), i] = polynomial.polyfromroots([q for q in _POINTS if q != point])
    b[:, -1] = polynomial.polyfromroots(_POINTS)
    b[:, 0] *= -1
    return b


def output_transform() -> Array:
    """A (8 x 6): the powers of each point, and of infinity."""
    return _powers(TILE)


def weight_transform() -> Array:
    """G (8 x 3): the powers of each point over the product of its distances to the others, and of infinity."""
    g = _powers(FILTER)
    for i, point in enumerate(_POINTS):
        g[i] /= np.prod([point - q for q in _POINTS if q != point])
    g[0] *= -1
    return g


def _powers(count: int) -> Array:
    out = np.zeros((SIZE, count))
    out[:-1] = polynomial.polyvander(_POINTS, count - 1)
    out[-1, -1] = 1
    return out


def transform(matrix: Array, tiles: Array) -> Array:
    """matrix^T t matrix for tiles t in the last two dimensions."""
    return np.asarray(np.einsum("ki,...kl,lj->...ij", matrix, tiles, matrix))
