# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The compiled libraries in a file of any kind that carries some: a `.metallib`, a Mach-O file, a member of a wheel."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from porter.errors import MetalError
from porter.metal.air_container import MAGIC, LibraryFile
from porter.metal.file_slice import FileSlice
from porter.metal.macho import FAT, FAT_64, MACHO_64, metal_sections

_ZIP = b"PK\x03\x04"
# PyTorch's libtorch_cpu.dylib has 338 MB, MLX's largest library 214 MB. A member is read into memory.
_LARGEST_MEMBER = 1 << 30
_CARRIERS = (".metallib", ".dylib")
_SHOWN = 8


@dataclass(frozen=True)
class CarriedLibrary:
    """A library and where it was found: the section's name (`arm64 metal_40` in a fat file), empty in a `.metallib`."""

    section: str
    library: LibraryFile


def open_libraries(file: str | Path) -> tuple[CarriedLibrary, ...]:
    """Every library in `file`: a path, or `WHEEL:MEMBER` for a member of a wheel. At least one.

    Without MEMBER a wheel's only `.metallib` is taken. Raises MetalError for what carries none, and for what is
    malformed.
    """
    path, member = _split(str(file))
    opened = FileSlice(path)
    try:
        if opened.read(0, min(4, opened.size), "the file") == _ZIP:
            data, name = _member(path, member)
            opened.close()
            opened = FileSlice(data, name=name)
        elif member:
            raise MetalError(f"is no wheel, so it has no member {member!r}", where=path)
        return _libraries(opened)
    except BaseException:
        opened.close()
        raise


def _libraries(file: FileSlice) -> tuple[CarriedLibrary, ...]:
    magic = file.read(0, min(4, file.size), "the file")
    if magic == MAGIC:
        return (CarriedLibrary("", LibraryFile(file)),)
    if magic not in (MACHO_64, FAT, FAT_64):
        raise MetalError(
            f"the file begins with {magic!r}",
            where=file.name,
            expected="a .metallib, a 64-bit Mach-O file, or a wheel",
        )
    found = metal_sections(file)
    if not found:
        raise MetalError("no section holds a compiled Metal library", where=file.name)
    several = len({one.processor for one in found}) > 1
    return tuple(
        CarriedLibrary(
            f"{one.processor} {one.section}" if several else one.section,
            LibraryFile(file, one.offset, one.size, f"{file.name} ({one.section})"),
        )
        for one in found
    )


def _split(file: str) -> tuple[str, str]:
    """`a.whl:b/c.metallib` is a wheel and its member; a path with a colon of its own stays one."""
    if not Path(file).exists() and ".whl:" in file:
        wheel, _, member = file.partition(".whl:")
        return f"{wheel}.whl", member
    return file, ""


def _member(path: str, member: str) -> tuple[bytes, str]:
    """A member of the wheel at `path`, and what errors call it."""
    try:
        with zipfile.ZipFile(path) as wheel:
            chosen = member or _only(path, wheel.namelist())
            if chosen not in wheel.namelist():
                raise MetalError(
                    f"the wheel has no member {chosen!r}", where=path, expected=_carriers(wheel.namelist())
                )
            size = wheel.getinfo(chosen).file_size
            if size > _LARGEST_MEMBER:
                raise MetalError(f"{chosen} has {size} bytes, and at most {_LARGEST_MEMBER} are read", where=path)
            with wheel.open(chosen) as stream:
                data = stream.read(size)  # no more than stated; zipfile checks the sum at the end
                if len(data) != size or stream.read(1):
                    raise MetalError(f"{chosen} has not the {size} bytes that the wheel states", where=path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise MetalError(f"the wheel cannot be read: {error}", where=path, next_step="fetch it again") from error
    return data, f"{path}:{chosen}"


def _only(path: str, names: list[str]) -> str:
    libraries = [name for name in names if name.endswith(".metallib")]
    if len(libraries) == 1:
        return libraries[0]
    raise MetalError(
        f"the wheel holds {len(libraries)} .metallib files",
        where=path,
        expected=_carriers(names),
        next_step="name the member: WHEEL:MEMBER",
    )


def _carriers(names: list[str]) -> str | None:
    """The members that may carry a library, for an error."""
    found = [name for name in names if name.endswith(_CARRIERS)]
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "") or None
