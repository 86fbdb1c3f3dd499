# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port audit` as a user types it, against a repository of our own that stands for MLX."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.audit.model import Verdict
from porter.cli.audit import status

from ..audit.made import audit, finding

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]

BODY = """
template <typename T, int width>
inline T weigh(const device T* rows, const constant int& count, uint lane) {
  T total = T(0);
  for (int row = int(lane); row < count; row += width) {
    T next = rows[row * 3 + 1];
    total = next > total ? next - total / T(5) : total + next * next;
  }
  return total;
}

template <typename T>
[[kernel]] void weigh_all(
    const device T* rows [[buffer(0)]],
    device T* sums [[buffer(1)]],
    const constant int& count [[buffer(2)]],
    uint lane [[thread_index_in_simdgroup]],
    uint group [[threadgroup_position_in_grid]]) {
  T mine = weigh<T, 32>(rows + group * count, count, lane);
  T all = simd_sum(mine);
  if (lane == 0) {
    sums[group] = all / T(count);
  }
}
"""
# SPDX's text of the MIT licence.
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two releases; the second one fixes a line."""
    root = tmp_path_factory.mktemp("upstream")
    file = root / "mlx" / "backend" / "metal" / "kernels" / "weigh.metal"
    file.parent.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    for number, body in enumerate((BODY, BODY.replace("rows[row * 3 + 1]", "rows[row * 3 + 2]"))):
        file.write_text(f"// Copyright © 2023 Apple Inc.\n{body}")
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", ("Weigh rows", "Fix the column that is read")[number])
        git(root, "tag", f"v0.{number + 1}.0")
    return root


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


@pytest.fixture
def run(upstream: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    kept = tmp_path_factory.getbasetemp() / "audit-cache"
    environment = {**os.environ, "STEEL_PORT_MLX_GIT": str(upstream), "STEEL_PORT_CACHE": str(kept)}

    def call(*words: str, cwd: Path = tmp_path, without: tuple[str, ...] = ()) -> Done:
        env = {name: value for name, value in environment.items() if name not in without}
        command = [sys.executable, "-m", "porter", "audit", *words]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)

    return call


def tree(root: Path, head: str = "") -> Path:
    folder = root / "csrc"
    folder.mkdir()
    (folder / "mine.h").write_text("#pragma once\nint mine();\n")
    (folder / "taken.metal").write_text(f"{head}{BODY.replace('total', 'sum').replace('rows', 'table')}")
    (folder / "x.bin").write_bytes(b"\0\1\2")
    return folder


def test_findings_end_with_1_and_say_where(run: Run, tmp_path: Path) -> None:
    tree(tmp_path)
    done = run("csrc")
    assert done.returncode == 1, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "weigh.metal" in line]
    assert row.startswith("taken.metal:")
    assert re.search(r" (9\d|100)% ", row)
    assert row.rstrip().endswith("none")
    assert "binary: 1" in done.stdout
    assert "next: steel-port audit csrc" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_fix_that_the_tree_lacks_is_named_first(run: Run, tmp_path: Path) -> None:
    tree(tmp_path)
    lines = run("csrc").stdout.splitlines()
    assert lines[0].startswith("Upstream fixed these lines since")
    assert lines[1].startswith("  taken.metal:")
    assert lines[1].endswith("Fix the column that is read")
    assert " v0.1.0 " in next(line for line in lines if "weigh.metal" in line)


HEAD = "".join(f"// {line}\n" for line in f"Copyright 2023 Apple Inc.\n\n{MIT}".splitlines())


@pytest.mark.parametrize(("head", "status"), [("", 1), (HEAD, 0)])
def test_a_patch_brings_code_too(run: Run, tmp_path: Path, head: str, status: int) -> None:
    lines = [f"+{line}\n" for line in (head + BODY).splitlines()]
    start = f"--- /dev/null\n+++ b/weigh.metal\n@@ -0,0 +1,{len(lines)} @@\n"
    (tmp_path / "add.patch").write_text(start + "".join(lines))
    done = run("add.patch")
    assert "add.patch:" in done.stdout
    assert done.returncode == status, done.stdout


def test_a_complete_notice_ends_with_0(run: Run, tmp_path: Path) -> None:
    head = "/* Copyright © 2023 Apple Inc.\n\n" + MIT + "*/\n"
    tree(tmp_path, head)
    done = run("csrc")
    assert "1 complete" in done.stdout
    assert done.returncode == 0
    assert run("csrc", "--fail-on", "any").returncode == 1


def test_a_tree_without_anything_of_mlx(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.cpp").write_text("int main() { return 0; }\n")
    done = run()
    assert done.returncode == 0
    assert done.stdout.endswith("Derived from MLX: nothing was found.\n")
    assert run("--fail-on", "any").returncode == 0


def test_an_empty_tree_is_clean_and_says_that_it_is_empty(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("empty")
    assert (done.returncode, done.stdout) == (0, "empty: the tree is empty: it holds no file.\n")


def test_json(run: Run, tmp_path: Path) -> None:
    done = run(str(tree(tmp_path)), "--json", "--fail-on", "none")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["schema"] == 1
    (one,) = data["findings"]
    assert one["match"]["path"] == "taken.metal"
    assert one["match"]["upstream"] == "mlx/backend/metal/kernels/weigh.metal"
    assert one["match"]["revisions"] == ["v0.1.0"]
    assert [over["path"] for over in data["passed_over"]] == ["x.bin"]


def test_sarif_and_page_are_written_from_the_repositorys_root(run: Run, tmp_path: Path) -> None:
    tree(tmp_path)
    done = run("csrc", "--sarif", "a.sarif", "--html", "a.html")
    assert done.returncode == 1
    assert done.stdout.endswith("sarif: a.sarif\npage: a.html\n")
    results = json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"]
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert set(places) == {"csrc/taken.metal"}
    assert [one["ruleId"] for one in results] == ["notice/none", "stale"]
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_the_page_holds_both_sides(run: Run, tmp_path: Path, look: Callable[..., str]) -> None:
    run(str(tree(tmp_path)), "--html", "a.html")
    text = re.sub(r"\s+", " ", look("#/finding/0", tmp_path / "a.html"))
    assert "T sum = T(0);" in text
    assert "T total = T(0);" in text


def test_one_file(run: Run, tmp_path: Path) -> None:
    file = tree(tmp_path) / "taken.metal"
    assert "taken.metal:" in run(str(file)).stdout


def test_fix_writes_what_is_missing_and_a_second_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    file = tree(tmp_path) / "taken.metal"
    before = file.read_text()
    done = run("csrc", "--fix")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Written: taken.metal\n")
    assert "1 finding: 1 complete." in done.stdout
    after = file.read_text()
    assert after.endswith(before)
    assert "Copyright © 2023 Apple Inc." in after
    assert run("csrc", "--fix").stdout.startswith("No notice was missing")
    data = json.loads(run("csrc", "--fix", "--json").stdout)
    assert data["fixes"] == {"written": [], "complete": [], "needs_a_person": []}
    assert file.read_text() == after


def test_fix_refuses_what_git_could_not_undo(run: Run, tmp_path: Path) -> None:
    file = tree(tmp_path) / "taken.metal"
    git(tmp_path, "init", "-q")
    before = file.read_bytes()
    done = run("csrc", "--fix")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the notice is not written" in done.stderr
    assert file.read_bytes() == before


def test_nothing_is_written_without_fix(run: Run, tmp_path: Path) -> None:
    folder = tree(tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*")}
    run("csrc")
    run("csrc", "--json")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*")} == before


def test_a_release_is_chosen(run: Run, tmp_path: Path) -> None:
    done = run(str(tree(tmp_path)), "--revision", "v0.2.0", "--json")
    data = json.loads(done.stdout)
    assert "v0.2.0" in data["compared_with"]
    assert "v0.1.0" not in data["compared_with"]
    assert {tag for one in data["findings"] for tag in one["match"]["revisions"]} <= {"v0.2.0"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing",), "missing: cannot be read: No such file or directory"),
        (("--sarif", "no/such/folder/a.sarif"), "the folder of the file does not exist"),
        (("--fail-on", "some"), "Invalid value for '--fail-on'"),
        (("--max-bytes", "0"), "Invalid value for '--max-bytes'"),
        (("--mlx-source", "nowhere"), "not a clone of MLX"),
        (("--revision", "v9.9.9"), "v9.9.9"),
    ],
)
def test_what_cannot_be_done_ends_with_2(words: tuple[str, ...], said: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text("int a;\n")
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_revision_without_a_clone_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("--revision", "v0.1.0", without=("STEEL_PORT_MLX_GIT",))
    assert done.returncode == 2
    assert "expected --mlx-source with it" in done.stderr


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), {"none": 0, "any": 0, "incomplete": 0}),
        ((Verdict.COMPLETE,), {"none": 0, "any": 1, "incomplete": 0}),
        ((Verdict.COMPLETE, Verdict.NO_PERMISSION_TEXT), {"none": 0, "any": 1, "incomplete": 1}),
        ((Verdict.WRONG_LICENCE,), {"none": 0, "any": 1, "incomplete": 1}),
    ],
)
def test_exit_status(verdicts: tuple[Verdict, ...], expected: dict[str, int]) -> None:
    one = audit(*(finding(verdict=verdict) for verdict in verdicts))
    assert {fail_on: status(one, fail_on) for fail_on in expected} == expected
