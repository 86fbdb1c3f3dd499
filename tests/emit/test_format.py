# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from pathlib import Path

import pytest

from porter.emit import format as formatting
from porter.errors import EmitError


def test_white_space_only() -> None:
    before = "namespace a{\nint   f( int x ){return x;}\n}\n"
    after = formatting.format_files({"a.h": before, "b.txt": before})
    assert after["a.h"] == "namespace a {\nint f(int x) {\n  return x;\n}\n} // namespace a\n"
    assert after["b.txt"] == before


def test_includes_are_not_sorted_and_long_strings_not_cut() -> None:
    text = '#include "z.h"\n#include "a.h"\nconst char* s = "' + "word " * 30 + '";\n'
    formatted = formatting.format_files({"a.cpp": text})["a.cpp"]
    assert formatted.index("z.h") < formatted.index("a.h")
    assert "word " * 30 in formatted


def test_a_changed_token_is_an_error() -> None:
    with pytest.raises(EmitError, match=r"x\.h: clang-format changed a token \(expected \.\.\. int a ;"):
        formatting._check_tokens("x.h", "int a;\n", "int b;\n")


def test_what_was_formatted_is_not_formatted_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    first = formatting.format_files({"a.h": "int   a;\n"})
    monkeypatch.setattr(formatting, "_executable", lambda: Path("/nowhere"))
    assert formatting.format_files({"b.h": "int   a;\n"}) == {"b.h": first["a.h"]}


def test_a_damaged_cache_is_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    formatting.format_files({"a.h": "int   a;\n"})
    (kept,) = (tmp_path / "formatted").iterdir()
    kept.write_text(kept.read_text().replace("int a", "int b"))
    assert formatting.format_files({"a.h": "int   a;\n"}) == {"a.h": "int a;\n"}
