# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the preprocessor directives of one file say: its includes, its macros, and which files it needs in all."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from porter.errors import ParseError
from porter.model import Include, Location, Macro
from porter.parse.lexer import Token, significant


def directives(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The tokens of each directive in turn, from its `#` to the last token of its last line, blanks included."""
    group: list[Token] = []
    for token in tokens:
        if token.directive:
            group.append(token)
        elif group:
            yield group
            group = []
    if group:
        yield group


def read_includes(path: str, tokens: Iterable[Token]) -> tuple[Include, ...]:
    """Every #include of a file, those in branches that a compiler would skip included."""
    found = []
    for group in directives(tokens):
        words = significant(group)
        if len(words) == 3 and words[1].text == "include" and words[2].kind == "header":
            text = words[2].text
            found.append(Include(text[1:-1], text[0] == "<", place(path, words[0])))
    return tuple(found)


def read_macros(path: str, tokens: Iterable[Token]) -> tuple[Macro, ...]:
    """Every #define of a file, those in branches that a compiler would skip included."""
    return tuple(_macro(path, group) for group in directives(tokens) if _is_define(group))


def _is_define(group: list[Token]) -> bool:
    words = significant(group)
    return len(words) >= 3 and words[1].text == "define"


def _macro(path: str, group: list[Token]) -> Macro:
    words = significant(group)
    name = words[2]
    rest = group[group.index(name) + 1 :]
    if not (rest and rest[0].text == "("):  # with a blank before it the parenthesis belongs to the body
        return Macro(name.spelling, None, joined(rest), place(path, words[0]))
    close = next((i for i, token in enumerate(rest) if token.text == ")"), None)
    if close is None:
        raise ParseError("the macro's parameter list does not end", where=f"{path}:{name.line}", expected="')'")
    parameters = tuple(token.spelling for token in significant(rest[1:close]) if token.text != ",")
    return Macro(name.spelling, parameters, joined(rest[close + 1 :]), place(path, words[0]))


def joined(tokens: Iterable[Token]) -> str:
    """The tokens as one line of text: each run of blanks, comments and line splices becomes one space."""
    pieces: list[str] = []
    for token in tokens:
        if token.kind in ("space", "newline", "splice", "comment"):
            if pieces and pieces[-1] != " ":
                pieces.append(" ")
        else:
            pieces.append(token.spelling)
    return "".join(pieces).strip()


def place(path: str, token: Token) -> Location:
    return Location(path, token.line, token.column)


def resolve(include: Include, files: Mapping[str, object]) -> str | None:
    """The file that an include names: beside the including file, else from the tree's root, as a compiler looks.

    None for a file that the tree lacks: whether that is an error is for the compiler to say, which knows the branches
    that are skipped.
    """
    if include.angled:
        candidates = [include.path]
    else:
        beside = posixpath.join(posixpath.dirname(include.location.file), include.path)
        candidates = [posixpath.normpath(beside), include.path]
    return next((candidate for candidate in candidates if candidate in files), None)
