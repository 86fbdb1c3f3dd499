# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What in one text is derived from MLX: which lines, from which file, and from which releases.

1. The text's fingerprints are looked up; each leads to paths of upstream.
2. Of each such path the version that holds most of the fingerprints is aligned with the text.
3. A run of tokens counts if it says enough (`telling`): much code looks alike because there is one way to write it.
   Where several files hold the same code, the longest run wins.
4. For each run, every version of every file in which it stands is found; a match's releases are those that hold all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from porter.audit.alignment import Run, equal_words, shared_runs, whole_lines, without_overlap
from porter.audit.fingerprints import GRAM, Text, fingerprinted
from porter.audit.index import Index, Version
from porter.audit.model import Lines, Match, Passage
from porter.audit.releases import Placed, place
from porter.audit.tokens import Array, Tokens

TELLING_TOKENS = 60
"""A run of fewer tokens counts only where its names are upstream's too, and then from TELLING_IDENTICAL on."""

TELLING_IDENTICAL = 45
TELLING_WORDS = 12
"""Different words in such a run, punctuation counted."""

_OTHERS = 6  # versions that are aligned with a text beside the nearest, where that says nothing
_LOOKED_AT = 32  # paths that are aligned in each round
FAMILIAR = 200
"""Where so many tokens of a text are told to be of one file, shorter runs of that file count: a small function of
FAMILIAR_TOKENS, or of FAMILIAR_IDENTICAL if its names are upstream's, with FAMILIAR_GRAMS different hashes."""

FAMILIAR_TOKENS = 45
FAMILIAR_IDENTICAL = 26
FAMILIAR_GRAMS = 7

_OFTEN = 8  # places of one fingerprint in a text that are looked at to find candidates
_ROUNDS = 3


def find(path: str, text: str, index: Index) -> list[Match]:
    """What `text` has from MLX, the most first. `path` is what the matches call it."""
    mine = fingerprinted(text)
    hits = _hits(mine, index)
    free = np.ones(len(mine.tokens), bool)
    out: list[Match] = []
    for _ in range(_ROUNDS):
        shares = _shared_out(mine, _claims(mine, index, hits, free))
        for version, runs in shares:
            for placed in place(mine, index, version, runs, free):
                for run in placed.runs:
                    free[run.here : run.end] = False
                out.append(_match(path, mine, index, placed))
        if not shares:
            break
    return sorted(_merged(out), key=lambda match: -match.tokens)


def _merged(matches: list[Match]) -> list[Match]:
    """Matches of one version of an upstream file, found in different rounds, as one."""
    out: dict[tuple[str, str, tuple[str, ...]], Match] = {}
    for match in matches:
        key = (match.upstream, match.digest, match.revisions)
        if key in out:
            both = sorted((*out[key].passages, *match.passages), key=lambda one: one.lines)
            match = replace(match, passages=tuple(both), share=match.share + out[key].share)
        out[key] = match
    return list(out.values())


def _match(path: str, mine: Text, index: Index, placed: Placed) -> Match:
    theirs, _ = index.look(placed.version)
    passages = tuple(_passage(mine.tokens, theirs, run) for run in placed.runs)
    share = sum(run.length for run in placed.runs) / len(mine.tokens)
    upstream = index.paths[placed.version.path]
    return Match(path, upstream, placed.version.sha256, passages, share, index.tags_of(placed.tags))


def _passage(mine: Tokens, theirs: Tokens, run: Run) -> Passage:
    def lines(tokens: Tokens, at: int) -> Lines:
        return Lines(int(tokens.lines[at]), int(tokens.lines[at + run.length - 1]))

    same = equal_words(mine, theirs, run) == run.length
    return Passage(lines(mine, run.here), lines(theirs, run.there), run.length, same)


@dataclass(frozen=True)
class _Hits:
    """`at` (int64, n): the token of the text at which a fingerprint of upstream begins; `owners` (uint16, n): whose."""

    at: Array
    owners: Array


def _hits(mine: Text, index: Index) -> _Hits:
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


def _not_often(mine: Text) -> Array:
    """The fingerprints' places, of those that recur throughout the text the first few."""
    hashes = mine.hashes[mine.marks]
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    nth = np.zeros(len(order), np.int64)
    nth[order] = np.arange(len(order)) - np.searchsorted(ranked, ranked, "left")
    return mine.marks[nth < _OFTEN]


def _agreeing(mine: Text, index: Index, at: Array, there: Array, step: int, most: int) -> Array:
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


@dataclass(frozen=True)
class _Claim:
    """A run that a version holds. `total` tokens of the text are in runs of that version, `alike` of the run's names
    are the same."""

    version: Version
    run: Run
    total: int
    alike: int


def _claims(mine: Text, index: Index, hits: _Hits, free: Array) -> list[_Claim]:
    """The telling runs in what is free, of each path that fingerprints lead to."""
    open_hits = free[hits.at]
    counts = np.bincount(hits.owners[open_hits], minlength=len(index.paths))
    out = []
    for path in [int(path) for path in np.argsort(-counts, kind="stable")[:_LOOKED_AT] if counts[path]]:
        for version in _nearest(mine, index, path, hits.at[open_hits & (hits.owners == path)]):
            runs = _telling_runs(mine, index, version, free)
            total = sum(run.length for run in runs)
            theirs, _ = index.look(version)
            out += [_Claim(version, run, total, equal_words(mine.tokens, theirs, run)) for run in runs]
            if runs:
                break
    return out


def _shared_out(mine: Text, claims: list[_Claim]) -> list[tuple[Version, list[Run]]]:
    """Each token to the longest run that claims it; of equally long ones to that of the file that explains most."""
    free = np.ones(len(mine.tokens), bool)
    won: dict[int, tuple[Version, list[Run]]] = {}
    for claim in sorted(claims, key=lambda one: (-one.run.length, -one.total, -one.alike, one.version.number)):
        for part in _free_parts(claim.run, free):
            trimmed = whole_lines(mine.tokens, part)
            same = claim.alike == claim.run.length
            if trimmed is not None and telling(mine, same, trimmed, familiar=claim.total >= FAMILIAR):
                free[trimmed.here : trimmed.end] = False
                won.setdefault(claim.version.number, (claim.version, []))[1].append(trimmed)
    return [(version, sorted(runs, key=lambda run: run.here)) for version, runs in won.values()]


def _nearest(mine: Text, index: Index, path: int, at: Array) -> list[Version]:
    """The version of a path that holds most of the fingerprints that begin at `at`, of equal ones the newest.

    After it a few others of the equal ones, from new to old: where rows are alike, fingerprints do not tell.
    """
    wanted = np.unique(mine.hashes[at])
    scores = [int(np.isin(wanted, index.look(version)[1]).sum()) for version in index.of_path[path]]
    equal = [version for version, score in zip(index.of_path[path], scores, strict=True) if score == max(scores)]
    return [equal[0], *equal[1 :: max(1, len(equal) // _OTHERS)]]


def _telling_runs(mine: Text, index: Index, version: Version, free: Array) -> list[Run]:
    theirs, their_hashes = index.look(version)
    spans = free[: len(mine.hashes)]
    runs = shared_runs(mine.tokens, mine.hashes, theirs, their_hashes, spans)
    runs = [part for run in runs for part in _free_parts(run, free)]
    runs = without_overlap(runs, {run: equal_words(mine.tokens, theirs, run) for run in runs}, GRAM)
    runs = [trimmed for run in runs if (trimmed := whole_lines(mine.tokens, run)) is not None]
    identical = {run: equal_words(mine.tokens, theirs, run) == run.length for run in runs}
    told = [run for run in runs if telling(mine, identical[run], run)]
    if sum(run.length for run in told) < FAMILIAR:
        return told
    return [run for run in runs if run in told or telling(mine, identical[run], run, familiar=True)]


def _free_parts(run: Run, free: Array) -> Iterator[Run]:
    """What of a run is not explained yet."""
    if free[run.here : run.end].all():
        yield run
        return
    inside = np.concatenate([[0], free[run.here : run.end].astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(inside))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield Run(run.here + int(begin), run.there + int(begin), int(end - begin))


def telling(mine: Text, identical: bool, run: Run, *, familiar: bool = False) -> bool:
    """Whether a run says where it comes from: what repeats in it counts once, and what every file has does not."""
    loud = ~mine.tokens.quiet[run.here : run.end]
    grams = len(np.unique(mine.hashes[run.here : run.end - GRAM + 1][loud[: 1 - GRAM]]))
    if familiar and grams >= FAMILIAR_GRAMS:
        return bool(loud.sum() >= (FAMILIAR_IDENTICAL if identical else FAMILIAR_TOKENS))
    if grams + GRAM - 1 >= TELLING_TOKENS:
        return True
    words = mine.tokens.words[run.here : run.end][loud]
    return identical and len(words) >= TELLING_IDENTICAL and len(np.unique(words)) >= TELLING_WORDS
