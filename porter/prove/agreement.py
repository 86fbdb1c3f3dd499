# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether what two runs left in memory is the same, bit for bit or within a tolerance, and where it first is not.

A NaN equals a NaN, whatever its sign and payload: Metal does not say which one an operation makes, and neither do
LLVM's optimisers. Everything else is compared as bits, so that -0 is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from porter.prove.cases.values import NUMPY, decode
from porter.prove.launch import Array, Output
from porter.spec import Tolerance

# The largest finite number of each float (IEEE 754; bfloat16 is the upper half of float32).
_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}
_LARGEST["complex64"] = _LARGEST["float32"]


@dataclass(frozen=True)
class Difference:
    """Where two results differ: how many elements, the first of them, and what both sides have there."""

    count: int
    size: int
    first: int
    got: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.count} of {self.size} elements; first [{self.first}]: {self.got}, not {self.wanted}"


@dataclass(frozen=True)
class Compared:
    """What differs by more than the tolerance, if anything, and the largest error in units of the tolerance."""

    difference: Difference | None
    worst: float


def elements(memory: Array, output: Output) -> Array:
    """The bytes of a buffer as the elements of `output`. What does not fill a whole element is left out."""
    kind = np.dtype(NUMPY[output.dtype])
    return memory[: memory.size - memory.size % kind.itemsize].view(kind)


def differing_bits(got: Array, wanted: Array, output: Output) -> Array:
    """Which elements are not the same bits, NaN equal to NaN. Both are bytes of one length."""
    left, right = elements(got, output), elements(wanted, output)
    width = left.itemsize
    different: Array = np.any(left.view(np.uint8).reshape(-1, width) != right.view(np.uint8).reshape(-1, width), axis=1)
    if output.dtype == "complex64" and different.any():
        one, other = left.view(np.float32), right.view(np.float32)
        parts = (one.view(np.uint32) != other.view(np.uint32)) & ~(np.isnan(one) & np.isnan(other))
        return np.asarray(parts.reshape(-1, 2).any(axis=1))
    if output.dtype in ("float16", "bfloat16", "float32") and different.any():
        both = np.isnan(decode(left, output.dtype)) & np.isnan(decode(right, output.dtype))
        return np.asarray(different & ~both)
    return different


def compare_bits(got: Array, wanted: Array, output: Output) -> Difference | None:
    """None where both are the same bits."""
    different = np.flatnonzero(differing_bits(got, wanted, output))
    if different.size == 0:
        return None
    left, right = (decode(elements(one, output), output.dtype) for one in (got, wanted))
    return _difference(different, left, right)


def compare_values(got: Array, wanted: Any, output: Output, tolerance: Tolerance | None) -> Compared:
    """`got` (bytes) against numbers (float64, complex128 or integers) of as many elements, within `tolerance`.

    What is masked in `wanted` (numpy.ma) is not compared. Without a tolerance numbers must be equal. A NaN wants a NaN,
    an infinity the same; where a finite number is wanted that `output`'s dtype cannot hold, an infinity is right too.
    """
    left = decode(elements(got, output), output.dtype).reshape(-1)
    mask = np.ma.getmaskarray(wanted).reshape(-1)
    right = np.asarray(np.ma.getdata(wanted)).reshape(-1)
    errors = _errors(left, right, output.dtype, tolerance)
    errors[mask] = 0.0
    different = np.flatnonzero(errors > 1.0)
    difference = _difference(different, left, right) if different.size else None
    return Compared(difference, float(errors.max(initial=0.0)))


def _errors(got: Array, wanted: Array, dtype: str, tolerance: Tolerance | None) -> Array:
    """The error of each element in units of the tolerance; infinite where none covers it."""
    if np.iscomplexobj(got) or np.iscomplexobj(wanted):
        got, wanted = got.astype(np.complex128), wanted.astype(np.complex128)
        size = np.maximum(np.abs(wanted.real), np.abs(wanted.imag))  # a part may be the small one of a large number
        parts = [
            # An infinite part allows the other one no more than what it is itself.
            _real_errors(g, w, np.where(np.isfinite(size), size, np.abs(w)), dtype, tolerance)
            for g, w in ((got.real, wanted.real), (got.imag, wanted.imag))
        ]
        return np.asarray(np.maximum(*parts))
    if got.dtype.kind in "biu" and wanted.dtype.kind in "biu" and tolerance is None:
        return np.where(got == wanted, 0.0, np.inf)
    got, wanted = got.astype(np.float64), wanted.astype(np.float64)
    return _real_errors(got, wanted, np.abs(wanted), dtype, tolerance)


def _real_errors(got: Array, wanted: Array, size: Array, dtype: str, tolerance: Tolerance | None) -> Array:
    with np.errstate(all="ignore"):
        bound = np.zeros_like(size) if tolerance is None else tolerance.relative * size + tolerance.absolute
        error = np.abs(got - wanted)
        errors = np.where(error == 0, 0.0, error / bound)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        errors = np.where(np.isfinite(got) & np.isfinite(wanted), errors, np.inf)
        if dtype in _LARGEST:
            overflows = np.isinf(got) & (np.sign(got) == np.sign(wanted)) & (np.abs(wanted) + bound >= _LARGEST[dtype])
            same |= overflows
    return np.where(same, 0.0, errors)


def _difference(different: Array, left: Array, right: Array) -> Difference:
    first = int(different[0])
    return Difference(int(different.size), int(left.size), first, _shown(left[first]), _shown(right[first]))


def _shown(value: Any) -> str:
    return repr(value.item() if hasattr(value, "item") else value)


def tolerance_for(tolerances: Sequence[Tolerance], kernel: str, dtype: str) -> Tolerance | None:
    """The family's tolerance for an output of `dtype` of `kernel`: one that names the kernel before one for all."""
    fitting = [one for one in tolerances if dtype in one.dtypes and (not one.kernels or kernel in one.kernels)]
    return max(fitting, key=lambda one: bool(one.kernels), default=None)
