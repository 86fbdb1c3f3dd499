# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How long `steel-port sync` takes, beside one syntax-only pass of the same compiler over the same files.

cold       `sync --no-verify`, upstream vendored, nothing remembered, generated/ absent
syntax     libclang 18 (the parser of `sync`) over the kernel header, what it includes and all 96 instantiations, bodies
           and all: what `-fsyntax-only` does, in a process of its own
parse      the same pass alone, without the start of the process around it
unchanged  `sync --no-verify` again
Whole processes, in turn; medians and the ratio pair by pair. Peak memory is the largest single process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SYNTAX = """
import sys
import time
from pathlib import Path
import clang.cindex
from porter.metal.frontend import parse
from porter.spec import load_families
from porter.upstream import vendored

sources = vendored(Path(sys.argv[1]) / "upstream_mlx")
(family,) = load_families(["steel_gemm_fused"])
main = "".join(f'#include "{path}"\\n' for path in (*family.preamble, family.kernel))
for row in family.instantiations():
    arguments = ", ".join(row.arguments)
    main += f"template decltype({row.template}<{arguments}>) {row.template}<{arguments}>;\\n"
parse("", {})  # loads the library
start = time.perf_counter()
parse(main, {path: file.text for path, file in sources.files.items() if path.endswith(".h")})
Path(sys.argv[2]).write_text(str(time.perf_counter() - start))
"""


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Seconds and peak KiB of one whole process. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise subprocess.CalledProcessError(status, command)
    return seconds, usage.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mlx-rev", default="v0.30.1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, state = Path(folder) / "work", Path(folder) / "cache"
        environment = {**os.environ, "STEEL_PORT_CACHE": str(state)}
        sync = [
            sys.executable,
            "-m",
            "porter",
            "sync",
            "--no-verify",
            "--root",
            str(root),
            "--mlx-rev",
            options.mlx_rev,
        ]
        root.mkdir()
        timed(sync, environment)  # vendors upstream, and warms the disk cache
        rows: dict[str, list[tuple[float, int]]] = {"cold": [], "syntax": [], "parse": [], "unchanged": []}
        for _ in range(options.runs):
            shutil.rmtree(root / "generated")
            shutil.rmtree(state / "sync")
            rows["cold"].append(timed(sync, environment))
            alone = root / "seconds"
            rows["syntax"].append(timed([sys.executable, "-c", SYNTAX, str(root), str(alone)], environment))
            rows["parse"].append((float(alone.read_text()), rows["syntax"][-1][1]))
            rows["unchanged"].append(timed(sync, environment))
    for name, runs in rows.items():
        seconds = [run[0] for run in runs]
        print(
            f"{name:10} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"
            f"   peak {max(run[1] for run in runs) / 1024:.0f} MiB"
        )
    for other in ("syntax", "parse"):
        ratios = [a[0] / b[0] for a, b in zip(rows["cold"], rows[other], strict=True)]
        print(f"cold / {other} {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
