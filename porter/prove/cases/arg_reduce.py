# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of argmin and argmax: one threadgroup a result, of which each thread looks at `reads` values at once.

Of equal values the first counts. A NaN never does; MLX's CPU passes it over too, but where it comes first, so that it
does not here. Denormal numbers are zeros to the kernel (docs/metal.md), so they are zeros to the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, only, scalar, shape, vector, whole_simdgroups
from porter.prove.cases.reference import flushed, from_mlx, to_mlx
from porter.prove.cases.strides import Layout, broadcast, contiguous, transposed
from porter.prove.cases.values import Array, awkward, empty, ordinary
from porter.prove.launch import Launch, Output, Request

WITNESS = "MLX's arrays (CPU)"


@dataclass(frozen=True)
class _Case:
    """The operand, along which axis, and whether the results lie transposed. `deep`: a grid of two rows of results."""

    layout: Layout
    axis: int
    transposed: bool = False
    deep: bool = False


def launches(request: Request) -> Iterator[Launch]:
    """An axis in the middle; `thorough`: other axes and strides, one dimension, and axes of several rounds."""
    only(request, ("arg_reduce_general",))
    rng = request.rng()
    cases = [_Case(contiguous((3, 203, 4)), 1)]
    if request.thorough:
        cases += [
            _Case(transposed((5, 4, 129)), 2, transposed=True),
            _Case(contiguous((6, 1)), 1, deep=True),
            _Case(broadcast((2, 3, 37), 0), 2, deep=True),
            _Case(contiguous((1037,)), 0),
            _Case(contiguous((int(request.axes["reads"]) * MAX_THREADS + 5,)), 0),
        ]
    for case in cases:
        yield _launch(request, rng, case)


def _launch(request: Request, rng: np.random.Generator, case: _Case) -> Launch:
    dtype, layout, axis = str(request.axes["dtype"]), case.layout, case.axis
    memory = _values(rng, layout, axis, dtype)
    rest = [length for i, length in enumerate(layout.shape) if i != axis]
    out = transposed(rest) if case.transposed else contiguous(rest)
    results = math.prod(rest)
    depth = 2 if case.deep else 1
    group = whole_simdgroups(min(math.ceil(layout.shape[axis] / int(request.axes["reads"])), MAX_THREADS))
    return Launch(
        what=f"{layout.shape} {layout.name}, along axis {axis}",
        buffers={
            0: memory,
            1: empty(out.elements if rest else 1, "uint32"),
            2: shape(rest),
            3: vector([stride for i, stride in enumerate(layout.strides) if i != axis]),
            4: vector(out.strides),
            5: scalar(len(rest), "uint64"),
            6: scalar(layout.strides[axis], "int64"),
            7: scalar(layout.shape[axis], "uint64"),
        },
        threads=(group, results // depth, depth),
        group=(group, 1, 1),
        outputs=(Output(1, "uint32"),),
        notes={"operand": memory[layout.places()], "axis": axis, "places": out.places() if rest else np.zeros((), int)},
    )


def _values(rng: np.random.Generator, layout: Layout, axis: int, dtype: str) -> Array:
    """Many equal numbers, the awkward ones among them; what comes first along the axis is ordinary."""
    pool = np.concatenate([awkward(rng, 30, dtype), ordinary(rng, 10, dtype)])
    memory = rng.choice(pool, layout.elements)
    first = layout.places().take(0, axis)
    memory[first] = ordinary(rng, first.size, dtype).reshape(first.shape)
    return np.ascontiguousarray(memory)


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """MLX's argmin or argmax of the operand, where the results lie; what lies between them as it was."""
    import mlx.core as mx

    dtype = str(request.axes["dtype"])
    function = mx.argmin if request.axes["op"] == "argmin" else mx.argmax
    found = function(to_mlx(flushed(launch.notes["operand"], dtype), dtype), axis=launch.notes["axis"])
    out = np.array(launch.buffers[1])
    out[launch.notes["places"]] = from_mlx(found, "uint32")
    return {1: out}
