# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of sorts: a threadgroup sorts a row of at most `block` numbers, or one block of a longer row; then sorted
runs are merged pairwise, after a partition has found where each threadgroup's part of the merged run begins.

Sorts are stable, and NaN comes last. Rows have many equal numbers, so that the order among equal ones shows in the
indices. Denormal float32 and bfloat16 are zeros to a comparison (docs/metal.md), and so they are to the reference. The
last thread of a merge reads one number behind its array and does not use it (docs/sanitizer.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from porter.prove.cases.arguments import only, row_strides, scalar, shape, vector
from porter.prove.cases.reference import flushed
from porter.prove.cases.values import FLOATS, NUMPY, Array, awkward, decode, empty, encode, ordinary
from porter.prove.launch import Launch, Output, Request

WITNESS = "numpy, stable sort"
PADDING = 3
"""Numbers between two rows of an operand, which no kernel may take for its own."""


def launches(request: Request) -> Iterator[Launch]:
    """Rows that do not fill their blocks; `thorough`: full ones, short ones, other strides."""
    makers = {
        "block_sort": _blocks,
        "block_sort_nc": _scattered,
        "mb_block_sort": _many_blocks,
        "mb_block_partition": _partitions,
        "mb_block_merge": _merges,
    }
    only(request, makers)
    yield from makers[request.row.template](request, request.rng())


def _block(request: Request) -> tuple[int, int]:
    """The threads of a threadgroup, and the numbers that it sorts."""
    threads, each = (int(argument) for argument in request.row.arguments[3:5])
    return threads, threads * each


def _result(request: Request) -> str:
    return "uint32" if request.row.arguments[2] == "true" else str(request.axes["dtype"])


def _values(rng: np.random.Generator, dtype: str, rows: int, size: int) -> Array:
    """(rows, size): the first row and every second one of a few numbers, the awkward ones among them; others spread."""
    pool = np.concatenate([awkward(rng, 30, dtype), ordinary(rng, 10, dtype)])
    out = rng.choice(pool, (rows, size))
    spread = out[1::2]
    if dtype in FLOATS:
        spread[:] = encode(1000 * rng.standard_normal(spread.shape), dtype).reshape(spread.shape)
    else:
        kind = np.iinfo(NUMPY[dtype])
        spread[:] = rng.integers(kind.min, kind.max, spread.shape, NUMPY[dtype], endpoint=True)
    return out


def _order(values: Array, dtype: str) -> Array:
    """The stable order of one row, NaN last."""
    return np.argsort(decode(flushed(values, dtype), dtype), kind="stable")


def _blocks(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    """Rows next to one another: each number `inner` apart from the next, each row `outer` from the next."""
    _, block = _block(request)
    cases = [(2, block - 5, False)]
    if request.thorough:
        cases += [(3, block // 2 + 1, True), (1, block, False), (2, 1, True), (2, 6, False)]
    for rows, size, columns in cases:
        values = _values(rng, str(request.axes["dtype"]), rows, size)
        inner, outer = (rows, 1) if columns else (1, size)
        strides = {3: scalar(inner), 4: scalar(inner), 5: scalar(outer), 6: scalar(outer)}
        places = np.arange(rows)[:, None] * outer + np.arange(size) * inner
        what = f"{rows} {'columns' if columns else 'rows'} of {size}"
        yield _sorted(request, what, values, places, places, strides)


def _scattered(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    """Rows anywhere: in dimensions `lengths`, with gaps, the results' rows in another order than the operand's."""
    _, block = _block(request)
    cases: list[tuple[tuple[int, ...], int]] = [((2, 2), block // 2 + 3)]
    if request.thorough:
        cases += [((), block), ((3,), 5), ((2, 1, 2), block - 1)]
    for lengths, size in cases:
        rows = math.prod(lengths)
        values = _values(rng, str(request.axes["dtype"]), rows, size)
        inner = 2  # every second number
        strides = tuple(stride * (inner * size + PADDING) for stride in row_strides(lengths))
        outer = tuple(stride * (size + PADDING) for stride in reversed(row_strides(lengths[::-1])))
        arguments = {3: scalar(inner), 4: scalar(1), 5: scalar(len(lengths)), 6: shape(lengths)}
        arguments |= {7: vector(strides), 8: vector(outer)}
        read = _places(lengths, strides)[:, None] + np.arange(size) * inner
        written = _places(lengths, outer)[:, None] + np.arange(size)
        yield _sorted(request, f"{lengths} rows of {size}, every second number", values, read, written, arguments)


def _places(lengths: Sequence[int], strides: Sequence[int]) -> Array:
    """Where each row begins, the last dimension fastest."""
    out = np.zeros(1, np.int64)
    for length, stride in zip(lengths, strides, strict=True):
        out = (out[:, None] + np.arange(length) * stride).ravel()
    return out


def _memory(values: Array, places: Array) -> Array:
    """Memory that holds `values` at `places`, and zeros between them."""
    out = np.zeros(int(places.max()) + 1 + PADDING, values.dtype)
    out[places] = values
    return out


def _sorted(
    request: Request, what: str, values: Array, read: Array, written: Array, arguments: Mapping[int, bytes]
) -> Launch:
    dtype, out = str(request.axes["dtype"]), _result(request)
    threads, _ = _block(request)
    before = empty(int(written.max()) + 1 + PADDING, out)
    results = before.copy()
    for row, place in zip(values, written, strict=True):
        order = _order(row, dtype)
        results[place] = order if request.row.arguments[2] == "true" else row[order]
    return Launch(
        what=what,
        buffers={0: _memory(values, read), 1: before, 2: scalar(values.shape[1]), **arguments},
        threads=(threads, len(values), 1),
        group=(threads, 1, 1),
        outputs=(Output(1, out),),
        notes={"results": {1: results}},
    )


def _runs(values: Array, dtype: str, length: int) -> Array:
    """The indices that sort every run of `length` numbers of one row for itself."""
    starts = range(0, values.size, length)
    return np.concatenate([start + _order(values[start : start + length], dtype) for start in starts])


def _many_blocks(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    """Every block of every row, sorted for itself, and its indices."""
    threads, block = _block(request)
    dtype = str(request.axes["dtype"])
    cases: list[tuple[tuple[int, ...], int, int]] = [((2,), block + 37, 1)]
    if request.thorough:
        cases += [((), 2 * block, 2), ((2, 2), block - 1, 3)]
    for lengths, size, inner in cases:
        values = _values(rng, dtype, math.prod(lengths), size)
        strides = tuple(stride * (inner * size + PADDING) for stride in reversed(row_strides(lengths[::-1])))
        read = _places(lengths, strides)[:, None] + np.arange(size) * inner
        orders = np.stack([_runs(row, dtype, block) for row in values])
        yield Launch(
            what=f"{lengths} rows of {size}, {inner} apart",
            buffers={
                0: _memory(values, read), 1: empty(values.shape, dtype), 2: empty(values.shape, "uint32"),
                3: scalar(size), 4: scalar(inner), 5: scalar(len(lengths)), 6: shape(lengths), 7: vector(strides),
            },
            threads=(threads * math.ceil(size / block), len(values), 1),
            group=(threads, 1, 1),
            outputs=(Output(1, dtype), Output(2, "uint32")),
            notes={"results": {1: np.take_along_axis(values, orders, 1), 2: orders}},
        )  # fmt: skip


def _merge_cases(request: Request) -> list[tuple[int, int, int]]:
    """(rows, size, tiles): runs of half of `tiles` blocks are merged to runs of `tiles`."""
    _, block = _block(request)
    cases = [(1, 2 * block + 37, 2)]
    if request.thorough:
        cases += [(2, block + 1, 2), (1, 3 * block - 11, 4), (1, 2 * block, 2), (1, 4 * block + 3, 8)]
    return cases


def _sorted_runs(request: Request, rng: np.random.Generator, rows: int, size: int, tiles: int) -> tuple[Array, Array]:
    """What is merged: values, each run sorted for itself, and an index of each."""
    _, block = _block(request)
    dtype = str(request.axes["dtype"])
    values = _values(rng, dtype, rows, size)
    orders = np.stack([_runs(row, dtype, block * tiles // 2) for row in values])
    return np.take_along_axis(values, orders, 1), orders.astype(np.uint32)


def _splits(values: Array, dtype: str, block: int, tiles: int) -> list[int]:
    """For each block of the merged row, and its end: where in the first of its two runs it begins."""
    splits = []
    for number in range(math.ceil(values.size / block) + 1):
        group, lane = divmod(number, tiles)
        start, half = min(values.size, group * tiles * block), tiles * block // 2
        order = _order(values[start : start + 2 * half], dtype)
        splits.append(start + int((order[: lane * block] < half).sum()))
    return splits


def _partitions(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    _, block = _block(request)
    dtype = str(request.axes["dtype"])
    for rows, size, tiles in _merge_cases(request):
        values, indices = _sorted_runs(request, rng, rows, size, tiles)
        splits = np.array([_splits(row, dtype, block, tiles) for row in values], np.uint32)
        count = splits.shape[1]
        yield Launch(
            what=f"{rows} rows of {size}, runs of {tiles // 2} blocks",
            buffers={
                0: empty(splits.shape, "uint32"), 1: values, 2: indices,
                3: scalar(size), 4: scalar(tiles), 5: scalar(count - 1),
            },
            threads=(count, rows, 1),
            group=(count, 1, 1),
            outputs=(Output(0, "uint32"),),
            notes={"results": {0: splits}},
        )  # fmt: skip


def _merges(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    threads, block = _block(request)
    dtype = str(request.axes["dtype"])
    for rows, size, tiles in _merge_cases(request):
        values, indices = _sorted_runs(request, rng, rows, size, tiles)
        splits = np.array([_splits(row, dtype, block, tiles) for row in values], np.uint32)
        orders = np.stack([_runs(row, dtype, block * tiles) for row in values])
        merged = {3: np.take_along_axis(values, orders, 1), 4: np.take_along_axis(indices, orders, 1)}
        count = splits.shape[1] - 1
        yield Launch(
            what=f"{rows} rows of {size}, runs of {tiles // 2} blocks",
            buffers={
                0: splits, 1: values, 2: indices, 3: empty(values.shape, dtype), 4: empty(values.shape, "uint32"),
                5: scalar(size), 6: scalar(tiles), 7: scalar(count),
            },
            threads=(threads * count, rows, 1),
            group=(threads, 1, 1),
            outputs=(Output(3, dtype), Output(4, "uint32")),
            notes={"results": merged},
        )  # fmt: skip


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The numbers in their stable order, or their indices; what lies between rows as it was."""
    dtypes = {output.slot: output.dtype for output in launch.outputs}
    return {slot: decode(stored, dtypes[slot]) for slot, stored in launch.notes["results"].items()}
