# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of one product for each segment of K, C[s] = A[:, begin:end] B[begin:end], on simdgroup matrices and on the
GPU's matrix units (NAX).

A segment is shorter than the tile's step along K, as long, longer, or empty (then the result is 0). They overlap and
leave gaps where their ends are given side by side; else each begins where the last one ended.

NAX's steps along K are up to 256 long; there the numbers are multiples of 1/8, whose sums float32 holds exactly. Where
its step is 64, the grid has the segments along x.

What `align_M` and `align_N` say is true of the tile in the kernel's name. Upstream's host (v0.32.1, matmul.cpp, lines
2912-2942) computes both from the tile that it would take without NAX, and takes NAX's of 64 x 64 afterwards: where the
former is of 32 columns, an N of 32 is called aligned, and the kernel writes past its rows. No case does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
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
    """A launch for each chosen combination of constants; NaN and infinity in one of a thorough request.

    A thorough one of NAX has another with two tiles side by side: elsewhere there is one.
    """
    rng = request.rng()
    for i, constants in enumerate(chosen(request)):
        yield _launch(request, rng, constants, i, request.thorough and i == 1)
    _, bn, bk = tiles(request)
    if request.thorough and bk > LONG:
        several = {"segments_contiguous": True, "align_M": False, "align_N": False}
        yield _launch(request, rng, several, 0, special=False, size=(37, bn + 9))


def _launch(
    request: Request,
    rng: np.random.Generator,
    constants: Mapping[str, Value],
    number: int,
    special: bool,
    size: tuple[int, int] | None = None,
) -> Launch:
    """`size`: M and N, where they do not follow from the constants."""
    dtype, axes = str(request.axes["dtype"]), request.axes
    _, _, bk = tiles(request)
    m, n = size or sizes(request, constants, number)[:2]
    k = 2 * bk + 7
    if constants["segments_contiguous"]:
        ends = [(0, k), (bk - 3, 2 * bk - 3), (5, 5)]
        segments = np.array(ends, np.uint32)
    else:
        ends = [(1, bk + 4), (bk + 4, bk + 4), (bk + 4, k)]
        segments = np.array([1, bk + 4, bk + 4, k], np.uint32)
    padding = 2 * (number % 2)
    numbers: Numbers = eighths if bk > LONG else uniform
    a = stack(
        rng, (), m, k, dtype, transposed=bool(axes["transpose_a"]), padding=padding, special=special, numbers=numbers
    )
    b = stack(rng, (), k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding, numbers=numbers)
    wanted = np.stack([product(a.values[:, begin:end], b.values[begin:end]) for begin, end in ends])
    buffers: dict[int, Array | bytes] = {
        0: a.stored,
        1: b.stored,
        2: segments,
        3: empty((len(ends), m, n), dtype),
        4: gemm_params(
            request,
            M=m,
            N=n,
            K=k,
            lda=a.leading,
            ldb=b.leading,
            gemm_k_iterations_aligned=0,
            batch_ndim=0,
        ),
    }
    true = ", ".join(name for name, value in constants.items() if value)
    return Launch(
        what=f"{m} x {n}, segments {ends}{', NaN and infinity' if special else ''}; true: {true or 'none'}",
        buffers=buffers,
        threads=_grid(request, m, n, len(ends)),
        group=group(request),
        outputs=(Output(3, dtype),),
        constants=constants,
        notes={"wanted": wanted, "operands": (a.values, b.values, ends)},
    )


def _grid(request: Request, m: int, n: int, segments: int) -> tuple[int, int, int]:
    """In threads: a threadgroup for each tile of the results."""
    bm, bn, bk = tiles(request)
    if bk != 64:
        return grid(request, m, n, segments)
    wide, high, deep = group(request)
    return segments * wide, -(-n // bn) * high, -(-m // bm) * deep


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 3, wanted, mlx_arrays.segmented(*launch.notes["operands"]))
    return {3: wanted}
