# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the words of a notice say: whose copyright, which licences they name, which texts they give, what they mention.

Lines are (number, words without comment marks). The texts of licences come from the library identify, which carries
those of https://choosealicense.com; nothing here is a judgement, that is made in judge.py.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from identify.vendor.licenses import LICENSES

from porter.errors import SteelPortError

Line = tuple[int, str]


@dataclass(frozen=True)
class Naming:
    """Words, a pattern on lower case with white space folded, that name the licence `spdx`."""

    spdx: str
    pattern: str
    example: str


RESERVED = "all rights reserved"
PROPRIETARY = "LicenseRef-Proprietary"

NAMINGS: tuple[Naming, ...] = (
    Naming("MIT", r"\bmit(?: |-|/x11 )licen[cs]e|\b(?:under|terms of)(?: the)? mit\b|\(mit\)", "under the MIT licence"),
    Naming(
        "MIT",
        "permission is hereby granted, free of charge, to any",
        "Permission is hereby granted, free of charge, to any person",
    ),
    Naming("Apache-2.0", r"\bapache(?: software)?[- ]licen[cs]e|\bapache[- ]?v?2|licenses/license-2\.0", "Apache 2.0"),
    Naming("BSD-3-Clause", r"\bbsd[- ](?:3|three)|\b(?:3|three)[- ]clause|neither the name of", "3-clause BSD"),
    Naming("BSD-2-Clause", r"\bbsd[- ](?:2|two)|\b(?:2|two)[- ]clause|simplified bsd", "the simplified BSD licence"),
    Naming("BSD", "redistribution and use in source and binary", "Redistribution and use in source and binary forms"),
    Naming("BSD", r"\bbsd(?:-style)? licen[cs]e|\b(?:under|terms of)(?: the| a)? bsd\b", "a BSD-style licence"),
    Naming("AGPL", r"\bagpl|affero general public", "GNU Affero General Public License"),
    Naming("LGPL", r"\blgpl|(?:lesser|library) general public", "LGPLv3"),
    Naming("GPL", r"\bgpl|\bgnu general public", "GNU General Public License"),
    Naming("MPL", r"\bmpl[- ]?[12]|mozilla public", "the Mozilla Public License"),
    Naming("EPL", r"eclipse public", "Eclipse Public License"),
    Naming("BSL-1.0", r"boost software licen", "Boost Software License"),
    Naming("ISC", r"\bisc licen|permission to use, copy, modify,? and(?:/or)? distribute", "the ISC licence"),
    Naming("Zlib", r"\bzlib licen|altered source versions must be plainly marked", "zlib licence"),
    Naming("CC", r"creative commons|\bcc[- ]by\b|\bcc0\b", "CC BY-SA 4.0"),
    Naming("Unlicense", r"\bpublic domain\b|\bunlicense\b", "released into the public domain"),
    Naming(
        PROPRIETARY,
        r"proprietary (?:and|licen|software|information)|(?:and|strictly) (?:proprietary|confidential)"
        r"|retains? all intellectual property",
        "confidential and proprietary",
    ),
)

_TAG = re.compile("SPDX" r"-License-Identifier:\s*([^\n]+)")
_NOT_LICENCES = frozenset(("and", "or", "with", "none", "noassertion"))
_COPYRIGHT = re.compile(
    r"(?i:\bcopyright|©|\bcopr\.|\(c\)).*\b(?:19|20)\d\d\b|(?i:\bcopyright\s*(?:©|\(c\))|©)"
    r"|^\W*(?i:copyright)(?: by)? [A-Z]"
)
_PLACEHOLDER = re.compile(r"[\[<{](?:year|yyyy|name|full ?name|copyright holders?|owner)\b", re.I)
_COPYRIGHT_TAG = re.compile(r"SPDX" r"-(?:File|Snippet)?CopyrightText:", re.I)
_BARE_COPYRIGHT = re.compile(r"^\W*(?:copyright|©|\(c\)|@|[\d\s,\u2013-])+$", re.I)
_MENTION = re.compile(r"(?<![\w])mlx(?![\w])|\bmlx's\b|ml-explore", re.I)
_URL = re.compile(r"\w+://\S+")
_FILE = re.compile(r"[\w.+/-]*(?<![^\W_])(?:LICEN[CS]E|COPYING|NOTICE|ACKNOWLEDGE?MENTS?)S?(?:[\w.+/-]*\w)?")
_CHANGED = re.compile(
    r"\b(?:chang(?:ed|es)|modif(?:ied|ications?)|port(?:ed)?|adapt(?:ed|ation)|translat|convert|alter|rewritten|renamed)",
    re.I,
)


def copyrights(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines that state a copyright; one that ends after its years is taken together with the next. Those of a
    template, with `[year]` and such, state none."""
    for index, (number, words) in enumerate(lines):
        if (_COPYRIGHT.search(words) or _COPYRIGHT_TAG.search(words)) and not _PLACEHOLDER.search(words):
            bare = _BARE_COPYRIGHT.match(words) and index + 1 < len(lines)
            yield number, f"{words} {lines[index + 1][1]}" if bare else words


def mentions(lines: Sequence[Line]) -> Iterator[int]:
    """Lines that speak of MLX, by its name or its address."""
    return (number for number, words in lines if _MENTION.search(words))


def states_change(lines: Sequence[Line]) -> bool:
    """Whether any words say that something was changed, which Apache-2.0 asks for in its section 4 (b)."""
    return any(_CHANGED.search(words) for _, words in lines)


def file_names(lines: Sequence[Line]) -> Iterator[tuple[int, str]]:
    """Words that are the path of a licence file, each with its line. Addresses on the web are none."""
    for number, words in lines:
        for found in _FILE.findall(_URL.sub(" ", words)):
            yield number, found


def named(lines: Sequence[Line]) -> dict[str, int]:
    """Licence named -> first line that does, by an SPDX tag or in words. `RESERVED` stands only where no other does."""
    out: dict[str, int] = {}
    for number, words in lines:
        for expression in _TAG.findall(words):
            for identifier in re.findall(r"[\w.+-]+", expression):
                if identifier.lower() not in _NOT_LICENCES:
                    out.setdefault(identifier, number)
    prose, at = _folded([(number, _TAG.sub(" ", words)) for number, words in lines])
    for naming in NAMINGS:
        if found := re.search(naming.pattern, prose):
            out.setdefault(naming.spdx, at(found.start()))
    if any(one.startswith("BSD-") for one in out):
        out.pop("BSD", None)
    if not out and (found := re.search(r"\ball rights reserved\b", prose)):
        out[RESERVED] = at(found.start())
    return out


def _folded(lines: Sequence[Line]) -> tuple[str, _LineAt]:
    """The words in lower case with single spaces, and the line of each place in them."""
    parts = [(number, " ".join(words.lower().split())) for number, words in lines]
    parts = [(number, words) for number, words in parts if words]
    starts, offset = [], 0
    for _, words in parts:
        starts.append(offset)
        offset += len(words) + 1
    return " ".join(words for _, words in parts), _LineAt(starts, [number for number, _ in parts])


@dataclass(frozen=True)
class _LineAt:
    starts: Sequence[int]
    numbers: Sequence[int]

    def __call__(self, offset: int) -> int:
        return self.numbers[bisect.bisect_right(self.starts, offset) - 1]


# ---------------------------------------------------------------------------------------------------------------------
# Whole texts of licences


@dataclass(frozen=True)
class Grant:
    """The permission text of `spdx`, whole, from line `line`; `copyrights` are the copyright lines that go with it."""

    spdx: str
    line: int
    copyrights: tuple[Line, ...] = ()


_OPENINGS = {
    "MIT": "permission is hereby granted free of charge to any person obtaining copy",
    "BSD-2-Clause": "redistribution and use in source and binary forms",
    "BSD-3-Clause": "redistribution and use in source and binary forms",
    "Apache-2.0": "terms and conditions for use reproduction and distribution",
}
_CLOSING = {"Apache-2.0": "end of terms and conditions"}
_SHINGLE = 5  # words
# Of a text's shingles: no word of MIT's text may differ (one is in five of its 160 shingles), a longer text's few may.
_WHOLE = 0.97


def licence_text(spdx: str) -> str:
    """The text of a licence, with the placeholders `[year]` and `[fullname]`. Raises SteelPortError for one that the
    library lacks."""
    texts = dict(LICENSES)
    if spdx not in texts:
        raise SteelPortError(
            f"the text of {spdx} is not at hand",
            expected=", ".join(sorted(texts)),
            next_step="add the licence's text to the file by hand",
        )
    return texts[spdx]


def grants(lines: Sequence[Line]) -> tuple[Grant, ...]:
    """The whole permission texts that the lines give, in order. A part of one is none."""
    words, numbers = _words(lines)
    prose = " ".join(words)
    places = _starts_of_words(words)
    openings = sorted(
        (bisect.bisect_left(places, found.start()), opening)
        for opening in set(_OPENINGS.values())
        for found in re.finditer(rf"\b{opening}\b", prose)
    )
    stated = list(copyrights(lines))
    out: list[Grant] = []
    last_line = 0
    for index, (start, opening) in enumerate(openings):
        end = openings[index + 1][0] if index + 1 < len(openings) else len(words)
        spdx = _whole(opening, words[start:end])
        line = numbers[start]
        own = tuple(one for one in stated if last_line < one[0] <= line)
        last_line = line
        if spdx is not None:
            out.append(Grant(spdx, line, own))
    return _with_rest(out, [one for one in stated if one[0] > last_line])


def _with_rest(found: list[Grant], rest: Sequence[Line]) -> tuple[Grant, ...]:
    """A text with no copyright line before it has those that follow the last text, as an Apache notice puts them."""
    if found and not found[-1].copyrights:
        found[-1] = Grant(found[-1].spdx, found[-1].line, tuple(rest))
    return tuple(found)


def _whole(opening: str, words: Sequence[str]) -> str | None:
    """Which licence with this opening the words hold whole; of two, the one with more conditions."""
    held = _shingles(words)
    whole = [spdx for spdx, body in _bodies().items() if _OPENINGS[spdx] == opening and _share(body, held) >= _WHOLE]
    return max(whole, key=lambda spdx: len(_bodies()[spdx]), default=None)


def _share(body: frozenset[tuple[str, ...]], held: frozenset[tuple[str, ...]]) -> float:
    return len(body & held) / len(body)


@functools.cache
def _bodies() -> dict[str, frozenset[tuple[str, ...]]]:
    out = {}
    for spdx, opening in _OPENINGS.items():
        text = re.sub(r"\[\w+\]", "", licence_text(spdx))
        prose = " ".join(_words([(1, text)])[0])
        body = prose[prose.index(opening) :].partition(_CLOSING.get(spdx, "\n"))[0]
        out[spdx] = _shingles(body.split())
    return out


def _shingles(words: Sequence[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1)))


def _words(lines: Sequence[Line]) -> tuple[list[str], list[int]]:
    """Words of two letters or more, lower case, and the line of each: bullets and numbers do not count."""
    pairs = [(word, number) for number, text in lines for word in re.findall(r"[a-z]{2,}", text.lower())]
    return [word for word, _ in pairs], [number for _, number in pairs]


def _starts_of_words(words: Sequence[str]) -> list[int]:
    starts, offset = [], 0
    for word in words:
        starts.append(offset)
        offset += len(word) + 1
    return starts
