# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Includes and macros as they are written."""

import pytest

from porter.errors import ParseError
from porter.model import Include, Location, Macro
from porter.parse.directives import read_includes, read_macros, resolve
from porter.parse.lexer import tokenize


def test_includes_with_their_places() -> None:
    text = '#include <metal_stdlib>\n// #include "no.h"\nint x;\n  #  include "a/b.h" // why\n#include MACRO\n'
    assert read_includes("f.h", tokenize(text)) == (
        Include("metal_stdlib", True, Location("f.h", 1, 1)),
        Include("a/b.h", False, Location("f.h", 4, 3)),
    )


@pytest.mark.parametrize(
    ("text", "name", "parameters", "body"),
    [
        ("#define ON", "ON", None, ""),
        ("#define N 4 // four", "N", None, "4"),
        ("#define F(a, b) a##b", "F", ("a", "b"), "a##b"),
        ("#define F() g()", "F", (), "g()"),
        ("#define PAIR (1, 2)", "PAIR", None, "(1, 2)"),
        ("#define V(x, ...) x \\\n   + __VA_ARGS__ \\\n /* end */ ;", "V", ("x", "..."), "x + __VA_ARGS__ ;"),
        ("  #  define \\\n  LATE 1", "LATE", None, "1"),
        ('#define S "a  b"', "S", None, '"a  b"'),
    ],
)
def test_a_macro(text: str, name: str, parameters: tuple[str, ...] | None, body: str) -> None:
    (macro,) = read_macros("f.h", tokenize(f"\n{text}\nint after;\n"))
    assert (macro.name, macro.parameters, macro.body) == (name, parameters, body)
    assert macro.location.line == 2


def test_undef_and_conditions_are_no_macros() -> None:
    text = "#undef A\n#ifdef B\n#define C 1\n#else\n#define C 2\n#endif\n"
    found = read_macros("f.h", tokenize(text))
    assert found == (Macro("C", None, "1", Location("f.h", 3, 1)), Macro("C", None, "2", Location("f.h", 5, 1)))


def test_a_parameter_list_that_does_not_end() -> None:
    with pytest.raises(ParseError, match=r"f\.h:1: the macro's parameter list does not end"):
        read_macros("f.h", tokenize("#define F(a\nint x;"))


@pytest.mark.parametrize(
    ("path", "angled", "expected"),
    [
        ("b.h", False, "d/b.h"),
        ("../b.h", False, "b.h"),
        ("d/c.h", False, "d/c.h"),
        ("d/c.h", True, "d/c.h"),
        ("b.h", True, "b.h"),
        ("gone.h", False, None),
        ("../../etc/b.h", False, None),
    ],
)
def test_an_include_is_looked_for_beside_the_file_and_then_from_the_root(
    path: str, angled: bool, expected: str | None
) -> None:
    files = {"b.h": 1, "d/b.h": 1, "d/c.h": 1}
    assert resolve(Include(path, angled, Location("d/a.h", 1)), files) == expected
