# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal on the CPU.

    library = Library(source)              # Metal source text
    library.names()                        # host names of its kernels
    library["add"]({0: a, 1: b, 2: out}, threads=(n,), group=(256,))

What a GPU leaves open is decided once (docs/metal.md): float arithmetic is IEEE single precision with denormals
flushed, never contracted; an 8 x 8 product begins with c and takes k = 0..7 in order with fused multiply-adds.
"""

from __future__ import annotations

from porter.metal.air_library import AirLibrary
from porter.metal.compiler import compile_source, kernel_names
from porter.metal.execution import load
from porter.metal.kernel import Kernel, set_cores
from porter.metal.kernel_unit import KernelArgument, KernelEntry, KernelUnit
from porter.metal.library import Library
from porter.metal.runtime_build import runtime_library

__all__ = [
    "AirLibrary",
    "Kernel",
    "KernelArgument",
    "KernelEntry",
    "KernelUnit",
    "Library",
    "compile_source",
    "enable_torch",
    "kernel_names",
    "load",
    "runtime_library",
    "set_cores",
]


def enable_torch() -> None:
    """Give torch the `mps` device, `torch.mps.compile_shader` and `torch.mps.load_metallib` (`porter.metal.torch`).

    Importing this package alone leaves torch as it is, and does not import it. A second call does nothing. Raises
    ToolchainError where there is no C++ compiler, or where torch has an mps device of its own.
    """
    from porter.metal.torch import enable

    enable()
