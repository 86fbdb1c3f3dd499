# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What in one text is derived from MLX: which lines, from which file, and from which releases.

1. The text's fingerprints are looked up; each leads to paths of upstream.
2. Of the paths that are found most often, the version that holds most of the fingerprints is aligned with the text.
   The one that explains most lines is taken, and the search goes on in what is left.
3. A run of tokens counts if it says enough (`telling`): much code looks alike because there is one way to write it.
4. For each run, every version of every file in which it stands is found; a match's releases are those that hold all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from porter.audit.alignment import Run, equal_words, same_to, shared_runs, without_overlap
from porter.audit.fingerprints import GRAM, gram_hashes, winnow
from porter.audit.index import Index, Version
from porter.audit.model import Lines, Match, Passage
from porter.audit.tokens import Array, Tokens, tokens_of

TELLING_TOKENS = 60
"""A run of fewer tokens counts only where its names are upstream's too, and then from TELLING_IDENTICAL on."""

TELLING_IDENTICAL = 36

_LOOKED_AT = 12  # paths that are aligned in each round
_OFTEN = 8  # places of one fingerprint in a text that are looked at to find candidates
_ROUNDS = 40  # upstream files that one text may be derived from


@dataclass(frozen=True)
class _Text:
    path: str
    tokens: Tokens
    hashes: Array
    marks: Array
    """Positions of the fingerprints among the hashes."""


def find(path: str, text: str, index: Index) -> list[Match]:
    """What `text` has from MLX, the most first. `path` is what the matches call it."""
    tokens = tokens_of(text)
    hashes = gram_hashes(tokens)
    mine = _Text(path, tokens, hashes, winnow(hashes))
    hits = _hits(mine, index)
    free = np.ones(len(tokens), bool)
    out = []
    for _ in range(_ROUNDS):
        best = _best(mine, index, hits, free)
        if best is None:
            break
        version, runs = best
        for run in runs:
            free[run.here : run.end] = False
        out.append(_match(mine, index, version, runs))
    return sorted(out, key=lambda match: -match.tokens)


@dataclass(frozen=True)
class _Hits:
    """`at` (int64, n): the token of the text at which a fingerprint of upstream begins; `owners` (uint16, n): whose."""

    at: Array
    owners: Array


def _hits(mine: _Text, index: Index) -> _Hits:
    """Where fingerprints of upstream stand in a run that is long enough to be told, at one place upstream at least."""
    marks = _not_often(mine)
    left, right = (np.searchsorted(index.hashes, mine.hashes[marks], side) for side in ("left", "right"))
    count = right - left
    at = np.repeat(marks, count)
    posting = np.repeat(left - (np.cumsum(count) - count), count) + np.arange(len(at))
    there = index.examples[posting]
    needed = TELLING_IDENTICAL - GRAM + 1
    before, after = (_agreeing(mine, index, at, there, step, needed) for step in (-1, 1))
    enough = before + after - 1 >= needed
    return _Hits(at[enough], index.owners[posting[enough]])


def _not_often(mine: _Text) -> Array:
    """The fingerprints' places, of those that recur throughout the text the first few."""
    hashes = mine.hashes[mine.marks]
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    nth = np.zeros(len(order), np.int64)
    nth[order] = np.arange(len(order)) - np.searchsorted(ranked, ranked, "left")
    return mine.marks[nth < _OFTEN]


def _agreeing(mine: _Text, index: Index, at: Array, there: Array, step: int, most: int) -> Array:
    """How many hashes agree one after another from each place on, itself counted, at most `most`."""
    total = np.ones(len(at), np.int64)
    going = np.arange(len(at))
    for offset in range(1, most):
        here, upstream = at[going] + step * offset, there[going] + step * offset
        inside = (here >= 0) & (here < len(mine.hashes)) & (upstream >= 0) & (upstream < len(index.grams))
        going, here, upstream = going[inside], here[inside], upstream[inside]
        going = going[mine.hashes[here] == index.grams[upstream]]
        if not len(going):
            break
        total[going] += 1
    return total


def _best(mine: _Text, index: Index, hits: _Hits, free: Array) -> tuple[Version, list[Run]] | None:
    """The version that explains most of what is free, and the runs that it does."""
    open_hits = free[hits.at]
    counts = np.bincount(hits.owners[open_hits], minlength=len(index.paths))
    candidates = [int(path) for path in np.argsort(-counts, kind="stable")[:_LOOKED_AT] if counts[path]]
    best: tuple[int, Version, list[Run]] | None = None
    for path in candidates:
        version = _nearest(mine, index, path, hits.at[open_hits & (hits.owners == path)])
        runs = _telling_runs(mine, index, version, free)
        score = sum(run.length for run in runs)
        if runs and (best is None or score > best[0]):
            best = score, version, runs
    return best[1:] if best else None


def _nearest(mine: _Text, index: Index, path: int, at: Array) -> Version:
    """The version of a path that holds most of the fingerprints that begin at `at`; of equal ones the newest."""
    wanted = np.unique(mine.hashes[at])
    scores = [np.isin(wanted, index.look(version)[1]).sum() for version in index.of_path[path]]
    return index.of_path[path][int(np.argmax(scores))]


def _telling_runs(mine: _Text, index: Index, version: Version, free: Array) -> list[Run]:
    theirs, their_hashes = index.look(version)
    spans = free[: len(mine.hashes)]
    runs = shared_runs(mine.tokens, mine.hashes, theirs, their_hashes, spans)
    runs = [part for run in runs for part in _free_parts(run, free)]
    runs = without_overlap(runs, {run: equal_words(mine.tokens, theirs, run) for run in runs}, GRAM)
    runs = [trimmed for run in runs if (trimmed := _whole_lines(mine.tokens, run)) is not None]
    return [run for run in runs if telling(mine, theirs, run)]


def _free_parts(run: Run, free: Array) -> Iterator[Run]:
    """What of a run is not explained yet."""
    inside = np.concatenate([[0], free[run.here : run.end].astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(inside))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield Run(run.here + int(begin), run.there + int(begin), int(end - begin))


def _whole_lines(tokens: Tokens, run: Run) -> Run | None:
    """The run without lines at its ends that it shares only in part, or that hold punctuation alone."""
    begin, end = run.here, run.end
    lines = tokens.lines
    while begin < end and begin and lines[begin - 1] == lines[begin]:
        begin += 1
    while begin < end and end < len(lines) and lines[end] == lines[end - 1]:
        end -= 1
    return Run(begin, run.there + begin - run.here, end - begin) if end - begin >= GRAM else None


def telling(mine: _Text, theirs: Tokens, run: Run) -> bool:
    """Whether a run says where it comes from: what repeats in it counts once."""
    different = len(np.unique(mine.hashes[run.here : run.end - GRAM + 1])) + GRAM - 1
    if different >= TELLING_TOKENS:
        return True
    return different >= TELLING_IDENTICAL and equal_words(mine.tokens, theirs, run) == run.length


# ---------------------------------------------------------------------------------------------------------------------
# Releases


def _match(mine: _Text, index: Index, version: Version, runs: list[Run]) -> Match:
    held = [_holders(mine, index, run) for run in runs]
    bits = held[0]
    for more in held[1:]:
        bits &= more
    if not bits:
        bits = _most_of(held, runs, len(index.tags))
    version, runs = _at_newest(mine, index, version, runs, bits)
    theirs, _ = index.look(version)
    passages = tuple(_passage(mine.tokens, theirs, run) for run in runs)
    share = sum(run.length for run in runs) / len(mine.tokens)
    return Match(mine.path, index.paths[version.path], version.sha256, passages, share, index.tags_of(bits))


def _passage(mine: Tokens, theirs: Tokens, run: Run) -> Passage:
    def lines(tokens: Tokens, at: int) -> Lines:
        return Lines(int(tokens.lines[at]), int(tokens.lines[at + run.length - 1]))

    same = equal_words(mine, theirs, run) == run.length
    return Passage(lines(mine, run.here), lines(theirs, run.there), run.length, same)


def _holders(mine: _Text, index: Index, run: Run) -> int:
    """The tags, a bit each, of which some file holds the run, with as many of its names as any does."""
    most, bits = -1, 0
    for version in _versions(mine, index, run):
        for there in _places(mine, index, version, run):
            equal = equal_words(mine.tokens, index.look(version)[0], Run(run.here, there, run.length))
            if equal > most:
                most, bits = equal, 0
            if equal == most:
                bits |= version.tags
    return bits


def _versions(mine: _Text, index: Index, run: Run) -> Iterator[Version]:
    """All versions of the paths that the run's rarest fingerprint leads to."""
    marks = mine.marks[(mine.marks >= run.here) & (mine.marks <= run.end - GRAM)]
    hashes = mine.hashes[marks]
    left, right = (np.searchsorted(index.hashes, hashes, side) for side in ("left", "right"))
    known = np.flatnonzero(right > left)
    if len(known):
        rarest = known[np.argmin((right - left)[known])]
        owners = np.unique(index.owners[left[rarest] : right[rarest]])
    else:  # a run shorter than fingerprints.SHORTEST need not have a fingerprint of its own
        owners = np.arange(len(index.paths))
    for path in owners:
        yield from index.of_path[path]


def _places(mine: _Text, index: Index, version: Version, run: Run) -> Iterator[int]:
    """Where in a version the whole run stands, names aside."""
    theirs, hashes = index.look(version)
    for there in np.flatnonzero(hashes == mine.hashes[run.here]):
        if same_to(mine.tokens, run.here, theirs, int(there), run.length) == run.length:
            yield int(there)


def _most_of(held: list[int], runs: list[Run], tags: int) -> int:
    """The tags that hold the most tokens of the runs, where none holds all."""
    tokens = [sum(run.length for bits, run in zip(held, runs, strict=True) if bits >> tag & 1) for tag in range(tags)]
    return sum(1 << tag for tag in range(tags) if tokens[tag] == max(tokens))


def _distance(one: int, other: int) -> int:
    return abs(one - other)


def _at_newest(mine: _Text, index: Index, version: Version, runs: list[Run], bits: int) -> tuple[Version, list[Run]]:
    """The version of the same path at the newest of the releases, and the runs in it, where it holds them all."""
    newest = bits.bit_length() - 1
    for other in index.of_path[version.path]:
        if other.tags >> newest & 1:
            moved = []
            for run in runs:
                places = list(_places(mine, index, other, run))
                if not places:
                    break
                nearest = min(places, key=partial(_distance, run.there))
                moved.append(Run(run.here, nearest, run.length))
            else:
                return other, moved
    return version, runs
