# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Runs of tokens that two texts share, names aside.

Two runs are the same up to renaming if the words that are no names are equal and every name stood last as far back in
the one run as in the other: then one renaming, the same all through the run and one to one, turns one into the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from porter.audit.fingerprints import GRAM
from porter.audit.tokens import Array, Tokens

_MOST_PLACES = 40
"""How often a hash may stand in the upstream file and still begin a run: lists of like rows pair with all others."""

_MOST_RUNS = 2000  # of one pair of texts, the longest


@dataclass(frozen=True)
class Run:
    """`length` tokens from `here` on in the audited text, from `there` on in upstream's."""

    here: int
    there: int
    length: int

    @property
    def end(self) -> int:
        return self.here + self.length


def shared_runs(mine: Tokens, my_hashes: Array, theirs: Tokens, their_hashes: Array, spans: Array) -> list[Run]:
    """The maximal runs of at least GRAM tokens that both share, of which one begins in `spans`.

    `spans` (bool, one for each of my hashes): where to look.
    """
    order = np.argsort(their_hashes, kind="stable")
    sorted_hashes = their_hashes[order]
    wanted = np.flatnonzero(spans)
    left = np.searchsorted(sorted_hashes, my_hashes[wanted], "left")
    count = np.searchsorted(sorted_hashes, my_hashes[wanted], "right") - left
    count[count > _MOST_PLACES] = 0
    if not count.any():
        return []
    here = np.repeat(wanted, count)
    there = order[np.repeat(left - (np.cumsum(count) - count), count) + np.arange(len(here))]
    found: dict[int, list[Run]] = {}
    for seed in _straight(here, there - here):
        known = found.setdefault(seed.there - seed.here, [])
        if not any(run.here <= seed.here and seed.end <= run.end for run in known):
            known.append(_extended(my_hashes, their_hashes, seed))
    return [part for known in found.values() for run in known for part in _consistent(mine, theirs, run)]


def _straight(here: Array, diagonal: Array) -> list[Run]:
    """Runs of neighbouring hashes on one diagonal, the longest first."""
    by = np.lexsort((here, diagonal))
    here, diagonal = here[by], diagonal[by]
    breaks = np.flatnonzero((np.diff(diagonal) != 0) | (np.diff(here) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [len(here)]])
    longest = np.argsort(starts - ends, kind="stable")[:_MOST_RUNS]
    return [
        Run(int(here[start]), int(here[start] + diagonal[start]), int(end - start) + GRAM - 1)
        for start, end in zip(starts[longest], ends[longest], strict=True)
    ]


def _extended(mine: Array, theirs: Array, run: Run) -> Run:
    """The run as far as the hashes agree on both sides: also those that stand too often to begin one."""
    last = run.length - GRAM
    after = agreeing(mine[run.here + last :], theirs[run.there + last :])
    before = agreeing(mine[: run.here + 1][::-1], theirs[: run.there + 1][::-1])
    return Run(run.here - before + 1, run.there - before + 1, run.length + before + after - 2)


def agreeing(one: Array, other: Array) -> int:
    """How many elements agree from the first on."""
    length = min(len(one), len(other))
    wrong = np.flatnonzero(one[:length] != other[:length])
    return int(wrong[0]) if len(wrong) else length


def _consistent(mine: Tokens, theirs: Tokens, run: Run) -> Iterator[Run]:
    """The parts of a run through each of which one renaming holds."""
    while run.length >= GRAM:
        good = same_to(mine, run.here, theirs, run.there, run.length)
        if good >= GRAM:
            yield Run(run.here, run.there, good)
        step = max(1, good - GRAM + 2) if good < run.length else run.length
        run = Run(run.here + step, run.there + step, run.length - step)


def same_to(mine: Tokens, here: int, theirs: Tokens, there: int, length: int) -> int:
    """How many tokens from `here` and `there` on are the same up to one renaming, at most `length`."""
    length = min(length, len(mine) - here, len(theirs) - there)
    offsets = np.arange(length)
    backs = []
    for tokens, at in ((mine, here), (theirs, there)):
        back = tokens.back[at : at + length]
        backs.append(np.where(back > offsets, 0, back))
    same = backs[0] == backs[1]
    words = mine.words[here : here + length] == theirs.words[there : there + length]
    same &= words | (backs[0] >= 0)
    wrong = np.flatnonzero(~same)
    return int(wrong[0]) if len(wrong) else length


def equal_words(mine: Tokens, theirs: Tokens, run: Run) -> int:
    """How many of a run's words are the same in both, names too."""
    a, b = mine.words[run.here : run.end], theirs.words[run.there : run.there + run.length]
    return int(np.count_nonzero(a == b))


def without_overlap(runs: list[Run], alike: dict[Run, int], shortest: int) -> list[Run]:
    """Of runs that overlap in the audited text the longest; of the others what is left, if not too short.

    `alike`: of equally long ones that with more of it goes first.
    """
    out: list[Run] = []
    taken: list[tuple[int, int]] = []
    for run in sorted(runs, key=lambda one: (-one.length, -alike[one], one.here, one.there)):
        begin, end = run.here, run.end
        for first, last in taken:
            if first < end and begin < last:
                if first <= begin:
                    begin = max(begin, last)
                else:
                    end = first
        if end - begin >= shortest:
            out.append(Run(begin, run.there + begin - run.here, end - begin))
            taken.append((begin, end))
    return sorted(out, key=lambda one: one.here)


def whole_lines(tokens: Tokens, run: Run) -> Run | None:
    """The run without lines at its ends that it shares only in part, or that hold punctuation alone.

    Where it stands in few long lines, and most of it would go, it stays as it is.
    """
    begin, end = run.here, run.end
    lines = tokens.lines
    while begin < end and begin and lines[begin - 1] == lines[begin]:
        begin += 1
    while begin < end and end < len(lines) and lines[end] == lines[end - 1]:
        end -= 1
    if 2 * (end - begin) < run.length:
        begin, end = run.here, run.end
    says = np.flatnonzero(tokens.says[begin:end])
    if not len(says):
        return None
    first, last = lines[begin + says[0]], lines[begin + says[-1]]
    begin += int(np.searchsorted(lines[begin:end], first, "left"))
    end -= int((lines[begin:end] > last).sum())
    return Run(begin, run.there + begin - run.here, end - begin) if end - begin >= GRAM else None
