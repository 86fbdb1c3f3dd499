# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of products of matrices that indices pick.

`gather_mm` multiplies lhs[i] by rhs[j] for a tensor of pairs (i, j), of two dimensions where `has_batch`. The kernels
of `rhs` multiply row after row of one matrix by the matrix that its index picks; the indices are sorted, and runs of
them begin and end within tiles, fill one, and go on into the next.

What our sanitizer says of upstream's `rhs` kernels on these cases, where the bits agree all the same: without align_K a
second run within a tile writes threadgroup memory that other threads have read, with only a barrier without memory
flags between; and simdgroups of the NAX kernel, which each go through the runs of their own rows, meet a different
number of threadgroup barriers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import scalar, shape, vector
from porter.prove.cases.matrices import (
    Numbers,
    chosen,
    eighths,
    gemm_params,
    grid,
    group,
    product,
    stack,
    tiles,
    uniform,
)
from porter.prove.cases.steel_gemm_fused import LONG, sizes
from porter.prove.cases.values import Array, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """A launch for each chosen combination of constants; NaN and infinity in one of a thorough request."""
    rng = request.rng()
    make = _rows if "rhs" in request.row.template else _matrices
    for i, constants in enumerate(chosen(request)):
        yield make(request, rng, constants, i, request.thorough and i == 1)


def _matrices(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    dtype, axes = str(request.axes["dtype"]), request.axes
    m, n, k = sizes(request, constants, number)
    padding = 2 * (number % 2)
    a = stack(
        rng, (2, 2), m, k, dtype, transposed=bool(axes["transpose_a"]), padding=padding, special=special
    )  # the last one, which is picked
    b = stack(rng, (3,), k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding)
    if constants["has_batch"]:  # lhs: a row of three, each repeated; rhs: every second number of a buffer
        pairs, lhs, rhs = [2, 2], np.array([3, 1], np.uint32), np.array([2, 9, 0, 9, 1, 9, 2, 9], np.uint32)
        strides_lhs, strides_rhs = [1, 0], [4, 2]
        picked = np.array([3, 3, 1, 1]), np.array([2, 0, 1, 2])
    else:
        pairs, lhs, rhs = [2], np.array([3, 0], np.uint32), np.array([1, 9, 2], np.uint32)
        strides_lhs, strides_rhs = [1], [2]
        picked = np.array([3, 0]), np.array([1, 2])
    count = len(picked[0])
    stored_b = (n, b.leading) if axes["transpose_b"] else (k, b.leading)
    buffers: dict[int, Array | bytes] = {
        0: a.stored,
        1: b.stored,
        2: lhs,
        3: rhs,
        4: empty((count, m, n), dtype),
        5: gemm_params(
            request,
            M=m,
            N=n,
            K=k,
            lda=a.leading,
            ldb=b.leading,
            batch_stride_a=strides_lhs[0],
            batch_stride_b=strides_rhs[0],
            batch_ndim=len(pairs),
        ),
        6: shape(pairs),
        7: vector(strides_lhs),
        8: vector(strides_rhs),
        9: scalar(2),
        10: shape(a.values.shape),
        11: vector([*a.strides, 1, 1]),
        12: scalar(1),
        13: shape(b.values.shape),
        14: vector([stored_b[0] * stored_b[1], 1, 1]),
    }
    wanted = product(a.values.reshape(4, m, k)[picked[0]], b.values[picked[1]])
    return Launch(
        what=f"{m} x {n} x {k}, {count} pairs{', NaN and infinity' if special else ''}; {_true(constants)}",
        buffers=buffers,
        threads=grid(request, m, n, count),
        group=group(request),
        outputs=(Output(4, dtype),),
        constants=constants,
        notes={"wanted": {4: wanted}, "operands": (a.values, b.values, *picked)},
    )


def _rows(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    dtype, axes = str(request.axes["dtype"]), request.axes
    bm, _, bk = tiles(request)
    _, n, k = sizes(request, constants, number)
    m = 2 * bm if constants["align_M"] else 2 * bm + 5
    numbers: Numbers = eighths if bk > LONG else uniform
    a = stack(rng, (), m, k, dtype, special=special, numbers=numbers)
    b = stack(rng, (4,), k, n, dtype, transposed=bool(axes["transpose_b"]), numbers=numbers)
    # matrix 1 is picked by no row; the run of 2 ends the first tile, goes on and fills none
    first = 0 if number % 2 else bm - 3
    indices = np.concatenate([np.zeros(first), np.full(bm + 1 - first, 2), np.full(m - bm - 1, 3)]).astype(np.uint32)
    if number % 3 == 2:
        indices[:bm] = 0  # one matrix for a whole tile
    buffers: dict[int, Array | bytes] = {
        0: a.stored,
        1: b.stored,
        2: indices,
        3: empty((m, n), dtype),
        4: gemm_params(
            request,
            M=m,
            N=n,
            K=k,
            lda=a.leading,
            ldb=b.leading,
            batch_stride_b=k * n,
            batch_stride_d=0,
            batch_ndim=0,
        ),
    }
    wanted = product(a.values[:, None, :], b.values[indices])[:, 0]
    return Launch(
        what=f"{m} rows, N {n}, K {k}{', NaN and infinity' if special else ''}; {_true(constants)}",
        buffers=buffers,
        threads=grid(request, m, n, 1),
        group=group(request),
        outputs=(Output(3, dtype),),
        constants=constants,
        notes={"wanted": {3: wanted}, "operands": (a.values[:, None, :], b.values, np.arange(m), indices)},
    )


def _true(constants: Mapping[str, Value]) -> str:
    return "true: " + (", ".join(name for name, value in constants.items() if value) or "none")


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products in float64."""
    wanted: Mapping[int, Array] = launch.notes["wanted"]
    if request.thorough:
        for slot, numbers in wanted.items():
            theirs = mlx_arrays.gathered(*launch.notes["operands"])
            mlx_arrays.confirm(request, launch, slot, numbers, theirs)
    return wanted
