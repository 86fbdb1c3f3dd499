# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading Apple's compiled Metal libraries (`.metallib`): which kernels they hold, and what each says of itself.

    with LibraryFile("mlx.metallib") as library:       # `air_container`: the index
        code = library.bitcode("argmax_float32")
    text = module(code).text                           # `bitcode_reader`: LLVM's text, read in a process of its own
    kernel(code).arguments                             # `air_kernel`: arguments, constants, layouts, limits

A library may come from anywhere. What is malformed is a MetalError, with the offset where there is one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from porter.errors import MetalError
from porter.metal.air_container import LibraryFile, LibraryFunction, LibraryHeader
from porter.metal.air_kernel import (
    CompiledArgument,
    CompiledConstant,
    CompiledKernel,
    StructField,
    read_kernel,
)
from porter.metal.bitcode_reader import ReadModule, ThreadgroupVariable, read_module

__all__ = [
    "CompiledArgument",
    "CompiledConstant",
    "CompiledKernel",
    "LibraryFile",
    "LibraryFunction",
    "LibraryHeader",
    "ReadModule",
    "StructField",
    "ThreadgroupVariable",
    "arguments",
    "bitcode",
    "functions",
    "kernel",
    "module",
]


def functions(path: Path) -> tuple[LibraryFunction, ...]:
    """Every function of the library, in the library's order. Reads the list only, not the bitcode."""
    return _opened(path).functions


def bitcode(path: Path, function: LibraryFunction) -> bytes:
    """The LLVM bitcode of one function, as `functions` placed it."""
    return _opened(path).bitcode(function)


def _opened(path: Path) -> LibraryFile:
    """The library at `path`, its index read once for as long as the file is the same."""
    try:
        status = path.stat()
    except OSError as error:
        raise MetalError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return _library(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _library(path: Path, _identity: tuple[int, ...]) -> LibraryFile:
    return LibraryFile(path)


def module(code: bytes) -> ReadModule:
    """`code` as LLVM reads it, older producers' typed pointers brought up to date: its text, and what it declares."""
    return read_module(code)


def kernel(code: bytes) -> CompiledKernel:
    """What the bitcode of one kernel says of its arguments, its function constants, its limits and its memory."""
    return read_kernel(read_module(code))


def arguments(code: bytes) -> tuple[CompiledArgument, ...]:
    """The arguments of the kernel in `code`, in order."""
    return kernel(code).arguments
