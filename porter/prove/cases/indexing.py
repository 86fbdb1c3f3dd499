# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of gather, scatter and masked assignment.

Indices stay inside the axis they index; those of signed types are also negative, from the end. Where several updates
meet in one element they are combined, and without an operation no two meet: which of them would win is not determined.
Numbers are small integers, so that sums and products of a few are exact in every dtype, whatever their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from porter.prove.cases.arguments import blocks, row_strides, scalar, shape, vector
from porter.prove.cases.values import NUMPY, Array, decode, empty, encode, ordinary
from porter.prove.launch import Launch, Output, Request

WITNESS = "numpy"

_COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
_SOURCE = (5, 4, 3)


def launches(request: Request) -> Iterator[Launch]:
    """One launch of each form; `thorough`: also single elements and strided operands."""
    maker = {
        "gather_front": _gather_front,
        "gather_axis": _gather_axis,
        "scatter_axis": _scatter_axis,
        "masked_assign_impl": _masked_assign,
    }.get(request.row.template, _scatter if "UpdC" in request.axes else _gather)
    yield from maker(request, request.rng())


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """What stands in the output afterwards: the case computed it from its operands, with numpy's own indexing."""
    return {launch.outputs[0].slot: launch.notes["expected"]}


def _dtype(request: Request) -> str:
    return str(request.axes["dtype"])


def _small(rng: np.random.Generator, lengths: Sequence[int], dtype: str) -> Array:
    """Small whole numbers: -2 to 2, and 0 to 2 where there is no sign."""
    if dtype in ("bool", "bool_"):
        return ordinary(rng, tuple(lengths), dtype)
    low = 0 if dtype.startswith("uint") else -2
    return encode(rng.integers(low, 3, tuple(lengths)), dtype)


def _indices(rng: np.random.Generator, lengths: Sequence[int], size: int, kind: str, distinct: bool = False) -> Array:
    """Indices into an axis of `size`; of a signed kind about half count from the end."""
    count = math.prod(lengths)
    picked = rng.permutation(size)[:count] if distinct else rng.integers(0, size, count)
    if not kind.startswith("u"):
        picked = np.where(rng.integers(0, 2, count) == 1, picked - size, picked)
    return picked.reshape(tuple(lengths)).astype(NUMPY[kind])


def _laid(values: Array, contiguous: bool) -> tuple[Array, tuple[int, ...]]:
    """Memory that holds `values`, and strides in elements: in rows, or with the dimensions in reverse order."""
    if contiguous or values.ndim < 2:
        return np.ascontiguousarray(values), row_strides(values.shape)
    memory = np.ascontiguousarray(values.transpose())
    return memory, tuple(reversed(row_strides(memory.shape)))


# ---------------------------------------------------------------------------------------------------------------------
# Along one axis


def _gather_front(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, kind, work = _dtype(request), str(request.axes["idx"]), int(request.axes["work"])
    for rows, width, count in [(7, 13, 5), *([(1, 1, 1), (3, 8, 11)] if request.thorough else [])]:
        source = ordinary(rng, (rows, width), dtype)
        indices = _indices(rng, (count,), rows, kind)
        grid = (-(-width // work), count, 1)
        yield Launch(
            f"{count} of {rows} rows of {width}",
            {
                0: source,
                1: indices,
                2: empty((count, width), dtype),
                3: scalar(width, "int64"),
                4: scalar(rows),
            },
            grid,
            blocks(grid),
            (Output(2, dtype),),
            notes={"expected": decode(source[indices.astype(np.int64)], dtype)},
        )


def _without(values: Sequence[int], axis: int) -> list[int]:
    return [value for i, value in enumerate(values) if i != axis]


def _axis_cases(request: Request) -> list[tuple[tuple[int, ...], int, int]]:
    """Shape of the operand, the axis, and how many indices there are along it."""
    return [((3, 6, 4), 1, 5), *([((1,), 0, 1), ((4, 5), 0, 3), ((2, 3, 2, 7), 3, 6)] if request.thorough else [])]


def _gather_axis(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, kind = _dtype(request), str(request.axes["idx"])
    for lengths, axis, count in _axis_cases(request):
        wanted = (*lengths[:axis], count, *lengths[axis + 1 :])
        values, indices = ordinary(rng, lengths, dtype), _indices(rng, wanted, lengths[axis], kind)
        source, source_strides = _laid(values, bool(request.axes["SrcC"]))
        index, index_strides = _laid(indices, bool(request.axes["IdxC"]))
        grid = (math.prod(lengths[axis + 1 :]), count, math.prod(lengths[:axis]))
        positive = np.where(indices.astype(np.int64) < 0, indices.astype(np.int64) + lengths[axis], indices)
        yield Launch(
            f"{lengths} along {axis}, {count} indices",
            {
                0: source,
                1: index,
                2: empty(wanted, dtype),
                3: shape(_without(wanted, axis)),
                4: vector(_without(source_strides, axis)),
                5: vector(_without(index_strides, axis)),
                6: scalar(len(lengths) - 1, "uint64"),
                7: scalar(axis),
                8: scalar(lengths[axis]),
                9: scalar(source_strides[axis], "uint64"),
                10: scalar(index_strides[axis], "uint64"),
            },
            grid,
            blocks(grid),
            (Output(2, dtype),),
            notes={"expected": decode(np.take_along_axis(values, positive.astype(np.int64), axis), dtype)},
        )


def _scatter_axis(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, kind = _dtype(request), str(request.axes["idx"])
    operation = "sum" if "Op" in request.axes else "none"
    for lengths, axis, count in _axis_cases(request):
        given = (*lengths[:axis], min(count, lengths[axis]), *lengths[axis + 1 :])
        order = np.argsort(rng.random(lengths), axis=axis).take(range(given[axis]), axis=axis)  # no two alike
        indices = order if operation == "none" else rng.integers(0, lengths[axis], given)
        if not kind.startswith("u"):
            indices = np.where(rng.integers(0, 2, given) == 1, indices - lengths[axis], indices)
        before, updates = _small(rng, lengths, dtype), _small(rng, given, dtype)
        update, update_strides = _laid(updates, bool(request.axes["SrcC"]))
        index, index_strides = _laid(indices.astype(NUMPY[kind]), bool(request.axes["IdxC"]))
        grid = (math.prod(lengths[axis + 1 :]), given[axis], math.prod(lengths[:axis]))
        places = list(np.indices(given))
        places[axis] = np.where(indices < 0, indices + lengths[axis], indices)
        after = _combined(before, tuple(places), updates, operation, dtype)
        yield Launch(
            f"{lengths} along {axis}, {given[axis]} updates",
            {
                0: update,
                1: index,
                2: _words(before),
                3: shape(_without(given, axis)),
                4: vector(_without(update_strides, axis)),
                5: vector(_without(index_strides, axis)),
                6: scalar(len(lengths) - 1, "uint64"),
                7: scalar(axis),
                8: scalar(lengths[axis]),
                9: scalar(update_strides[axis], "uint64"),
                10: scalar(index_strides[axis], "uint64"),
            },
            grid,
            blocks(grid),
            (Output(2, dtype),),
            notes={"expected": _padded(after, before, dtype)},
        )


def _combined(before: Array, places: tuple[Array, ...], updates: Array, operation: str, dtype: str) -> Array:
    """`before` with the updates at `places`, as numbers."""
    numbers, given = np.array(decode(before, dtype)), decode(updates, dtype)
    if operation == "none":
        numbers[places] = given
    elif numbers.dtype == np.bool_:
        _COMBINE[operation].at(numbers, places, given)
    else:
        with np.errstate(over="ignore"):
            _COMBINE[operation].at(numbers, places, given)
    return numbers


def _words(values: Array) -> Array:
    """A buffer that atomic operations may touch: whole words of 4 bytes, zeros behind the last element."""
    flat = np.ascontiguousarray(values).reshape(-1)
    rest = -flat.nbytes % 4 // flat.itemsize
    return np.concatenate([flat, np.zeros(rest, flat.dtype)])


def _padded(after: Array, before: Array, dtype: str) -> Array:
    """`after` with the zeros that `_words` puts behind `before`."""
    flat = after.reshape(-1)
    return np.concatenate([flat, np.zeros(_words(before).size - flat.size, flat.dtype)])


# ---------------------------------------------------------------------------------------------------------------------
# Where a mask is true


def _masked_assign(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, contiguous = _dtype(request), bool(request.axes["contiguous"])
    for batches, length, given in [(2, 37, 37), *([(1, 1, 1), (3, 8, 3)] if request.thorough else [])]:
        mask = rng.integers(0, 2, (batches, length)).astype(np.bool_)
        mask[:, 0] = True
        offsets: Array = np.cumsum(mask, axis=1) - mask
        values, before = ordinary(rng, (batches, given), dtype), ordinary(rng, (batches, length), dtype)
        source, strides = _laid(values, contiguous)
        after = before.copy()
        for batch in range(batches):
            taken = mask[batch] & (offsets[batch] < given)
            after[batch][taken] = values[batch][offsets[batch][taken]]
        grid = (batches * length, 1, 1)
        yield Launch(
            f"{batches} batches of {length}, {given} values each",
            {
                0: mask,
                1: offsets.astype(np.uint32),
                2: source,
                3: before,
                4: shape((batches, given)),
                5: vector(strides),
                6: scalar(2),
                7: scalar(given, "int64"),
                8: scalar(length, "int64"),
            },
            grid,
            blocks(grid),
            (Output(3, dtype),),
            notes={"expected": decode(after, dtype)},
        )


# ---------------------------------------------------------------------------------------------------------------------
# With arrays of indices


def _index_arrays(
    request: Request, rng: np.random.Generator, lengths: tuple[int, ...], distinct: bool, contiguous: bool
) -> tuple[list[Array], dict[str, bytes], dict[int, Array]]:
    """Indices into the first axes of _SOURCE, what the host says of them, and their buffers."""
    kind, count = str(request.axes["idx"]), str(request.axes["idx_arr"]).count("idx")
    arrays = [_indices(rng, lengths, _SOURCE[i], kind, distinct) for i in range(count)]
    laid = [_laid(one, contiguous) for one in arrays]
    said = {
        "shapes": shape([length for one in arrays for length in one.shape]),
        "strides": vector([stride for _, strides in laid for stride in strides]),
        "contiguous": np.array([contiguous or len(lengths) < 2] * count).tobytes(),
    }
    positive = [
        np.where(one.astype(np.int64) < 0, one.astype(np.int64) + _SOURCE[i], one) for i, one in enumerate(arrays)
    ]
    return [one.astype(np.int64) for one in positive], said, {20 + i: memory for i, (memory, _) in enumerate(laid)}


def _gather(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, dimensions = _dtype(request), int(request.axes["idx_ndim"])
    lengths = ((), (6,), (3, 4))[dimensions]
    forms = [(True, True), *([(False, True), (True, False)] if request.thorough else [])]
    for source_rows, index_rows in forms:
        arrays, said, buffers = _index_arrays(request, rng, lengths, False, index_rows)
        values = ordinary(rng, _SOURCE, dtype)
        source, strides = _laid(values, source_rows)
        slices = (*[1] * len(arrays), *_SOURCE[len(arrays) :])
        grid = (lengths[0] if lengths else 1, math.prod(lengths[1:]), math.prod(slices))
        yield Launch(
            f"indices of shape {lengths}, {'rows' if source_rows and index_rows else 'strided'}",
            {
                0: source,
                1: empty((math.prod(lengths), math.prod(slices)), dtype),
                2: shape(_SOURCE),
                3: vector(strides),
                4: scalar(len(_SOURCE), "uint64"),
                5: shape(slices),
                6: shape(range(len(arrays))),
                7: said["shapes"],
                8: said["strides"],
                9: said["contiguous"],
                10: scalar(dimensions),
                **buffers,
            },
            grid,
            blocks(grid),
            (Output(1, dtype),),
            notes={"expected": decode(values[tuple(arrays)], dtype)},
        )


def _scatter(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    dtype, operation = _dtype(request), str(request.axes["op"])
    rows, work = request.axes["UpdC"] == "true", int(request.axes["nwork"])
    lengths = (4,) if work == 1 else (2, 2)
    for index_rows in (True, False) if request.thorough else (True,):
        arrays, said, buffers = _index_arrays(request, rng, lengths, operation == "none", index_rows)
        slices = (*[1] * len(arrays), *_SOURCE[len(arrays) :])
        before, updates = _small(rng, _SOURCE, dtype), _small(rng, (*lengths, *slices), dtype)
        update, strides = _laid(updates, rows)
        places, count = tuple(arrays), math.prod(lengths)
        meeting = updates.reshape((*lengths, *_SOURCE[len(arrays) :]))
        after = _combined(before, places, meeting, operation, dtype)
        grid = (math.prod(slices), -(-count // work), 1)
        yield Launch(
            f"updates at {lengths}, indices {'in rows' if index_rows else 'strided'}",
            {
                1: update,
                2: _words(before),
                3: shape(updates.shape),
                4: vector(strides),
                5: scalar(updates.ndim, "uint64"),
                6: scalar(math.prod(slices), "uint64"),
                7: shape(_SOURCE),
                8: vector(row_strides(_SOURCE)),
                9: scalar(len(_SOURCE), "uint64"),
                10: shape(range(len(arrays))),
                11: said["shapes"],
                12: said["strides"],
                13: said["contiguous"],
                14: scalar(len(lengths)),
                15: scalar(count, "uint64"),
                **buffers,
            },
            grid,
            blocks(grid),
            (Output(2, dtype),),
            notes={"expected": _padded(after, before, dtype)},
        )
