# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The code tokens of any text, whatever language it is in and wherever in it the code stands.

An audited file may be a header, a shader in a string of C++ or Python, or prose. So nothing is parsed: comments go,
quotes go (what stands between them is read as code too), lines that include go, and what is left falls into words,
numbers and single punctuation marks. A word in a string that holds no code is no name. Lines that say nothing of where
they come from are marked as quiet: `using namespace`, and definitions of one number.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_COMMENT_OR_STRING = re.compile(
    r"""//(?:\\\n|[^\n])*          # to the end of the line
      | /\*[\s\S]*?\*/             # or closed
      | "(?:\\.|[^"\\\n])*"(?:,(?=[ \t]*\n))?  # a string: no comment begins in it
      | '(?:\\.|[^'\\\n])*'
    """,
    re.X,
)
_SAYS_NO_CODE = re.compile(
    "//[^\\x02]*|/\\*.*?\\*/|#[ \\t]*(?:include|import|pragma once)\\b[^\\x02]*"
)  # in lines in a string
_HASH_COMMENT = re.compile(
    r"""^[ \t]*\#(?![ \t]*(?:define|undef|if|ifdef|ifndef|elif|else|endif|pragma|error|warning|line|include|import)\b)
        [^\n]*$""",
    re.X | re.M,
)
_IS_CODE = re.compile(r"""[;{}]|\\n["'],?$""")  # in a string: its words are names, which a copy may change
_WORD = re.compile(r"\b[^\W\d]\w*")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*(?:include|import|pragma[ \t]+once)\b[^\n]*", re.M)
_QUIET = re.compile(
    r"""^[ \t]*\#[ \t]*define[ \t]+\w+[ \t]+[-+(]*\.?\d[\w.]*\)*[ \t]*$
      | ^[ \t]*\#[ \t]*pragma[ \t]+METAL\b
      | ^[ \t]*(?:(?:static|constexpr|constant|const|inline)[ \t]+)+\w+[ \t]+\w+[ \t]*=[ \t]*[-+]?\.?\d[\w.]*[ \t]*;
      | \busing[ \t]+namespace[ \t]+[\w:]+[ \t]*;
    """,
    re.X | re.M,
)
_TOKEN = re.compile(r"\n|\x01\w+|[^\W\d]\w*|\.?\d(?:[eEpP][-+]|[\w.])*|[^\s\w\"'\\`]")

KEYWORDS = frozenset(
    """alignas alignof auto bool break case catch char class concept const constexpr const_cast continue decltype
    default define defined delete do double dynamic_cast elif else endif enum error explicit export extern false float
    for friend goto if ifdef ifndef inline int line long mutable namespace new noexcept nullptr operator pragma private
    protected public register reinterpret_cast requires return short signed sizeof static static_assert static_cast
    struct switch template this throw true try typedef typename undef union unsigned using virtual void volatile while
    constant device kernel thread threadgroup half""".split()  # noqa: SIM905
)
"""Words that a renamed copy keeps: those of C++20 (ISO/IEC 14882:2020, [lex.key]) and its preprocessor, and the
Metal Shading Language's address spaces, `kernel` and `half`."""


class _Words(dict[str, int]):
    """Token text -> its 32 bits: a checksum, whose lowest bit says that it is a name, which a copy may change."""

    def __missing__(self, text: str) -> int:
        is_name = (text[0].isalpha() or text[0] == "_") and text not in KEYWORDS
        value = zlib.crc32(text.encode("utf-8", "surrogatepass")) & 0xFFFFFFFE | is_name
        if len(self) < _MOST_WORDS:
            self[text] = value
        return value


_MOST_WORDS = 1_000_000
_NEWLINE = 1 << 32
_WORDS = _Words({"\n": _NEWLINE})


_PUNCTUATION = np.array([_WORDS[mark] for mark in "!#$%&()*+,-./:;<=>?@[]^{|}~"], np.uint32)


@dataclass(frozen=True)
class Tokens:
    """`words` (uint32, n): each token's checksum; odd for a name. `lines` (uint32, n): the line, from 1, of each.

    `quiet_lines`: those that say nothing of where they come from (of a text that is audited).
    """

    words: Array
    lines: Array
    quiet_lines: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def quiet(self) -> Array:
        """(bool, n): whether it stands on a quiet line."""
        return np.isin(self.lines, np.array(self.quiet_lines, np.uint32))

    @cached_property
    def says(self) -> Array:
        """(bool, n): whether it is more than punctuation."""
        return ~np.isin(self.words, _PUNCTUATION)

    @cached_property
    def back(self) -> Array:
        """(int32, n): for a name, how many tokens ago it stood last, 0 where it did not; -1 for what is no name."""
        out = np.full(len(self.words), -1, np.int32)
        names = np.flatnonzero(self.words & 1)
        order = names[np.argsort(self.words[names], kind="stable")]
        same = np.zeros(len(order), bool)
        same[1:] = self.words[order[1:]] == self.words[order[:-1]]
        distance = np.zeros(len(order), np.int32)
        distance[1:] = np.where(same[1:], order[1:] - order[:-1], 0)
        out[order] = distance
        return out


def tokens_of(text: str) -> Tokens:
    """The code tokens of `text`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _COMMENT_OR_STRING.sub(_blank_comment, text)
    text = _HASH_COMMENT.sub("", _INCLUDE.sub("", text))
    found = np.fromiter(map(_WORDS.__getitem__, _TOKEN.findall(text)), np.int64)
    newlines = found == _NEWLINE
    lines = np.cumsum(newlines) + 1
    return Tokens(found[~newlines].astype(np.uint32), lines[~newlines].astype(np.uint32), _quiet_lines(text))


def _quiet_lines(text: str) -> tuple[int, ...]:
    out, line, at = [], 1, 0
    for found in _QUIET.finditer(text):
        line += text.count("\n", at, found.start())
        at = found.start()
        out.append(line)
    return tuple(out)


def _blank_comment(found: re.Match[str]) -> str:
    text = found[0]
    if text[0] == "/":
        return " " + "\n" * text.count("\n")
    if not _IS_CODE.search(text):
        return _WORD.sub("\x01\\g<0>", text) if text[0] == '"' else text
    lines = text.rstrip(",").replace("\\r", "").replace("\\t", " ").replace("\\n", "\x02")
    return '"' + _SAYS_NO_CODE.sub(" ", lines[1:-1]).replace("\x02", " ") + '"'
