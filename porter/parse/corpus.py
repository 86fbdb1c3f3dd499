# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sources -> Corpus: everything the sources of the families declare, and where.

Each family is one translation unit (porter/parse/part.py). Units are independent of each other, so they are read in
several processes, and what a unit declares is kept under a digest of all that decides it (porter/parse/kept.py): a
changed header is read again with the families that include it, and with no other.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from porter.errors import SpecError
from porter.model import Corpus, Coverage, Instantiation, Location, Sources
from porter.parse import kept
from porter.parse.check import problems
from porter.parse.directives import resolve
from porter.parse.file_facts import FileFacts, read_file
from porter.parse.notices import read_licence
from porter.parse.part import Part, Unit, owned, read_part
from porter.spec import Family

JOBS = min(os.cpu_count() or 1, 2)
Noun = TypeVar("Noun")


def read_corpus(sources: Sources, families: tuple[Family, ...], jobs: int = JOBS) -> Corpus:
    """Read what the files of `families` declare, and check each family's YAML against it.

    The instantiations come from the macros of a family's `.metal` file where the sources are full, else from its YAML
    alone; a family whose kernels stand in a `.metal` file that is not at hand has no templates and no constants.
    Raises SpecError (the YAML's file:line) where a YAML says what upstream does not, or leaves something of upstream
    out; ParseError (the source's file:line) for a source that cannot be understood.
    """
    reader = _Files(sources)
    parts = read_parts(sources, families, jobs, reader)
    for family, part in zip(families, parts, strict=True):
        wrong = problems(family, part, sources, reader)
        if wrong:
            raise _first(family, wrong)
    facts = [reader[path] for path in sorted(reader.read)]
    return Corpus(
        pin=sources.pin,
        files=tuple(sorted(reader.read)),
        includes=_sorted((one for file in facts for one in file.includes), lambda include: include.location),
        macros=_sorted((one for file in facts for one in file.macros), lambda macro: macro.location),
        notices={path: reader[path].notice for path in sorted(reader.read)},
        templates=_sorted(
            (one for f, p in zip(families, parts, strict=True) for one in owned(f, p).values()),
            lambda one: one.location,
        ),
        params=_sorted((one for part in parts for one in part.params), lambda struct: struct.location),
        constants=_sorted((one for part in parts for one in part.constants), lambda constant: constant.location),
        instantiations=_sorted(
            (row for f, p in zip(families, parts, strict=True) for row in _rows(f, p, sources)), lambda row: row.origin
        ),
    )


def closure(roots: Iterable[str], sources: Sources) -> tuple[str, ...]:
    """`roots` and every file of the sources that they include, however far away, sorted."""
    return tuple(sorted(_Files(sources).reach(roots)))


def file_facts(sources: Sources) -> Mapping[str, FileFacts]:
    """What each file says by itself, by upstream path; read when it is asked for."""
    return _Files(sources)


def read_parts(
    sources: Sources, families: Sequence[Family], jobs: int = JOBS, reader: _Files | None = None
) -> tuple[Part, ...]:
    """What the unit of each family declares, as it was kept or read anew; nothing is checked against the YAMLs."""
    reader = reader or _Files(sources)
    units = [unit_of(family, sources, reader) for family in families]
    keys = [kept.key_of_unit(unit) for unit in units]
    parts = [kept.recall(key, Part) for key in keys]
    missing = [i for i, part in enumerate(parts) if part is None]
    for i, part in zip(missing, _read([units[i] for i in missing], jobs), strict=True):
        kept.keep(keys[i], part)
        parts[i] = part
    if missing:
        kept.prune()
    return tuple(part for part in parts if part is not None)


def _read(units: Sequence[Unit], jobs: int) -> Iterable[Part]:
    if jobs < 2 or len(units) < 2:
        yield from map(read_part, units)
        return
    with ProcessPoolExecutor(min(jobs, len(units)), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(read_part, units)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def unit_of(family: Family, sources: Sources, reader: _Files | None = None) -> Unit:
    """What is read for `family`. Raises SpecError, with the YAML's line, for a file that the sources lack."""
    reader = reader or _Files(sources)
    named = [(f"sources.preamble.{i}", path) for i, path in enumerate(family.preamble)]
    named += [(f"sources.kernels.{i}", path) for i, path in enumerate(family.sources_of_kernels)]
    if family.table is not None and sources.pin.coverage is Coverage.FULL:
        named.append(("sources.table", family.table))
    for key, path in named:
        if path not in sources.files and not _stands_in_no_wheel(path, sources):
            raise SpecError(
                f"upstream has no file {path} at revision {sources.pin.revision[:12]}",
                where=f"specs/{family.path}:{family.lines.get(key, 1)}",
                next_step="choose a revision that has it, or change the family's sources",
            )
    present = [path for _, path in named if path in sources.files]
    includes = tuple(dict.fromkeys(present))
    if family.table in present:
        includes = (family.table or "",)
    elif not any(path in present for path in family.sources_of_kernels) and not family.params:
        includes = ()
    files = {path: sources.files[path].text for path in reader.reach(present)}
    return Unit(family.name, includes, family.sources_of_kernels, family.params, family.table in present, files)


def _stands_in_no_wheel(path: str, sources: Sources) -> bool:
    return sources.pin.coverage is not Coverage.FULL and path.endswith(".metal")


class _Files(Mapping[str, FileFacts]):
    """What each file says by itself, read when it is first asked for."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.read: dict[str, FileFacts] = {}
        self._licence = read_licence("LICENSE", sources.files["LICENSE"].text)

    def __getitem__(self, path: str) -> FileFacts:
        if path not in self.read:
            file = self.sources.files[path]
            key = kept.key_of_file(path, file.sha256, self._licence)
            found = kept.recall(key, FileFacts)
            if found is None:
                found = read_file(path, file.text, self._licence)
                kept.keep(key, found)
            self.read[path] = found
        return self.read[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources.files)

    def __len__(self) -> int:
        return len(self.sources.files)

    def reach(self, roots: Iterable[str]) -> list[str]:
        """`roots` and every file that they include, however far away, in the order found."""
        seen: dict[str, None] = {}
        waiting = list(roots)
        while waiting:
            path = waiting.pop()
            if path not in seen:
                seen[path] = None
                found = (resolve(include, self.sources.files) for include in self[path].includes)
                waiting += [target for target in found if target is not None]
        return list(seen)


def _rows(family: Family, part: Part, sources: Sources) -> tuple[Instantiation, ...]:
    return part.instantiations if family.table in sources.files else family.instantiations()


def _first(family: Family, wrong: list[SpecError]) -> SpecError:
    if len(wrong) > 1:
        wrong[
            0
        ].next_step = (
            f"{wrong[0].next_step}; `python -m porter.parse.check_family {family.name}` lists all {len(wrong)} problems"
        )
    return wrong[0]


def _sorted(nouns: Iterable[Noun], location: Callable[[Noun], Location]) -> tuple[Noun, ...]:
    """By location. Two families share headers, so a noun may come twice and stands once; rows of one macro call keep
    their order."""
    return tuple(sorted(dict.fromkeys(nouns), key=location))
