# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Builds libmsl_runtime.so, which runs kernels over grids (porter/metal/runtime)."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import ToolchainError
from porter.metal import kernel_cache, toolchain
from porter.metal.frontend import RUNTIME

_NAME = "libmsl_runtime.so"
_ARGUMENTS = (
    "-std=c++20",
    "-O3",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    # The core that a thread runs is asked for at every operation: the quick way to a thread-local variable.
    "-ftls-model=initial-exec",
    "-pthread",
    f"-Wl,-soname,{_NAME}",
)


@cache
def runtime_library() -> Path:
    """The path of libmsl_runtime.so, built with the system's compiler on first use.

    Raises ToolchainError that says what to install where there is no compiler.
    """
    compiler = toolchain.system_compiler()
    key = toolchain.digest([toolchain.compiler_identity(compiler), *_ARGUMENTS, toolchain.digest_of_folder(RUNTIME)])
    folder = cache_dir("runtime").absolute() / key
    library = folder / _NAME
    if library.is_file():
        return library
    kernel_cache.drop_leftovers(folder.parent)
    sources = sorted(str(path) for path in RUNTIME.glob("*.cpp"))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as name:
        result = toolchain.run([compiler, *_ARGUMENTS, *sources, "-lm", "-o", _NAME], folder=Path(name))
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise ToolchainError(
                "the Metal runtime could not be built: " + next((line for line in lines if "error" in line), lines[0]),
                where=compiler,
                expected="a C++20 compiler (gcc 11 or clang 14, or newer)",
                next_step="install a newer one and set $CXX to it",
            )
        folder.mkdir(exist_ok=True)
        (Path(name) / _NAME).replace(library)
    return library
