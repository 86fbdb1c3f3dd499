# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Matrices for the outputs ring: seeded, exactly representable in the format under test, with their exact product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from porter.prove.tolerance import FORMATS, complex_bound, real_bound

Bits = npt.NDArray[Any]


def to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The bits of `values` rounded to bfloat16, to nearest, ties to even (finite values)."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (np.ascontiguousarray(bits).astype(np.uint32) << 16).view(np.float32)


def encode(values: npt.NDArray[Any], dtype: str) -> Bits:
    """`values` as the kernel reads them: the bits of `dtype`, C order."""
    if dtype == "bfloat16":
        return to_bfloat16(values.astype(np.float32))
    return np.ascontiguousarray(values.astype({"float16": np.float16, "float32": np.float32}.get(dtype, np.complex64)))


def decode(bits: Bits, dtype: str) -> npt.NDArray[Any]:
    """The numbers that `bits` stand for, in float64 (complex128 for complex64)."""
    if dtype == "bfloat16":
        return from_bfloat16(bits).astype(np.float64)
    return bits.astype(np.complex128 if dtype == "complex64" else np.float64)


@dataclass(frozen=True)
class Case:
    """One product: batch x M x K times batch x K x N (batch dimensions broadcast), the epilogue, and its bound.

    `a`, `b`, `c` are what is encoded, decoded again; `exact` is alpha (a @ b) + beta c in float64 or complex128.
    """

    dtype: str
    a: npt.NDArray[Any]
    b: npt.NDArray[Any]
    c: npt.NDArray[Any] | None
    alpha: float
    beta: float

    @property
    def inner(self) -> int:
        return int(self.a.shape[-1])

    @property
    def exact(self) -> npt.NDArray[Any]:
        product: npt.NDArray[Any] = self.alpha * (self.a @ self.b)
        return product if self.c is None else product + self.beta * self.c

    def bound(self) -> npt.NDArray[np.float64]:
        """How far a result may be from `exact`; see porter/prove/tolerance.py."""
        if self.dtype == "complex64":
            parts = [np.abs(x.real) + np.abs(x.imag) for x in (self.a, self.b)]
            magnitude = parts[0] @ parts[1]
            return complex_bound(magnitude, self.inner)
        magnitude = abs(self.alpha) * (np.abs(self.a) @ np.abs(self.b))
        if self.c is not None:
            magnitude = magnitude + abs(self.beta) * np.abs(self.c)
        return real_bound(self.exact, magnitude, self.inner, FORMATS[self.dtype], self.c is not None)

    def worst(self, result: npt.NDArray[Any]) -> float:
        """The largest error in units of the bound (over 1 is wrong; NaN counts as infinite). `result` is decoded."""
        return worst_ratio(result - self.exact, self.bound())


def worst_ratio(difference: npt.NDArray[Any], bound: npt.NDArray[np.float64]) -> float:
    """The largest |difference| (of either part, where it is complex) in units of `bound`; NaN counts as infinite."""
    errors = np.maximum(np.abs(difference.real), np.abs(np.imag(difference)))
    ratios = errors / bound
    return float(np.max(np.where(np.isnan(ratios), np.inf, ratios), initial=0.0))


def mlx_worst(case: Case, result: npt.NDArray[Any]) -> float:
    """`result` against MLX's arrays on the CPU, in units of both errors' bounds together.

    MLX accumulates in float32 and rounds once to the format (cblas for float32 and complex64, its own loops for
    float16 and bfloat16: mlx/backend/cpu/gemms), so its error obeys the bound of porter/prove/tolerance.py too, and
    two results differ by at most twice that.
    """
    import mlx.core as mx

    dtype = getattr(mx, case.dtype)

    def array(values: npt.NDArray[Any]) -> Any:
        return mx.array(values.astype(np.complex64 if case.dtype == "complex64" else np.float32)).astype(dtype)

    with mx.stream(mx.Device(mx.cpu, 0)):
        if case.c is None:
            product = mx.matmul(array(case.a), array(case.b))
        else:
            product = mx.addmm(array(case.c), array(case.a), array(case.b), case.alpha, case.beta)
        theirs = np.array(product if case.dtype == "complex64" else product.astype(mx.float32))
    return worst_ratio(result - theirs.astype(result.dtype), 2 * case.bound())


def make_case(
    seed: int,
    dtype: str,
    shape: tuple[int, int, int],
    batch: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
    alpha: float = 1.0,
    beta: float = 0.0,
    with_c: bool = False,
    bias: bool = False,
) -> Case:
    """A case of normal deviates. `shape` is (M, N, K); `batch` the batch dimensions of a and of b (sizes equal or 1).

    `with_c` adds a matrix of the result's shape, `bias` a vector of N.
    """
    random = np.random.default_rng(seed)
    m, n, k = shape

    def draw(*sizes: int) -> npt.NDArray[Any]:
        values = random.standard_normal(sizes)
        if dtype == "complex64":
            values = values + 1j * random.standard_normal(sizes)
        return decode(encode(values, dtype), dtype)

    a, b = draw(*batch[0], m, k), draw(*batch[1], k, n)
    outer = np.broadcast_shapes(*batch)
    c = draw(n) if bias else draw(*outer, m, n) if with_c else None
    return Case(dtype, a, b, c, alpha, beta)
