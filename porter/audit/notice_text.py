# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The comments of a file in any language, as the runs of lines that a reader takes for one remark.

Kernels often travel inside a string of a host file, so what looks like source in a string that runs over several lines
is read too. C++ and what looks like it is taken apart here, in time linear in its size whatever it holds; other
languages by pygments. A file that neither knows is read as C++ where it looks like code, and as a remark from end to
end where it does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment, String
from pygments.util import ClassNotFound

from porter.audit.model import Lines

# C, C++ and those languages, for kernels and shaders among others, whose comments and strings are close to theirs.
_CPP = frozenset(
    re.findall(
        r"\S+",
        ".c .cc .cl .comp .cpp .cs .cu .cuh .cxx .frag .geom .glsl .go .h .hh .hip .hlsl .hpp .hxx .inc .inl .ipp "
        ".java .js .kt .m .metal .mm .rs .scala .swift .tpp .ts .vert .wgsl .zig",
    )
)
_PLAIN = frozenset(("", ".diff", ".license", ".md", ".patch", ".rst", ".txt"))
_MARKS = re.compile(r"^[ \t]*(?://+[!/<]*|/\*+[!<]?|\*+(?!/)|#+!?|--+|;+|%+|<!--|\"\"\"|''')?[ \t]*")
_END_MARKS = re.compile(r"[ \t\r]*(?:\*+/|-->|\"\"\"|''')?[ \t\r]*$")
_OPENS = re.compile(r"""\w*(?:\"{3}|'{3}|"[^\s()\\"]{0,16}\(|["'`])""")
_DEEPEST = 2  # a string in the source in a string
_LONGEST = 10_000  # characters of a line; what stands further right is no notice

_PIECE = re.compile(
    r"""(?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<string>(?:u8|[uUL])?R"(?P<end>[^\s()\\"]{0,16})\(.*?(?:\)(?P=end)"|\Z)"""
    r"""|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*(?:`|\Z))"""
    r"""|(?P<directive>^[ \t]*\#(?:\\\n|[^\n/"]|/(?![/*]))*)"""
    r"""|(?P<space>\s+)"""
    r"""|(?P<code>\d[\w.]*(?:'\w+)*|\w+|.)""",
    re.S | re.M,
)

Piece = tuple[str, str, int]
"""Kind (comment, string, directive, space or code), text, and how many lines stand before it."""


@dataclass(frozen=True)
class Remark:
    """Comments with nothing but white space between them: (line, words without comment marks).

    `at_head`: no code stands before it in the file, or in the string whose lines are `within`; `at_end`: none after it.
    """

    lines: tuple[tuple[int, str], ...]
    at_head: bool
    within: Lines | None = None
    at_end: bool = False

    @property
    def span(self) -> Lines:
        return Lines(self.lines[0][0], self.lines[-1][0])


@functools.lru_cache(maxsize=8)  # a file is asked of once for each upstream file that it has parts of
def remarks(path: str, text: str) -> tuple[Remark, ...]:
    """Every remark of the file `path`, in the order of their lines (from 1, parted by line feeds)."""
    cut = [line[:_LONGEST] for line in text.replace("\r\n", "\n").split("\n")]
    text = "\n".join(cut) + "\n"
    pieces = _reader(path, text)
    if pieces is None:
        return (Remark(tuple((number, _bare(line)) for number, line in enumerate(cut, start=1)), at_head=True),)
    return tuple(sorted(_remarks(pieces, text, 1, None, 0), key=lambda one: one.lines[0][0]))


def _reader(path: str, text: str) -> Callable[[str], Iterator[Piece]] | None:
    """What takes the file apart; None where it holds nothing but words."""
    pure = PurePosixPath(path)
    if pure.suffix.lower() in _CPP:
        return _cpp
    try:
        lexer = None if pure.suffix.lower() in _PLAIN else get_lexer_for_filename(pure.name)
    except ClassNotFound:
        lexer = None
    if lexer is not None:
        return functools.partial(_by_pygments, lexer)
    return _cpp if _looks_like_code(text) else None


def _looks_like_code(text: str) -> bool:
    """Three lines that end a statement or a block, or open one."""
    return len(re.findall(r"[;{}][ \t\r]*(?:$|//)", text, re.M)) >= 3


def _remarks(
    pieces: Callable[[str], Iterator[Piece]], text: str, first: int, within: Lines | None, depth: int
) -> Iterator[Remark]:
    """The remarks of `text`, whose first line is line `first` of the file."""
    run: list[tuple[int, str]] = []
    at_head = True
    for kind, value, before in pieces(text):
        line = first + before
        if kind == "comment":
            run.extend((line + offset, _bare(one)) for offset, one in enumerate(value.rstrip("\n").split("\n")))
        elif kind != "space":
            if run:
                yield Remark(tuple(run), at_head, within)
                run = []
            at_head = at_head and kind == "directive"
            if kind == "string" and "\n" in value and depth < _DEEPEST and _looks_like_code(value):
                yield from _of_string(value, line, depth)
    if run:
        yield Remark(tuple(run), at_head, within, at_end=True)


def _of_string(value: str, line: int, depth: int) -> Iterator[Remark]:
    """The remarks of the source in a string, which ends where the string does."""
    opening = _OPENS.match(value)
    body = value[opening.end() :] if opening else value
    return _remarks(_cpp, body, line, Lines(line, line + value.count("\n")), depth + 1)


def _cpp(text: str) -> Iterator[Piece]:
    before = 0
    for found in _PIECE.finditer(text):
        kind = "string" if found["string"] is not None else found.lastgroup or "code"
        yield kind, found[0], before
        before += found[0].count("\n")


def _by_pygments(lexer: Lexer, text: str) -> Iterator[Piece]:
    """With the pieces of one string taken together. A docstring is a comment, unless it holds source."""
    before = start = 0
    string: list[str] = []
    for _, token, value in lexer.get_tokens_unprocessed(text):
        if token in String and (token not in String.Doc or _looks_like_code(value)):
            start = start if string else before
            string.append(value)
        else:
            if string:
                yield "string", "".join(string), start
                string = []
            yield _kind(token, value), value, before
        before += value.count("\n")
    if string:
        yield "string", "".join(string), start


def _kind(token: object, value: str) -> str:
    """pygments calls directives comments, too."""
    if token in Comment.Preproc or token in Comment.PreprocFile:
        return "directive"
    if token in Comment or token in String.Doc:
        return "comment"
    return "space" if value.isspace() else "code"


def _bare(line: str) -> str:
    return _END_MARKS.sub("", _MARKS.sub("", line, count=1), count=1)
