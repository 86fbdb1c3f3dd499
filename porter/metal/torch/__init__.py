# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's `mps` device and its Metal shader libraries, on Linux.

    import porter.metal
    porter.metal.enable_torch()      # from here on, torch has a device "mps"; the same as enable() of this module
    library = torch.mps.compile_shader(source)
    library = torch.mps.load_metallib("mlx.metallib")

    import porter.metal.torch as mt
    mt.load_glue([...], [...])       # host code in pure C++ against ATen/native/mps/MetalShaderLibrary.h

Importing changes nothing; `enable()` does. The classes behave as those of libtorch 2.13.0 on a Mac do, also where that
is inconvenient, and what a Mac leaves undefined is an error here:

- `runCommandBlock` is one serial queue; entering it from inside itself (also by copying or filling a tensor there) is
  a deadlock on a Mac and an error here.
- The encoder is shared, and bindings stay until a copy, a fill or a synchronisation ends it. `poison_bindings()` makes
  a kernel that reads a slot nobody bound since `startEncoding` an error.
- Setting arguments or dispatching outside of a block, or without `startEncoding` since the encoder ended, is an error.
- The data pointer of a tensor is no address: reading device memory from host code does not work.
- Fresh memory is not zero, float64 does not exist, arguments by value are at most 4096 bytes and never empty.
- Lookups are not thread-safe; `detect_lookup_races()` tells when that would have mattered.

`without_stock_semantics` switches off by name what these cost, for experiments.

Operators that no glue implements run on the CPU's kernels, on copies; random numbers come from a generator of the
device's own, and are not those of a Mac. Not available: PyTorch's own bundled Metal kernels and what runs them
(`getBundledLibrary`, `exec_unary_kernel` and its like), compile options, the profiler and the Metal capture.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from porter.errors import ToolchainError
from porter.metal.torch import semantics
from porter.metal.torch.libraries import Hooks, Libraries, OpenSource, make_hooks, open_source

_NATIVE = Path(__file__).parent / "native"
_RUNTIME_HEADERS = Path(__file__).parent.parent / "runtime"


@dataclass(frozen=True)
class Dispatch:
    """One kernel that ran: its host name, the grid in threads and the threadgroup's size, each as (x, y, z)."""

    kernel: str
    threads: tuple[int, int, int]
    group: tuple[int, int, int]


@dataclass
class _State:
    """What this process set up."""

    library: ctypes.CDLL | None = None
    libraries: Libraries = field(default_factory=Libraries)
    open_source: OpenSource | None = None
    # One for each way of opening sources: ctypes frees a callback that nobody holds, and native code may be in one.
    hooks: dict[OpenSource, Hooks] = field(default_factory=dict)
    has_runtime: bool = False
    semantics_off: int = 0


_state = _State()
_lock = threading.Lock()


def enable() -> None:
    """Give torch the `mps` device, with the compiler of `porter.metal` and its runtime. A second call does nothing.

    Raises ToolchainError where there is no C++ compiler, or where torch has an mps device of its own.
    """
    with _lock:
        if _state.library is None:
            _state.library = _load_device()
        if _state.open_source is None:
            _set_open_source(open_source)
        if not _state.has_runtime:
            _load_runtime()


@contextmanager
def using(open_source: OpenSource) -> Iterator[None]:
    """Enable the device and, for the length of the block, open Metal source by `open_source`.

    `open_source` turns source into a KernelLibrary (libraries.py); what it raises comes out of the library that is
    made: MetalError as a SyntaxError, anything else as libtorch's "Failed to create metal library".
    """
    enable()
    former = _state.open_source
    _set_open_source(open_source)
    try:
        yield
    finally:
        _set_open_source(former)


@contextmanager
def without_stock_semantics(off: Collection[str]) -> Iterator[None]:
    """For the length of the block, do without what these of libtorch's semantics cost: names of semantics.COSTS.

    For experiments: host code that needs one of them does not run on a Mac. The block replaces what an outer one
    switched off, for all threads. Raises ValueError for a name that is not there.
    """
    library = _library()
    former, _state.semantics_off = _state.semantics_off, semantics.bits(off)
    library.porter_mps_set_semantics_off(_state.semantics_off)
    try:
        yield
    finally:
        _state.semantics_off = former
        library.porter_mps_set_semantics_off(former)


def enabled() -> bool:
    """Whether `enable` has been called in this process."""
    return _state.library is not None


def poison_bindings(on: bool = True) -> None:
    """While on, `startEncoding` poisons all buffer slots, so that a kernel which declares an argument that was not
    bound since then is refused, with its name, the slot and the argument."""
    _library().porter_mps_poison_bindings(int(on))


def detect_lookup_races(on: bool = True, hold_ms: int = 0) -> None:
    """While on, the first lookup of a kernel's name beside any other lookup in the same library raises.

    `hold_ms`: how many milliseconds each first lookup is drawn out, so that threads that may meet do meet.
    """
    _library().porter_mps_detect_lookup_races(int(on), hold_ms)


def set_device(name: str = "Apple M1", cores: int = 7, macos: tuple[int, int] = (15, 0)) -> None:
    """Which Mac this is, to `at::mps::MPSDevice` (name, core count, GPU family by the name), and to torch.mps."""
    if cores <= 0:
        raise ValueError(f"a GPU has at least one core, not {cores}")
    _library().porter_mps_set_device(name.encode(), cores, *macos)


@contextmanager
def record_dispatches() -> Iterator[list[Dispatch]]:
    """Yield a list that holds, when the block ends, the kernels that ran inside it, in order."""
    library = _library()
    dispatches: list[Dispatch] = []
    _take_dispatches(library)
    library.porter_mps_record_dispatches(1)
    try:
        yield dispatches
    finally:
        library.porter_mps_record_dispatches(0)
        for line in _take_dispatches(library).splitlines():
            kernel, *sizes = line.rsplit(" ", 6)
            x, y, z, group_x, group_y, group_z = map(int, sizes)
            dispatches.append(Dispatch(kernel, (x, y, z), (group_x, group_y, group_z)))


def load_glue(sources: Sequence[Path], include_dirs: Sequence[Path] = ()) -> None:
    """Compile host code in C++ against torch and this device, and load it with `torch.ops.load_library`.

    The same files compile for a Mac. A symbol that libtorch has on a Mac but this device lacks fails at the link.
    Loading the same content twice is the same as once. Raises ToolchainError where the code does not compile or link.
    """
    import torch

    from porter.metal.torch.build import build_library

    device = Path(_library()._name)
    torch.ops.load_library(str(build_library("glue", sources, include_dirs, libraries=[device])))


def _load_device() -> ctypes.CDLL:
    import torch

    from porter.metal.torch import shaders, storage
    from porter.metal.torch.build import build_library

    if torch.backends.mps.is_built():
        raise ToolchainError(
            "this torch already has an mps device",
            expected="a torch without one: this module is for machines that are not Macs",
            next_step="use torch's own device",
        )
    path = build_library("porter_mps", sorted(_NATIVE.glob("*.cpp")), [_NATIVE, _RUNTIME_HEADERS])
    torch.ops.load_library(str(path))
    library = ctypes.CDLL(str(path))
    library.porter_mps_take_dispatches.restype = ctypes.c_uint64
    library.porter_mps_take_dispatches.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
    library.porter_mps_load_runtime.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64]
    library.porter_mps_set_device.argtypes = [ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32]
    library.porter_mps_get_device.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint32)]
    library.porter_mps_set_libraries.argtypes = [ctypes.POINTER(Hooks)]
    library.porter_mps_set_semantics_off.argtypes = [ctypes.c_uint32]
    atexit.register(library.porter_mps_drain_autograd)
    # What torch's Python side reads of a build for a Mac, and a build for Linux lacks.
    torch._C._has_mps = True
    torch._C._mps_get_name = lambda: _get_device()[0]
    torch._C._mps_get_core_count = lambda: _get_device()[1]
    shaders.install()
    storage.install()
    return library


def _library() -> ctypes.CDLL:
    if _state.library is None:
        raise ToolchainError("the mps device is not enabled", next_step="call porter.metal.torch.enable() first")
    return _state.library


def _get_device() -> tuple[str, int]:
    name, cores = ctypes.create_string_buffer(256), ctypes.c_uint32()
    _library().porter_mps_get_device(name, len(name), ctypes.byref(cores))
    return name.value.decode(), cores.value


def _take_dispatches(library: ctypes.CDLL) -> str:
    size = int(library.porter_mps_take_dispatches(None, 0))
    while True:
        text = ctypes.create_string_buffer(size)
        needed = int(library.porter_mps_take_dispatches(text, size))
        if needed <= size:
            return text.value.decode()
        size = needed


def _load_runtime() -> None:
    from porter.metal.runtime_build import runtime_library

    path = runtime_library()
    error = ctypes.create_string_buffer(1024)
    if _library().porter_mps_load_runtime(str(path).encode(), error, len(error)):
        raise ToolchainError(
            f"the kernel runtime does not load: {error.value.decode(errors='replace')}",
            where=str(path),
            expected="a shared library that exports msl_dispatch",
            next_step="remove the file, so that it is built anew",
        )
    _state.has_runtime = True


def _set_open_source(open_source: OpenSource | None) -> None:
    hooks = None
    if open_source is not None:
        if open_source not in _state.hooks:
            _state.hooks[open_source] = make_hooks(_state.libraries, open_source)
        hooks = ctypes.byref(_state.hooks[open_source])
    _library().porter_mps_set_libraries(hooks)
    _state.open_source = open_source
