# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Who can bring us MLX's files. One small class each; none decides which to take (`porter.upstream.obtain` does)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from porter.model import Coverage
from porter.upstream.resolve import Revision

Progress = Callable[[str, int, "int | None"], None]
"""Called as something arrives: what it is, how many bytes of it there are, and of how many (None: not known)."""


def silent(what: str, done: int, total: int | None) -> None:
    """The progress of someone who does not watch."""


class Provider(Protocol):
    """Brings the files that `porter.upstream.selection` wants, as far as its `coverage` goes."""

    @property
    def name(self) -> str:
        """As `--provider` and PIN.yaml call it."""
        ...

    @property
    def coverage(self) -> Coverage: ...

    def fetch(self, revision: Revision, into: Path, progress: Progress) -> None:
        """Put the files into the empty folder `into`, at their upstream paths, byte for byte.

        Raises UnknownRevision where the provider has no such commit, NetworkError where it cannot be reached,
        ArchiveError where what it sent is not whole or not safe.
        """
        ...


def put(into: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` below `into`."""
    for path, data in files.items():
        place = into / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
