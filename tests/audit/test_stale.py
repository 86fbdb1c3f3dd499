# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Upstream's changes to derived lines: in small repositories that the tests make, and in MLX's own history."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from porter.audit.bounded_git import run_git
from porter.audit.model import Change, Lines, Match, Passage, UpstreamFile
from porter.audit.patches import Hunk, file_patches, follow
from porter.audit.stale import FIX_WORDS, changes, is_fix
from porter.errors import UpstreamError

PATH = "mlx/backend/metal/kernels/own.h"
LINES = [f"int value_{n} = {n};" for n in range(1, 21)]


class Repository:
    """A repository of the test's own text; each commit a day after the last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.day = 0
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", "--template=", str(folder))

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        when = f"2026-01-{max(1, self.day):02}T12:00:00Z"
        environment = {
            "PATH": "/usr/bin:/bin",
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_DATE": when,
            "HOME": "/nonexistent",
        }
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    def commit(self, subject: str, text: str | None, path: str = PATH) -> str:
        self.day += 1
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink() if text is None else file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "clone")
    made.commit("start", text_of(LINES))
    made.git("tag", "v1.0.0")
    return made


def text_of(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def with_line(number: int, line: str, lines: list[str] = LINES) -> list[str]:
    return [line if at == number else old for at, old in enumerate(lines, start=1)]


def found(
    repository: Repository,
    first: int,
    last: int,
    ours: Lines | None = None,
    text: str = text_of(LINES),
    tag: str = "v1.0.0",
) -> tuple[Change, ...]:
    """Changes to lines `first` to `last`, which stand from line 101 in the audited file."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    passage = Passage(ours or Lines(101, 101 + last - first), Lines(first, last), 9, True)
    match = Match("port.h", PATH, digest, (passage,), 1.0, (tag,))
    return changes(repository.folder, match, UpstreamFile(PATH, digest, (tag,), text))


def test_a_change_of_the_lines_is_named_with_ours(repository) -> None:
    oid = repository.commit("Fix the seventh value", text_of(with_line(7, "int value_7 = 70;")))
    repository.commit("another line", text_of(with_line(18, "int value_18 = 0;", with_line(7, "int value_7 = 70;"))))
    assert found(repository, 5, 10) == (Change(oid, "2026-01-02", "Fix the seventh value", True, (Lines(103, 103),)),)
    assert found(repository, 8, 10) == ()


def test_lines_are_followed_when_they_move_and_change_again(repository) -> None:
    moved = ["// new", "int before;", *LINES]
    repository.commit("more at the top", text_of(moved))
    repository.commit("seventh", text_of(with_line(9, "int seven;", moved)))
    repository.commit("fix seventh", text_of(with_line(9, "int seventy;", moved)))
    assert [(one.subject, one.lines) for one in found(repository, 5, 10)] == [
        ("fix seventh", (Lines(103, 103),)),
        ("seventh", (Lines(103, 103),)),
    ]


def test_fixes_stand_first_and_then_the_older(repository) -> None:
    for day, subject in enumerate(("add a feature", "fix a race", "tune", "correct the edge"), start=1):
        repository.commit(subject, text_of(with_line(6, f"int value_6 = {day} + 6;")))
    assert [one.subject for one in found(repository, 6, 6)] == [
        "fix a race",
        "correct the edge",
        "add a feature",
        "tune",
    ]


def test_insertions_count_between_lines_of_a_passage_only(repository) -> None:
    repository.commit("inside", text_of([*LINES[:6], "int more;", *LINES[6:]]))
    assert [one.lines for one in found(repository, 5, 10)] == [(Lines(102, 103),)]
    assert found(repository, 7, 10) == ()
    assert found(repository, 2, 6) == ()


def test_layout_and_comments_are_no_change(repository) -> None:
    text = text_of(with_line(7, "int   value_7=7;  // seven"))
    repository.commit("reformat", text)
    assert found(repository, 5, 10) == ()
    repository.commit("fix it", text.replace("value_7=7", "value_7=8"))
    assert [one.lines for one in found(repository, 5, 10)] == [(Lines(103, 103),)]


def test_a_renamed_file_is_followed(repository) -> None:
    repository.git("mv", PATH, "mlx/backend/metal/kernels/renamed.h")
    repository.commit("move", text_of(LINES), "mlx/backend/metal/kernels/renamed.h")
    oid = repository.commit("fix", text_of(with_line(7, "int seven;")), "mlx/backend/metal/kernels/renamed.h")
    assert [(one.commit, one.lines) for one in found(repository, 5, 10)] == [(oid, (Lines(103, 103),))]


def test_a_file_taken_away_is_a_change_of_every_line(repository) -> None:
    repository.commit("take it away", None)
    assert [(one.subject, one.is_fix, one.lines) for one in found(repository, 5, 8)] == [
        ("take it away", False, (Lines(101, 104),))
    ]


def test_lines_of_another_layout_are_divided_in_proportion(repository) -> None:
    repository.commit("fix", text_of(with_line(7, "int seven;")))
    assert [one.lines for one in found(repository, 5, 8, Lines(11, 18))] == [(Lines(15, 16),)]
    assert [one.lines for one in found(repository, 5, 8, Lines(11, 12))] == [(Lines(12, 12),)]


def test_a_fix_that_the_release_has_already_is_not_named(repository) -> None:
    fixed = text_of(with_line(7, "int seven;"))
    repository.git("checkout", "--quiet", "-b", "release")
    repository.commit("Fix seven", fixed)
    repository.git("tag", "v1.0.1")
    repository.git("checkout", "--quiet", "main")
    repository.commit("elsewhere", "other\n", "other.h")
    repository.commit("Fix seven on main", fixed)
    oid = repository.commit("Fix eight", text_of(with_line(8, "int eight;", with_line(7, "int seven;"))))
    assert [one.commit for one in found(repository, 5, 10, text=fixed, tag="v1.0.1")] == [oid]


def test_code_that_moved_to_another_file_is_followed_from_where_it_stood(repository) -> None:
    """The newest release that holds the lines has them in another file: what came before it is no news."""
    oid = repository.commit("Fix seven early", text_of(with_line(7, "int seven;")))
    repository.commit("take it away", None)
    repository.commit("put it there", text_of(LINES), "elsewhere.h")
    repository.git("tag", "v1.1.0")
    digest = hashlib.sha256(text_of(LINES).encode()).hexdigest()
    passage = Passage(Lines(101, 106), Lines(5, 10), 9, True)
    upstream = UpstreamFile(PATH, digest, ("v1.0.0",), text_of(LINES))
    both = Match("port.h", PATH, digest, (passage,), 1.0, ("v1.0.0", "v1.1.0"))
    assert changes(repository.folder, both, upstream) == ()
    old = Match("port.h", PATH, digest, (passage,), 1.0, ("v1.0.0",))
    assert next(one.commit for one in changes(repository.folder, old, upstream)) == oid


def test_a_checkout_of_the_release_does_not_hide_what_came_after(repository) -> None:
    repository.commit("fix", text_of(with_line(7, "int seven;")))
    repository.git("checkout", "--quiet", "v1.0.0")
    assert len(found(repository, 5, 10)) == 1


@pytest.mark.parametrize(
    ("tag", "text", "message"),
    [
        ("v9.9.9", text_of(LINES), "the clone has no v9.9.9.*\n.*git fetch --tags"),
        ("v1.0.0", "other\n", "holds another"),
    ],
)
def test_a_clone_that_cannot_tell_is_an_error(repository, tag, text, message) -> None:
    with pytest.raises(UpstreamError) as caught:
        found(repository, 1, 1, text=text, tag=tag)
    assert re.search(message, str(caught.value))


def test_a_folder_that_is_no_clone_is_an_error(tmp_path) -> None:
    match = Match("p.h", PATH, "0" * 64, (Passage(Lines(1, 1), Lines(1, 1), 1, True),), 1.0, ("v1",))
    with pytest.raises(UpstreamError, match="not a git repository"):
        changes(tmp_path, match, UpstreamFile(PATH, "0" * 64, ("v1",), ""))


def test_git_is_bounded_in_time_and_in_what_it_prints(repository) -> None:
    with pytest.raises(UpstreamError, match="printed more than 10 bytes"):
        run_git(repository.folder, "log", "-p", largest=10)
    with pytest.raises(UpstreamError, match="took more than 0 s"):
        run_git(repository.folder, "cat-file", "--batch-check", "--batch-all-objects", "--unordered", longest=0.0)


def test_settings_of_the_clone_start_no_program(repository, tmp_path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for name in ("diff.external", "core.fsmonitor", "core.pager", "diff.own.textconv", "diff.own.command"):
        repository.git("config", name, str(trap))
    (repository.folder / ".git/info").mkdir(exist_ok=True)
    (repository.folder / ".git/info/attributes").write_text("*.h diff=own\n")
    repository.commit("fix", text_of(with_line(7, "int seven;")))
    (tmp_path / "sprung").unlink(missing_ok=True)
    assert len(found(repository, 5, 10)) == 1
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("words", FIX_WORDS, ids=lambda one: one.example)
def test_fix_words(words) -> None:
    assert is_fix(words.example) is words.is_fix


@pytest.mark.parametrize(
    "subject",
    [
        "Add a kernel for wide rows",
        "feat: prefix sums of booleans",
        "Support fixed-size blocks",
        "Faster two pass attention",
        "Q8 fixed point accumulators",
        "Trace points for the profiler",
        "Update the licence year",
    ],
)
def test_features_are_no_fixes(subject) -> None:
    assert not is_fix(subject)


def test_a_patch_whose_lines_look_like_its_frame_is_read_right() -> None:
    patch = [
        "diff --git a/x b/x",
        "--- a/x",
        "+++ b/x",
        "@@ -3,2 +3 @@",
        "--- a/y",
        "-@@ -1 +1 @@",
        "+++ b/z",
        "@@ -9,0 +9 @@",
    ]
    (one,) = file_patches([*patch, "+diff --git a/q b/q", "\\ No newline at end of file"])
    assert (one.old, one.new) == ("x", "x")
    assert one.hunks == (Hunk(2, 2, 1, False), Hunk(9, 0, 1, False))
    with pytest.raises(UpstreamError, match="not a patch"):
        list(file_patches(patch))


def test_a_patch_outside_the_file_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="does not fit"):
        follow([(1, 1)], [Hunk(3, 1, 1, False)])


@pytest.mark.parametrize(
    ("path", "line", "oid", "fix"),
    [
        # docs/upstream.md: the step of a safe load; fixed in v0.32.0, and its subject says so
        ("steel/gemm/mma.h", 92, "2414e5df6", True),
        # docs/sanitizer.md: the merge of block sort; put right in v0.30.6 by a commit whose subject does not say so
        ("sort.h", 128, "9e2d2a595", False),
    ],
)
def test_known_changes_of_mlx(mlx_git: str, path: str, line: int, oid: str, fix: bool) -> None:
    upstream = _upstream(mlx_git, f"mlx/backend/metal/kernels/{path}", "v0.30.1")
    passage = Passage(Lines(501, 521), Lines(line - 10, line + 10), 99, True)
    match = Match("port.metal", upstream.path, upstream.sha256, (passage,), 0.5, ("v0.29.0", "v0.30.1"))
    named = {one.commit[:9]: one for one in changes(Path(mlx_git), match, upstream)}
    assert named[oid].is_fix is fix
    assert any(lines.first <= 511 <= lines.last for lines in named[oid].lines)


def test_the_fixed_release_has_nothing_to_name(mlx_git: str) -> None:
    upstream = _upstream(mlx_git, "mlx/backend/metal/kernels/steel/gemm/mma.h", "v0.32.0")
    passage = Passage(Lines(501, 521), Lines(82, 102), 99, True)
    match = Match("port.metal", upstream.path, upstream.sha256, (passage,), 0.5, ("v0.32.0",))
    assert "2414e5df6" not in {one.commit[:9] for one in changes(Path(mlx_git), match, upstream)}


def _upstream(mlx_git: str, path: str, tag: str) -> UpstreamFile:
    command = ["git", f"--git-dir={mlx_git}", "show", f"{tag}:{path}"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return UpstreamFile(path, hashlib.sha256(data).hexdigest(), (tag,), data.decode())
