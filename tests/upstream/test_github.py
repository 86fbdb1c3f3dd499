# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The GitHub provider against a server on this machine."""

from __future__ import annotations

import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.errors import ArchiveError, NetworkError, UnknownRevision
from porter.model import Coverage
from porter.upstream.archive import Limits
from porter.upstream.providers import silent
from porter.upstream.providers.github import Github
from porter.upstream.resolve import Revision

SHA = "1" * 40
Make = Callable[..., bytes]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_the_archive_of_a_commit(server, archive_of: Make, full, into: Path, tree_of) -> None:
    body = archive_of({**full, "README.md": b"not wanted"}, SHA)
    server.answers = [(200, body)]
    seen: list[tuple[int, int | None]] = []
    provider = Github(f"{server.url}/archive")
    provider.fetch(Revision(SHA), into, lambda what, done, total: seen.append((done, total)))
    assert tree_of(into) == full
    assert server.asked == [f"/archive/{SHA}.tar.gz"]
    assert seen[-1] == (len(body), len(body))
    assert provider.coverage is Coverage.FULL


def test_another_address_from_the_environment(server, archive_of: Make, full, into: Path, monkeypatch, tree_of) -> None:
    monkeypatch.setenv("STEEL_PORT_MLX_ARCHIVES", f"{server.url}/mirror/")
    server.answers = [(200, archive_of(full))]
    Github().fetch(Revision(SHA), into, silent)
    assert server.asked == [f"/mirror/{SHA}.tar.gz"]
    assert tree_of(into) == full


def test_a_busy_server_is_asked_again(server, archive_of: Make, full, into: Path, tree_of) -> None:
    server.answers = [(500, b"oh"), (503, b"busy"), (200, archive_of(full))]
    Github(server.url).fetch(Revision(SHA), into, silent)
    assert tree_of(into) == full
    assert len(server.asked) == 3


def test_a_server_that_stays_busy(server, into: Path) -> None:
    server.answers = [(500, b"oh")]
    with pytest.raises(NetworkError, match="500"):
        Github(server.url).fetch(Revision(SHA), into, silent)
    assert len(server.asked) == 3


def test_no_such_commit(server, into: Path) -> None:
    server.answers = [(404, b"no")]
    with pytest.raises(UnknownRevision, match=SHA):
        Github(server.url).fetch(Revision(SHA), into, silent)
    assert len(server.asked) == 1


def test_a_connection_that_is_lost(server, archive_of: Make, full, into: Path, tree_of) -> None:
    server.answers, server.cut = [(200, archive_of(full))], 10
    with pytest.raises(ArchiveError, match="ends early"):
        Github(server.url).fetch(Revision(SHA), into, silent)
    assert tree_of(into) == {}


def test_an_archive_that_is_short_though_the_connection_was_not(server, archive_of: Make, full, into: Path) -> None:
    server.answers = [(200, archive_of(full)[:-10])]
    with pytest.raises(ArchiveError, match="ends early"):
        Github(server.url).fetch(Revision(SHA), into, silent)


@pytest.mark.parametrize(("kind", "name"), [(tarfile.REGTYPE, "mlx-x/../../evil"), (tarfile.SYMTYPE, "mlx-x/LICENSE")])
def test_an_unsafe_archive(
    server, archive_of: Make, tmp_path: Path, into: Path, tree_of, kind: bytes, name: str
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    server.answers = [(200, archive_of([("mlx/backend/metal/kernels/a.h", b""), info]))]
    with pytest.raises(ArchiveError) as caught:
        Github(server.url).fetch(Revision(SHA), into, silent)
    assert name in str(caught.value)
    assert tree_of(into) == {}
    assert not (tmp_path / "evil").exists()


def test_too_large(server, archive_of: Make, full, into: Path) -> None:
    server.answers = [(200, archive_of(full))]
    with pytest.raises(ArchiveError):
        Github(server.url, limits=Limits(compressed=100)).fetch(Revision(SHA), into, silent)


def test_a_server_that_says_nothing(server, into: Path) -> None:
    server.answers = [(200, None)]
    with pytest.raises(NetworkError):
        Github(server.url, read=0.2).fetch(Revision(SHA), into, silent)
    assert len(server.asked) == 1  # a host that hangs is not waited for twice


def test_a_page_in_place_of_the_archive(server, into: Path) -> None:
    server.answers = [(200, b"<html>please sign in</html>")]
    with pytest.raises(ArchiveError):
        Github(server.url).fetch(Revision(SHA), into, silent)


def test_nobody_listens(into: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        with pytest.raises(NetworkError) as caught:
            Github(f"http://127.0.0.1:{taken.getsockname()[1]}").fetch(Revision(SHA), into, silent)
    assert "0x" not in str(caught.value)
    assert caught.value.next_step
