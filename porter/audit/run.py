# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One audit, from a path to an Audit: the index, the walk over the tree in processes, the notices, what went stale."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from porter.audit.detect import find
from porter.audit.history import clone, of_clone, of_sources, release_tags
from porter.audit.index import Index, index_key, index_of, keep, kept_index, load
from porter.audit.judge import judge
from porter.audit.model import Audit, Change, Finding, Match, PassedOver, Remark, UpstreamFile
from porter.audit.reading import MAX_BYTES, Candidate, list_tree, read_file, tree_root
from porter.audit.tree_licences import TreeLicences
from porter.cache import cache_dir
from porter.errors import SteelPortError
from porter.model import Sources
from porter.upstream import default_revision, obtain, vendored

Progress = Callable[[str, int, "int | None"], None]

_CHUNK = 64  # files that a process takes at once
_FEW = 256  # files for which no second process is worth its start


@dataclass(frozen=True)
class Options:
    """`mlx_source`: a clone of MLX, for its releases and for what changed since; None for the vendored revision.

    `revisions`: only these releases of the clone. `root`: the folder that holds upstream_mlx/. `max_bytes`: what is
    larger is passed over. `jobs`: processes, None for as many as there are processors.
    """

    mlx_source: str | None = None
    revisions: tuple[str, ...] = ()
    root: Path = Path()
    max_bytes: int = MAX_BYTES
    jobs: int | None = None


@dataclass(frozen=True)
class Result:
    """The audit, and what its pages show of upstream: `upstream(digest)`."""

    audit: Audit
    index: Index

    def upstream(self, digest: str) -> UpstreamFile:
        """The version of an upstream file with this digest. Raises KeyError for one that no finding names."""
        return self.index.by_digest(digest)


def audit(path: Path, options: Options, progress: Progress = lambda *_: None) -> Result:
    """Audit the folder `path`, or the one file.

    Raises TreeNotFound where there is none, and UpstreamError where MLX is not at hand.
    """
    root = tree_root(path)
    started = time.perf_counter()
    folder, index = _index(options, progress)
    indexed = time.perf_counter()
    listed = list(list_tree(path, options.max_bytes))
    candidates = [one for one in listed if isinstance(one, Candidate)]
    looked = _Looked()
    for more in _looked_through(root, candidates, folder, options, progress):
        looked.add(more)
    read = time.perf_counter()
    findings = list(_judged(root, looked.matches, index, options))
    passed = [one for one in listed if isinstance(one, PassedOver)] + looked.passed_over
    seconds = {"index": indexed - started, "files": read - indexed, "notices": time.perf_counter() - read}
    return Result(
        Audit(
            files=looked.files,
            lines=looked.lines,
            findings=tuple(sorted(findings, key=lambda one: (one.match.path, one.match.passages[0].lines))),
            passed_over=tuple(sorted(passed, key=lambda one: one.path)),
            compared_with=index.sentence,
            remarks=tuple(looked.remarks),
            seconds=seconds,
        ),
        index,
    )


@dataclass
class _Looked:
    """What was found in some files."""

    files: int = 0
    lines: int = 0
    matches: list[Match] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def add(self, other: _Looked) -> None:
        self.files += other.files
        self.lines += other.lines
        self.matches += other.matches
        self.passed_over += other.passed_over
        self.remarks += other.remarks


# ---------------------------------------------------------------------------------------------------------------------
# The index


def _index(options: Options, progress: Progress) -> tuple[Path, Index]:
    """The folder in which the index stands, and the index; made where it is not kept yet."""
    if options.mlx_source is None:
        sources = _vendored(options, progress)
        tag = sources.pin.tag or sources.pin.revision
        key = index_key(f"sources {sources.pin.digest}")
        return _kept(key, lambda: index_of(of_sources(sources), [tag]), progress)
    known = release_tags(clone(options.mlx_source))
    tags = [tag for tag in known if not options.revisions or tag in options.revisions]
    key = index_key("clone " + " ".join(f"{tag}={known[tag]}" for tag in tags))
    source, asked = options.mlx_source, options.revisions
    return _kept(key, lambda: index_of(of_clone(source, asked), tags), progress)


def _vendored(options: Options, progress: Progress) -> Sources:
    """The sources that stand in upstream_mlx/; where none do, those of the default revision, kept in our cache."""
    try:
        return vendored(options.root / "upstream_mlx")
    except SteelPortError:
        revision = default_revision()
        return obtain(revision, None, "auto", cache_dir("audit-sources") / revision, progress=progress)[0]


def _kept(key: str, make: Callable[[], Index], progress: Progress) -> tuple[Path, Index]:
    folder = kept_index(key)
    if folder is None:
        progress("index of MLX", 0, None)
        folder = keep(make(), key)
    return folder, load(folder)


# ---------------------------------------------------------------------------------------------------------------------
# The files

_of_process: dict[Path, Index] = {}


def _looked_through(
    root: Path, candidates: Sequence[Candidate], folder: Path, options: Options, progress: Progress
) -> Iterator[_Looked]:
    jobs = options.jobs or len(os.sched_getaffinity(0))
    chunks = [candidates[at : at + _CHUNK] for at in range(0, len(candidates), _CHUNK)]
    done = 0
    for chunk, result in zip(chunks, _results(root, chunks, folder, options, jobs), strict=True):
        done += len(chunk)
        progress("files", done, len(candidates))
        yield result


def _results(
    root: Path, chunks: Sequence[Sequence[Candidate]], folder: Path, options: Options, jobs: int
) -> Iterator[_Looked]:
    tasks = [(root, tuple(chunk), folder, options.max_bytes) for chunk in chunks]
    if jobs == 1 or sum(map(len, chunks)) <= _FEW:
        yield from map(_look_through, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_look_through, tasks)


def _look_through(task: tuple[Path, tuple[Candidate, ...], Path, int]) -> _Looked:
    root, candidates, folder, max_bytes = task
    if folder not in _of_process:
        _of_process[folder] = load(folder)
    index = _of_process[folder]
    out = _Looked()
    for candidate in candidates:
        read = read_file(root, candidate, max_bytes)
        if isinstance(read, PassedOver):
            out.passed_over.append(read)
            continue
        out.files += 1
        out.lines += read.text.count("\n") + (not read.text.endswith("\n") and bool(read.text))
        out.remarks += [Remark(read.path, remark) for remark in read.remarks]
        out.matches += find(read.path, read.text, index)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# What is owed


def _judged(root: Path, matches: Iterable[Match], index: Index, options: Options) -> Iterator[Finding]:
    matches = list(matches)
    if not matches:
        return
    tree = TreeLicences.read(root)
    texts: dict[str, str] = {}
    for match in matches:
        if match.path not in texts:
            read = read_file(root, Candidate(match.path, 0), options.max_bytes)
            texts[match.path] = "" if isinstance(read, PassedOver) else read.text
        upstream = index.by_digest(match.digest)
        finding = Finding(match, judge(tree, match.path, texts[match.path], match, upstream))
        yield replace(finding, changes=_changes(match, upstream, options))


def _changes(match: Match, upstream: UpstreamFile, options: Options) -> tuple[Change, ...]:
    if options.mlx_source is None:
        return ()
    from porter.audit.stale import changes

    return changes(Path(options.mlx_source), match, upstream)
