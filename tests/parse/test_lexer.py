# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The tokenizer loses nothing, and cuts where C++ cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.model import Sources
from porter.parse.lexer import significant, tokenize


def check_exact(text: str) -> None:
    """Offsets, lines and columns, each derived from the text alone."""
    tokens = tokenize(text)
    assert "".join(token.text for token in tokens) == text
    at = 0
    for token in tokens:
        assert (token.start, token.end) == (at, at + len(token.text))
        assert token.end > token.start
        assert token.line == text.count("\n", 0, at) + 1
        assert token.column == at - (text.rfind("\n", 0, at) + 1) + 1
        at = token.end


PIECES = [
    "a",
    "1",
    " ",
    "\n",
    "\\\n",
    "\\",
    '"',
    "'",
    "/*",
    "*/",
    "//",
    "#",
    "include",
    "<",
    ">",
    "(",
    ")",
    "R",
    "é",
    ".",
    "\r",
    "e+",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_mixture_of_awkward_pieces_is_kept(text: str) -> None:
    check_exact(text)


@given(st.text(max_size=60))
def test_any_text_is_kept(text: str) -> None:
    check_exact(text)


def test_every_header_of_upstream_is_kept(sources: Sources) -> None:
    headers = [file for path, file in sources.files.items() if path.endswith(".h")]
    assert len(headers) > 80
    for file in headers:
        tokens = tokenize(file.text)
        assert "".join(token.text for token in tokens) == file.text
        assert not [token for token in tokens if token.kind == "other"]


def test_every_file_of_the_full_source_is_kept(full_sources: Sources) -> None:
    for path, file in full_sources.files.items():
        assert "".join(token.text for token in tokenize(file.text)) == file.text, path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a+=b1", [("identifier", "a"), ("punctuator", "+="), ("identifier", "b1")]),
        ("x->*y<<=2", ["x", "->*", "y", "<<=", "2"]),
        ("a...b<=>c", ["a", "...", "b", "<=>", "c"]),
        ("::f<a>>1", ["::", "f", "<", "a", ">>", "1"]),
        ("[[buffer(0)]]", ["[", "[", "buffer", "(", "0", ")", "]", "]"]),
        ("1ul 0x1.8p-3f 1'000 .5e+2 1..2", [("number", n) for n in ("1ul", "0x1.8p-3f", "1'000", ".5e+2", "1..2")]),
        ("1-2e", ["1", "-", "2e"]),
        (r'"a\"b" u8"c" L"d"_x', [("string", r'"a\"b"'), ("string", 'u8"c"'), ("string", 'L"d"_x')]),
        (r"'a' '\'' u'b'", [("char", "'a'"), ("char", r"'\''"), ("char", "u'b'")]),
        ('R"(a)" b)"c"', [("string", 'R"(a)"'), ("identifier", "b"), ("punctuator", ")"), ("string", '"c"')]),
        ('uR"x(\n")" \\\n)x"', [("string", 'uR"x(\n")" \\\n)x"')]),
        ("a/*b*/c//d\ne", ["a", "c", "e"]),
        ("// one \\\n still one\ntwo", ["two"]),
        (
            "#error don't",
            [("punctuator", "#"), ("identifier", "error"), ("identifier", "don"), ("other", "'"), ("identifier", "t")],
        ),
        ("/* never ends", [("punctuator", "/"), ("punctuator", "*"), ("identifier", "never"), ("identifier", "ends")]),
        ("#include <a/b-c.h> // x", [("punctuator", "#"), ("identifier", "include"), ("header", "<a/b-c.h>")]),
        ('#  include "a//b.h"', [("punctuator", "#"), ("identifier", "include"), ("header", '"a//b.h"')]),
        ("include <a>", ["include", "<", "a", ">"]),
        ("#define include <a>", ["#", "define", "include", "<", "a", ">"]),
        ("naïve", [("identifier", "naïve")]),
    ],
)
def test_tokens(text: str, expected: list) -> None:
    found = significant(tokenize(text))
    if expected and isinstance(expected[0], str):
        assert [token.text for token in found] == expected
    else:
        assert [(token.kind, token.text) for token in found] == expected


def test_a_raw_string_may_hold_its_fence_half() -> None:
    (token,) = tokenize('R"x(")")x"')
    assert token.kind == "string"


def test_directives_reach_over_continued_lines_and_no_further() -> None:
    text = "a\n  # define F(x) \\\n  x + 1 // c\nb # c\n/* d */ #pragma e\n#"
    inside = [token.text for token in significant(tokenize(text)) if token.directive]
    assert inside == ["#", "define", "F", "(", "x", ")", "x", "+", "1", "#", "pragma", "e", "#"]


def test_a_comment_over_lines_keeps_its_directive() -> None:
    inside = [token.text for token in significant(tokenize("#define A /* one\n two */ b\nc")) if token.directive]
    assert inside == ["#", "define", "A", "b"]


def test_a_splice_inside_a_word_is_not_part_of_its_spelling() -> None:
    first, blank, second = tokenize("swi\\\nzzle 12\\\r\n34")
    assert (first.kind, first.spelling) == ("identifier", "swizzle")
    assert (second.kind, second.spelling, second.line) == ("number", "1234", 2)
    assert blank.kind == "space"


def test_a_splice_in_a_raw_string_is_part_of_it() -> None:
    (token,) = tokenize('R"(a\\\nb)"')
    assert token.spelling == 'R"(a\\\nb)"'
