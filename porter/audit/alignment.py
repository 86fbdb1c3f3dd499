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

_MOST_PAIRS = 400_000
_MOST_PLACES = 64
"""How often a hash may stand in the upstream file and still begin a run: lists of like rows pair with all others."""


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
    here = np.repeat(wanted, count)[:_MOST_PAIRS]
    first = np.repeat(left - (np.cumsum(count) - count), count)[:_MOST_PAIRS]
    there = order[first + np.arange(len(here))]
    diagonal = there - here
    by = np.lexsort((here, diagonal))
    here, diagonal = here[by], diagonal[by]
    breaks = np.flatnonzero((np.diff(diagonal) != 0) | (np.diff(here) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [len(here)]])
    out: list[Run] = []
    for start, end in zip(starts, ends, strict=True):
        begin, length = int(here[start]), int(here[end - 1] - here[start]) + GRAM
        out += _consistent(mine, theirs, Run(begin, begin + int(diagonal[start]), length))
    return out


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


def without_overlap(runs: list[Run], shortest: int) -> list[Run]:
    """Of runs that overlap in the audited text the longest; of the others what is left, if not too short."""
    out: list[Run] = []
    taken: list[tuple[int, int]] = []
    for run in sorted(runs, key=lambda one: (-one.length, one.here, one.there)):
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
