# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of logsumexp: one threadgroup and one result a row. Threadgroups as of softmax, for the same reasons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, only, scalar, whole_simdgroups
from porter.prove.cases.rows import ALL_MINUS, EQUAL, EVERY, EXTREME, NAN, ONE_PLUS, ORDINARY, rows
from porter.prove.cases.values import Array, decode, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = "numpy, float64"


def launches(request: Request) -> Iterator[Launch]:
    """Rows whose length is no multiple of `reads` nor of a simdgroup's work; `thorough`: lengths around each limit."""
    only(request, ("logsumexp", "logsumexp_looped"))
    rng = request.rng()
    reads, limit = int(request.axes["reads"]), int(request.axes["limit"])
    if request.row.template == "logsumexp_looped":
        yield _launch(request, rng, limit + 5, (ORDINARY, EXTREME), MAX_THREADS)
        if request.thorough:
            yield _launch(request, rng, 2 * limit, (ORDINARY, NAN), MAX_THREADS)
            yield _launch(request, rng, 2 * limit + 1, (EQUAL, ALL_MINUS), MAX_THREADS)
            yield _launch(request, rng, limit + 1, (ONE_PLUS,), MAX_THREADS)
        return
    sizes = (1, reads - 1, 32 * reads, 32 * reads + 1, limit) if request.thorough else ()
    for size, kinds in [(1037, EVERY), *((size, EVERY[:4] if size < limit else EVERY[:1]) for size in sizes)]:
        yield _launch(request, rng, size, kinds, whole_simdgroups(math.ceil(size / reads)))


def _launch(request: Request, rng: np.random.Generator, size: int, kinds: tuple[str, ...], group: int) -> Launch:
    dtype = str(request.axes["dtype"])
    values = rows(rng, kinds, size, dtype)
    return Launch(
        what=f"{len(kinds)} rows of {size}: {', '.join(kinds)}",
        buffers={0: values, 1: empty(len(kinds), dtype), 2: scalar(size)},
        threads=(len(kinds) * group, 1, 1),
        group=(group, 1, 1),
        outputs=(Output(1, dtype),),
        notes={"rows": values},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The logarithm of the sum of exponentials of each row, in float64."""
    values = decode(launch.notes["rows"], str(request.axes["dtype"]))
    most = values.max(axis=1)
    with np.errstate(invalid="ignore"):
        sums = np.exp(values - most[:, None]).sum(axis=1)
        return {1: np.where(np.isinf(most), most, np.log(sums) + most)}
