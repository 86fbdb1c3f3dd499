# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Compiled kernels on disk: one file a key, in the folder `kernels` of our cache.

A key is a digest of everything that can change what is kept under it (source, flags, compilers, this package, the
processor); whoever calls makes it. So an entry never becomes wrong, and dropping one costs a compilation and nothing
else. All promises follow from that and from three habits:
- an entry is written beside its place and renamed there: readers, other writers and a kill see all of it or nothing;
- a reader takes the file whole and checks its digest, which covers the key: what is cut short, damaged or in another's
  place is a miss, and is removed. It may be evicted a moment later without harm;
- an entry that another user owns is a miss (root's is not): what is in it would run in this process.

The library that would do this, diskcache 5.6.3 (2023), does not: it writes values of 32 KiB and more in place, so that
a kill leaves files that it never counts nor removes; it checks no digest; and a row of its database can say that a
value is a pickle. Locks are filelock's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from porter.cache import cache_dir
from porter.errors import MetalError, TreeError

LIMIT_BYTES = 2 << 30
"""How much is kept where STEEL_PORT_CACHE_LIMIT does not say it."""

WAIT_SECONDS = 660.0
"""How long one maker waits for another of the same key: a compiler is given up after 600 s (`toolchain`)."""

LEFTOVER_SECONDS = 3600.0
"""A temporary file that is older belongs to nobody: no compilation takes that long."""

_SUFFIX = ".kernel"
_LOCKS = "locks"
_MAGIC = b"STEELKC1"
_HEAD_BYTES = len(_MAGIC) + 32
_POLL_SECONDS = 0.02
# Once over the limit, a little more than needed goes, so that not every write that follows has to look again.
_KEPT_OF_LIMIT = 0.9
# A process looks at the whole folder before its first write, and again for each such part of the limit that it wrote.
_LOOK_AGAIN = 1 / 32
_KEY = re.compile(r"[0-9a-f]{16,128}")


@dataclass(frozen=True)
class Usage:
    """What the cache holds: `entries`, and the bytes of everything in the folder."""

    folder: Path
    entries: int
    bytes: int
    limit: int


def get(key: str) -> bytes | None:
    """What is kept under `key` (lower-case hex), or None. Never waits and never raises for what is on the disk."""
    path = _path(key)
    try:
        data = _read(path)
    except OSError:
        return None
    if data is None:
        return None
    value = data[_HEAD_BYTES:]
    if data[:_HEAD_BYTES] != _head(key, value):
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)  # most mounts do not keep the time of the last reading
    return value


def put(key: str, data: bytes) -> None:
    """Keep `data` under `key` and drop what was used least recently where that is too much.

    Where the folder cannot be written, or the disk is full, nothing is kept and one warning says so: a kernel that was
    compiled can run all the same. Raises MetalError where STEEL_PORT_CACHE_LIMIT is no number.
    """
    limit = limit_bytes()
    if len(data) + _HEAD_BYTES > limit:
        return
    path = _path(key)
    try:
        _write(path, _head(key, data) + data)
        _account.wrote(path.parent, len(data) + _HEAD_BYTES, limit)
    except OSError as error:
        _warn_once(path.parent, error)


def compiled(key: str, make: Callable[[], bytes]) -> bytes:
    """What is kept under `key`, or else what `make` makes, which is kept then.

    Of several threads and processes that ask for one key at once, one makes it and the others wait. It is made twice
    only where a maker takes longer than WAIT_SECONDS or the folder cannot be written; a maker that raises or is killed
    leaves its place to the next. Raises what `make` raises.
    """
    found = get(key)
    if found is not None:
        return found
    with _maker(key):
        found = get(key)
        if found is None:
            found = make()
            put(key, found)
        return found


def limit_bytes() -> int:
    """STEEL_PORT_CACHE_LIMIT in bytes; 0 keeps nothing. Raises MetalError where it is not a whole number."""
    text = os.environ.get("STEEL_PORT_CACHE_LIMIT", "").strip()
    if not text:
        return LIMIT_BYTES
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise MetalError(
            f"STEEL_PORT_CACHE_LIMIT is {text[:40]!r}",
            expected="a whole number of bytes",
            next_step=f"unset it (the limit is then {LIMIT_BYTES})",
        )
    return int(text)


def usage() -> Usage:
    """What is there now. Raises TreeError where there can be no cache."""
    folder = _folder()
    files = list(_files(folder))
    return Usage(folder, sum(file.name.endswith(_SUFFIX) for file in files), sum(f.size for f in files), limit_bytes())


def clear() -> Usage:
    """Remove every entry, and say what there was. Safe while others compile. Raises TreeError as `usage` does."""
    before = usage()
    for file in _files(before.folder):
        if file.name.endswith(_SUFFIX):
            with suppress(OSError):
                Path(file.path).unlink()
    sweep(before.folder, before.limit)
    return before


def sweep(folder: Path, limit: int) -> int:
    """Drop leftovers of killed writers, then the least recently used until `limit` is kept; the bytes that are left."""
    drop_leftovers(folder)
    files = sorted(_files(folder), key=lambda file: file.used)
    total = sum(file.size for file in files)
    if total <= limit:
        return total
    for file in files:
        if total <= limit * _KEPT_OF_LIMIT:
            break
        with suppress(OSError):
            Path(file.path).unlink()
            total -= file.size
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Files


def _folder() -> Path:
    return cache_dir("kernels")


def _path(key: str) -> Path:
    if not _KEY.fullmatch(key):
        raise ValueError(f"a key is lower-case hexadecimal, not {key!r}")
    try:
        return _folder() / f"{key}{_SUFFIX}"
    except TreeError as error:
        # No cache is no error here: see `put`.
        return Path(error.where or os.devnull) / f"{key}{_SUFFIX}"


def _head(key: str, data: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(key.encode() + b"\0" + data).digest()


def _read(path: Path) -> bytes | None:
    """The bytes of a plain file that this user or root owns, or None. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0):
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def _write(path: Path, data: bytes) -> None:
    """Write beside `path` and rename: not `porter.cache.write_atomically`, which waits for the disk. What a power cut
    leaves of an entry has the wrong digest. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".build-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


@dataclass(frozen=True)
class _File:
    name: str
    path: str
    size: int
    used: float


def _files(folder: Path) -> Iterator[_File]:
    """The plain files of `folder` that are not being written. One that goes away meanwhile is left out."""
    with os.scandir(folder) as found:
        for one in found:
            if _is_temporary(one.name):
                continue
            with suppress(OSError):
                status = one.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield _File(one.name, one.path, status.st_size, status.st_mtime)


def _is_temporary(name: str) -> bool:
    return name.startswith(".build-") or name.endswith(".tmp")


def drop_leftovers(folder: Path) -> None:
    """Remove what killed writers left in `folder`: temporary files and folders, and locks, older than an hour."""
    old = time.time() - LEFTOVER_SECONDS
    for inside in (folder, folder / _LOCKS):
        with suppress(OSError), os.scandir(inside) as found:
            for one in found:
                # A lock that somebody still waits for may go too: at worst one key is made twice.
                if not _is_temporary(one.name) and inside == folder:
                    continue
                with suppress(OSError):
                    if one.stat(follow_symlinks=False).st_mtime < old:
                        _remove(one)


def _remove(one: os.DirEntry[str]) -> None:
    if one.is_dir(follow_symlinks=False):
        shutil.rmtree(one.path, ignore_errors=True)
    else:
        Path(one.path).unlink()


class _Account:
    """What this process wrote since it last looked at the whole folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._written = 0

    def wrote(self, folder: Path, size: int, limit: int) -> None:
        """Look at `folder` where that is due. Raises OSError."""
        with self._lock:
            self._written += size
            due = folder != self._folder or self._written > limit * _LOOK_AGAIN
            if due:
                self._folder, self._written = folder, 0
        if due:
            sweep(folder, limit)


_account = _Account()


# ---------------------------------------------------------------------------------------------------------------------
# One maker a key


@contextmanager
def _maker(key: str) -> Iterator[None]:
    """Hold the place of the maker of `key`, or go on without it where it cannot be had."""
    path = _path(key).parent / _LOCKS / f"{key}.lock"
    lock = FileLock(path, timeout=WAIT_SECONDS, poll_interval=_POLL_SECONDS)
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError, Timeout):
        yield
        return
    try:
        yield
    finally:
        # Whoever waits for this very file finds it gone when it gets it, and opens the next one.
        with suppress(OSError):
            path.unlink()
        lock.release()


_warned: set[Path] = set()


def _warn_once(folder: Path, error: OSError) -> None:
    if folder not in _warned:
        _warned.add(folder)
        warnings.warn(
            f"compiled kernels are not kept: {folder}: {error.strerror or error}; "
            "set STEEL_PORT_CACHE to a folder you can write to",
            RuntimeWarning,
            stacklevel=3,
        )
