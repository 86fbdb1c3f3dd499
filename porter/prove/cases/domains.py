# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which numbers an elementwise operation is tried on.

Special ones first, then ordinary ones. Left out is what C++ leaves undefined, because two compilers may then both be
right and differ: signed overflow (also of 16-bit numbers, which are multiplied as int), division by zero and of the
smallest integer by -1, shifts by the width or more and of negative numbers to the left, and floats converted to
integers that cannot hold them (in Expm1 and in the remainder of complex numbers, too). Every number of an operand may
meet every number of the other one, so operands are narrowed one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from porter.prove.cases.values import FLOATS, NUMPY, decode, encode
from porter.prove.launch import Array

DIVISIONS = ("Divide", "Remainder", "DivMod")

# NaN, infinities, zeros, the largest, smallest normal and smallest numbers of float32 and float16, ties of rounding;
# 88.5 and -104 (where exp of float32 over- and underflows), 11.1 and -17.3 (of float16), 1e4 and pi (where reduction of
# an angle begins to matter), 0.9 and 2 (both sides of 1, for logarithms and inverse functions), 17 and 19 (ties
# of 8-bit floats), 470 (which they round to a NaN), 0.93 (where MLX's erf changes its polynomial).
_FLOATS = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 3.4028235e38, -3.4028235e38, 1.1754944e-38,
    1.4012985e-45, 65504.0, 5.9604645e-08, -1e-6, -7.0, 255.0, 88.5, -104.0, 11.1, -17.3, 1e4, 3.1415927, 0.9,
    2.0, 1e-6, 6.1035156e-05, 17.0, 19.0, 470.0, 0.93,
)  # fmt: skip

# Real and imaginary parts of complex numbers: zeros, infinities, NaN, the range in which exp must scale (88.7 to 192).
_PARTS = (0.0, 1.0, -0.0, math.inf, 0.5, math.nan, -1.0, 100.0, -math.inf, -2.5, 1e-6, 3.4028235e38)

# Expm1 rounds x / log(2) to an int: |x| < 2^31 log(2) = 1.48e9.
_EXPM1_LIMIT = 1e9
# The quotient of complex remainder is converted to int64; ordinary numbers over numbers of at least this do.
_SMALLEST_DIVISOR = 0.125


def numbers(rng: np.random.Generator, op: str, dtype: str, operand: int, count: int) -> Array:
    """`count` numbers for one operand (0, 1) of an operation: the special ones in random order, then ordinary ones."""
    special = rng.permutation(specials(op, dtype, operand))[:count]
    return np.concatenate([special, _ordinary(rng, op, dtype, operand, count - special.size)])


def pairs(rng: np.random.Generator, op: str, dtype: str, count: int) -> tuple[Array, Array]:
    """`count` pairs: each special number of one operand with each of the other, as far as they go, then ordinary ones.

    Ties (equal numbers, zeros of both signs, two NaN) are always among them; of the others `rng` says which are, where
    they do not all fit.
    """
    left, right = (specials(op, dtype, operand) for operand in (0, 1))
    every = rng.permutation(left.size * right.size)
    x, y = decode(left, dtype)[every // right.size], decode(right, dtype)[every % right.size]
    ties = (x == y) | ((x != x) & (y != y))
    every = every[np.argsort(~ties, kind="stable")][:count]
    rest = count - every.size
    return (
        np.concatenate([left[every // right.size], _ordinary(rng, op, dtype, 0, rest)]),
        np.concatenate([right[every % right.size], _ordinary(rng, op, dtype, 1, rest)]),
    )


def specials(op: str, dtype: str, operand: int) -> Array:
    """The special numbers of a dtype that an operand of `op` may be, as the dtype holds them."""
    if dtype in ("bool", "bool_"):
        return np.array([True] if op in DIVISIONS and operand == 1 else [False, True])
    if dtype == "complex64":
        return _complex_specials(op)
    if dtype in FLOATS:
        return _distinct(encode(np.array([x for x in _FLOATS if _float_may_be(op, x)]), dtype))
    low, high, without = integer_range(op, dtype, operand)
    tried = {low, low + 1, low // 2, -1, 0, 1, 2, 3, high // 2, high - 1, high}
    return np.array(sorted(x for x in tried if low <= x <= high and x not in without), NUMPY[dtype])


def integer_range(op: str, dtype: str, operand: int) -> tuple[int, int, tuple[int, ...]]:
    """The smallest and the largest integer that an operand of `op` may be, and which between them it may not."""
    kind = np.iinfo(NUMPY[dtype])
    low, high, signed = int(kind.min), int(kind.max), kind.min < 0
    overflows = signed and kind.bits >= 32  # narrower ones are widened to int, and cut off again
    rules: dict[str, Callable[[], tuple[int, int]]] = {
        "Abs": lambda: (low + signed, high),
        "Negative": lambda: (low + overflows, high),
        "Add": lambda: (low // 2, high // 2) if overflows else (low, high),
        "Subtract": lambda: (low // 2, high // 2) if overflows else (low, high),
        "Multiply": lambda: _roots(low, high, dtype),
        "Square": lambda: _roots(low, high, dtype),
        "Power": lambda: (max(low, -3), 7) if operand else (max(low, -5), 5),
        "LeftShift": lambda: (0, kind.bits - 1 - 2 * signed) if operand else ((0, 3) if signed else (low, high)),
        "RightShift": lambda: (0, kind.bits - 1) if operand else (low, high),
    }
    if op in DIVISIONS:
        return low + (overflows and operand == 0), high, ((0,) if operand else ())
    low, high = rules.get(op, lambda: (low, high))()
    return low, high, ()


def _roots(low: int, high: int, dtype: str) -> tuple[int, int]:
    """The range whose products do not overflow the type in which they are made; unsigned 32 and 64 bits wrap."""
    limit = {"uint16": 2**31 - 1, "int32": 2**31 - 1, "int64": 2**63 - 1}.get(dtype)
    return (low, high) if limit is None else (max(low, -math.isqrt(limit)), min(high, math.isqrt(limit)))


def _float_may_be(op: str, value: float) -> bool:
    return op != "Expm1" or abs(value) <= _EXPM1_LIMIT


def _complex_specials(op: str) -> Array:
    if op in ("Remainder", "DivMod"):
        return np.array([1 + 1j, 2 - 0.5j, -7 + 2.5j, -0.125 - 3j], np.complex64)
    parts = np.array(_PARTS, np.float32)
    grid = np.stack(np.meshgrid(parts, parts, indexing="ij"), -1)  # real and imaginary part; no arithmetic on infinity
    return grid.reshape(-1, 2).copy().view(np.complex64).reshape(-1)


def _ordinary(rng: np.random.Generator, op: str, dtype: str, operand: int, count: int) -> Array:
    if dtype in ("bool", "bool_"):
        return np.asarray(rng.choice(specials(op, dtype, operand), count))
    if dtype == "complex64":
        parts = rng.standard_normal((count, 2)).astype(np.float32)
        if op in ("Remainder", "DivMod"):
            parts += np.copysign(np.float32(_SMALLEST_DIVISOR), parts)
        return np.asarray(parts.view(np.complex64).reshape(-1))
    if dtype in FLOATS:
        sizes = rng.choice([0.1, 1.0, 10.0], count)
        return encode(rng.standard_normal(count) * sizes, dtype)
    low, high, without = integer_range(op, dtype, operand)
    found = rng.integers(max(low, -100), min(high, 100), count, endpoint=True)
    return np.where(np.isin(found, without), 1, found).astype(NUMPY[dtype])


def convertible(rng: np.random.Generator, source: str, target: str, count: int) -> Array:
    """`count` numbers of dtype `source` that C++ converts to `target`: special ones first, then ordinary ones."""
    special = _convertible(_conversion_specials(source, target), source, target)
    special = rng.permutation(special)[:count]
    more = _convertible(_ordinary(rng, "", source, 0, count - special.size), source, target)
    fill = np.resize(more, count - special.size) if more.size else np.resize(special, count - special.size)
    return np.concatenate([special, fill])


def _conversion_specials(source: str, target: str) -> Array:
    """Those of the dtype, and for targets that are integers what lies around their ends and around halves."""
    if source not in (*FLOATS, "complex64"):
        return specials("", source, 0)
    if target not in NUMPY or target in (*FLOATS, "complex64", "bool_", "bool"):
        return specials("", source, 0)
    kind = np.iinfo(NUMPY[target])
    low, high = float(kind.min), float(kind.max)
    near = [low, low + 0.5, low / 2, -1.5, -0.5, -0.0, 0.0, 0.5, 0.75, 1.0, 1.5, 2.5, 100.7, high / 2, high - 1, high]
    near += [float(np.nextafter(np.float32(high), np.float32(0))), 65504.0, 2049.0, 127.0]
    if source == "complex64":
        return (np.array(near, np.float32) + np.complex64(3j)).astype(np.complex64)
    return _distinct(encode(np.array(near), source))


def _convertible(stored: Array, source: str, target: str) -> Array:
    """Those of `stored` that may be converted: floats that an integer can hold once truncated, integers in float16."""
    if target in ("bool", "bool_", "complex64"):
        return stored
    values = decode(stored, source)
    if target == "float16" and values.dtype.kind in "iu":
        return stored[np.abs(values.astype(np.float64)) <= 65504]  # float16's largest number
    if target in FLOATS or values.dtype.kind in "iub":
        return stored
    kind = np.iinfo(NUMPY[target])
    whole = np.trunc(np.real(values))
    # In float64 the largest int64 rounds up to 2^63, which does not fit: hence < max + 1.
    return np.asarray(stored[(whole >= float(kind.min)) & (whole < float(int(kind.max) + 1))])


def _distinct(stored: Array) -> Array:
    """Without doublets by bit pattern (numbers that are special in one format only may be one in another)."""
    bits = stored.view(f"u{stored.dtype.itemsize}")
    return np.unique(bits).view(stored.dtype)
