# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading Apple's compiled Metal libraries (`.metallib`): which kernels they hold, and what each says of itself.

The container was read off the `mlx.metallib` of the mlx-metal 0.30.1 wheel; all integers are little-endian:

    0   "MTLB"; at 16 a u64, the size of the file
    24  eight u64: offset and size of the function list, of the public metadata, of the private metadata, of the bitcode
    function list: u32 count (which the list's size leaves out), then per function a u32 size (its own 4 bytes
        included) and fields up to "ENDT"; a field is 4 letters, a u16 length and that many bytes
        NAME: zero-terminated.  OFFT: three u64, the third counts from the start of the bitcode.  MDSZ: u64, its size

Everything is checked against the file's bounds: a library may come from anywhere. Raises MetalError, with the offset.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.errors import MetalError

_HEADER = 88
_SECTIONS = 24
_FILE_SIZE = 16
_SMALLEST_ENTRY = 8
# Plain LLVM bitcode, and bitcode in the wrapper that Apple's older tools write (llvm/Bitcode/BitcodeReader.h).
_BITCODE_MAGICS = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")


@dataclass(frozen=True)
class LibraryFunction:
    """One function of a library: where its bitcode stands in the file (bytes)."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class StructField:
    """One row of `air.struct_type_info`. `size` is that of one element; `array_length` is 0 where it is no array."""

    name: str
    type: str
    offset: int
    size: int
    array_length: int


@dataclass(frozen=True)
class CompiledArgument:
    """One argument as Apple's compiler recorded it.

    `kind` is `buffer`, `thread_position_in_grid`, ...; `slot`, `access`, `address_space` (1 device, 2 constant, 3
    threadgroup), `size` and `align` (bytes of the pointee) are None for what is no buffer. `gate` names the function
    constant without which the argument does not exist. `fields` is empty where the type is no struct.
    """

    index: int
    kind: str
    name: str
    type: str
    slot: int | None
    access: str | None
    address_space: int | None
    size: int | None
    align: int | None
    gate: str | None
    fields: tuple[StructField, ...]


@dataclass(frozen=True)
class CompiledConstant:
    """One function constant that the kernel's module declares."""

    name: str
    type: str
    index: int


@dataclass(frozen=True)
class CompiledKernel:
    """What `!air.kernel` says. `thread_limit`: the most threads in a threadgroup, None where unstated."""

    name: str
    arguments: tuple[CompiledArgument, ...]
    constants: tuple[CompiledConstant, ...]
    thread_limit: int | None


def functions(path: Path) -> tuple[LibraryFunction, ...]:
    """Every function of the library, in the library's order. Reads the list only, not the bitcode."""
    with _mapped(path) as data:
        return tuple(_functions(path, data))


def bitcode(path: Path, function: LibraryFunction) -> bytes:
    """The LLVM bitcode of one function, as `functions` placed it."""
    with _mapped(path) as data:
        code = _slice(path, data, function.offset, function.size, f"the bitcode of {function.name}")
    if not code.startswith(_BITCODE_MAGICS):
        raise _malformed(path, function.offset, f"the bitcode of {function.name} is no LLVM bitcode")
    return code


def kernel(code: bytes) -> CompiledKernel:
    """What the bitcode of one kernel says of its arguments, its function constants and its thread limit."""
    import llvmlite.binding as llvm

    from porter.metal.air_metadata import Metadata

    try:
        module = llvm.parse_bitcode(code)
    except RuntimeError as error:
        raise MetalError(f"LLVM cannot read this bitcode: {error}") from error
    try:
        return _kernel(Metadata(str(module)))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise MetalError(f"the kernel's metadata is not what Apple's compilers write: {error!r}") from error


def arguments(code: bytes) -> tuple[CompiledArgument, ...]:
    """The arguments of the kernel in `code`, in order."""
    return kernel(code).arguments


# ---------------------------------------------------------------------------------------------------------------------
# The container


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except ValueError as error:  # an empty file cannot be mapped
        raise _malformed(path, 0, "the file is empty") from error
    except OSError as error:
        raise MetalError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _malformed(path: Path, offset: int, what: str) -> MetalError:
    return MetalError(
        what,
        where=f"{path}: byte {offset}",
        expected="a Metal library (MTLB) as Apple's metallib tool writes it",
        next_step="fetch the library again",
    )


def _slice(path: Path, data: mmap.mmap, offset: int, size: int, what: str) -> bytes:
    if offset + size > len(data):
        raise _malformed(path, offset, f"{what} ends at byte {offset + size}, past the file's {len(data)}")
    return data[offset : offset + size]


def _functions(path: Path, data: mmap.mmap) -> Iterator[LibraryFunction]:
    header = _slice(path, data, 0, _HEADER, "the header")
    if header[:4] != b"MTLB":
        raise _malformed(path, 0, f"the file begins with {header[:4]!r}")
    (size,) = struct.unpack_from("<Q", header, _FILE_SIZE)
    if size != len(data):
        raise _malformed(path, _FILE_SIZE, f"the header states {size} bytes and the file has {len(data)}")
    sections = struct.unpack_from("<8Q", header, _SECTIONS)
    list_start, list_size, code_start, code_size = sections[0], sections[1], sections[6], sections[7]
    listed = _slice(path, data, list_start, 4 + list_size, "the function list")  # the size leaves out the count
    if code_start + code_size > len(data):
        raise _malformed(path, code_start, f"the bitcode section ends past the file's {len(data)} bytes")
    (count,) = struct.unpack_from("<I", listed, 0)
    if count * _SMALLEST_ENTRY > len(listed):
        raise _malformed(path, list_start, f"{count} functions do not fit into {len(listed)} bytes")
    at = 4
    for _ in range(count):
        at, name, start, length = _entry(path, listed, list_start, at)
        if start + length > code_size:
            raise _malformed(path, list_start + at, f"the bitcode of {name} ends outside the bitcode section")
        yield LibraryFunction(name, code_start + start, length)


def _entry(path: Path, listed: bytes, base: int, at: int) -> tuple[int, str, int, int]:
    """One entry of the function list: where the next begins, name, offset into the bitcode, size."""
    if at + 4 > len(listed):
        raise _malformed(path, base + at, "the function list ends inside an entry")
    (size,) = struct.unpack_from("<I", listed, at)
    end = at + size
    if size < _SMALLEST_ENTRY or end > len(listed):
        raise _malformed(path, base + at, f"an entry of {size} bytes does not fit into the function list")
    fields: dict[bytes, bytes] = {}
    field = at + 4
    while listed[field : field + 4] != b"ENDT":
        if field + 6 > end:
            raise _malformed(path, base + field, "an entry ends without ENDT")
        (length,) = struct.unpack_from("<H", listed, field + 4)
        if field + 6 + length > end:
            raise _malformed(path, base + field, "a field reaches past its entry")
        fields[listed[field : field + 4]] = listed[field + 6 : field + 6 + length]
        field += 6 + length
    try:
        name = fields[b"NAME"].rstrip(b"\0").decode("ascii")
        offset = struct.unpack("<3Q", fields[b"OFFT"])[2]
        (length,) = struct.unpack("<Q", fields[b"MDSZ"])
    except (KeyError, UnicodeDecodeError, struct.error) as error:
        raise _malformed(path, base + at, f"an entry without a readable NAME, OFFT or MDSZ: {error}") from error
    return end, name, offset, length


# ---------------------------------------------------------------------------------------------------------------------
# The kernel's metadata


def _kernel(metadata: Any) -> CompiledKernel:
    rows = metadata.named("air.kernel")
    if len(rows) != 1:
        raise MetalError(f"the module holds {len(rows)} kernels", expected="one kernel a module")
    name, _, listed, *attributes = rows[0]
    constants = tuple(CompiledConstant(row[2], row[1], row[3]) for row in metadata.named("air.function_constants"))
    limits = [a[1] for a in map(metadata.node, attributes) if a and a[0] == "air.max_work_group_size"]
    compiled = tuple(_argument(metadata, metadata.node(row)) for row in metadata.node(listed))
    return CompiledKernel(str(name).lstrip("@"), compiled, constants, limits[0] if limits else None)


# How many operands follow each word of an argument's row. A word that stands here with 0 is a flag.
_OPERANDS = {
    "air.location_index": 2,
    "air.address_space": 1,
    "air.struct_type_info": 1,
    "air.arg_type_size": 1,
    "air.arg_type_align_size": 1,
    "air.arg_type_name": 1,
    "air.arg_name": 1,
    "air.function_constant": 1,
    "air.buffer_size": 1,
    "air.raster_order_group": 1,
}
_ACCESS = {"air.read": "read", "air.write": "write", "air.read_write": "read_write"}


def _argument(metadata: Any, row: list[Any]) -> CompiledArgument:
    found: dict[str, Any] = {}
    kind = access = None
    at = 1
    while at < len(row):
        word = row[at]
        if word in _OPERANDS:
            found[word] = row[at + 1]
            at += 1 + _OPERANDS[word]
            continue
        if word in _ACCESS:
            access = _ACCESS[word]
        elif kind is None:
            kind = word.removeprefix("air.")
        at += 1
    gate = metadata.node(found["air.function_constant"]) if "air.function_constant" in found else None
    info = metadata.node(found["air.struct_type_info"]) if "air.struct_type_info" in found else []
    if kind is None:
        raise ValueError(f"argument {row[0]} has no kind")
    return CompiledArgument(
        index=row[0],
        kind=kind,
        name=found.get("air.arg_name", ""),
        type=found.get("air.arg_type_name", ""),
        slot=found.get("air.location_index"),
        access=access,
        address_space=found.get("air.address_space"),
        size=found.get("air.arg_type_size"),
        align=found.get("air.arg_type_align_size"),
        gate=gate[2] if gate else None,
        fields=tuple(_fields(metadata, info)),
    )


def _fields(metadata: Any, info: list[Any]) -> Iterator[StructField]:
    """Rows of offset, size, array length, type, name; a nested struct adds its own node, which follows the name."""
    at = 0
    while at < len(info):
        offset, size, array_length, type_, name = info[at : at + 5]
        yield StructField(name, type_, offset, size, array_length)
        at += 5
        if at < len(info) and info[at] == "air.struct_type_info":
            at += 2
