# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Licences, notices and provenance of an overlay: computed from its files, and refused where they are not settled."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from porter.emit.licences import flattened_heading, licence_files
from porter.emit.provenance import own_lines, ranges
from porter.errors import EmitError, SpecError
from porter.model import Corpus, Edit, Location, Notice, Port, PortedFile, Sources, sha256
from porter.parse.lexer import tokenize
from porter.parse.notices import comment_runs, named_origins, read_licence, read_notice, recognise
from porter.port import origins
from porter.port.notice import COPYRIGHT_TAG, LICENCE_TAG, header_comment, read_heading
from porter.port.origins import Decision, joined, load_decisions, settle
from tests.conftest import REVISION
from tests.emit.conftest import LICENSE, K, sources_of

PATH = K + "theirs.h"
TEXT = """// Copyright 1999 Somebody
// Licensed under the Apache License, Version 2.0: see there.

// About the code.
#pragma once
int x; // no statement
"""
NAMING = "// Copyright 2001 Somebody\n\n// Adapted from\n//   https://example.org/a\nint y;\n"
NOTICE = Notice(("Copyright 1999 Somebody",), "Apache-2.0", True, Location(PATH, 1))
PLAIN = Notice(("Copyright 2001 Somebody",), "MIT", False, Location(PATH, 1))


def decision(naming: str, **fields: object) -> Decision:
    says = tuple(origin.digest for origin in named_origins(naming))
    values = {
        "file": PATH, "says": says, "kind": "derived", "origin": "A page", "address": "https://example.org/a",
        "licence": "BSD-3-Clause", "copyright": ("Copyright 1990 A",), "text": "BSD-3-Clause", "reason": "It says so.",
        "decided_by": "Us", "date": "2026-01-01", "lawyer": False, "line": 1,
    }  # fmt: skip
    return Decision(**{**values, **fields})  # type: ignore[arg-type]


def made(text: str, notice: Notice, edits: tuple[Edit, ...] = ()) -> dict[str, str]:
    sources = sources_of({"LICENSE": LICENSE, PATH: text})
    corpus = Corpus(sources.pin, (PATH,), (), (), {PATH: notice}, (), (), (), ())
    ported, at = "", 0
    for edit in edits:
        ported, at = ported + text[at : edit.start] + edit.replacement, edit.end
    ported += text[at:]
    port = Port(corpus, (PortedFile(PATH, "a/MlxTheirs.h", ported, edits, notice),))
    return licence_files(port, sources, "kernels", {"pytorch/a/MlxTheirs.h": ported})


def test_another_licence_has_a_file_of_its_own() -> None:
    files = made(TEXT, NOTICE)
    text = files["kernels/Steel.LICENSE-Apache-2.0"]
    assert "MlxTheirs.h, ported from mlx/backend/metal/kernels/theirs.h" in text
    assert "\n// Copyright 1999 Somebody\n// Licensed under the Apache License, Version 2.0: see there.\n" in text
    assert "About the code" not in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "Permission is hereby granted" in files["kernels/Steel.LICENSE"]


def test_licences_and_expression_are_those_of_the_files() -> None:
    files = made(TEXT, NOTICE)
    texts = sorted(path for path in files if path.startswith("LICENSES/"))
    assert texts == ["LICENSES/Apache-2.0.txt", "LICENSES/BSD-3-Clause.txt", "LICENSES/MIT.txt"]
    assert "License-Expression: BSD-3-Clause AND MIT AND Apache-2.0\n" in files["NOTICE"]
    alone = made("int x;\n", PLAIN)
    assert "License-Expression: BSD-3-Clause AND MIT\n" in alone["NOTICE"]
    assert sorted(path for path in alone if "LICENSE" in path) == [
        "LICENSES/BSD-3-Clause.txt", "LICENSES/MIT.txt", "kernels/Steel.LICENSE",
    ]  # fmt: skip


def test_an_undecided_origin_is_refused() -> None:
    with pytest.raises(EmitError, match=r"theirs\.h:3: needs a person: .*'Adapted from'") as caught:
        made(NAMING, PLAIN)
    assert named_origins(NAMING)[0].digest in str(caught.value)
    assert "specs/licences.yaml" in str(caught.value)


def test_a_decision_settles_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "decisions", lambda: (decision(NAMING),))
    files = made(NAMING, PLAIN)
    text = files["kernels/Steel.LICENSE-MIT-AND-BSD-3-Clause"]
    assert "// Adapted from\n//   https://example.org/a\n" in text
    assert "no lawyer has looked at it" in text
    assert "Neither the name of" in text
    assert "Copyright 1990 A" in files["NOTICE"]
    heading = header_comment(PATH, NAMING, PLAIN, "0" * 40)
    copyrights, licence = read_heading(heading)
    assert (copyrights, licence) == (("Copyright 2001 Somebody", "Copyright 1990 A"), "MIT AND BSD-3-Clause")
    assert "in Steel.LICENSE-MIT-AND-BSD-3-Clause.\n" in heading


def test_a_decision_is_about_the_words_it_was_made_of() -> None:
    decided = (decision(NAMING),)
    reflowed = NAMING.replace("Adapted from\n//   https", "Adapted\n// from https")
    assert not settle(PATH, reflowed, PLAIN, decided).undecided
    assert settle(PATH, NAMING.replace("org/a", "org/b"), PLAIN, decided).undecided
    assert settle(K + "other.h", NAMING, PLAIN, decided).undecided


def test_a_reference_changes_no_licence() -> None:
    decided = (decision(NAMING, kind="reference", licence="", copyright=(), text=""),)
    assert settle(PATH, NAMING, PLAIN, decided).notice == PLAIN


def test_a_notice_that_a_rule_takes_away_is_an_error() -> None:
    with pytest.raises(EmitError, match=r"theirs\.h:1: a rule took away a notice"):
        made(TEXT, NOTICE, (Edit(0, TEXT.index("\n") + 1, "", "careless"),))


def test_a_licence_without_a_text_is_an_error() -> None:
    with pytest.raises(EmitError, match="the text of Zlib is not at hand"):
        made("int x;\n", dataclasses.replace(NOTICE, spdx="Zlib"))


def test_provenance_says_of_each_line_whose_it_is() -> None:
    edits = (Edit(0, 0, "// ours\n", "notice"), Edit(TEXT.index("x;"), TEXT.index("x;") + 1, "y", "names"))
    data = json.loads(made(TEXT, NOTICE, edits)["provenance/MlxTheirs.h.json"])
    assert data["from"]["sha256"] == sha256(TEXT.encode())
    assert data["from"]["lines"] == "1-6"
    assert data["lines of this file written by steel-port"] == "1"
    assert data["lines of this file changed by steel-port"] == "7"
    assert data["rules, and the upstream lines that they changed"] == {"notice": "1", "names": "6"}


def test_own_lines_refuse_a_port_that_is_none() -> None:
    with pytest.raises(EmitError, match="white space"):
        own_lines("int x;\n", (), "int x;\n", "long x;;\n", "f.h")
    with pytest.raises(EmitError, match="with its edits"):
        own_lines("int x;\n", (), "int xy;\n", "int xy;\n", "f.h")


def test_ranges_and_expressions() -> None:
    assert ranges([3, 1, 2, 7, 7]) == "1-3, 7"
    assert joined(["MIT", "", "BSD-3-Clause AND MIT"]) == "MIT AND BSD-3-Clause"


def test_a_string_of_headers_is_under_what_they_are_under() -> None:
    head = f"// {COPYRIGHT_TAG} Copyright 1 A\n// {LICENCE_TAG} MIT AND Zlib\n"
    copyrights, licence = read_heading(flattened_heading([head, head.replace("MIT AND Zlib", "MIT")], "0" * 40))
    assert copyrights == ("2026 The steel-port authors", "Copyright 1 A")
    assert licence == "BSD-3-Clause AND MIT AND Zlib"


def test_the_heading_of_kernels_that_were_strings() -> None:
    heading = header_comment(K + "jit/forms_requests.h", "int x;\n", PLAIN, "0" * 40)
    assert "mlx/backend/metal/jit/forms.h, its strings, written out" in heading


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    decided_by: The steel-port authors\n", "", "'decided_by' is a required property"),
        ("    licence: CC-BY-SA-4.0\n", "", "'licence' is a required property"),
        ("    lawyer: false\n", "    lawyer: maybe\n", "is not of type 'boolean'"),
    ],
)
def test_a_wrong_decision_names_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (origins.specs_dir() / origins.SPEC).read_text()
    assert old in text
    (tmp_path / origins.SPEC).write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        load_decisions(tmp_path / origins.SPEC)
    assert (caught.value.where or "").startswith("specs/licences.yaml:")


def test_every_decision_has_its_texts() -> None:
    folder = Path(origins.__file__).parents[1] / "emit" / "licences"
    for one in origins.decisions():
        for name in filter(None, (one.text, *one.licence.split(" AND "))):
            assert (folder / f"LICENSE-{name}.txt").is_file(), name


@pytest.fixture(scope="module")
def full_sources(mlx_git: str, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """MLX's full source, from a clone."""
    from porter.upstream import obtain

    return obtain(REVISION, mlx_git, "git", tmp_path_factory.mktemp("git") / "upstream_mlx")[0]


def settled_all(sources: Sources) -> dict[str, origins.Settled]:
    licence = read_licence("LICENSE", sources.files["LICENSE"].text)
    kernels = {path: file.text for path, file in sources.files.items() if path.startswith(K)}
    return {
        path: settle(path, text, read_notice(path, tokenize(text), licence))
        for path, text in kernels.items()
        if path.endswith((".h", ".metal"))
    }


EXPECTED = {
    "cexpf.h": "Apache-2.0 AND BSD-2-Clause",
    "expm1f.h": "BSD-2-Clause",
    "sort.h": "MIT AND BSD-3-Clause",
    "erf.h": "MIT AND CC-BY-SA-4.0",
    "fp8.h": "MIT AND BSD-3-Clause",
}


def test_every_header_of_upstream_is_settled(sources: Sources) -> None:
    settled = settled_all(sources)
    assert len(settled) > 60
    assert not [path for path, one in settled.items() if one.undecided]
    assert {
        path.removeprefix(K): one.notice.spdx for path, one in settled.items() if one.notice.spdx != "MIT"
    } == EXPECTED


def test_the_decisions_were_seen_where_they_say(full_sources: Sources) -> None:
    """Every kernel file at the pin; each decision is of a comment that is there, or of a later release."""
    settled = settled_all(full_sources)
    assert len(settled) > 110
    assert not [path for path, one in settled.items() if one.undecided]
    used = {one for file in settled.values() for one in file.decisions}
    assert used == set(origins.decisions())


def test_every_release_is_settled(mlx_git: str) -> None:
    """All kernel files of all releases that steel-port knows by name, straight from a clone."""

    def git(*arguments: str) -> str:
        command = ["git", "--git-dir", mlx_git, *arguments]
        if not (Path(mlx_git) / "HEAD").is_file():
            command = ["git", "-C", mlx_git, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    from porter.upstream.resolve import load_releases

    seen: dict[str, bool] = {}
    for release in load_releases().releases:
        for row in git("ls-tree", "-r", release.sha, K).splitlines():
            blob, path = row.split()[2], row.partition("\t")[2]
            if blob not in seen and path.endswith((".h", ".metal")):
                text = git("cat-file", "blob", blob)
                seen[blob] = bool(settle(path, text, PLAIN).undecided)
                assert not seen[blob], f"{release.tag} {path}"
    assert len(seen) > 200


def test_upstream_notices_stand_verbatim_in_each_port(root: Path, sources: Sources) -> None:
    """Every comment that states copyright, a licence or an origin, in the file as it was formatted and written."""
    compared = 0
    for record in (root / "generated" / "provenance").glob("*.json"):
        data = json.loads(record.read_text())
        upstream = sources.files[data["from"].get("strings written out as", data["from"]["path"])].text
        port = (root / "generated" / data["file"]).read_text()
        at_origin = {origin.first for origin in named_origins(upstream)}
        for run in comment_runs(tokenize(upstream)):
            said = "\n".join(token.text for token in run)
            if recognise(said) or "opyright" in said or run[0].line in at_origin:
                for token in run:
                    assert token.text in port, data["file"]
                    compared += 1
    assert compared > 80


def test_the_overlay_is_reuse_compliant(root: Path) -> None:
    """The reuse tool finds copyright and licence of every file, and no text too few or too many."""
    done = subprocess.run(
        [sys.executable, "-m", "reuse", "--root", str(root / "generated"), "lint", "--json"],
        capture_output=True,
        check=False,
    )
    found = json.loads(done.stdout)
    assert done.returncode == 0, found["non_compliant"]
    assert found["summary"]["files_total"] > 200
    texts = {path.stem for path in (root / "generated" / "LICENSES").iterdir()}
    assert set(found["summary"]["used_licenses"]) == texts
    assert (
        f"License-Expression: {joined(['BSD-3-Clause', 'MIT', *sorted(EXPECTED.values())])}\n"
        in (root / "generated" / "NOTICE").read_text()
    )
