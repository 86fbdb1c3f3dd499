# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Rows of floats that softmax and its kin are tried on: ordinary ones, and the kinds that a kernel may get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from porter.prove.cases.values import Array, awkward, decode, encode, ordinary

ORDINARY, EQUAL, EXTREME, NAN = "ordinary", "all equal", "extremes and denormals", "a NaN"
SOME_MINUS, ALL_MINUS, ONE_PLUS = "some -inf", "all -inf", "one inf"
EVERY = (ORDINARY, EQUAL, EXTREME, NAN, SOME_MINUS, ALL_MINUS, ONE_PLUS)


def row(rng: np.random.Generator, kind: str, size: int, dtype: str) -> Array:
    """One row of `size` numbers of that kind, as `dtype` holds them."""
    out = ordinary(rng, size, dtype)
    if kind == EQUAL:
        out[:] = _number(1.5, dtype)
    elif kind == EXTREME:
        special = awkward(rng, size, dtype)
        known = decode(special, dtype)
        out = np.where(np.isnan(known) | (known == np.inf), out, special)
    elif kind == NAN:
        out[-1] = _number(np.nan, dtype)
    elif kind == SOME_MINUS:
        out[:: 3 if size > 1 else 2] = _number(-np.inf, dtype)
        out[-1] = _number(0.25, dtype)
    elif kind == ALL_MINUS:
        out[:] = _number(-np.inf, dtype)
    elif kind == ONE_PLUS:
        out[size // 2] = _number(np.inf, dtype)
    return out


def rows(rng: np.random.Generator, kinds: Sequence[str], size: int, dtype: str) -> Array:
    """Rows of these kinds, (len(kinds), size)."""
    return np.ascontiguousarray(np.stack([row(rng, kind, size, dtype) for kind in kinds]))


def _number(value: float, dtype: str) -> Any:
    return encode(np.array([value]), dtype)[0]
