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
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from porter.cache import cache_dir, write_atomically
from porter.errors import TreeError
from porter.model import Corpus, Overlay, Proof, Ring, Sources, Status, sha256, to_data
from porter.spec import Family, load_families

Progress = Callable[[str, int, "int | None"], None]

DEFAULT_REVISION = "v0.30.1"
UPSTREAM_TREE = "upstream_mlx"
OVERLAY_TREE = "generated"

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
    from porter.upstream import lock

    sources, sentence = _obtain(request, progress)
    overlay_root = request.root / OVERLAY_TREE
    inputs = _inputs(request, sources)
    remembered = cache_dir("sync") / inputs
    if remembered.is_file() and lock.matches(overlay_root, remembered.read_text()):
        count = len(lock.read_lock(overlay_root).files)
        return Synchronised(
            sources.pin.revision, False, count, sentence, f"{OVERLAY_TREE}/ is up to date: {count} files", sources
        )
    corpus, overlay = make_overlay(request, sources)
    changed = lock.write_overlay(overlay_root, overlay, sources.pin)
    write_atomically(remembered, lock.read_lock(overlay_root).digest.encode())
    verb = "written" if changed else "unchanged"
    summary = f"{OVERLAY_TREE}/ {verb}: {len(overlay.files)} files, {len(corpus.instantiations)} kernels of upstream"
    return Synchronised(sources.pin.revision, changed, len(overlay.files), sentence, summary, sources, corpus)


def make_overlay(request: Request, sources: Sources) -> tuple[Corpus, Overlay]:
    """Sources -> Corpus -> Port -> Overlay, and the checks of the specs against upstream's host code."""
    from porter.emit import emit
    from porter.parse.corpus import read_corpus
    from porter.parse.tiles import check_tiles
    from porter.port import port
    from porter.port.target import load_target

    families, target = request.loaded_families, load_target(request.target)
    corpus = read_corpus(sources, families)
    for family in families:
        if family.host in sources.files:
            check_tiles(sources, family)
    return corpus, emit(port(corpus, sources, families, target), sources, families, target)


def prove(
    request: Request, rings: Iterable[Ring] | None, progress: Progress, synchronised: Synchronised | None = None
) -> tuple[Proof, ...]:
    """Run the rings (all by default) on what stands in generated/, or recall what they found for the same inputs."""
    from porter.upstream import lock

    overlay_root = request.root / OVERLAY_TREE
    overlay_lock = lock.verify_lock(overlay_root)
    sources = synchronised.sources if synchronised else _pinned(request)
    if overlay_lock.revision != sources.pin.revision:
        raise TreeError(
            f"generated/ was made from {overlay_lock.revision[:12]}, upstream_mlx/ holds {sources.pin.revision[:12]}",
            where=str(overlay_root),
            next_step="run `steel-port sync`",
        )
    key = sha256(f"{_inputs(request, sources)} {overlay_lock.digest} {_tools(PROVING)} {_code_digest()} {_machine()}".encode())
    wanted = list(rings or Ring)
    found = {ring: _recall(key, ring) for ring in wanted}
    missing = [ring for ring in wanted if found[ring] is None]
    if missing:
        from porter.prove import verify

        corpus = synchronised.corpus if synchronised and synchronised.corpus else _corpus(request, sources)
        proofs = verify(sources, corpus, request, overlay_root, rings=missing, progress=progress)
        for ring in missing:
            found[ring] = tuple(proof for proof in proofs if proof.ring is ring)
            _remember(key, ring, found[ring] or ())
    return tuple(proof for ring in wanted for proof in found[ring] or ())


def _corpus(request: Request, sources: Sources) -> Corpus:
    from porter.parse.corpus import read_corpus

    return read_corpus(sources, request.loaded_families)


def _obtain(request: Request, progress: Progress) -> tuple[Sources, str]:
    from porter.upstream import obtain

    revision = request.revision or _pinned_revision(request.root) or DEFAULT_REVISION
    return obtain(revision, request.source, request.provider, request.root / UPSTREAM_TREE, progress=progress)


def _pinned_revision(root: Path) -> str | None:
    """The revision that PIN.yaml names: a `sync` without --mlx-rev stays with it."""
    from porter.upstream.pin import read_pin

    path = root / UPSTREAM_TREE / "PIN.yaml"
    return read_pin(path).revision if path.is_file() else None


def _pinned(request: Request) -> Sources:
    """What stands in upstream_mlx/, checked against its pin; nothing is fetched."""
    from porter.upstream import obtain

    revision = _pinned_revision(request.root)
    if revision is None:
        raise TreeError("nothing is vendored yet", where=str(request.root), next_step="run `steel-port sync`")
    sources, _ = obtain(revision, None, "auto", request.root / UPSTREAM_TREE, progress=lambda *_: None, offline=True)
    return sources


def _inputs(request: Request, sources: Sources) -> str:
    """One digest over everything that decides what is generated."""
    from porter.port.target import load_target

    families = " ".join(family.digest for family in request.loaded_families)
    parts = (sources.pin.digest, families, load_target(request.target).digest, _code_digest(), _tools(GENERATING))
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


def _machine() -> str:
    """What kernels run on: results on another kind of processor are not results on this one."""
    info = Path("/proc/cpuinfo")
    model = next((line for line in info.read_text().splitlines() if line.startswith("model name")), "") if info.exists() else ""
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
            Proof(**{**row, "ring": Ring(row["ring"]), "status": Status(row["status"]), "notes": tuple(row["notes"])})
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
