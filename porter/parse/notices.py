# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a file's comments say of its copyright and licence.

Not all of MLX is under its LICENSE file: some kernel headers were taken from elsewhere and say so. What they say is
recognised by the table `LICENCES`. A comment that grants rights in words the table does not know is an error: taking
such a file for MIT would be a false statement about somebody's work.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from porter.errors import ParseError
from porter.model import Location, Notice, sha256
from porter.parse.lexer import Token, tokenize


@dataclass(frozen=True)
class Licence:
    """A licence text is `spdx` if it holds all of `says` and none of `lacks` (lower case, white space folded)."""

    spdx: str
    says: tuple[str, ...]
    lacks: tuple[str, ...]
    example: str


_BSD = "redistribution and use in source and binary forms, with or without modification, are permitted"

LICENCES: tuple[Licence, ...] = (
    Licence(
        "Apache-2.0",
        says=("licensed under the apache license, version 2.0",),
        lacks=(),
        example="// Licensed under the Apache License, Version 2.0 (the\n// License); see there.",
    ),
    Licence(
        "BSD-2-Clause",
        says=(_BSD, "redistributions in binary form must reproduce"),
        lacks=("neither the name", "advertising materials"),
        example="/* Redistribution and use in source and binary forms, with or\n"
        " * without modification, are permitted provided that: 1. keep this\n"
        " * 2. Redistributions in binary form must reproduce this */",
    ),
    Licence(
        "BSD-3-Clause",
        says=(_BSD, "redistributions in binary form must reproduce", "neither the name"),
        lacks=("advertising materials",),
        example="// Redistribution and use in source and binary forms, with or without\n"
        "// modification, are permitted: 1. x 2. Redistributions in binary form\n"
        "// must reproduce x 3. Neither the name of x nor y may be used",
    ),
    Licence(
        "MIT",
        says=("permission is hereby granted, free of charge, to any person obtaining a copy",),
        lacks=(),
        example="// Permission is hereby granted, free of charge, to any person\n// obtaining a copy of this thing",
    ),
)

_SPDX_LINE = re.compile("SPDX" r"-License-Identifier:\s*([^\n]*[^\s])")
_COPYRIGHT = re.compile(r"(?:copyright\b|©|\(c\)|SPDX-(?:File)?CopyrightText:).*", re.I)
_YEAR_OR_SIGN = re.compile(r"\b(?:19|20)\d\d\b|©|\(c\)", re.I)
_GRANTS = re.compile(r"\blicen[cs]ed\b|\blicen[cs]e\b|\ball rights reserved\b|\bpublic domain\b|\bredistribut", re.I)

# Words by which a comment says that code came from elsewhere, or from what it was learned. An address counts too, but
# for those of licence texts. What is matched in vain costs a person one decision; what is missed costs a notice.
_NAMES_ORIGIN = re.compile(
    r"\b(?:taken|adapted|borrowed|copied|copy-?n?-?pasted|ported|forked|derived|translated|lifted|extracted|modified)\s+"
    r"(?:directly\s+|verbatim\s+)?from\b"
    r"|\b(?:based|modell?ed|building)\s+(?:up)?(?:on|after)\b(?:\s+\w+){0,4}?\s+(?:code|implementation|algorithm|work|paper)\b"
    r"|\bfrom\s+(?:pytorch|torch|numpy|jax|cutlass|cub|thrust|cuda|ggml|llama\.cpp|triton|tinygrad|boost|eigen|freebsd)\b"
    r"|\binspired\s+by\b|\bcourtesy\s+of\b|\bcredits?\s+(?:to|goes)\b|\bthanks\s+to\b|\bwritten\s+by\b"
    r"|\bstack\s?(?:overflow|exchange)\b|\bport\s+of\b|\b(?:original|reference)\s+(?:implementation|code|source|author)\b"
    r"|\bcub\b|\bc10\b|\barxiv\b|\bgithub\b|https?://(?!www\.apache\.org/licenses/)",
    re.I,
)


@dataclass(frozen=True)
class NamedOrigin:
    """A run of comments that names another origin: `words` of it, which stand in line `line`.

    The run covers lines `first` to `last`. `digest` is the SHA-256 of its words, comment marks and white space aside:
    what a decision in specs/licences.yaml is about.
    """

    line: int
    words: str
    first: int
    last: int
    digest: str


def named_origins(text: str) -> tuple[NamedOrigin, ...]:
    """The runs of comments of a file that name an origin other than the file itself, in the order of the file."""
    if not _NAMES_ORIGIN.search(text) and not _NAMES_ORIGIN.search(_unmarked(text)):
        return ()
    return tuple(found for run in comment_runs_of(text) if (found := _origin_of(run)) is not None)


@functools.lru_cache(maxsize=512)
def comment_runs_of(text: str) -> tuple[tuple[Token, ...], ...]:
    """The runs of comments of a text. Kept, because a file is asked for them more than once, and comments are few."""
    return tuple(map(tuple, comment_runs(tokenize(text))))


def _origin_of(run: Sequence[Token]) -> NamedOrigin | None:
    lines = list(_comment_lines(run))
    said = ""
    starts: list[tuple[int, int]] = []
    for words, number in lines:
        starts.append((len(said), number))
        said += f"{words} "
    found = _NAMES_ORIGIN.search(said)
    if found is None:
        return None
    line = max(number for start, number in starts if start <= found.start())
    return NamedOrigin(line, found[0], lines[0][1], lines[-1][1], sha256(" ".join(said.split()).encode()))


def comment_runs(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """Comments that one end of a line parts at most, taken together."""
    run: list[Token] = []
    lines = 0
    for token in tokens:
        lines = lines + 1 if token.kind == "newline" else lines * (token.kind == "space")
        if run and (lines > 1 or token.kind not in ("comment", "space", "newline")):
            yield run
            run = []
        if token.kind == "comment":
            run.append(token)
    if run:
        yield run


def _unmarked(text: str) -> str:
    """`text` with its comment marks at the beginning of lines taken off, so that words part only by white space."""
    return re.sub(r"\n[ \t]*(?://+|\*+)", "\n", text)


def read_notice(path: str, tokens: Iterable[Token], default: str) -> Notice:
    """The notice of a file. `default` is the SPDX expression of upstream's LICENSE, for a file that states none.

    Raises ParseError (file:line) for a comment that speaks of a licence in words that no rule knows.
    """
    lines = list(_comment_lines(tokens))
    copyrights = [(line, number) for line, number in lines if _COPYRIGHT.match(line) and _YEAR_OR_SIGN.search(line)]
    spdx = recognise("\n".join(line for line, _ in lines))
    if spdx is None:
        for line, number in lines:
            if _GRANTS.search(line):
                raise ParseError(
                    f"a licence statement that is not recognised: {line!r}",
                    where=f"{path}:{number}",
                    expected=", ".join(licence.spdx for licence in LICENCES),
                    next_step="read the file's licence and add it to LICENCES in porter/parse/notices.py",
                )
    first = copyrights[0][1] if copyrights else 1
    texts = tuple(dict.fromkeys(line for line, _ in copyrights))
    return Notice(texts, spdx or default, spdx is not None, Location(path, first))


def recognise(text: str) -> str | None:
    """The SPDX expression of the licences that `text` (comment marks taken off) states; None where it states none."""
    declared = [found.strip() for found in _SPDX_LINE.findall(text)]
    folded = " ".join(text.lower().split())
    worded = [
        licence.spdx
        for licence in LICENCES
        if all(part in folded for part in licence.says) and not any(part in folded for part in licence.lacks)
    ]
    return " AND ".join(dict.fromkeys([*declared, *worded])) or None


def read_licence(path: str, text: str) -> str:
    """The SPDX expression of a licence file. Raises ParseError where it is none that we know."""
    spdx = recognise(text)
    if spdx is None:
        raise ParseError(
            "the licence is none that steel-port knows",
            where=f"{path}:1",
            expected=", ".join(licence.spdx for licence in LICENCES),
            next_step="read it and add it to LICENCES in porter/parse/notices.py",
        )
    return spdx


def _comment_lines(tokens: Iterable[Token]) -> Iterator[tuple[str, int]]:
    """Each line of each comment without its marks, and its line number."""
    for token in tokens:
        if token.kind != "comment":
            continue
        text = token.text
        if text.startswith("/*"):
            text = text[2:-2]
        for offset, line in enumerate(text.split("\n")):
            yield re.sub(r"^[ \t]*(?://+[!/]?|\*+(?!/))?[ \t]*|[ \t\r]+$", "", line), token.line + offset
