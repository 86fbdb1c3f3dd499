# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a mutation operator sees of one emitted file: its tokens, its functions' bodies, its kernels' arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from porter.parse.lexer import Token, tokenize

_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
_QUALIFIERS = frozenset(("const", "noexcept", "thread", "device", "threadgroup", "constant", "volatile"))


@dataclass(frozen=True)
class Change:
    """Replace the characters [start, end) of the file by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function: its type's tokens, its name's token, and the tokens of its attribute, if any."""

    type: tuple[Token, ...]
    name: Token
    attribute: tuple[Token, ...]


@dataclass(frozen=True)
class Body:
    """One function with a body. `first` and `last` are the numbers of its braces among the code's tokens."""

    first: int
    last: int
    parameters: tuple[Parameter, ...]


class Text:
    """One file. `code` holds its tokens without comments, white space and directives."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def code(self) -> list[Token]:
        blank = {"space", "newline", "splice", "comment"}
        return [token for token in tokenize(self.text) if token.kind not in blank and not token.directive]

    @cached_property
    def closing(self) -> dict[int, int]:
        """Of each opening bracket: the number of the token that closes it."""
        out: dict[int, int] = {}
        stack: list[int] = []
        for number, token in enumerate(self.code):
            if token.text in _OPENING:
                stack.append(number)
            elif token.text in _CLOSING and stack:
                out[stack.pop()] = number
        return out

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """Every function's body, in order. A body within a body (a lambda's) is part of the outer one."""
        found, end = [], -1
        opens = {close: start for start, close in self.closing.items()}
        for number, token in enumerate(self.code):
            if token.text != "{" or number <= end or number not in self.closing:
                continue
            before = number - 1
            while before >= 0 and self.code[before].text in _QUALIFIERS:
                before -= 1
            if before < 0 or self.code[before].text != ")" or before not in opens:
                continue
            end = self.closing[number]
            found.append(Body(number, end, self._parameters(opens[before], before)))
        return tuple(found)

    def _parameters(self, opening: int, closing: int) -> tuple[Parameter, ...]:
        out: list[Parameter] = []
        start = at = opening + 1
        while at <= closing:
            text = self.code[at].text
            if text in _OPENING and at in self.closing and at < closing:
                at = self.closing[at]
            elif text == "," or at == closing:
                out += self._parameter(self.code[start:at])
                start = at + 1
            at += 1
        return tuple(out)

    def _parameter(self, tokens: list[Token]) -> Iterator[Parameter]:
        split = next((n for n, token in enumerate(tokens) if token.text in ("[", "=")), len(tokens))
        declared = tokens[:split]
        if len(declared) > 1 and declared[-1].kind == "identifier":
            yield Parameter(tuple(declared[:-1]), declared[-1], tuple(tokens[split:]))

    def inside(self) -> Iterator[tuple[int, Token]]:
        """The tokens of all bodies with their numbers."""
        for body in self.bodies:
            for number in range(body.first + 1, body.last):
                yield number, self.code[number]

    def outside(self) -> Iterator[tuple[int, Token]]:
        """The tokens of no body."""
        last = 0
        for body in (*self.bodies, None):
            end = len(self.code) if body is None else body.first
            for number in range(last, end):
                yield number, self.code[number]
            last = 0 if body is None else body.last

    def spaced(self, token: Token) -> bool:
        """Whether a space stands on both sides: clang-format sets binary operators so, and no template's brackets."""
        return self.text[token.start - 1 : token.start].isspace() and self.text[token.end : token.end + 1].isspace()

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1
