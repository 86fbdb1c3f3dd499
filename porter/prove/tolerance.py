# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How far a matrix product may be from the exact one, from the arithmetic alone.

Notation: u is the unit roundoff of a format (2^-24 for float32, 2^-11 for float16, 2^-8 for bfloat16), and
g(n) = n u / (1 - n u) bounds the relative error that n successive float32 roundings can make (Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd ed., Lemma 3.1).

A product. Every term a_ik b_kj of a result passes at most K roundings in float32, whatever the order in which the K
terms are summed and whether products are fused into the sums or not (section 3.1 there; a product of two float16 or
bfloat16 numbers is exact in float32, and one of two float32 numbers is rounded at most once, by the first addition's
fma or before it; n = K + 1 covers both). So |computed - exact| <= g(K + 1) (|A| |B|)_ij.

The epilogue alpha x + beta c rounds each of its two products and the sum: two more roundings for every term, and the
conversion of alpha and beta to float32 one more each: |computed - exact| <= g(K + 4) (|alpha| |A| |B| + |beta| |C|)_ij.

complex64 is computed by Karatsuba's three products over chunks of 8 along K: P = Ar Br, Q = Ai Bi,
R = (Ar + Ai)(Br + Bi); real += P - Q, imaginary += R - P - Q. A term is rounded once in the sums that make R, at most
9 times in a chunk's product, twice in the differences, and once for each of the ceil(K / 8) chunks it is carried
through. With S = (|Ar| + |Ai|) (|Br| + |Bi|) >= |P| + |Q| and >= |R| elementwise, both parts are within
2 g(12 + ceil(K / 8)) S.

Storing a result x in format T adds u_T |x|, and where x is subnormal in T, or flushed to zero by the GPU, at most the
smallest normal number of T: |stored - exact| <= e + u_T (|exact| + e) + tiny_T with e the bound above. Flushing float32
terms adds at most K times float32's smallest normal number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

U_FLOAT32 = 2.0**-24
TINY_FLOAT32 = 2.0**-126


@dataclass(frozen=True)
class Format:
    """A storage format: unit roundoff and smallest normal number (IEEE 754; bfloat16 has float32's exponents)."""

    name: str
    u: float
    tiny: float


FLOAT32 = Format("float32", 2.0**-24, 2.0**-126)
FLOAT16 = Format("float16", 2.0**-11, 2.0**-14)
BFLOAT16 = Format("bfloat16", 2.0**-8, 2.0**-126)
FORMATS = {f.name: f for f in (FLOAT32, FLOAT16, BFLOAT16)}


def g(n: int) -> float:
    """The relative error that `n` successive float32 roundings can make."""
    return n * U_FLOAT32 / (1 - n * U_FLOAT32)


def real_bound(exact: Array, magnitude: Array, inner: int, stored: Format, epilogue: bool = False) -> Array:
    """Bound on |stored - exact|, shape of `exact`. `magnitude` is |A||B|, or |alpha||A||B| + |beta||C|."""
    error = g(inner + (4 if epilogue else 1)) * magnitude + inner * TINY_FLOAT32
    return np.asarray(error + stored.u * (np.abs(exact) + error) + stored.tiny)


def complex_bound(magnitude: Array, inner: int) -> Array:
    """Bound on the error of either part of a complex64 product; `magnitude` is (|Ar|+|Ai|)(|Br|+|Bi|)."""
    rounding = 2 * g(12 + -(-inner // 8)) * magnitude + 3 * inner * TINY_FLOAT32
    return np.asarray(rounding + TINY_FLOAT32)
