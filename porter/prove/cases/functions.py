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
from porter.prove.cases.values import FLOATS, decode, encode
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
    floating = dtype in (*FLOATS, "complex64")
    if floating and (op in _TRANSCENDENTAL or (dtype == "complex64" and op in _OF_COMPLEX)):
        return [_defined(op, operands, dtype)]
    if op in _WRITTEN_OUT:
        return _WRITTEN_OUT[op](operands, dtype)
    if op in _OF_INTEGERS and not floating:
        return _OF_INTEGERS[op](operands, dtype)
    if dtype == "bool_" and op in ("BitwiseXor", "Negative"):
        # MLX refuses to negate a bool (minus one is true), and its exclusive or of bools on the CPU is the first one.
        return [operands[0] ^ operands[1] if op == "BitwiseXor" else operands[0]]
    found = reference.elementwise(op, operands, inputs, outputs, flush=op not in _MOVES)
    if dtype == "complex64" and op in ("Maximum", "Minimum"):
        # The kernel looks for NaN in the first operand only, MLX on the CPU in the real part only.
        return [np.ma.masked_array(found[0], np.isnan(operands[0]) | np.isnan(operands[1]))]
    return found


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


# What MLX's arrays on the CPU do not do as the kernels do: `power` of integers never returns for a negative exponent,
# `divide` of integers makes float32, `remainder` of float16, bfloat16 and complex64 rounds the quotient to nearest.


def _quotient(dividend: Array, divisor: Array) -> Array:
    """The quotient of integers, rounded towards zero and cut off to the dtype (-128 / -1 of int8 is -128)."""
    if dividend.dtype == np.bool_:
        return dividend & divisor
    pairs = zip(dividend.tolist(), divisor.tolist(), strict=True)
    return _cut_off([abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1) for x, y in pairs], dividend.dtype)


def _power(base: Array, exponent: Array) -> Array:
    """Powers, cut off to the dtype; 0 for a negative exponent."""
    if base.dtype == np.bool_:
        return base | ~exponent
    pairs = zip(base.tolist(), exponent.tolist(), strict=True)
    return _cut_off([x**y if y >= 0 else 0 for x, y in pairs], base.dtype)


def _cut_off(numbers: Sequence[int], dtype: np.dtype[Any]) -> Array:
    low_bits = np.array([one % 2 ** (8 * dtype.itemsize) for one in numbers], np.uint64)
    return low_bits.astype(f"u{dtype.itemsize}").view(dtype)


def _remainder(dividend: Array, divisor: Array, dtype: str) -> Array:
    """What is left, with the sign of the divisor. Of complex numbers: of each part."""
    if dtype == "bool_":
        return np.zeros_like(dividend)
    if dtype == "complex64":
        parts = [(one.real.astype(np.float64), one.imag.astype(np.float64)) for one in (dividend, divisor)]
        sides = list(zip(*parts, strict=True))
        of_parts = [np.remainder(x, y) for x, y in sides]
        # Where the quotient is all but whole, float32 may round it to the whole number or not.
        odd = [(np.abs(x / y - np.rint(x / y)) < 1e-5) & (x / y != np.rint(x / y)) for x, y in sides]
        return np.ma.masked_array(of_parts[0] + 1j * of_parts[1], odd[0] | odd[1])
    with np.errstate(all="ignore"):
        left = np.remainder(decode(dividend, dtype), decode(divisor, dtype))
    return np.ma.masked_array(left, reference.is_denormal(dividend, dtype) | reference.is_denormal(divisor, dtype))


def _whole_quotient(dividend: Array, divisor: Array, dtype: str) -> Array:
    """The first result of DivMod: MLX rounds it towards zero, and not at all where it is complex."""
    if dtype == "complex64":
        return _defined("Divide", [dividend, divisor], dtype)
    if dtype not in FLOATS:
        return _quotient(dividend, divisor)
    with np.errstate(all="ignore"):
        # The quotient is rounded to the dtype first: once more rounding than float64's changes nothing (Figueroa 1995).
        exact = decode(reference.flushed(dividend, dtype), dtype) / decode(reference.flushed(divisor, dtype), dtype)
        return np.trunc(decode(encode(exact, dtype), dtype))


def _same_or_nan(left: Array, right: Array, dtype: str) -> Array:
    if dtype == "complex64":
        return _same_or_nan(left.real, right.real, "float32") & _same_or_nan(left.imag, right.imag, "float32")
    x, y = (decode(reference.flushed(one, dtype), dtype) for one in (left, right))
    return np.asarray((x == y) | (np.isnan(x) & np.isnan(y)))


Rule = Callable[[Sequence[Array], str], list[Array]]

_WRITTEN_OUT: Mapping[str, Rule] = {
    "ToFP8": lambda given, dtype: [_float8("ToFP8", given[0], dtype)],
    "FromFP8": lambda given, dtype: [_float8("FromFP8", given[0], dtype)],
    "NaNEqual": lambda given, dtype: [_same_or_nan(given[0], given[1], dtype)],
    "Remainder": lambda given, dtype: [_remainder(given[0], given[1], dtype)],
    "DivMod": lambda given, dtype: [_whole_quotient(given[0], given[1], dtype), _remainder(given[0], given[1], dtype)],
}
_OF_INTEGERS: Mapping[str, Rule] = {
    "Divide": lambda given, _: [_quotient(given[0], given[1])],
    "Power": lambda given, _: [_power(given[0], given[1])],
}
