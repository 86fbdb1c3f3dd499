# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The release's `mlx-metal` wheel, by pip's own client, so that a user's index, proxy and certificates hold.

The wheel carries every kernel header, MLX's LICENSE, and Apple's compilation of every kernel (`mlx.metallib`), which
`porter.prove` uses as a witness. It carries no `.metal` file and no host code. It is kept in the cache; nothing in it
is installed, imported or run.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import ArchiveError, NetworkError, ToolchainError, UnknownRevision
from porter.model import Coverage
from porter.upstream.archive import NEXT, Zip
from porter.upstream.providers import Progress, put, silent
from porter.upstream.resolve import Revision, load_releases
from porter.upstream.selection import LICENSE, carried_by, wanted

PLATFORM = "macosx_15_0_arm64"
"""The newest macOS tag that every release of mlx-metal from 0.29.0 on has a wheel for; pip takes older tags for it
too, and no newer ones (a `macosx_26_0` wheel holds other kernels)."""

_INCLUDE = "mlx/include/"
_METALLIB = "mlx/lib/mlx.metallib"
_TIMEOUT = 1800.0  # seconds for 37 MB: a line of 20 kB/s


class Wheel:
    """Headers only. `offline`: take the wheel from the cache or not at all."""

    name = "wheel"
    coverage = Coverage.HEADERS

    def __init__(self, *, offline: bool = False) -> None:
        self._offline = offline

    def fetch(self, revision: Revision, into: Path, progress: Progress) -> None:
        with open_wheel(revision, offline=self._offline, progress=progress) as (archive, record):
            files = {}
            for member in archive.members:
                path = member.removeprefix(_INCLUDE)
                if path != member and wanted(path) and carried_by(path, Coverage.HEADERS):
                    files[path] = read_member(archive, record, member)
            files[LICENSE] = read_member(archive, record, _license_of(archive))
        put(into, files)


def metallib_of(release: Revision | str, *, offline: bool = False, progress: Progress = silent) -> Path:
    """The path of Apple's compilation of all kernels of a release (a `Revision`, or a tag or sha of the releases).

    It lies in the cache under its own digest, and is held against the wheel's RECORD at every call (some 0.1 s for
    105 MB). Raises UnknownRevision where the commit has no wheel, and what `Wheel.fetch` raises.
    """
    from porter.upstream.resolve import resolve

    revision = resolve(release) if isinstance(release, str) else release
    with open_wheel(revision, offline=offline, progress=progress) as (archive, record):
        expected = _recorded(archive, record, _METALLIB)
        path = cache_dir("metallib") / f"{expected}.metallib"
        if path.is_file() and _sha256_of(path) == expected:
            return path
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                archive.copy(_METALLIB, stream)
            _compare(_sha256_of(Path(temporary)), expected, f"{archive.where}: {_METALLIB}")
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    return path


@contextlib.contextmanager
def open_wheel(
    revision: Revision, *, offline: bool = False, progress: Progress = silent
) -> Iterator[tuple[Zip, dict[str, str]]]:
    """The release's wheel, downloaded if the cache has none, and its RECORD (path -> sha256 in hex).

    A wheel in the cache that cannot be read as one is downloaded again.
    """
    path = wheel_of(revision, offline=offline, progress=progress)
    try:
        archive = Zip(path)
    except ArchiveError:
        if offline:
            raise
        path.unlink(missing_ok=True)
        archive = Zip(wheel_of(revision, progress=progress))
    with archive:
        yield archive, _record_of(archive)


def wheel_of(revision: Revision, *, offline: bool = False, progress: Progress = silent) -> Path:
    """The wheel of a release, in the cache. Raises UnknownRevision, NetworkError or ToolchainError."""
    if revision.wheel is None:
        tags = [release.tag for release in load_releases().releases]
        raise UnknownRevision(
            f"commit {revision.sha[:12]} is not a release, so there is no wheel of it",
            next_step=f"take a release ({tags[0]} to {tags[-1]}), or a full source with --mlx-source PATH-OR-URL",
        )
    folder = cache_dir("wheels") / revision.wheel
    if found := sorted(folder.glob("*.whl")):
        return found[0]
    if offline:
        raise NetworkError(
            f"the wheel mlx-metal {revision.wheel} is not in the cache, and the network is not to be used",
            next_step="run once without --offline",
        )
    return _download(revision.wheel, folder, progress)


def _download(version: str, folder: Path, progress: Progress) -> Path:
    requirement = f"mlx-metal=={version}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        progress(f"{requirement} (pip)", 0, None)
        # Only the exit status counts: pip prints warnings where all is well.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", PLATFORM, "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        command += ["--dest", temporary, requirement]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise NetworkError(
                f"pip did not finish the download of {requirement} in {_TIMEOUT:.0f} s",
                next_step="check the network, and run again",
            ) from error
        if done.returncode != 0:
            raise _pip_error(requirement, done)
        wheels = sorted(Path(temporary).glob("mlx_metal-*.whl"))
        if len(wheels) != 1:
            raise ArchiveError(f"pip brought {len(wheels)} wheels of {requirement}", expected="one", next_step=NEXT)
        progress(f"{requirement} (pip)", wheels[0].stat().st_size, wheels[0].stat().st_size)
        return wheels[0].replace(folder / wheels[0].name)


def _pip_error(requirement: str, done: subprocess.CompletedProcess[bytes]) -> Exception:
    lines = [line for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return ToolchainError(
            "this Python has no pip, which downloads the wheel",
            where=sys.executable,
            next_step=f"{sys.executable} -m ensurepip, or give a full source with --mlx-source PATH-OR-URL",
        )
    told = " / ".join(line.strip() for line in lines[-3:])
    return NetworkError(
        f"pip could not download {requirement} (exit status {done.returncode}): {told}",
        next_step="check the network and pip's settings (pip config list), or give --mlx-source PATH-OR-URL",
    )


def read_member(archive: Zip, record: dict[str, str], member: str) -> bytes:
    """One member's bytes, held against RECORD. Raises ArchiveError where they differ."""
    data = archive.read(member)
    expected = _recorded(archive, record, member)
    _compare(hashlib.sha256(data).hexdigest(), expected, f"{archive.where}: {member}")
    return data


def _compare(found: str, expected: str, place: str) -> None:
    if found != expected:
        step = f"delete {cache_dir('wheels')} and run again"
        raise ArchiveError(
            f"the bytes differ from the wheel's RECORD: found sha256 {found}",
            where=place,
            expected=f"sha256 {expected}",
            next_step=step,
        )


def _recorded(archive: Zip, record: dict[str, str], member: str) -> str:
    if member not in record or member not in archive.members:
        raise ArchiveError(
            "the member is missing, or not in RECORD", where=f"{archive.where}: {member}", next_step=NEXT
        )
    return record[member]


def _dist_info(archive: Zip) -> str:
    folders = {name.split("/")[0] for name in archive.members if name.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise ArchiveError("the wheel has not one dist-info folder", where=archive.where, next_step=NEXT)
    return folders.pop()


def _license_of(archive: Zip) -> str:
    base = _dist_info(archive)
    for candidate in (f"{base}/licenses/{LICENSE}", f"{base}/{LICENSE}"):
        if candidate in archive.members:
            return candidate
    raise ArchiveError("MLX's LICENSE is missing from the wheel", where=archive.where, next_step=NEXT)


def _record_of(archive: Zip) -> dict[str, str]:
    """RECORD (the binary distribution format of packaging.python.org): path, `sha256=` urlsafe base64, size."""
    name = f"{_dist_info(archive)}/RECORD"
    try:
        rows = csv.reader(archive.read(name).decode("utf-8").splitlines())
        out = {}
        for row in rows:
            if len(row) == 3 and row[1].startswith("sha256="):
                digest = row[1].removeprefix("sha256=")
                out[row[0]] = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
        return out
    except (UnicodeDecodeError, csv.Error, binascii.Error) as error:
        raise ArchiveError(
            f"RECORD cannot be read: {error}", where=f"{archive.where}: {name}", next_step=NEXT
        ) from error


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
