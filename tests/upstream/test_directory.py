# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import pytest

from porter.errors import ArchiveError, UpstreamError
from porter.model import Coverage
from porter.upstream.providers import put, silent
from porter.upstream.providers.directory import Directory
from porter.upstream.resolve import Revision

HERE = Revision("1" * 40)


@pytest.fixture
def folder(tmp_path: Path, full: dict[str, bytes]) -> Path:
    put(tmp_path / "mlx", {**full, "README.md": b"not wanted"})
    return tmp_path / "mlx"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_a_whole_tree(folder: Path, into: Path, full, tree_of) -> None:
    provider = Directory(folder)
    provider.fetch(HERE, into, silent)
    assert provider.coverage is Coverage.FULL
    assert tree_of(into) == full


@pytest.mark.parametrize("gone", ["mlx/backend/metal/host.cpp", "mlx/backend/metal/kernels/one.metal"])
def test_a_tree_without_host_code_or_metal_files_counts_as_headers(
    folder: Path, into: Path, headers, tree_of, gone
) -> None:
    (folder / gone).unlink()
    provider = Directory(folder)
    provider.fetch(HERE, into, silent)
    assert provider.coverage is Coverage.HEADERS
    assert tree_of(into) == headers


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError) as caught:
        Directory(tmp_path)
    assert caught.value.where == str(tmp_path)
    assert caught.value.next_step


def test_no_licence(folder: Path, into: Path) -> None:
    (folder / "LICENSE").unlink()
    with pytest.raises(ArchiveError) as caught:
        Directory(folder).fetch(HERE, into, silent)
    assert caught.value.where == str(folder / "LICENSE")


@pytest.mark.parametrize("name", ["LICENSE", "mlx/backend/metal/kernels/one.h", "mlx/backend/metal/kernels/deep"])
def test_a_link(folder: Path, into: Path, name: str, tree_of) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(ArchiveError) as caught:
        Directory(folder).fetch(HERE, into, silent)
    assert caught.value.where == str(folder / name)
    assert tree_of(into) == {}
