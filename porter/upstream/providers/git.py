# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A git clone, a bare mirror, or the address of one (`--mlx-source PATH-OR-URL`), by the git command.

The blobs of the commit are read as they are stored (`ls-tree`, `cat-file`), each held against its object id. `git
archive` and a checkout would both run the files through the filters and end-of-line settings of the user and of the
repository, which can change bytes and can run commands.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import ArchiveError, NetworkError, ToolchainError, UnknownRevision, UpstreamError
from porter.model import Coverage, sha256
from porter.upstream.archive import LIMITS
from porter.upstream.providers import Progress, put, silent
from porter.upstream.resolve import Candidate, Revision
from porter.upstream.selection import GIT_PATHS, wanted

_URL = re.compile(r"(https?|ssh|git|file)://.+|[A-Za-z0-9_.@-]+:(?!:|//).+")  # the second form is scp's, host:path
_SAFE = ("-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30")  # give up below 1 kB/s for 30 s
_CALM = (*_SLOW, "-c", "gc.auto=0", "-c", "maintenance.auto=false")  # nothing left running behind our back
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_TIMEOUT = 1800.0  # seconds for any one git command


def is_git_dir(path: Path) -> bool:
    """Whether `path` is the top of a clone or a bare repository, judged by its files alone."""
    return (path / ".git").exists() or ((path / "objects").is_dir() and (path / "HEAD").is_file())


def is_url(source: str) -> bool:
    return _URL.fullmatch(source) is not None


@dataclass(frozen=True)
class _Blob:
    path: str
    mode: str
    oid: str
    size: int


class Git:
    """Full coverage. A URL is fetched into a bare repository in the cache, the asked commit alone if the server can.

    `offline`: of a URL, use what the cache has.
    """

    name = "git"
    coverage = Coverage.FULL

    def __init__(self, source: str, *, offline: bool = False, progress: Progress = silent) -> None:
        """Raises UpstreamError where `source` is neither a repository nor an address."""
        self._source, self._offline, self._progress = source, offline, progress
        path = Path(source).expanduser()
        if is_git_dir(path):
            self._url, self._folder = None, path.resolve()
            self._names = self._folder
        elif not source.startswith("-") and is_url(source) and not path.exists():
            self._url, self._folder = source, cache_dir("git") / sha256(source.encode())[:32]
            # Commits without files. Apart, because git remembers of a repository that it was fetched in part.
            self._names = self._folder.with_name(self._folder.name + "-names")
        else:
            what = "the folder is not a git repository" if path.exists() else "no such folder, and not an address"
            raise UpstreamError(what, where=source, next_step="give a clone, a bare mirror or its https address of MLX")

    def lookup(self, rev: str) -> Iterable[Candidate]:
        """Every commit that the tag `rev` names, or whose id begins with `rev`. Branches do not count: they move."""
        if self._url is not None:
            told = self._fetch(self._names, ["--filter=tree:0", "--", self._url, *_EVERYTHING])
            if told and not self._offline:
                raise self._unreachable(told)
        tag = self._resolved(f"refs/tags/{rev}", self._names)
        found = {tag: Candidate(tag, rev)} if tag else {}
        if re.fullmatch(r"[0-9a-f]{4,39}", rev.lower()):
            listed = self._git("rev-parse", f"--disambiguate={rev.lower()}", folder=self._names)
            for oid in listed.stdout.decode().split() if listed.returncode == 0 else []:
                if self._git("cat-file", "-t", oid, folder=self._names).stdout.strip() == b"commit":
                    found.setdefault(oid, Candidate(oid))
        return tuple(found.values())

    def fetch(self, revision: Revision, into: Path, progress: Progress) -> None:
        if self._resolved(revision.sha) is None and self._url is not None:
            self._fetch_commit(self._url, revision)
        if self._resolved(revision.sha) is None:
            raise UnknownRevision(
                f"the repository has no commit {revision.sha}",
                where=self._source,
                next_step="fetch it there (git fetch --tags), or name another revision or source",
            )
        blobs = self._list(revision.sha)
        put(into, self._read(blobs, progress))

    # -- the commit -----------------------------------------------------------------------------------------------

    def _resolved(self, name: str, folder: Path | None = None) -> str | None:
        if self._url is not None and not (folder or self._folder).exists():
            return None
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", folder=folder)
        if done.returncode == 0:
            return done.stdout.decode().strip()
        self._check_usable(done)
        return None

    def _check_usable(self, done: subprocess.CompletedProcess[bytes]) -> None:
        """A repository that git refuses to open is not one without the commit."""
        told = done.stderr.decode("utf-8", "replace").strip()
        if "dubious ownership" in told:
            step = f"git config --global --add safe.directory {self._folder}"
            raise UpstreamError("git will not read a repository of another user", where=self._source, next_step=step)
        if told:
            raise UpstreamError(
                f"git cannot read it: {told.splitlines()[-1]}", where=self._source, next_step="run git fsck there"
            )

    def _list(self, sha: str) -> list[_Blob]:
        done = self._git("ls-tree", "-r", "-z", "--long", "--full-tree", sha, "--", *GIT_PATHS)
        if done.returncode != 0:
            self._check_usable(done)
        blobs = []
        for row in done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            facts, path = row.split("\t", 1)
            mode, _, oid, size = facts.split()
            if wanted(path):
                if mode not in ("100644", "100755"):
                    raise ArchiveError(
                        "not a plain file", where=f"{self._source}: {path}", next_step="use another revision"
                    )
                blobs.append(_Blob(path, mode, oid, int(size)))
        if sum(blob.size for blob in blobs) > LIMITS.expanded or any(blob.size > LIMITS.member for blob in blobs):
            raise ArchiveError("the files are larger than is allowed", where=self._source)
        return blobs

    def _read(self, blobs: Sequence[_Blob], progress: Progress) -> dict[str, bytes]:
        asked = "".join(f"{blob.oid}\n" for blob in blobs).encode()
        done = self._git("cat-file", "--batch", given=asked)
        files: dict[str, bytes] = {}
        at = 0
        for blob in blobs:
            head = f"{blob.oid} blob {blob.size}\n".encode()
            data = done.stdout[at + len(head) : at + len(head) + blob.size]
            stored = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            if done.stdout[at : at + len(head)] != head or stored != blob.oid:
                raise ArchiveError(
                    f"the repository is damaged: object {blob.oid} cannot be read whole",
                    where=f"{self._source}: {blob.path}",
                    next_step="run git fsck there, or use another source",
                )
            files[blob.path] = data
            at += len(head) + blob.size + 1
            progress(self._source, at, len(done.stdout))
        return files

    # -- an address -----------------------------------------------------------------------------------------------

    def _fetch_commit(self, url: str, revision: Revision) -> None:
        """The commit alone; failing that its tag; failing that every branch and tag."""
        ways = [["--depth=1", "--", url, revision.sha]]
        if revision.tag:
            ways.append(["--depth=1", "--", url, f"+refs/tags/{revision.tag}:refs/tags/{revision.tag}"])
        ways.append(["--", url, *_EVERYTHING])
        for way in ways:
            told = self._fetch(self._folder, way)
            if self._resolved(revision.sha):
                return
        if told:
            raise self._unreachable(told)

    def _unreachable(self, told: str) -> NetworkError:
        return NetworkError(
            f"git could not fetch: {told}", where=self._source, next_step="check the address and the network"
        )

    def _fetch(self, folder: Path, arguments: list[str]) -> str:
        """Fetch into a repository of the cache; '' if that worked, else git's last line."""
        import filelock

        if self._offline:
            return "the network is not to be used"
        with filelock.FileLock(folder.with_name(folder.name + ".lock")):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.rglob("*.lock"):  # of a git that was killed: no other one can be running here
                left.unlink()
            self._git("init", "--bare", "--quiet", "--template=", folder=folder)
            self._progress(f"git fetch {self._source}", 0, None)
            options = ("--quiet", "--no-tags", "--no-recurse-submodules")
            done = self._git(*_CALM, "fetch", *options, *arguments, folder=folder)
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return "" if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")

    def _git(
        self, *arguments: str, given: bytes = b"", folder: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        # Variables such as GIT_DIR, set where we run inside a git hook, would point git at another repository.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment.update(GIT_TERMINAL_PROMPT="0", GIT_ALLOW_PROTOCOL="file:git:http:https:ssh", LC_ALL="C")
        command = ["git", *_SAFE, "-C", str(folder or self._folder), *arguments]
        try:
            return subprocess.run(command, input=given, capture_output=True, env=environment, timeout=_TIMEOUT)
        except FileNotFoundError as error:
            raise ToolchainError("git is not installed", next_step="install git, or use another provider") from error
        except subprocess.TimeoutExpired as error:
            raise NetworkError(f"git took more than {_TIMEOUT:.0f} s", where=self._source) from error
