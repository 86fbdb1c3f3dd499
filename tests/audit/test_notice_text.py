# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the words of notices say, and which files of a tree hold licences."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from porter.audit.notice_text import remarks
from porter.audit.notice_words import NAMINGS, copyrights, file_names, grants, licence_text, named
from porter.audit.tree_licences import TreeLicences, is_licence_file
from porter.errors import SteelPortError

SOURCE = "int a;\nint b;\nint c;\n"


@pytest.mark.parametrize("naming", NAMINGS, ids=lambda one: one.example)
def test_naming(naming) -> None:
    assert naming.spdx in named([(1, naming.example)])


def test_copyright_lines() -> None:
    lines = [
        "Copyright (c) 2023",
        "Apple Inc.",
        "the above copyright notice",
        "© 2020 Me",
        "Copyright [year] [fullname]",
    ]
    assert list(copyrights(list(enumerate(lines, 1)))) == [(1, "Copyright (c) 2023 Apple Inc."), (4, "© 2020 Me")]


@pytest.mark.parametrize("spdx", ["MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"])
def test_a_whole_text_is_recognised_and_a_cut_one_is_not(spdx) -> None:
    lines = list(enumerate(licence_text(spdx).split("\n"), start=1))
    assert [grant.spdx for grant in grants(lines)] == [spdx]
    assert grants(lines[: len(lines) // 2]) == ()


def test_each_text_of_a_collection_has_its_own_holders() -> None:
    text = "".join(
        f"{line}\n{licence_text(spdx).partition('[fullname]')[2]}"
        for spdx, line in (("BSD-2-Clause", "Copyright 2001 Foo"), ("MIT", "Copyright 2002 Bar"))
    )
    found = grants(list(enumerate(text.split("\n"), start=1)))
    assert [(one.spdx, [words for _, words in one.copyrights]) for one in found] == [
        ("BSD-2-Clause", ["Copyright 2001 Foo"]),
        ("MIT", ["Copyright 2002 Bar"]),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("LICENSE", True),
        ("a/LICENCE.md", True),
        ("COPYING.LESSER", True),
        ("third_party/x/LICENSE-MIT", True),
        ("ThirdPartyNotices.txt", True),
        ("ACKNOWLEDGMENTS.md", True),
        ("LICENSES/LicenseRef-own.txt", True),
        ("k/Steel.LICENSE", True),
        ("k/Steel.LICENSE-Apache-2.0", True),
        ("k.metal.license", True),
        ("porter/emit/licences.py", False),
        ("src/notice.h", False),
        ("README.md", False),
    ],
)
def test_licence_files(path, expected) -> None:
    assert is_licence_file(path) is expected


def test_a_tree_is_read_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "tree/LICENSES").mkdir(parents=True)
    (tmp_path / "tree/LICENSES/MIT.txt").write_text(licence_text("MIT"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/LICENSE").write_text(licence_text("MIT"))
    (tmp_path / "tree/linked").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/loop").symlink_to(tmp_path / "tree")
    (tmp_path / "tree/LICENSE").symlink_to(tmp_path / "outside/LICENSE")
    tree = TreeLicences.read(tmp_path / "tree")
    assert tree.paths == ("LICENSES/MIT.txt",)
    assert [grant.spdx for file in tree.above("a/b.h") for grant in file.grants] == ["MIT"]


def test_a_licence_file_in_utf16_is_read_by_its_mark(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_bytes(licence_text("MIT").encode("utf-16"))
    assert [one.spdx for one in TreeLicences.read(tmp_path).file("LICENSE").grants] == ["MIT"]


def test_of_a_single_file_only_what_stands_beside_it_is_read(tmp_path: Path) -> None:
    for place in ("", "deep", "LICENSES"):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "LICENSE").write_text(licence_text("MIT"))
    (tmp_path / "a.h").write_text(SOURCE)
    assert TreeLicences.read(tmp_path / "a.h").paths == ("LICENSE", "LICENSES/LICENSE")


def test_remarks_of_a_string_in_a_string_and_of_broken_code() -> None:
    inner = "// inner\nint a;\nint b;\nint c;\n"
    found = remarks("a.py", f'# outer\nS = """\n{inner}"""\n')
    assert [(one.lines, one.at_head, one.within is None) for one in found] == [
        (((1, "outer"),), True, True),
        (((3, "inner"),), True, False),
    ]
    assert [one.lines for one in remarks("a.h", 'int a = "open;\n/* open\nlast')] == [((2, "open"), (3, "last"))]


def test_an_unknown_licence_text_is_an_error() -> None:
    with pytest.raises(SteelPortError, match="not at hand"):
        licence_text("Nobody-1.0")


HOSTILE = {
    "open raw strings": 'R"(\n' * 100_000,
    "open comments": "/*\n" * 100_000,
    "one line": "// " + "a-" * 500_000,
    "copyrights in one line": "// " + "copyright " * 100_000,
    "numbers": "// lines " + "1, " * 200_000,
    "quotes": "\"'`\n" * 100_000,
    "spaces": "//" + " " * 1_000_000 + "x",
    "brackets": "([{<" * 200_000,
    "directives": "#define A /\\\n" * 100_000,
    "NUL and bidi": "// \0\u202e\u2066\n" * 100_000,
}


@pytest.mark.parametrize("path", ["a.metal", "a.py", "a.unknown"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_in_the_time_that_its_size_asks_for(path: str, name: str) -> None:
    """Seconds of processor time for at most 1 MB: what is quadratic in it takes minutes."""
    started = time.process_time()
    for one in remarks(path, HOSTILE[name]):
        named(one.lines), grants(one.lines), list(copyrights(one.lines)), list(file_names(one.lines))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int n = 1'000'000; // one\n", ["one"]),
        ('#include "a.h" // two\n', ["two"]),
        ("#define A 'x' /* three */\nint b;\n", ["three"]),
        ('auto s = "// no"; /* four */\n', ["four"]),
        ("char c = '\\''; // five\n", ["five"]),
        ('auto s = R"x(a)" // no\n)x"; // six\n', ["six"]),
        ("char *s = `// no\n`; // more\nint it's; // than one\n", ["more", "than one"]),
        ("// seven \\\n eight\nint a;\n", ["seven \\", "eight"]),
        ("int a; // nine", ["nine"]),
        ("/* ten\n * eleven\n */\n", ["ten", "eleven", ""]),
    ],
)
def test_comments_of_cpp(text: str, said: list[str]) -> None:
    assert [words for one in remarks("a.metal", text) for _, words in one.lines] == said
