# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of matrix times vector with masks of blocks, rows of the matrix side by side (`gemv_masked`) or columns
(`gemv_t_masked`).

A mask has an element for a block of bn sn tn (`gemv_t_masked`: bm sm tm) numbers, along K and along the results. A
block takes part where the matrix's mask and the vector's are not 0.

A thread whose tm (tn) results would reach past the last one moves back to end with it, into results of another thread.
Where these lie in another block, both threads write them, each under the mask of one block, and which one is last is
open: of 33 results in blocks of 32 with masks 1 and 0, Apple's compiled `gemv_masked` left 0 in results 29 to 31 when
it ran here. That is upstream's to mend; the cases keep such threads within one block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import scalar, shape, vector
from porter.prove.cases.gemv import Blocks
from porter.prove.cases.masks import mask, masked, poisoned, spread, unmasked
from porter.prove.cases.matrices import laid_out, uniform
from porter.prove.cases.values import Array, decode, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """Results of one block and a part, and a K of two blocks and a part; `thorough`: whole blocks, and one part."""
    blocks = Blocks.of(request)
    rng = request.rng()
    yield _launch(request, rng, blocks, blocks.step + blocks.thread + 1, 2 * blocks.step + 7)
    if request.thorough:
        yield _launch(request, rng, blocks, 2 * blocks.step, 2 * blocks.step, padding=3)
        yield _launch(request, rng, blocks, blocks.thread, 5)
        yield _launch(request, rng, blocks, 3 * blocks.step, 1)


def _launch(
    request: Request, rng: np.random.Generator, blocks: Blocks, results: int, inner: int, padding: int = 0
) -> Launch:
    dtype, axes, block = str(request.axes["dtype"]), request.axes, blocks.step
    batch, of_mat, of_vec = ((2, 2), (2, 1), (1, 2)) if axes["nc"] else ((2,), (1,), (2,))
    kinds = str(axes["out_mask"]), str(axes["op_mask"])
    rows, columns = -(-results // block), -(-inner // block)
    out = mask(rng, kinds[0], batch, rows, 1, dtype)
    mat = mask(rng, kinds[1], of_mat, rows, columns, dtype, by_columns=blocks.transposed)
    vec = mask(rng, kinds[1], of_vec, columns, 1, dtype)
    numbers = uniform(rng, (*of_mat, results, inner), dtype)
    factors = spread(mat.factors, (block, block), results, inner)
    factors_vec = spread(vec.factors, (block, 1), inner, 1)
    numbers = poisoned(numbers, factors, dtype)
    operand = poisoned(uniform(rng, (*of_vec, inner, 1), dtype), factors_vec, dtype)
    matrix = laid_out(numbers, dtype, transposed=blocks.transposed, padding=padding)
    x = laid_out(operand, dtype, transposed=True)
    exact = (masked(decode(numbers, dtype), factors) @ masked(decode(operand, dtype), factors_vec))[..., 0]
    strides = {"out": (1, 1), "mat": mat.strides, "vec": (1, 1)}
    # for a mask its strides along columns, then along rows, of the matrix as it is stored
    present = [(out, strides["out"])] if kinds[0] != "none" else []
    if kinds[1] != "none":
        along = mat.strides if blocks.transposed else mat.strides[::-1]
        present += [(mat, along), (vec, strides["vec"])]
    count = int(np.prod(batch))
    buffers: dict[int, Array | bytes] = {
        0: matrix.stored,
        1: x.stored,
        3: empty((*batch, results), dtype),
        4: scalar(inner),
        5: scalar(results),
        6: scalar(matrix.leading),
        9: scalar(len(batch)),
        10: shape(batch),
        11: vector(x.strides),
        12: vector(matrix.strides),
        20: out.stored,
        21: mat.stored,
        22: vec.stored,
        23: vector([stride for _, two in present for stride in two], "int32"),
        24: vector([stride for one, _ in present for stride in one.batch_strides]),
    }
    bm, bn = int(axes["bm"]), int(axes["bn"])
    wanted = masked(exact, spread(out.factors, (block, 1), results, 1)[..., 0])
    return Launch(
        what=f"{results} x {inner} in blocks of {block}, batch {'x'.join(map(str, batch))}",
        buffers=buffers,
        threads=(32 * -(-results // blocks.results), bn, bm * count),
        group=(32, bn, bm),
        outputs=(Output(3, dtype),),
        notes={
            "wanted": wanted,
            "operands": (unmasked(decode(numbers, dtype)), unmasked(decode(operand, dtype)), block),
            "masks": (
                out.factors if kinds[0] != "none" else None,
                *((mat.factors, vec.factors) if kinds[1] != "none" else (None, None)),
            ),
        },
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The masked product in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        theirs = mlx_arrays.masked(*launch.notes["operands"], *launch.notes["masks"])
        mlx_arrays.confirm(request, launch, 3, wanted, theirs)
    return {3: wanted}
