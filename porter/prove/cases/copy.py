# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases of copies, with and without conversion, from and to strided arrays.

    one value (`copy_s`), contiguous (`copy_v`)    source, target, size (uint32)            a row, each N elements
    many of them (`copy_s2`, `copy_v2`)            source, target, size (int64)             rows, each N elements
    strided (`copy_g*`, target contiguous)         shape (slot 2), strides (3), ndim (5)    one or N elements a thread
    strided to strided (`copy_gg*`)                and the target's strides (4)
    with offsets from buffers (`*_dynamic*`)       and the source's (6) and the target's (7), in elements

N is a template argument, or as many elements of the target as fit in 8 bytes. Shape and ndim are bound for four and
more dimensions only. What a strided target does not cover must stay as it was. The copies with offsets also read an
axis backwards (stride -1); the others bind whole buffers and cannot.

Numbers that C++ does not convert are left out (domains.convertible). Size 0 is not dispatched by Metal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from porter.errors import ProofError
from porter.prove.cases import domains, reference, strides
from porter.prove.cases.strides import Layout
from porter.prove.cases.values import NUMPY, decode, empty
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = "MLX's arrays (CPU)"

SIZES = (61, 13, 1, 96)  # a rest for every N (2, 4, 8); one element
SHAPES: Mapping[int, Sequence[tuple[int, ...]]] = {
    1: ((61,), (1,), (30,)),
    2: ((5, 13), (1, 1), (16, 3)),
    3: ((3, 5, 7), (1, 1, 1), (4, 2, 9)),
    4: ((2, 3, 2, 7), (1, 1, 1, 1), (3, 1, 2, 3, 5)),
}
SOURCE_OFFSET, TARGET_OFFSET = 3, 5


@dataclass(frozen=True)
class Shape:
    """What the host name says of its kernel: dtypes, `each` (elements a thread), and which of the forms above."""

    source: str
    target: str
    each: int
    form: str
    ndim: int
    large: bool
    dynamic: bool


def shape_of(request: Request) -> Shape:
    """Raises ProofError where the kernel is no copy."""
    found = re.fullmatch(r"copy_(s|v|g|gg)(2?)(_dynamic)?(?:_nd([123]))?", request.row.template)
    if found is None:
        raise ProofError(f"{request.row.template} is no copy", where=request.row.host_name)
    form, large, dynamic, ndim = found.groups()
    target = str(request.axes["out"])
    numbers = [int(argument) for argument in request.row.arguments if argument.isdigit()]
    each = numbers[0] if numbers else 8 // np.dtype(NUMPY[target]).itemsize
    strided = form in ("g", "gg")
    if strided and not numbers:
        each = 1
    return Shape(
        str(request.axes["in"]), target, each, form, int(ndim or (4 if strided else 0)), bool(large), bool(dynamic)
    )


def launches(request: Request) -> Iterator[Launch]:
    shape, rng = shape_of(request), request.rng()
    cases = _strided(shape, rng) if shape.ndim else _contiguous(shape, rng)
    for number, one in enumerate(cases):
        if number == 0 or request.thorough:
            yield one


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """What MLX's `astype` makes of the same numbers, and in the rest of the target what was there."""
    import mlx.core as mx

    shape = shape_of(request)
    source, places = launch.notes["source"], launch.notes["places"]
    found = reference.to_mlx(reference.flushed(source, shape.source), shape.source).astype(getattr(mx, shape.target))
    if shape.source == shape.target:
        found = reference.to_mlx(source, shape.source)
    out = decode(np.asarray(launch.buffers[1]), shape.target).copy()
    out[places] = reference.from_mlx(found, shape.target)
    unsaid = np.zeros(out.shape, np.bool_)
    if shape.source == "bfloat16" or shape.target == "bfloat16" or shape.source != shape.target:
        unsaid[places] = reference.is_denormal(source, shape.source)  # flushed or not
    return {1: np.ma.masked_array(out, unsaid)}


def _contiguous(shape: Shape, rng: np.random.Generator) -> Iterator[Launch]:
    for size in SIZES:
        count = size - size % 3 if shape.large and shape.each == 1 and size > 1 else size  # strides.plane
        count = 3 if count == 1 and shape.large else count
        source = domains.convertible(rng, shape.source, shape.target, 1 if shape.form == "s" else count)
        grid, group = (
            strides.plane(count, shape.each) if shape.large else strides.line(strides.ceiling(count, shape.each))
        )
        buffers = {
            0: source,
            1: empty(count, shape.target),
            2: np.array([count], np.int64 if shape.large else np.uint32),
        }
        seen = np.broadcast_to(source, (count,))
        yield Launch(
            f"size {count}",
            buffers,
            grid,
            group,
            (Output(1, shape.target),),
            notes={"source": seen, "places": np.arange(count)},
        )


def _strided(shape: Shape, rng: np.random.Generator) -> Iterator[Launch]:
    sources: Sequence[Callable[[tuple[int, ...]], Layout]] = (
        strides.transposed,
        strides.stepped,
        partial(strides.broadcast, axis=0),
    )
    targets: Sequence[Callable[[tuple[int, ...]], Layout]] = (strides.stepped, strides.transposed, strides.stepped)
    pairs = [
        (source(size), target(size)) for source, target, size in zip(sources, targets, SHAPES[shape.ndim], strict=True)
    ]
    if shape.dynamic:
        size = SHAPES[shape.ndim][0]
        pairs.append((strides.reversed_last(size), strides.transposed(size)))
        pairs.append((strides.transposed(size), strides.reversed_last(size)))
        pairs = [(_moved(source, SOURCE_OFFSET), _moved(target, TARGET_OFFSET)) for source, target in pairs]
    for source, target in pairs:
        yield _between(shape, rng, source, target if shape.form == "gg" else strides.contiguous(source.shape))


def _moved(layout: Layout, offset: int) -> Layout:
    return replace(layout, offset=layout.offset + offset)


def _between(shape: Shape, rng: np.random.Generator, source: Layout, target: Layout) -> Launch:
    size = source.shape
    buffer = domains.convertible(rng, shape.source, shape.target, source.elements)
    buffers: dict[int, Array | bytes] = {0: buffer, 1: empty(target.elements, shape.target)}
    buffers[3] = np.array(source.strides, np.int64)
    if shape.form == "gg":
        buffers[4] = np.array(target.strides, np.int64)
    if shape.ndim == 4:
        buffers[2], buffers[5] = np.array(size, np.int32), np.array([len(size)], np.int32)
    if shape.dynamic:
        buffers[6], buffers[7] = np.array([source.offset], np.int64), np.array([target.offset], np.int64)
    grid, group = strides.box(size, shape.each)
    what = f"shape {' x '.join(map(str, size))}, {source.name} to {target.name}"
    notes = {"source": buffer[source.places()].reshape(-1), "places": target.places().reshape(-1)}
    return Launch(what, buffers, grid, group, (Output(1, shape.target),), notes=notes)
