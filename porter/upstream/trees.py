# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Replace a whole folder in one step.

The new tree is written beside the old one and brought to disk, then the two change places with one system call
(`renameat2` with `RENAME_EXCHANGE`, Linux 3.15). Whoever looks at the folder, or kills us, at any moment finds the old
tree or the new one, whole. Where the kernel or the file system has no exchange, two renames stand in for it; a kill
between those two leaves the folder absent, and the next run (or `recover`) puts the old tree back.

Beside the folder NAME stand, while a replacement runs or after one was killed, `.NAME.steel-port-new` and
`.NAME.steel-port-old`; `.NAME.steel-port-lock` keeps two processes apart and stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from porter.errors import TreeError
from porter.model import check_relative

OURS = ("PIN.yaml", "LOCK.json")
"""A folder that holds one of these was written by steel-port, and so may be replaced by it."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another steel-port that is replacing the same folder; a replacement takes well under one."""

_AT_FDCWD = -100  # linux/fcntl.h
_RENAME_EXCHANGE = 2  # linux/fs.h
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def replace_tree(target: Path, files: Mapping[str, bytes], beside: str = "") -> None:
    """Make the folder `target` hold exactly `files` (POSIX paths relative to it), or leave it as it was.

    A folder that already holds exactly `files` is not touched, whatever stands in its folder `beside`. What stands in
    `target` and is not in `files` goes, and what stands in `beside` with it: it was made from what stood there.
    Raises TreeError where the place is not a folder of ours, cannot be written or is full, and ValueError for a path
    that leaves the folder or that is a file and a folder at once.
    """
    _check_paths(files)
    real = Path(os.path.realpath(target))
    with _locked(real), _as_tree_error(real):
        _recover(real)
        if holds(real, files, beside):
            return
        _check_replaceable(real)
        new = _beside(real, "new")
        try:
            _write_tree(new, files)
            _swap(new, real)
            _sync(real.parent)
        finally:  # an interrupt can come between two renames too, so this is what the next run would do
            with contextlib.suppress(OSError):
                _recover(real)


def recover(target: Path) -> None:
    """Clear away what a killed replacement of `target` left, and put back a tree that it had set aside.

    Raises TreeError where that needs doing and cannot be done.
    """
    real = Path(os.path.realpath(target))
    if _beside(real, "new").exists() or _beside(real, "old").exists():
        with _locked(real), _as_tree_error(real):
            _recover(real)


def holds(target: Path, files: Mapping[str, bytes], beside: str = "") -> bool:
    """Whether the folder `target` holds exactly `files`, all plain files; its folder `beside` does not count."""
    if set(list_files(target, beside)) != set(files):
        return False
    paths = {name: target / name for name in files}
    return all(
        not path.is_symlink() and path.stat().st_size == len(files[name]) and path.read_bytes() == files[name]
        for name, path in paths.items()
    )


def list_files(root: Path, beside: str = "") -> Iterator[str]:
    """Every entry below `root` that is not a plain folder, as a POSIX path relative to it; nothing where it is absent.

    Links are listed, never followed. What stands in the folder `beside` of `root` is left out.
    """
    for folder, folders, names in os.walk(root, followlinks=False):
        base = Path(folder)
        if beside and base == root and beside in folders and not (base / beside).is_symlink():
            folders.remove(beside)
        linked = [name for name in folders if (base / name).is_symlink()]
        for name in (*names, *linked):
            yield (base / name).relative_to(root).as_posix()


def _check_paths(files: Mapping[str, bytes]) -> None:
    folders = {parent for name in files for parent in PurePosixPath(check_relative(name)).parents}
    for name in files:
        if PurePosixPath(name) in folders:
            raise ValueError(f"{name!r} is a file and a folder at once")


def _check_replaceable(real: Path) -> None:
    if real.is_dir():
        entries = {entry.name for entry in real.iterdir()}
        if entries and (".git" in entries or not entries.intersection(OURS)):
            raise TreeError(
                "the folder holds files that steel-port did not write, and would replace",
                where=str(real),
                expected=f"an empty folder, or one with {' or '.join(OURS)}",
                next_step="choose another folder, or move what is in it elsewhere",
            )
    elif os.path.lexists(real):
        raise TreeError("something that is not a folder stands here", where=str(real), next_step="move it elsewhere")


def _beside(real: Path, role: str) -> Path:
    return real.with_name(f".{real.name}.steel-port-{role}")


@contextlib.contextmanager
def _locked(real: Path) -> Iterator[None]:
    import filelock

    with _as_tree_error(real):
        real.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(_beside(real, "lock"), timeout=LOCK_TIMEOUT)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise TreeError(
                f"another steel-port has held the lock for {LOCK_TIMEOUT:.0f} s",
                where=str(_beside(real, "lock")),
                next_step="wait for it to end, or stop it, and run again",
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _as_tree_error(real: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, NotImplementedError) as error:  # filelock raises the latter where the file system has no locks
        reason = getattr(error, "strerror", None) or str(error)
        raise TreeError(
            f"the folder cannot be written: {reason}; what stood there stands there still",
            where=str(real),
            next_step="free space or make the folder above it writable, or choose another folder",
        ) from error


def _recover(real: Path) -> None:
    """Called with the lock held: no other process is between two of the steps of `replace_tree`."""
    old = _beside(real, "old")
    if old.is_dir() and not os.path.lexists(real):
        old.rename(real)
    for left in (_beside(real, "new"), old):
        if left.exists():
            shutil.rmtree(left)


def _write_tree(new: Path, files: Mapping[str, bytes]) -> None:
    new.mkdir()
    for folder in sorted({PurePosixPath(name).parent for name in files}):
        (new / folder).mkdir(parents=True, exist_ok=True)
    for name in files:
        descriptor = os.open(new / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(files[name])
    # To disk only once all is written: one commit of the file system's journal then serves every file.
    for folder_name, _, names in os.walk(new, topdown=False):
        for name in names:
            _sync(Path(folder_name, name))
        _sync(Path(folder_name))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(new: Path, real: Path) -> None:
    """Put `new` where `real` is. What was there is afterwards at `new`, or at the `old` name, or was not there."""
    if not real.exists():
        new.rename(real)
    elif not _exchange(new, real):
        old = _beside(real, "old")
        real.rename(old)
        try:
            new.rename(real)
        except BaseException:
            old.rename(real)
            raise


def _exchange(first: Path, second: Path) -> bool:
    """Let two folders change places atomically. False where the system cannot; OSError where it may not."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(second))
