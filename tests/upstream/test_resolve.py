# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import pytest

from porter.errors import AmbiguousRevision, SpecError, UnknownRevision
from porter.upstream.resolve import Candidate, Releases, Revision, agrees, load_releases, resolve

A, B, C = "abcd1" + "0" * 35, "abcd2" + "0" * 35, "ffff0" + "0" * 35
TABLE = Releases("v1.0.0", (Revision(A, "v1.0.0", "1.0.0"), Revision(B, "v1.0.1", "1.0.1")))


def test_the_default_release() -> None:
    # The issue names the default pin; its commit is the one that github.com/ml-explore/mlx tags.
    assert resolve(load_releases().default) == Revision("c215b6f88cf0fee0b0895623e4046cda797ef397", "v0.30.1", "0.30.1")


@pytest.mark.parametrize(
    ("rev", "sha"),
    [("v1.0.1", B), (A, A), (A.upper(), A), ("abcd1", A), ("ABCD2", B), (C, C)],
    ids=["tag", "full", "upper case", "short", "short upper case", "full and not a release"],
)
def test_found(rev: str, sha: str) -> None:
    assert resolve(rev, TABLE).sha == sha


def test_a_short_sha_of_two_releases_is_ambiguous_and_names_both() -> None:
    with pytest.raises(AmbiguousRevision) as caught:
        resolve("abcd", TABLE)
    assert A in str(caught.value)
    assert B in str(caught.value)
    assert caught.value.next_step


def test_a_clone_makes_a_short_sha_ambiguous_that_the_releases_know_once() -> None:
    other = "abcd1f" + "0" * 34
    with pytest.raises(AmbiguousRevision, match=other):
        resolve("abcd1", TABLE, lambda _: [Candidate(other), Candidate(A)])


def test_a_clone_knows_more_names() -> None:
    assert resolve("my-tag", TABLE, lambda rev: [Candidate(C, rev)]) == Revision(C, "my-tag")
    assert resolve("ffff", TABLE, lambda _: [Candidate(C)]) == Revision(C)


@pytest.mark.parametrize("rev", ["v9", "abc", "abcf", "", "main", "-x", "../x", "v1.0.0\n", "a" * 41])
def test_unknown(rev: str) -> None:
    with pytest.raises(UnknownRevision) as caught:
        resolve(rev, TABLE)
    assert caught.value.next_step


@pytest.mark.parametrize("rev", ["-x", "--upload-pack=touch", "a b", "a\nb", "x" * 200])
def test_words_that_no_tag_has_never_reach_the_clone(rev: str) -> None:
    def lookup(_: str) -> list[Candidate]:
        raise AssertionError("asked")

    with pytest.raises(UnknownRevision):
        resolve(rev, TABLE, lookup)


def test_a_near_miss_is_told_the_tag() -> None:
    with pytest.raises(UnknownRevision) as caught:
        resolve("v1.0.2", TABLE)
    assert "v1.0.1" in (caught.value.next_step or "")


def test_agrees() -> None:
    release = resolve("v0.30.1")
    assert agrees("v0.30.1", release.sha)
    assert not agrees("v0.30.1", C)
    assert agrees(None, C)
    assert agrees("a-tag-of-a-fork", C)


ROW = "  - {tag: v1.0.0, revision: " + A + ", date: '2026-01-01', wheel: 1.0.0}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("default: v1.0.0\n", 1),
        ("default: v1.0.0\nreleases:\n" + ROW.replace("abcd1", "abcd"), 3),
        ("default: v1.0.0\nreleases:\n" + ROW.replace("wheel", "whael"), 3),
        ("default: v1.0.0\nreleases:\n" + ROW + ROW, 4),
        ("default: v2.0.0\nreleases:\n" + ROW, 1),
        ("default: v1.0.0\nreleases:\n" + ROW + "\t\n- x", 4),
        ("default: v1.0.0\nreleases: &r\n" + ROW + "more: *r\n", 4),
        ("", 1),
    ],
    ids=["no releases", "short sha", "unknown key", "twice", "default unknown", "not YAML", "alias", "empty"],
)
def test_a_wrong_table_names_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "releases.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_releases(path)
    assert caught.value.where == f"specs/releases.yaml:{line}"
