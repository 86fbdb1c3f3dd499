# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What MLX's arrays on the CPU make of operands: another implementation by the same authors, not the Metal kernels.

A GPU flushes denormal float32 (and with it bfloat16) operands to zero, MLX's CPU does not: they are flushed before MLX
sees them. Results may be flushed too; tolerances allow for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from porter.errors import ProofError
from porter.prove.cases.values import as_float32, decode
from porter.prove.launch import Array

SMALLEST_NORMAL = 2.0**-126  # of float32 and bfloat16 (IEEE 754)

# Word of a host name -> MLX's function.
_FUNCTIONS = {
    "Abs": "abs", "BitwiseInvert": "bitwise_invert", "Ceil": "ceil", "Conjugate": "conjugate", "Floor": "floor",
    "Imag": "imag", "LogicalNot": "logical_not", "Negative": "negative", "Real": "real", "Round": "round",
    "Sign": "sign", "Square": "square", "Add": "add", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "Divide": "divide", "DivMod": "divmod", "Equal": "equal", "Greater": "greater",
    "GreaterEqual": "greater_equal", "LeftShift": "left_shift", "Less": "less", "LessEqual": "less_equal",
    "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "Maximum": "maximum", "Minimum": "minimum",
    "Multiply": "multiply", "NotEqual": "not_equal", "Power": "power", "Remainder": "remainder",
    "RightShift": "right_shift", "Select": "where", "Subtract": "subtract",
}  # fmt: skip


def elementwise(
    op: str, operands: Sequence[Array], inputs: Sequence[str], outputs: Sequence[str], *, flush: bool = True
) -> list[Array]:
    """The results of `op` as numbers, one array an output. Raises KeyError where MLX has no such function."""
    function = _functions()[op]
    given = [flushed(one, dtype) if flush else one for one, dtype in zip(operands, inputs, strict=True)]
    found = function(*(to_mlx(one, dtype) for one, dtype in zip(given, inputs, strict=True)))
    results = found if isinstance(found, (tuple, list)) else [found]
    return [from_mlx(one, dtype) for one, dtype in zip(results, outputs, strict=True)]


@cache
def _functions() -> Mapping[str, Callable[..., Any]]:
    import mlx.core as mx

    return {op: getattr(mx, name) for op, name in _FUNCTIONS.items()}


def to_mlx(stored: Array, dtype: str) -> Any:
    """An MLX array of what `dtype` holds."""
    import mlx.core as mx

    if dtype == "bfloat16":
        return mx.array(as_float32(stored)).astype(mx.bfloat16)  # exact: every bfloat16 is a float32
    return mx.array(np.ascontiguousarray(stored))


def from_mlx(found: Any, dtype: str) -> Array:
    """What an MLX array of `dtype` holds, as numbers (float64, complex128, integers, bool)."""
    import mlx.core as mx

    if found.dtype == mx.float32 and dtype == "complex64":  # the size of a complex number
        found = found.astype(mx.complex64)
    if found.dtype != getattr(mx, dtype):
        raise ProofError(f"MLX made {found.dtype} where the kernel makes {dtype}")
    return decode(np.array(found.view(mx.uint16) if dtype == "bfloat16" else found), dtype)


def is_denormal(stored: Array, dtype: str) -> Array:
    """Which numbers are denormal in a dtype whose denormals Metal may flush."""
    if dtype == "float32":
        return np.asarray((np.abs(stored) < SMALLEST_NORMAL) & (stored != 0))
    if dtype == "complex64":
        return np.asarray(is_denormal(stored.real, "float32") | is_denormal(stored.imag, "float32"))
    if dtype == "bfloat16":
        return np.asarray((stored & 0x7F80 == 0) & (stored & 0x7F != 0))
    return np.zeros(stored.shape, np.bool_)


def flushed(stored: Array, dtype: str) -> Array:
    """Denormal numbers as zeros of their sign, for dtypes whose denormals Metal flushes."""
    if dtype == "complex64":
        return flushed(np.ascontiguousarray(stored).view(np.float32), "float32").view(np.complex64)
    if dtype == "bfloat16":
        return np.where(is_denormal(stored, dtype), stored & 0x8000, stored).astype(np.uint16)
    if dtype == "float32":
        return np.where(is_denormal(stored, dtype), np.copysign(np.float32(0), stored), stored)
    return stored
