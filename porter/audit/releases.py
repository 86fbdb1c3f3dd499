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

from porter.audit.alignment import Run, equal_words, same_to
from porter.audit.fingerprints import GRAM, Text
from porter.audit.index import Index, Version
from porter.audit.tokens import Array, Tokens

SURE_TOKENS = 10
"""At the ends of a run, lines that stand in some releases only count from so many tokens on, or SURE_IDENTICAL."""

SURE_IDENTICAL = 5

_MOST_LINES = 60  # that a run may grow by at each end


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
    grown, held = [], []
    taken = free.copy()
    for run in runs:
        taken[run.here : run.end] = False
    for run in runs:
        taken[run.here : run.end] = True
        longer, bits = _grown(mine, index, version, run, taken)
        taken[longer.here : longer.end] = False
        grown.append(longer)
        held.append(bits)
    tags = held[0]
    for more in held[1:]:
        tags &= more
    if not tags:
        tags = _most_of(held, grown, len(index.tags))
    version, runs = _at_newest(mine, index, version, grown, tags)
    theirs, _ = index.look(version)
    return Placed(version, [_closed(mine.tokens, theirs, run, taken) for run in runs], tags)


def _grown(mine: Text, index: Index, found_in: Version, run: Run, room: Array) -> tuple[Run, int]:
    """The run as long as it is in any version, and the tags of which some file holds it so.

    It is the run as it was found where the path of `found_in` holds the longer one in no version.
    """
    spots = [
        _Spot(version, _grow(mine.tokens, index.look(version)[0], Run(run.here, there, run.length), room))
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


def _grow(mine: Tokens, theirs: Tokens, run: Run, room: Array) -> Run:
    """The run with the whole lines before and after it that agree too, as far as there is room."""
    begin = _reach(mine, theirs, run, room, backwards=True)
    run = Run(begin, run.there - (run.here - begin), run.end - begin)
    end = _reach(mine, theirs, run, room, backwards=False)
    return Run(run.here, run.there, end - run.here)


def _reach(mine: Tokens, theirs: Tokens, run: Run, room: Array, *, backwards: bool) -> int:
    """How far a run reaches to one side, as a position of my tokens. What may agree by chance does not count."""
    best = edge = run.here if backwards else run.end
    shift = run.there - run.here
    for _ in range(_MOST_LINES):
        edge = _next_edge(mine.lines, edge, backwards=backwards)
        begin, end, added = (
            (edge, run.end, slice(edge, run.here)) if backwards else (run.here, edge, slice(run.end, edge))
        )
        more = added.stop - added.start
        if begin + shift < 0 or not more or not room[added].all():
            break
        if same_to(mine, begin, theirs, begin + shift, end - begin) < end - begin:
            break
        same = bool((mine.words[added] == theirs.words[added.start + shift : added.stop + shift]).all())
        if more >= SURE_TOKENS or (same and (more >= SURE_IDENTICAL or not mine.says[added].any())):
            best = edge
    return best


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


def _at_newest(mine: Text, index: Index, version: Version, runs: list[Run], tags: int) -> tuple[Version, list[Run]]:
    """The version that holds all runs at the newest of the releases, of the same path where that does."""
    newest = tags.bit_length() - 1
    others = (one for path in _owners(mine, index, runs[0]) for one in index.of_path[path] if path != version.path)
    for other in (*index.of_path[version.path], *others):
        if other.tags >> newest & 1 and (moved := _moved(mine, index, other, runs)):
            return other, moved
    return version, runs


def _moved(mine: Text, index: Index, version: Version, runs: Sequence[Run]) -> list[Run]:
    """The runs where they stand in `version`, each as near as may be to where it stood; none where one does not."""
    moved = []
    for run in runs:
        places = list(_places(mine, index, version, run))
        if not places:
            return []
        moved.append(Run(run.here, min(places, key=partial(_distance, run.there)), run.length))
    return moved
