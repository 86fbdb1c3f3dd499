# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What `torch.mps.compile_shader` and `torch.mps.load_metallib` give: a library whose attributes are kernels.

Which arguments a kernel takes, and what is raised for others, is as in PyTorch 2.13 (torch.mps' documentation, and the
behaviour that its test suite asks for). torch.mps itself is not changed: it calls functions of torch._C that a build
for Linux lacks, and `install` puts them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

# The types that `arg_casts` may name.
_CASTS = {
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
}
_NO_CAST = ""
# Where torch's headers for Metal source stand, under its include folder.
_HEADER_FOLDERS = ("c10/metal", "ATen/native/mps/kernels")


class MetalKernel:
    """A kernel function. Calling it binds the arguments to the slots 0, 1, ... and runs it."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def __call__(
        self,
        *args: Any,
        threads: int | Sequence[int] | None = None,
        group_size: int | Sequence[int] | None = None,
        arg_casts: str | Mapping[int, str] | None = None,
        error_buf_idx: int | None = None,
    ) -> None:
        """Run over `threads` threads (of the first tensor's number of elements where None) in threadgroups of
        `group_size`; both are one to three numbers.

        An argument is a tensor of the device, a scalar tensor of the CPU, an int (passed as 64 bits), a float (as 32),
        or a list or tuple of ints, floats, or tensors (passed as their addresses). `arg_casts` names another type for
        numbers: of all arguments, or by slot. `error_buf_idx` is the slot of the error buffer that
        `TORCH_REPORT_ERROR` writes to; `torch.mps.synchronize` raises what was written.

        Raises RuntimeError for other arguments and for what goes wrong while it runs, and ValueError where a
        threadgroup is larger than `max_threads_per_threadgroup`.
        """
        threads_sizes, group_sizes = _sizes(threads), _sizes(group_size)
        casts = _Casts(arg_casts)
        tensors, by_value = [], []
        for slot, argument in enumerate(args):
            is_tensor = isinstance(argument, torch.Tensor)
            if is_tensor and threads_sizes is None:
                threads_sizes = [argument.numel()]
            tensors.append(argument if is_tensor else _encoded(argument, casts.of(slot)))
            by_value.append(not is_tensor)
        if threads_sizes is None:
            raise RuntimeError("Number of threads is undefined or has wrong dimension")
        if group_sizes is not None and len(group_sizes) != len(threads_sizes):
            raise RuntimeError(
                "Expected threads->size() == group_size->size() to be true, but got "
                f"{len(threads_sizes)} and {len(group_sizes)}"
            )
        error_slot = -1 if error_buf_idx is None else _unsigned(error_buf_idx)
        self._kernel.run(tensors, by_value, threads_sizes, group_sizes or [], error_slot)

    @property
    def max_threads_per_threadgroup(self) -> int:
        return int(self._kernel.max_threads())

    @property
    def thread_execution_width(self) -> int:
        return int(self._kernel.execution_width())

    @property
    def static_thread_group_memory_length(self) -> int:
        """Bytes of threadgroup memory that the kernel itself declares."""
        return int(self._kernel.threadgroup_memory())


class ShaderLibrary:
    """The kernels of a compiled source; each is an attribute."""

    __slots__ = ("_library",)

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> MetalKernel:
        """Raises RuntimeError, as PyTorch does and Python does not, where there is no kernel of that name."""
        return MetalKernel(self._library.kernel(name))

    def __dir__(self) -> list[str]:
        return list(self._library.names())


class PrecompiledShaderLibrary(ShaderLibrary):
    """The kernels of a compiled library; each is an attribute, and translated when it is first asked for."""

    __slots__ = ()


def install() -> None:
    """Put what torch.mps calls into torch._C."""
    operators = torch.ops.porter_mps
    native: Any = torch._C
    native._mps_ShaderLibrary = ShaderLibrary
    native._mps_PrecompiledShaderLibrary = PrecompiledShaderLibrary
    native._mps_MetalKernel = MetalKernel
    native._mps_compileShader = lambda source: ShaderLibrary(operators.compile(_with_own_headers_in_ascii(source)))
    native._mps_loadMetallibFromPath = lambda path: PrecompiledShaderLibrary(operators.load_file(path))
    native._mps_loadMetalllib = lambda data: PrecompiledShaderLibrary(operators.load_bytes(_bytes_tensor(data)))
    # torch.mps.profiler's captures, as on a Mac where MTL_CAPTURE_ENABLED is not set.
    native._mps_isCaptureEnabled = native._mps_isCapturing = lambda: False
    native._mps_startCapture = _refuse_capture
    native._mps_stopCapture = lambda: None


def _with_own_headers_in_ascii(source: str) -> str:
    """The source with `?` for what is not ASCII in lines of PyTorch's own headers, which compile_shader puts in.

    Source has to be ASCII, but comments of c10/metal in torch 2.13 are not, and compile on a Mac all the same. So they
    pass here, and the user's own lines do not.
    """
    if source.isascii():
        return source
    # Those folders first: reading all of torch's headers takes a second.
    for folder in (*_HEADER_FOLDERS, "."):
        foreign = _lines_beyond_ascii(folder)
        lines = source.split("\n")
        source = "\n".join(line.encode("ascii", "replace").decode() if line in foreign else line for line in lines)
        if source.isascii():
            break
    return source


@cache
def _lines_beyond_ascii(folder: str) -> frozenset[str]:
    """Of the headers of that folder of torch's include folder."""
    headers = (Path(torch.__file__).parent / "include" / folder).rglob("*.h")
    texts = [content.decode("utf-8", "replace") for path in headers if not (content := path.read_bytes()).isascii()]
    return frozenset(line for text in texts for line in text.split("\n") if not line.isascii())


def _refuse_capture(file_name: str) -> None:
    raise RuntimeError(
        f"{file_name} cannot be written: a Metal capture needs Metal, which is not available on Linux; "
        "porter.metal.torch.record_dispatches() tells what ran"
    )


class _Casts:
    """Which type the numbers of each argument are passed as."""

    def __init__(self, named: Any) -> None:
        self._default, self._by_slot = _NO_CAST, {}
        if isinstance(named, str):
            self._default = named
        elif isinstance(named, dict):
            self._by_slot = named
        elif named is not None:
            raise RuntimeError(f"Unexpected caster arg type {type(named).__name__}")

    def of(self, slot: int) -> str:
        return str(self._by_slot.get(slot, self._default))


def _encoded(argument: Any, cast: str) -> torch.Tensor:
    """The bytes that a kernel is given for a number or a list, as a tensor of the CPU."""
    values = argument if isinstance(argument, list | tuple) else [argument]
    if not values:
        raise RuntimeError("Empty list/tuple can not be an argument to metal kernel")
    first = values[0]
    if isinstance(first, torch.Tensor) and values is argument:
        if not all(isinstance(value, torch.Tensor) for value in values):
            raise RuntimeError("Unexpected argument types")
        table: torch.Tensor = torch.ops.porter_mps.addresses(list(values))
        return table
    if isinstance(first, int):
        return _cast(_numbers(values, int, torch.int64), cast)
    if isinstance(first, float):
        return _cast(_numbers(values, (int, float), torch.float32), cast)
    raise RuntimeError("Unexpected argument types" if values is argument else "Unsupported argument type")


def _numbers(values: Sequence[Any], kinds: Any, dtype: torch.dtype) -> torch.Tensor:
    strangers = [type(value).__name__ for value in values if not isinstance(value, kinds)]
    if strangers:
        raise RuntimeError(f"Unable to cast Python instance of type {strangers[0]} to C++ type of {dtype}")
    try:
        return torch.tensor(values, dtype=dtype, device="cpu")
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise RuntimeError(f"Unable to cast Python instance to C++ type of {dtype}: {error}") from error


def _cast(numbers: torch.Tensor, cast: str) -> torch.Tensor:
    if cast == _NO_CAST:
        return numbers
    if cast not in _CASTS:
        raise RuntimeError(f"Unsupported cast instruction {cast}")
    return numbers.to(_CASTS[cast])


def _sizes(value: Any) -> list[int] | None:
    """One to three sizes, or None."""
    if value is None:
        return None
    sizes = [value] if isinstance(value, int) else value
    if not isinstance(sizes, Sequence) or isinstance(sizes, str | bytes):
        raise RuntimeError(f"Unable to cast Python instance of type {type(value)} to C++ type of sizes")
    if not 0 < len(sizes) < 4:
        raise RuntimeError(f"Expected one to three sizes, but got {len(sizes)}")
    return [_unsigned(size) for size in sizes]


def _unsigned(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise RuntimeError(f"Unable to cast Python instance {value!r} to C++ type of an unsigned integer")
    return int(value)


def _bytes_tensor(data: bytes) -> torch.Tensor:
    # A copy, because frombuffer would share memory that may not be written to, and take no empty one.
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
