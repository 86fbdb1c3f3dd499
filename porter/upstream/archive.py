# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Read tar and zip archives that a stranger may have made.

Nothing is unpacked to disk here: the wanted members are read into memory, every member's name and kind is checked, and
all sizes are bounded before they are read.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from porter.errors import ArchiveError
from porter.model import check_relative

MiB = 1 << 20

NEXT = "run again, or take another provider (--provider)"


@dataclass(frozen=True)
class Limits:
    """Upper bounds, in bytes but for `members`. MLX's archive is some 6 MiB, 800 members; its wheel 37 MiB, 125 MiB
    unpacked. These leave room for both to grow, and none to fill a disk."""

    compressed: int = 256 * MiB
    expanded: int = 1024 * MiB
    members: int = 50_000
    member: int = 64 * MiB


LIMITS = Limits()


class _Bounded(io.RawIOBase):
    """The expanded bytes of a stream; refuses to go past `limit`, and remembers the last two tar blocks."""

    def __init__(self, inner: gzip.GzipFile, limit: int, where: str) -> None:
        super().__init__()
        self._inner, self._left, self._where = inner, limit, where
        self.tail = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size if 0 <= size < MiB else MiB)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError("the archive unpacks to more than is allowed", where=self._where, next_step=NEXT)
        self.tail = (self.tail + data)[-2 * tarfile.BLOCKSIZE :]
        return data


def read_tar_gz(
    stream: IO[bytes], where: str, keep: Callable[[str], bool], *, commit: str | None = None, limits: Limits = LIMITS
) -> dict[str, bytes]:
    """The members that `keep` wants, by their path below the archive's one top folder.

    `where` names the archive in errors. `commit` is checked against the commit id that `git archive` (and so GitHub)
    writes into the header, where there is one.
    Raises ArchiveError, naming the member, for an absolute path, `..`, a link, a device, a name that stands twice or
    outside the top folder, too many or too large members, and for a stream that ends early or is no archive.
    """
    with gzip.GzipFile(fileobj=stream) as expanded:
        bounded = _Bounded(expanded, limits.expanded, where)
        try:
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                files = _tar_members(tar, where, keep, limits)
                found = tar.pax_headers.get("comment")
            while bounded.read(MiB):  # to the end, so that gzip compares its checksum
                pass
        except EOFError as error:
            raise _early(where) from error
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, UnicodeError) as error:
            raise ArchiveError(f"not a readable tar.gz archive: {error}", where=where, next_step=NEXT) from error
        if bounded.tail.strip(b"\0") or len(bounded.tail) < 2 * tarfile.BLOCKSIZE:
            raise _early(where)
    if commit and found and found != commit:
        raise ArchiveError(f"the archive is of commit {found}", where=where, expected=commit, next_step=NEXT)
    return files


def _early(where: str) -> ArchiveError:
    return ArchiveError("the archive ends early", where=where, next_step=NEXT)


def _tar_members(tar: tarfile.TarFile, where: str, keep: Callable[[str], bool], limits: Limits) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    names: set[str] = set()
    top: str | None = None
    for member in tar:
        place = f"{where}: {member.name}"
        _check_name(member.name, names, place, limits)
        folder, _, path = member.name.partition("/")
        top = top or folder
        if folder != top or not (path or member.isdir()):
            raise ArchiveError(f"the member stands outside the top folder {top!r}", where=place, next_step=NEXT)
        if member.isdir():
            continue
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise ArchiveError("the member is not a plain file", where=place, next_step=NEXT)
        if keep(path):
            _check_size(member.size, place, limits)
            content = tar.extractfile(member)
            files[path] = content.read() if content else b""
    return files


def _check_name(name: str, names: set[str], place: str, limits: Limits) -> None:
    try:
        check_relative(name)
    except ValueError as error:
        raise ArchiveError("the member's path leaves its folder", where=place, next_step=NEXT) from error
    if name in names:
        raise ArchiveError("the member stands in the archive twice", where=place, next_step=NEXT)
    names.add(name)
    if len(names) > limits.members:
        raise ArchiveError(f"the archive has more than {limits.members} members", where=place, next_step=NEXT)


def _check_size(size: int, place: str, limits: Limits) -> None:
    if size > limits.member:
        raise ArchiveError(f"the member is {size} bytes", where=place, expected=f"at most {limits.member}")


class Zip:
    """A zip file whose directory has been checked. `members` maps the name of every file to its entry."""

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        """Raises ArchiveError for what `read_tar_gz` does, where it applies to a zip."""
        self.where, self._limits = path.name, limits
        try:
            if path.stat().st_size > limits.compressed:
                raise ArchiveError(f"larger than {limits.compressed} bytes", where=self.where, next_step=NEXT)
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            raise ArchiveError(f"not a readable zip file: {error}", where=self.where, next_step=NEXT) from error
        try:
            self.members: Mapping[str, zipfile.ZipInfo] = self._checked()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """The bytes of one member. Raises ArchiveError where it is missing, too large or damaged."""
        place = f"{self.where}: {name}"
        if name not in self.members:
            raise ArchiveError("the member is missing", where=place, next_step=NEXT)
        _check_size(self.members[name].file_size, place, self._limits)
        out = io.BytesIO()
        self.copy(name, out)
        return out.getvalue()

    def copy(self, name: str, to: IO[bytes]) -> None:
        """Write the bytes of one member, of any size within `limits.expanded`, to a stream."""
        place = f"{self.where}: {name}"
        entry = self.members[name]
        left = entry.file_size
        try:
            with self._zip.open(entry) as stream:
                while block := stream.read(MiB):
                    left -= len(block)
                    if left < 0:
                        raise ArchiveError("the member is longer than its entry says", where=place, next_step=NEXT)
                    to.write(block)
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            raise ArchiveError(f"the member is damaged: {error}", where=place, next_step=NEXT) from error
        if left:
            raise ArchiveError("the member ends early", where=place, next_step=NEXT)

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        names: set[str] = set()
        expanded = 0
        for entry in self._zip.infolist():
            place = f"{self.where}: {entry.orig_filename}"
            _check_name(entry.orig_filename.removesuffix("/"), names, place, self._limits)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError("the member is not a plain file", where=place, next_step=NEXT)
            expanded += entry.file_size
            if expanded > self._limits.expanded:
                raise ArchiveError("the archive unpacks to more than is allowed", where=place, next_step=NEXT)
        return {entry.orig_filename: entry for entry in self._zip.infolist() if not entry.is_dir()}
