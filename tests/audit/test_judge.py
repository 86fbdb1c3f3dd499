# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The decisions of the judge, each by an example in our own words. `CODE` stands for lines that come from MLX."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from porter.audit.judge import DEFAULT_COPYRIGHT, DEFAULT_LICENCE, holder, judge, owed
from porter.audit.model import Lines, Match, Passage, UpstreamFile, Verdict
from porter.audit.notice_words import Grant, grants, licence_text
from porter.audit.tree_licences import TreeLicences

COMPLETE, LACKS_TEXT, MENTION = Verdict.COMPLETE, Verdict.NO_PERMISSION_TEXT, Verdict.MENTION_ONLY
WRONG, NONE = Verdict.WRONG_LICENCE, Verdict.NONE

TAG = "SPDX" + "-License-Identifier:"
OF = "SPDX" + "-FileCopyrightText:"
APPLE = "Copyright (c) 2024 Apple Inc."
CODE = "".join(f"float derived_{n}(float x) {{ return x * {n}; }}\n" for n in range(8))
OWN = "".join(f"int own_{n}(int y) {{ return y + {n}; }}\n" for n in range(12))
BODY = {spdx: licence_text(spdx).partition("[fullname]")[2].strip("\n") for spdx in ("MIT", "BSD-2-Clause")}
HALF = BODY["MIT"].partition("THE SOFTWARE IS")[0]
APACHE_HEAD = "Licensed under the Apache License, Version 2.0; see http://www.apache.org/licenses/LICENSE-2.0"


def text_of(spdx: str, copyright_line: str = "") -> str:
    return f"{copyright_line}\n\n{BODY[spdx]}\n"


def slashes(text: str) -> str:
    return "".join(f"// {line}".rstrip() + "\n" for line in text.strip("\n").split("\n"))


def hashes(text: str) -> str:
    return slashes(text).replace("// ", "# ").replace("//", "#")


def starred(text: str) -> str:
    return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in text.strip("\n").split("\n")) + " */\n"


UPSTREAM = {
    "mit": slashes("Copyright © 2024 Apple Inc.") + CODE,
    "unstated": CODE,
    "bsd": slashes("Copyright © 2023 Apple Inc.")
    + "#pragma once\n"
    + slashes(text_of("BSD-2-Clause", "Copyright (c) 2015 Norbert Juffa"))
    + CODE,
    "apache": slashes(
        f"Copyright © 2025 Apple Inc.\nCopyright © 2008 NVIDIA Corporation\nCopyright © 2013 Filipe Maia\n{APACHE_HEAD}"
    )
    + CODE,
}
ALL_APACHE = "Copyright 2025 Apple Inc.\nCopyright 2008 NVIDIA\nCopyright 2013 Filipe RNC Maia\n"


@dataclass(frozen=True)
class Example:
    """`text` of the file `path` in a tree with `files`: derived from an upstream file with the notice `source`."""

    name: str
    verdict: Verdict
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    source: str = "mit"
    path: str = "src/kernels/port.metal"
    says: str = ""


MIT_APPLE = {"LICENSE": "MIT License\n" + text_of("MIT", "Copyright (c) 2023 Apple Inc.")}
MIT_OTHER = {"LICENSE": "MIT License\n" + text_of("MIT", "Copyright (c) 2020 Somebody Else")}
MIT_BLANK = {"LICENSES/MIT.txt": licence_text("MIT")}
MIT_LINE = slashes(f"{APPLE}\n{TAG} MIT")
FULL = slashes(text_of("MIT", APPLE))
OWN_BSD = slashes(f"{OF} 2024 Somebody\n{TAG} BSD-3-Clause")

EXAMPLES = (
    # complete
    Example("text in the file", COMPLETE, FULL + CODE),
    Example("text in a block comment", COMPLETE, starred(text_of("MIT", APPLE)) + CODE),
    Example("another year", COMPLETE, slashes(text_of("MIT", "Copyright © 2019-2021 Apple")) + CODE),
    Example("after an include guard", COMPLETE, "#ifndef A\n#define A\n" + FULL + CODE + "#endif\n"),
    Example("tag, text in LICENSES", COMPLETE, MIT_LINE + CODE, MIT_BLANK),
    Example("REUSE tag for the holder", COMPLETE, slashes(f"{OF} 2023 Apple Inc.\n{TAG} MIT") + CODE, MIT_BLANK),
    Example(
        "tag, text with the holder elsewhere",
        COMPLETE,
        MIT_LINE + CODE,
        {"third_party/mlx/LICENSE": MIT_APPLE["LICENSE"]},
    ),
    Example(
        "points to a file beside it",
        COMPLETE,
        slashes(f"{APPLE}\nSee Steel.LICENSE.") + CODE,
        {"src/kernels/Steel.LICENSE": MIT_APPLE["LICENSE"]},
    ),
    Example(
        "points to a file in a folder",
        COMPLETE,
        slashes(f"{APPLE}, see licenses/LICENSE-mlx.txt") + CODE,
        {"licenses/LICENSE-mlx.txt": MIT_APPLE["LICENSE"]},
    ),
    Example("at the end of the file", COMPLETE, CODE + OWN + FULL),
    Example("two holders in a line", COMPLETE, slashes(text_of("MIT", f"{APPLE} and Somebody Else")) + CODE),
    Example("a company by its name alone", COMPLETE, slashes(text_of("MIT", "Copyright by Apple, 2023")) + CODE),
    Example("a vendored tree with its LICENSE", COMPLETE, slashes(APPLE) + CODE, MIT_APPLE),
    Example(
        "a section of NOTICE",
        COMPLETE,
        slashes(APPLE) + CODE,
        {"NOTICE": "parts\n" + text_of("BSD-2-Clause", "Copyright 2001 Foo") + MIT_APPLE["LICENSE"]},
    ),
    Example("own and derived under two licences", COMPLETE, OWN_BSD + OWN + FULL + CODE),
    Example(
        "an expression names it",
        COMPLETE,
        slashes(f"{APPLE}\n{OF} 2024 Me\n{TAG} MIT AND BSD-3-Clause") + CODE,
        MIT_BLANK,
    ),
    Example("at the passage", COMPLETE, OWN + FULL + CODE + OWN),
    Example(
        "at the end, says which lines", COMPLETE, OWN + CODE + OWN + slashes(f"Lines 13-20:\n{text_of('MIT', APPLE)}")
    ),
    Example(
        "a marked snippet",
        COMPLETE,
        OWN
        + slashes("SPDX" + f"-SnippetBegin\n{TAG} MIT\nSPDX" + "-SnippetCopyrightText: 2023 Apple Inc.")
        + OWN
        + CODE
        + slashes("SPDX" + "-SnippetEnd"),
        MIT_BLANK,
    ),
    Example("in the string with the source", COMPLETE, OWN + 'auto s = R"x(\n' + FULL + CODE + ')x";\n', path="a.mm"),
    Example("head of the file, source in a string", COMPLETE, FULL + 'auto s = R"(\n' + CODE + ')";\n', path="a.cpp"),
    Example(
        "Python, source in a string",
        COMPLETE,
        hashes(text_of("MIT", APPLE)) + 'S = """\n' + CODE + '"""\n',
        path="k.py",
    ),
    Example(
        "Python, docstring",
        COMPLETE,
        '"""Kernels.\n' + text_of("MIT", APPLE) + '"""\nS = """\n' + CODE + '"""\n',
        path="k.py",
    ),
    Example(
        "a neighbour file",
        COMPLETE,
        CODE,
        {**MIT_BLANK, "src/kernels/port.metal.license": f"{OF} 2023 Apple Inc.\n{TAG} MIT\n"},
    ),
    Example("CRLF", COMPLETE, (FULL + CODE).replace("\n", "\r\n")),
    Example("upstream states nothing, LICENSE above", COMPLETE, CODE, MIT_APPLE, source="unstated"),
    Example("upstream states nothing, notice kept", COMPLETE, FULL + CODE, source="unstated"),
    Example(
        "BSD-2 in the file",
        COMPLETE,
        slashes(APPLE) + slashes(text_of("BSD-2-Clause", "Copyright 2015 N. Juffa")) + CODE,
        source="bsd",
    ),
    Example(
        "Apache, text in the tree",
        COMPLETE,
        slashes(f"{ALL_APACHE}{APACHE_HEAD}\nModified by us.") + CODE,
        {"LICENSES/Apache-2.0.txt": licence_text("Apache-2.0")},
        "apache",
    ),
    Example(
        "Apache, change not stated",
        COMPLETE,
        slashes(ALL_APACHE + APACHE_HEAD) + CODE,
        {"LICENSES/Apache-2.0.txt": licence_text("Apache-2.0")},
        "apache",
        says="4 (b)",
    ),
    # copyright without permission text
    Example("copyright alone", LACKS_TEXT, slashes(APPLE) + CODE),
    Example("tag without text", LACKS_TEXT, MIT_LINE + CODE, says="though the file names it"),
    Example("tag, text of somebody else only", LACKS_TEXT, MIT_LINE + CODE, MIT_OTHER),
    Example("half of the text", LACKS_TEXT, slashes(f"{APPLE}\n\n{HALF}") + CODE),
    Example(
        "the text without its condition",
        LACKS_TEXT,
        slashes(f"{APPLE}\n" + re.sub(r"The above.*?Software\.\n", "", BODY["MIT"], flags=re.S)) + CODE,
    ),
    Example("points to a file that is not there", LACKS_TEXT, slashes(f"{APPLE}\nSee LICENSE.") + CODE),
    Example("LICENSE of somebody else", LACKS_TEXT, slashes(APPLE) + CODE, MIT_OTHER),
    Example("upstream states nothing, copyright alone", LACKS_TEXT, slashes(APPLE) + CODE, source="unstated"),
    Example("Apache, head without the licence", LACKS_TEXT, slashes(ALL_APACHE + APACHE_HEAD) + CODE, source="apache"),
    Example(
        "Apache, one holder of three",
        LACKS_TEXT,
        slashes(f"Copyright 2008 NVIDIA Corporation\n{APACHE_HEAD}") + CODE,
        {"LICENSE": licence_text("Apache-2.0")},
        "apache",
        says="that of Apple Inc., Filipe Maia is not",
    ),
    Example(
        "BSD-2, Apple's line only",
        LACKS_TEXT,
        slashes(f"{APPLE}\n{TAG} BSD-2-Clause") + CODE,
        source="bsd",
        says="Norbert Juffa",
    ),
    Example(
        "parts of many files, one under another licence",
        LACKS_TEXT,
        slashes(APPLE) + CODE + OWN + slashes(text_of("BSD-2-Clause", "Copyright 2015 N. Juffa")) + OWN,
    ),
    # mention only
    Example("adapted from MLX", MENTION, slashes("Adapted from MLX.") + CODE, says="mentioned"),
    Example("an address", MENTION, slashes("from https://github.com/ml-explore/mlx/tree/main") + CODE),
    Example("Apple's MLX", MENTION, OWN + slashes("as in Apple's mlx") + CODE),
    Example("mention and the tag, no copyright", MENTION, slashes(f"from MLX\n{TAG} MIT") + CODE, MIT_APPLE),
    Example("copyright of nobody who holds it", MENTION, slashes("Copyright 2024 MLX port authors") + CODE),
    Example("a notice about other lines", MENTION, OWN + FULL + OWN + OWN + CODE, says="which lines"),
    Example("says other lines", MENTION, OWN + slashes("Lines 1-2: " + APPLE) + OWN + CODE, says="which lines"),
    # wrong licence named
    Example("somebody's BSD-3-Clause", WRONG, OWN_BSD + CODE, says="BSD-3-Clause"),
    Example("Apache head", WRONG, slashes(f"Copyright 2024 Somebody\n{APACHE_HEAD}") + CODE),
    Example(
        "Apple's copyright under the GPL", WRONG, slashes(f"{APPLE}\nGNU General Public License, version 3") + CODE
    ),
    Example("all rights reserved", WRONG, slashes(f"{APPLE} All rights reserved.") + CODE),
    Example("mention under another licence", WRONG, OWN_BSD + slashes("Taken from MLX.") + CODE, MIT_APPLE),
    Example(
        "points to another licence",
        WRONG,
        slashes(f"{APPLE}\nSee LICENSE.") + CODE,
        {"LICENSE": licence_text("Apache-2.0")},
    ),
    Example("MIT for what is BSD-2", WRONG, slashes(text_of("MIT", APPLE)) + CODE, source="bsd"),
    Example("MIT for what is Apache", WRONG, MIT_LINE + CODE, MIT_APPLE, source="apache", says="Apache-2.0"),
    Example("confidential", WRONG, slashes("Somebody Ltd, confidential and proprietary") + CODE),
    # none
    Example("no words at all", NONE, CODE),
    Example("a LICENSE above does not make up for a notice taken off", NONE, CODE, MIT_APPLE),
    Example("somebody's copyright", NONE, slashes("Copyright 2024 Somebody Else") + CODE),
    Example(
        "somebody's code for Apple's machines",
        NONE,
        slashes(text_of("MIT", "Copyright 2024 Somebody Else. For Apple silicon.")) + CODE,
    ),
    Example(
        "Apple's GPUs hold no copyright", NONE, slashes("Copyright 2024 Somebody Else, Apple GPUs") + CODE, MIT_BLANK
    ),
    Example("written for Apple", NONE, slashes(text_of("MIT", "Copyright 2024 Somebody Else for Apple Inc.")) + CODE),
    Example("another company", NONE, slashes(text_of("MIT", "Copyright 2024 Apple Records")) + CODE),
    Example("somebody's MIT", NONE, slashes(f"Copyright 2024 Somebody Else\n{TAG} MIT") + CODE, MIT_BLANK),
    Example("mlx in code is no word", NONE, '#include "mlx/own.h"\nint mlx = 1;\n' + CODE),
    Example("a message is no notice", NONE, 'auto s = "Copyright (c) 2024 Apple Inc.";\n' + CODE),
)


def upstream_file(source: str) -> UpstreamFile:
    text = UPSTREAM[source]
    return UpstreamFile("mlx/own.h", hashlib.sha256(text.encode()).hexdigest(), ("v1",), text)


def match_of(path: str, text: str) -> Match:
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if line.startswith("float derived_")]
    passage = Passage(Lines(lines[0], lines[-1]), Lines(2, 9), 80, True)
    return Match(path, "mlx/own.h", "0" * 64, (passage,), 0.5, ("v1",))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_judge(example: Example) -> None:
    tree = TreeLicences.from_texts({**example.files, example.path: example.text})
    match = match_of(example.path, example.text)
    found = judge(tree, example.path, example.text, match, upstream_file(example.source))
    assert found.verdict is example.verdict, found
    assert example.says in found.reason
    texts = {**example.files, example.path: example.text}
    for path, line in found.found:
        said = " ".join(texts[path].split("\n")[line - 1 : line + 1])
        assert re.search(r"copyright|©|licen|mit|mlx|permi|reserved|confid|redistri|terms", said, re.I), (path, line)
    assert found.found or example.verdict is NONE or example.source == "unstated"


def test_a_permission_text_with_other_words_is_none() -> None:
    """One changed phrase takes away what the text grants."""
    text = slashes(text_of("MIT", APPLE).replace("without restriction", "for non-commercial use only")) + CODE
    assert "non-commercial" in text
    tree = TreeLicences.from_texts({"a.h": text})
    assert judge(tree, "a.h", text, match_of("a.h", text), upstream_file("mit")).verdict is LACKS_TEXT


def test_enough_examples_of_each_verdict() -> None:
    counts = {verdict: sum(one.verdict is verdict for one in EXAMPLES) for verdict in Verdict}
    assert min(counts.values()) >= 6
    assert len({one.name for one in EXAMPLES}) == len(EXAMPLES) >= 40


def test_every_word_is_reported_with_its_place() -> None:
    text = OWN + slashes(f"From MLX.\n{APPLE}\n{TAG} MIT") + CODE
    tree = TreeLicences.from_texts({"LICENSES/MIT.txt": licence_text("MIT")})
    found = judge(tree, "a.h", text, match_of("a.h", text), upstream_file("mit")).found
    assert found == (("LICENSES/MIT.txt", 5), ("a.h", 13), ("a.h", 14), ("a.h", 15))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Copyright © 2023-2024 Apple Inc.", "apple"),
        ("Copyright @ 2023 - 2024 Apple Inc.", "apple"),
        ("Copyright © 2024-25 Apple Inc.", "apple"),
        ("Copyright © 2008-2013 NVIDIA Corporation", "nvidia"),
        ("Copyright (c) 2015-2023 Norbert Juffa", "juffa"),
        ("Copyright © 2013 Filipe RNC Maia", "maia"),
        ("Copyright (c) 2001, 2002 Two Words, Ltd.", "two words"),
    ],
)
def test_holder(line, word) -> None:
    assert holder(line) == word


def test_what_the_pinned_files_owe(sources) -> None:
    due = {path.rpartition("/")[2]: owed(UpstreamFile(path, "", (), file.text)) for path, file in sources.files.items()}
    assert due["cexpf.h"].licences == ("Apache-2.0",)
    assert due["cexpf.h"].holders == ("apple", "nvidia", "maia")
    assert (due["expm1f.h"].licences, due["expm1f.h"].holders) == (("BSD-2-Clause",), ("apple", "juffa"))
    assert due["fp4.h"].of_repository
    assert {one.licences for name, one in due.items() if name not in ("cexpf.h", "expm1f.h", "LICENSE")} == {("MIT",)}
    licence = sources.files["LICENSE"].text
    assert grants(list(enumerate(licence.split("\n"), 1))) == (Grant(DEFAULT_LICENCE, 5, ((3, DEFAULT_COPYRIGHT),)),)


def test_upstreams_own_tree_is_complete(mlx_git: str) -> None:
    """MLX's files say whose they are and its LICENSE stands above: as published, nothing is missing but the text of
    Apache-2.0, which cexpf.h names and ACKNOWLEDGMENTS.md has."""
    git = ["git", f"--git-dir={mlx_git}"]
    listed = subprocess.run(
        [*git, "ls-tree", "-r", "--name-only", "v0.30.1"], capture_output=True, text=True, check=True
    )
    wanted = [p for p in listed.stdout.split() if "metal/kernels/" in p and p.endswith((".h", ".metal"))]
    files = [*wanted, "LICENSE", "ACKNOWLEDGMENTS.md"]
    texts = {path: _show(git, path) for path in files}
    tree = TreeLicences.from_texts(texts)
    verdicts = {}
    for path in wanted:
        whole = Lines(1, max(1, texts[path].count("\n")))
        match = Match(path, path, "0" * 64, (Passage(whole, whole, 9, True),), 1.0, ("v0.30.1",))
        verdicts[path] = judge(tree, path, texts[path], match, UpstreamFile(path, "", (), texts[path]))
    assert {path: one for path, one in verdicts.items() if one.verdict is not COMPLETE} == {}
    assert len(verdicts) > 100


def _show(git: list[str], path: str) -> str:
    return subprocess.run([*git, "show", f"v0.30.1:{path}"], capture_output=True, text=True, check=True).stdout
