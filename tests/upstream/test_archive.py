# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Archives that a stranger made."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.errors import ArchiveError
from porter.upstream.archive import Limits, Zip, read_tar_gz

SHA = "1" * 40
GOOD = {"LICENSE": b"licence", "a/b.h": b"x" * 5000, "no.txt": b"not wanted"}
Make = Callable[..., bytes]


def read(data: bytes, **more: object) -> dict[str, bytes]:
    return read_tar_gz(io.BytesIO(data), "the.tar.gz", lambda path: path != "no.txt", **more)  # type: ignore[arg-type]


def special(name: str, kind: bytes, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def test_good(archive_of: Make) -> None:
    folders = [special("mlx-x", tarfile.DIRTYPE), special("mlx-x/a", tarfile.DIRTYPE)]
    wanted = {"LICENSE": b"licence", "a/b.h": b"x" * 5000}
    assert read(archive_of(GOOD)) == wanted
    assert read(archive_of([*folders, *GOOD.items()], SHA), commit=SHA) == wanted


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "mlx-x/../../up", "mlx-x/a/../b", "mlx-x//a", "mlx-x/a\\b", "mlx-x"]
)
def test_a_path_that_leaves_its_folder(archive_of: Make, name: str) -> None:
    members = [*GOOD.items(), special(name, tarfile.REGTYPE)]
    with pytest.raises(ArchiveError) as caught:
        read(archive_of(members))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE],
    ids=["symlink", "hard link", "character device", "block device", "fifo", "contiguous"],
)
@pytest.mark.parametrize("name", ["mlx-x/a/link.h", "mlx-x/no.txt"], ids=["wanted", "not wanted"])
def test_what_is_not_a_plain_file(archive_of: Make, kind: bytes, name: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        read(archive_of([("LICENSE", b""), special(name, kind, "/etc/passwd")]))
    assert name in str(caught.value)


def test_a_member_twice(archive_of: Make) -> None:
    with pytest.raises(ArchiveError, match="twice") as caught:
        read(archive_of([("LICENSE", b"a"), ("LICENSE", b"b")]))
    assert "mlx-x/LICENSE" in str(caught.value)


def test_a_second_top_folder(archive_of: Make) -> None:
    with pytest.raises(ArchiveError, match="mlx-x2/a"):
        read(archive_of([("LICENSE", b"a"), ("mlx-x2/a", b"b")]))


@pytest.mark.parametrize(
    "limits",
    [Limits(members=2), Limits(member=4999), Limits(expanded=6000)],
    ids=["members", "a member", "expanded"],
)
def test_too_much(archive_of: Make, limits: Limits) -> None:
    with pytest.raises(ArchiveError):
        read(archive_of(GOOD), limits=limits)


def test_a_bomb_is_not_unpacked(archive_of: Make) -> None:
    data = archive_of({"LICENSE": b"", "no.txt": bytes(64 << 20)})
    assert len(data) < 100_000
    with pytest.raises(ArchiveError):
        read(data, limits=Limits(expanded=1 << 20))


def test_cut_anywhere(archive_of: Make) -> None:
    data = archive_of({"LICENSE": b"licence", "a/b.h": bytes(range(256)) * 20}, SHA)
    for length in range(len(data)):
        with pytest.raises(ArchiveError):
            read(data[:length])


def test_a_tar_cut_before_it_was_compressed(archive_of: Make) -> None:
    whole = gzip.decompress(archive_of(GOOD))
    end = whole.rstrip(b"\0")
    blocks = -(-len(end) // 512) * 512
    for length in (blocks, blocks - 512, blocks - 600, 512 * 3, 0):
        with pytest.raises(ArchiveError):
            read(gzip.compress(whole[:length]))


def test_a_flipped_bit(archive_of: Make) -> None:
    data = bytearray(archive_of({"LICENSE": bytes(range(256)) * 8}))
    data[len(data) // 2] ^= 1
    with pytest.raises(ArchiveError):
        read(bytes(data))


def test_not_an_archive() -> None:
    with pytest.raises(ArchiveError, match="not a readable"):
        read(b"<html>sign in to this network</html>")
    with pytest.raises(ArchiveError):
        read(gzip.compress(b"not a tar" * 200))


def test_the_archive_of_another_commit(archive_of: Make) -> None:
    with pytest.raises(ArchiveError) as caught:
        read(archive_of(GOOD, SHA), commit="2" * 40)
    assert SHA in str(caught.value)


# -- zip ---------------------------------------------------------------------------------------------------------------


def zipped(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_a_good_zip(tmp_path: Path) -> None:
    with Zip(zipped(tmp_path / "a.zip", [("d/", b""), ("d/a", b"1"), ("b", b"22")])) as archive:
        assert sorted(archive.members) == ["b", "d/a"]
        assert archive.read("b") == b"22"
        with pytest.raises(ArchiveError, match="missing"):
            archive.read("c")


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../up", "a\\..\\b"])
def test_a_zip_path_that_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        Zip(zipped(tmp_path / "a.zip", [("ok", b""), (name, b"")]))
    assert name in str(caught.value)


def test_a_zip_with_a_link(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ArchiveError, match="link"):
        Zip(zipped(tmp_path / "a.zip", [(info, b"/etc/passwd")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_member_twice(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="twice"):
        Zip(zipped(tmp_path / "a.zip", [("a", b"1"), ("a", b"2")]))


@pytest.mark.parametrize("limits", [Limits(compressed=100), Limits(expanded=4999), Limits(members=1)])
def test_a_zip_that_is_too_large(tmp_path: Path, limits: Limits) -> None:
    path = zipped(tmp_path / "a.zip", [("a", bytes(5000)), ("b", b"")])
    with pytest.raises(ArchiveError):
        Zip(path, limits)


def test_a_zip_member_that_is_too_large(tmp_path: Path) -> None:
    with Zip(zipped(tmp_path / "a.zip", [("a", bytes(5000))]), Limits(member=4999)) as archive:  # noqa: SIM117
        with pytest.raises(ArchiveError, match="5000"):
            archive.read("a")


def test_a_zip_cut_anywhere(tmp_path: Path) -> None:
    data = zipped(tmp_path / "a.zip", [("a", bytes(range(256)))]).read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / "cut.zip").write_bytes(data[:length])
        with pytest.raises(ArchiveError):
            Zip(tmp_path / "cut.zip")


def test_a_flipped_bit_in_a_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("a", bytes(range(256)) * 8)])
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with Zip(path) as archive, pytest.raises(ArchiveError, match=r"a\.zip: a"):
        archive.read("a")
