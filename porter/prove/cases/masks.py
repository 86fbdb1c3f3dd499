# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Masks of blocks, for products that leave blocks of their operands or of their result out, or scale them.

A mask is of bools, of factors (numbers of the operands' type that blocks are multiplied by), or absent. Factors are 0
or powers of two of size at most 1, so that scaling rounds nothing. Where an operand's mask is 0 its block holds NaN: a
kernel that reads it all the same shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from porter.prove.cases.matrices import number
from porter.prove.cases.values import Array, encode

BOOLS, FACTORS, NONE = "bools", "factors", "none"
_FACTORS = (0.0, 1.0, -1.0, 0.5, -0.25)


@dataclass(frozen=True)
class Mask:
    """`stored` is what the kernel reads; `factors` (float64, batch x rows x columns of blocks) what it means.

    `strides` are those of rows and columns, in elements, and `batch_strides` those of the batch dimensions (0 where a
    batch dimension of one is repeated). An absent mask is one element that nothing reads, and means 1 everywhere.
    """

    stored: Array
    factors: Array
    strides: tuple[int, int]
    batch_strides: tuple[int, ...]


def mask(
    rng: np.random.Generator,
    kind: str,
    batch: tuple[int, ...],
    rows: int,
    columns: int,
    dtype: str,
    *,
    by_columns: bool = False,
) -> Mask:
    """A random mask of rows x columns blocks. `by_columns`: stored column by column. The first of all is 1, so that
    the first block of a product takes part."""
    if kind == NONE:
        return Mask(np.zeros(1, np.uint8), np.ones((*batch, rows, columns)), (0, 0), (0,) * len(batch))
    factors = rng.choice([0.0, 1.0] if kind == BOOLS else _FACTORS, (*batch, rows, columns))
    factors.reshape(-1)[0] = 1.0
    stored = np.ascontiguousarray(np.swapaxes(factors, -1, -2) if by_columns else factors)
    strides = (1, rows) if by_columns else (columns, 1)
    batch_strides = tuple(
        0 if size == 1 else math.prod(batch[i + 1 :]) * rows * columns for i, size in enumerate(batch)
    )
    return Mask(encode(stored, "bool" if kind == BOOLS else dtype), factors, strides, batch_strides)


def spread(factors: Array, block: tuple[int, int], rows: int, columns: int) -> Array:
    """The factor of every element of a rows x columns matrix that blocks of this size cover; the last ones are cut."""
    every = np.repeat(np.repeat(factors, block[0], axis=-2), block[1], axis=-1)
    return every[..., :rows, :columns]


def poisoned(numbers: Array, factors: Array, dtype: str) -> Array:
    """`numbers` (as `dtype` holds them) with NaN where the factor is 0 in every batch that uses them."""
    return np.where(factors == 0, number(np.nan, dtype), numbers)


def unmasked(values: Array) -> Array:
    """`values` with 0.5 where `poisoned` put NaN, for a witness that multiplies what it masks."""
    return np.where(np.isnan(values), 0.5, values)


def masked(values: Array, factors: Array) -> Array:
    """values * factors, and 0 where the factor is 0, whatever stands there."""
    return np.where(factors == 0, 0.0, np.where(factors == 0, 0.0, values) * factors)
