# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What was read before, under a digest of everything that decides it.

Kept as JSON in our cache and rebuilt as if a stranger had written it (`porter.model.from_data`); what cannot be rebuilt
is read anew.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from functools import cache
from pathlib import Path
from typing import TypeVar

from porter.cache import cache_dir, write_atomically
from porter.metal import frontend
from porter.metal.toolchain import digest, digest_of_folder
from porter.model import from_data, to_data
from porter.parse.part import Unit

MAX_BYTES = 64 << 20  # the largest family of v0.30.1 takes 1 MB
LIMIT = 256 << 20  # bytes kept in all; one revision takes 4 MB
Noun = TypeVar("Noun")


def key_of_unit(unit: Unit) -> str:
    """Over the unit, the texts of all its files, our code that reads them, and libclang."""
    files = [part for path in sorted(unit.files) for part in (path, unit.files[path])]
    facts = [unit.family, str(unit.has_table), *unit.includes, "", *unit.owned, "", *unit.params]
    return digest([_code(), importlib.metadata.version("libclang"), *facts, "", *files])


def key_of_file(path: str, sha256: str, licence: str) -> str:
    """Over the file, the licence that it is under where it states none, and our code that reads it."""
    return digest([_code(), path, sha256, licence])


def recall(key: str, kind: type[Noun]) -> Noun | None:
    """What was kept under `key`; None where nothing was, or where it is damaged."""
    path = cache_dir("corpus") / f"{key}.json"
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        found: Noun = from_data(kind, json.loads(path.read_bytes()))
        return found
    except (OSError, ValueError, RecursionError):
        return None


def keep(key: str, noun: object) -> None:
    write_atomically(cache_dir("corpus") / f"{key}.json", json.dumps(to_data(noun), separators=(",", ":")).encode())


def prune(limit: int = LIMIT) -> None:
    """Where more than `limit` bytes are kept, remove what was written first until half of that is left."""
    found = []
    for path in cache_dir("corpus").glob("*.json"):
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return
    for _, size, path in sorted(found):
        if total <= limit // 2:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


@cache
def _code() -> str:
    """Of the rooms that read: this one, the front end with its shim, and the nouns."""
    import porter.model

    metal = frontend.SHIM.parent
    modules = ("frontend.py", "instantiations.py", "patches.py", "toolchain.py")
    texts = [(metal / name).read_bytes() for name in modules]
    texts.append(Path(porter.model.__file__).read_bytes())
    return digest([digest_of_folder(Path(__file__).parent, "*.py"), digest_of_folder(frontend.SHIM), *texts])
