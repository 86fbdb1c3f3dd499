# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of reductions over all of an array, over rows and over columns.

`row_reduce_*` take the last axis and any number of others; `col_reduce_*` keep the last axes, `columns` numbers in a
row, and reduce the rows before them and any number of other axes. What is reduced in several passes (`all_reduce` of
much, `col_reduce_longcolumn`, `col_reduce_2pass`) leaves as many results as there are threadgroups to a result; such a
launch is one pass, with fewer of them than the host takes, to be quick. `row_reduce_simple` does the rows that the last
threadgroup lacks twice, with the same results (docs/sanitizer.md).

In MLX v0.30.1 (v0.32.1 still) threads of `col_reduce_small` beyond the last column return before a barrier that the
others wait at (reduction/reduce_col.h, lines 31 and 67), where the columns fill more than one threadgroup and not the
last. Metal leaves that open; here those that have ended do not count (docs/metal.md). The host asks for it, so 150
columns are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, only, scalar, shape, vector
from porter.prove.cases.reductions import EXACT, Block, has_reference, identity, kinds, operand, reduced
from porter.prove.cases.values import Array, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = "MLX's arrays (CPU)"
READS = 4  # numbers that a thread takes at once
GROUP = 256  # threads of col_reduce_looped and col_reduce_2pass
TILE = 32  # columns, and rows, that one such threadgroup takes at once

Grid = tuple[tuple[int, int, int], tuple[int, int, int]]
Lengths = tuple[int, ...]
Make = Callable[[Request, np.random.Generator, str], Iterator[Launch]]


def launches(request: Request) -> Iterator[Launch]:
    """`thorough`: other sizes, numbers of dimensions and ways through the kernel; NaN, infinities and rounding."""
    only(request, _MAKERS)
    rng = request.rng()
    make = _MAKERS[request.row.template]
    for kind in kinds(str(request.axes.get("dtype", "int32"))) if request.thorough else (EXACT,):
        yield from make(request, rng, kind)


def _init(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    if kind == EXACT:
        out = str(request.axes["out"])
        yield Launch("37 results", {0: empty(37, out)}, (37, 1, 1), (32, 1, 1), (Output(0, out),))


def _all(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    """Each threadgroup takes one of several equal parts; the last may be short, or even lie behind the end."""
    cases = [(1037, 400, 64)]
    if request.thorough and kind == EXACT:
        cases += [(1, 1, 32), (100, 100, 32), (1027, 35, 32), (4096, 4096, MAX_THREADS)]
    for size, part, group in cases:
        count = 32 if part == 35 else math.ceil(size / part)
        memory = operand(rng, *_types(request), size, kind)
        parts = [memory[i * part : (i + 1) * part] for i in range(count)]
        yield _launch(
            request,
            f"{size} numbers in {count} parts of {part}, {group} threads each, {kind}",
            {0: memory, 2: scalar(size, "uint64"), 3: scalar(part, "uint64")},
            ((group, count, 1), (group, 1, 1)),
            count,
            [part[None] for part in parts] if has_reference(*_types(request), kind) else None,
        )


def _row_simple(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    cases = [(34, 129, 32)]
    if request.thorough and kind == EXACT:
        cases += [(4, 65, 32), (6, 601, 128), (5, 1100, 288)]
    for rows, size, group in cases:
        memory = operand(rng, *_types(request), rows * size, kind)
        yield _launch(
            request,
            f"{rows} rows of {size}, {group} threads, {kind}",
            {0: memory, 2: scalar(size, "uint64"), 3: scalar(rows, "int64")},
            ((group, math.ceil(rows / READS), 1), (group, 1, 1)),
            rows,
            [memory.reshape(rows, size)] if has_reference(*_types(request), kind) else None,
        )


def _row_small(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    """A thread a result where few rows are reduced, or where they are very short; else a simdgroup a result."""
    few: dict[int, Lengths] = {1: (6,), 2: (2, 3), 5: (2, 1, 3)}
    many: dict[int, Lengths] = {1: (40,), 2: (5, 8), 5: (2, 4, 5)}
    more: dict[int, list[tuple[Lengths, int]]] = {
        1: [((), 33), ((31,), 7)],
        2: [((4, 7), 8)],
        5: [((2, 2, 2, 1), 64), ((2, 3, 2, 3, 2), 5)],
    }
    dim = int(request.axes["dim"])
    cases = [(few[dim], 13), (many[dim], 13)] + (more[dim] if request.thorough and kind == EXACT else [])
    for others, size in cases:
        block = Block((3, 2), others, size, gap=3)
        alone = math.prod(others) <= 8 or (math.prod(others) < 32 and size <= 8)
        results = math.prod(block.kept)
        grid = ((results, 1, 1), (results, 1, 1)) if alone else ((32, 3, 2), (32, 1, 1))
        yield _rows(request, rng, block, grid, kind)


def _row_looped(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    others: Lengths = {1: (4,), 2: (2, 2), 5: (2, 1, 3)}[int(request.axes["dim"])]
    cases: list[tuple[Lengths, Lengths, int, int]] = [((3,), others, 601, 128)]
    if request.thorough and kind == EXACT:
        cases += [((2, 3), others, 133, 32), ((), others, 1100, 288)]
        cases += [((2,), (), 129, 32)] if len(others) == 1 else [((2, 1, 2), (2,) * len(others), 65, 32)]
    for kept, reds, size, group in cases:
        block = Block(kept, reds, size, gap=1)
        yield _rows(request, rng, block, ((group, math.prod(kept), 1), (group, 1, 1)), kind)


def _rows(request: Request, rng: np.random.Generator, block: Block, grid: Grid, kind: str) -> Launch:
    memory = operand(rng, *_types(request), block.elements, kind)
    count = math.prod(block.reduced)
    return _launch(
        request,
        f"rows of {block.tail}, reduced with {block.reduced}, for each of {block.kept}, {grid[1][0]} threads, {kind}",
        {0: memory, 2: scalar(block.tail, "int64"), 3: scalar(count, "int64"), **_dimensions(block, (), ())},
        grid,
        math.prod(block.kept),
        [block.rows(memory).reshape(math.prod(block.kept), -1)] if has_reference(*_types(request), kind) else None,
    )


def _columns(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    """All four kernels: (rows, columns, kept, passes) of each case, `passes` threadgroups to a result."""
    others: Lengths = {1: (), 2: (3,), 5: (2, 1, 3)}[int(request.axes["dim"])]
    more = request.thorough and kind == EXACT
    some = math.ceil(70 / math.prod(others))  # with `others`, more rows than the threads of two passes take at once
    kernel = request.row.template
    if kernel == "col_reduce_small":
        for rows, columns, kept in [(5, 37, (2, 2))] + ([(1, 1, ()), (4, 150, (3,)), (2, 128, (2,))] if more else []):
            blocks = math.ceil(columns / READS)
            group = min(blocks, 32), min(8, rows * math.prod(others)), 1
            grid = (math.ceil(blocks / group[0]) * group[0], math.prod(kept) * group[1], 1), group
            yield _column(request, rng, Block(kept, others, rows * columns, 5), (rows, columns), grid, 1, kind)
    elif kernel == "col_reduce_longcolumn":
        for rows, columns, kept, passes, height in [(some, 5, (2, 3), 4, 8)] + (
            [(1030, 3, (), 32, 32)] if more else []
        ):
            grid = (math.prod(kept) * columns, height, passes), (columns, height, 1)
            block = Block(kept, others, rows * columns, 5)
            yield _column(request, rng, block, (rows, columns), grid, passes, kind)
    else:
        two = kernel == "col_reduce_2pass"
        cases: list[tuple[int, int, Lengths, int]] = [(some, 37, (2,), 2 if two else 1)]
        if more:
            cases += [(1100, 5, (), 2), (7, 32, (2, 2), 2)] if two else [(33, 64, (2, 3), 1), (1, 3, (), 1)]
        for rows, columns, kept, passes in cases:
            grid = (GROUP * math.ceil(columns / TILE), math.prod(kept) * passes, 1), (GROUP, 1, 1)
            block = Block(kept, others, rows * columns, 5)
            yield _column(request, rng, block, (rows, columns), grid, passes, kind)


def _column(
    request: Request,
    rng: np.random.Generator,
    block: Block,
    tail: tuple[int, int],
    grid: Grid,
    passes: int,
    kind: str,
) -> Launch:
    rows, columns = tail
    kept, others = math.prod(block.kept), math.prod(block.reduced)
    memory = operand(rng, *_types(request), block.elements, kind)
    buffers: dict[int, Array | bytes] = {
        0: memory,
        2: scalar(rows, "uint64"),
        3: scalar(columns, "int64"),
        10: scalar(others, "uint64"),
    }
    buffers |= _dimensions(block, (rows,), (columns,))
    long = request.row.template == "col_reduce_longcolumn"
    if long or request.row.template == "col_reduce_2pass":
        buffers[11] = scalar(kept * columns if long else kept, "uint64")
    parts: list[Array] | None = None
    if has_reference(*_types(request), kind):
        table = block.rows(memory).reshape(kept, others * rows, columns)
        height, every = (grid[1][1], passes) if long else (TILE, TILE)
        numbers = np.arange(others * rows) // height % every
        parts = [table[:, numbers == i] if passes > 1 else table for i in range(passes)]
        parts = [part.transpose(0, 2, 1).reshape(kept * columns, -1) for part in parts]
    return _launch(
        request,
        f"{rows} rows of {columns}, reduced with {block.reduced}, for each of {block.kept}, in {passes} passes, {kind}",
        buffers,
        grid,
        passes * kept * columns,
        parts,
    )


def _dimensions(block: Block, lengths: tuple[int, ...], strides: tuple[int, ...]) -> dict[int, bytes]:
    """The arguments for the kept dimensions, and for the reduced ones with `lengths` behind them."""
    kept, others = block.strides
    reds = block.reduced + lengths
    return {
        4: shape(block.kept), 5: vector(kept), 6: scalar(len(block.kept)),
        7: shape(reds), 8: vector(others + strides), 9: scalar(len(reds)),
    }  # fmt: skip


def _types(request: Request) -> tuple[str, str]:
    return str(request.axes["op"]), str(request.axes["dtype"])


def _launch(
    request: Request, what: str, buffers: Mapping[int, Array | bytes], grid: Grid, results: int, parts: object
) -> Launch:
    """`parts`: what is reduced to each result, in their order, as a list of tables with a row a result."""
    out = str(request.axes["out"])
    return Launch(
        what=what,
        buffers={**buffers, 1: empty(results, out)},
        threads=grid[0],
        group=grid[1],
        outputs=(Output(1, out),),
        notes={"parts": parts},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """MLX's reduction of what each result is made of; where the order of rounding matters, nothing."""
    out = str(request.axes["out"])
    if request.row.template == "init_reduce":
        return {
            0: np.full(
                len(launch.buffers[0]) if isinstance(launch.buffers[0], np.ndarray) else 0,
                identity(str(request.axes["op"]), out),
            )
        }
    if launch.notes["parts"] is None:
        return None
    op, dtype = _types(request)
    results = [_reduced(op, part, dtype, out) for part in launch.notes["parts"]]
    return {1: np.concatenate(results)}


def _reduced(op: str, table: Array, dtype: str, out: str) -> Array:
    if table.shape[1] == 0:  # a part behind the end
        return np.full(table.shape[0], identity(op, out))
    return reduced(op, table, dtype, out, (1,))


_MAKERS: Mapping[str, Make] = {
    "init_reduce": _init,
    "all_reduce": _all,
    "row_reduce_simple": _row_simple,
    "row_reduce_small": _row_small,
    "row_reduce_looped": _row_looped,
    "col_reduce_small": _columns,
    "col_reduce_longcolumn": _columns,
    "col_reduce_looped": _columns,
    "col_reduce_2pass": _columns,
}
