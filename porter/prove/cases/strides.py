# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Where the elements of a strided array lie, and the grids of elementwise kernels.

Strides count elements. A negative stride needs a buffer that begins in the middle of an array. A launch binds whole
buffers, so only kernels that take an offset of their own (`copy_gg_dynamic*`) get negative strides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from porter.prove.launch import Array

Three = tuple[int, int, int]

MAX_THREADS = 1024  # of one threadgroup: the largest that any Apple GPU allows (Metal feature set tables)


@dataclass(frozen=True)
class Layout:
    """An array of `shape` whose element (i, j, ...) lies at offset + i * strides[0] + j * strides[1] + ..."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    name: str
    offset: int = 0

    @property
    def elements(self) -> int:
        """How many elements the buffer must hold."""
        return int(self.places().max()) + 1

    def places(self) -> Array:
        """The place of every element in the buffer, in the shape of the array."""
        out = np.full(self.shape, self.offset, np.int64)
        for axis, (length, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            steps = np.arange(length, dtype=np.int64) * stride
            out += steps.reshape([-1 if one == axis else 1 for one in range(len(self.shape))])
        return out


def contiguous(shape: Sequence[int]) -> Layout:
    """Rows one after another."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return Layout(tuple(shape), tuple(strides), "contiguous")


def transposed(shape: Sequence[int]) -> Layout:
    """The first axis runs fastest, with a gap of one element behind each run of it."""
    strides, step = [], 1
    for number, length in enumerate(shape):
        strides.append(step)
        step *= length + (number == 0)
    return Layout(tuple(shape), tuple(strides), "transposed with a gap")


def stepped(shape: Sequence[int]) -> Layout:
    """Every second element of a contiguous array."""
    return Layout(tuple(shape), tuple(2 * stride for stride in contiguous(shape).strides), "every second element")


def broadcast(shape: Sequence[int], axis: int) -> Layout:
    """Stride 0 along `axis`, contiguous along the others."""
    kept = contiguous([1 if one == axis % len(shape) else length for one, length in enumerate(shape)])
    strides = [0 if one == axis % len(shape) else stride for one, stride in enumerate(kept.strides)]
    return Layout(tuple(shape), tuple(strides), f"broadcast along axis {axis % len(shape)}")


def reversed_last(shape: Sequence[int]) -> Layout:
    """Contiguous, but the last axis runs backwards (stride -1)."""
    plain = contiguous(shape)
    return Layout(plain.shape, (*plain.strides[:-1], -1), "last axis backwards", shape[-1] - 1)


def ceiling(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def line(threads: int) -> tuple[Three, Three]:
    """Grid and threadgroup of so many threads in a row."""
    return (threads, 1, 1), (min(threads, MAX_THREADS), 1, 1)


def plane(size: int, each: int) -> tuple[Three, Three]:
    """A grid of three rows of threads, of which each does `each` elements, for `size` elements in all.

    Kernels that do one element a thread do not look at the size: for them it must be a multiple of three.
    """
    columns = ceiling(ceiling(size, each), 3)
    return (columns, 3, 1), (min(columns, MAX_THREADS), 1, 1)


def box(shape: Sequence[int], each: int = 1) -> tuple[Three, Three]:
    """The grid for an array: (last axis / `each`, the one before it, all others), and threadgroups of powers of two."""
    width = ceiling(shape[-1], each)
    height = shape[-2] if len(shape) > 1 else 1
    grid = (width, height, math.prod(shape[:-2]))
    group, room = [], MAX_THREADS
    for length in grid:
        group.append(min(1 << (length.bit_length() - 1), room))
        room //= group[-1]
    return grid, (group[0], group[1], group[2])
