# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal from Python, without torch: compile a source, look a kernel up, run it on numpy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porter.errors import MetalError
from porter.metal.compiler import compile_module, kernel_names
from porter.metal.runtime_build import runtime_library

if TYPE_CHECKING:
    import numpy

# runtime/kernel_abi.h
_ABI_VERSION = 1
_MAX_BUFFERS = 31
_ERROR_BYTES = 1024


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
        ("max_threads", ctypes.c_uint32),
        ("threadgroup_memory", ctypes.c_uint32),
        ("needs_fibers", ctypes.c_uint32),
        ("argument_count", ctypes.c_uint32),
        ("arguments", ctypes.POINTER(_Argument)),
    )


class _Module(ctypes.Structure):
    _fields_ = (
        ("abi_version", ctypes.c_uint32),
        ("kernel_count", ctypes.c_uint32),
        ("kernels", ctypes.POINTER(_Kernel)),
    )


@dataclass(frozen=True)
class BufferArgument:
    """A buffer that a kernel takes. `size` is bytes of one element, 0 where it is not known."""

    name: str
    type: str
    address_space: str
    slot: int
    size: int
    is_const: bool


class Kernel:
    """One compiled kernel; calling it runs it over a grid."""

    def __init__(self, record: _Kernel, module: ctypes.CDLL) -> None:
        self._record = record
        self._module = module  # keeps the code loaded
        self.name: str = record.host_name.decode()
        self.max_threads: int = record.max_threads
        self.threadgroup_memory: int = record.threadgroup_memory
        self.needs_fibers: bool = bool(record.needs_fibers)
        self.arguments: tuple[BufferArgument, ...] = tuple(
            BufferArgument(
                one.name.decode(),
                one.type.decode(),
                one.address_space.decode(),
                one.slot,
                one.pointee_size,
                bool(one.is_const),
            )
            for one in record.arguments[: record.argument_count]
        )

    def __call__(
        self,
        buffers: Mapping[int, numpy.ndarray[Any, Any] | bytes],
        threads: Sequence[int],
        group: Sequence[int],
    ) -> None:
        """Run over `threads` threads in threadgroups of `group`, both up to three numbers (x, y, z; 1 where left out).

        `buffers` maps slots to C-contiguous arrays, which the kernel reads and writes in place, or to bytes, which it
        may only read. Raises MetalError on an argument that is missing, too small or may not be written, on a group
        the kernel does not allow, and on what goes wrong while it runs.
        """
        addresses = (ctypes.c_void_p * _MAX_BUFFERS)()
        held = [self._bind(argument, buffers, addresses) for argument in self.arguments]
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        status = _runtime().msl_dispatch(
            ctypes.byref(self._record), addresses, _three(threads), _three(group), error, ctypes.c_uint64(_ERROR_BYTES)
        )
        del held
        if status != 0:
            raise MetalError(error.value.decode(errors="replace"))

    def _bind(
        self, argument: BufferArgument, buffers: Mapping[int, Any], addresses: ctypes.Array[ctypes.c_void_p]
    ) -> object:
        place = f"kernel {self.name}: argument {argument.name} [[buffer({argument.slot})]]"
        if argument.slot not in buffers:
            raise MetalError(f"{place} is missing", expected=f"slots {[one.slot for one in self.arguments]}")
        value = buffers[argument.slot]
        address, size, writable = _memory(value, place)
        if size < max(argument.size, 1):
            raise MetalError(
                f"{place} has {size} bytes", expected=f"at least {max(argument.size, 1)} ({argument.type})"
            )
        if not writable and not argument.is_const:
            raise MetalError(f"{place} is written by the kernel", expected="a writable array")
        addresses[argument.slot] = address
        return value


def _memory(value: Any, place: str) -> tuple[int, int, bool]:
    """(address, bytes, writable) of an array or of bytes."""
    if isinstance(value, bytes):
        return ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p).value or 0, len(value), False
    flags = value.flags
    if not flags.c_contiguous:
        raise MetalError(f"{place} is not contiguous", expected="a C-contiguous array")
    return int(value.ctypes.data), int(value.nbytes), bool(flags.writeable)


def _three(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
    if not 1 <= len(numbers) <= 3 or any(number < 0 for number in numbers):
        raise MetalError(f"a grid has one to three sizes, not {tuple(numbers)}")
    return (ctypes.c_uint64 * 3)(*numbers, *[1] * (3 - len(numbers)))


class Library:
    """The kernels of one Metal source. Each is compiled when it is first asked for."""

    def __init__(self, source: str, *, optimise: bool = True) -> None:
        """Nothing is read yet: a source that is not Metal is found out by `names` and by looking a kernel up."""
        self._source = source
        self._optimise = optimise
        self._kernels: dict[str, Kernel] = {}

    def names(self) -> tuple[str, ...]:
        """The host names of its kernels. Raises MetalError where the source is not valid Metal."""
        return kernel_names(self._source)

    def __getitem__(self, name: str) -> Kernel:
        """The kernel of that host name. Raises MetalError where there is none, and where it cannot be compiled."""
        if name not in self._kernels:
            self._kernels[name] = load_module(compile_module(self._source, optimise=self._optimise, kernels=[name]))[0]
        return self._kernels[name]


def load_module(path: Path) -> tuple[Kernel, ...]:
    """The kernels of a compiled module. Raises MetalError where it is not a module of this version."""
    _runtime()
    module = ctypes.CDLL(str(path))
    info = _Module.in_dll(module, "msl_module")
    if info.abi_version != _ABI_VERSION:
        raise MetalError(f"a module of version {info.abi_version}", where=str(path), expected=str(_ABI_VERSION))
    return tuple(Kernel(info.kernels[i], module) for i in range(info.kernel_count))


def set_cores(cores: int) -> None:
    """Run later dispatches of this process on `cores` cores; 0 means all."""
    _runtime().msl_set_cores(ctypes.c_uint32(cores))


@cache
def _runtime() -> ctypes.CDLL:
    return ctypes.CDLL(str(runtime_library()), mode=ctypes.RTLD_GLOBAL)
