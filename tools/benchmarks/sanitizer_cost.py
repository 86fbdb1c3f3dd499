# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What STEEL_METAL_CHECK=1 costs: two of Apple's compiled kernels (MLX v0.30.1) on one core, without it and with it.

Kernels are compiled with or without checks for a whole process, so that each side runs in one of its own; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

import numpy as np
from gemm_gflops import compiled_kernel, gemm_params, seconds

from porter.metal import AirLibrary, set_cores

RUNS = 5
ELEMENTS = 1 << 20
EDGE = 512


def measure() -> dict[str, float]:
    """Median seconds of each kernel in this process."""
    from porter.upstream.providers.wheel import metallib_of

    set_cores(1)
    path = metallib_of("v0.30.1")
    a, b = (np.ones(ELEMENTS, np.float32) for _ in range(2))
    out = np.zeros_like(a)
    add = AirLibrary(path)["vvn_Addfloat32"]
    size = np.array([ELEMENTS], np.uint32)
    left, right = (np.ones((EDGE, EDGE), np.float32) for _ in range(2))
    product = np.zeros_like(left)
    gemm = compiled_kernel(path)
    buffers = {0: left, 1: right, 3: product, 4: gemm_params(EDGE, (64, 64, 16, 2, 2))}
    works = {
        f"vvn_Addfloat32, {ELEMENTS} elements": lambda: add({0: a, 1: b, 2: out, 3: size}, (ELEMENTS // 2,), (1024,)),
        f"fused GEMM, {EDGE} x {EDGE} x {EDGE}": lambda: gemm(
            buffers, (EDGE // 64 * 32, EDGE // 64 * 2, 2), (32, 2, 2)
        ),
    }
    medians = {}
    for label, work in works.items():
        work()
        medians[label] = statistics.median(seconds(work) for _ in range(RUNS))
    return medians


def in_a_process(check: str) -> dict[str, float]:
    environment = {**os.environ, "STEEL_METAL_CHECK": check}
    command = [sys.executable, __file__, "--measure"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="print this process' own figures as JSON")
    if parser.parse_args().measure:
        print(json.dumps(measure()))
        return
    without, checked = in_a_process("0"), in_a_process("1")
    for label, plain in without.items():
        print(f"{label:36} without {plain * 1e3:8.2f} ms   with {checked[label] * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
