# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Where things that can be made again are kept: downloads, compiled kernels, compiled extensions, proofs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from porter.errors import TreeError


def cache_dir(name: str) -> Path:
    """The folder `name` of our cache, made if it is missing.

    The user's cache folder (XDG on Linux, by platformdirs), or `$STEEL_PORT_CACHE` where that is set.
    Raises TreeError where the folder cannot be made.
    """
    import platformdirs

    override = os.environ.get("STEEL_PORT_CACHE")
    base = Path(override) if override else Path(platformdirs.user_cache_dir("steel-port"))
    path = base / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TreeError(
            f"the cache folder cannot be made: {error.strerror}",
            where=str(path),
            next_step="set STEEL_PORT_CACHE to a folder you can write to",
        ) from error
    return path


def _umask() -> int:
    """The system tells it only to whoever sets it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a kill at any moment, sees the old bytes or the new, never a part.

    The file keeps its mode; a new one has that which the umask gives.
    Raises TreeError where the folder cannot be written or is full.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                os.fchmod(handle, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask())
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TreeError(
            f"cannot be written: {error.strerror}", where=str(path), next_step="free space or choose another folder"
        ) from error
