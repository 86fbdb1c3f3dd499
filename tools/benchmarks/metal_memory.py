# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What memory Metal on the CPU takes beside the buffers: after 10^6 dispatches, and for threadgroups of 1024 threads.

It runs the program of tests/metal/native with the runtime's sources, built without a sanitizer. Half of the dispatches
are of a kernel whose threads wait for each other (fibers), half of one whose threads do not. What the issue allows is
256 KiB for each thread of the threadgroups that run at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from porter.metal import toolchain
from porter.metal.frontend import RUNTIME

NATIVE = Path(__file__).parents[2] / "tests" / "metal" / "native"
ARGUMENTS = ("-std=c++20", "-O3", "-fno-optimize-sibling-calls", "-ffp-contract=off", "-pthread", f"-I{RUNTIME}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dispatches", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "harness")
        sources = [str(path) for path in (*sorted(RUNTIME.glob("*.cpp")), NATIVE / "harness.cpp")]
        subprocess.run([toolchain.system_compiler(), *ARGUMENTS, *sources, "-lm", "-o", program], check=True)
        subprocess.run([program, "repeated", str(options.dispatches)], check=True)
        for cores in sorted({1, 2, os.cpu_count() or 1}):
            subprocess.run([program, "memory", str(cores)], check=True)


if __name__ == "__main__":
    main()
