# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An exact tokenizer for MSL and C++ source text.

Edits stand at token positions, so the tokenizer may lose nothing: the texts of all tokens, in order, are the file.
It works on the text as written (before the preprocessor), by the lexical rules of C++20 ([lex.pptoken]), with two
exceptions that no kernel source needs: digraphs are two punctuators, and a line splice inside an operator splits it.
Text that no rule covers (a lone quote, an unterminated comment) becomes single characters of kind `other`, never an
error: what is wrong with a file is for the compiler to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Kind = Literal[
    "identifier",
    "number",
    "string",
    "char",
    "header",  # <path> or "path" after #include, quotes and brackets included
    "punctuator",
    "comment",
    "space",
    "newline",
    "splice",  # a backslash and the end of its line: the line goes on
    "other",
]

_SPLICE = r"\\\r?\n"
# A splice may stand anywhere inside a word; it is part of the token's text and not of its spelling.
_WORD = rf"[^\W\d]\w*(?:(?:{_SPLICE})+\w+)*"
_TOKEN = re.compile(
    "|".join(
        (
            r"(?P<space>[^\S\n\r]+|\r(?!\n))",
            r'(?P<raw>(?:u8|[uUL])?R"(?P<fence>[^\s()\\"]{0,16})\([\s\S]*?\)(?P=fence)"(?:[^\W\d]\w*)?)',
            rf'(?P<string>(?:u8|[uUL])?"(?:[^"\\\n\r]|\r(?!\n)|\\\r?\n|\\.)*"(?:{_WORD})?)',
            rf"(?P<char>(?:u8|[uUL])?'(?:[^'\\\n\r]|\r(?!\n)|\\\r?\n|\\.)+'(?:{_WORD})?)",
            rf"(?P<identifier>{_WORD})",
            rf"(?P<number>\.?[0-9](?:[eEpP][+-]|'?\w|\.|(?:{_SPLICE})+[\w.])*)",
            r"(?P<newline>\r?\n)",
            rf"(?P<splice>{_SPLICE})",
            r"(?P<comment>//(?:[^\\\n\r]|\r(?!\n)|\\\r?\n|\\)*|/\*[\s\S]*?\*/)",
            r"(?P<punctuator>\.\.\.|<=>|<<=|>>=|->\*|::|->|\.\*|\+\+|--|<<|>>|[<>=!+\-*/%&|^]=|&&|\|\||##|"
            r"[{}()\[\];:?.~!+\-*/%^&|=<>,#])",
            r"(?P<other>[\s\S])",
        )
    )
)
_HEADER = re.compile(r'<[^>\n]+>|"[^"\n]+"')
_SPLICES = re.compile(_SPLICE)
_INCLUDES = frozenset({"include", "include_next", "import"})
_BLANK = frozenset({"space", "newline", "splice", "comment"})


class Token(NamedTuple):
    """One token. `start` and `end` are character offsets (half open), `line` and `column` count from 1.

    `directive` is true for every token of a preprocessor directive, from its `#` to the last token of its last
    continued line; the newline that ends it is not part of it.
    """

    kind: Kind
    text: str
    start: int
    end: int
    line: int
    column: int
    directive: bool

    @property
    def spelling(self) -> str:
        """The text as the compiler reads it: without line splices (which a raw string keeps)."""
        if "\\" not in self.text or (self.kind == "string" and self.text.partition('"')[0].endswith("R")):
            return self.text
        return _SPLICES.sub("", self.text)


def tokenize(text: str) -> list[Token]:
    """Every token of `text`, blanks and comments included: `"".join(t.text for t in tokenize(x)) == x`."""
    return list(_scan(text))


def significant(tokens: Iterable[Token]) -> list[Token]:
    """The tokens that a compiler sees: no white space, line ends, splices or comments."""
    return [token for token in tokens if token.kind not in _BLANK]


def _scan(text: str) -> Iterator[Token]:
    match, make = _TOKEN.match, Token._make
    position, line, line_start = 0, 1, 0
    directive = False
    fresh = True  # nothing but blanks stand before us on this line, so a # begins a directive
    words: list[str] = []  # the first tokens of the directive, to know an #include
    while position < len(text):
        found = _HEADER.match(text, position) if directive and len(words) == 2 and words[1] in _INCLUDES else None
        kind: str | None = "header"
        if found is None:
            found = match(text, position)
            if found is None:  # cannot be: the last alternative takes any character
                raise AssertionError(f"no token at offset {position}")
            kind = found.lastgroup if found.lastgroup != "raw" else "string"
        spelled, end = found.group(), found.end()
        if kind == "newline":
            directive, fresh = False, True
        elif kind not in _BLANK:
            if fresh and spelled == "#":
                directive, words = True, []
            fresh = False
            if directive and len(words) < 3:
                words.append(spelled)
        yield make((kind, spelled, position, end, line, position - line_start + 1, directive))
        breaks = spelled.count("\n")
        if breaks:
            line += breaks
            line_start = position + spelled.rindex("\n") + 1
        position = end
