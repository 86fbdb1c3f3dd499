# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which provider is asked, in which order, and what is told of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from porter.errors import NetworkError, ToolchainError, TreeError, UnknownRevision, UpstreamError, UsageError
from porter.model import Coverage, Pin
from porter.upstream import store
from porter.upstream.pin import make_pin
from porter.upstream.trees import list_files

if TYPE_CHECKING:
    from porter.upstream.providers import Progress, Provider
    from porter.upstream.resolve import Candidate, Lookup, Revision

PROVIDERS = ("auto", "github", "git", "wheel", "dir")

SOURCE_VARIABLE = "STEEL_PORT_MLX_GIT"
"""Environment variable that names a clone of MLX for `auto` and `git`, where no source is given."""

METAL_ONLY = ("arg_reduce", "conv", "fence", "gemv", "layer_norm", "random", "rms_norm", "rope")
"""Kernel files of v0.30.1 whose kernels have their body in the .metal, so that the headers alone do not hold it; a test
compares the list with the full source."""

NO_METAL = (
    "its .metal files and host code are absent, so kernels whose body stands in a .metal cannot be ported from source: "
    + ", ".join(METAL_ONLY)
)


@dataclass(frozen=True)
class Request:
    """What the caller wants. `source` is a clone, its address or a folder; given by hand, `provider` is not `auto`."""

    rev: str
    provider: str
    source: str | None
    offline: bool
    progress: Progress

    @classmethod
    def make(cls, rev: str, source: str | None, provider: str, offline: bool, progress: Progress | None) -> Request:
        """Raises UsageError for words that do not go together."""
        if provider not in PROVIDERS:
            raise UsageError(f"no provider is called {provider!r}", expected=", ".join(PROVIDERS))
        if source is not None and provider in ("github", "wheel"):
            raise UsageError(f"the provider {provider} takes no source", next_step="leave out --mlx-source")
        if source is not None and provider == "auto":
            provider = _kind_of(source)
        if source is None and provider in ("auto", "git"):
            source = os.environ.get(SOURCE_VARIABLE) or None
        if source is None and provider in ("git", "dir"):
            raise UsageError(f"the provider {provider} needs a source", next_step="give --mlx-source PATH-OR-URL")
        return cls(rev, provider, source, offline, progress or _silent)

    def is_met_by(self, pin: Pin) -> bool:
        """Whether a verified tree of the right revision is what is asked for, so that nothing need be fetched."""
        if self.provider == "auto":
            return pin.coverage is Coverage.FULL or self.source is None
        return pin.provider == self.provider and self.provider != "dir"  # what a folder holds can have changed

    def resolve(self, record: Pin | None) -> Revision:
        """The commit that `rev` names. What PIN.yaml itself calls its revision takes the short way."""
        from porter.upstream.resolve import Revision, agrees, resolve

        if record is not None and self.rev in (record.tag, record.revision) and agrees(record.tag, record.revision):
            return Revision(record.revision, record.tag)
        return resolve(self.rev, lookup=self._lookup())

    def _lookup(self) -> Lookup | None:
        if self.provider not in ("auto", "git") or self.source is None:
            return None
        source = self.source

        def ask(rev: str) -> Iterable[Candidate]:
            from porter.upstream.providers.git import Git

            return Git(source, offline=self.offline, progress=self.progress).lookup(rev)

        return ask


@dataclass(frozen=True)
class Fetched:
    """What came: its pin, its bytes, and the sentence that says from where and why."""

    pin: Pin
    files: dict[str, bytes]
    sentence: str


def describe(pin: Pin) -> str:
    """A tree in words: `the full source (git), 170 files verified`."""
    if pin.coverage is Coverage.FULL:
        return f"the full source ({pin.provider}), {len(pin.files)} files verified"
    return f"the kernel headers ({pin.provider}), {len(pin.files)} files verified; {NO_METAL}"


def fetch(request: Request, revision: Revision) -> Fetched:
    """Fetch `revision` as `request` says. Raises what the provider raises; for `auto`, what the last one raises."""
    from porter.upstream.resolve import load_releases

    revision = load_releases().by_sha(revision.sha) or revision  # with the version of its wheel
    if request.provider == "auto":
        return _auto(request, revision)
    if request.provider in ("github", "wheel") and (kept := store.look(revision, (request.provider,))):
        return Fetched(*kept, f"took from the cache {describe(kept[0])}")
    pin, files = _bring(_provider(request.provider, request), revision, request.progress)
    return Fetched(pin, files, f"took {describe(pin)}")


def _auto(request: Request, revision: Revision) -> Fetched:
    """The cache, the configured clone, GitHub, the wheel. A cached wheel does not stand in for a configured clone."""
    providers = ("git", "github") if request.source else store.ORDER
    if kept := store.look(revision, providers):
        return Fetched(*kept, f"took from the cache {describe(kept[0])}")
    passed = ["the cache has none of it"]
    if request.source is None:
        passed.append(f"git: {SOURCE_VARIABLE} is not set")
    failed: list[UpstreamError | ToolchainError] = []
    for name in (["git"] if request.source else []) + ["github", "wheel"]:
        try:
            pin, files = _bring(_provider(name, request), revision, request.progress)
        except (NetworkError, UnknownRevision, ToolchainError, _SourceError) as error:
            passed.append(f"{name}: {error.what}")
            failed.append(error)
            continue
        return Fetched(pin, files, f"took {describe(pin)} ({'; '.join(passed)})")
    raise _none(revision, passed, failed)


class _SourceError(UpstreamError):
    """The configured clone cannot be used at all."""


def _none(revision: Revision, passed: list[str], failed: list[UpstreamError | ToolchainError]) -> UpstreamError:
    kind = UnknownRevision if all(isinstance(error, UnknownRevision) for error in failed) else NetworkError
    return kind(
        f"no provider could bring MLX {revision} ({'; '.join(passed)})",
        next_step="check the network, or name a clone that has the commit with --mlx-source PATH-OR-URL",
    )


def _provider(name: str, request: Request) -> Provider:
    if name == "github":
        from porter.upstream.providers.github import Github

        if request.offline:
            raise NetworkError("the network is not to be used", next_step="leave out --offline")
        return Github()
    if name == "wheel":
        from porter.upstream.providers.wheel import Wheel

        return Wheel(offline=request.offline)
    if request.source is None:
        raise AssertionError(f"{name} without a source")
    if name == "dir":
        from porter.upstream.providers.directory import Directory

        return Directory(Path(request.source).expanduser())
    from porter.upstream.providers.git import Git

    try:
        return Git(request.source, offline=request.offline, progress=request.progress)
    except UpstreamError as error:
        raise _SourceError(error.what, where=error.where, next_step=error.next_step) from error


def _bring(provider: Provider, revision: Revision, progress: Progress) -> tuple[Pin, dict[str, bytes]]:
    """Let `provider` fill a temporary folder; its bytes and their pin, which the cache keeps too."""
    try:
        with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
            into = Path(temporary)
            provider.fetch(revision, into, progress)
            files = {path: (into / path).read_bytes() for path in sorted(list_files(into))}
    except OSError as error:
        raise TreeError(
            f"the fetched files cannot be written: {error.strerror}",
            where=tempfile.gettempdir(),
            next_step="free space there, or set TMPDIR to another folder",
        ) from error
    pin = make_pin(revision.sha, revision.tag, provider.name, provider.coverage, files)
    store.keep(pin, files)
    return pin, files


def _kind_of(source: str) -> str:
    """Whether a source given by hand is a git repository or a plain folder."""
    from porter.upstream.providers.git import is_git_dir

    path = Path(source).expanduser()
    return "dir" if path.is_dir() and not is_git_dir(path) else "git"


def _silent(what: str, done: int, total: int | None) -> None:
    """The progress of someone who does not watch."""
