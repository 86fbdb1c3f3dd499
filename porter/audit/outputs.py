# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Writing the files that a command was asked for, wherever that is."""

from __future__ import annotations

from pathlib import Path

from porter.cache import write_atomically


def write_output(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. A link is followed. What is no plain file (/dev/stdout, a fifo) is
    written to, never replaced.

    Raises TreeError where a plain file cannot be written, OSError for the others.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)
    else:
        write_atomically(path, data)
