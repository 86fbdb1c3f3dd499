# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What one upstream file says by itself, read off its tokens: includes, macros, notice, kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from porter.model import Include, Location, Macro, Notice
from porter.parse.directives import place, read_includes, read_macros
from porter.parse.lexer import Token, significant, tokenize
from porter.parse.notices import read_notice


@dataclass(frozen=True)
class DefinedKernel:
    """A kernel's name, and where it stands."""

    name: str
    location: Location


@dataclass(frozen=True)
class FileFacts:
    """In the order of the file. `kernels` are those that it defines outside of macros, read off the tokens alone: no
    compiler reads a file that no family includes. `only_includes`: it has includes and no text of its own."""

    includes: tuple[Include, ...]
    macros: tuple[Macro, ...]
    notice: Notice
    kernels: tuple[DefinedKernel, ...]
    only_includes: bool


def read_file(path: str, text: str, licence: str) -> FileFacts:
    """`licence` is the SPDX expression of upstream's LICENSE. Raises ParseError (file:line)."""
    tokens = tokenize(text)
    includes, macros = read_includes(path, tokens), read_macros(path, tokens)
    return FileFacts(
        includes,
        macros,
        read_notice(path, tokens, licence),
        tuple(_defined_kernels(path, tokens)),
        bool(includes) and not macros and all(token.directive for token in significant(tokens)),
    )


def _defined_kernels(path: str, tokens: Iterable[Token]) -> Iterator[DefinedKernel]:
    """`[[kernel, ...]] void name(...) {` and `kernel void name(...) {`; an instantiation has no body."""
    words = [token for token in significant(tokens) if not token.directive]
    for at, word in enumerate(words):
        if word.text != "kernel":
            continue
        void = next((i for i in range(at + 1, len(words)) if words[i].text in ("void", ";", "{")), len(words))
        if void + 2 >= len(words) or words[void].text != "void" or words[void + 2].text != "(":
            continue
        depth, end = 0, void + 2
        for end in range(void + 2, len(words)):
            depth += {"(": 1, ")": -1}.get(words[end].text, 0)
            if depth == 0:
                break
        if [one.text for one in words[end + 1 : end + 2]] == ["{"]:
            yield DefinedKernel(words[void + 1].text, place(path, words[void + 1]))
