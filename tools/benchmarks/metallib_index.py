# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench metallib_index [FILE]: how long it takes to open a compiled library and read its kernels.

FILE is what `steel-port metallib` takes; without it, MLX 0.30.1's library (105 MB, 14,804 kernels) from the registry.
Beside it, in the same run: reading all of the file, and LLVM reading the same kernels without a process between.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from porter.metal.air import LibraryFile, read_kernel, read_module
from porter.metal.library_files import open_libraries

REPEATS = 9
KERNELS = 400  # evenly over the library


def milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of `repeats` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def close(libraries: list[LibraryFile]) -> int:
    for library in libraries:
        library.close()
    return sum(map(len, libraries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="a .metallib, a Mach-O file, or WHEEL:MEMBER")
    file = parser.parse_args().file
    if file is None:
        from porter.upstream.providers.wheel import metallib_of

        file = str(metallib_of("v0.30.1"))

    def index() -> int:
        return close([carried.library for carried in open_libraries(file)])

    print(f"{file}: {index()} functions")
    print(f"  open, with the index        {milliseconds(index):8.1f} ms (asked for: below 500)")
    if Path(file).is_file():
        print(f"  read every byte of the file {milliseconds(Path(file).read_bytes, 3):8.1f} ms")
    read_kernels(open_libraries(file)[0].library)


def read_kernels(library: LibraryFile) -> None:
    import llvmlite.binding as llvm

    step = max(1, len(library) // KERNELS)
    codes = [library.bitcode(function) for function in library.functions[::step]]
    first = milliseconds(lambda: read_module(codes[0]), 1)
    modules = [read_module(code) for code in codes]

    def here() -> None:
        for code in codes:
            module = llvm.parse_bitcode(code, context=llvm.create_context())
            module.verify()
            str(module)

    def there() -> None:
        for code in codes:
            read_module(code)

    def metadata() -> None:
        for module in modules:
            read_kernel(module)

    print(f"  {len(codes)} kernels, each:")
    print(f"    LLVM reads and prints it, in this process {milliseconds(here, 3) / len(codes):6.2f} ms")
    print(f"    the same in the process for bitcode       {milliseconds(there, 3) / len(codes):6.2f} ms")
    print(f"    its metadata, read from the text          {milliseconds(metadata, 3) / len(codes):6.2f} ms")
    print(f"    the first kernel, with the process' start {first:6.1f} ms")


if __name__ == "__main__":
    main()
