# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What one upstream file says by itself, read off its tokens: includes, macros, notice."""

from __future__ import annotations

from dataclasses import dataclass

from porter.model import Include, Macro, Notice
from porter.parse.directives import read_includes, read_macros
from porter.parse.lexer import tokenize
from porter.parse.notices import read_notice


@dataclass(frozen=True)
class FileFacts:
    """In the order of the file."""

    includes: tuple[Include, ...]
    macros: tuple[Macro, ...]
    notice: Notice


def read_file(path: str, text: str, licence: str) -> FileFacts:
    """`licence` is the SPDX expression of upstream's LICENSE. Raises ParseError (file:line)."""
    tokens = tokenize(text)
    return FileFacts(read_includes(path, tokens), read_macros(path, tokens), read_notice(path, tokens, licence))
