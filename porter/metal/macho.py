# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Compiled Metal libraries in the sections of a Mach-O file: PyTorch's `libtorch_cpu.dylib` carries two.

Layouts are those of Apple's <mach-o/loader.h> and <mach-o/fat.h>. A 64-bit file is little-endian; a fat one holds one
file for each processor behind a big-endian list. Everything is checked against the bounds of the file, or of the
processor's part of it. Raises MetalError, with the offset.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from porter.metal.air_container import HEADER, MAGIC
from porter.metal.file_slice import FileSlice

MACHO_64 = b"\xcf\xfa\xed\xfe"
FAT = b"\xca\xfe\xba\xbe"
FAT_64 = b"\xca\xfe\xba\xbf"
EXPECTED = "a Mach-O file for 64-bit processors, or a fat one of such"

_HEADER = struct.Struct("<4sII II II I")  # magic, processor, its kind, file type, commands, their size, flags, reserved
_COMMAND = struct.Struct("<II")
_SEGMENT = struct.Struct("<II16s4QiiII")  # command, size, name, addresses and places, protections, sections, flags
_SECTION = struct.Struct("<16s16sQQIIIIIIII")  # section, segment, address, size, place, ..., flags, reserved
_SEGMENT_64 = 0x19
_SECTION_TYPE = 0xFF  # of a section's flags
_ZERO_FILLED = (0x1, 0xC, 0x12)  # S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL: no bytes in the file
_PROCESSORS = {0x0100000C: "arm64", 0x01000007: "x86_64"}
# macOS's own libraries have a handful of processors; a Java class begins with FAT too, and reads as at least 45.
_MOST_PROCESSORS = 16
_MOST_COMMANDS = 1 << 16
_LONGEST_COMMANDS = 16 << 20


@dataclass(frozen=True)
class MetalSection:
    """A section that holds a compiled library: `size` bytes (the library states it) from byte `offset` of the file."""

    processor: str
    segment: str
    section: str
    offset: int
    size: int


def metal_sections(file: FileSlice) -> tuple[MetalSection, ...]:
    """The sections of a Mach-O file whose first bytes are those of a compiled library, in the file's order."""
    magic = file.read(0, 4, "the header")
    parts = list(_processors(file, magic == FAT_64)) if magic in (FAT, FAT_64) else [file]
    return tuple(found for part in parts for found in _metal_sections(part, part.offset - file.offset))


def _processors(file: FileSlice, wide: bool) -> Iterator[FileSlice]:
    """The parts of a fat file."""
    (count,) = struct.unpack(">I", file.read(4, 4, "the header"))
    if not 1 <= count <= _MOST_PROCESSORS:
        file.malformed(4, f"a fat file for {count} processors, and at most {_MOST_PROCESSORS} are read")
    row = struct.Struct(">IIQQII" if wide else ">IIIII")  # processor, its kind, offset, size, alignment (, reserved)
    listed = file.read(8, count * row.size, "the list of processors")
    taken: list[tuple[int, int]] = [(0, 8 + len(listed))]
    for index in range(count):
        _, _, offset, size, *_ = row.unpack_from(listed, index * row.size)
        place = 8 + index * row.size
        if offset + size > file.size:
            file.malformed(place, f"a part ends at byte {offset + size}, past the {file.size} that there are")
        if any(offset < end and start < offset + size for start, end in taken):
            file.malformed(place, f"a part begins inside another, at byte {offset}")
        taken.append((offset, offset + size))
        yield file.part(offset, size, file.name, EXPECTED)


def _metal_sections(file: FileSlice, base: int) -> Iterator[MetalSection]:
    header = file.read(0, _HEADER.size, "the header")
    magic, processor, _, _, count, length, _, _ = _HEADER.unpack(header)
    if magic != MACHO_64:
        file.malformed(0, f"the file begins with {magic!r}")
    if count > _MOST_COMMANDS or length > _LONGEST_COMMANDS:
        file.malformed(16, f"{count} load commands of {length} bytes are more than are read")
    commands = file.read(_HEADER.size, length, "the load commands")
    name = _PROCESSORS.get(processor, f"processor {processor:#x}")
    at = 0
    for _ in range(count):
        if at + _COMMAND.size > length:
            file.malformed(_HEADER.size + at, "the load commands end inside one")
        kind, size = _COMMAND.unpack_from(commands, at)
        if size < _COMMAND.size or at + size > length:
            file.malformed(_HEADER.size + at, f"a load command of {size} bytes does not fit")
        if kind == _SEGMENT_64:
            yield from _in_segment(file, base, name, commands[at : at + size], _HEADER.size + at)
        at += size


def _in_segment(file: FileSlice, base: int, processor: str, command: bytes, place: int) -> Iterator[MetalSection]:
    if len(command) < _SEGMENT.size:
        file.malformed(place, f"a segment's load command of {len(command)} bytes")
    count = _SEGMENT.unpack_from(command)[9]
    if _SEGMENT.size + count * _SECTION.size > len(command):
        file.malformed(place, f"{count} sections do not fit into a load command of {len(command)} bytes")
    for index in range(count):
        at = _SEGMENT.size + index * _SECTION.size
        section, segment, _, size, offset, _, _, _, flags, *_ = _SECTION.unpack_from(command, at)
        if flags & _SECTION_TYPE in _ZERO_FILLED:
            continue
        if offset + size > file.size:
            file.malformed(place + at, f"section {_name(section)} ends past the {file.size} bytes that there are")
        if size < HEADER or file.read(offset, 4, "a section") != MAGIC:
            continue
        (stated,) = struct.unpack("<Q", file.read(offset + 16, 8, "a library's header"))
        if stated > size:
            file.malformed(offset + 16, f"a library of {stated} bytes in a section of {size}")
        yield MetalSection(processor, _name(segment), _name(section), base + offset, stated)


def _name(field: bytes) -> str:
    """The 16 bytes of a name, as far as they can be printed."""
    text = field.split(b"\0")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
