# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which upstream files and which tags hold a piece of code: the truth, by exhaustive search.

A file holds a piece if the piece's tokens are a contiguous run of the file's, comments, white space, includes and
`#pragma once` aside. For a renamed piece they need only be so up to a one-to-one map between the names of the two;
names that a renamer keeps (`KEPT` and what stands after `std::` somewhere in upstream) must be the same,
for such a copy does not tell more. A tag holds several pieces if one of its files holds each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .history import History
from .tokens import Token, tokens

_WORDS = [
    word
    for line in Path(__file__).with_name("kept_names.txt").read_text("utf-8").split("\n")
    if not line.startswith("#")
    for word in line.split()
]
_VECTORS = [
    f"{base}{width}"
    for base in ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half", "float", "bfloat")
    for width in (2, 3, 4)
]
_MATRICES = [f"{base}{rows}x{columns}" for base in ("half", "float") for rows in (2, 3, 4) for columns in (2, 3, 4)]
KEPT = frozenset(_WORDS + _VECTORS + _MATRICES)

_NAME = "\0"  # stands for any name that a renamer may change


@dataclass(frozen=True)
class Held:
    """The upstream paths that hold a piece at some tag, and the tags, oldest first."""

    paths: frozenset[str]
    tags: tuple[str, ...]


def significant(text: str) -> list[Token]:
    """The tokens that are compared."""
    return [token for token in tokens(text) if token.kind != "include"]


class Truth:
    """All versions of a history, as strings of one character a token, so that a search is a search in a string."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._codes: dict[str, str] = {}
        words = [[(token.kind == "word", token.text) for token in significant(v.text)] for v in history.versions]
        self.kept = KEPT.union(*(_qualified(row) for row in words))
        self._exact = ["".join(self._code(text) for _, text in row) for row in words]
        self._shape = ["".join(self._code(self._shaped(*token)) for token in row) for row in words]
        self._words = {code: text for text, code in self._codes.items()}

    def renamable(self, token: Token) -> bool:
        return token.kind == "word" and token.text not in self.kept

    def held(self, pieces: Sequence[str], *, renamed: bool) -> Held:
        """Who holds all of `pieces` (texts as upstream has them). A piece without a token is held by everybody."""
        wanted = [self._encoded(piece) for piece in pieces]
        holders = [
            version
            for number, version in enumerate(self._history.versions)
            if all(self._holds(number, exact, shape, renamed) for exact, shape in wanted)
        ]
        tags = {tag for version in holders for tag in version.tags}
        return Held(frozenset(v.path for v in holders), tuple(tag for tag in self._history.tags if tag in tags))

    def _encoded(self, piece: str) -> tuple[str, str]:
        found = significant(piece)
        exact = "".join(self._codes.get(token.text, "\0") for token in found)
        shape = "".join(self._codes.get(self._shaped(token.kind == "word", token.text), "\0") for token in found)
        return exact, shape

    def _holds(self, number: int, exact: str, shape: str, renamed: bool) -> bool:
        if exact in self._exact[number]:
            return True
        return renamed and any(
            self._one_to_one(exact, shape, self._exact[number][place : place + len(shape)])
            for place in _places(shape, self._shape[number])
        )

    def _one_to_one(self, ours: str, shape: str, theirs: str) -> bool:
        name = self._codes[_NAME]
        pairs = {(a, b) for a, b, c in zip(ours, theirs, shape, strict=True) if c == name}
        return len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})

    def _shaped(self, word: bool, text: str) -> str:
        return _NAME if word and text not in self.kept else text

    def _code(self, text: str) -> str:
        """A character for each text; the ranges of surrogates and of U+0000 are left out."""
        if text not in self._codes:
            number = len(self._codes) + 1
            self._codes[text] = chr(number if number < 0xD800 else number + 0x800)
        return self._codes[text]


def _qualified(row: Iterable[tuple[bool, str]]) -> set[str]:
    words = [text for _, text in row]
    return {words[place] for place in range(2, len(words)) if words[place - 1] == "::" and words[place - 2] == "std"}


def _places(needle: str, hay: str) -> Iterator[int]:
    place = hay.find(needle)
    while place >= 0:
        yield place
        place = hay.find(needle, place + 1)
