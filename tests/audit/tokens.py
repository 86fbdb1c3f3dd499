# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A tokenizer of C++ and Metal for the truth of the generated cases, and which lines count as code of their own.

It is written apart from the ones under porter/ on purpose: a fault of theirs must not hide in the truth. Comments and
white space (a backslash before a newline too) are left out. The content of a raw string is read as code, because
kernels are kept in raw strings. `>` always stands alone, so that `> >` and `>>` are the same.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple


class Token(NamedTuple):
    """`kind`: include, raw, word, number, string or mark. `line` counts from 1, `start` and `end` are offsets."""

    kind: str
    text: str
    line: int
    start: int
    end: int


_TOKEN = re.compile(
    r"""
    (?P<space>(?:\s|\\\r?\n)+)
  | (?P<comment>//(?:\\\r?\n|[^\n])*|/\*[\s\S]*?\*/)
  | (?P<include>\#[ \t]*(?:include|import)[ \t]*(?:<[^>\n]*>|"[^"\n]*")|\#[ \t]*pragma[ \t]+once\b)
  | (?P<raw>R"(?P<fence>[^()\\\s"]{0,16})\()
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')
  | (?P<number>\.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark><<=|<<|<=|==|!=|&&|\|\||\+\+|--|->|::|\.\.\.|\#\#|[-+*/%&|^]=|.)
    """,
    re.VERBOSE,
)


def tokens(text: str) -> list[Token]:
    """The code of `text`, in order, without comments."""
    newlines = [place.start() for place in re.finditer("\n", text)]
    return [
        Token(kind, word, bisect_right(newlines, start - 1) + 1, start, start + length)
        for kind, word, start, length in _scan(text, 0, len(text))
        if kind != "comment"
    ]


def comments(text: str) -> list[tuple[int, int]]:
    """The offsets, from and up to, of each comment of `text`."""
    return [(start, start + length) for kind, _, start, length in _scan(text, 0, len(text)) if kind == "comment"]


def _scan(text: str, start: int, end: int) -> Iterator[tuple[str, str, int, int]]:
    """(kind, the token's text, offset, length in `text`)."""
    place = start
    while place < end and (found := _TOKEN.match(text, place, end)):
        kind = found.lastgroup if found.lastgroup != "fence" else "raw"
        if found["raw"]:
            fence = f'){found["fence"]}"'
            close = text.find(fence, found.end(), end)
            yield "raw", 'R"(', place, found.end() - place
            yield from _scan(text, found.end(), close if close >= 0 else end)
            if close < 0:
                return
            yield "raw", ')"', close, len(fence)
            place = close + len(fence)
            continue
        if kind != "space":
            word = found.group()
            yield str(kind), "".join(word.split()) if kind == "include" else word, place, len(word)
        place = found.end()


_WEAK = frozenset("else do public private protected : try break continue return default".split())  # noqa: SIM905


def idiom_lines(text: str) -> tuple[frozenset[int], frozenset[int]]:
    """(lines that hold code, those of them that hold a common idiom only).

    An idiom is: an include or another directive without a body of code (`#if`, `#endif`, `#pragma`, `#undef`, a macro
    that names a number, a string or nothing), `using namespace`, a line of marks and words such as `else` only, a line
    that opens or ends a namespace, and a table of instantiations (a call, at its line's start, of a macro whose name
    begins with `instantiate`). Such lines are asked of nobody: neither missed nor wrongly claimed.
    """
    by_line: dict[int, list[Token]] = {}
    for token in tokens(text):
        by_line.setdefault(token.line, []).append(token)
    idioms, depth = set(), 0
    for line, row in by_line.items():
        words = [token.text for token in row]
        if depth == 0 and words[0].lower().startswith("instantiate") and len(words) > 1 and words[1] == "(":
            idioms.add(line)
            depth = words.count("(") - words.count(")")
        elif depth > 0:
            idioms.add(line)
            depth += words.count("(") - words.count(")")
        elif _is_idiom(row, words):
            idioms.add(line)
    return frozenset(by_line), frozenset(idioms)


def _is_idiom(row: list[Token], words: list[str]) -> bool:
    if row[0].kind == "include" or words[:2] == ["using", "namespace"] or words[0] == "namespace":
        return True
    if words[0] == "#":
        if words[1:2] != ["define"]:
            return True
        body = row[3:]
        return len(body) <= 3 and all(token.kind in ("number", "string", "mark") for token in body)
    return all(token.kind in ("mark", "raw") or token.text in _WEAK for token in row)
