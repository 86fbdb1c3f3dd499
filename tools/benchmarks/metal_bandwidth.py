# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Bandwidth of elementwise, copy and reduce kernels on 2^24 floats beside numpy, in one run.

The kernels are Apple's compiled ones out of MLX v0.30.1's library (from the registry, or --metallib), launched with the
grids that MLX's host code picks (binary.cpp, copy.cpp, reduce.cpp of that revision). `bytes` are those read and written
once each. numpy runs on one core, the kernels on as many as --cores names.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"  # read when numpy is imported

import numpy as np  # noqa: E402

from porter.metal import AirLibrary, set_cores  # noqa: E402

SIZE = 1 << 24
GROUP = 1024
REDUCE_ROWS = 128  # reduce.cpp: 32 * REDUCE_N_READS, for inputs of at most 2^26 bytes


@dataclass(frozen=True)
class Case:
    """One kernel and what numpy does instead; `bytes` for both."""

    label: str
    bytes: int
    metal: Callable[[], None]
    numpy: Callable[[], object]
    check: Callable[[], bool]


def cases(library: AirLibrary) -> list[Case]:
    rng = np.random.default_rng(0)
    a, b = (rng.random(SIZE, dtype=np.float32) for _ in range(2))
    out, beside = np.zeros_like(a), np.zeros_like(a)
    size = np.array([SIZE], np.uint32)
    length, row = np.array([SIZE], np.uint64), np.array([SIZE // REDUCE_ROWS], np.uint64)
    partial, total = np.zeros(REDUCE_ROWS, np.float32), np.zeros(1, np.float32)
    add, copy, square, reduce = (
        library[name]
        for name in ("vvn_Addfloat32", "vn_copyfloat32float32", "vn_Squarefloat32float32", "all_reduce_sumfloat32")
    )

    def all_reduce() -> None:
        reduce({0: a, 1: partial, 2: length, 3: row}, (GROUP, REDUCE_ROWS), (GROUP,))
        count = np.array([REDUCE_ROWS], np.uint64)
        reduce({0: partial, 1: total, 2: count, 3: count}, (32,), (32,))

    grid = (SIZE // 2,)  # two elements a thread
    return [
        Case(
            "vvn_Add",
            3 * a.nbytes,
            lambda: add({0: a, 1: b, 2: out, 3: size}, grid, (GROUP,)),
            lambda: np.add(a, b, out=beside),
            lambda: bool((out == beside).all()),
        ),
        Case(
            "vn_copy",
            2 * a.nbytes,
            lambda: copy({0: a, 1: out, 2: size}, grid, (GROUP,)),
            lambda: np.copyto(beside, a),
            lambda: bool((out == beside).all()),
        ),
        Case(
            "vn_Square",
            2 * a.nbytes,
            lambda: square({0: a, 1: out, 2: size}, grid, (GROUP,)),
            lambda: np.square(a, out=beside),
            lambda: bool((out == beside).all()),
        ),
        # Sums of n terms in any order differ by at most n eps sum|x| from the exact one.
        Case(
            "all_reduce_sum",
            a.nbytes,
            all_reduce,
            lambda: a.sum(),
            lambda: abs(float(total[0]) - a.sum(dtype=np.float64)) <= SIZE * 2.0**-24 * float(a.sum(dtype=np.float64)),
        ),
    ]


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metallib", type=Path)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    path = options.metallib
    if path is None:
        from porter.upstream.providers.wheel import metallib_of

        path = metallib_of("v0.30.1")
    print(f"2^24 floats; medians of {options.runs} runs, side by side")
    print(f"{'kernel':16} {'cores':>5} {'GB/s':>7} {'numpy':>7} {'ratio':>6}")
    with AirLibrary(path) as library:
        for case in cases(library):
            for cores in options.cores:
                set_cores(cores)
                case.metal()
                case.numpy()
                if not case.check():
                    raise SystemExit(f"{case.label} is wrong")
                pairs = [(seconds(case.metal), seconds(case.numpy)) for _ in range(options.runs)]
                ours, theirs = (case.bytes / statistics.median(times) / 1e9 for times in zip(*pairs, strict=True))
                print(f"{case.label:16} {cores:5} {ours:7.1f} {theirs:7.1f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
