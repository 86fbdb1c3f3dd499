# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every version of MLX's Metal backend that is at hand: one revision from the vendored sources, or all releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from porter.audit.bounded_git import run_git, succeed
from porter.audit.model import UpstreamFile
from porter.errors import ArchiveError, UpstreamError
from porter.model import Sources, sha256
from porter.upstream.archive import LIMITS
from porter.upstream.providers.git import is_git_dir

FOLDER = "mlx/backend/metal"
"""Where MLX's kernels and the host code that launches them stand, in every release so far (v0.0.2 to v0.32.1)."""

SUFFIXES = (".h", ".metal", ".cpp", ".mm")
_RELEASE = re.compile(r"v\d+(\.\d+)+")


def of_sources(sources: Sources) -> list[UpstreamFile]:
    """The files of one revision, as they are vendored."""
    tags = (sources.pin.tag or sources.pin.revision,)
    return [
        UpstreamFile(file.path, file.sha256, tags, file.text) for file in sources.files.values() if _counts(file.path)
    ]


def release_tags(folder: Path) -> dict[str, str]:
    """Tag -> commit of every release in a clone, oldest version first."""
    form = "--format=%(refname:strip=2) %(objectname) %(*objectname)"
    told = succeed(folder, run_git(folder, "for-each-ref", form, "refs/tags"), "list its tags")
    rows = [row.split() for row in told.decode("utf-8", "replace").splitlines()]
    found = {row[0]: row[-1] for row in rows if _RELEASE.fullmatch(row[0])}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0][1:].split(".")]))


def of_clone(source: str, tags: Sequence[str] = ()) -> list[UpstreamFile]:
    """Every version of every file in the releases `tags` (all, where none is named) of a clone of MLX.

    Raises UpstreamError where `source` is no clone, has no releases, or lacks a tag.
    """
    folder = clone(source)
    known = release_tags(folder)
    if missing := [tag for tag in tags if tag not in known]:
        raise UpstreamError(f"the clone has no release {missing[0]}", where=source, next_step="git fetch --tags there")
    if not known:
        raise UpstreamError("the clone has no release of MLX", where=source, next_step="git fetch --tags there")
    versions: dict[tuple[str, str], list[str]] = {}
    sizes: dict[str, int] = {}
    for tag in tags or known:
        for path, oid, size in _listing(folder, known[tag]):
            versions.setdefault((path, oid), []).append(tag)
            sizes[oid] = size
    if sum(sizes.values()) > LIMITS.expanded or max(sizes.values(), default=0) > LIMITS.member:
        raise ArchiveError("the files are larger than is allowed", where=source)
    blobs = _contents(folder, sizes)
    return [
        UpstreamFile(path, sha256(blobs[oid]), tuple(held), blobs[oid].decode("utf-8", "replace"))
        for (path, oid), held in sorted(versions.items())
    ]


def clone(source: str) -> Path:
    """The folder `source`, which is a clone. Raises UpstreamError where there is none."""
    folder = Path(source).expanduser()
    if not is_git_dir(folder):
        raise UpstreamError("not a clone of MLX", where=source, next_step="git clone https://github.com/ml-explore/mlx")
    return folder


def _counts(path: str) -> bool:
    return path.startswith(FOLDER + "/") and path.endswith(SUFFIXES)


def _listing(folder: Path, commit: str) -> Iterable[tuple[str, str, int]]:
    """(path, object id, size) of every file of one commit that counts."""
    told = run_git(folder, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", FOLDER)
    for row in succeed(folder, told, f"list {commit}").decode("utf-8", "surrogateescape").split("\0")[:-1]:
        facts, path = row.split("\t", 1)
        mode, _, oid, size = facts.split()
        if mode in ("100644", "100755") and _counts(path):
            yield path, oid, int(size)


def _contents(folder: Path, sizes: dict[str, int]) -> dict[str, bytes]:
    asked = "".join(f"{oid}\n" for oid in sizes).encode()
    told = succeed(folder, run_git(folder, "cat-file", "--batch", given=asked), "read its files")
    out, at = {}, 0
    for oid, size in sizes.items():
        at = told.index(b"\n", at) + 1
        out[oid] = told[at : at + size]
        at += size + 1
    return out
