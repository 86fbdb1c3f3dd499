# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What every case is made of: types, arguments packed as the kernel's metadata lays them out, a launch, agreement."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy
import torch

from porter.metal.air import LibraryFile
from porter.metal.air_kernel import CompiledKernel, StructField
from porter.metal.air_library import AirLibrary

DTYPES = {
    "float": torch.float32,
    "half": torch.float16,
    "bfloat": torch.bfloat16,
    "int": torch.int32,
    "uint": torch.uint32,
    "long": torch.int64,
    "ulong": torch.uint64,
    "short": torch.int16,
    "ushort": torch.uint16,
    "char": torch.int8,
    "uchar": torch.uint8,
    "bool": torch.bool,
    "float2": torch.complex64,
    "half2": torch.complex32,
}
TYPE = "|".join(sorted(DTYPES, key=len, reverse=True))
"""A type in a kernel's name."""

SCALAR_TYPES = {
    torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.float16: 5, torch.float32: 6,
    torch.complex32: 8, torch.complex64: 9, torch.bool: 11, torch.bfloat16: 15, torch.uint16: 27, torch.uint32: 28,
    torch.uint64: 29,
}  # fmt: skip
"""c10::ScalarType (c10/core/ScalarType.h), which kernels that cast take as a number."""

_PACKED = {
    "float": "<f4", "half": "<f2", "int": "<i4", "uint": "<u4", "long": "<i8", "ulong": "<u8", "short": "<i2",
    "ushort": "<u2", "char": "i1", "uchar": "u1", "bool": "u1",
}  # fmt: skip
Buffer = torch.Tensor | bytes | numpy.ndarray


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The same values as double, complex128 or int64, in which references are computed."""
    if tensor.is_complex():
        if tensor.dtype == torch.complex32:
            return torch.view_as_complex(torch.view_as_real(tensor).double().contiguous())
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor.to(torch.int64)


def narrow(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """As `.to`, and to complex32, for which torch on the CPU has no conversion."""
    if dtype == torch.complex32:
        parts = torch.view_as_real(tensor.to(torch.complex128).contiguous().resolve_conj()).to(torch.float16)
        return torch.view_as_complex(parts)
    return tensor.to(dtype)


def constant(type_name: str, *values: float) -> bytes:
    """The bytes of a Metal scalar or vector (`uint3` takes 16 bytes, as in memory)."""
    if type_name == "bfloat":
        return torch.tensor(values, dtype=torch.bfloat16).view(torch.uint8).numpy().tobytes()
    matched = re.fullmatch(r"([a-z]+?)(\d?)", type_name)
    assert matched, type_name
    data = numpy.array(values, dtype=_PACKED[matched.group(1)])
    assert len(values) == int(matched.group(2) or 1), (type_name, values)
    return data.tobytes() + bytes(data.itemsize * (len(values) == 3))


def array(type_name: str, values: Sequence[float]) -> bytes:
    return b"".join(constant(type_name, value) for value in values)


@dataclass
class Witness:
    """One library. `kernels` counts what was launched."""

    section: str
    file: LibraryFile
    launched: set[str] = field(default_factory=set)

    @cached_property
    def library(self) -> AirLibrary:
        return AirLibrary(self.file)

    def described(self, name: str) -> CompiledKernel:
        return self.file.kernel(name)

    def struct(self, name: str, slot: int, **values: Any) -> bytes:
        """The struct bound at `slot`, laid out by the kernel's metadata; every field must be given."""
        (argument,) = (one for one in self.described(name).arguments if one.slot == slot and one.size is not None)
        data = bytearray(argument.size or 0)
        _fill(data, 0, argument.fields, values)
        return bytes(data)

    def launch(
        self,
        name: str,
        buffers: Mapping[int, Buffer] | Sequence[Buffer],
        threads: Sequence[int],
        group: Sequence[int] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
    ) -> None:
        """Run `name` over `threads` threads. Tensors are bound from their first element on, to their storage's end."""
        bound = buffers if isinstance(buffers, Mapping) else dict(enumerate(buffers))
        arrays = {
            slot: _aligned(value) if isinstance(value, bytes) else _memory(value) for slot, value in bound.items()
        }
        shape = group or (min(threads[0], 64), *(1 for _ in threads[1:]))
        self.library.kernel(name)(arrays, tuple(threads), tuple(shape), threadgroup_memory)
        self.launched.add(name)


@dataclass(frozen=True)
class Case:
    """A family: kernels whose whole name matches `pattern`, and the check of one of them (`match` is of its name)."""

    pattern: str
    check: Callable[[Witness, str, re.Match[str]], None]

    def match(self, name: str) -> re.Match[str] | None:
        return re.fullmatch(self.pattern, name)


def generator(name: str) -> torch.Generator:
    """Random numbers that depend on the kernel's name alone."""
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def values(
    name: str, shape: Sequence[int], dtype: torch.dtype, low: float = -2.0, high: float = 2.0, salt: str = ""
) -> torch.Tensor:
    """Uniform in [low, high) (each part of a complex number); integers include both ends."""
    source = generator(name + salt)
    if dtype == torch.bool:
        return torch.randint(int(low >= 1), 1 + int(high >= 1), tuple(shape), generator=source).bool()
    if dtype.is_complex:
        parts = torch.rand((*shape, 2), generator=source, dtype=torch.float64) * (high - low) + low
        return narrow(torch.view_as_complex(parts), dtype)
    if dtype.is_floating_point:
        return (torch.rand(tuple(shape), generator=source, dtype=torch.float64) * (high - low) + low).to(dtype)
    first = max(int(low), 0) if not dtype.is_signed else int(low)
    return torch.randint(first, int(high) + 1, tuple(shape), generator=source).to(dtype)


def agree(
    got: torch.Tensor, want: torch.Tensor, *, ulps: float = 0.0, absolute: float | torch.Tensor = 0.0, says: str = ""
) -> None:
    """`got` is `want` (any wider type) rounded to its type; or within `ulps` units in the last place plus `absolute`.

    A NaN agrees with a NaN, and an infinity with what rounds to it.
    """
    rounded = narrow(want, got.dtype)
    got_wide, want_wide, rounded_wide = wide(got), wide(want), wide(rounded)
    same = (got_wide == rounded_wide) | ((got_wide != got_wide) & (rounded_wide != rounded_wide))
    if not (got.dtype.is_floating_point or got.dtype.is_complex) or (
        ulps == 0 and not torch.is_tensor(absolute) and absolute == 0
    ):
        allowed = torch.zeros(())
    else:
        allowed = ulps * unit(want_wide, got.dtype) + absolute
    distance = (got_wide - want_wide).abs()
    wrong = ~same & ~(distance <= allowed)
    if wrong.any():
        place = tuple(int(i) for i in wrong.nonzero()[0])
        raise AssertionError(
            f"{says}: {int(wrong.sum())} of {wrong.numel()} differ, first at {place}: {got[place].item()} where torch "
            f"has {want[place].item()}, allowed {allowed.expand(wrong.shape)[place].item():.3g}; "
            f"largest {distance[wrong].max().item():.3g}"
        )


def unit(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The unit in the last place of `dtype` at `value` (of a complex number: at the larger of its parts)."""
    real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)
    size = torch.view_as_real(value).abs().amax(-1) if value.is_complex() else value.abs().double()
    size = torch.nan_to_num(size.double(), nan=0.0, posinf=0.0).clamp_min(torch.finfo(real).tiny)
    return torch.exp2(torch.floor(torch.log2(size))) * torch.finfo(real).eps


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, dimensions reversed in memory, with a gap behind each element."""
    shape = tuple(reversed(tensor.shape))
    memory = torch.zeros((*shape, 2), dtype=tensor.dtype)
    view = memory[..., 0].permute(*reversed(range(len(shape))))
    view.copy_(tensor)
    return view


def _memory(value: torch.Tensor | numpy.ndarray) -> numpy.ndarray:
    if isinstance(value, numpy.ndarray):
        return value
    storage = torch.empty(0, dtype=torch.uint8).set_(value.untyped_storage())
    return storage[value.storage_offset() * value.element_size() :].numpy()


def _aligned(data: bytes) -> numpy.ndarray:
    """At 64 bytes: kernels load vectors of up to 32 bytes (ulong4) from constants as aligned."""
    room = numpy.zeros(len(data) + 64, dtype=numpy.uint8)
    start = -room.ctypes.data % 64
    view = room[start : start + len(data)]
    view[:] = numpy.frombuffer(data, dtype=numpy.uint8)
    return view


def _fill(data: bytearray, start: int, fields: Sequence[StructField], given: Mapping[str, Any]) -> None:
    left = dict(given)
    for one in fields:
        value, offset = left.pop(one.name), start + one.offset
        if one.fields and [inner.name for inner in one.fields] == ["__elems"]:  # metal::array
            (inner,) = one.fields
            for index, element in enumerate(value):
                _put(data, offset + inner.offset + index * inner.size, inner, element)
        elif one.fields:
            _fill(data, offset, one.fields, value)
        elif one.array_length:
            for index, element in enumerate(value):
                _put(data, offset + index * one.size, one, element)
        else:
            _put(data, offset, one, value)
    assert not left, f"no such field: {sorted(left)}"


def _put(data: bytearray, offset: int, one: StructField, value: Any) -> None:
    packed = constant(
        "ulong" if one.pointee is not None else one.type, *(value if isinstance(value, tuple) else (value,))
    )
    data[offset : offset + len(packed)] = packed
