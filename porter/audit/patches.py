# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What `git log -p -U0` prints, read as commits with hunks, and lines followed through them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from porter.errors import UpstreamError

# A record begins with a byte with which no line of a patch begins.
FORMAT = "--format=%x01%m%x00%H%x00%cs%x00%s"
OPTIONS = (
    "--unified=0", "--inter-hunk-context=0", "--find-renames", "--text", "--no-color", "--no-ext-diff",
    "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--diff-algorithm=myers",
)  # fmt: skip
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

Origin = tuple[int, int] | None
"""The first and last line, of the file at the start, that a line comes from; None where none is followed."""


@dataclass(frozen=True)
class Hunk:
    """`removed` lines after line `before` of the old file (from 1; 0: at its top) gave way to `added` lines.

    `is_layout`: white space and comments aside, the two are the same.
    """

    before: int
    removed: int
    added: int
    is_layout: bool


@dataclass(frozen=True)
class FilePatch:
    """`old` or `new` is None where the file was made or taken away."""

    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True)
class Commit:
    """`is_known`: a commit with the same patch stands on the other side, so its change is there already."""

    oid: str
    date: str
    subject: str
    is_known: bool
    patches: tuple[FilePatch, ...]


def commits(told: str) -> Iterator[Commit]:
    """The commits of a log in `FORMAT`, in its order."""
    for record in f"\n{told}".split("\n\x01")[1:]:
        head, _, patch = record.partition("\n")
        mark, oid, date, subject = head.split("\0", 3)
        yield Commit(oid, date, subject, mark == "=", tuple(file_patches(patch.split("\n"))))


def file_patches(lines: Sequence[str]) -> Iterator[FilePatch]:
    """The files of one patch. Raises UpstreamError for one that is cut short."""
    at = 0
    names: list[str | None] = [None, None]
    hunks: list[Hunk] = []
    open_file = False
    while at < len(lines):
        line = lines[at]
        if line.startswith("diff --git "):
            if open_file:
                yield FilePatch(names[0], names[1], tuple(hunks))
            names, hunks, open_file = [None, None], [], True
        elif line.startswith(("--- a/", "rename from ")):
            names[0] = line.removeprefix("--- a/").removeprefix("rename from ").rstrip("\t")
        elif line.startswith(("+++ b/", "rename to ")):
            names[1] = line.removeprefix("+++ b/").removeprefix("rename to ").rstrip("\t")
        elif found := _HUNK.match(line):
            hunk, at = _hunk(found, lines, at + 1)
            hunks.append(hunk)
            continue
        at += 1
    if open_file:
        yield FilePatch(names[0], names[1], tuple(hunks))


def _hunk(found: re.Match[str], lines: Sequence[str], at: int) -> tuple[Hunk, int]:
    """The hunk, and the index of the line after it: its lines are counted, because they may look like anything."""
    first, removed, added = int(found[1]), int(found[2] or "1"), int(found[4] or "1")
    old: list[str] = []
    new: list[str] = []
    while len(old) < removed or len(new) < added or (at < len(lines) and lines[at].startswith("\\")):
        if at >= len(lines) or lines[at][:1] not in ("-", "+", "\\"):
            raise UpstreamError("what git printed is not a patch", expected=f"{removed} lines taken, {added} added")
        {"-": old, "+": new}.get(lines[at][0], []).append(lines[at][1:])
        at += 1
    before = first - 1 if removed else first
    return Hunk(before, removed, added, _bare(old) == _bare(new)), at


def _bare(lines: Sequence[str]) -> str:
    return "".join("".join(re.sub(r"//.*", "", line).split()) for line in lines)


def follow(origins: Sequence[Origin], hunks: Sequence[Hunk]) -> tuple[list[Origin], list[tuple[int, int]]]:
    """The origins of the new file's lines, and the ranges of origins that the hunks changed.

    Lines that were replaced hand their origins on, so that a later change to their successors counts too. Lines put
    between two followed lines change both. Raises UpstreamError where a hunk lies outside the file.
    """
    out: list[Origin] = []
    touched: list[tuple[int, int]] = []
    at = 0
    for hunk in hunks:
        end = hunk.before + hunk.removed
        if not at <= hunk.before <= end <= len(origins):
            raise UpstreamError(f"a patch does not fit: lines {hunk.before + 1}-{end} of {len(origins)}")
        out += origins[at : hunk.before]
        old = list(origins[hunk.before : end])
        hull = _hull(old) if hunk.removed else _between(origins, hunk.before)
        if hull is not None and not hunk.is_layout:
            touched.append(hull)
        out += old if hunk.removed == hunk.added else [hull] * hunk.added
        at = end
    return out + list(origins[at:]), touched


def _hull(origins: Sequence[Origin]) -> Origin:
    known = [origin for origin in origins if origin is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _between(origins: Sequence[Origin], before: int) -> Origin:
    """What lines put after line `before` stand between, where both neighbours are followed."""
    pair = list(origins[before - 1 : before + 1]) if before else []
    return _hull(pair) if len(pair) == 2 and None not in pair else None
