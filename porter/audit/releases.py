# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""In which releases of MLX the runs of a match stand.

A run was found in one version of a file. Every version of every file that holds it is looked at, and where in some of
them it goes on beyond its ends, whole lines at a time, it is that much longer: the lines that only some releases have
are those that tell which release a copy was made from. Of several releases that hold as much, those count in which most
names are the copy's too: a copy that was renamed keeps the names of the language's own functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from porter.audit.alignment import Run, agreeing, same_to
from porter.audit.fingerprints import GRAM, Text
from porter.audit.index import Index, Version
from porter.audit.tokens import Array, Tokens

SURE_TOKENS = 10
"""At the ends of a run, lines that stand in some releases only count from so many tokens on, or SURE_IDENTICAL."""

SURE_IDENTICAL = 5

_MOST_TRIED = 60  # lines from which on a run may begin


@dataclass(frozen=True)
class Placed:
    """Runs of one match: all `there` in `version`, held by the releases `tags` (a bit each)."""

    version: Version
    runs: list[Run]
    tags: int


@dataclass(frozen=True)
class _Spot:
    """Where the run with this number, grown, stands in one version."""

    version: Version
    number: int
    run: Run


def place(mine: Text, index: Index, version: Version, runs: Sequence[Run], free: Array) -> list[Placed]:
    """The runs, found in `version`, grown, and the releases that hold them: those that hold the most tokens.

    Mostly one for all. Where no version holds all of the runs, those that it lacks are placed apart.
    """
    room = free.astype(np.int32)  # 0 where nothing is free, else the number of the run that was found there, or 1
    for number, run in enumerate(runs, 2):
        room[run.here : run.end] = number
    spots = [spot for number, run in enumerate(runs) for spot in _spots(mine, index, number, run, room)]
    spots = spots or [_Spot(version, number, run) for number, run in enumerate(runs)]
    tags = _most_held(mine, index, spots)
    chosen = _chosen(index, version, spots, tags)
    here = _apart([spot.run for spot in spots if spot.version == chosen])
    theirs, _ = index.look(chosen)
    placed = Placed(chosen, [_closed(mine.tokens, theirs, run, room) for run in here], tags)
    left = [run for run in runs if not any(one.here < run.end and run.here < one.end for one in here)]
    if not left:
        return [placed]
    remaining = free.copy()
    for run in placed.runs:
        remaining[run.here : run.end] = False
    return [placed, *place(mine, index, version, left, remaining)]


def _spots(mine: Text, index: Index, number: int, run: Run, room: Array) -> Iterator[_Spot]:
    for path in _owners(mine, index, run):
        for version in index.of_path[path]:
            for there in _places(mine, index, version, run):
                yield _Spot(version, number, _grow(mine, *index.look(version), Run(run.here, there, run.length), room))


def _most_held(mine: Text, index: Index, spots: Sequence[_Spot]) -> int:
    """The tags that hold the most tokens; of those, where they hang together most; of those, by the same words."""
    first, last = min(spot.run.here for spot in spots), max(spot.run.end for spot in spots)
    held = np.zeros((len(index.tags), last - first), np.uint8)  # 1: held, 2: by the same word
    longest = np.zeros((len(index.tags), 1 + max(spot.number for spot in spots)), np.int64)
    for spot in spots:
        theirs, _ = index.look(spot.version)
        run, words = spot.run, mine.tokens.words
        same = 1 + (words[run.here : run.end] == theirs.words[run.there : run.there + run.length]).astype(np.uint8)
        tags = [tag for tag in range(len(index.tags)) if spot.version.tags >> tag & 1]
        longest[tags, spot.number] = np.maximum(longest[tags, spot.number], run.length)
        for tag in tags:
            row = held[tag, run.here - first : run.end - first]
            np.maximum(row, same, out=row)
    scores = zip(np.count_nonzero(held, axis=1), longest.sum(axis=1), (held == 2).sum(axis=1), strict=True)
    ranked = [tuple(map(int, score)) for score in scores]
    return sum(1 << tag for tag, score in enumerate(ranked) if score == max(ranked))


def _chosen(index: Index, found_in: Version, spots: Sequence[_Spot], tags: int) -> Version:
    """Of the versions at these tags that which holds most; of equal ones the newest, and that of the same path."""
    tokens: dict[int, int] = {}
    for spot in spots:
        if spot.version.tags & tags:
            tokens[spot.version.number] = tokens.get(spot.version.number, 0) + spot.run.length

    def rank(one: Version) -> tuple[int, int, bool]:
        return tokens[one.number], (one.tags & tags).bit_length(), one.path == found_in.path

    return max((index.versions[number] for number in tokens), key=rank)


def _apart(runs: Sequence[Run]) -> list[Run]:
    """Runs of which none overlaps another here, the longest first; in their order."""
    out: list[Run] = []
    for run in sorted(runs, key=lambda one: -one.length):
        if all(run.end <= one.here or one.end <= run.here for one in out):
            out.append(run)
    return sorted(out, key=lambda one: one.here)


def _grow(mine: Text, theirs: Tokens, hashes: Array, run: Run, room: Array) -> Run:
    """The run with the whole lines before and after it that agree too, as far as there is room.

    It takes in another run whole or not at all: a part may agree because functions of one file are alike.
    """
    agree = agreeing(mine.hashes[: run.here + 1][::-1], hashes[: run.there + 1][::-1]) - 1
    begin = _back_to(mine.tokens, theirs, run, max(run.here - agree, _last_taken(room, run.here)), room)
    run = Run(begin, run.there - (run.here - begin), run.end - begin)
    taken = np.flatnonzero(room[run.end :] == 0)
    most = (run.end + int(taken[0]) if len(taken) else len(room)) - run.here
    end = run.here + same_to(mine.tokens, run.here, theirs, run.there, most)
    if end < len(room):
        end = int(np.searchsorted(mine.tokens.lines, mine.tokens.lines[end], "left"))
        if room[end - 1] == room[end] > 1:
            end = max(run.end, int(np.argmax(room == room[end])))
    if end > run.end and _is_sure(mine.tokens, theirs, slice(run.end, end), run.there - run.here):
        return Run(run.here, run.there, end - run.here)
    return run


def _last_taken(room: Array, before: int) -> int:
    """The first position from which on there is room up to `before`."""
    taken = np.flatnonzero(room[:before] == 0)
    return int(taken[-1]) + 1 if len(taken) else 0


def _back_to(mine: Tokens, theirs: Tokens, run: Run, first: int, room: Array) -> int:
    """The earliest beginning of a line, from `first` on, from which on the run still is one."""
    if 0 < first < run.here and room[first - 1] == room[first] > 1:
        first = min(run.here, len(room) - int(np.argmax(room[::-1] == room[first])))
    starts = [first] if first == 0 or mine.lines[first - 1] != mine.lines[first] else []
    starts += (np.flatnonzero(np.diff(mine.lines[first : run.here + 1])) + first + 1).tolist()
    for begin in starts[:_MOST_TRIED]:
        if begin < run.here and same_to(mine, begin, theirs, run.there - (run.here - begin), run.end - begin) == (
            run.end - begin
        ):
            sure = _is_sure(mine, theirs, slice(begin, run.here), run.there - run.here)
            return begin if sure else run.here
    return run.here


def _is_sure(mine: Tokens, theirs: Tokens, added: slice, shift: int) -> bool:
    """Whether it is no chance that these tokens agree."""
    count = added.stop - added.start
    if count >= SURE_TOKENS or not mine.says[added].any():
        return True
    same = np.array_equal(mine.words[added], theirs.words[added.start + shift : added.stop + shift])
    return same and count >= SURE_IDENTICAL


def _closed(mine: Tokens, theirs: Tokens, run: Run, room: Array) -> Run:
    """The run with the line of punctuation that follows it, where that is upstream's too: mostly a closing brace."""
    end = _next_edge(mine.lines, run.end, backwards=False)
    added = slice(run.end, end)
    there = theirs.words[run.there + run.length : run.there + end - run.here]
    if mine.says[added].any() or not room[added].all() or not np.array_equal(mine.words[added], there):
        return run
    return Run(run.here, run.there, end - run.here)


def _next_edge(lines: Array, edge: int, *, backwards: bool) -> int:
    """The other end of the line before, or after, a position at an end of a line; the same where there is none."""
    if backwards:
        return int(np.searchsorted(lines, lines[edge - 1], "left")) if edge else 0
    return int(np.searchsorted(lines, lines[edge], "right")) if edge < len(lines) else edge


def _owners(mine: Text, index: Index, run: Run) -> Sequence[int]:
    """The paths that the run's rarest fingerprint leads to."""
    marks = mine.marks[(mine.marks >= run.here) & (mine.marks <= run.end - GRAM)]
    hashes = mine.hashes[marks]
    left, right = (np.searchsorted(index.hashes, hashes, side) for side in ("left", "right"))
    known = np.flatnonzero(right > left)
    if not len(known):  # a run shorter than fingerprints.SHORTEST need not have one of its own
        return range(len(index.paths))
    rarest = known[np.argmin((right - left)[known])]
    return [int(path) for path in np.unique(index.owners[left[rarest] : right[rarest]])]


def _places(mine: Text, index: Index, version: Version, run: Run) -> Iterator[int]:
    """Where in a version the whole run stands, names aside."""
    theirs, hashes = index.look(version)
    for there in np.flatnonzero(hashes == mine.hashes[run.here]):
        if same_to(mine.tokens, run.here, theirs, int(there), run.length) == run.length:
            yield int(there)
