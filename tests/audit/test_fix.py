# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Writing missing notices: what is written, what stays, and what is refused. `CODE` stands for derived lines."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from porter.audit.fix import Fixes, FixRefused, apply_fixes, missing_notice
from porter.audit.judge import judge
from porter.audit.model import Finding, Lines, Match, NoticeJudgement, Passage, UpstreamFile, Verdict
from porter.audit.notice_words import licence_text
from porter.audit.notice_writing import NoComment, insert
from porter.audit.tree_licences import TreeLicences

COPYRIGHT = "Copyright © 2024 Apple Inc."
CODE = "".join(f"float derived_{n}(float x) {{ return x * {n}; }}\n" for n in range(8))
OWN = "int own;\n"
TAG = "SPDX" + "-License-Identifier:"


def upstream_file(
    text: str = f"// {COPYRIGHT}\n\n{CODE}", path: str = "mlx/backend/metal/kernels/own.h"
) -> UpstreamFile:
    return UpstreamFile(path, hashlib.sha256(text.encode()).hexdigest(), ("v0.30.1",), text)


def finding(path: str, text: str, upstream: UpstreamFile, *, identical: bool = False) -> Finding:
    lines = [at for at, line in enumerate(re.split("\r\n|\n|\r", text), 1) if "derived_" in line]
    passage = Passage(Lines(lines[0], lines[-1]), Lines(3, 10), 80, identical)
    match = Match(path, upstream.path, upstream.sha256, (passage,), 0.9, ("v0.30.0", "v0.30.1"))
    return Finding(match, NoticeJudgement(Verdict.NONE, "to be judged again"))


def fixed(root: Path, findings: list[Finding], *files: UpstreamFile) -> Fixes:
    known = {file.sha256: file for file in files or (upstream_file(),)}
    return apply_fixes(root, findings, known.__getitem__)


def put(root: Path, path: str, data: str | bytes) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data if isinstance(data, bytes) else data.encode())
    return target


def verdict(root: Path, path: str, upstream: UpstreamFile) -> Verdict:
    text = "\n".join(re.split("\r\n|\n|\r", (root / path).read_bytes().decode("utf-8", "replace")))
    match = finding(path, text, upstream).match
    return judge(TreeLicences.read(root), path, text, match, upstream).verdict


@pytest.mark.parametrize(
    ("path", "before", "head"),
    [
        ("a.metal", OWN + CODE, ""),
        ("a.h", "#ifndef A\n#define A\n" + CODE + "#endif\n", ""),
        (
            "a.py",
            '#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\nS = """\n' + CODE + '"""\n',
            "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n",
        ),
        ("a.mm", "// -*- mode: objc -*-\n" + 'auto s = R"(\n' + CODE + ')";\n', "// -*- mode: objc -*-\n"),
        ("a.sh", "#!/bin/sh\ncat <<X\n" + CODE + "X\n", "#!/bin/sh\n"),
        ("a.rs", "#![no_std]\n" + CODE, ""),
        ("a.lua", "x = [[\n" + CODE + "]]\n", ""),
        ("deep/er/a.cu", CODE, ""),
        ("a.cpp", "\ufeff" + CODE, "\ufeff"),
        ("a.c", CODE.rstrip("\n"), ""),
        ("a.hpp", (OWN + CODE).replace("\n", "\r\n"), ""),
        ("a.inl", (OWN + CODE).replace("\n", "\r\n").rstrip("\r\n"), ""),
        ("a.js", "/* own */\n" + CODE, ""),
        ("a.frag", CODE.replace("\n", "\r"), ""),
    ],
)
def test_the_notice_is_written_and_everything_else_stays(tmp_path, path, before, head) -> None:
    put(tmp_path, path, before).chmod(0o640)
    upstream = upstream_file()
    result = fixed(tmp_path, [finding(path, before, upstream)])
    assert result == Fixes((path,), (), ())
    after = (tmp_path / path).read_bytes()
    assert after.startswith(head.encode())
    assert after.endswith(before.removeprefix(head).encode())
    assert verdict(tmp_path, path, upstream) is Verdict.COMPLETE
    assert COPYRIGHT in after.decode()
    assert after.count(b"\r\n") in (0, after.count(b"\n"))
    assert (tmp_path / path).stat().st_mode & 0o777 == 0o640
    assert fixed(tmp_path, [finding(path, before, upstream)]) == Fixes((), (path,), ())
    assert (tmp_path / path).read_bytes() == after
    assert [one.name for one in (tmp_path / path).parent.iterdir()] == [Path(path).name]


def test_the_lines_that_the_notice_states_are_those_of_the_file_with_it(tmp_path) -> None:
    before = OWN * 3 + CODE
    put(tmp_path, "a.h", before)
    fixed(tmp_path, [finding("a.h", before, upstream_file())])
    lines = (tmp_path / "a.h").read_text().split("\n")
    first, last = map(int, re.search(r"Lines (\d+)-(\d+) of this file", lines[0]).groups())
    assert lines[first - 1 : last] == CODE.rstrip("\n").split("\n")
    assert lines[first - 2] == OWN.strip()


def test_the_release_that_is_named_holds_the_file_that_is_named(tmp_path) -> None:
    upstream = replace(upstream_file(), tags=("v0.29.0",))  # at the match's newest release the code stands elsewhere
    one = finding("a.h", CODE, upstream)
    put(tmp_path, "a.h", CODE)
    fixed(tmp_path, [Finding(replace(one.match, revisions=("v0.29.0", "v0.30.1")), one.notice)], upstream)
    assert "/blob/v0.29.0/mlx/" in (tmp_path / "a.h").read_text()


def test_what_the_notice_says(tmp_path) -> None:
    upstream = upstream_file()
    changed = missing_notice(finding("a.h", CODE, upstream).match, upstream, "v0.30.1")
    assert "https://github.com/ml-explore/mlx/blob/v0.30.1/mlx/backend/metal/kernels/own.h#L3-L10" in changed
    assert "were changed" in changed
    assert "were changed" not in missing_notice(
        finding("a.h", CODE, upstream, identical=True).match, upstream, "v0.30.1"
    )
    assert all(line.startswith("//") for line in changed.rstrip("\n").split("\n"))
    assert max(map(len, changed.split("\n"))) <= 120


def test_parts_of_one_file_that_owe_the_same_words_share_them(tmp_path) -> None:
    one, two = upstream_file(), upstream_file(f"// {COPYRIGHT}\n// two\n{CODE}", "mlx/backend/metal/kernels/two.h")
    other = upstream_file(f"// Copyright © 2025 Apple Inc.\n{CODE}", "mlx/backend/metal/kernels/three.h")
    put(tmp_path, "a.h", CODE)
    fixed(tmp_path, [finding("a.h", CODE, each) for each in (one, two, other)], one, two, other)
    text = (tmp_path / "a.h").read_text()
    assert text.count("Permission is hereby granted") == 2
    assert all(f"{name}.h#L" in text for name in ("own", "two", "three"))
    assert all(verdict(tmp_path, "a.h", each) is Verdict.COMPLETE for each in (one, two, other))


def test_a_file_that_states_nothing_is_under_the_repositorys_licence(tmp_path) -> None:
    upstream = upstream_file(CODE)
    put(tmp_path, "a.h", CODE)
    fixed(tmp_path, [finding("a.h", CODE, upstream)], upstream)
    assert "Copyright © 2023 Apple Inc." in (tmp_path / "a.h").read_text()
    assert verdict(tmp_path, "a.h", upstream) is Verdict.COMPLETE


@pytest.mark.parametrize(("name", "written"), [("expm1f.h", ()), ("cexpf.h", ("LICENSES/Apache-2.0.txt",))])
def test_files_of_mlx_under_another_licence_bring_their_own_words(tmp_path, sources, name, written) -> None:
    (source,) = (file for path, file in sources.files.items() if path.endswith(f"/{name}"))
    upstream = UpstreamFile(source.path, source.sha256, ("v0.30.1",), source.text)
    put(tmp_path, "a.h", CODE)
    result = fixed(tmp_path, [finding("a.h", CODE, upstream)], upstream)
    assert result == Fixes(("a.h", *written), (), ())
    text = (tmp_path / "a.h").read_text()
    stated = [line.strip("/ ") for line in source.text.split("\n") if "Copyright" in line and "20" in line]
    assert stated
    assert all(line in text for line in stated)
    assert verdict(tmp_path, "a.h", upstream) is Verdict.COMPLETE
    assert (
        "4 (b)"
        not in judge(TreeLicences.read(tmp_path), "a.h", text, finding("a.h", text, upstream).match, upstream).reason
    )


def test_only_the_licence_text_is_added_where_only_that_is_missing(tmp_path, sources) -> None:
    (source,) = (file for path, file in sources.files.items() if path.endswith("/cexpf.h"))
    upstream = UpstreamFile(source.path, source.sha256, ("v0.30.1",), source.text)
    text = source.text.partition("#pragma once")[0] + "// Changed by us.\n" + CODE
    put(tmp_path, "a.h", text)
    result = fixed(tmp_path, [finding("a.h", text, upstream)], upstream)
    assert result == Fixes(("LICENSES/Apache-2.0.txt",), ("a.h",), ())
    assert (tmp_path / "LICENSES/Apache-2.0.txt").read_text() == licence_text("Apache-2.0")


def test_a_wrong_licence_stays_and_needs_a_person(tmp_path) -> None:
    before = f"// {TAG} GPL-3.0-only\n" + CODE
    put(tmp_path, "a.h", before)
    result = fixed(tmp_path, [finding("a.h", before, upstream_file())])
    assert result.written == ("a.h",)
    ((path, reason),) = result.needs_a_person
    assert path == "a.h"
    assert "GPL-3.0-only" in reason
    assert (tmp_path / "a.h").read_text().endswith(before)
    assert verdict(tmp_path, "a.h", upstream_file()) is Verdict.COMPLETE


def test_a_remark_whose_lines_moved_needs_a_person(tmp_path) -> None:
    before = "// lines 2-3 are ours\n" + CODE
    put(tmp_path, "a.h", before)
    ((_, reason),) = fixed(tmp_path, [finding("a.h", before, upstream_file())]).needs_a_person
    line = int(re.search(r"line (\d+) speaks", reason)[1])
    assert (tmp_path / "a.h").read_text().split("\n")[line - 1] == "// lines 2-3 are ours"


def test_another_encoding_is_kept(tmp_path) -> None:
    before = "// é\n".encode("latin-1") + CODE.encode()
    put(tmp_path, "a.h", before)
    fixed(tmp_path, [finding("a.h", before.decode("latin-1"), upstream_file())])
    after = (tmp_path / "a.h").read_bytes()
    assert after.endswith(before)
    assert b"Copyright (c) 2024 Apple Inc." in after
    with pytest.raises(NoComment, match="letters"):
        insert("a.h", before, "// Łukasz\n")


# Refusals ------------------------------------------------------------------------------------------------------------


def refused(root: Path, path: str, message: str, text: str = CODE) -> None:
    """The fix of `path` is refused, with a next step, and neither it nor the good file beside it is touched."""
    put(root, "good.h", CODE)
    before = {one: one.read_bytes() for one in root.rglob("*") if one.is_file()}
    findings = [finding("good.h", CODE, upstream_file()), finding(path, text, upstream_file())]
    with pytest.raises((FixRefused, NoComment), match=message) as caught:
        fixed(root, findings)
    assert caught.value.next_step
    assert {one: one.read_bytes() for one in root.rglob("*") if one.is_file()} == before


def test_links_are_refused(tmp_path) -> None:
    root = tmp_path / "tree"
    put(tmp_path, "elsewhere/a.h", CODE)
    root.mkdir()
    (root / "a.h").symlink_to(tmp_path / "elsewhere/a.h")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "hard.h").hardlink_to(tmp_path / "elsewhere/a.h")
    refused(root, "a.h", "is a link")
    refused(root, "folder/a.h", "folder is a link")
    refused(root, "hard.h", "hard link")


@pytest.mark.parametrize("path", ["../a.h", "/etc/a.h", "b/../../a.h"])
def test_files_outside_are_refused(tmp_path, path) -> None:
    put(tmp_path, "a.h", CODE)
    (tmp_path / "tree").mkdir()
    refused(tmp_path / "tree", path, "outside")


def test_files_that_cannot_be_written_are_refused(tmp_path) -> None:
    put(tmp_path, "a.h", CODE).chmod(0o444)
    refused(tmp_path, "a.h", "not writable")
    refused(tmp_path, "gone.h", "cannot be read")


@pytest.mark.parametrize("folder", ["site-packages/x", "node_modules", ".git"])
def test_installed_packages_are_refused(tmp_path, folder) -> None:
    put(tmp_path, f"{folder}/a.h", CODE)
    refused(tmp_path, f"{folder}/a.h", "installed package")
    with pytest.raises(FixRefused):
        fixed(tmp_path / folder, [finding("a.h", CODE, upstream_file())])


def test_a_language_without_comments_is_refused(tmp_path) -> None:
    put(tmp_path, "a.json", CODE)
    refused(tmp_path, "a.json", "how a comment is written")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_in_a_git_tree_only_committed_files_are_written(tmp_path) -> None:
    put(tmp_path, "sub/a.h", CODE)
    git(tmp_path, "init", "--quiet", "--template=")
    refused(tmp_path, "sub/a.h", "not committed")
    git(tmp_path, "add", "--all")
    refused(tmp_path, "sub/a.h", "not committed")
    git(tmp_path, "commit", "--quiet", "-m", "start")
    put(tmp_path, "sub/a.h", OWN + CODE)
    refused(tmp_path, "sub/a.h", "uncommitted changes", OWN + CODE)
    put(tmp_path, "sub/a.h", CODE)
    assert fixed(tmp_path, [finding("sub/a.h", CODE, upstream_file())]).written == ("sub/a.h",)
    git(tmp_path, "checkout", "--", "sub/a.h")
    assert (tmp_path / "sub/a.h").read_text() == CODE


def test_git_runs_no_filter_of_the_tree(tmp_path) -> None:
    put(tmp_path, "tree/a.h", CODE)
    tree = tmp_path / "tree"
    git(tree, "init", "--quiet", "--template=")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "-m", "start")
    (tree / ".git/info").mkdir(exist_ok=True)
    (tree / ".git/info/attributes").write_text("*.h filter=own\n")
    git(tree, "config", "filter.own.clean", f"touch {tmp_path}/sprung; cat")
    git(tree, "config", "core.fsmonitor", f"touch {tmp_path}/sprung")
    (tree / "a.h").touch()
    assert fixed(tree, [finding("a.h", CODE, upstream_file())]).written == ("a.h",)
    assert not (tmp_path / "sprung").exists()
