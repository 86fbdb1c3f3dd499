# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A kernel that can be launched, and the records in which the runtime is told of it (runtime/kernel_abi.h)."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from porter.errors import MetalError
from porter.metal.kernel_unit import MAX_BUFFERS, MAX_THREADGROUP_ARGUMENTS, KernelArgument, KernelEntry
from porter.metal.runtime_build import runtime_library

if TYPE_CHECKING:
    import numpy

_ERROR_BYTES = 16 * 1024


class _Argument(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("address_space", ctypes.c_char_p),
        ("slot", ctypes.c_uint32),
        ("pointee_size", ctypes.c_uint32),
        ("is_const", ctypes.c_uint32),
    )


class _Kernel(ctypes.Structure):
    _fields_ = (
        ("host_name", ctypes.c_char_p),
        ("entry", ctypes.c_void_p),
        ("row", ctypes.c_void_p),
        ("max_threads", ctypes.c_uint32),
        ("threadgroup_memory", ctypes.c_uint32),
        ("needs_fibers", ctypes.c_uint32),
        ("argument_count", ctypes.c_uint32),
        ("arguments", ctypes.POINTER(_Argument)),
        ("check", ctypes.c_void_p),
    )


class _Binding(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("size", ctypes.c_uint64), ("before", ctypes.c_uint64))


class _Launch(ctypes.Structure):
    _fields_ = (
        ("buffers", _Binding * MAX_BUFFERS),
        ("threadgroup_lengths", ctypes.c_uint64 * MAX_THREADGROUP_ARGUMENTS),
        ("threads", ctypes.c_uint64 * 3),
        ("group", ctypes.c_uint64 * 3),
    )


class Kernel:
    """One compiled kernel; calling it runs it over a grid."""

    def __init__(
        self, entry: KernelEntry, *, address: int, row: int, threadgroup_memory: int, check: int = 0, code: object
    ) -> None:
        """`address` and `row` are those of an msl_entry and an msl_row, of which one may be 0; `check` is that of what
        the sanitizer knows of the kernel; `code` keeps all of them loaded."""
        self.name: str = entry.host_name
        self.arguments: tuple[KernelArgument, ...] = entry.arguments
        self.max_threads: int = entry.max_threads
        self.threadgroup_memory: int = threadgroup_memory
        self.needs_fibers: bool = row == 0
        self._code = code
        self._arguments = (_Argument * max(len(entry.arguments), 1))(*map(_record, entry.arguments))
        self._record = _Kernel(
            entry.host_name.encode(),
            address,
            row,
            entry.max_threads,
            threadgroup_memory,
            int(self.needs_fibers),
            len(entry.arguments),
            self._arguments,
            check,
        )

    @property
    def record_address(self) -> int:
        """The address of its msl_kernel, good as long as this object lives."""
        return ctypes.addressof(self._record)

    def __call__(
        self,
        buffers: Mapping[int, numpy.ndarray[Any, Any] | bytes],
        threads: Sequence[int],
        group: Sequence[int],
        threadgroup_memory: Mapping[int, int] | None = None,
    ) -> None:
        """Run over `threads` threads in threadgroups of `group`, both up to three numbers (x, y, z; 1 where left out).

        `buffers` maps slots to C-contiguous arrays, which the kernel reads and writes in place, or to bytes, which it
        may only read. `threadgroup_memory` maps [[threadgroup(n)]] to bytes. Raises MetalError on an argument that is
        missing, too small or may not be written, on a group the kernel does not allow, and on what goes wrong while it
        runs.
        """
        launch = _Launch()
        launch.threads[:] = _three(threads)
        launch.group[:] = _three(group)
        for index, length in (threadgroup_memory or {}).items():
            if not 0 <= index < MAX_THREADGROUP_ARGUMENTS or length < 0:
                raise MetalError(f"kernel {self.name}: {length} bytes for [[threadgroup({index})]]")
            launch.threadgroup_lengths[index] = length
        for argument in self.arguments:
            if argument.address_space != "threadgroup":
                self._bind(argument, buffers, launch)
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        status = runtime().msl_dispatch(
            ctypes.byref(self._record), ctypes.byref(launch), error, ctypes.c_uint64(_ERROR_BYTES)
        )
        if status != 0:
            raise MetalError(error.value.decode(errors="replace"))

    def _bind(self, argument: KernelArgument, buffers: Mapping[int, Any], launch: _Launch) -> None:
        if argument.slot not in buffers:
            slots = [one.slot for one in self.arguments if one.address_space != "threadgroup"]
            raise MetalError(f"{self._place(argument)} is missing", expected=f"slots {slots}")
        address, size, writable = self._memory(argument, buffers[argument.slot])
        if size < max(argument.size, 1):
            raise MetalError(
                f"{self._place(argument)} has {size} bytes",
                expected=f"at least {max(argument.size, 1)} ({argument.type})",
            )
        if not writable and not argument.is_const:
            raise MetalError(f"{self._place(argument)} is written by the kernel", expected="a writable array")
        binding = launch.buffers[argument.slot]
        binding.address, binding.size = address, size

    def _place(self, argument: KernelArgument) -> str:
        return f"kernel {self.name}: argument {argument.name} [[buffer({argument.slot})]]"

    def _memory(self, argument: KernelArgument, value: Any) -> tuple[int, int, bool]:
        """(address, bytes, writable) of an array or of bytes."""
        if isinstance(value, bytes):
            return ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p).value or 0, len(value), False
        flags = value.flags
        if not flags.c_contiguous:
            raise MetalError(f"{self._place(argument)} is not contiguous", expected="a C-contiguous array")
        return int(value.ctypes.data), int(value.nbytes), bool(flags.writeable)


def _record(argument: KernelArgument) -> _Argument:
    texts = (argument.name.encode(), argument.type.encode(), argument.address_space.encode())
    return _Argument(*texts, argument.slot, argument.size, int(argument.is_const))


def _three(numbers: Sequence[int]) -> list[int]:
    if not 1 <= len(numbers) <= 3 or any(number < 0 for number in numbers):
        raise MetalError(f"a grid has one to three sizes, not {tuple(numbers)}")
    return [*numbers, *[1] * (3 - len(numbers))]


def set_cores(cores: int) -> None:
    """Run later dispatches of this process on `cores` cores; 0 means all."""
    runtime().msl_set_cores(ctypes.c_uint32(cores))


@cache
def runtime() -> ctypes.CDLL:
    """The runtime, loaded so that kernels find its functions."""
    return ctypes.CDLL(str(runtime_library()), mode=ctypes.RTLD_GLOBAL)
