# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The libraries of kernels that native code asks for by name (native/control.h).

Python opens them, by `porter.metal` or by what `using` was given, and keeps every one as long as the process lives:
pipelines outlive their library on Metal, and native code holds bare addresses of kernels. The same source, and the same
compiled library, is opened once.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from porter.errors import MetalError
from porter.metal.names import nearest

if TYPE_CHECKING:
    from porter.metal.library import Library

_DONE, _SOURCE_ERROR, _TOOL_ERROR, _ABSENT = range(4)  # control.h


class AbsentKernel(Exception):
    """There is no kernel of that name; the message names the nearest."""


class KernelRecord(Protocol):
    """A kernel; `record_address` is that of its msl_kernel (runtime/kernel_abi.h), good as long as the object lives."""

    @property
    def record_address(self) -> int: ...


class KernelLibrary(Protocol):
    """What a source or a compiled library was opened to. `kernel` is asked only for names that `names` lists.

    Both may raise MetalError where the source or the library is at fault.
    """

    def names(self) -> Sequence[str]: ...

    def kernel(self, name: str) -> KernelRecord: ...


OpenSource = Callable[[str], KernelLibrary]


def open_source(source: str) -> KernelLibrary:
    """Metal source, by porter.metal's compiler. Raises MetalError with clang's report where it is not valid.

    Metal compiles when a library is made, so that is when a source has to be refused, with all its instantiations:
    clang is run over all of it. Machine code is made of a kernel when it is looked up.
    """
    from porter.metal.compiler import compile_source
    from porter.metal.library import Library

    compile_source(source)
    return _Source(Library(source))


def open_metallib(content: Path | bytes) -> KernelLibrary:
    """A compiled library, or its bytes. Raises MetalError where it is none."""
    from porter.metal.air_library import AirLibrary

    return AirLibrary(content)


class _Source:
    """A `Library` under the names of the protocol."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def names(self) -> Sequence[str]:
        return self._library.names()

    def kernel(self, name: str) -> KernelRecord:
        return self._library[name]


class _Opened:
    """One library under its handle, with the kernels that were looked up."""

    def __init__(self, library: KernelLibrary) -> None:
        self.names: tuple[str, ...] = tuple(library.names())
        self._library = library
        self._known = frozenset(self.names)
        self._kernels: dict[str, KernelRecord] = {}

    def kernel(self, name: str) -> KernelRecord:
        """Raises AbsentKernel where there is none of that name."""
        if name not in self._known:
            raise AbsentKernel(nearest(name, self.names))
        if name not in self._kernels:
            # setdefault: another thread may have been faster, and its record is the one that native code holds.
            return self._kernels.setdefault(name, self._library.kernel(name))
        return self._kernels[name]


class Libraries:
    """All libraries of this process, by handle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: list[_Opened] = []
        self._handles: dict[Hashable, int] = {}

    def open(self, key: Hashable, opening: Callable[[], KernelLibrary]) -> int:
        """The handle of what `opening` opens, or of what was opened under the same `key`."""
        with self._lock:
            if key in self._handles:
                return self._handles[key]
        opened = _Opened(opening())  # without the lock: it may take seconds
        with self._lock:
            if key not in self._handles:
                self._opened.append(opened)
                self._handles[key] = len(self._opened)
            return self._handles[key]

    def __getitem__(self, handle: int) -> _Opened:
        return self._opened[handle - 1]


# ---------------------------------------------------------------------------------------------------------------------
# The hooks

_TEXT = (ctypes.POINTER(ctypes.c_char), ctypes.c_uint64)
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, *_TEXT, ctypes.POINTER(ctypes.c_uint64), *_TEXT)
_NAMES = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64), *_TEXT)
_KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p), *_TEXT)


class Hooks(ctypes.Structure):
    """porter_mps_libraries of control.h. Python's functions, so the object must live as long as they may be called."""

    _fields_ = (
        ("open_source", _OPEN),
        ("open_file", _OPEN),
        ("open_bytes", _OPEN),
        ("names", _NAMES),
        ("kernel", _KERNEL),
    )


def make_hooks(libraries: Libraries, open_source: OpenSource) -> Hooks:
    """The functions that native code calls, which compile source by `open_source`."""

    def from_source(data: bytes) -> int:
        source = data.decode(errors="replace")
        return libraries.open((open_source, hashlib.sha256(data).digest()), lambda: open_source(source))

    def from_file(data: bytes) -> int:
        path = Path(os.fsdecode(data))
        return libraries.open(_file_key(path), lambda: open_metallib(path))

    def from_bytes(data: bytes) -> int:
        return libraries.open(hashlib.sha256(data).digest(), lambda: open_metallib(data))

    def names(handle: int, needed: Any, text: Any, size: int) -> int:
        def write() -> None:
            lines = "\n".join(libraries[handle].names).encode()
            needed[0] = len(lines) + 1
            if len(lines) < size:
                _write(text, size, lines)

        return _answer(write, text, size)

    def kernel(handle: int, name: bytes, record: Any, text: Any, size: int) -> int:
        def find() -> None:
            record[0] = libraries[handle].kernel(name.decode(errors="replace")).record_address

        return _answer(find, text, size)

    return Hooks(
        _opening_hook(from_source), _opening_hook(from_file), _opening_hook(from_bytes), _NAMES(names), _KERNEL(kernel)
    )


def _opening_hook(opening: Callable[[bytes], int]) -> Any:
    def hook(data: Any, data_size: int, handle: Any, text: Any, size: int) -> int:
        def fill() -> None:
            handle[0] = opening(ctypes.string_at(data, data_size))

        return _answer(fill, text, size)

    return _OPEN(hook)


def _answer(work: Callable[[], None], text: Any, size: int) -> int:
    """Do it, and tell what went wrong as a status and a text: nothing may be raised through C++."""
    try:
        work()
    except AbsentKernel as error:
        _write(text, size, str(error).encode(errors="replace"))
        return _ABSENT
    except MetalError as error:
        _write(text, size, str(error).encode(errors="replace"))
        return _SOURCE_ERROR
    except BaseException as error:
        _write(text, size, (str(error) or type(error).__name__).encode(errors="replace"))
        return _TOOL_ERROR
    return _DONE


def _write(text: Any, size: int, data: bytes) -> None:
    shown = data[: size - 1] + b"\0"
    ctypes.memmove(text, shown, len(shown))


def _file_key(path: Path) -> Hashable:
    """What names a file's content as long as nobody changes it in place, without reading 100 MB."""
    try:
        status = path.stat()
    except OSError as error:
        raise MetalError(f"the library cannot be read: {error.strerror}", where=str(path)) from error
    return (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
