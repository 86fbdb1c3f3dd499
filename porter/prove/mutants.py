# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Showing mutants to the rings, and proving that what none finds is equivalent.

First every mutant alone: each ring on a sample of the rows of the family it was drawn for, and of the smallest family
that includes the file. What survives that is looked at in every row and combination of every family that includes the
file. Nearly all of it is code that no kernel reaches, so survivors are first compiled together, at most one of each
function, and their kernels' IR compared with that of the port as it stands; where that differs, in halves, down to one.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from porter.cache import cache_dir, write_atomically
from porter.errors import MetalError, ParseError, ProofError, SteelPortError
from porter.model import Proof, Status, sha256
from porter.prove.case import Case
from porter.prove.code import Outcome, Task, compare, compiled, make_tasks
from porter.prove.compile import toolchain_digest
from porter.prove.compiled_interface import prove_compiled_interface
from porter.prove.interface import prove_interface
from porter.prove.ir import Module
from porter.prove.layouts import base_name, prove_layouts
from porter.prove.mutate import Examined, Mutant, including, shown_in_ir, source_root, with_change
from porter.prove.mutation_operators import mutated
from porter.prove.mutation_text import Change, Text
from porter.prove.names import emitted_metal, is_nax
from porter.prove.sides import port_side, upstream_side
from porter.prove.units import Part

# What a ring raises where the port's text cannot be compiled or understood: the mutant is found. A missing tool, or
# upstream's bytes that are not the pinned ones, is no finding.
_REFUSED = (ProofError, ParseError, MetalError)
_SHOWN = 160
# Modules of upstream's IR that are kept, some 3 MB of text each.
_MOST_MODULES = 48


@dataclass
class Examiner:
    """The families, and what was made of their unmutated sides so far."""

    cases: tuple[Case, ...]
    outputs: Callable[[Case], str] | None = None
    _modules: dict[str, Module] = field(default_factory=dict, repr=False)
    _reached: dict[str, tuple[Case, ...]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, object]:
        portable = tuple(replace(case, progress=_silent, jobs=1) for case in self.cases)
        return {"cases": portable, "outputs": self.outputs, "_modules": {}, "_reached": {}}

    def examine(self, mutant: Mutant) -> Examined | None:
        """Show the mutant to the rings on a sample; None where none finds it."""
        with self._changed((mutant,)) as folder:
            first = dict.fromkeys((mutant.family, self.reached(mutant)[0].family.name))
            found = (self.quick(mutant, with_change(self.case(name), folder)) for name in first)
            return next(filter(None, found), None)

    def reached(self, mutant: Mutant) -> tuple[Case, ...]:
        """The families that include the mutated file, the smallest first."""
        if mutant.file not in self._reached:
            self._reached[mutant.file] = tuple(including(self.cases, mutant.file))
        return self._reached[mutant.file]

    @contextmanager
    def _changed(self, mutants: Sequence[Mutant]) -> Iterator[Path]:
        """A copy of the overlay by links, but for the mutants' files."""
        case = self.cases[0]
        with tempfile.TemporaryDirectory(prefix="steel-port-mutant-") as temporary:
            folder = Path(temporary) / "generated"
            shutil.copytree(case.overlay_root, folder, copy_function=_linked)
            # From the end of a file to its beginning, so that places stay what they are.
            for mutant in sorted(mutants, key=lambda one: -one.change.start):
                path = folder / source_root(case).relative_to(case.overlay_root) / mutant.file
                text = path.read_text(encoding="utf-8")
                path.unlink()  # the link, not the file behind it
                path.write_text(mutated(text, mutant.change), encoding="utf-8")
            yield folder

    def quick(self, mutant: Mutant, case: Case) -> Examined | None:
        """The rings on a sample of the rows, each with its first and last combination of constants."""
        checks: list[tuple[str, Callable[[Case], str]]] = [("names", lambda c: _differs(emitted_metal(c)))]
        if self._holds_params(mutant, case):
            checks.append(("layouts", lambda c: next(filter(None, map(_differs, prove_layouts(c))), "")))
        checks += [("interface", lambda c: _differs(prove_interface(c))), ("body", self._sampled_bodies)]
        for ring, check in checks:
            try:
                why = check(case)
            except _REFUSED as error:
                return Examined(mutant, ring, f"{case.family.name}: refused: {error.what[:_SHOWN]}")
            if why:
                return Examined(mutant, ring, f"{case.family.name}: {why[:_SHOWN]}")
        return None

    def _holds_params(self, mutant: Mutant, case: Case) -> bool:
        if not mutant.file:  # no mutant
            return bool(case.family.params)
        names = [base_name(name) for name in case.family.params]
        text = (source_root(case) / mutant.file).read_text(encoding="utf-8") if names else ""
        return any(f"struct {name}" in text for name in names)

    def _sampled_bodies(self, case: Case) -> str:
        upstream, port = upstream_side(case), port_side(case)
        for task in make_tasks(case, upstream, port, _extreme(case)):
            if wrong := _wrong(self._compared(task)):
                return wrong
        return ""

    def _compared(self, task: Task) -> Outcome:
        key = sha256(f"{task.upstream.text}{task.upstream_side.digest}".encode())
        if key not in self._modules:
            while len(self._modules) >= _MOST_MODULES:
                del self._modules[next(iter(self._modules))]
            self._modules[key] = Module(compiled(task.upstream, task.upstream_side))
        return compare(task, self._modules[key])

    # -- what no ring found so

    def same_code(self, mutants: Sequence[Mutant], family: str) -> tuple[int, bool]:
        """How many kernels the family has, with their combinations, and whether all keep their IR under `mutants`."""
        with self._changed(mutants) as folder:
            count = 0
            try:
                for task, before in self._whole(family, folder):
                    count += len(task.hosts)
                    if self._code(before) != _digest(task):
                        return count, False
            except _REFUSED:
                return count, False
            return count, True

    def alone(self, mutant: Mutant, differing: Sequence[str], kept: int) -> Examined:
        """What a mutant comes to whose sampled kernels are equal. `differing`: the families whose IR it changes, or
        may; `kept`: how many kernels of other families keep theirs."""
        after = 0
        with self._changed((mutant,)) as folder:
            for family in differing:
                try:
                    for task, before in self._whole(family, folder):
                        outcome = compare(task) if self._code(before) != _digest(task) else Outcome(0, ())
                        if wrong := _wrong(outcome):
                            return Examined(mutant, "body", f"{family}: {wrong[:_SHOWN]}")
                        after += len(outcome.verdicts)
                        kept += len(task.hosts)
                except _REFUSED as error:
                    return Examined(mutant, "body", f"{family}: refused: {error.what[:_SHOWN]}")
            if found := self._others(mutant, folder):
                return found
        if not shown_in_ir(mutant):
            return Examined(mutant, None, "IR does not show this kind of change")
        families = len(self.reached(mutant))
        proof = f"{kept:,} kernels of {families} {'families' if families > 1 else 'family'} keep their IR"
        return Examined(mutant, None, "", f"{proof}, {after} of them after O1" if after else proof)

    def _whole(self, family: str, folder: Path) -> Iterator[tuple[Task, Task]]:
        """Every unit of the family on a changed overlay, and on the overlay as it stands."""
        case = replace(self.case(family), everything=True)
        whole = replace(with_change(case, folder), everything=True)
        upstream = upstream_side(case)
        before = make_tasks(case, upstream, port_side(case))
        yield from zip(make_tasks(whole, upstream, port_side(whole)), before, strict=True)

    def case(self, family: str) -> Case:
        return next(case for case in self.cases if case.family.name == family)

    def _code(self, task: Task) -> str:
        """The digest of the IR of the port's unit as it stands; kept, since every survivor asks for it."""
        key = sha256(f"{toolchain_digest()}{task.port.text}{task.port_side.digest}".encode())
        place = cache_dir("mutation") / key
        if not place.is_file():
            write_atomically(place, _digest(task).encode())
        return place.read_text()

    def _others(self, mutant: Mutant, folder: Path) -> Examined | None:
        """What Apple's metadata show, and, of what IR does not, the outputs: of the family the mutant was drawn for."""
        case = self.case(mutant.family)
        changed = with_change(case, folder)
        try:
            compiled_too = case.family.table is not None and not is_nax(case.family)
            if compiled_too and (why := _differs(prove_compiled_interface(changed))):
                return Examined(mutant, "interface", f"{case.family.name}: {why[:_SHOWN]}")
            if not shown_in_ir(mutant) and self.outputs is not None and (why := self.outputs(changed)):
                return Examined(mutant, "outputs", f"{case.family.name}: {why[:_SHOWN]}")
        except _REFUSED as error:
            return Examined(mutant, "interface", f"{case.family.name}: refused: {error.what[:_SHOWN]}")
        return None


def _extreme(case: Case) -> Callable[[Part], bool]:
    """The first and the last combination of each kernel's constants: every boolean has either value in one of them."""
    ends = {
        name: (found[0], found[-1]) for name in case.family.kernel_names if (found := case.family.combinations(name))
    }
    return lambda part: part.combination in ends[part.kernel]


def _digest(task: Task) -> str:
    return sha256(compiled(task.port, task.port_side).encode())


def _wrong(outcome: Outcome) -> str:
    wrong = [verdict for verdict in outcome.verdicts if not verdict.equal_after_o1]
    return f"{len(wrong)} kernels, such as {wrong[0].key}" if wrong else ""


def _differs(proof: Proof) -> str:
    return proof.why if proof.status is Status.DIFFERS else ""


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target


def _silent(what: str, done: int, total: int | None) -> None:
    """Progress is reported by mutants."""


# ---------------------------------------------------------------------------------------------------------------------
# Many mutants


def examine_all(examiner: Examiner, mutants: Sequence[Mutant], jobs: int) -> Iterator[Examined]:
    """What came of each, in no order. The port as it stands is examined first, family by family.

    Raises ProofError where a ring finds something in it: then nothing could be said of mutants.
    """
    ordered = sorted(mutants, key=lambda mutant: (mutant.family, mutant.number))
    if jobs < 2 or len(ordered) < 2:
        _begin(examiner)
        yield from _phases(examiner, ordered, map)
        return
    # Spawned, not forked: this process may hold threads (torch, libclang).
    with multiprocessing.get_context("spawn").Pool(jobs, _begin, (examiner,)) as pool:
        yield from _phases(examiner, ordered, pool.imap_unordered)


def _phases(examiner: Examiner, mutants: Sequence[Mutant], run: Callable[..., Iterable[Any]]) -> Iterator[Examined]:
    survivors: list[Mutant] = []
    for mutant, found in run(_one, mutants):
        if found is None:
            survivors.append(mutant)
        else:
            yield found
    kernels, differing = Counter[int](), dict[int, list[str]]()
    asked = list(_together(examiner, survivors))
    while asked:
        halves: list[tuple[tuple[Mutant, ...], str]] = []
        for batch, family, count, same in run(_same, asked):
            if same:
                kernels.update({one.number: count for one in batch})
            elif len(batch) > 1:
                half = len(batch) // 2
                halves += [(batch[:half], family), (batch[half:], family)]
            else:
                differing.setdefault(batch[0].number, []).append(family)
        asked = halves
    yield from run(_alone, [(one, tuple(differing.get(one.number, ())), kernels[one.number]) for one in survivors])


def _together(examiner: Examiner, mutants: Iterable[Mutant]) -> Iterator[tuple[tuple[Mutant, ...], str]]:
    """Each family with mutants that reach it, no two of them in one function, where one could undo another."""
    by_place: dict[tuple[str, int], list[Mutant]] = {}
    texts: dict[str, Text] = {}
    for mutant in mutants:
        if mutant.file not in texts:
            path = source_root(examiner.cases[0]) / mutant.file
            texts[mutant.file] = Text(path.read_text(encoding="utf-8"))
        by_place.setdefault((mutant.file, _function(texts[mutant.file], mutant.change.start)), []).append(mutant)
    for batch in itertools.zip_longest(*by_place.values()):
        by_family: dict[str, list[Mutant]] = {}
        for one in filter(None, batch):
            for case in examiner.reached(one):
                by_family.setdefault(case.family.name, []).append(one)
        yield from ((tuple(some), family) for family, some in by_family.items())


def _function(text: Text, offset: int) -> int:
    """The offset of the body that holds `offset`; of what stands in no body, `offset` itself."""
    for body in text.bodies:
        if text.code[body.first].start <= offset < text.code[body.last].end:
            return text.code[body.first].start
    return offset


_examiner: Examiner | None = None
_sound: set[str] = set()


def _begin(examiner: Examiner) -> None:
    global _examiner  # one in each worker process, made when it starts
    _examiner = examiner
    _sound.clear()


def _ready() -> Examiner:
    if _examiner is None:
        raise ProofError("the worker has no families")
    return _examiner


def _one(mutant: Mutant) -> tuple[Mutant, Examined | None]:
    examiner = _ready()
    if mutant.family not in _sound:
        _check_sound(examiner, examiner.case(mutant.family))
        _sound.add(mutant.family)
    return mutant, examiner.examine(mutant)


def _same(asked: tuple[tuple[Mutant, ...], str]) -> tuple[tuple[Mutant, ...], str, int, bool]:
    return (*asked, *_ready().same_code(*asked))


def _alone(asked: tuple[Mutant, tuple[str, ...], int]) -> Examined:
    return _ready().alone(*asked)


def _check_sound(examiner: Examiner, case: Case) -> None:
    unchanged = Mutant(0, "", case.family.name, "", 0, Change(0, 0, ""), "")
    try:
        found = examiner.quick(unchanged, with_change(case, case.overlay_root))
    except SteelPortError as error:
        raise ProofError(f"{case.family.name}: {error}") from error
    if found is not None:
        raise ProofError(
            f"the ring {found.ring} finds something without any mutant: {found.how}",
            expected="a port that is proved",
            next_step="steel-port verify",
        )
