# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a file's comments say of its copyright and licence.

Not all of MLX is under its LICENSE file: some kernel headers were taken from elsewhere and say so. What they say is
recognised by the table `LICENCES`. A comment that grants rights in words the table does not know is an error: taking
such a file for MIT would be a false statement about somebody's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from porter.errors import ParseError
from porter.model import Location, Notice
from porter.parse.lexer import Token


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
