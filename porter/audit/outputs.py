# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Writing the files that a command was asked for, as others may read them: a CI step uploads them as somebody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from porter.cache import write_atomically


def write_output(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all, with the mode that it had or that the umask gives a new file.

    A link is followed. What is no plain file (/dev/stdout, a fifo) is written to, never replaced. Raises TreeError
    where a plain file cannot be written, OSError for the others.
    """
    path = path.resolve()
    mode = path.stat().st_mode if path.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        path.write_bytes(data)
        return
    write_atomically(path, data)
    path.chmod(0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))


def _umask() -> int:
    """The system tells it only to whoever sets it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
