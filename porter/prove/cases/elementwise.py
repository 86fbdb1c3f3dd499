# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases for kernels that apply one function to every element: families unary, binary, binary_two and ternary.

A kernel of these families has one of four forms. It takes its operands, then its results, then what the form needs:

    one value, and a vector (`unary_v`, `binary_sv`, ...)   size (uint32)         a row of threads, each N elements
    large vector (`..._v2`, `binary_sv2`, ...)              size (int64)          rows of threads, each N elements
    strided, 1 to 3 dimensions (`..._g_nd1`, ...)           strides of each       one thread an element
    strided, any (`unary_g`, `binary_g`, `ternary_g`)       shape, strides, ndim  N elements of the last axis a thread

N is a template argument, or as many elements as fit in 8 bytes. The result is contiguous. Sizes are chosen so that N
does not divide them. Where N is 1, vector kernels do not look at the size, so the grid is exactly as large.

Not here: size 0, which Metal cannot dispatch (the host returns before it); negative strides (strides.py); arrays so
large that 64-bit indices matter (the kernels for those run on small ones); one dimension in `unary_g`, for which the
kernel reads the stride before the first (and multiplies it by zero). Which numbers are left out says domains.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from porter.errors import ProofError
from porter.prove.cases import domains, functions, strides
from porter.prove.cases.strides import Layout, Three
from porter.prove.cases.values import NUMPY, empty
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = functions.WITNESS

PAIRS = 263  # 2^8 + 7: the last thread lacks one element whatever N is (2, 4, 8); room for most pairs of special ones
SHORT = 13


@dataclass(frozen=True)
class Shape:
    """What the host name says of its kernel. `scalar`: which operands are one value. `each`: elements a thread does.
    `form`: `vector`, `plane`, `fixed` (strided, its dimensions in `ndim`) or `any` (strided)."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scalar: tuple[bool, ...]
    form: str
    ndim: int
    each: int


def shape_of(request: Request) -> Shape:
    """Raises ProofError where the kernel is none of the four families'."""
    axes, arguments = request.axes, request.row.arguments
    found = re.fullmatch(r"(unary|binary|ternary)_(v|v2|g|g_nd([123])|([sv][sv])(2?))", request.row.template)
    if found is None:
        raise ProofError(f"{request.row.template} is no elementwise kernel", where=request.row.host_name)
    kind, rest, ndim, operands, large = found.groups()
    one = str(axes.get("dtype", axes.get("in")))
    inputs = {"unary": (one,), "binary": (one, one), "ternary": ("bool_", one, one)}[kind]
    outputs = (str(axes.get("out", one)),) * (2 if request.family.name == "binary_two" else 1)
    scalar = tuple(letter == "s" for letter in operands) if operands else (False,) * len(inputs)
    if kind == "ternary" and rest in ("v", "v2"):
        scalar = (False, arguments[2] == "true", arguments[3] == "true")
    form = "fixed" if ndim else "any" if rest == "g" else "plane" if rest == "v2" or large else "vector"
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    each = numbers[0] if numbers else 8 // np.dtype(NUMPY[one]).itemsize
    if operands == "ss" or form == "fixed" or (form == "any" and not numbers):
        each = 1
    return Shape(str(axes["op"]), inputs, outputs, scalar, form, int(ndim or 0), each)


def launches(request: Request) -> Iterator[Launch]:
    shape = shape_of(request)
    rng = request.rng()
    make = {"vector": _vectors, "plane": _planes, "fixed": _strided, "any": _strided}[shape.form]
    for number, one in enumerate(make(shape, rng)):
        if number == 0 or request.thorough:
            yield one


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """What the function is of the same operands, in numbers (functions.py)."""
    shape = shape_of(request)
    results = functions.results(shape.op, launch.notes["operands"], shape.inputs, shape.outputs)
    return dict(zip((one.slot for one in launch.outputs), results, strict=True))


Rng = np.random.Generator
Bound = Mapping[int, Array | bytes]


def _vectors(shape: Shape, rng: Rng) -> Iterator[Launch]:
    if all(shape.scalar):  # one value and one thread each
        for _ in range(6):
            yield _flat(shape, rng, 1)
        return
    for size in (PAIRS, PAIRS - 7, SHORT, 1, PAIRS + 2):
        yield _flat(shape, rng, size)


def _planes(shape: Shape, rng: Rng) -> Iterator[Launch]:
    step = 3 if shape.each == 1 else 1  # strides.plane
    for size in (PAIRS - PAIRS % 3 if step == 3 else PAIRS, 12, 3):
        yield _flat(shape, rng, size)


def _flat(shape: Shape, rng: Rng, size: int) -> Launch:
    operands = _operands(shape, rng, [1 if one else size for one in shape.scalar])
    grid, group = (
        strides.plane(size, shape.each) if shape.form == "plane" else strides.line(strides.ceiling(size, shape.each))
    )
    width = np.int64 if shape.form == "plane" else np.uint32
    scalars = "" if not any(shape.scalar) else f", one value: operand {', '.join(_which(shape.scalar))}"
    # The kernel of one value and one value has no size.
    extra = [] if all(shape.scalar) else [np.array([size], width)]
    return _launch(shape, f"size {size}{scalars}", operands, operands, (size,), extra, grid, group)


def _strided(shape: Shape, rng: Rng) -> Iterator[Launch]:
    sizes: Mapping[int, Sequence[tuple[int, ...]]] = {
        0: ((2, 3, 2, 7), (3, 1, 2, 3, 5), (1, 1, 1, 1), (2, 2, 3, 2, 3)),
        1: ((97,), (1,), (30,), (64,)),
        2: ((7, 13), (1, 1), (33, 3), (4, 16)),
        3: ((3, 5, 7), (1, 1, 1), (2, 1, 33), (4, 4, 4)),
    }
    more: Sequence[tuple[int, ...]] = ((5, 13), (3, 5, 7)) if shape.inputs[1:] == () else ()
    layouts: Sequence[Callable[[tuple[int, ...]], Layout]] = (
        strides.transposed,
        partial(strides.broadcast, axis=0),
        strides.stepped,
        partial(strides.broadcast, axis=-1),
    )
    for number, size in enumerate((*sizes[shape.ndim], *more)):
        # A ternary's condition is broadcast first, so that both results occur along the axis that runs fastest.
        yield _general(shape, rng, [layouts[(number + one) % 4](size) for one in range(len(shape.inputs))])


def _general(shape: Shape, rng: Rng, layouts: Sequence[Layout]) -> Launch:
    size = layouts[0].shape
    buffers = _operands(shape, rng, [one.elements for one in layouts])
    seen = [buffer[one.places()].reshape(-1) for buffer, one in zip(buffers, layouts, strict=True)]
    steps: list[Array] = [np.array(one.strides, np.int64) for one in layouts]
    extra = steps if shape.form == "fixed" else [np.array(size, np.int32), *steps, np.array([len(size)], np.int32)]
    what = f"shape {' x '.join(map(str, size))}, {'; '.join(one.name for one in layouts)}"
    grid, group = strides.box(size, shape.each)
    return _launch(shape, what, buffers, seen, size, extra, grid, group)


def _operands(shape: Shape, rng: Rng, sizes: Sequence[int]) -> list[Array]:
    """Buffers of the operands. Where two are read side by side, every special number meets every other one."""
    if len(sizes) == 2 and sizes[0] == sizes[1] > 1:
        return list(domains.pairs(rng, shape.op, shape.inputs[0], sizes[0]))
    # The second and the third operand of a selection are alike.
    return [
        domains.numbers(rng, shape.op, dtype, min(number, 1), size)
        for number, (dtype, size) in enumerate(zip(shape.inputs, sizes, strict=True))
    ]


def _launch(
    shape: Shape,
    what: str,
    buffers: Sequence[Array],
    operands: Sequence[Array],
    size: Sequence[int],
    extra: Sequence[Array],
    grid: Three,
    group: Three,
) -> Launch:
    first = len(buffers)
    outputs = tuple(Output(first + number, dtype) for number, dtype in enumerate(shape.outputs))
    bound: dict[int, Array | bytes] = dict(enumerate(buffers))
    bound.update({one.slot: empty(int(np.prod(size)), one.dtype) for one in outputs})
    bound.update({first + len(outputs) + number: value for number, value in enumerate(extra)})
    count = int(np.prod(size))
    seen = tuple(np.broadcast_to(one, (count,)) for one in operands)
    return Launch(f"{shape.op}: {what}", bound, grid, group, outputs, notes={"operands": seen})


def _which(flags: Sequence[bool]) -> Iterator[str]:
    return (str(number) for number, flag in enumerate(flags) if flag)
