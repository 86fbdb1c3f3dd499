# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The git provider against a repository that the test makes, and against a clone of MLX where one is configured."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from pathlib import Path

import pytest

from porter.errors import AmbiguousRevision, ArchiveError, NetworkError, UnknownRevision, UpstreamError
from porter.upstream.providers import silent
from porter.upstream.providers.git import Git, is_git_dir, is_url
from porter.upstream.resolve import Releases, Revision, resolve

TABLE = Releases("v1", (Revision("9" * 40, "v1", "1"),))
CONFIGURED = os.environ.get("STEEL_PORT_TEST_CLONE")  # set by tests/conftest.py
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_a_clone(clone, full, into: Path, tree_of) -> None:
    sha = clone.git("rev-parse", "HEAD")
    Git(str(clone.path)).fetch(Revision(sha), into, silent)
    assert tree_of(into) == full


def test_the_commit_is_taken_and_not_the_work_tree(clone, full, into: Path, tree_of) -> None:
    sha = clone.git("rev-parse", "HEAD")
    (clone.path / "LICENSE").write_bytes(b"changed, not committed")
    clone.commit({"mlx/backend/metal/kernels/later.h": b"a later commit"})
    Git(str(clone.path)).fetch(Revision(sha), into, silent)
    assert tree_of(into) == full


def test_a_bare_mirror(clone, full, into: Path, tree_of, tmp_path: Path) -> None:
    clone.git("clone", "--quiet", "--bare", ".", str(tmp_path / "mirror"))
    Git(str(tmp_path / "mirror")).fetch(Revision(clone.git("rev-parse", "HEAD")), into, silent)
    assert tree_of(into) == full


@pytest.mark.parametrize("asked", ["commit", "old commit", "tag"])
@pytest.mark.parametrize("filters", ["true", "false"])
def test_an_address(clone, full, into: Path, tree_of, asked: str, filters: str) -> None:
    clone.git("config", "uploadpack.allowFilter", filters)
    sha = clone.git("rev-parse", "HEAD")
    if asked == "old commit":
        clone.commit({"LICENSE": b"newer"})
    provider = Git(clone.path.as_uri())
    if asked == "tag":
        (candidate,) = provider.lookup("v9.9.9")
        assert candidate.sha == sha
    provider.fetch(Revision(sha), into, silent)
    assert tree_of(into) == full
    clone.path.rename(clone.path.with_name("moved"))  # the second time the cache has it
    again = into.parent / "again"
    again.mkdir()
    Git(clone.path.as_uri(), offline=True).fetch(Revision(sha), again, silent)
    assert tree_of(again) == full


def test_what_a_killed_git_left_in_the_cache_does_not_matter(clone, own_cache: Path) -> None:
    provider = Git(clone.path.as_uri())
    assert [candidate.name for candidate in provider.lookup("v9.9.9")] == ["v9.9.9"]
    (repository,) = (path for path in (own_cache / "git").iterdir() if path.is_dir())
    (repository / "refs/tags").mkdir(parents=True, exist_ok=True)
    (repository / "refs/tags/v10.lock").write_bytes(b"")
    clone.git("tag", "v10")
    assert [candidate.name for candidate in provider.lookup("v10")] == ["v10"]


def test_filters_and_line_ends_of_the_repository_are_not_applied(clone, full, into: Path, tree_of) -> None:
    ran = clone.path.parent / "ran"
    clone.git("config", "core.autocrlf", "true")
    clone.git("config", "filter.evil.smudge", f"touch {ran}; cat")
    clone.git("config", "core.fsmonitor", f"touch {ran}")
    (clone.path / ".git/info/attributes").write_text("* filter=evil\n")
    Git(str(clone.path)).fetch(Revision(clone.git("rev-parse", "v9.9.9^{commit}")), into, silent)
    assert tree_of(into) == full
    assert not ran.exists()


@pytest.mark.parametrize(
    "source",
    ["ext::sh -c touch% {ran}", "--upload-pack=touch {ran}", "-u touch {ran}", "fd::17", "{missing}", "{plain}", ""],
)
def test_a_source_that_is_none(tmp_path: Path, source: str) -> None:
    (tmp_path / "plain").mkdir()
    source = source.format(ran=tmp_path / "ran", missing=tmp_path / "missing", plain=tmp_path / "plain")
    with pytest.raises(UpstreamError) as caught:
        Git(source).fetch(Revision("1" * 40), tmp_path, silent)
    assert caught.value.next_step
    assert not (tmp_path / "ran").exists()


def test_an_address_that_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(NetworkError):
        Git((tmp_path / "nothing").as_uri()).fetch(Revision("1" * 40), tmp_path, silent)
    with pytest.raises(NetworkError):
        list(Git((tmp_path / "nothing").as_uri()).lookup("v9.9.9"))


def test_an_unknown_commit(clone, into: Path) -> None:
    for source in (str(clone.path), clone.path.as_uri()):
        with pytest.raises(UnknownRevision, match="1" * 40):
            Git(source).fetch(Revision("1" * 40), into, silent)


def test_a_tag_and_a_short_sha_are_resolved_and_a_branch_is_not(clone) -> None:
    sha = clone.git("rev-parse", "HEAD")
    lookup = Git(str(clone.path)).lookup
    assert resolve("v9.9.9", TABLE, lookup) == Revision(sha, "v9.9.9")
    assert resolve(sha[:10].upper(), TABLE, lookup).sha == sha
    blob = clone.git("rev-parse", "HEAD:LICENSE")
    for rev in ("trunk", blob[:10], "HEAD", "HEAD~1", "v9.9.9^{tree}"):
        with pytest.raises(UnknownRevision):
            resolve(rev, TABLE, lookup)


def test_an_annotated_tag_names_its_commit(clone) -> None:
    clone.git("tag", "-a", "-m", "words", "v10")
    assert resolve("v10", TABLE, Git(str(clone.path)).lookup).sha == clone.git("rev-parse", "HEAD")


def test_two_commits_that_begin_alike(clone) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}")
    seen: dict[str, bytes] = {}
    for number in range(10_000):
        text = f"tree {tree}\nauthor t <t> {number} +0000\ncommitter t <t> 0 +0000\n\nx\n".encode()
        prefix = hashlib.sha1(b"commit %d\0" % len(text) + text, usedforsecurity=False).hexdigest()[:4]
        if prefix in seen:
            break
        seen[prefix] = text
    both = [clone.git("hash-object", "-w", "-t", "commit", "--stdin", given=data) for data in (seen[prefix], text)]
    with pytest.raises(AmbiguousRevision) as caught:
        resolve(prefix, TABLE, Git(str(clone.path)).lookup)
    assert all(sha in str(caught.value) for sha in both)


def test_a_link_among_the_files(clone, into: Path) -> None:
    (clone.path / "mlx/backend/metal/kernels/link.h").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match=r"kernels/link\.h"):
        Git(str(clone.path)).fetch(Revision(clone.commit({})), into, silent)


@pytest.mark.parametrize("damage", ["cut", "another content"])
def test_a_damaged_repository(clone, into: Path, full, damage: str) -> None:
    blob = clone.git("rev-parse", "HEAD:LICENSE")
    place = clone.path / ".git/objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    other = b"blob %d\0" % len(full["LICENSE"]) + full["LICENSE"].upper()
    place.write_bytes(place.read_bytes()[:-3] if damage == "cut" else zlib.compress(other))
    with pytest.raises((ArchiveError, UpstreamError)) as caught:
        Git(str(clone.path)).fetch(Revision(clone.git("rev-parse", "HEAD")), into, silent)
    assert caught.value.next_step


def test_git_variables_of_a_hook_do_not_lead_astray(clone, full, into: Path, tree_of, monkeypatch) -> None:
    sha = clone.git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    Git(str(clone.path)).fetch(Revision(sha), into, silent)
    assert tree_of(into) == full


def test_what_is_an_address(clone) -> None:
    assert is_git_dir(clone.path)
    assert not is_git_dir(clone.path / "mlx")
    for good in ("https://example.org/x.git", "git@example.org:me/x.git", "file:///srv/x", "ssh://h/x"):
        assert is_url(good)
    for bad in ("ext::sh -c x", "a/b", "-x", "http:", "C"):
        assert not is_url(bad)


@pytest.mark.skipif(not CONFIGURED, reason="STEEL_PORT_MLX_GIT names no clone of MLX")
def test_a_clone_of_mlx_has_the_headers_of_the_wheel(release, wheel: Path, into: Path, tree_of) -> None:
    Git(str(CONFIGURED)).fetch(release, into, silent)
    found = tree_of(into)
    # The counts are those of the revision: `git ls-tree -r v0.30.1 mlx/backend/metal/kernels` lists 121 files.
    assert sum(path.startswith("mlx/backend/metal/kernels/") for path in found) == 121
    assert "mlx/backend/metal/matmul.cpp" in found
    with zipfile.ZipFile(wheel) as archive:
        headers = {name: archive.read(name) for name in archive.namelist() if "metal/kernels/" in name}
    assert {name.removeprefix("mlx/include/"): data for name, data in headers.items()} == {
        path: data
        for path, data in found.items()
        if path.startswith("mlx/backend/metal/kernels/") and path.endswith(".h")
    }
