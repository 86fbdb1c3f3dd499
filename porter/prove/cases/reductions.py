# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What reductions and scans are tried on, and what MLX's arrays make of it.

The order in which a kernel combines values is its own business, so operands with a reference are such that any order
gives the same bits: sums are of small integers, of which bfloat16 holds every partial sum; products are of ones, of
either sign, and of a few powers of two. Others are only compared between compilations of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from porter.prove.cases.reference import flushed, to_mlx
from porter.prove.cases.values import FLOATS, NUMPY, Array, awkward, decode, encode, ordinary

EXACT, SPECIAL, ROUNDED = "exact", "with NaN and infinities", "rounded"
POWERS = 8
"""How many of a product's factors are powers of two: float16 holds 2^-8 to 2^8 exactly, and int32 2^8."""


def kinds(dtype: str) -> tuple[str, ...]:
    """The kinds of operand that say something for this dtype."""
    return (EXACT, SPECIAL, ROUNDED) if dtype in FLOATS or dtype == "complex64" else (EXACT,)


def has_reference(op: str, dtype: str, kind: str) -> bool:
    """Whether what is right does not depend on the order, and MLX's CPU means the same: of a complex number of which a
    part is NaN it makes other minima and products than the kernels."""
    return kind == EXACT or (kind == SPECIAL and (op == "sum" or dtype != "complex64"))


def operand(rng: np.random.Generator, op: str, dtype: str, size: int, kind: str) -> Array:
    """`size` numbers to reduce by `op`, as `dtype` holds them."""
    if op == "logaddexp":
        return _exponents(rng, dtype, size, kind)
    if dtype == "bool_" and op == "prod":
        return _truths(rng, dtype, size, mostly=True)
    if kind == ROUNDED and op in ("sum", "prod"):
        near = ordinary(rng, size, "complex64" if dtype == "complex64" else "float32")
        return encode(near if op == "sum" else 1 + near / 50, dtype)
    if op in ("sum", "prod"):
        values = _summands(rng, dtype, size) if op == "sum" else _factors(rng, dtype, size)
        return _with_special(rng, values, dtype) if kind == SPECIAL else values
    if op in ("and", "or"):
        return _truths(rng, dtype, size, mostly=op == "and")
    if kind == SPECIAL and dtype == "complex64":
        return _with_half_nan(rng, size)
    with np.errstate(invalid="ignore"):  # NaN as a part of a complex number
        pool = np.concatenate([awkward(rng, 30, dtype), ordinary(rng, 10, dtype)])
    values = rng.choice(pool, size)
    if kind == SPECIAL:
        return values
    known = decode(values, dtype)
    return np.where(known != known, ordinary(rng, size, dtype), values) if dtype not in ("bool", "bool_") else values


def _summands(rng: np.random.Generator, dtype: str, size: int) -> Array:
    signed = dtype not in ("bool", "bool_") and not dtype.startswith("uint")
    pool = [-1, 0, 0, 0, 1] if signed else [0, 1, 0, 0, 1]
    values: Any = rng.choice(pool, size)
    return encode(values + 1j * rng.choice(pool, size) if dtype == "complex64" else values, dtype)


def _factors(rng: np.random.Generator, dtype: str, size: int) -> Array:
    signed = dtype not in ("bool", "bool_") and not dtype.startswith("uint")
    values: Any = rng.choice([-1.0, 1.0] if signed else [1.0], size)
    where = rng.choice(size, min(POWERS, size), replace=False)
    values[where] *= rng.choice([2.0, 0.5], where.size) if dtype in (*FLOATS, "complex64") else 2
    return encode(values * rng.choice([1, 1j], size) if dtype == "complex64" else values, dtype)


def _exponents(rng: np.random.Generator, dtype: str, size: int, kind: str) -> Array:
    """Exactly: -inf, which adds nothing, and a few numbers so far apart that of two only the larger one counts.
    Rounded: ordinary numbers; complex ones have so small an angle that no sum of theirs turns around."""
    if kind == ROUNDED:
        values: Any = ordinary(rng, size, "float32")
        return encode(values + 0.1j * ordinary(rng, size, "float32") if dtype == "complex64" else values, dtype)
    far = np.delete(np.arange(-16, 17), 16) * 32.0  # none is 0, to which the least would add
    values = np.full(size, -np.inf)
    where = rng.choice(size, min(far.size, size), replace=False)
    values[where] = rng.permutation(far)[: where.size]
    out = encode(values, dtype)
    return _with_special(rng, out, dtype) if kind == SPECIAL else out


def _with_special(rng: np.random.Generator, values: Array, dtype: str) -> Array:
    """An infinity in the first half, another and a NaN in the second."""
    out = values.copy()
    half = max(out.size // 2, 1)
    for value, place in ((np.inf, rng.integers(half)), (-np.inf, half + rng.integers(half) - 1), (np.nan, -1)):
        out[place] = encode(np.array([value]), dtype)[0]
    return out


def _with_half_nan(rng: np.random.Generator, size: int) -> Array:
    """Complex numbers, early ones of which have a NaN as their real part, and late ones as their imaginary part: few,
    so that some results are made of one kind alone, which decides whether the other part of them is right."""
    out = ordinary(rng, size, "complex64")
    third = max(size // 3, 1)
    out.real[rng.integers(third, size=2)] = np.nan
    out.imag[size - third + rng.integers(third, size=2)] = np.nan
    return out


def _truths(rng: np.random.Generator, dtype: str, size: int, mostly: bool) -> Array:
    """Mostly zeros or mostly others, of which some have nothing but high bits."""
    rare = rng.random(size) < 0.002
    if dtype == "bool_":
        return np.where(rare, not mostly, mostly)
    kind = np.iinfo(NUMPY[dtype])
    others = rng.choice(np.array([1, -1, kind.min, kind.max, 1 << (kind.bits - 2)], NUMPY[dtype]), size)
    return np.where(rare != mostly, others, np.zeros(1, others.dtype))


def reduced(op: str, stored: Array, dtype: str, out: str, axes: tuple[int, ...]) -> Array:
    """MLX's reduction of what `dtype` holds, over `axes`, as numbers of the dtype `out`."""
    import mlx.core as mx

    names = {"sum": mx.sum, "prod": mx.prod, "min": mx.min, "max": mx.max, "and": mx.all, "or": mx.any}
    found = names[op](to_mlx(flushed(stored, dtype), dtype), axis=axes)
    if out == "bfloat16":
        return decode(np.array(found.view(mx.uint16)), out)
    return decode(np.array(found).astype(NUMPY[out]), out)


def identity(op: str, dtype: str) -> bool | int | float | complex:
    """What a reduction of nothing gives: the largest value of the dtype for `min`, the smallest for `max`."""
    if op in ("and", "or", "sum", "prod"):
        return {"and": True, "or": False, "sum": 0, "prod": 1}[op]
    if dtype == "bool_":
        return op == "min"
    if np.issubdtype(NUMPY[dtype], np.integer) and dtype != "bfloat16":
        kind = np.iinfo(NUMPY[dtype])
        return int(kind.max if op == "min" else kind.min)
    infinity = np.inf if op == "min" else -np.inf
    return complex(infinity, infinity) if dtype == "complex64" else infinity


@dataclass(frozen=True)
class Block:
    """An operand of reductions: dimensions that are kept and dimensions that are reduced take turns in memory, and each
    element of theirs is `tail` numbers in a row, with a gap of `gap` behind them."""

    kept: tuple[int, ...]
    reduced: tuple[int, ...]
    tail: int
    gap: int = 0

    @property
    def elements(self) -> int:
        return int(np.prod(self.kept + self.reduced)) * (self.tail + self.gap)

    @property
    def strides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The strides of the kept and of the reduced dimensions."""
        kept, others = [0] * len(self.kept), [0] * len(self.reduced)
        step = self.tail + self.gap
        order = list(zip_longest(range(len(self.reduced)), range(len(self.kept))))
        for red, keep in reversed(order):
            if keep is not None:
                kept[keep], step = step, step * self.kept[keep]
            if red is not None:
                others[red], step = step, step * self.reduced[red]
        return tuple(kept), tuple(others)

    def rows(self, memory: Array) -> Array:
        """The operand, (kept, reduced, tail)."""
        places = np.zeros(1, np.int64)
        for lengths, strides in zip((self.kept, self.reduced), self.strides, strict=True):
            for length, stride in zip(lengths, strides, strict=True):
                places = (places[:, None] + np.arange(length) * stride).ravel()
        counts = int(np.prod(self.kept)), int(np.prod(self.reduced)), 1
        return np.asarray(memory[places.reshape(counts) + np.arange(self.tail)])
