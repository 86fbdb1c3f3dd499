# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What comparisons of kernels came to before, a file a job, so that a run that was killed goes on where it was.

A key covers all that decides an outcome: the source, Apple's bitcode, the family's YAML, its generator and whatever of
ours that imports, the code that runs and compares, the runtime, the compilers, and the packages that compute what is
expected. Files that are damaged are as good as none.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from porter.cache import cache_dir, write_atomically
from porter.errors import TreeError
from porter.metal import toolchain
from porter.metal.package import package_digest
from porter.model import sha256, to_data
from porter.prove.compare_kernels import CASES, Job
from porter.prove.compiled_kernels import digests
from porter.prove.outcome import Outcome, outcome

_FOLDER = "outputs"
_MOST = 4096
"""Files that are kept; a run of the whole corpus writes some 400."""

_PACKAGES = ("numpy", "mlx", "torch")


def key(job: Job) -> str:
    """Hex digest of all that decides what `job` comes to."""
    stated = digests(job.library) if job.library else {}
    rows = [
        [row.host_name, row.template, row.arguments, row.host_name in job.thorough, stated.get(row.host_name, "")]
        for row in job.rows
    ]
    inputs = [
        job.family.name,
        job.family.digest,
        job.source.digest if job.source else "",
        _layouts(job),
        _code(f"{CASES}.{job.family.cases}"),
        _environment(),
    ]
    return sha256(json.dumps([rows, inputs]).encode())


def _layouts(job: Job) -> list[list[object]]:
    """The params structs as a generator fills them; where they stand in upstream's files is of no account."""
    return [
        [name, struct.size, [[one.name, one.type, one.offset, one.size] for one in struct.fields]]
        for name, struct in sorted(job.structs.items())
    ]


def recall(key: str) -> tuple[Outcome, ...] | None:
    """What was kept under `key`, or None."""
    try:
        digest, _, text = (cache_dir(_FOLDER) / f"{key}.json").read_bytes().partition(b"\n")
        if digest.decode() != sha256(key.encode() + text):
            return None
        return tuple(map(outcome, json.loads(text)))
    except (OSError, TreeError, ValueError, KeyError, TypeError):
        return None


def keep(key: str, outcomes: Iterable[Outcome]) -> None:
    """Keep outcomes that hold: what differs or could not be run is looked at anew."""
    listed = tuple(outcomes)
    found = [one for each in listed for one in (each.apple, each.expected) if one is not None]
    if any(one.status != "equal" for one in found):
        return
    text = json.dumps([to_data(one) for one in listed], separators=(",", ":")).encode()
    folder = cache_dir(_FOLDER)
    write_atomically(folder / f"{key}.json", sha256(key.encode() + text).encode() + b"\n" + text)
    _bound(folder)


def _bound(folder: Path) -> None:
    files = [one for one in os.scandir(folder) if one.name.endswith(".json")]
    if len(files) > _MOST:
        for one in sorted(files, key=lambda file: file.stat().st_mtime)[: len(files) - _MOST // 2]:
            with suppress(OSError):
                Path(one.path).unlink()


@cache
def _environment() -> str:
    """Of the runtime and the compilers, the processor, and the packages that compute references."""
    versions = []
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    runtime = Path(importlib.import_module("porter.metal").__file__ or "").parent / "runtime"
    return toolchain.digest(
        [
            package_digest(),
            toolchain.digest_of_folder(runtime),
            toolchain.cpu_identity(),
            *versions,
            _code("porter.prove.compare_kernels"),
            _code("porter.family"),
        ]
    )


@cache
def _code(module: str) -> str:
    """Of the module and of all modules of porter.prove that it imports, directly or not."""
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        data = Path(found.origin).read_bytes()
        seen[name] = hashlib.sha256(data).hexdigest()
        waiting += _imported(data)
    return sha256("\n".join(f"{name} {digest}" for name, digest in sorted(seen.items())).encode())


def _imported(data: bytes) -> Iterable[str]:
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from porter.prove.cases import values` may name a module or what is in one.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            with suppress(ModuleNotFoundError):
                if name.startswith("porter.prove.") and importlib.util.find_spec(name) is not None:
                    yield name
