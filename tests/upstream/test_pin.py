# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from porter.errors import DigestMismatch, UpstreamError
from porter.model import Coverage, Pin
from porter.upstream import pin as pins
from porter.upstream.pin import make_pin, merged, present, read_here, read_pin, to_yaml, verify_tree
from porter.upstream.selection import carried_by, coverage_of, wanted
from porter.upstream.trees import replace_tree

SHA = "1" * 40


@pytest.fixture
def whole(full: dict[str, bytes]) -> Pin:
    return make_pin(SHA, "v9.9.9", "git", Coverage.FULL, full)


def test_what_is_vendored() -> None:
    kernels = "mlx/backend/metal/kernels"
    for path in (
        "LICENSE",
        f"{kernels}/a.h",
        f"{kernels}/s/b.metal",
        f"{kernels}/CMakeLists.txt",
        "mlx/backend/metal/m.cpp",
        "mlx/backend/metal/jit/indexing.h",
        "mlx/backend/common/hadamard.h",
    ):
        assert wanted(path), path
    for path in (
        "README.md",
        "mlx/backend/metal/jit/a.h",
        "mlx/backend/common/a.h",
        "mlx/backend/metal/CMakeLists.txt",
        "mlx/LICENSE",
        kernels,
    ):
        assert not wanted(path), path
    assert coverage_of("LICENSE") is coverage_of(f"{kernels}/a.h") is Coverage.HEADERS
    assert coverage_of(f"{kernels}/a.metal") is coverage_of("mlx/backend/metal/m.h") is Coverage.FULL
    assert carried_by("LICENSE", Coverage.FULL)


def test_what_is_written_says_what_it_should(whole: Pin, full: dict[str, bytes]) -> None:
    data = yaml.safe_load(to_yaml(whole))
    files = {path: [len(content), hashlib.sha256(content).hexdigest()] for path, content in full.items()}
    assert data == {"revision": SHA, "tag": "v9.9.9", "provider": "git", "coverage": "full", "files": files}


def test_there_and_back(tmp_path: Path, whole: Pin, headers: dict[str, bytes]) -> None:
    for made in (whole, make_pin(SHA, None, "wheel", Coverage.HEADERS, headers)):
        pins.write(tmp_path / "PIN.yaml", made)
        assert read_pin(tmp_path / "PIN.yaml") == made


def test_nothing_without_the_licence(headers: dict[str, bytes]) -> None:
    del headers["LICENSE"]
    with pytest.raises(UpstreamError, match="LICENSE"):
        make_pin(SHA, None, "dir", Coverage.HEADERS, headers)


def test_what_is_present_of_a_record(whole: Pin, headers: dict[str, bytes]) -> None:
    assert present(whole, "wheel", Coverage.HEADERS) == make_pin(SHA, "v9.9.9", "wheel", Coverage.HEADERS, headers)


def test_a_record_grows_and_never_shrinks(whole: Pin, headers: dict[str, bytes]) -> None:
    part = make_pin(SHA, "v9.9.9", "wheel", Coverage.HEADERS, headers)
    assert merged(None, part) is part
    assert merged(part, whole) is whole
    assert merged(whole, part) is whole
    assert merged(whole, present(whole, "github", Coverage.FULL)) is whole


# The lines of PIN.yaml as `to_yaml` writes it: 5 of comment, then revision is line 6, tag 7, provider 8, coverage 9,
# files 10, and from line 11 on the files in the order of their paths.
@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (SHA, "main", 6),
        (SHA, "123", 6),
        ('"v9.9.9"', "7", 7),
        ("provider: git", "provider: ftp", 8),
        ("provider: git", "provider: [git]", 8),
        ("coverage: full", "coverage: half", 9),
        ("coverage: full", "coverage: headers", 12),
        ("coverage: full\n", "", 6),
        ("coverage: full", "coverage: full\nmore: 1", 10),
        ("files:", "files: []\nx:", 11),
        ('"LICENSE"', '"LICENCE"', 10),
        ('"LICENSE"', '"/LICENSE"', 11),
        ('"LICENSE"', '"../LICENSE"', 11),
        ('"LICENSE": [', '"LICENSE": ["x", ', 11),
        ('"LICENSE": [', '"LICENSE": [-', 11),
        ('"LICENSE": [', '"LICENSE": [1.', 11),
        ("mlx/backend/metal/host.cpp", "zzz/host.cpp", 10),
        ("mlx/backend/metal/host.cpp", "LICENSE", 12),
        ("provider: git", "provider: git: git", 8),
        ("provider: git", "provider: *git", 8),
        ("provider: git", "provider: !!python/object/apply:os.getpid []", 8),
    ],
)
def test_a_malformed_pin_names_file_and_line(tmp_path: Path, whole: Pin, before: str, after: str, line: int) -> None:
    text = to_yaml(whole)
    assert before in text
    path = tmp_path / "PIN.yaml"
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(UpstreamError) as caught:
        read_pin(path)
    assert caught.value.where == f"{path}:{line}"
    assert caught.value.next_step


def test_a_digest_that_is_none(tmp_path: Path, whole: Pin) -> None:
    path = tmp_path / "PIN.yaml"
    path.write_text(to_yaml(whole).replace(whole.files[2].sha256, "0" * 63))
    with pytest.raises(UpstreamError) as caught:
        read_pin(path)
    assert caught.value.where == f"{path}:13"


@pytest.mark.parametrize("data", [b"", b"\xff", b"- 1\n", b"text", b"[" * 100_000, b"\0", b"\t"])
def test_no_pin_at_all(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "PIN.yaml"
    path.write_bytes(data)
    with pytest.raises(UpstreamError) as caught:
        read_pin(path)
    assert str(caught.value.where).startswith(str(path))
    with pytest.raises(UpstreamError):
        read_pin(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"provider": "ftp", "coverage": "full"}', b'{"provider": []}', b"\xff"]
)
def test_a_note_that_is_none(tmp_path: Path, whole: Pin, data: bytes) -> None:
    assert read_here(tmp_path, whole) is None
    (tmp_path / "HERE.json").write_bytes(data)
    with pytest.raises(UpstreamError) as caught:
        read_here(tmp_path, whole)
    assert caught.value.where == str(tmp_path / "HERE.json")


@pytest.fixture
def root(tmp_path: Path, whole: Pin, full: dict[str, bytes]) -> Path:
    replace_tree(tmp_path / "t", {"PIN.yaml": to_yaml(whole).encode(), **full})
    return tmp_path / "t"


def test_a_whole_tree(root: Path, whole: Pin, full: dict[str, bytes]) -> None:
    assert verify_tree(root, whole) == full


@pytest.mark.parametrize("change", ["altered", "longer", "missing", "extra", "link", "folder link"])
def test_a_tree_that_is_not_whole(root: Path, whole: Pin, change: str) -> None:
    name = "mlx/backend/metal/kernels/one.h"
    if change in ("altered", "longer"):
        (root / name).write_bytes(b"// two\r\n" if change == "altered" else b"x" * 100_000)
    elif change == "extra":
        name = "mlx/notes.txt"
        (root / name).write_bytes(b"")
    elif change == "folder link":
        name = "mlx/backend/metal/kernels/deep"
        (root / name).rename(root.parent / "deep")
        (root / name).symlink_to(root.parent / "deep")
    else:
        (root / name).rename(root.parent / "moved")
        if change == "link":
            (root / name).symlink_to(root.parent / "moved")
    with pytest.raises(DigestMismatch) as caught:
        verify_tree(root, whole)
    assert name in str(caught.value)
    assert caught.value.next_step
    if change == "altered":
        for content in (b"// one\r\n", b"// two\r\n"):
            assert hashlib.sha256(content).hexdigest() in str(caught.value)
