# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Both sides of a passage, line beside line.

Lines are paired by the code tokens on them, names aside, so that a copy that was renamed, reformatted or commented anew
still stands beside its source: where one side broke a line in three, two places of the other stay empty.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from porter.audit.model import Lines, Passage

if TYPE_CHECKING:
    from porter.audit.tokens import Tokens

SAME, RENAMED, WRAPPED, OTHER = "same", "renamed", "wrapped", "other"
"""What a row is: the same line but for white space; the same code under other names or with another comment; a line
that the other side has on the row above; a line whose code the other side lacks here (or that holds none)."""

_GRAM = 6  # tokens that stand for a place when runs are sought
_MOST_SOUGHT = 20_000  # tokens of a side; past that the lines are paired in their order


@dataclass(frozen=True)
class Side:
    """One whole text: its lines, and its code tokens (porter.audit.tokens)."""

    lines: tuple[str, ...]
    tokens: Tokens


@dataclass(frozen=True)
class Row:
    """Line numbers from 1, None where that side has nothing here. `kind` is SAME, RENAMED, WRAPPED or OTHER."""

    ours: int | None
    theirs: int | None
    kind: str


def side(text: str) -> Side:
    from porter.audit.tokens import tokens_of

    return Side(tuple(text.split("\n")), tokens_of(text))


def rows(ours: Side, theirs: Side, passage: Passage) -> list[Row]:
    """The rows of a passage, in the order of both sides' lines. Each line of both ranges stands in just one row.

    Lines that a text does not have (it has changed since) are left out.
    """
    out: list[Row] = []
    here, there = passage.lines.first, passage.upstream_lines.first
    last_here = min(passage.lines.last, len(ours.lines))
    last_there = min(passage.upstream_lines.last, len(theirs.lines))
    for left, right in _links(ours, theirs, passage):
        if left < here and right < there:
            continue
        out += _unpaired(here, left, there, right)
        new_left, new_right = left >= here, right >= there
        kind = _kind(ours.lines[left - 1], theirs.lines[right - 1]) if new_left and new_right else WRAPPED
        out.append(Row(left if new_left else None, right if new_right else None, kind))
        here, there = max(here, left + 1), max(there, right + 1)
    return out + _unpaired(here, last_here + 1, there, last_there + 1)


def _unpaired(here: int, end_here: int, there: int, end_there: int) -> list[Row]:
    """Comments, blank lines and what one side alone has, as far as both go."""
    return [Row(left, right, OTHER) for left, right in zip_longest(range(here, end_here), range(there, end_there))]


def _kind(ours: str, theirs: str) -> str:
    return SAME if "".join(ours.split()) == "".join(theirs.split()) else RENAMED


def _links(ours: Side, theirs: Side, passage: Passage) -> Iterator[tuple[int, int]]:
    """Pairs of lines that share a token, ascending on both sides, each pair once."""
    left, right = _inside(ours.tokens, passage.lines), _inside(theirs.tokens, passage.upstream_lines)
    a, b = _shape(ours.tokens, left), _shape(theirs.tokens, right)
    previous = None
    for here, there, length in _runs(a, b):
        for step in range(length):
            pair = (
                int(ours.tokens.lines[left.start + here + step]),
                int(theirs.tokens.lines[right.start + there + step]),
            )
            if pair != previous:
                yield pair
                previous = pair


def _inside(tokens: Tokens, lines: Lines) -> slice:
    """The tokens that stand on `lines`."""
    first, end = tokens.lines.searchsorted((lines.first, lines.last + 1))
    return slice(int(first), int(end))


def _shape(tokens: Tokens, part: slice) -> list[int]:
    """The tokens' words, each name as 1."""
    return [1 if word & 1 else word for word in tokens.words[part].tolist()]


def _runs(a: list[int], b: list[int]) -> Iterator[tuple[int, int, int]]:
    """Where `a` and `b` are alike: (place in a, place in b, length), ascending in both and without overlap."""
    if len(a) > len(b):
        yield from ((here, there, length) for there, here, length in _runs(b, a))
        return
    for there in range(len(b) - len(a) + 1):  # one is inside the other: the rule, for a passage is a run of tokens
        if a and b[there : there + len(a)] == a:
            yield 0, there, len(a)
            return
        if there > _MOST_SOUGHT // 100:
            break
    if len(b) > _MOST_SOUGHT:
        return
    matcher = difflib.SequenceMatcher(None, _grams(a), _grams(b), autojunk=False)
    free_a = free_b = 0
    for block in matcher.get_matching_blocks():
        begin = max(0, free_a - block.a, free_b - block.b)
        length = block.size + _GRAM - 1 - begin
        if block.size and length > 0:
            yield block.a + begin, block.b + begin, length
            free_a, free_b = block.a + begin + length, block.b + begin + length


def _grams(shape: list[int]) -> list[tuple[int, ...]]:
    return [tuple(shape[at : at + _GRAM]) for at in range(len(shape) - _GRAM + 1)]
