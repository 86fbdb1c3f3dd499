# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of this room stand on: a small tree of our own in MLX's layout, as a clone, an archive and a server;
and the real thing, the wheel of the default release from the registry."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from porter.upstream.providers import silent
from porter.upstream.providers.wheel import wheel_of
from porter.upstream.resolve import Revision, load_releases

HEADERS = {
    "LICENSE": b"A licence of our own, for tests.\n",
    "mlx/backend/metal/kernels/one.h": b"// one\r\n",
    "mlx/backend/metal/kernels/deep/two.h": "// zwei, größer\n".encode(),
}
FULL = {
    **HEADERS,
    "mlx/backend/metal/kernels/one.metal": b"// one, instantiated\n",
    "mlx/backend/metal/kernels/CMakeLists.txt": b"# build\n",
    "mlx/backend/metal/host.cpp": b"// host\n",
}
UNWANTED = {"README.md": b"# not ours to take\n", "mlx/backend/cpu/host.cpp": b"// cpu\n"}


@pytest.fixture
def headers() -> dict[str, bytes]:
    """The vendored files of the small tree that a wheel would carry."""
    return dict(HEADERS)


@pytest.fixture
def full() -> dict[str, bytes]:
    """All vendored files of the small tree."""
    return dict(FULL)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for this test alone, and no clone configured."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("STEEL_PORT_CACHE", str(cache))
    monkeypatch.delenv("STEEL_PORT_MLX_GIT", raising=False)
    return cache


@dataclass(frozen=True)
class Clone:
    path: Path

    def git(self, *arguments: str, given: bytes = b"") -> str:
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.org",
            "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
            "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
        }
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], input=given, capture_output=True, env=environment
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, bytes], message: str = "a commit") -> str:
        for path, data in files.items():
            place = self.path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A git repository with the small tree in one commit, tagged `v9.9.9`."""
    path = tmp_path / "clone"
    path.mkdir()
    made = Clone(path)
    made.git("init", "--quiet", "--initial-branch=trunk")
    made.commit({**FULL, **UNWANTED})
    made.git("tag", "v9.9.9")
    return made


def tar_gz(
    members: Mapping[str, bytes] | list[tarfile.TarInfo | tuple[str, bytes]], commit: str | None = None
) -> bytes:
    """A tar.gz as GitHub makes them: one top folder, the commit id in a global header."""
    out = io.BytesIO()
    headers = {"comment": commit} if commit else {}
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for item in members.items() if isinstance(members, Mapping) else members:
            if isinstance(item, tarfile.TarInfo):
                tar.addfile(item)
            else:
                info = tarfile.TarInfo(item[0] if item[0].startswith(("/", "..", "mlx-x")) else f"mlx-x/{item[0]}")
                info.size = len(item[1])
                tar.addfile(info, io.BytesIO(item[1]))
    return out.getvalue()


@pytest.fixture
def archive_of() -> Callable[..., bytes]:
    return tar_gz


@dataclass
class Server:
    """Answers each request with the next of `answers` (the last one again and again): a status and a body.

    A body of None never comes. `cut` bytes are announced and not sent.
    """

    answers: list[tuple[int, bytes | None]] = field(default_factory=list)
    cut: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            status, body = state.answers[min(len(state.asked), len(state.answers)) - 1]
            if body is None:
                state.closing.wait(20)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + state.cut))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    state.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.closing.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(scope="session")
def release() -> Revision:
    """The default release."""
    releases = load_releases()
    found = releases.by_tag(releases.default)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def wheel(release: Revision) -> Path:
    """The registry's wheel of the default release, by pip, kept in the user's cache from run to run."""
    return wheel_of(release, progress=silent)


@pytest.fixture
def tree_of() -> Callable[[Path], dict[str, bytes]]:
    """What stands below a folder: path -> bytes; {} where there is no such folder."""

    def read(root: Path) -> dict[str, bytes]:
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    return read


def wheel_file(path: Path, files: Mapping[str, bytes], spoil: Mapping[str, bytes] | None = None) -> Path:
    """A wheel of `files`, with a RECORD of them; then `spoil` takes the place of some of their bytes."""
    base = "mlx_metal-1.0.0.dist-info"
    rows = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    members = {**files, **(spoil or {}), f"{base}/RECORD": "".join([*rows, f"{base}/RECORD,,\n"]).encode()}
    members.setdefault(f"{base}/METADATA", b"Metadata-Version: 2.1\nName: mlx-metal\nVersion: 1.0.0\n")
    members.setdefault(
        f"{base}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-macosx_15_0_arm64\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def in_wheel(headers: Mapping[str, bytes]) -> dict[str, bytes]:
    """Where a wheel keeps the small tree's headers, and other things that are not to be taken."""
    inside = {f"mlx/include/{path}": data for path, data in headers.items() if path != "LICENSE"}
    return {
        **inside,
        "mlx_metal-1.0.0.dist-info/licenses/LICENSE": headers["LICENSE"],
        "mlx/lib/mlx.metallib": b"MTLB" + bytes(1000),
        "mlx/include/mlx/backend/metal/host.h": b"// not carried for us\n",
        "mlx/include/metal_cpp/LICENSE.txt": b"another licence\n",
    }


@pytest.fixture
def make_wheel(headers: dict[str, bytes]) -> Callable[..., Path]:
    """A wheel of the small tree at a path; `drop` leaves members out, `spoil` replaces their bytes."""

    def make(path: Path, drop: str | None = None, spoil: Mapping[str, bytes] | None = None) -> Path:
        return wheel_file(path, {name: data for name, data in in_wheel(headers).items() if name != drop}, spoil)

    return make
