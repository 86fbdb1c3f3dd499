# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the functions of the families unary, binary and binary_two are, in numbers.

What one rounding, or none, decides is asked of MLX's arrays on the CPU. Transcendental functions, and complex numbers,
are asked of torch in float64 and complex128: beside it a float32 function's own error is all there is. Nothing is said
(the element is masked) of operands for which the definition does not decide the kernel's result:

- denormal ones of float32 and bfloat16, where flushing them matters: a GPU may flush them;
- complex ones with a part that is not finite, or whose square is not a normal float32, where the kernel squares parts;
- complex ones near an axis, of which MLX takes a root (`_near_an_axis`);
- complex ones on the branch cuts of ArcTan;
- those of which MLX's formula loses more digits than a tolerance may allow: complex arc cosine and sine far from zero
  (x + i sqrt(1 - x^2) cancels), complex powers of large exponent, a sum of exponentials whose logarithm is nearly zero;
- Expm1 in float32 beyond log(2) / 2: MLX subtracts log(2) rounded to 12 bits, so that it is off by 1.43e-6 times the
  exponent of two, 20 ULP and more;
- ToFP8 between 464 and 480: MLX limits from 480 on, but rounds what is below to nearest, which is 480, a NaN's bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from porter.prove.cases import reference
from porter.prove.cases.values import FLOATS, decode
from porter.prove.launch import Array

WITNESS = "MLX's arrays and torch in float64 (CPU)"

# Squares of parts between these, and sums and quotients of two of them, are normal float32.
_SMALLEST_PART, _LARGEST_PART = 2.0**-30, 2.0**30
_LARGEST = 2.0**127  # of a result that no rounding turns into an infinity
_NEAR_ZERO = 2.0  # |z| up to which arc cosine and sine by logarithms are compared: their errors grow with |z|^3
_LARGEST_PHASE = 8.0  # |y log x| of a complex power: its error is so many times that of the logarithm
_TRANSCENDENTAL = {
    "ArcCos": "acos", "ArcCosh": "acosh", "ArcSin": "asin", "ArcSinh": "asinh", "ArcTan": "atan", "ArcTanh": "atanh",
    "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "ErfInv": "erfinv", "Exp": "exp", "Expm1": "expm1", "Log": "log",
    "Log10": "log10", "Log1p": "log1p", "Log2": "log2", "Rsqrt": "rsqrt", "Sigmoid": "sigmoid", "Sin": "sin",
    "Sinh": "sinh", "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh", "ArcTan2": "atan2", "LogAddExp": "logaddexp",
    "Power": "pow",
}  # fmt: skip
_MOVES = ("Abs", "Conjugate", "Imag", "Negative", "Real", "Select")  # bits of an operand, its sign aside
_OF_COMPLEX = {"Abs": "abs", "Divide": "divide", "Multiply": "mul", "Sign": "sgn", "Square": "square"}


def results(op: str, operands: Sequence[Array], inputs: Sequence[str], outputs: Sequence[str]) -> list[Array]:
    """One array of numbers for each output; masked where nothing is said."""
    dtype = inputs[-1]
    if op in ("ToFP8", "FromFP8"):
        return [_float8(op, operands[0], dtype)]
    if dtype in (*FLOATS, "complex64") and (op in _TRANSCENDENTAL or (dtype == "complex64" and op in _OF_COMPLEX)):
        return [_defined(op, operands, dtype)]
    if dtype == "complex64" and op == "DivMod":
        return [_defined("Divide", operands, dtype), *reference.elementwise("Remainder", operands, inputs, outputs[:1])]
    if op == "Negative" and dtype == "bool_":
        return [np.asarray(operands[0])]  # minus one is true; MLX refuses to negate a bool
    if op == "Divide" and dtype not in FLOATS and dtype != "complex64":
        return [_quotient(operands[0], operands[1])]  # MLX makes float32 of it, the kernel does not
    if op == "Power" and dtype not in FLOATS and dtype != "complex64":
        return [_integer_power(operands[0], operands[1])]
    if op in _MOVES:
        return reference.elementwise(op, operands, inputs, outputs, flush=False)
    return reference.elementwise(op, operands, inputs, outputs)


def _quotient(dividend: Array, divisor: Array) -> Array:
    """The quotient of integers, rounded towards zero."""
    if dividend.dtype == np.bool_:
        return dividend & divisor
    wide = [one.astype(object) for one in (dividend, divisor)]  # integers of Python: no width
    return np.array([abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(*wide, strict=True)])


def _integer_power(base: Array, exponent: Array) -> Array:
    """Powers, cut off to the dtype; 0 for a negative exponent, of which MLX's `power` on the CPU never returns."""
    if base.dtype == np.bool_:
        return base | ~exponent
    bits = 8 * base.dtype.itemsize
    powers = [x**y % 2**bits if y >= 0 else 0 for x, y in zip(base.tolist(), exponent.tolist(), strict=True)]
    return np.array(powers, np.uint64).astype(f"u{base.dtype.itemsize}").view(base.dtype)


def _defined(op: str, operands: Sequence[Array], dtype: str) -> Array:
    import torch

    numbers = [decode(np.ascontiguousarray(one), dtype) for one in operands]
    tensors = [torch.from_numpy(np.array(one)) for one in numbers]
    with np.errstate(all="ignore"):
        found = _function(op, dtype)(*tensors).numpy()
        unsaid = np.zeros(found.shape, np.bool_)
        for one in operands:
            unsaid |= reference.is_denormal(one, dtype)
        unsaid |= (
            _complex_unsaid(op, numbers, found) if dtype == "complex64" else _real_unsaid(op, numbers, found, dtype)
        )
    return np.ma.masked_array(found, unsaid)


@cache
def _function(op: str, dtype: str) -> Callable[..., Any]:
    import torch

    special: Mapping[str, Callable[..., Any]] = {
        "Log2": lambda x: torch.log(x) / math.log(2.0),
        "Log10": lambda x: torch.log(x) / math.log(10.0),
        "Log1p": lambda x: torch.log1p(x),
        "LogAddExp": _logaddexp,
    }
    if dtype == "complex64" and op in special:
        return special[op]
    return getattr(torch, _OF_COMPLEX.get(op) or _TRANSCENDENTAL[op])  # type: ignore[no-any-return]


def _logaddexp(x: Any, y: Any) -> Any:
    """log(e^x + e^y) of complex numbers, on the branch of the larger one (by real, then by imaginary part)."""
    import torch

    first = (x.real > y.real) | ((x.real == y.real) & (x.imag > y.imag))
    large, small = torch.where(first, x, y), torch.where(first, y, x)
    return large + torch.log1p(torch.exp(small - large))


def _real_unsaid(op: str, numbers: Sequence[Array], found: Array, dtype: str) -> Array:
    if op == "Expm1" and dtype == "float32":
        return np.asarray(np.abs(numbers[0]) > math.log(2) / 2)
    if op == "LogAddExp":
        return np.asarray(np.isfinite(found) & (np.abs(found) < np.maximum(*np.abs(numbers)) / 2))
    return np.zeros(found.shape, np.bool_)


def _complex_unsaid(op: str, numbers: Sequence[Array], found: Array) -> Array:
    parts = np.abs(np.stack([part for one in numbers for part in (one.real, one.imag)]))
    unsaid = ~((parts == 0) | ((parts >= _SMALLEST_PART) & (parts <= _LARGEST_PART))).all(axis=0)
    unsaid |= ~(np.abs(found) < _LARGEST)
    if op in ("ArcCos", "ArcSin"):
        unsaid |= (np.abs(numbers[0]) > _NEAR_ZERO) | _near_an_axis(1 - numbers[0] ** 2)
    if op in ("Sqrt", "Rsqrt"):
        unsaid |= _near_an_axis(numbers[0])
    if op == "ArcTan":  # on its branch cuts, whose side is that of a zero's sign
        unsaid |= (numbers[0].real == 0) & (np.abs(numbers[0].imag) >= 1)
    if op == "Power":
        unsaid |= ~(np.abs(numbers[1] * np.log(numbers[0])) <= _LARGEST_PHASE)
    return np.asarray(unsaid)


def _near_an_axis(numbers: Array) -> Array:
    """MLX's complex root takes the difference of the size and the real part: near the axis only half the digits stay.

    With parts x and y, r = |x + iy|: r is off by at most r u, so that the root of (r - |x|) / 2, which is about
    |y| / (2 sqrt(r)), is off by at most sqrt(r) u (r / |y|).
    """
    parts = np.sort(np.abs(np.stack([numbers.real, numbers.imag])), axis=0)
    return np.asarray((parts[0] > 0) & (parts[0] < parts[1] / 8))


def _float8(op: str, operand: Array, dtype: str) -> Array:
    """Between a number and eight bits of sign, exponent (4, biased by 7) and fraction (3); all ones is a NaN.

    The format: Micikevicius et al., "FP8 formats for deep learning", 2022, section 3 (E4M3).
    """
    codes = np.arange(256)
    exponent, fraction = (codes >> 3) & 15, codes & 7
    size = np.where(exponent > 0, (8 + fraction) * 2.0 ** (exponent - 10), fraction * 2.0**-9)
    values = np.where(codes & 128, -size, size)
    values[codes & 127 == 127] = np.nan
    if op == "FromFP8":
        return np.asarray(values[operand])
    numbers = decode(np.ascontiguousarray(operand), dtype)
    limited = np.minimum(
        np.where(np.isnan(numbers), 448.0, np.abs(numbers)), 448.0
    )  # the largest one; a NaN becomes it
    above = np.searchsorted(values[:127], limited)  # codes 0 to 126 are in order
    below = np.maximum(above - 1, 0)
    left, right = limited - values[below], values[above] - limited
    nearest = np.where((left < right) | ((left == right) & (below % 2 == 0)), below, above)
    sign = np.where(np.signbit(numbers), 128, 0)
    return np.ma.masked_array(nearest | sign, (np.abs(numbers) > 464) & (np.abs(numbers) < 480))
