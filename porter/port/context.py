# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a rule sees of one upstream file: its tokens, its directives, and the decisions that concern it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from porter.errors import PortError
from porter.model import Edit, Macro, Notice
from porter.parse.lexer import Token, significant, tokenize
from porter.port.target import Target
from porter.spec import Constant


@dataclass(frozen=True)
class Directive:
    """One preprocessor directive: `[start, end)` covers its lines, the last newline included."""

    name: str
    tokens: tuple[Token, ...]  # after the name
    start: int
    end: int


@dataclass(frozen=True)
class KernelExtent:
    """Where a kernel's definition stands. `parameters_end` is the `>` or `>>` that ends its template parameters, None
    for a plain function."""

    name: str
    start: int
    end: int
    parameters_end: Token | None


@dataclass(frozen=True)
class Context:
    """One upstream file on its way through the rules.

    `headers`: upstream path -> include path in the overlay, or None for a file that nothing is left of.
    `macros`: the object-like macros that are expanded in place.  `constants`: how the families that own this file lower
    their function constants.  `preamble`: what upstream's .metal file includes before this header.  `holds_params`:
    whether host and kernel share the structs of this file.
    """

    path: str
    text: str
    target: Target
    notice: Notice
    revision: str
    headers: Mapping[str, str | None]
    macros: Mapping[str, Macro]
    constants: tuple[Constant, ...] = ()
    preamble: tuple[str, ...] = ()
    holds_params: bool = False

    def among(self, headers: Mapping[str, str | None]) -> Context:
        """The same file, knowing what the others are called. What was read off its text is not read again."""
        named = replace(self, headers=headers)
        known = ("all_tokens", "tokens", "code", "directives")
        named.__dict__.update({key: self.__dict__[key] for key in known if key in self.__dict__})
        return named

    @cached_property
    def all_tokens(self) -> list[Token]:
        return tokenize(self.text)

    @cached_property
    def tokens(self) -> list[Token]:
        """Tokens without comments and white space; directives included."""
        return list(significant(self.all_tokens))

    @cached_property
    def code(self) -> list[Token]:
        """Tokens without comments, white space and directives."""
        return [token for token in self.tokens if not token.directive]

    @cached_property
    def directives(self) -> tuple[Directive, ...]:
        out: list[Directive] = []
        group: list[Token] = []
        for token in [*self.tokens, None]:
            begins = token is not None and token.directive and token.text == "#" and self._begins_line(token.start)
            if group and (token is None or begins or not token.directive):
                out.append(self._directive(group))
                group = []
            if token is not None and (begins or (group and token.directive)):
                group.append(token)
        return tuple(out)

    def _begins_line(self, offset: int) -> bool:
        start = self.text.rfind("\n", 0, offset) + 1
        return not self.text[start:offset].strip() and not self.text[: max(start - 1, 0)].endswith("\\")

    def _directive(self, group: list[Token]) -> Directive:
        start = self.text.rfind("\n", 0, group[0].start) + 1
        newline = self.text.find("\n", group[-1].end)
        end = len(self.text) if newline < 0 else newline + 1
        name = group[1].text if len(group) > 1 else ""
        return Directive(name, tuple(group[2:]), start, end)

    @cached_property
    def guard(self) -> Directive | None:
        """`#pragma once`."""
        return next((d for d in self.directives if d.name == "pragma" and [t.text for t in d.tokens] == ["once"]), None)

    @cached_property
    def kernels_here(self) -> tuple[KernelExtent, ...]:
        """The kernels that are defined in this file, in its order."""
        out: list[KernelExtent] = []
        tokens, i = self.code, 0
        while i < len(tokens):
            angle = None
            attributes = i
            if tokens[i].text == "template" and tokens[i + 1].text == "<":
                angle = self.closing_angle(tokens, i + 1)
                attributes = angle + 1
            found = self._kernel(tokens, i, attributes, angle)
            if found is not None:
                out.append(found)
                i = next(j for j in range(i, len(tokens)) if tokens[j].end == found.end)
            i += 1
        return tuple(out)

    def _kernel(self, tokens: list[Token], first: int, at: int, angle: int | None) -> KernelExtent | None:
        """The kernel whose attributes begin at token `at`: `[[kernel, ...]] void NAME(...) {...}`; None for others."""
        named = False
        while [t.text for t in tokens[at : at + 2]] == ["[", "["]:
            close = self.closing(tokens, at)
            named |= any(t.text == "kernel" for t in tokens[at:close])
            at = close + 1
        if tokens[at].text == "kernel":  # the keyword means what the attribute does
            named, at = True, at + 1
        if not named or [t.text for t in tokens[at : at + 3 : 2]] != ["void", "("]:
            return None
        body = self.closing(tokens, at + 2) + 1
        if tokens[body].text != "{":
            return None  # a declaration
        end = tokens[self.closing(tokens, body)].end
        return KernelExtent(tokens[at + 1].text, tokens[first].start, end, tokens[angle] if angle else None)

    def where(self, offset: int) -> str:
        return f"{self.path}:{self.text.count(chr(10), 0, offset) + 1}"

    def fail(self, what: str, offset: int, expected: str | None = None) -> PortError:
        return PortError(what, where=self.where(offset), expected=expected, next_step="see porter/port/rules/")

    def closing(self, tokens: list[Token], index: int) -> int:
        """The index of the token that closes the bracket at `index`."""
        pairs = {"(": ")", "{": "}", "[": "]"}
        opening, closing, depth = tokens[index].text, pairs[tokens[index].text], 0
        for i in range(index, len(tokens)):
            depth += (tokens[i].text == opening) - (tokens[i].text == closing)
            if depth == 0:
                return i
        raise self.fail(f"nothing closes {opening!r}", tokens[index].start)

    def closing_angle(self, tokens: list[Token], index: int) -> int:
        """The index of the token that closes the `<` at `index` (a template's parameter list)."""
        depth = 0
        i = index
        while i < len(tokens):
            text = tokens[i].text
            if text == "(":
                i = self.closing(tokens, i)
            elif text == "<":
                depth += 1
            elif text in (">", ">>"):
                depth -= len(text)
                if depth <= 0:
                    return i
            i += 1
        raise self.fail("nothing closes '<'", tokens[index].start)

    def line_range(self, start: int, end: int) -> tuple[int, int]:
        """`[start, end)` grown to whole lines if nothing else stands on them."""
        first = self.text.rfind("\n", 0, start) + 1
        newline = self.text.find("\n", end)
        last = len(self.text) if newline < 0 else newline + 1
        alone = not self.text[first:start].strip() and not self.text[end:last].strip()
        return (first, last) if alone else (start, end)

    def stands_alone(self, token: Token) -> bool:
        """Whether nothing else stands on the token's line."""
        return self.line_range(token.start, token.end) != (token.start, token.end)

    def top(self) -> int:
        """Where what we add to a file's top goes: behind its `#pragma once`, or behind the comments that head it."""
        return self.guard.end if self.guard else self.after_leading_comments()

    def after_leading_comments(self) -> int:
        """The offset of the first thing in the file that is neither a comment nor white space."""
        return self.tokens[0].start if self.tokens else len(self.text)


def edit(rule: str, start: int, end: int, replacement: str) -> Edit:
    return Edit(start, end, replacement, rule)


def identifiers(tokens: list[Token], names: Mapping[str, object]) -> Iterator[tuple[int, Token]]:
    for index, token in enumerate(tokens):
        if token.kind == "identifier" and token.text in names:
            yield index, token
