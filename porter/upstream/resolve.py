# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From what a person types to one commit: a tag, a full sha, or the beginning of one that fits a single commit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from porter.errors import AmbiguousRevision, SpecError, UnknownRevision
from porter.spec import load_yaml, read_text, specs_dir, validate

_FULL = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{4,39}")  # git's own shortest abbreviation is 4 digits
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,99}")


@dataclass(frozen=True)
class Revision:
    """One commit of MLX: `sha` in full, its `tag`, and the version of its mlx-metal wheel where it has one."""

    sha: str
    tag: str | None = None
    wheel: str | None = None

    def __str__(self) -> str:
        return f"{self.tag} ({self.sha[:12]})" if self.tag else self.sha[:12]


@dataclass(frozen=True)
class Releases:
    """What `specs/releases.yaml` says, in its order (oldest first)."""

    default: str
    releases: tuple[Revision, ...]

    def by_tag(self, tag: str) -> Revision | None:
        return next((release for release in self.releases if release.tag == tag), None)

    def by_sha(self, sha: str) -> Revision | None:
        return next((release for release in self.releases if release.sha == sha), None)


@dataclass(frozen=True)
class Candidate:
    """A commit that begins with the digits a person typed; `name` is what to show for it (a tag, or '')."""

    sha: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.sha} {self.name}".strip()


Lookup = Callable[[str], Iterable[Candidate]]
"""Asks a clone for every commit that a tag names, or whose sha begins with the given digits."""


def load_releases(path: Path | None = None) -> Releases:
    """Read and check the table of releases. Raises SpecError with file and line for anything that is wrong."""
    path = path or specs_dir() / "releases.yaml"
    where = f"specs/{path.name}"
    data, lines = load_yaml(read_text(path), where)
    validate(data, lines, specs_dir() / "releases.schema.json", where)
    rows = tuple(Revision(row["revision"], row["tag"], row["wheel"]) for row in data["releases"])
    for key in ("tag", "sha", "wheel"):
        seen: set[str] = set()
        for index, row in enumerate(rows):
            value = getattr(row, key)
            if value in seen:
                raise SpecError(f"{key} {value} stands twice", where=f"{where}:{lines[f'releases.{index}']}")
            seen.add(value)
    releases = Releases(data["default"], rows)
    if releases.by_tag(releases.default) is None:
        raise SpecError(
            f"the default {releases.default} is not among the releases", where=f"{where}:{lines['default']}"
        )
    return releases


def agrees(tag: str | None, sha: str) -> bool:
    """Whether the releases do not contradict that `tag` is commit `sha`. Cheap: the table is read, not checked."""
    data, _ = load_yaml(read_text(specs_dir() / "releases.yaml"), "specs/releases.yaml")
    rows = data.get("releases") if isinstance(data, dict) else None
    pairs = {row.get("tag"): row.get("revision") for row in rows or () if isinstance(row, dict)}
    return tag is None or pairs.get(tag, sha) == sha


def resolve(rev: str, releases: Releases | None = None, lookup: Lookup | None = None) -> Revision:
    """The commit that `rev` names: a full sha, a tag, or 4 to 39 leading digits of a sha.

    `lookup` asks a configured git clone; without one, tags and short shas are looked for among the releases only. A
    full sha is taken as it stands, whether it exists is for the provider to find out.
    Raises AmbiguousRevision (with the candidates) and UnknownRevision (with the nearest tags).
    """
    releases = releases or load_releases()
    lowered = rev.lower()
    if _FULL.fullmatch(lowered):
        return releases.by_sha(lowered) or Revision(lowered)
    if tagged := releases.by_tag(rev):
        return tagged
    candidates = _candidates(rev, lowered, releases, lookup)
    if len(candidates) == 1:
        (found,) = candidates.values()
        return releases.by_sha(found.sha) or Revision(found.sha, found.name or None)
    if candidates:
        listed = ", ".join(str(candidate) for _, candidate in sorted(candidates.items())[:8])
        raise AmbiguousRevision(
            f"{rev!r} fits {len(candidates)} commits of MLX: {listed}",
            next_step="give more digits of the sha, or a tag",
        )
    raise _unknown(rev, releases, lookup is not None)


def _candidates(rev: str, lowered: str, releases: Releases, lookup: Lookup | None) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    if _SHORT.fullmatch(lowered):
        matching = (row for row in releases.releases if row.sha.startswith(lowered))
        found.update((row.sha, Candidate(row.sha, row.tag or "")) for row in matching)
    if lookup is not None and (_SHORT.fullmatch(lowered) or _TAG.fullmatch(rev)):
        for candidate in lookup(rev):
            found.setdefault(candidate.sha, candidate)
    return found


def _unknown(rev: str, releases: Releases, asked_clone: bool) -> UnknownRevision:
    tags = [release.tag for release in releases.releases if release.tag]
    near = difflib.get_close_matches(rev if rev.startswith("v") else f"v{rev}", tags, n=3, cutoff=0.6)
    known = f"one of {', '.join(near)}" if near else f"a tag from {tags[0]} to {tags[-1]}"
    places = "the releases or the given clone" if asked_clone else "the releases that steel-port knows"
    advice = f"give {known}, or a full sha"
    if not asked_clone:
        advice += ", or name a clone that has it with --mlx-source PATH-OR-URL"
    return UnknownRevision(f"no commit or tag in {places} is called {rev!r}", next_step=advice)
