# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the rings read of one family, and which of its kernels they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from porter.model import Corpus, Instantiation, KernelTemplate, ParamsStruct, Proof, Ring, Sources, Status
from porter.port.target import Target
from porter.spec import Family

Progress = Callable[[str, int, "int | None"], None]
Examine = Callable[[], "Proof | tuple[Proof, ...] | None"]

LIBRARY = "Apple's compiled library"


@dataclass(frozen=True)
class Claim:
    """What is to be examined, so that it can be reported even where it cannot be. None: the claim is not made here."""

    ring: Ring
    claim: str
    witness: str
    examine: Examine


@dataclass(frozen=True)
class Case:
    """One family under proof. `everything`: look at all kernels; else the rings code and outputs take `sampled`.

    `overlay_root` is generated/. `recall`: what was found before for the same inputs need not be found again.
    """

    sources: Sources
    corpus: Corpus
    families: tuple[Family, ...]
    family: Family
    overlay_root: Path
    target: Target
    jobs: int
    progress: Progress
    recall: bool = True
    everything: bool = True

    @cached_property
    def library(self) -> Path:
        """Apple's compiled library of the pinned release. Raises UpstreamError where there is none."""
        from porter.upstream.providers.wheel import metallib_of

        return metallib_of(self.sources.pin.tag or self.sources.pin.revision, progress=self.progress)

    @cached_property
    def rows(self) -> tuple[Instantiation, ...]:
        """Every instantiation of the family, by host name."""
        return tuple(
            sorted((r for r in self.corpus.instantiations if r.family == self.family.name), key=lambda r: r.host_name)
        )

    @cached_property
    def chosen(self) -> tuple[Instantiation, ...]:
        """The rows that the rings code and outputs look at: all, or the sample."""
        return self.rows if self.everything else sampled(self.family, self.rows)

    @property
    def status(self) -> Status:
        """What a comparison of all `chosen` rows that finds nothing may call itself."""
        return Status.PROVED if self.everything or len(self.chosen) == len(self.rows) else Status.SAMPLED

    @property
    def has_source(self) -> bool:
        """Whether the kernels' bodies are at hand: a wheel lacks those that stand in `.metal` files."""
        return all(path in self.sources.files for path in self.family.sources_of_kernels)

    @cached_property
    def templates(self) -> Mapping[str, KernelTemplate]:
        """The family's kernels by name."""
        return {one.name: one for one in self.corpus.templates if one.family == self.family.name}

    @cached_property
    def structs(self) -> Mapping[str, ParamsStruct]:
        """The params structs of the corpus by name, without namespaces."""
        return {one.name.rpartition("::")[2]: one for one in self.corpus.params}


def sampled(family: Family, rows: tuple[Instantiation, ...]) -> tuple[Instantiation, ...]:
    """The first row (by host name) of every kernel with each type or operation among its template arguments, at each
    place. The kernels that one string of the host makes count as one."""
    picked: dict[str, Instantiation] = {}
    seen: set[tuple[str, int, str]] = set()
    requests = {one.host_name: one for one in family.requests}
    for row in sorted(rows, key=lambda one: one.host_name):
        kernel, arguments = row.template, row.arguments
        if row.host_name in requests:  # a kernel of its own, but one of many that one string makes
            kernel, arguments = requests[row.host_name].string, requests[row.host_name].values[1:3]
        kinds = {(kernel, i, a) for i, a in enumerate(arguments) if not _is_value(a)}
        if not kinds:
            kinds = {(row.template, -1, "")}
        if not kinds <= seen:
            seen |= kinds
            picked[row.host_name] = row
    return tuple(picked.values())


def _is_value(argument: str) -> bool:
    return argument in ("true", "false") or argument.lstrip("-").isdigit()
