# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Upstream's Metal backend at every release, read at run time from a clone of MLX; nothing of it is kept here."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from porter.errors import UpstreamError

FOLDER = "mlx/backend/metal"
SUFFIXES = (".h", ".metal", ".cpp")
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)$")


@dataclass(frozen=True)
class Version:
    """One text of one path, and the tags that hold it, oldest first."""

    path: str
    tags: tuple[str, ...]
    text: str = field(repr=False)


@dataclass(frozen=True)
class History:
    """`tags` oldest first; `licence` is upstream's LICENSE at the newest of them."""

    tags: tuple[str, ...]
    versions: tuple[Version, ...]
    licence: str = field(repr=False)

    def at(self, tag: str) -> dict[str, Version]:
        return {version.path: version for version in self.versions if tag in version.tags}


def history_of(repository: str | Path) -> History:
    """Every release tag of a clone, bare or not. Raises UpstreamError where git cannot read it or it has no release."""
    place = str(repository)
    tags = sorted(
        (tag for tag in _git(place, "tag", "--list", "v*").decode().split() if _RELEASE.match(tag)), key=release_key
    )
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for tag in tags:
        for entry in _git(place, "ls-tree", "-r", "-z", tag, "--", FOLDER).decode().split("\0"):
            meta, _, path = entry.partition("\t")
            if path.endswith(SUFFIXES):
                holders[path, meta.split()[2]].append(tag)
    if not holders:
        raise UpstreamError("has no release of MLX", where=place, next_step="set STEEL_PORT_MLX_GIT to a full clone")
    blobs = _blobs(place, sorted({blob for _, blob in holders}))
    versions = tuple(Version(path, tuple(held), blobs[blob]) for (path, blob), held in sorted(holders.items()))
    held = {tag for version in versions for tag in version.tags}
    licence = _git(place, "show", f"{tags[-1]}:LICENSE").decode()
    return History(tuple(tag for tag in tags if tag in held), versions, licence)


def history_of_tree(tree: Path, revision: str) -> History:
    """One revision, from a vendored tree: what there is without a clone.

    Raises UpstreamError where the tree has no file of the backend or no licence.
    """
    files = sorted(path for path in (tree / FOLDER).rglob("*") if path.suffix in SUFFIXES and path.is_file())
    licences = sorted(tree.glob("LICENSE*"))
    if not files or not licences:
        raise UpstreamError("holds no MLX sources", where=str(tree), next_step="run steel-port sync")
    versions = (Version(path.relative_to(tree).as_posix(), (revision,), path.read_text("utf-8")) for path in files)
    return History((revision,), tuple(versions), licences[0].read_text("utf-8"))


def release_key(tag: str) -> tuple[int, ...]:
    """v0.9.1 stands before v0.10.0."""
    found = _RELEASE.match(tag)
    return tuple(map(int, found.groups())) if found else (0,)


def _git(place: str, *arguments: str, given: bytes | None = None) -> bytes:
    done = subprocess.run(["git", "-C", place, *arguments], input=given, capture_output=True, check=False)
    if done.returncode:
        raise UpstreamError(f"git {arguments[0]} failed: {done.stderr.decode().strip()[:300]}", where=place)
    return done.stdout


def _blobs(place: str, names: list[str]) -> Mapping[str, str]:
    data = _git(place, "cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
    texts, start = {}, 0
    for name in names:
        end = data.index(b"\n", start)
        size = int(data[start:end].split()[2])
        texts[name] = data[end + 1 : end + 1 + size].decode("utf-8").replace("\r\n", "\n")
        start = end + 1 + size + 1
    return texts
