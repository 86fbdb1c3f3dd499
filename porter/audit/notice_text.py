# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The comments of a file in any language, as the runs of lines that a reader takes for one remark.

Kernels often travel inside a string of a host file, so what looks like source in a string that runs over several lines
is read too. Languages are told and taken apart by pygments; a file that it does not know is read as C++ where it looks
like code, and as a remark from end to end where it does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, String, _TokenType
from pygments.util import ClassNotFound

from porter.audit.model import Lines

# Suffixes that pygments takes for another language than the one shader and kernel authors mean, or does not know.
_CPP = frozenset(
    re.findall(
        r"\S+",
        ".c .cc .cl .comp .cpp .cu .cuh .cxx .frag .geom .glsl .h .hh .hip .hpp .hxx .inc .inl .ipp .m .metal .mm .tpp "
        ".vert",
    )
)
_PLAIN = frozenset(("", ".license", ".md", ".rst", ".txt"))
_MARKS = re.compile(r"^[ \t]*(?://+[!/<]*|/\*+[!<]?|\*+(?!/)|#+!?|--+|;+|%+|<!--|\"\"\"|''')?[ \t]*")
_END_MARKS = re.compile(r"[ \t\r]*(?:\*+/|-->|\"\"\"|''')?[ \t\r]*$")
_OPENS = re.compile(r"""\w*(?:\"{3}|'{3}|"[^\s()\\"]{0,16}\(|["'`])""")
_DEEPEST = 2  # a string in the source in a string


@dataclass(frozen=True)
class Remark:
    """Comments with nothing but white space between them: (line, words without comment marks).

    `at_head`: no code stands before it in the file, or in the string whose lines are `within`.
    """

    lines: tuple[tuple[int, str], ...]
    at_head: bool
    within: Lines | None = None

    @property
    def span(self) -> Lines:
        return Lines(self.lines[0][0], self.lines[-1][0])


@functools.lru_cache(maxsize=8)  # a file is asked of once for each upstream file that it has parts of
def remarks(path: str, text: str) -> tuple[Remark, ...]:
    """Every remark of the file `path`, in the order of their lines (from 1, parted by line feeds)."""
    lexer = _lexer(path, text)
    if lexer is None:
        lines = tuple((number, _bare(line)) for number, line in enumerate(text.split("\n"), start=1))
        return (Remark(lines, at_head=True),)
    found = list(_remarks(lexer, text.replace("\r\n", "\n"), 1, None, 0))
    return tuple(sorted(found, key=lambda one: one.lines[0][0]))


def _lexer(path: str, text: str) -> Lexer | None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _CPP:
        return _cpp()
    try:
        lexer = None if suffix in _PLAIN else get_lexer_for_filename(PurePosixPath(path).name)
    except ClassNotFound:
        lexer = None
    if lexer is None and _looks_like_code(text):
        return _cpp()
    return lexer


def _cpp() -> Lexer:
    return get_lexer_by_name("cpp")


def _looks_like_code(text: str) -> bool:
    """Three lines that end a statement or a block, or open one."""
    return len(re.findall(r"[;{}][ \t\r]*(?:$|//)", text, re.M)) >= 3


def _remarks(lexer: Lexer, text: str, first: int, within: Lines | None, depth: int) -> Iterator[Remark]:
    """The remarks of `text`, whose first line is line `first` of the file."""
    run: list[tuple[int, str]] = []
    at_head = True
    for kind, value, offset_line in _joined(lexer, text):
        line = first + offset_line
        if _is_comment(kind, value):
            run.extend((line + offset, _bare(one)) for offset, one in enumerate(value.rstrip("\n").split("\n")))
            continue
        if value.isspace():
            continue
        if run:
            yield Remark(tuple(run), at_head, within)
            run = []
        at_head = at_head and (kind in Comment or not value.strip())
        if kind in String and "\n" in value and depth < _DEEPEST and _looks_like_code(value):
            span = Lines(line, line + value.count("\n"))
            opening = _OPENS.match(value)
            body = " " * opening.end() + value[opening.end() :] if opening else value
            yield from _remarks(_cpp(), body, line, span, depth + 1)
    if run:
        yield Remark(tuple(run), at_head, within)


def _joined(lexer: Lexer, text: str) -> Iterator[tuple[_TokenType, str, int]]:
    """(kind, value, lines before it): tokens with the pieces of one string taken together."""
    line = start = 0
    pieces: list[str] = []
    for _, kind, value in lexer.get_tokens_unprocessed(text):
        if kind in String and kind not in String.Doc:
            start = start if pieces else line
            pieces.append(value)
        else:
            if pieces:
                yield String, "".join(pieces), start
                pieces = []
            yield kind, value, line
        line += value.count("\n")
    if pieces:
        yield String, "".join(pieces), start


def _is_comment(kind: _TokenType, value: str) -> bool:
    """Not what pygments calls comments and a reader does not: directives. A docstring that holds source is a string."""
    if kind in String.Doc:
        return not _looks_like_code(value)
    return kind in Comment and kind not in Comment.Preproc and kind not in Comment.PreprocFile


def _bare(line: str) -> str:
    return _END_MARKS.sub("", _MARKS.sub("", line, count=1), count=1)
