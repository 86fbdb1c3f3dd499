# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""In which releases of MLX the runs of a match stand.

A run was found in one version of a file. Every version of every file that holds it is looked at, and where in some of
them it goes on beyond its ends, whole lines at a time, it is that much longer: the lines that only some releases have
are those that tell which release a copy was made from. Of several versions in which a run stands, those count in which
most of its names are the copy's too: a copy that was renamed keeps the names of the language's own functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from porter.audit.alignment import Run, agreeing, equal_words, same_to
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
    """A run in one version."""

    version: Version
    run: Run


def place(mine: Text, index: Index, version: Version, runs: Sequence[Run], free: Array) -> Placed:
    """The runs, found in `version`, grown, and the releases that hold all of them."""
    grown: list[Run] = []
    held: list[int] = []
    room = free.astype(np.int32)  # 0 where nothing is free, else the number of the run that was found there, or 1
    for number, run in enumerate(runs, 2):
        room[run.here : run.end] = number
    for run in sorted(runs, key=lambda one: -one.length):
        if not room[run.here : run.end].all():  # a longer one has grown over it
            continue
        longer, bits = _grown(mine, index, version, run, room)
        room[longer.here : longer.end] = 0
        grown.append(longer)
        held.append(bits)
    tags = held[0]
    for more in held[1:]:
        tags &= more
    if not tags:
        tags = _most_of(held, grown, len(index.tags))
    version, runs = _at_newest(mine, index, version, grown, tags) or (version, list(runs))
    theirs, _ = index.look(version)
    runs = sorted(runs, key=lambda run: run.here)
    return Placed(version, [_closed(mine.tokens, theirs, run, room) for run in runs], tags)


def _grown(mine: Text, index: Index, found_in: Version, run: Run, room: Array) -> tuple[Run, int]:
    """The run as long as it is in any version, and the tags of which some file holds it so.

    It is no longer than it was found where the path of `found_in` holds the longer one in no version.
    """
    spots = [
        _Spot(version, _grow(mine, *index.look(version), Run(run.here, there, run.length), room))
        for path in _owners(mine, index, run)
        for version in index.of_path[path]
        for there in _places(mine, index, version, run)
    ]
    if not spots:
        return run, found_in.tags
    longest = max((spot.run for spot in spots), key=lambda one: one.length)
    most, bits, out = -1, 0, run
    for spot in spots:
        if spot.run.here > longest.here or spot.run.end < longest.end:
            continue
        part = Run(longest.here, spot.run.there + longest.here - spot.run.here, longest.length)
        equal = equal_words(mine.tokens, index.look(spot.version)[0], part)
        if equal > most:
            most, bits = equal, 0
        if equal == most:
            bits |= spot.version.tags
        if spot.version.path == found_in.path:
            out = part
    return out, bits


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


def _most_of(held: list[int], runs: list[Run], tags: int) -> int:
    """The tags that hold the most tokens of the runs, where none holds all."""
    tokens = [sum(run.length for bits, run in zip(held, runs, strict=True) if bits >> tag & 1) for tag in range(tags)]
    return sum(1 << tag for tag in range(tags) if tokens[tag] == max(tokens))


def _distance(one: int, other: int) -> int:
    return abs(one - other)


def _at_newest(
    mine: Text, index: Index, version: Version, runs: list[Run], tags: int
) -> tuple[Version, list[Run]] | None:
    """The version that holds all runs at the newest of the releases, of the same path where that does.

    Where none does, for the runs are of several files, the newest version of the path that holds them at all.
    """
    newest = tags.bit_length() - 1
    same = index.of_path[version.path]
    others = [one for path in _owners(mine, index, runs[0]) for one in index.of_path[path] if path != version.path]
    for other in (*(one for one in (*same, *others) if one.tags >> newest & 1), *same):
        if moved := _moved(mine, index, other, runs):
            return other, moved
    return None


def _moved(mine: Text, index: Index, version: Version, runs: Sequence[Run]) -> list[Run]:
    """The runs where they stand in `version`, each as near as may be to where it stood; none where one does not."""
    moved = []
    for run in runs:
        places = list(_places(mine, index, version, run))
        if not places:
            return []
        moved.append(Run(run.here, min(places, key=partial(_distance, run.there)), run.length))
    return moved
