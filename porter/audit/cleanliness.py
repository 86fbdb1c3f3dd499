# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether this repository and what is built of it hold what they must and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from porter.audit.bounded_git import run_git
from porter.errors import ArchiveError, ToolchainError

# Of folders that git does not keep, and of what running leaves behind: none of them may be in what is built.
_NOT_OURS = frozenset({"upstream_mlx", "generated", "build", "dist"})
_LEFT_BEHIND = frozenset(
    {"__pycache__", ".venv", ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)
_KINDS_OF_UPSTREAM = frozenset({".metal", ".metallib", ".air"})
SDIST = ("porter/", "specs/", "tests/", "tools/", "docs/", "LICENSES/")
SDIST_FILES = frozenset(
    {"README.md", "REUSE.toml", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
)


def tracked_files(root: Path) -> tuple[Path, ...]:
    """What git tracks in `root`, relative to it, sorted; what is deleted in the work tree is not among it.

    Raises ToolchainError where `root` is no work tree of git.
    """
    told = run_git(root, "ls-files", "-z")
    if told.status:
        raise ToolchainError(
            f"git names no files: {told.complaint}", where=str(root), next_step="name a work tree of git"
        )
    names = sorted(name.decode() for name in told.output.split(b"\0") if name)
    return tuple(path for name in names if (root / (path := Path(name))).is_file())


def members(path: Path) -> tuple[str, ...]:
    """The files in a wheel or an sdist, sorted; of an sdist without the folder that all stand in.

    Raises ArchiveError for a file that is neither.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return tuple(sorted(one.filename for one in archive.infolist() if not one.is_dir()))
        with tarfile.open(path) as archive:
            names = [one.name for one in archive.getmembers() if not one.isdir()]
            return tuple(sorted(name.partition("/")[2] for name in names))
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ArchiveError(f"neither a wheel nor an sdist: {error}", where=str(path)) from error


def wrong_in_wheel(names: Iterable[str], tracked: Iterable[Path]) -> list[str]:
    """What a wheel holds too much or too little, one sentence each: just the tracked package and specs, its metadata,
    and every licence."""
    paths = [path.as_posix() for path in tracked]
    wanted = {path for path in paths if path.startswith("porter/")}
    wanted |= {f"porter/_{path}" for path in paths if path.startswith("specs/")}
    licences = {PurePosixPath(path).name for path in paths if path.startswith("LICENSES/")}
    names = list(names)
    metadata = [name for name in names if PurePosixPath(name).parts[0].endswith(".dist-info")]
    kept = {PurePosixPath(name).name for name in metadata if "licenses" in PurePosixPath(name).parts}
    allowed = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", *licences}
    wrong = [f"holds {name}" for name in metadata if PurePosixPath(name).name not in allowed]
    wrong += [f"lacks the licence {name}" for name in sorted(licences - kept)]
    return wrong + _compared(set(names) - set(metadata), wanted)


def wrong_in_sdist(names: Iterable[str], tracked: Iterable[Path]) -> list[str]:
    """What an sdist holds too much or too little: just the tracked files of the folders that it is made of."""
    wanted = {path for one in tracked if (path := one.as_posix()).startswith(SDIST) or path in SDIST_FILES}
    return _compared(set(names), wanted | {"PKG-INFO"})


def _compared(found: set[str], wanted: set[str]) -> list[str]:
    wrong = [f"lacks {name}" for name in sorted(wanted - found)]
    return wrong + [f"holds {name}{_why(name)}" for name in sorted(found - wanted)]


def _why(name: str) -> str:
    path = PurePosixPath(name)
    if _LEFT_BEHIND & set(path.parts):
        return ", which running left behind"
    if path.parts[0] in _NOT_OURS or path.suffix in _KINDS_OF_UPSTREAM:
        return ", which may be upstream's"
    return ", which git does not track"
