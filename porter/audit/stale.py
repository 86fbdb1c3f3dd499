# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What upstream changed in derived lines since the newest release that holds them: a port that lacks a fix is named.

The history is that of the clone's main branch, along first parents. Lines are followed hunk by hunk, also through
renames of the file. Where a passage has as many lines as upstream's, line answers to line; where its layout differs,
its lines are divided in proportion, so that the range that is named may be off by the difference in layout.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from porter.audit.bounded_git import run_git, succeed
from porter.audit.model import Change, Lines, Match, Passage, UpstreamFile
from porter.audit.patches import FORMAT, OPTIONS, Commit, Hunk, Origin, commits, file_patches, follow
from porter.errors import UpstreamError
from porter.model import sha256

_MAINS = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/heads/main")
"""Whichever a clone has first; HEAD where it has none, because a checkout of the pin would hide all that came after."""


@dataclass(frozen=True)
class FixWords:
    """Words of a commit's subject that say (`is_fix`) or that it is none after all; patterns on lower case."""

    pattern: str
    is_fix: bool
    example: str


FIX_WORDS: tuple[FixWords, ...] = (
    FixWords(r"\bfix(?:e[sd]|ing)?\b(?!-| size| point| width)", True, "Fix the offset of a safe load"),
    FixWords(r"\bbugs?\b|\bbugfix|\bhotfix", True, "two-pass bug with sinks"),
    FixWords(r"\bcorrect(?:s|ed|ness)?\b|\bincorrect|\bwrong\b", True, "Use the right, not the wrong, stride"),
    FixWords(r"\b(?:over|under)flow", True, "int32 overflow of a row's offset"),
    FixWords(r"\bnans?\b|\bsubnormal|\bdenormal", True, "avoid NaN where a row is masked"),
    FixWords(r"\bout[- ]of[- ]bounds?\b|\boob\b|\boff[- ]by[- ]one\b", True, "no out of bounds read at the edge"),
    FixWords(r"\braces?\b(?! to)|\bhazard|\bdeadlock|\bhangs?\b", True, "a race between two commands"),
    FixWords(r"\bcrash|\bsegfault|\buse[- ]after[- ]free|\bleak|\buninitiali[sz]ed", True, "crash with no rows"),
    FixWords(r"\btruncat|\bmis(?:match|aligned|compil)|\bregression\b|\bguard\b", True, "keys truncated to 32 bits"),
    FixWords(r"\bprecision\b.*\b(?:lost|loss|issue)|\b(?:lost|loss of) precision", True, "loss of precision in f16"),
    FixWords(r"\b(?:typos?|spelling|wording)\b.*\b(?:comments?|docs?|readme)", False, "Fix typos in comments"),
    FixWords(r"\bfix(?:e[sd]|ing)?\b.*\b(?:docs?|docstrings?|readme|lint|format|formatting)\b", False, "fix lint"),
    FixWords(r"\bfix(?:e[sd]|ing)?\b.*\b(?:warnings?|(?:flaky|unit) tests?|builds?|ci)\b", False, "Fix the build"),
)


def is_fix(subject: str) -> bool:
    """Whether a commit's subject says that it puts something right. A fix whose subject does not say so is missed."""
    said = {words.is_fix for words in FIX_WORDS if re.search(words.pattern, subject.lower())}
    return said == {True}


def changes(git_dir: Path, match: Match, upstream: UpstreamFile) -> tuple[Change, ...]:
    """Commits after the newest of the match's revisions that changed its upstream lines; fixes first, then by date.

    `git_dir` is a clone of MLX, bare or not, `upstream` the file that the match names. Its lines are followed from the
    newest of its own releases, because at the newest of the match's the code may have moved to another file. Commits
    that only move white space or comments are left out. Raises UpstreamError where the clone lacks the revision, holds
    another file there, or reads no further than it.
    """
    held = [tag for tag in match.revisions if tag in upstream.tags] or list(upstream.tags or match.revisions)
    if not held:
        raise UpstreamError("no release is known to hold these lines", where=match.path)
    folder, start = Path(git_dir), held[-1]
    newest = (match.revisions or upstream.tags)[-1]
    commit, main = _ends(folder, start)
    history = _history(folder, start, commit, main, upstream.path, upstream.sha256)
    origins = _followed(match, history.line_count)
    for hunks in history.before:
        origins, _ = follow(origins, hunks)
    older = frozenset[str]() if newest == start else _between_releases(folder, commit, _ends(folder, newest)[0])
    found = [change for change in _changes(match, origins, history) if change.commit not in older]
    return tuple(sorted(found, key=lambda change: (not change.is_fix, change.date)))


def _followed(match: Match, count: int) -> list[Origin]:
    """Line by line, 1 to `count`, of upstream's file: itself where it stands in a passage."""
    held = {line for one in match.passages for line in range(one.upstream_lines.first, one.upstream_lines.last + 1)}
    return [(line, line) if line in held else None for line in range(1, count + 1)]


def _changes(match: Match, origins: list[Origin], history: _History) -> Iterator[Change]:
    for commit, hunks in history.after:
        origins, touched = follow(origins, hunks)
        lines = _merged(line for first, last in touched for one in match.passages for line in _ours(one, first, last))
        if lines and not commit.is_known:
            yield Change(commit.oid, commit.date, commit.subject, is_fix(commit.subject), lines)


def _ours(passage: Passage, first: int, last: int) -> Iterator[Lines]:
    """The passage's lines that answer to upstream's lines `first` to `last`."""
    theirs, ours = passage.upstream_lines, passage.lines
    first, last = max(first, theirs.first), min(last, theirs.last)
    if first <= last:
        low = (first - theirs.first) * len(ours) // len(theirs)
        high = -(-(last + 1 - theirs.first) * len(ours) // len(theirs))
        yield Lines(ours.first + low, ours.first + max(low + 1, high) - 1)


def _merged(found: Iterable[Lines]) -> tuple[Lines, ...]:
    out: list[Lines] = []
    for lines in sorted(found):
        if out and lines.first <= out[-1].last + 1:
            out[-1] = Lines(out[-1].first, max(out[-1].last, lines.last))
        else:
            out.append(lines)
    return tuple(out)


# ---------------------------------------------------------------------------------------------------------------------
# The history of one file


@dataclass(frozen=True)
class _History:
    """Of a file with `line_count` lines at a revision: hunks `before` lead from there to where the main branch parted
    from it (none, where it did not), and each commit `after` on that branch has its own, oldest first."""

    line_count: int
    before: tuple[tuple[Hunk, ...], ...]
    after: tuple[tuple[Commit, tuple[Hunk, ...]], ...]


@functools.lru_cache(maxsize=256)
def _history(folder: Path, revision: str, commit: str, main: str, path: str, digest: str) -> _History:
    data = succeed(folder, run_git(folder, "cat-file", "blob", f"{commit}:{path}"), f"read {path} at {revision}")
    if sha256(data) != digest:
        raise UpstreamError(
            f"the clone holds another {path} at {revision}", where=str(folder), expected=f"sha256 {digest}",
            next_step="give the clone that the audit's releases come from",
        )  # fmt: skip
    base = _base(folder, commit, main, revision)
    before = () if base == commit else (_direct(folder, commit, base, path),)
    told = _log(folder, commit, main, _names(folder, commit, main, path))
    count = len(data.split(b"\n")) - data.endswith(b"\n")
    return _History(count if data else 0, before, tuple(_along(told, path)))


@functools.lru_cache(maxsize=256)
def _between_releases(folder: Path, old: str, new: str) -> frozenset[str]:
    """Commits that the newer release has and the older has not."""
    told = run_git(folder, "rev-list", f"{old}..{new}")
    return frozenset(succeed(folder, told, "list its commits").decode().split())


def _along(told: Iterable[Commit], path: str) -> Iterator[tuple[Commit, tuple[Hunk, ...]]]:
    """Commits that touch the file that is called `path` at first, by whatever name it goes when they do."""
    current: str | None = path
    for commit in told:
        for patch in commit.patches:
            if current is not None and patch.old == current:
                yield commit, patch.hunks
                current = patch.new
                break


def _ends(folder: Path, revision: str) -> tuple[str, str]:
    """The commits of the revision, a tag or a commit id, and of the main branch."""
    asked = ("for-each-ref", "--format=%(refname)%00%(objectname)%00%(*objectname)", *_MAINS, f"refs/tags/{revision}")
    told = succeed(folder, run_git(folder, *asked), "list its branches").decode("utf-8", "replace")
    rows = [row.split("\0") for row in told.splitlines()]
    known = {row[0]: row[2] or row[1] for row in rows}
    main = next((known[name] for name in _MAINS if name in known), None) or _commit(folder, "HEAD")
    commit = known.get(f"refs/tags/{revision}") or (
        _commit(folder, revision) if re.fullmatch("[0-9a-f]{40}", revision) else None
    )
    if commit is None or main is None:
        raise UpstreamError(
            f"the clone has no {revision if commit is None else 'main branch'}",
            where=str(folder),
            expected="a clone of MLX with all its releases",
            next_step="run `git fetch --tags --unshallow` there, or `git clone https://github.com/ml-explore/mlx`",
        )
    return commit, main


def _commit(folder: Path, name: str) -> str | None:
    told = run_git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return told.output.decode().strip() if told.status == 0 else None


def _base(folder: Path, commit: str, main: str, revision: str) -> str:
    told = run_git(folder, "merge-base", commit, main)
    if told.status != 0:
        raise UpstreamError(
            f"no history leads from {revision} to the main branch",
            where=str(folder),
            next_step="run `git fetch --tags --unshallow` there",
        )
    return told.output.decode().split()[0]


def _direct(folder: Path, old: str, new: str, path: str) -> tuple[Hunk, ...]:
    told = run_git(folder, "diff", *OPTIONS, old, new, "--", path)
    patches = file_patches(succeed(folder, told, f"compare {path}").decode("utf-8", "replace").split("\n"))
    return tuple(hunk for patch in patches for hunk in patch.hunks)


def _names(folder: Path, commit: str, main: str, path: str) -> list[str]:
    """The names of the file on the way, oldest first."""
    names = [path]
    for old, new in _renames(folder, commit, main):
        if old == names[-1]:
            names.append(new)
    return names


@functools.lru_cache(maxsize=256)
def _renames(folder: Path, commit: str, main: str) -> tuple[tuple[str, str], ...]:
    options = ("--first-parent", "--diff-merges=first-parent", "--reverse", "--find-renames", "--diff-filter=R")
    told = run_git(folder, "log", *options, "--name-status", "-z", "--format=", f"{commit}..{main}")
    words = succeed(folder, told, "list renames").decode("utf-8", "surrogateescape").split("\0")
    found = (at for at, word in enumerate(words) if re.fullmatch(r"\n*R\d+", word) and at + 2 < len(words))
    return tuple((words[at + 1], words[at + 2]) for at in found)


def _log(folder: Path, commit: str, main: str, paths: Iterable[str]) -> Iterator[Commit]:
    told = run_git(
        folder, "log", "--patch", "--first-parent", "--diff-merges=first-parent", "--reverse", "--topo-order",
        "--right-only", "--cherry-mark", "--no-show-signature", "--no-notes", *OPTIONS, FORMAT,
        f"{commit}...{main}", "--", *dict.fromkeys(paths),
    )  # fmt: skip
    return commits(succeed(folder, told, "print its history").decode("utf-8", "replace"))
