# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a ring found of a family before, for the same inputs.

The inputs of one ring of one family: the family's YAML, the texts of every upstream file and every overlay file that it
reaches through includes, which kernels are looked at, and the environment (our code, the tools, the processor). So a
changed header makes the families that include it be proved anew, and no others. What differs or was not run is looked
at anew every time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from porter.cache import cache_dir, write_atomically
from porter.model import KernelResult, Proof, Ring, Sources, Status, sha256, to_data
from porter.prove import Task
from porter.spec import Family
from porter.upstream.lock import Lock

RECALLED = "recalled: found before for the same bytes, specs, code, tools and processor (`verify --fresh` runs it anew)"
_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*[<"]([^<>"]+)[>"]""", re.M)


class Recall:
    """`environment`: a text that is another one where our code, the tools or the machine are others."""

    def __init__(self, environment: str, lock: Lock, sources: Sources) -> None:
        self._environment = environment
        self._overlay: Mapping[str, str] = lock.files
        self._sources = sources
        self._includes: dict[str, tuple[str, ...]] = {}
        self._families: dict[str, str] = {}

    def find(self, task: Task) -> tuple[Proof, ...] | None:
        """What was found, or None. Damaged files are as good as none."""
        try:
            rows = json.loads(self._place(task).read_text())
            return tuple(_proof(row) for row in rows)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, task: Task, proofs: tuple[Proof, ...]) -> None:
        """Keep what holds."""
        if proofs and all(proof.holds for proof in proofs):
            rows = [{**to_data(proof), "kernels": to_data(proof.kernels)} for proof in proofs]
            write_atomically(self._place(task), json.dumps(rows, separators=(",", ":")).encode())

    def _place(self, task: Task) -> Path:
        family = task.case.family
        if family.name not in self._families:
            self._families[family.name] = self._inputs(family)
        extent = "everything" if task.case.everything else "sample"
        key = sha256(f"{self._environment}\n{self._families[family.name]}\n{task.ring.value} {extent}".encode())
        return cache_dir("proved") / f"{key}.json"

    def _inputs(self, family: Family) -> str:
        """One digest over the family's YAML and everything that it reaches."""
        roots = [*family.preamble, *family.sources_of_kernels, *([family.table] if family.table else [])]
        reached: dict[str, None] = {}
        waiting = [path for path in (*roots, *family.hosts, "LICENSE") if path in self._sources.files]
        while waiting:
            path = waiting.pop()
            if path not in reached:
                reached[path] = None
                waiting += self._included(path)
        lines = [f"{self._sources.files[path].sha256}  {path}" for path in sorted(reached)]
        return sha256("\n".join([self._sources.pin.revision, family.digest, *lines, *self._emitted(reached)]).encode())

    def _included(self, path: str) -> tuple[str, ...]:
        if path not in self._includes:
            found = _INCLUDE.findall(self._sources.files[path].text)
            self._includes[path] = tuple(name for name in found if name in self._sources.files)
        return self._includes[path]

    def _emitted(self, reached: Mapping[str, None]) -> list[str]:
        from porter.port.target import KERNELS_ROOT, camel_case

        stems = {camel_case(path).rpartition(".")[0] for path in reached if path.startswith(f"{KERNELS_ROOT}/")}
        suffixes = ("", "Table", "Source")
        return [
            f"{digest}  {path}"
            for path, digest in sorted(self._overlay.items())
            if any(_stem(path) == f"{stem}{suffix}" for stem in stems for suffix in suffixes)
            or _stem(path).startswith("SteelOperators")
        ]


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _proof(row: dict[str, Any]) -> Proof:
    kernels = tuple(
        KernelResult(**{**one, "status": Status(one["status"]), "details": tuple(one["details"])})
        for one in row["kernels"]
    )
    return Proof(
        **{
            **row,
            "ring": Ring(row["ring"]),
            "status": Status(row["status"]),
            "notes": (*row["notes"], RECALLED),
            "kernels": kernels,
        }
    )
