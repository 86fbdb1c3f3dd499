# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Values that generators of cases share: every dtype's awkward numbers, and how a dtype is held in numpy.

dtypes are called as MLX's host names call them. bfloat16 is held as uint16 (its bits), the others as numpy's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMPY = {
    "bool": np.bool_, "bool_": np.bool_, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "float16": np.float16, "float32": np.float32, "complex64": np.complex64, "bfloat16": np.uint16,
}  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32")

# NaN, infinities, both zeros, the largest and smallest normal and subnormal numbers of float32, float16 and bfloat16
# (IEEE 754; bfloat16 is the upper half of float32), halves (ties of rounding), and small integers.
_SPECIAL = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, -2.5, 3.4028235e38, -3.4028235e38,
    1.1754944e-38, 1.4012985e-45, 65504.0, 6.1035156e-05, 5.9604645e-08, 3.3895314e38, 9.1835496e-41, 1e-6, -7.0, 255.0,
)  # fmt: skip


def bfloat16(values: Array) -> Array:
    """float32 -> bits of bfloat16, to nearest, ties to even; a NaN stays one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype(np.uint16)


def as_float32(bits: Array) -> Array:
    """Bits of bfloat16 -> float32, exactly."""
    return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32)


def encode(values: Array, dtype: str) -> Array:
    """Numbers as `dtype` holds them."""
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            return bfloat16(np.asarray(values, np.float32))
        return np.asarray(values).astype(NUMPY[dtype])


def decode(stored: Array, dtype: str) -> Array:
    """What `dtype` holds, as float64, complex128 or integers."""
    with np.errstate(invalid="ignore"):  # a signaling NaN becomes a quiet one
        if dtype == "bfloat16":
            return as_float32(stored).astype(np.float64)
        if dtype in ("float16", "float32"):
            return stored.astype(np.float64)
    return stored.astype(np.complex128) if dtype == "complex64" else stored


def ordinary(rng: np.random.Generator, size: int | tuple[int, ...], dtype: str) -> Array:
    """Numbers of moderate size: normal floats; integers over the whole small range of the dtype."""
    if dtype in ("bool", "bool_"):
        return rng.integers(0, 2, size).astype(np.bool_)
    if dtype == "complex64":
        return (rng.standard_normal(size) + 1j * rng.standard_normal(size)).astype(np.complex64)
    if dtype in FLOATS:
        return encode(rng.standard_normal(size), dtype)
    kind = np.iinfo(NUMPY[dtype])
    return rng.integers(max(int(kind.min), -100), 101, size).astype(NUMPY[dtype])


def awkward(rng: np.random.Generator, size: int, dtype: str) -> Array:
    """`size` numbers (one dimension) of which the first are the dtype's special ones, the rest ordinary."""
    out = ordinary(rng, size, dtype)
    if dtype in FLOATS:
        special = encode(np.array(_SPECIAL), dtype)
    elif dtype == "complex64":
        parts = np.array(_SPECIAL, np.float32)
        special = (parts + 1j * parts[::-1]).astype(np.complex64)
    elif dtype in ("bool", "bool_"):
        return out
    else:
        kind = np.iinfo(NUMPY[dtype])
        special = np.array([kind.min, kind.max, 0, 1, kind.max // 2, kind.min // 2, 2, 3], NUMPY[dtype])
    count = min(size, special.size)
    out[:count] = special[:count]
    return out


def empty(size: int | tuple[int, ...], dtype: str) -> Array:
    """An output before the kernel runs: a pattern that is no likely result (0xA5 in every byte; bools are False)."""
    if dtype in ("bool", "bool_"):
        return np.zeros(size, np.bool_)
    kind = np.dtype(NUMPY[dtype])
    count = int(np.prod(size))
    return np.full(count * kind.itemsize, 0xA5, np.uint8).view(kind).reshape(size)
