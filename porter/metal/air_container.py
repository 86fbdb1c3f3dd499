# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The container of a compiled Metal library (`.metallib`): which functions it holds and where each one's bitcode lies.

Read off the `mlx.metallib` of the mlx-metal wheels 0.30.1 to 0.32.4 and off PyTorch 2.13's; the meaning of the header's
first 24 bytes and of the function types is that of YuAo's MetalLibraryArchive. All integers are little-endian:

    0   "MTLB", u16 platform, u16 u16 version of the container, u8 kind, u8 system, u16 u16 its version
    16  u64, the size of the library
    24  eight u64: offset and size of the function list, of the public metadata, of the private metadata, of the bitcode
    function list: u32 count (which the list's size leaves out), then per function a u32 size (its own 4 bytes
        included) and fields up to "ENDT"; a field is 4 letters, a u16 length and that many bytes
        NAME: zero-terminated.  TYPE: u8.  OFFT: three u64, the third counts from the start of the bitcode.  MDSZ: u64,
        its size.  HASH: its SHA-256.  VERS: four u16, the versions of AIR and of the language

Everything is checked against the library's bounds, for a library may come from anywhere. Raises MetalError, with the
offset in the file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from porter.errors import MetalError, located
from porter.metal.file_slice import FileSlice
from porter.metal.names import nearest

if TYPE_CHECKING:
    from porter.metal.air_kernel import CompiledKernel

HEADER = 88
MAGIC = b"MTLB"
EXPECTED = "a Metal library (MTLB) as Apple's metallib tool writes it"
_SECTIONS = 24
_FILE_SIZE = 16
_SMALLEST_ENTRY = 8
_SECTION_NAMES = ("the function list", "the public metadata", "the private metadata", "the bitcode section")
# Plain LLVM bitcode, and bitcode in the wrapper that Apple's tools write (llvm/Bitcode/BitcodeReader.h).
_BITCODE_MAGICS = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_TYPES = ("vertex", "fragment", "kernel", "unqualified", "visible", "extern", "intersection")
_KINDS = ("executable", "Core Image", "dynamic", "symbol companion")
_SYSTEMS = {
    0x81: "macOS",
    0x82: "iOS",
    0x83: "tvOS",
    0x84: "watchOS",
    0x85: "bridgeOS",
    0x86: "macCatalyst",
    0x87: "iOS Simulator",
    0x88: "tvOS Simulator",
    0x89: "watchOS Simulator",
}
# Bounds on what a file makes us hold. MLX 0.32.4: a list of 3.2 MB (18,817 functions), at most 139 kB a module.
_LARGEST_LIST = 64 << 20
_LARGEST_BITCODE = 64 << 20


@dataclass(frozen=True)
class LibraryFunction:
    """One function of a library: where its bitcode stands (bytes, from the library's first).

    `type`: `kernel`, `vertex`, `fragment`, `visible`, ... or `type N` where N is none that is known. `sha256`: of the
    bitcode, as the library states it. Versions: (major, minor). None where the library does not say.
    """

    name: str
    offset: int
    size: int
    type: str = "kernel"
    sha256: str | None = None
    air_version: tuple[int, int] | None = None
    language_version: tuple[int, int] | None = None


@dataclass(frozen=True)
class LibraryHeader:
    """What a library says of itself: its size in bytes, what it is and for which system it was built."""

    size: int
    kind: str
    system: str
    container_version: tuple[int, int]


class LibraryFile:
    """A compiled library. Its index is read, checked and kept when it is opened; bitcode is read when it is asked for.

    `source`: a path, the bytes themselves, or a part of an open file. `offset` and `size` (bytes) say where in it the
    library lies, if that is bigger; without `size` it goes to the end. `name`: what errors call it, the path by itself.
    Can be used by several threads at once. Raises MetalError.

        with LibraryFile("mlx.metallib") as library:
            library.names()
            library.kernel("argmax_float32").arguments
    """

    def __init__(
        self,
        source: Path | str | bytes | FileSlice,
        offset: int = 0,
        size: int | None = None,
        name: str | None = None,
    ) -> None:
        if isinstance(source, FileSlice):
            size = source.size - offset if size is None else size
            self._slice = source.part(offset, size, name or source.name, EXPECTED)
        else:
            self._slice = FileSlice(source, offset, size, name=name, expected=EXPECTED)
        try:
            self.header, sections = self._read_header()
            self.functions = tuple(self._read_functions(sections))
            self._by_name = self._index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LibraryFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self._slice.name

    def close(self) -> None:
        """Give the file back. The index stays; bitcode can no longer be read. Closing twice does nothing."""
        self._slice.close()

    def __len__(self) -> int:
        return len(self.functions)

    def __iter__(self) -> Iterator[LibraryFunction]:
        return iter(self.functions)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> LibraryFunction:
        """The function called `name`. Raises MetalError with the nearest names where there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            raise MetalError(
                f"the library holds no function {name!r}",
                where=self.name,
                expected=nearest(name, self._by_name),
                next_step="steel-port metallib ls FILE lists the names",
            ) from None

    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def bitcode(self, function: LibraryFunction | str) -> bytes:
        """The LLVM bitcode of one function, held against the digest that the library states for it."""
        found = self[function] if isinstance(function, str) else function
        what = f"the bitcode of {found.name}"
        if found.size > _LARGEST_BITCODE:
            self._slice.malformed(
                found.offset, f"{what} has {found.size} bytes, and at most {_LARGEST_BITCODE} are read"
            )
        code = self._slice.read(found.offset, found.size, what)
        if not code.startswith(_BITCODE_MAGICS):
            self._slice.malformed(found.offset, f"{what} is no LLVM bitcode")
        if found.sha256 is not None and hashlib.sha256(code).hexdigest() != found.sha256:
            self._slice.malformed(found.offset, f"{what} differs from the SHA-256 that the library states")
        return code

    def kernel(self, name: str) -> CompiledKernel:
        """What the kernel called `name` says of its arguments, constants, limits and memory."""
        from porter.metal.air_kernel import read_kernel
        from porter.metal.bitcode_reader import read_module

        with located(f"{self.name}: {name}"):
            return read_kernel(read_module(self.bitcode(name)))

    def _read_header(self) -> tuple[LibraryHeader, list[tuple[int, int]]]:
        """The header, and offset and size of the four sections."""
        header = self._slice.read(0, HEADER, "the header")
        if header[:4] != MAGIC:
            self._slice.malformed(0, f"the library begins with {header[:4]!r}")
        (size,) = struct.unpack_from("<Q", header, _FILE_SIZE)
        if size != self._slice.size:
            self._slice.malformed(_FILE_SIZE, f"the header states {size} bytes and the library has {self._slice.size}")
        numbers = struct.unpack_from("<8Q", header, _SECTIONS)
        # The function list's size leaves out its count.
        sections = [(numbers[0], numbers[1] + 4), *zip(numbers[2::2], numbers[3::2], strict=True)]
        end, before = HEADER, "the header"
        for (start, length), name in sorted(zip(sections, _SECTION_NAMES, strict=True)):
            if start + length > self._slice.size:
                self._slice.malformed(
                    start, f"{name} ends at byte {start + length}, past the library's {self._slice.size}"
                )
            if length and start < end:
                self._slice.malformed(start, f"{name} begins inside {before}")
            end, before = max(end, start + length), name
        _, _, major, minor, kind, system, *version = struct.unpack_from("<4sHHHBBHH", header)
        built_for = f"{_SYSTEMS.get(system, f'system {system}')} {version[0]}.{version[1]}"
        kind_name = _KINDS[kind] if kind < len(_KINDS) else f"kind {kind}"
        return LibraryHeader(size, kind_name, built_for, (major, minor)), sections

    def _read_functions(self, sections: list[tuple[int, int]]) -> Iterator[LibraryFunction]:
        (list_start, list_size), (code_start, code_size) = sections[0], sections[3]
        if list_size > _LARGEST_LIST:
            self._slice.malformed(
                list_start, f"a function list of {list_size} bytes, and at most {_LARGEST_LIST} are read"
            )
        listed = self._slice.read(list_start, list_size, "the function list")
        (count,) = struct.unpack_from("<I", listed, 0)
        if count * _SMALLEST_ENTRY > len(listed):
            self._slice.malformed(list_start, f"{count} functions do not fit into {len(listed)} bytes")
        at = 4
        for _ in range(count):
            entry_start = list_start + at
            at, fields = self._read_fields(listed, list_start, at)
            try:
                function = _function(fields, code_start)
            except (KeyError, ValueError, struct.error) as error:
                self._slice.malformed(entry_start, f"an entry without a readable NAME, TYPE, OFFT or MDSZ: {error}")
            if function.offset + function.size > code_start + code_size:
                self._slice.malformed(entry_start, f"the bitcode of {function.name} ends outside the bitcode section")
            yield function

    def _read_fields(self, listed: bytes, base: int, at: int) -> tuple[int, dict[bytes, bytes]]:
        """One entry of the function list: where the next begins, and its fields."""
        if at + 4 > len(listed):
            self._slice.malformed(base + at, "the function list ends inside an entry")
        size = int.from_bytes(listed[at : at + 4], "little")
        end = at + size
        if size < _SMALLEST_ENTRY or end > len(listed):
            self._slice.malformed(base + at, f"an entry of {size} bytes does not fit into the function list")
        fields: dict[bytes, bytes] = {}
        field = at + 4
        while (tag := listed[field : field + 4]) != b"ENDT":
            start = field + 6
            if start > end:
                break
            field = start + int.from_bytes(listed[start - 2 : start], "little")
            if field > end:
                self._slice.malformed(base + start - 6, "a field reaches past its entry")
            if tag in fields:
                self._slice.malformed(base + start - 6, f"an entry with {tag!r} twice")
            fields[tag] = listed[start:field]
        if tag != b"ENDT" or field + 4 > end:
            self._slice.malformed(base + field, "an entry ends without ENDT")
        return end, fields

    def _index(self) -> dict[str, LibraryFunction]:
        by_name = {function.name: function for function in self.functions}
        if len(by_name) != len(self.functions):
            seen: set[str] = set()
            for function in self.functions:
                if function.name in seen:
                    self._slice.malformed(function.offset, f"two functions are called {function.name}")
                seen.add(function.name)
        # Functions of a dynamic library may share a module, so the same bitcode twice is no fault.
        end, before, start = 0, "", -1
        for function in sorted(self.functions, key=lambda one: (one.offset, one.size)):
            if function.offset < end and (function.offset, function.offset + function.size) != (start, end):
                self._slice.malformed(function.offset, f"the bitcode of {function.name} overlaps that of {before}")
            start, end, before = function.offset, function.offset + function.size, function.name
        return by_name


def _function(fields: dict[bytes, bytes], code_start: int) -> LibraryFunction:
    """Raises KeyError, ValueError or struct.error for fields that are missing or not as they should be."""
    name = fields[b"NAME"].rstrip(b"\0").decode("utf-8")
    if not name or not name.isprintable():  # a name is printed, and a terminal obeys control characters
        raise ValueError(f"the name {name!r}")
    (type_,) = fields[b"TYPE"]
    versions = struct.unpack("<4H", fields[b"VERS"]) if b"VERS" in fields else None
    digest = fields.get(b"HASH")
    if digest is not None and len(digest) != hashlib.sha256().digest_size:
        raise ValueError(f"a HASH of {len(digest)} bytes")
    return LibraryFunction(
        name,
        code_start + struct.unpack("<3Q", fields[b"OFFT"])[2],
        struct.unpack("<Q", fields[b"MDSZ"])[0],
        type=_TYPES[type_] if type_ < len(_TYPES) else f"type {type_}",
        sha256=None if digest is None else digest.hex(),
        air_version=versions and (versions[0], versions[1]),
        language_version=versions and (versions[2], versions[3]),
    )
