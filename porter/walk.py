# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The one way through the house: Pin -> Sources -> Corpus -> Port -> Overlay -> Proof.

Everything that takes time is skipped where its inputs are what they were: the overlay where the pin, the specs, our
own code and the tools are unchanged and the files still have their digests; a ring where the overlay, the pin, our
code and the tools are. What is skipped is what was found before for the same bytes, never an assumption.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from porter.cache import cache_dir, write_atomically
from porter.errors import ToolchainError, TreeError, UpstreamError
from porter.model import Corpus, Overlay, Proof, Ring, Sources, Status, sha256, to_data
from porter.port.target import Target, load_target
from porter.spec import Family, load_families

Progress = Callable[[str, int, "int | None"], None]

UPSTREAM_TREE = "upstream_mlx"
OVERLAY_TREE = "generated"
LOCK = "LOCK.json"
JOBS = min(os.cpu_count() or 1, 8)
"""Processes at once: a compiler each, of up to 300 MB."""

# Whose versions decide what is generated, and what is proved.
GENERATING = ("libclang", "clang-format", "jinja2")
PROVING = (*GENERATING, "ziglang", "llvmlite", "numpy", "mlx", "torch")


RECALLED = (
    "recalled: proved before for the same bytes, specs, code, tools and processor (`verify --fresh` runs it anew)"
)


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

    families, _ = request.loaded_families, request.loaded_target  # a wrong spec is said before anything is fetched
    sources, sentence = _obtain(request, progress)
    overlay_root = request.root / OVERLAY_TREE
    remembered = cache_dir("sync") / _inputs(request, sources)
    count = _count_if_unchanged(overlay_root, remembered)
    if count is not None:
        summary = f"{OVERLAY_TREE}/ is up to date: {count} files"
        return Synchronised(sources.pin.revision, False, count, sentence, summary, sources)
    corpus, overlay = make_overlay(request, sources)
    files = _locked(overlay, sources, corpus)
    changed = not holds(overlay_root, files)
    replace_tree(overlay_root, files)
    write_atomically(remembered, sha256(files[LOCK]).encode())
    kernels = sum(len(family.combinations()) for family in families) * len(corpus.instantiations)
    summary = (
        f"{OVERLAY_TREE}/ {'written' if changed else 'unchanged'}: {len(files)} files, "
        f"{len(corpus.instantiations)} kernels of upstream, {kernels:,} with their constants"
    )
    return Synchronised(sources.pin.revision, changed, len(files), sentence, summary, sources, corpus)


def _count_if_unchanged(overlay_root: Path, remembered: Path) -> int | None:
    """How many files stand in generated/, if they are what `remembered` says and each has its digest."""
    from porter.upstream import lock

    try:
        text = (overlay_root / LOCK).read_bytes()
        if remembered.read_text() != sha256(text):
            return None
        found = lock.read(overlay_root / LOCK)
        lock.verify(overlay_root, found)
    except (OSError, UpstreamError):
        return None
    return len(found.files) + 1


def _locked(overlay: Overlay, sources: Sources, corpus: Corpus) -> dict[str, bytes]:
    """The overlay's bytes with their lock, which names what they were ported from by digest, whoever brought it."""
    from porter.upstream.lock import Lock

    used = [path for path in corpus.files if path.endswith(".h")] + ["LICENSE"]
    origin = sha256("".join(f"{sources.files[path].sha256}  {path}\n" for path in sorted(used)).encode())
    files = {file.path: file.text.encode() for file in overlay.files}
    made_by = f"steel-port {importlib.metadata.version('steel-port')}"
    return {**files, LOCK: Lock.of(overlay.revision, origin, made_by, files).to_json().encode()}


def make_overlay(request: Request, sources: Sources) -> tuple[Corpus, Overlay]:
    """Sources -> Corpus -> Port -> Overlay, and the checks of the specs against upstream's host code."""
    from porter.emit import emit
    from porter.parse.corpus import read_corpus
    from porter.parse.tiles import check_tiles
    from porter.port import port

    families, target = request.loaded_families, request.loaded_target
    corpus = read_corpus(sources, families)
    for family in families:
        if family.host in sources.files:
            check_tiles(sources, family)
    return corpus, emit(port(corpus, sources, families, target), sources, families, target)


def prove(
    request: Request,
    rings: Iterable[Ring] | None,
    progress: Progress,
    synchronised: Synchronised | None = None,
    *,
    fresh: bool = False,
) -> tuple[Proof, ...]:
    """Run the rings (all by default) on what stands in generated/, or recall what they found for the same inputs.

    `fresh` recalls nothing.

    Raises DigestMismatch where generated/ is not what its lock says, TreeError where it was made from another revision.
    """
    sources = synchronised.sources if synchronised else _vendored(request)
    key = _proof_key(request, sources)
    wanted = list(rings or Ring)
    found = {ring: None if fresh else _recall(key, ring) for ring in wanted}
    missing = [ring for ring in wanted if found[ring] is None]
    if missing:
        from porter.prove import verify

        corpus = synchronised.corpus if synchronised and synchronised.corpus else _corpus(request, sources)
        proofs = verify(
            sources,
            corpus,
            request.loaded_families,
            request.root / OVERLAY_TREE,
            rings=missing,
            target=request.target,
            jobs=JOBS,
            progress=progress,
            recall=not fresh,
        )
        if Ring.NAMES in missing:
            proofs = (_reproduced(request, sources), *proofs)
        for ring in missing:
            found[ring] = tuple(proof for proof in proofs if proof.ring is ring)
            _remember(key, ring, found[ring] or ())
    return tuple(proof for ring in wanted for proof in found[ring] or ())


def _reproduced(request: Request, sources: Sources) -> Proof:
    """Every file of generated/ against what the rules and templates make of the pinned bytes now.

    The rings below compare what a kernel can reach; this one holds the rest (functions no kernel calls, the host's
    code, the table's directives) to our own rules, so that no edit by hand passes with a lock that agrees.
    """
    corpus, overlay = make_overlay(request, sources)
    expected = _locked(overlay, sources, corpus)
    root = request.root / OVERLAY_TREE
    wrong = [path for path, data in expected.items() if path != LOCK and (root / path).read_bytes() != data]
    family, claim = " ".join(f.name for f in request.loaded_families), "generated/ is what the rules make of the pin"
    if wrong:
        why = f"{len(wrong)} files differ: {', '.join(wrong[:3])}"
        return Proof(Ring.NAMES, family, claim, "a second port", Status.DIFFERS, len(expected) - 1, why)
    return Proof(Ring.NAMES, family, claim, "a second port", Status.PROVED, len(expected) - 1)


def _proof_key(request: Request, sources: Sources) -> str:
    """One digest over everything that decides what a ring finds, generated/ itself included and checked."""
    from porter.upstream import lock

    overlay_root = request.root / OVERLAY_TREE
    if not (overlay_root / LOCK).is_file():
        raise TreeError("nothing is generated yet", where=str(overlay_root), next_step="run `steel-port sync`")
    found = lock.read(overlay_root / LOCK)
    lock.verify(overlay_root, found)
    if found.revision != sources.pin.revision:
        raise TreeError(
            f"generated/ was made from {found.revision[:12]}, upstream_mlx/ holds {sources.pin.revision[:12]}",
            where=str(overlay_root),
            next_step="run `steel-port sync`",
        )
    return sha256(
        f"{_inputs(request, sources)} {found.to_json()} {_tools(PROVING)} {_host_compiler()} {_machine()}".encode()
    )


def _corpus(request: Request, sources: Sources) -> Corpus:
    from porter.parse.corpus import read_corpus

    return read_corpus(sources, request.loaded_families)


def _obtain(request: Request, progress: Progress) -> tuple[Sources, str]:
    from porter.upstream import obtain

    return obtain(request.revision, request.source, request.provider, request.root / UPSTREAM_TREE, progress=progress)


def _vendored(request: Request) -> Sources:
    """What stands in upstream_mlx/, checked against its pin; nothing is fetched."""
    from porter.upstream import vendored

    return vendored(request.root / UPSTREAM_TREE)


def _inputs(request: Request, sources: Sources) -> str:
    """One digest over everything that decides what is generated."""
    families = " ".join(family.digest for family in request.loaded_families)
    parts = (sources.pin.digest, families, request.loaded_target.digest, _code_digest(), _tools(GENERATING))
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


def _remember(key: str, ring: Ring, proofs: tuple[Proof, ...]) -> None:
    """Keep what was proved. What differs or was not run is looked at anew every time."""
    if proofs and all(proof.holds for proof in proofs):
        data = json.dumps(to_data(proofs)).encode()
        write_atomically(cache_dir("proved") / f"{key}-{ring.value}.json", data)


def _recall(key: str, ring: Ring) -> tuple[Proof, ...] | None:
    path = cache_dir("proved") / f"{key}-{ring.value}.json"
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        return tuple(
            Proof(
                **{
                    **row,
                    "ring": Ring(row["ring"]),
                    "status": Status(row["status"]),
                    "notes": (*row["notes"], RECALLED),
                }
            )
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
