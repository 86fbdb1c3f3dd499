# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The one form of a kernel that every loader hands over, and every way of executing takes.

A loader (Metal source: `compiler`; a compiled library: `air_library`) makes a KernelUnit; `execution` runs it on this
machine. Neither knows the other, so that lanes as vector lanes, or another device, are another module beside
`execution` and no change to a loader.

`KernelUnit.ir` is LLVM IR in these terms (runtime/kernel_abi.h, runtime/kernel_operations.h):

- an entry is `void (ptr buffers, ptr memory, ptr here)`: bound addresses (threadgroup arguments behind the buffers),
  the threadgroup's memory and the thread's place;
- a threadgroup variable is a thread_local global, everything is in address space 0;
- what lanes do together is a call of a function in kernel_operations.h, an 8 x 8 product the pure function
  `msl_matrix_multiply_accumulate` of this lane's two elements of each matrix;
- function constants have their values.
"""

from __future__ import annotations

from dataclasses import dataclass

# runtime/kernel_abi.h
MAX_BUFFERS = 31
MAX_THREADGROUP_ARGUMENTS = 31
MAX_THREADS = 1024


@dataclass(frozen=True)
class KernelArgument:
    """A buffer, or threadgroup memory whose size the host sets.

    `type` is the pointee as written, for messages. `address_space` is `device`, `constant` or `threadgroup`; `slot` the
    index of [[buffer(n)]] or [[threadgroup(n)]]; `size` bytes of one element, 0 where it is not known.
    """

    name: str
    type: str
    address_space: str
    slot: int
    size: int
    is_const: bool

    def __post_init__(self) -> None:
        if self.address_space not in ("device", "constant", "threadgroup"):
            raise ValueError(f"argument {self.name} is in address space {self.address_space!r}")
        if not 0 <= self.slot < MAX_BUFFERS:
            raise ValueError(f"argument {self.name} has slot {self.slot}, expected 0..{MAX_BUFFERS - 1}")


@dataclass(frozen=True)
class KernelEntry:
    """A kernel of a unit: its host name, the symbol of its entry, its arguments, the most threads in a threadgroup."""

    host_name: str
    symbol: str
    arguments: tuple[KernelArgument, ...]
    max_threads: int = MAX_THREADS

    def __post_init__(self) -> None:
        if not 1 <= self.max_threads <= MAX_THREADS:
            raise ValueError(f"kernel {self.host_name} allows {self.max_threads} threads, expected 1..{MAX_THREADS}")


@dataclass(frozen=True)
class KernelUnit:
    """LLVM IR and the kernels in it. `name` is what messages call it (`source.metal`, a library's file name)."""

    name: str
    ir: str
    kernels: tuple[KernelEntry, ...]
