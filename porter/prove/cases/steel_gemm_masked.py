# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the GEMM with masks of blocks: D = out (A lhs) (B rhs), where each mask has an element for a square block
of bm rows and columns.

A block of A takes part where both its own mask and that of the block of B are not 0; else neither is read. K is longer
than one block, and the second one is not whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import shape, vector
from porter.prove.cases.masks import Mask, mask, masked, poisoned, spread, unmasked
from porter.prove.cases.matrices import gemm_params, grid, group, laid_out, tiles, uniform
from porter.prove.cases.values import Array, decode, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """One batch dimension; `thorough`: two of which the operands repeat one each, masks by columns and tiles swizzled;
    and one block."""
    rng = request.rng()
    yield _launch(request, rng, (2,), (1,), (2,))
    if request.thorough:
        yield _launch(request, rng, (2, 2), (2, 1), (1, 2), by_columns=True)
        yield _launch(request, rng, (1,), (1,), (1,), small=True)


def _launch(
    request: Request,
    rng: np.random.Generator,
    batch: tuple[int, ...],
    of_a: tuple[int, ...],
    of_b: tuple[int, ...],
    by_columns: bool = False,
    small: bool = False,
) -> Launch:
    dtype, axes = str(request.axes["dtype"]), request.axes
    bm, _, bk = tiles(request)
    m, n = (bm, bm) if axes["mn_aligned"] else (bm - 3, bm - 5) if small else (bm + 5, bm - 7)
    k = (bk if small else bm + bk) + (0 if axes["k_aligned"] else 5)
    blocks = [-(-size // bm) for size in (m, n, k)]
    kinds = str(axes["out_mask"]), str(axes["op_mask"])
    out = mask(rng, kinds[0], batch, blocks[0], blocks[1], dtype, by_columns=by_columns)
    lhs = mask(rng, kinds[1], of_a, blocks[0], blocks[2], dtype, by_columns=by_columns)
    rhs = mask(rng, kinds[1], of_b, blocks[2], blocks[1], dtype, by_columns=by_columns)
    factors = [spread(one.factors, (bm, bm), *size) for one, size in ((out, (m, n)), (lhs, (m, k)), (rhs, (k, n)))]
    numbers_a = poisoned(uniform(rng, (*of_a, m, k), dtype), factors[1], dtype)
    numbers_b = poisoned(uniform(rng, (*of_b, k, n), dtype), factors[2], dtype)
    a = laid_out(numbers_a, dtype, transposed=bool(axes["transpose_a"]))
    b = laid_out(numbers_b, dtype, transposed=bool(axes["transpose_b"]))
    exact = masked(decode(numbers_a, dtype), factors[1]) @ masked(decode(numbers_b, dtype), factors[2])
    kinds3 = (kinds[0], kinds[1], kinds[1])
    present = [one for one, kind in zip((out, lhs, rhs), kinds3, strict=True) if kind != "none"]
    buffers: dict[int, Array | bytes] = {
        0: a.stored,
        1: b.stored,
        3: empty((*batch, m, n), dtype),
        4: gemm_params(
            request,
            M=m,
            N=n,
            K=k,
            lda=a.leading,
            ldb=b.leading,
            batch_stride_a=a.strides[-1],
            batch_stride_b=b.strides[-1],
            batch_ndim=len(batch),
            swizzle_log=int(by_columns),
        ),
        6: shape(batch),
        7: vector([stride for one in (a, b) for stride in one.strides] + _batch_strides(present)),
        10: out.stored,
        11: lhs.stored,
        12: rhs.stored,
        13: vector([stride for one in present for stride in one.strides[::-1]], "int32"),
    }
    return Launch(
        what=f"{m} x {n} x {k}, batch {'x'.join(map(str, batch))}{', masks by columns' if by_columns else ''}",
        buffers=buffers,
        threads=grid(request, m, n, int(np.prod(batch)), int(by_columns)),
        group=group(request),
        outputs=(Output(3, dtype),),
        notes={
            "wanted": masked(exact, factors[0]),
            "operands": (unmasked(decode(numbers_a, dtype)), unmasked(decode(numbers_b, dtype)), bm),
            "masks": [
                one.factors if kind != "none" else None for one, kind in zip((out, lhs, rhs), kinds3, strict=True)
            ],
        },
    )


def _batch_strides(masks: list[Mask]) -> list[int]:
    return [stride for one in masks for stride in one.batch_strides]


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The masked product in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        theirs = mlx_arrays.masked(*launch.notes["operands"], *launch.notes["masks"])
        mlx_arrays.confirm(request, launch, 3, wanted, theirs)
    return {3: wanted}
