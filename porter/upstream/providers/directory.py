# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A folder that holds an MLX tree, such as an unpacked archive.

A folder cannot say which commit it is. The user says it (`--mlx-rev`), and where PIN.yaml already records that commit
the folder's bytes are held to its digests.
"""

from __future__ import annotations

from pathlib import Path

from porter.errors import ArchiveError, UpstreamError
from porter.model import Coverage
from porter.upstream.archive import LIMITS
from porter.upstream.providers import Progress, put
from porter.upstream.resolve import Revision
from porter.upstream.selection import KERNELS, LICENSE, ON_DEMAND, carried_by, wanted


class Directory:
    """Full coverage where the folder holds `.metal` files and host code, headers otherwise."""

    name = "dir"

    def __init__(self, path: Path) -> None:
        """Raises UpstreamError where `path` holds no MLX tree."""
        kernels = path / KERNELS
        if not kernels.is_dir():
            raise UpstreamError(
                f"the folder holds no MLX tree: {KERNELS} is missing",
                where=str(path),
                next_step="give the top folder of an MLX source tree or clone",
            )
        self._path = path
        full = any(kernels.rglob("*.metal")) and any(kernels.parent.glob("*.cpp"))
        self.coverage = Coverage.FULL if full else Coverage.HEADERS

    def fetch(self, revision: Revision, into: Path, progress: Progress) -> None:
        files: dict[str, bytes] = {}
        done = 0
        beside = (self._path / one for one in ON_DEMAND)
        below = {*(self._path / KERNELS).parent.rglob("*"), *(place for place in beside if place.exists())}
        for place in [self._path / LICENSE, *sorted(below)]:
            path = place.relative_to(self._path).as_posix()
            if not (wanted(path) and carried_by(path, self.coverage)) or (place.is_dir() and not place.is_symlink()):
                continue
            files[path] = _read(place)
            done += len(files[path])
            progress(str(self._path), done, None)
        put(into, files)


def _read(place: Path) -> bytes:
    if place.is_symlink() or not place.is_file():
        what = "the file is missing" if not place.exists() else "not a plain file"
        raise ArchiveError(what, where=str(place), next_step="give a plain source tree, or its git clone")
    if place.stat().st_size > LIMITS.member:
        raise ArchiveError("the file is too large", where=str(place), expected=f"at most {LIMITS.member} bytes")
    try:
        return place.read_bytes()
    except OSError as error:
        raise UpstreamError(f"cannot be read: {error.strerror}", where=str(place)) from error
