# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Translate the kernels of a compiled Metal library, and let LLVM's verifier look at each.

FILE is a .metallib (default: MLX v0.30.1's, from the registry). Of N kernels that --sample asks for, evenly over the
library, all are translated; --compile makes machine code of each too. Function constants without a value in --constant
NAME=VALUE are 0. Prints how many failed and of what, and median milliseconds a kernel. The status is 1 where one
failed.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import llvmlite.binding as llvm

from porter.errors import SteelPortError
from porter.metal.air import LibraryFile
from porter.metal.air_constants import Value
from porter.metal.air_kernel import read_kernel
from porter.metal.air_translate import translate_module
from porter.metal.bitcode_reader import read_module
from porter.metal.execution import compile_unit

_EXAMPLES = 3
_SECONDS_BETWEEN_REPORTS = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--sample", type=int, help="how many kernels (all)")
    parser.add_argument("--compile", action="store_true", help="make machine code too")
    parser.add_argument("--constant", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--match", default="", help="only kernels whose names this regular expression finds")
    options = parser.parse_args()
    if options.file is None:
        from porter.upstream.providers.wheel import metallib_of

        options.file = metallib_of("v0.30.1")
    given = {name: int(value) for name, value in (pair.split("=") for pair in options.constant)}
    times: dict[str, list[float]] = {}
    failures: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    start = reported = time.perf_counter()
    with LibraryFile(options.file) as library:
        index = time.perf_counter() - start
        names = [f.name for f in library.functions if f.type == "kernel" and re.search(options.match, f.name)]
        if options.sample:
            names = [names[i * len(names) // options.sample] for i in range(min(options.sample, len(names)))]
        for number, name in enumerate(names):
            try:
                one(library, name, given, options.compile, times)
            except (SteelPortError, RuntimeError) as error:
                cause = re.sub(r"%?\b[\w.]*\d[\w.]*", "N", str(getattr(error, "what", error)).strip())[:160]
                failures.setdefault(cause, []).append(name)
            counts["kernels"] += 1
            if time.perf_counter() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.perf_counter()
                print(f"  {number + 1} of {len(names)} after {reported - start:.0f} s", flush=True)
    failed = sum(map(len, failures.values()))
    print(f"{options.file}: {counts['kernels'] - failed} of {counts['kernels']} kernels translate and verify; ", end="")
    print(f"index {1000 * index:.0f} ms, all {time.perf_counter() - start:.0f} s")
    for step, taken in times.items():
        print(f"  {step}: median {1000 * statistics.median(taken):.1f} ms, most {1000 * max(taken):.0f} ms")
    for cause, found in sorted(failures.items(), key=lambda item: -len(item[1])):
        print(f"  {len(found)} x {cause} ({', '.join(found[:_EXAMPLES])})")
    return int(failed > 0)


def one(library: LibraryFile, name: str, given: dict[str, int], compiled: bool, times: dict[str, list[float]]) -> None:
    """Translate and verify one kernel, and note how long each step took."""

    def took(step: str, since: float) -> float:
        now = time.perf_counter()
        times.setdefault(step, []).append(now - since)
        return now

    at = time.perf_counter()
    module = read_module(library.bitcode(name))
    at = took("reading", at)
    constants: dict[str | int, Value] = {
        constant.name: given.get(constant.name, 0) for constant in read_kernel(module).constants
    }
    unit = translate_module(module, library="library", constants=constants)
    at = took("translating", at)
    llvm.parse_assembly(unit.ir).verify()
    at = took("verifying", at)
    if compiled:
        compile_unit(unit)
        took("compiling", at)


if __name__ == "__main__":
    sys.exit(main())
