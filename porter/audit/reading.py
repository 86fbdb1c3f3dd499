# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading a tree that nobody vouches for: every file is read as text, or passed over with the reason.

`list_tree` walks and opens nothing, `read_file` reads one file and may run in another process.
Nothing outside the tree is read: symbolic links are not followed, and what is not a plain file is never opened, so that
neither a loop nor a fifo holds the walk up. Whatever the operating system refuses is a reason, not an exception.

Text is what the rest of the audit counts lines of: each line ends with a line feed. Carriage return and line feed are
one end of line; a carriage return alone is one only where a file has no other.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from porter.audit.kinds import ARCHIVES, CODE_SUFFIXES, MAGIC, STORES
from porter.audit.model import PassedOver
from porter.errors import SteelPortError

MAX_BYTES = 8 << 20
"""What is larger is passed over, bytes. The largest source file that we know of is a tenth of that."""
MAX_UNKNOWN_BYTES = 256 << 10
"""As MAX_BYTES, for a file whose suffix does not say that it holds code."""
MOST_CONTROLS = 0.05
"""A file is text while no more of its characters, 0 to 1, are control characters. Of random bytes 0.1 are, of text in
any encoding that extends ASCII none."""
MOST_UNDECODABLE = 0.3
"""As MOST_CONTROLS, for what is not UTF-8, where the suffix does not say that the file holds code."""

_PATCHES = frozenset((".patch", ".diff"))
_PATCH_MARK = re.compile(
    r"^(?:(?:diff --git |index [0-9a-f]+\.\.|--- |\+\+\+ |@@ -|new file mode |deleted file mode ).*|[+-])", re.M
)
"""What a patch has beside code: lines that name files and places, and what stands before each other line."""

_CONTROLS = {code: None for code in range(32) if chr(code) not in "\t\n\v\f\r\x1b"} | {0x7F: None}


class TreeNotFound(SteelPortError):
    """What is to be audited is not there, or is neither a folder nor a file."""

    exit_status = 2


@dataclass(frozen=True)
class Candidate:
    """A plain file that may hold code. `size` in bytes, as it was when the folder was listed."""

    path: str
    size: int


@dataclass(frozen=True)
class SourceText:
    """A file as text. `remarks`: what of it could not be read as it stands, empty for nearly every file."""

    path: str
    text: str
    remarks: tuple[str, ...] = ()


def tree_root(path: Path) -> Path:
    """The folder to which the paths of an audit of `path` are relative. Raises TreeNotFound."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise TreeNotFound(
            f"cannot be read: {why}", where=str(path), expected="a folder or a file", next_step="check the path"
        ) from error
    if stat.S_ISDIR(mode):
        return path
    if not stat.S_ISREG(mode):
        raise TreeNotFound(
            f"is {_kind(mode)}", where=str(path), expected="a folder or a file", next_step="name a folder of sources"
        )
    return path.resolve().parent


def list_tree(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Candidate | PassedOver]:
    """What stands in the folder `path`, or the one file `path`, in the order of their paths. Opens no file.

    Raises TreeNotFound, at the first item.
    """
    root = tree_root(path)
    if not path.is_dir():
        one = path.resolve()
        yield _judge(one.name, one.stat(), max_bytes)
        return
    waiting: list[tuple[str, os.DirEntry[str]]] = []
    yield from _open_folder(root, "", waiting)
    while waiting:
        shown, entry = waiting.pop()
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            yield PassedOver(shown, _refused(error))
            continue
        if not stat.S_ISDIR(status.st_mode):
            yield _judge(shown, status, max_bytes)
        elif entry.name in STORES:
            yield PassedOver(shown, f"folder of {STORES[entry.name]}, not entered")
        else:
            yield from _open_folder(Path(entry.path), f"{shown}/", waiting)


def read_file(root: Path, candidate: Candidate, max_bytes: int = MAX_BYTES) -> SourceText | PassedOver:
    """One file of `list_tree`, `root` being `tree_root`. What has changed since into something else is passed over."""
    try:
        data = _read_plain(root / candidate.path, max_bytes + 1)
    except OSError as error:
        return PassedOver(candidate.path, _refused(error))
    if data is None:
        return PassedOver(candidate.path, "not a plain file any more")
    if len(data) > max_bytes:
        return PassedOver(candidate.path, _too_large(len(data), max_bytes, "more than "))
    return decode(candidate.path, data)


def decode(path: str, data: bytes) -> SourceText | PassedOver:
    """`data` as text, or passed over: binary, an archive.

    Where the suffix says source, stray NUL bytes and bytes that are not UTF-8 do not hide a file: it is read, and the
    remarks say so. Elsewhere one NUL byte makes a file binary. A patch is read without its marks.
    """
    wide = _wide_encoding(data)
    text = data.decode(wide or "utf-8", errors="replace").removeprefix("\ufeff")
    if why := _binary(text, known=_suffix(path) in CODE_SUFFIXES):
        named = next((name for magic, offset, name in MAGIC if data.startswith(magic, offset)), None)
        return PassedOver(path, f"{named}, not looked into" if named else f"binary: {why}")
    read = _ends_of_lines(text).replace("\0", " ")
    if _suffix(path) in _PATCHES:
        read = _PATCH_MARK.sub(lambda mark: " " if len(mark[0]) == 1 else "", read)
    return SourceText(path, read, tuple(_remarks(data, text, wide)))


def _binary(text: str, *, known: bool) -> str | None:
    """Why this is no text, or None."""
    if "\0" in text and not known:
        return "it holds NUL bytes"
    controls = len(text) - len(text.translate(_CONTROLS))
    if controls > MOST_CONTROLS * len(text):
        return f"{controls / len(text):.0%} of it is control characters"
    undecodable = text.count("\ufffd")
    if undecodable > MOST_UNDECODABLE * len(text) and not known:
        return f"{undecodable / len(text):.0%} of it is not UTF-8"
    return None


def _remarks(data: bytes, text: str, wide: str | None) -> Iterator[str]:
    if wide is not None:
        yield f"read as {wide.upper()}, by its byte order mark"
    wrong = text.count("\ufffd") - (0 if wide else data.count(b"\xef\xbf\xbd"))
    if wrong > 0:
        yield f"{wrong:,} {'place is' if wrong == 1 else 'places are'} not UTF-8, read as U+FFFD"
    if zeros := text.count("\0"):
        yield f"{zeros:,} NUL {'byte' if zeros == 1 else 'bytes'}, read as space"


def _wide_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark names, where that is not UTF-8. UTF-32 first: its mark begins as UTF-16's."""
    for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
                       (b"\xfe\xff", "utf-16")):  # fmt: skip
        if data.startswith(mark):
            return name
    return None


def _ends_of_lines(text: str) -> str:
    if "\r" not in text:
        return text
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


def _open_folder(folder: Path, prefix: str, waiting: list[tuple[str, os.DirEntry[str]]]) -> Iterator[PassedOver]:
    """Put what stands in `folder` on the stack, so that it is taken in the order of names; say if it is refused."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        yield PassedOver(prefix.rstrip("/") or ".", _refused(error))
        return
    waiting.extend((f"{prefix}{entry.name}", entry) for entry in found)


def _judge(path: str, status: os.stat_result, max_bytes: int) -> Candidate | PassedOver:
    if not stat.S_ISREG(status.st_mode):
        ending = "not followed" if stat.S_ISLNK(status.st_mode) else "never opened"
        return PassedOver(path, f"{_kind(status.st_mode)}, {ending}")
    name = path.lower()
    for suffix, what in ARCHIVES.items():
        if name.endswith(suffix):
            return PassedOver(path, f"{what}, not looked into")
    if status.st_size > max_bytes:
        return PassedOver(path, _too_large(status.st_size, max_bytes))
    if status.st_size > MAX_UNKNOWN_BYTES and _suffix(path) not in CODE_SUFFIXES:
        return PassedOver(path, f"{_too_large(status.st_size, MAX_UNKNOWN_BYTES)}, for a suffix not known as code")
    return Candidate(path, status.st_size)


def _too_large(size: int, limit: int, more: str = "") -> str:
    return f"too large: {more}{size:,} bytes, the limit is {limit:,}"


def _read_plain(path: Path, most: int) -> bytes | None:
    """At most `most` bytes of a plain file; None for what is none (it may have become a fifo since it was listed)."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        parts: list[bytes] = []
        while most > 0 and (part := os.read(handle, min(most, 1 << 20))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122  (Path costs ten times as much, for every file)


def _refused(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a fifo"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    ):
        if test(mode):
            return name
    return "not a plain file"
