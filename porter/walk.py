# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The one way through the house: Pin -> Sources -> Corpus -> Port -> Overlay -> Proof.

Everything that takes time is skipped where its inputs are what they were: the overlay where the pin, the specs, our
own code and the tools are unchanged and the files still have their digests; a ring where the overlay, the pin, our
code and the tools are. What is skipped is what was found before for the same bytes, never an assumption.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from porter.cache import cache_dir, write_atomically
from porter.errors import ToolchainError, TreeError, UpstreamError
from porter.model import Corpus, Coverage, Overlay, Proof, Ring, Sources, Status, sha256
from porter.port.target import Target, load_target
from porter.spec import Family, load_families, present

if TYPE_CHECKING:
    from porter.prove.case import Case
    from porter.upstream.lock import Lock

Progress = Callable[[str, int, "int | None"], None]

UPSTREAM_TREE = "upstream_mlx"
OVERLAY_TREE = "generated"
LOCK = "LOCK.json"
REPORT = "report"
"""The folder of generated/ that `verify` writes, which no lock names."""
JOBS = min(os.cpu_count() or 1, 8)
"""Processes at once: a compiler each, of up to 300 MB."""

# Whose versions decide what is generated, and what is proved.
GENERATING = ("libclang", "clang-format", "jinja2")
PROVING = (*GENERATING, "ziglang", "llvmlite", "numpy", "mlx", "torch")


@dataclass(frozen=True)
class Request:
    """What a user asked of `sync` or `verify`."""

    root: Path
    revision: str | None = None
    source: str | None = None
    provider: str = "auto"
    families: tuple[str, ...] = ()
    target: str = "pytorch-2.13"

    @cached_property
    def loaded_families(self) -> tuple[Family, ...]:
        return load_families(self.families or None)

    @cached_property
    def loaded_target(self) -> Target:
        return load_target(self.target)


@dataclass(frozen=True)
class Synchronised:
    """What `synchronise` did. `sentence` says where upstream came from, `summary` what stands in generated/ now."""

    revision: str
    changed: bool
    files: int
    sentence: str
    summary: str
    sources: Sources = field(repr=False)
    corpus: Corpus | None = field(repr=False, default=None)


def synchronise(request: Request, progress: Progress) -> Synchronised:
    """Bring upstream, port it, and write generated/, unless that is what stands there already.

    Raises a SteelPortError where a step fails; what stood in upstream_mlx/ and generated/ then stands there still.
    """
    from porter.upstream.trees import holds, replace_tree

    _ = request.loaded_families, request.loaded_target  # a wrong spec is said before anything is fetched
    sources, sentence = _obtain(request, progress)
    families = present(request.loaded_families, sources)
    overlay_root = request.root / OVERLAY_TREE
    inputs = _inputs(request, sources)
    count = _count_if_unchanged(overlay_root, inputs)
    if count is not None:
        summary = f"{OVERLAY_TREE}/ is up to date: {count} files"
        return Synchronised(sources.pin.revision, False, count, sentence, summary, sources)
    corpus, overlay = make_overlay(request, sources)
    files = _locked(overlay, sources, corpus, overlay_root)
    changed = not holds(overlay_root, files, REPORT)
    replace_tree(overlay_root, files, REPORT)
    write_atomically(_remembered(overlay_root, inputs), b"")
    done = "written" if changed else "unchanged"
    summary = f"{OVERLAY_TREE}/ {done}: {len(files)} files, {_counted(corpus, sources, families)}"
    return Synchronised(sources.pin.revision, changed, len(files), sentence, summary, sources, corpus)


def _counted(corpus: Corpus, sources: Sources, families: tuple[Family, ...]) -> str:
    """`15,428 kernels of upstream, 24,105 with their constants`, and how many did not come with the sources."""
    ported = {f.name: f for f in families if all(path in sources.files for path in f.sources_of_kernels)}
    rows = [row for row in corpus.instantiations if row.family in ported]
    kernels = sum(len(ported[row.family].combinations(row.template)) for row in rows)
    rest = len(corpus.instantiations) - len(rows)
    left = f"; {rest:,} more have bodies that these sources lack" if rest else ""
    return f"{len(rows):,} kernels of upstream, {kernels:,} with their constants{left}"


def _remembered(overlay_root: Path, inputs: str) -> Path:
    """The file whose being there says that these inputs make what this tree's lock names.

    The lock is part of its name: two trees of the same inputs may differ in it (see `_locked`).
    Raises OSError where the tree has no lock.
    """
    from porter.upstream.lock import HERE

    here = overlay_root / HERE
    parts = (inputs.encode(), (overlay_root / LOCK).read_bytes(), here.read_bytes() if here.exists() else b"")
    return cache_dir("sync") / sha256(b"\n".join(parts))


def _count_if_unchanged(overlay_root: Path, inputs: str) -> int | None:
    """How many files stand in generated/, if they are what `inputs` make and each has its digest."""
    from porter.upstream import lock

    try:
        if not _remembered(overlay_root, inputs).exists():
            return None
        found = lock.present(overlay_root)
        lock.verify(overlay_root, found, REPORT)
    except (OSError, UpstreamError):
        return None
    return len(found.files) + 1


def _locked(overlay: Overlay, sources: Sources, corpus: Corpus, overlay_root: Path) -> dict[str, bytes]:
    """The overlay's bytes with their lock, which names what they were ported from by digest, whoever brought it.

    A wheel lacks kernels that stand in `.metal` files. Where the lock that is there names just that much more, of the
    same revision and made by the same rules, it stays, and HERE.json says what of it was made.
    """
    from porter.upstream import lock

    used = [path for path in corpus.files if path.endswith(".h")] + ["LICENSE"]
    origin = sha256("".join(f"{sources.files[path].sha256}  {path}\n" for path in sorted(used)).encode())
    files = {file.path: file.text.encode() for file in overlay.files}
    made_by = f"steel-port {importlib.metadata.version('steel-port')}"
    mine = lock.Lock.of(overlay.revision, origin, made_by, files)
    if sources.pin.coverage is Coverage.HEADERS:
        with contextlib.suppress(UpstreamError):
            there = lock.read(overlay_root / LOCK)
            same = (there.revision, there.rules) == (mine.revision, mine.rules)
            if same and mine.files.items() < there.files.items():
                here = json.dumps(sorted(mine.files), indent=1).encode()
                return {**files, LOCK: there.to_json().encode(), lock.HERE: here}
    return {**files, LOCK: mine.to_json().encode()}


def make_overlay(request: Request, sources: Sources) -> tuple[Corpus, Overlay]:
    """Sources -> Corpus -> Port -> Overlay, and the checks of the specs against upstream's host code."""
    from porter.emit import emit
    from porter.parse.corpus import read_corpus
    from porter.parse.coverage import check_coverage
    from porter.parse.evidence import check_evidence
    from porter.parse.tiles import check_tiles
    from porter.port import port

    families, target = present(request.loaded_families, sources), request.loaded_target
    corpus = read_corpus(sources, families)
    if not request.families:
        check_coverage(sources, families)
    for family in families:
        check_evidence(sources, family)
        if family.tiles is not None and all(path in sources.files for path in family.hosts):
            check_tiles(sources, family)
    return corpus, emit(port(corpus, sources, families, target), sources, families, target)


@dataclass(frozen=True)
class Proved:
    """What the rings found, and everything that a report shows of what they looked at."""

    proofs: tuple[Proof, ...]
    sources: Sources = field(repr=False)
    corpus: Corpus = field(repr=False)
    families: tuple[Family, ...] = field(repr=False)
    overlay_root: Path = field(repr=False)
    target: Target = field(repr=False)

    @property
    def holds(self) -> bool:
        return bool(self.proofs) and all(proof.holds for proof in self.proofs)


def prove(
    request: Request,
    rings: Iterable[Ring] | None,
    progress: Progress,
    synchronised: Synchronised | None = None,
    *,
    fresh: bool = False,
    everything: bool = False,
) -> Proved:
    """Run the rings (all by default) on what stands in generated/, or recall what they found for the same inputs.

    `everything`: the rings code and outputs look at every kernel, not at a sample. `fresh` recalls nothing.

    Raises DigestMismatch where generated/ is not what its lock says, TreeError where it was made from another revision.
    """
    from porter.prove import Task, verify
    from porter.prove.case import Case
    from porter.recall import Recall

    sources = synchronised.sources if synchronised else _vendored(request)
    lock = _checked_lock(request, sources)
    corpus = synchronised.corpus if synchronised and synchronised.corpus else _corpus(request, sources)
    wanted = list(dict.fromkeys(rings or Ring))
    target, root = request.loaded_target, request.root / OVERLAY_TREE
    families = present(request.loaded_families, sources)
    cases = [
        Case(sources, corpus, families, family, root, target, JOBS, progress, not fresh, everything)
        for family in families
    ]
    environment = f"{_code_digest()} {_tools(PROVING)} {_host_compiler()} {_machine()} {request.loaded_target.digest}"
    recall = Recall(environment, lock, sources)
    found: dict[tuple[Ring, str], tuple[Proof, ...]] = {}
    tasks = []
    for task in (Task(ring, case) for ring in wanted for case in cases):
        kept = None if fresh else recall.find(task)
        if kept is None:
            tasks.append(task)
        else:
            found[task.ring, task.case.family.name] = kept
    for task, proofs in verify(tasks, JOBS, progress):
        found[task.ring, task.case.family.name] = proofs
        recall.keep(task, proofs)
    over_all = _over_all(request, sources, cases, lock) if Ring.NAMES in wanted else ()
    inorder = (proof for ring in wanted for family in families for proof in found[ring, family.name])
    return Proved((*over_all, *inorder), sources, corpus, families, root, target)


def cases_of(request: Request, progress: Progress) -> list[Case]:
    """Every family of `request` on what stands in generated/, a sample of its kernels each."""
    from porter.prove.case import Case

    sources = _vendored(request)
    _checked_lock(request, sources)
    corpus, families = _corpus(request, sources), present(request.loaded_families, sources)
    target, root = request.loaded_target, request.root / OVERLAY_TREE
    return [Case(sources, corpus, families, f, root, target, JOBS, progress, True, False) for f in families]


def _over_all(request: Request, sources: Sources, cases: Sequence[Case], lock: Lock) -> tuple[Proof, ...]:
    """The claims about all families together. Only where all of them were asked for."""
    from porter.prove import examine, names
    from porter.prove.case import LIBRARY, Claim

    reproduced = _reproduced(request, sources, lock)
    if request.families:
        return (reproduced,)
    claim = Claim(Ring.NAMES, names.WHOLE_CLAIM, LIBRARY, lambda: names.whole_library(cases))
    return (reproduced, *examine(claim, cases[0].family))


def _reproduced(request: Request, sources: Sources, lock: Lock) -> Proof:
    """Every file of generated/ against what the rules and templates make of the pinned bytes now.

    The rings below compare what a kernel can reach; this one holds the rest (functions no kernel calls, the host's
    code, the table's directives) to our own rules, so that no edit by hand passes with a lock that agrees.
    """
    _, overlay = make_overlay(request, sources)
    expected = {file.path: file.text.encode() for file in overlay.files}
    root = request.root / OVERLAY_TREE
    wrong = [path for path, data in expected.items() if not _stands(root / path, data)]
    family = request.loaded_families[0].name if len(request.loaded_families) == 1 else "all families"
    claim = "generated/ is what the rules make of the pin"
    if wrong:
        why = f"{len(wrong)} files differ: {', '.join(wrong[:3])}"
        return Proof(Ring.NAMES, family, claim, "a second port", Status.DIFFERS, len(expected), why)
    return Proof(Ring.NAMES, family, claim, "a second port", Status.PROVED, len(expected))


def _stands(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _checked_lock(request: Request, sources: Sources) -> Lock:
    """The lock of generated/, whose files have the digests it names."""
    from porter.upstream import lock

    overlay_root = request.root / OVERLAY_TREE
    if not (overlay_root / LOCK).is_file():
        raise TreeError("nothing is generated yet", where=str(overlay_root), next_step="run `steel-port sync`")
    found = lock.present(overlay_root)
    lock.verify(overlay_root, found, REPORT)
    if found.revision != sources.pin.revision:
        raise TreeError(
            f"generated/ was made from {found.revision[:12]}, upstream_mlx/ holds {sources.pin.revision[:12]}",
            where=str(overlay_root),
            next_step="run `steel-port sync`",
        )
    return found


def _corpus(request: Request, sources: Sources) -> Corpus:
    from porter.parse.corpus import read_corpus

    return read_corpus(sources, present(request.loaded_families, sources))


def _obtain(request: Request, progress: Progress) -> tuple[Sources, str]:
    from porter.parse.requests import with_requests
    from porter.upstream import obtain

    root = request.root / UPSTREAM_TREE
    sources, sentence = obtain(request.revision, request.source, request.provider, root, progress=progress)
    return with_requests(sources, request.loaded_families), sentence


def _vendored(request: Request) -> Sources:
    """What stands in upstream_mlx/, checked against its pin; nothing is fetched."""
    from porter.parse.requests import with_requests
    from porter.upstream import vendored

    return with_requests(vendored(request.root / UPSTREAM_TREE), request.loaded_families)


def _inputs(request: Request, sources: Sources) -> str:
    """One digest over everything that decides what is generated."""
    from porter.port import origins

    families = " ".join(family.digest for family in request.loaded_families)
    specs = f"{request.loaded_target.digest} {origins.digest()}"
    parts = (sources.pin.digest, families, specs, _code_digest(), _tools(GENERATING))
    return sha256("\n".join(parts).encode())


def _code_digest() -> str:
    """One digest over our own code: a changed rule, template or shim makes everything anew."""
    root = Path(__file__).parent
    kinds = (".py", ".j2", ".yaml", ".cpp", ".h", "")
    files = sorted(p for p in root.rglob("*") if p.suffix in kinds and p.is_file() and "__pycache__" not in p.parts)
    return sha256("".join(f"{p.relative_to(root)} {sha256(p.read_bytes())}\n" for p in files).encode())


def _tools(names: Iterable[str]) -> str:
    def version(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return "missing"

    return " ".join(f"{name}={version(name)}" for name in names)


def _host_compiler() -> str:
    """The system's C++ compiler as a file: layouts, tables and glue are what it makes of them."""
    from porter.metal.toolchain import system_compiler

    try:
        real = Path(system_compiler()).resolve()
    except ToolchainError:
        return "no compiler"
    return f"{real.name} {real.stat().st_size} {real.stat().st_mtime_ns}"


def _machine() -> str:
    """What kernels run on: results on another kind of processor are not results on this one."""
    info = Path("/proc/cpuinfo")
    model = (
        next((line for line in info.read_text().splitlines() if line.startswith("model name")), "")
        if info.exists()
        else ""
    )
    return f"{platform.machine()} {model.partition(':')[2].strip()}"
