# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases of the fence kernels, each run alone.

`input_coherent` writes each of `size` words (slot 1) of its buffer back, in whole threadgroups of 1024; `fence_update`
stores a number in the first word, with one thread; `fence_wait` returns once the first word is at least a number, with
one thread, and leaves it. It is launched only where that holds already: nothing else runs here that could make it so.
The order of memory between devices, for which the kernels exist, is not something that one processor can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.errors import ProofError
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = "what the kernel is given"

GROUP = 1024  # threads, as the host dispatches input_coherent
ONE = (1, 1, 1)
LARGEST = 2**32 - 1


def launches(request: Request) -> Iterator[Launch]:
    name, rng = request.row.template, request.rng()
    if name == "input_coherent":
        # A rest of a threadgroup, more words than the kernel may touch behind it, one word.
        cases = [_coherent(rng, size, words) for size, words in ((1500, 1600), (GROUP, GROUP), (1, 2))]
    elif name == "fence_update":
        cases = [_stamp(name, before, value) for before, value in ((6, 7), (0, 0), (9, LARGEST))]
    elif name == "fence_wait":
        cases = [_stamp(name, stamp, value) for stamp, value in ((7, 7), (8, 7), (LARGEST, 0))]
    else:
        raise ProofError(f"{name} is no kernel of a fence", where=request.row.host_name)
    yield from cases if request.thorough else cases[:1]


def _coherent(rng: np.random.Generator, size: int, words: int) -> Launch:
    data = rng.integers(0, LARGEST, words, np.uint32, endpoint=True)
    buffers: dict[int, Array | bytes] = {0: data, 1: np.array([size], np.uint32)}
    threads = -(-size // GROUP) * GROUP
    return Launch(f"{size} of {words} words", buffers, (threads, 1, 1), (GROUP, 1, 1), (Output(0, "uint32"),))


def _stamp(name: str, before: int, value: int) -> Launch:
    buffers: dict[int, Array | bytes] = {0: np.array([before, 1], np.uint32), 1: np.array([value], np.uint32)}
    return Launch(f"{name}: {value} where {before} is", buffers, ONE, ONE, (Output(0, "uint32"),))


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    words = np.array(launch.buffers[0], np.uint32)
    if request.row.template == "fence_update":
        words[0] = np.asarray(launch.buffers[1])[0]
    return {0: words}
