# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of cumulative sums, products, maxima, minima and logaddexp.

`contiguous_scan` goes along rows, a threadgroup each, in rounds of `reads` numbers a thread. `strided_scan` goes along
columns of matrices of `stride` columns, a threadgroup for 32 columns, in rounds of 32 rows. `contiguous_scan` reads
what no simdgroup wrote where there are fewer than 32, and does not use it (docs/sanitizer.md).

Maxima and minima drop a NaN or keep it, depending on where it meets what, so there is no reference with one. MLX's CPU
begins an exclusive maximum of complex numbers at 0, the kernels at -inf - inf i: the reference is shifted here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases.arguments import SIMDGROUP, only, scalar
from porter.prove.cases.reductions import EXACT, ROUNDED, SPECIAL, identity, kinds, operand
from porter.prove.cases.reference import flushed, to_mlx
from porter.prove.cases.values import NUMPY, Array, decode, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = "MLX's arrays (CPU); logaddexp: numpy, float64"
COLUMNS = 32  # of a threadgroup of strided_scan


def launches(request: Request) -> Iterator[Launch]:
    """Two rounds, the second not full; `thorough`: one round, one number, full rounds; NaN, infinities and rounding."""
    only(request, ("contiguous_scan", "strided_scan"))
    rng = request.rng()
    make = _contiguous if request.row.template == "contiguous_scan" else _strided
    for kind in kinds(str(request.axes["dtype"])) if request.thorough else (EXACT,):
        yield from make(request, rng, kind)


def _contiguous(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    reads = int(request.axes["reads"])
    cases = [(3, 75 * reads + 1, 64)]
    if request.thorough and kind == EXACT:
        cases += [(2, 1, 32), (1, 32 * reads, 32), (1, 257 * reads - 1, 288), (1, 1024 * reads + 5, 544)]
    for rows, size, group in cases:
        memory = _operand(request, rng, kind, (rows, size))
        what = f"{rows} rows of {size}, {group} threads, {kind}"
        yield _launch(request, what, memory, {2: scalar(size, "uint64")}, ((group, rows, 1), (group, 1, 1)), kind)


def _strided(request: Request, rng: np.random.Generator, kind: str) -> Iterator[Launch]:
    group = SIMDGROUP * COLUMNS // int(request.axes["reads"])
    cases = [(2, 37, 35)]
    if request.thorough and kind == EXACT:
        cases += [(1, 1, 5), (1, 64, 32), (3, 33, 1), (1, 100, 67)]
    for matrices, size, stride in cases:
        blocks = math.ceil(stride / COLUMNS)
        memory = _operand(request, rng, kind, (matrices, size, stride))
        sizes = {2: scalar(size, "uint64"), 3: scalar(stride, "uint64"), 4: scalar(blocks, "uint64")}
        grid = (group, matrices * blocks, 1), (group, 1, 1)
        yield _launch(request, f"{matrices} matrices of {size} rows of {stride}, {kind}", memory, sizes, grid, kind)


def _operand(request: Request, rng: np.random.Generator, kind: str, lengths: tuple[int, ...]) -> Array:
    op, dtype = _types(request)
    values = operand(rng, op, dtype, math.prod(lengths), kind)
    return np.ascontiguousarray(values.reshape(lengths))


def _launch(
    request: Request,
    what: str,
    memory: Array,
    sizes: Mapping[int, bytes],
    grid: tuple[tuple[int, int, int], tuple[int, int, int]],
    kind: str,
) -> Launch:
    out = str(request.axes["out"])
    return Launch(
        what=what,
        buffers={0: memory, 1: empty(memory.shape, out), **sizes},
        threads=grid[0],
        group=grid[1],
        outputs=(Output(1, out),),
        notes={"operand": memory, "kind": kind},
    )


def _types(request: Request) -> tuple[str, str]:
    return str(request.axes["op"]), str(request.axes["dtype"])


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """The scan of what the operand holds. An exclusive one begins with what a reduction of nothing gives."""
    op, dtype = _types(request)
    if not _has_reference(op, dtype, launch.notes["kind"]):
        return None
    values = launch.notes["operand"]
    if request.axes["reverse"]:
        values = np.flip(values, 1)
    if op == "logaddexp":
        found = _logaddexp(values, dtype, launch.notes["kind"])
    else:
        found = _mlx(op, values, dtype, str(request.axes["out"]))
    if not request.axes["inclusive"]:
        first = np.full_like(found[:, :1], identity(op, str(request.axes["out"])))
        found = np.concatenate([first, found[:, :-1]], axis=1)
    return {1: np.flip(found, 1) if request.axes["reverse"] else found}


def _has_reference(op: str, dtype: str, kind: str) -> bool:
    if kind == SPECIAL:
        return op == "sum" or (op in ("prod", "logaddexp") and dtype != "complex64")
    return kind == EXACT or (op == "logaddexp" and dtype in ("float32", "complex64"))


def _mlx(op: str, values: Array, dtype: str, out: str) -> Array:
    import mlx.core as mx

    function = {"sum": mx.cumsum, "prod": mx.cumprod, "max": mx.cummax, "min": mx.cummin}[op]
    found = function(to_mlx(flushed(values, dtype), dtype), axis=1)
    return decode(np.array(found.view(mx.uint16)) if out == "bfloat16" else np.array(found).astype(NUMPY[out]), out)


def _logaddexp(values: Array, dtype: str, kind: str) -> Array:
    """Of numbers that are far apart it is their maximum, and of a NaN a NaN."""
    known = decode(values, dtype)
    if kind != ROUNDED:
        return (
            np.asarray(np.maximum.accumulate(known, axis=1)) if kind == SPECIAL else _mlx("max", values, dtype, dtype)
        )
    if dtype == "complex64":
        return np.asarray(np.log(np.cumsum(np.exp(known), axis=1)))
    return np.asarray(np.logaddexp.accumulate(known, axis=1))
