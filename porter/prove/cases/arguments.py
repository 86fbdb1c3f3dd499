# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Arguments that are no tensors, as the host copies them into a command, and sizes of threadgroups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from porter.errors import ProofError
from porter.prove.cases.values import NUMPY
from porter.prove.launch import Request

SIMDGROUP = 32
"""Threads of a simdgroup on every Apple GPU (Metal Feature Set Tables: SIMD-scoped operations)."""

MAX_THREADS = 1024
"""The most threads that a threadgroup may have (Metal Feature Set Tables), unless the kernel says less."""


def scalar(value: int | float, dtype: str = "int32") -> bytes:
    """One number."""
    return np.array([value], NUMPY[dtype]).tobytes()


def vector(values: Sequence[int], dtype: str = "int64") -> bytes:
    """A shape or strides. One zero stands for none, because Metal binds no empty bytes."""
    return np.array(list(values) or [0], NUMPY[dtype]).tobytes()


def shape(values: Sequence[int]) -> bytes:
    """A shape, which MLX holds in 32 bits."""
    return vector(values, "int32")


def whole_simdgroups(threads: int) -> int:
    """`threads`, rounded up to whole simdgroups."""
    return SIMDGROUP * math.ceil(threads / SIMDGROUP)


def row_strides(lengths: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a contiguous tensor of that shape."""
    return tuple(math.prod(lengths[i + 1 :]) for i in range(len(lengths)))


def blocks(threads: Sequence[int]) -> tuple[int, int, int]:
    """A threadgroup for a grid of `threads` (x, y, z): the largest powers of two in it, x first, MAX_THREADS in all."""
    left, out = MAX_THREADS, []
    for size in threads:
        out.append(min(1 << (size.bit_length() - 1), left))
        left //= out[-1]
    x, y, z = out
    return x, y, z


def only(request: Request, kernels: Iterable[str]) -> None:
    """Raises ProofError where the request is for a kernel that is none of `kernels`, which a generator knows."""
    known = list(kernels)
    if request.row.template not in known:
        raise ProofError(
            f"nobody makes launches of {request.row.template}",
            where=request.row.host_name,
            expected=", ".join(known),
            next_step=f"write some in porter/prove/cases/{request.family.cases}.py",
        )
