# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The wheel provider: the real wheel of the default release, and wheels that the tests make and break."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.errors import ArchiveError, NetworkError, ToolchainError, UnknownRevision
from porter.upstream.providers import silent
from porter.upstream.providers.wheel import Wheel, metallib_of, wheel_of
from porter.upstream.resolve import Revision
from porter.upstream.selection import ON_DEMAND

MADE = Revision("1" * 40, "v1.0.0", "1.0.0")
NAME = "mlx_metal-1.0.0-py3-none-macosx_15_0_arm64.whl"
Make = Callable[..., Path]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.fixture
def cached(own_cache: Path) -> Path:
    """Where the cache keeps the wheel of `MADE`."""
    return own_cache / "wheels/1.0.0" / NAME


@pytest.fixture
def pip_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip settings name as the only place to look."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


# -- the real one ------------------------------------------------------------------------------------------------------


def test_the_headers_and_the_licence_of_the_real_wheel(release: Revision, wheel: Path, into: Path, tree_of) -> None:
    Wheel(offline=True).fetch(release, into, silent)
    found = tree_of(into)
    with zipfile.ZipFile(wheel) as archive:
        kernels = [n for n in archive.namelist() if "/backend/metal/kernels/" in n and not n.endswith("/")]
        carried = [*kernels, *(f"mlx/include/{path}" for path in ON_DEMAND)]
        assert {f"mlx/include/{path}" for path in found} - {"mlx/include/LICENSE"} == set(carried)
        assert all(found[name.removeprefix("mlx/include/")] == archive.read(name) for name in carried)
    assert len(kernels) == 83  # `git ls-tree -r v0.30.1 mlx/backend/metal/kernels` lists 83 headers
    assert found["LICENSE"].startswith(b"MIT License")


def test_the_compiled_library_of_the_real_wheel(release: Revision, wheel: Path) -> None:
    path = metallib_of(release, offline=True)
    with zipfile.ZipFile(wheel) as archive, path.open("rb") as stream:
        assert path.stat().st_size == archive.getinfo("mlx/lib/mlx.metallib").file_size
        assert stream.read(4) == b"MTLB"
    assert metallib_of(str(release.tag), offline=True) == path


# -- made and broken ---------------------------------------------------------------------------------------------------


def test_by_pip_with_the_users_settings(
    pip_index: Path, cached: Path, make_wheel: Make, into, tree_of, headers
) -> None:
    make_wheel(pip_index / NAME)
    Wheel().fetch(MADE, into, silent)
    assert tree_of(into) == headers
    (pip_index / NAME).unlink()
    assert wheel_of(MADE) == cached  # the second time it is in the cache
    assert [path.name for path in cached.parent.iterdir()] == [NAME]


def test_a_newer_macos_wheel_is_not_taken(pip_index: Path, own_cache: Path, make_wheel: Make) -> None:
    make_wheel(pip_index / NAME.replace("15_0", "26_0"))
    with pytest.raises(NetworkError):
        wheel_of(MADE)


def test_pip_finds_nothing(pip_index: Path, own_cache: Path, into: Path) -> None:
    with pytest.raises(NetworkError, match=r"mlx-metal==1\.0\.0") as caught:
        Wheel().fetch(MADE, into, silent)
    assert "No matching distribution" in str(caught.value)
    assert list((own_cache / "wheels/1.0.0").iterdir()) == []


def test_no_network(own_cache: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NetworkError) as caught:
        Wheel().fetch(MADE, into, silent)
    assert caught.value.next_step


def test_no_pip(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    with pytest.raises(ToolchainError, match="no pip"):
        Wheel().fetch(MADE, into, silent)


def test_offline(own_cache: Path, into: Path) -> None:
    with pytest.raises(NetworkError, match="not in the cache"):
        Wheel(offline=True).fetch(MADE, into, silent)


def test_a_commit_that_is_no_release(own_cache: Path, into: Path) -> None:
    for call in (lambda: Wheel().fetch(Revision("1" * 40), into, silent), lambda: metallib_of("2" * 40)):
        with pytest.raises(UnknownRevision) as caught:
            call()
        assert caught.value.next_step


def test_other_platforms_files_are_left(cached: Path, make_wheel: Make, into: Path, tree_of, headers) -> None:
    make_wheel(cached)
    Wheel(offline=True).fetch(MADE, into, silent)
    assert tree_of(into) == headers


@pytest.mark.parametrize(
    "member", ["mlx/include/mlx/backend/metal/kernels/one.h", "mlx_metal-1.0.0.dist-info/licenses/LICENSE"]
)
def test_bytes_that_differ_from_record(cached: Path, make_wheel: Make, into: Path, tree_of, member: str) -> None:
    make_wheel(cached, spoil={member: b"changed"})
    with pytest.raises(ArchiveError) as caught:
        Wheel(offline=True).fetch(MADE, into, silent)
    assert member in str(caught.value)
    assert "sha256" in str(caught.value)
    assert tree_of(into) == {}


def test_a_header_that_record_does_not_name(cached: Path, make_wheel: Make, into: Path) -> None:
    make_wheel(cached, spoil={"mlx/include/mlx/backend/metal/kernels/new.h": b""})
    with pytest.raises(ArchiveError, match=r"new\.h"):
        Wheel(offline=True).fetch(MADE, into, silent)


def test_no_licence(cached: Path, make_wheel: Make, into: Path) -> None:
    make_wheel(cached, drop="mlx_metal-1.0.0.dist-info/licenses/LICENSE")
    with pytest.raises(ArchiveError, match="LICENSE"):
        Wheel(offline=True).fetch(MADE, into, silent)


def test_a_record_that_is_none(cached: Path, into: Path) -> None:
    cached.parent.mkdir(parents=True)
    with zipfile.ZipFile(cached, "w") as archive:
        archive.writestr("mlx_metal-1.0.0.dist-info/RECORD", b"\xff\xfe")
    with pytest.raises(ArchiveError, match="RECORD"):
        Wheel(offline=True).fetch(MADE, into, silent)


def test_a_cached_wheel_that_is_cut_short_is_fetched_again(
    pip_index: Path, cached: Path, make_wheel: Make, into: Path, tree_of, headers
) -> None:
    whole = make_wheel(pip_index / NAME).read_bytes()
    cached.parent.mkdir(parents=True)
    cached.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError):
        Wheel(offline=True).fetch(MADE, into, silent)
    Wheel().fetch(MADE, into, silent)
    assert tree_of(into) == headers


def test_the_compiled_library_is_held_against_record_each_time(cached: Path, make_wheel: Make) -> None:
    make_wheel(cached)
    path = metallib_of(MADE, offline=True)
    assert path.read_bytes() == b"MTLB" + bytes(1000)
    path.write_bytes(b"MTLB" + bytes(999) + b"x")
    assert metallib_of(MADE, offline=True).read_bytes() == b"MTLB" + bytes(1000)


def test_a_compiled_library_that_differs_from_record(cached: Path, own_cache: Path, make_wheel: Make) -> None:
    make_wheel(cached, spoil={"mlx/lib/mlx.metallib": b"MTLB" + bytes(999) + b"x"})
    with pytest.raises(ArchiveError, match=r"mlx\.metallib"):
        metallib_of(MADE, offline=True)
    assert list((own_cache / "metallib").iterdir()) == []


def test_a_wheel_without_a_compiled_library(cached: Path, make_wheel: Make) -> None:
    make_wheel(cached, drop="mlx/lib/mlx.metallib")
    with pytest.raises(ArchiveError, match=r"mlx\.metallib"):
        metallib_of(MADE, offline=True)
