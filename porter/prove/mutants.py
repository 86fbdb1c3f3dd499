# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Showing one mutant to the rings, and proving that what none finds is equivalent."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from porter.errors import MetalError, ParseError, ProofError, SteelPortError
from porter.model import Proof, Status, sha256
from porter.prove.case import Case
from porter.prove.code import Outcome, Task, compare, compiled, make_tasks
from porter.prove.compiled_interface import prove_compiled_interface
from porter.prove.interface import prove_interface
from porter.prove.ir import Module
from porter.prove.layouts import base_name, prove_layouts
from porter.prove.mutate import Examined, Mutant, including, shown_in_ir, source_root, with_change
from porter.prove.mutation_operators import mutated
from porter.prove.mutation_text import Change
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
    _written: dict[str, str] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, object]:
        portable = tuple(replace(case, progress=_silent, jobs=1) for case in self.cases)
        return {"cases": portable, "outputs": self.outputs, "_modules": {}, "_written": {}}

    def examine(self, mutant: Mutant) -> Examined:
        """Show the mutant to the rings. Raises ProofError where a ring finds something without it."""
        with tempfile.TemporaryDirectory(prefix="steel-port-mutant-") as temporary:
            folder = Path(temporary) / "generated"
            reached = list(including(self.cases, mutant.file))
            self._lay_out(mutant, reached[0], folder)
            for case in reached:
                if found := self.quick(mutant, with_change(case, folder)):
                    return found
            try:
                return self._thorough(mutant, reached, folder)
            except _REFUSED as error:
                return Examined(mutant, "body", f"refused: {error.what[:_SHOWN]}")

    def _lay_out(self, mutant: Mutant, case: Case, folder: Path) -> None:
        """A copy of the overlay by links, but for the one file."""
        shutil.copytree(case.overlay_root, folder, copy_function=_linked)
        path = folder / source_root(case).relative_to(case.overlay_root) / mutant.file
        text = path.read_text(encoding="utf-8")
        path.unlink()  # the link, not the file behind it
        path.write_text(mutated(text, mutant.change), encoding="utf-8")

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

    def _thorough(self, mutant: Mutant, reached: Sequence[Case], folder: Path) -> Examined:
        """Every row with every combination, then Apple's metadata, then the outputs; else the proof that it is the
        same code."""
        count = after = 0
        for case in reached:
            whole = replace(with_change(case, folder), everything=True)
            upstream, port, original = upstream_side(whole), port_side(whole), port_side(case)
            originals = list(make_tasks(replace(case, everything=True), upstream, original))
            for task, before in zip(make_tasks(whole, upstream, port), originals, strict=True):
                count += len(task.hosts)
                if self._code(before) == _digest(task):
                    continue
                outcome = compare(task)
                if wrong := _wrong(outcome):
                    return Examined(mutant, "body", f"{case.family.name}: {wrong[:_SHOWN]}")
                after += len(outcome.verdicts)
        if found := self._others(mutant, reached, folder):
            return found
        if not shown_in_ir(mutant):
            return Examined(mutant, None, "IR does not show this kind of change")
        proof = f"{count} kernels of {len(reached)} families keep their IR"
        return Examined(mutant, None, "", f"{proof}, {after} of them after O1" if after else proof)

    def _code(self, task: Task) -> str:
        """The digest of the IR of the port's unit as it stands."""
        key = sha256(f"{task.port.text}{task.port_side.digest}".encode())
        if key not in self._written:
            self._written[key] = _digest(task)
        return self._written[key]

    def _others(self, mutant: Mutant, reached: Sequence[Case], folder: Path) -> Examined | None:
        for case in reached:
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
        yield from map(_one, ordered)
        return
    # Spawned, not forked: this process may hold threads (torch, libclang).
    with multiprocessing.get_context("spawn").Pool(jobs, _begin, (examiner,)) as pool:
        yield from pool.imap_unordered(_one, ordered, chunksize=4)


_examiner: Examiner | None = None
_sound: set[str] = set()


def _begin(examiner: Examiner) -> None:
    global _examiner  # one in each worker process, made when it starts
    _examiner = examiner
    _sound.clear()


def _one(mutant: Mutant) -> Examined:
    if _examiner is None:
        raise ProofError("the worker has no families")
    if mutant.family not in _sound:
        case = next(case for case in _examiner.cases if case.family.name == mutant.family)
        _check_sound(_examiner, case)
        _sound.add(mutant.family)
    return _examiner.examine(mutant)


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
