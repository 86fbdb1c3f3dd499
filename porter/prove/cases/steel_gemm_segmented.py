# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of one product for each segment of K: C[s] = A[:, begin:end] B[begin:end].

A segment is shorter than the tile's step along K, as long, longer, or empty (then the result is 0). They overlap and
leave gaps where their ends are given side by side; else each begins where the last one ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.matrices import chosen, gemm_params, grid, group, product, stack, tiles
from porter.prove.cases.steel_gemm_fused import sizes
from porter.prove.cases.values import Array, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """A launch for each chosen combination of constants; NaN and infinity in one of a thorough request."""
    rng = request.rng()
    for i, constants in enumerate(chosen(request)):
        yield _launch(request, rng, constants, i, request.thorough and i == 1)


def _launch(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    dtype, axes = str(request.axes["dtype"]), request.axes
    _, _, bk = tiles(request)
    m, n, _ = sizes(request, constants, number)
    k = 2 * bk + 7
    if constants["segments_contiguous"]:
        ends = [(0, k), (bk - 3, 2 * bk - 3), (5, 5)]
        segments = np.array(ends, np.uint32)
    else:
        ends = [(1, bk + 4), (bk + 4, bk + 4), (bk + 4, k)]
        segments = np.array([1, bk + 4, bk + 4, k], np.uint32)
    padding = 2 * (number % 2)
    a = stack(rng, (), m, k, dtype, transposed=bool(axes["transpose_a"]), padding=padding, special=special)
    b = stack(rng, (), k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding)
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
        threads=grid(request, m, n, len(ends)),
        group=group(request),
        outputs=(Output(3, dtype),),
        constants=constants,
        notes={"wanted": wanted, "operands": (a.values, b.values, ends)},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 3, wanted, mlx_arrays.segmented(*launch.notes["operands"]))
    return {3: wanted}
