# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The whole room: `obtain`, with a small tree of our own and with the real wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.errors import (
    ArchiveError,
    DigestMismatch,
    NetworkError,
    TreeError,
    UnknownRevision,
    UpstreamError,
    UsageError,
)
from porter.model import Coverage
from porter.upstream import obtain, vendored
from porter.upstream.pin import make_pin, to_yaml
from porter.upstream.providers import put

Reader = Callable[[Path], dict[str, bytes]]
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "upstream_mlx"


@pytest.fixture
def kept(root: Path, clone, own_cache: Path) -> Path:
    """A root that holds the small tree, from a clone."""
    obtain("v9.9.9", str(clone.path), "git", root)
    return root


@pytest.fixture
def header_folder(tmp_path: Path, headers: dict[str, bytes]) -> Path:
    """What a wheel would bring of the small tree, as a folder."""
    put(tmp_path / "headers", headers)
    return tmp_path / "headers"


def fresh_clone_of(root: Path) -> bytes:
    """Leave PIN.yaml alone, as git does; its bytes."""
    pin = (root / "PIN.yaml").read_bytes()
    subprocess.run(["rm", "-r", str(root)], check=True)
    root.mkdir()
    (root / "PIN.yaml").write_bytes(pin)
    return pin


# -- fetching and keeping --------------------------------------------------------------------------------------------


def test_a_clone(root: Path, clone, own_cache: Path, full, tree_of: Reader) -> None:
    sources, sentence = obtain("v9.9.9", str(clone.path), root=root)
    sha = clone.git("rev-parse", "HEAD")
    assert (sources.pin.revision, sources.pin.tag) == (sha, "v9.9.9")
    assert (sources.pin.provider, sources.pin.coverage) == ("git", Coverage.FULL)
    assert {path: file.text.encode() for path, file in sources.files.items()} == full
    standing = tree_of(root)
    assert {path: standing[path] for path in full} == full
    assert standing.keys() - full.keys() == {"PIN.yaml", "HERE.json"}
    assert standing["PIN.yaml"] == to_yaml(make_pin(sha, "v9.9.9", "git", Coverage.FULL, full)).encode()
    assert "\n" not in sentence


def test_a_second_call_writes_nothing_and_asks_nobody(kept: Path, clone) -> None:
    before = {path: path.stat().st_mtime_ns for path in [kept, *kept.rglob("*")]}
    sha = clone.git("rev-parse", "HEAD")
    clone.path.rename(clone.path.with_name("moved"))
    for rev in (None, sha, "v9.9.9"):
        sources, _ = obtain(rev, None, "auto", kept, offline=True)
        assert sources.pin.revision == sha
    assert {path: path.stat().st_mtime_ns for path in [kept, *kept.rglob("*")]} == before


def test_a_second_call_loads_no_heavy_library(kept: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from porter.upstream import obtain; "
        "obtain('v9.9.9', None, 'auto', Path(sys.argv[1])); "
        "print([m for m in ('requests', 'urllib3', 'jsonschema', 'rich', 'filelock') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(kept)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_another_revision_takes_its_place(kept: Path, clone, full, tree_of: Reader) -> None:
    sha = clone.commit({"mlx/backend/metal/kernels/new.h": b"// new\n"})
    sources, _ = obtain(sha[:12], str(clone.path), "git", kept)
    assert sources.pin.revision == sha
    assert tree_of(kept).keys() == full.keys() | {"PIN.yaml", "HERE.json", "mlx/backend/metal/kernels/new.h"}


def test_two_machines_write_the_same_bytes(tmp_path: Path, clone, own_cache: Path, tree_of: Reader) -> None:
    code = (
        "import sys; from pathlib import Path; from porter.upstream import obtain; "
        "obtain('v9.9.9', sys.argv[2], 'git', Path(sys.argv[1]))"
    )
    for name, zone, mask, locale in (("a", "Pacific/Kiritimati", 0o022, "C"), ("b", "America/Lima", 0o077, "C.UTF-8")):
        environment = {**os.environ, "TZ": zone, "LC_ALL": locale, "STEEL_PORT_CACHE": str(tmp_path / f"cache-{name}")}
        command = [sys.executable, "-c", code, str(tmp_path / name / "upstream_mlx"), str(clone.path)]
        subprocess.run(command, env=environment, umask=mask, check=True)
    assert tree_of(tmp_path / "a/upstream_mlx") == tree_of(tmp_path / "b/upstream_mlx")
    assert str(tmp_path).encode() not in b"".join(tree_of(tmp_path / "a/upstream_mlx").values())


def test_vendored_reads_what_stands_and_fetches_nothing(kept: Path, tmp_path: Path, full, monkeypatch) -> None:
    monkeypatch.setenv("STEEL_PORT_MLX_GIT", str(tmp_path / "nothing"))
    assert vendored(kept).files.keys() == full.keys()
    fresh_clone_of(kept)
    for empty in (kept, tmp_path / "absent"):
        with pytest.raises(TreeError) as caught:
            vendored(empty)
        assert caught.value.where == str(empty)


# -- the record ------------------------------------------------------------------------------------------------------


def test_a_fresh_clone_of_ours_gets_the_files_and_keeps_the_record(kept: Path, clone, full, tree_of: Reader) -> None:
    before = tree_of(kept)
    fresh_clone_of(kept)
    obtain(None, str(clone.path), "git", kept)
    assert tree_of(kept) == before


def test_headers_do_not_change_the_record_of_a_full_source(kept: Path, header_folder: Path, headers, tree_of) -> None:
    whole = vendored(kept)
    pin = fresh_clone_of(kept)
    sources, _ = obtain(None, str(header_folder), "dir", kept)
    assert sources.pin.coverage is Coverage.HEADERS
    assert sources.files.keys() == headers.keys()
    assert sources.pin_digest == whole.pin_digest
    assert (kept / "PIN.yaml").read_bytes() == pin
    assert tree_of(kept).keys() == headers.keys() | {"PIN.yaml", "HERE.json"}
    assert vendored(kept) == sources


def test_the_record_keeps_what_a_person_wrote_into_it(kept: Path, clone) -> None:
    pin = fresh_clone_of(kept) + b"# a remark\n"
    (kept / "PIN.yaml").write_bytes(pin)
    obtain(None, str(clone.path), "git", kept)
    assert (kept / "PIN.yaml").read_bytes() == pin


def test_a_full_source_widens_the_record_of_headers(
    root: Path, clone, header_folder: Path, own_cache: Path, full
) -> None:
    sha = clone.git("rev-parse", "HEAD")
    obtain(sha, str(header_folder), "dir", root)
    sources, _ = obtain(sha, str(clone.path), "git", root)
    assert sources.files.keys() == full.keys()
    assert (root / "PIN.yaml").read_text() == to_yaml(make_pin(sha, None, "git", Coverage.FULL, full))


@pytest.mark.parametrize("provider", ["git", "dir"])
def test_bytes_that_differ_from_the_record(kept: Path, clone, header_folder: Path, tree_of: Reader, provider) -> None:
    pin = fresh_clone_of(kept)
    found = make_pin("1" * 40, None, "git", Coverage.FULL, {"LICENSE": (clone.path / "LICENSE").read_bytes()}).files[0]
    (kept / "PIN.yaml").write_bytes(pin.replace(found.sha256.encode(), b"0" * 64))
    before = tree_of(kept)
    source = clone.path if provider == "git" else header_folder
    with pytest.raises(DigestMismatch) as caught:
        obtain(None, str(source), provider, kept)
    for part in ("LICENSE", found.sha256, "0" * 64):
        assert part in str(caught.value)
    assert caught.value.next_step
    assert tree_of(kept) == before


def test_a_header_that_the_record_names_and_the_source_lacks(kept: Path, header_folder: Path, tree_of: Reader) -> None:
    fresh_clone_of(kept)
    (header_folder / "mlx/backend/metal/kernels/one.h").unlink()
    with pytest.raises(DigestMismatch, match=r"one\.h"):
        obtain(None, str(header_folder), "dir", kept)
    assert tree_of(kept).keys() == {"PIN.yaml"}


def test_a_header_that_the_record_does_not_name(kept: Path, header_folder: Path) -> None:
    fresh_clone_of(kept)
    (header_folder / "mlx/backend/metal/kernels/more.h").write_bytes(b"")
    with pytest.raises(DigestMismatch, match=r"more\.h"):
        obtain(None, str(header_folder), "dir", kept)


# -- changed by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlx/backend/metal/kernels/one.h", "mlx/mine.txt"])
@pytest.mark.parametrize("rev", [None, "later"])
def test_work_of_a_person_is_neither_used_nor_lost(kept: Path, clone, tree_of: Reader, name: str, rev) -> None:
    (kept / name).write_bytes(b"mine\n")
    before = tree_of(kept)
    if rev:
        clone.commit({"LICENSE": b"new"})
        clone.git("tag", rev)
    with pytest.raises(DigestMismatch) as caught:
        obtain(rev, str(clone.path), "git", kept)
    assert name in str(caught.value)
    assert tree_of(kept) == before


def test_files_beside_the_pin_of_a_fresh_clone_are_not_lost(kept: Path, clone, tree_of: Reader) -> None:
    fresh_clone_of(kept)
    (kept / "mine.txt").write_bytes(b"mine\n")
    with pytest.raises(DigestMismatch, match=r"mine\.txt"):
        obtain(None, str(clone.path), "git", kept)
    assert (kept / "mine.txt").read_bytes() == b"mine\n"


def test_a_missing_file_is_brought_again(kept: Path, clone, tree_of: Reader) -> None:
    before = tree_of(kept)
    (kept / "mlx/backend/metal/kernels/one.h").unlink()
    obtain(None, str(clone.path), "git", kept)
    assert tree_of(kept) == before


def test_a_malformed_pin(kept: Path, clone, tree_of: Reader) -> None:
    (kept / "PIN.yaml").write_text("revision: main\n")
    before = tree_of(kept)
    with pytest.raises(UpstreamError) as caught:
        obtain("v9.9.9", str(clone.path), "git", kept)
    assert caught.value.where == f"{kept / 'PIN.yaml'}:1"
    assert tree_of(kept) == before


# -- what cannot be had ----------------------------------------------------------------------------------------------


def test_no_licence(kept: Path, clone, tree_of: Reader) -> None:
    before = tree_of(kept)
    clone.git("rm", "--quiet", "LICENSE")
    with pytest.raises(UpstreamError, match="LICENSE"):
        obtain(clone.commit({}), str(clone.path), "git", kept)
    assert tree_of(kept) == before


def test_a_file_that_is_not_text(kept: Path, clone, tree_of: Reader) -> None:
    before = tree_of(kept)
    sha = clone.commit({"mlx/backend/metal/kernels/one.h": b"\xff\xfe"})
    with pytest.raises(UpstreamError, match="UTF-8"):
        obtain(sha, str(clone.path), "git", kept)
    assert tree_of(kept) == before


@pytest.mark.parametrize(
    ("source", "provider"),
    [("x", "github"), ("x", "wheel"), (None, "git"), (None, "dir"), (None, "ftp"), ("x", "ftp")],
)
def test_words_that_do_not_go_together(root: Path, own_cache: Path, source: str | None, provider: str) -> None:
    with pytest.raises(UsageError):
        obtain("v0.30.1", source, provider, root)
    assert not root.exists()


def test_an_unknown_revision(kept: Path, clone, tree_of: Reader) -> None:
    before = tree_of(kept)
    for rev in ("v0.0.0", "no-such-tag", "0000000", "0" * 40):
        with pytest.raises(UnknownRevision):
            obtain(rev, str(clone.path), "git", kept)
    assert tree_of(kept) == before


# -- auto ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def github(server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEEL_PORT_MLX_ARCHIVES", server.url)
    return server


def test_auto_takes_the_configured_clone_before_github(root: Path, clone, github, own_cache, monkeypatch) -> None:
    monkeypatch.setenv("STEEL_PORT_MLX_GIT", str(clone.path))
    sources, _ = obtain("v9.9.9", None, "auto", root)
    assert sources.pin.provider == "git"
    assert github.asked == []


def test_auto_takes_github_where_the_clone_is_none(
    root: Path, github, archive_of, own_cache, full, monkeypatch
) -> None:
    monkeypatch.setenv("STEEL_PORT_MLX_GIT", str(root / "nothing"))
    github.answers = [(200, archive_of(full, "1" * 40))]
    sources, sentence = obtain("1" * 40, None, "auto", root)
    assert sources.pin.provider == "github"
    assert sources.files.keys() == full.keys()
    assert "no such folder" in sentence  # why not the clone


def test_auto_takes_the_cache_first(tmp_path: Path, root: Path, github, archive_of, own_cache, full, tree_of) -> None:
    github.answers = [(200, archive_of(full))]
    obtain("1" * 40, None, "auto", root)
    again = tmp_path / "again"
    obtain("1" * 40, None, "auto", again, offline=True)
    assert len(github.asked) == 1
    assert tree_of(again) == tree_of(root)


def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, root: Path, github, archive_of, own_cache, full, tree_of
) -> None:
    github.answers = [(200, archive_of(full))]
    obtain("1" * 40, None, "auto", root)
    (own_cache / "mlx" / f"{'1' * 40}-github" / "LICENSE").write_bytes(b"damaged")
    obtain("1" * 40, None, "auto", tmp_path / "again")
    assert len(github.asked) == 2
    assert tree_of(tmp_path / "again") == tree_of(root)


def test_auto_does_not_pass_over_an_archive_that_is_wrong(root: Path, github, archive_of, own_cache, full) -> None:
    github.answers = [(200, archive_of(full)[:-20])]
    with pytest.raises(ArchiveError):
        obtain("v0.30.1", None, "auto", root)
    assert not root.exists()


def test_auto_finds_nothing(root: Path, github, own_cache) -> None:
    github.answers = [(404, b"no")]
    with pytest.raises(UnknownRevision):
        obtain("1" * 40, None, "auto", root)
    assert not root.exists()


def test_auto_reaches_nobody(root: Path, own_cache, monkeypatch) -> None:
    monkeypatch.setenv("STEEL_PORT_MLX_ARCHIVES", NOBODY)
    for offline in (True, False):
        with pytest.raises(NetworkError) as caught:
            obtain("1" * 40, None, "auto", root, offline=offline)
        assert caught.value.next_step


def test_a_source_by_hand_is_that_or_an_error(root: Path, github, archive_of, own_cache, full) -> None:
    github.answers = [(200, archive_of(full))]
    with pytest.raises(UpstreamError):
        obtain("1" * 40, str(root / "nothing"), "auto", root)
    assert github.asked == []


def test_auto_widens_headers_where_a_clone_is_configured(
    root: Path, clone, header_folder, own_cache, monkeypatch
) -> None:
    sha = clone.git("rev-parse", "HEAD")
    obtain(sha, str(header_folder), "dir", root)
    assert obtain(sha, None, "auto", root)[0].pin.coverage is Coverage.HEADERS
    monkeypatch.setenv("STEEL_PORT_MLX_GIT", str(clone.path))
    assert obtain(sha, None, "auto", root)[0].pin.coverage is Coverage.FULL


# -- the real wheel --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wheel")
def test_auto_falls_to_the_real_wheel_and_says_so(root: Path, monkeypatch, release) -> None:
    monkeypatch.delenv("STEEL_PORT_MLX_GIT", raising=False)
    monkeypatch.setenv("STEEL_PORT_MLX_ARCHIVES", NOBODY)
    monkeypatch.setattr("porter.upstream.store.look", lambda *_: None)  # the developer's cache may hold a full source
    sources, sentence = obtain("v0.30.1", None, "auto", root)
    assert (sources.pin.revision, sources.pin.provider) == (release.sha, "wheel")
    assert sources.pin.coverage is Coverage.HEADERS
    assert len(sources.files) == 86  # 83 kernel headers, two that hold kernels as strings, and LICENSE
    assert sources.files["mlx/backend/metal/kernels/steel/gemm/params.h"].text.startswith("// Copyright")
    for word in ("wheel", "github", ".metal"):
        assert word in sentence
    assert obtain(root=root)[0] == sources


CONFIGURED = os.environ.get("STEEL_PORT_TEST_CLONE")  # set by tests/conftest.py


@pytest.mark.usefixtures("wheel")
@pytest.mark.skipif(not CONFIGURED, reason="STEEL_PORT_MLX_GIT names no clone of MLX")
def test_the_real_wheel_holds_to_a_record_made_from_a_clone(root: Path, release) -> None:
    whole, _ = obtain(release.tag, CONFIGURED, "git", root)
    pin = fresh_clone_of(root)
    sources, _ = obtain(None, None, "wheel", root)
    assert (root / "PIN.yaml").read_bytes() == pin
    assert sources.pin_digest == whole.pin_digest
    assert set(sources.pin.files) < set(whole.pin.files)
