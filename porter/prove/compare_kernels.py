# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Some kernels of one family, run on both sides on the launches that the family's generator makes.

One side is Apple's compiled kernel, the other Metal source: the port's, or upstream's (porter/prove/runnable.py). All
bytes of every output are compared, and what either side does to other memory (porter/prove/buffers.py). Where the
generator says what is `expected`, that is compared too, within the family's tolerance.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.errors import ProofError, SteelPortError
from porter.metal.kernel import Kernel
from porter.model import Instantiation, ParamsStruct
from porter.prove.agreement import compare_bits, compare_values, elements, tolerance_for
from porter.prove.basis import Basis
from porter.prove.buffers import Ran, run
from porter.prove.cases.values import decode
from porter.prove.compiled_kernels import CompiledKernels
from porter.prove.launch import Array, Launch, Output, Request
from porter.prove.outcome import Found, Outcome
from porter.prove.runnable import Runnable, Wanted
from porter.prove.source_kernels import compile_sources
from porter.spec import Family, Tolerance

CASES = "porter.prove.cases"


@dataclass(frozen=True)
class Job:
    """Which kernels to compare. `thorough`: the host names of `rows` that get more cases. `library`: Apple's, or None
    for kernels that it lacks; `source`: None where the kernels' bodies are not at hand."""

    family: Family
    rows: tuple[Instantiation, ...]
    thorough: frozenset[str]
    structs: Mapping[str, ParamsStruct]
    library: Path | None
    source: Runnable | None


def generator(family: Family) -> Any:
    """The family's module of porter/prove/cases. Raises ProofError where it has none."""
    if family.cases is None:
        raise ProofError(
            f"the family {family.name} has no generator of cases",
            where=f"specs/{family.path}",
            expected="outputs.cases",
        )
    try:
        return importlib.import_module(f"{CASES}.{family.cases}")
    except ModuleNotFoundError as error:
        if error.name != f"{CASES}.{family.cases}":
            raise
        raise ProofError(
            f"the generator {family.cases} is missing",
            where=f"specs/{family.path}:{family.lines.get('outputs.cases', 1)}",
            expected=f"porter/prove/cases/{family.cases}.py",
        ) from None


def request_for(job: Job, row: Instantiation) -> Request:
    """What the generator is asked. The seed comes from the host name: a kernel's cases do not depend on the others."""
    return Request(
        family=job.family,
        row=row,
        axes=job.family.axes_by_name.get(row.host_name, {}),
        structs=job.structs,
        thorough=row.host_name in job.thorough,
        seed=zlib.crc32(row.host_name.encode()),
    )


def compare(job: Job) -> tuple[Outcome, ...]:
    """Run every launch of every row. Nothing is raised for what is wrong with one kernel: its outcome says it."""
    module = generator(job.family)
    plans = [_plan(job, module, row) for row in job.rows]
    kernels = compile_sources(one for plan in plans for one in plan.wanted)
    return tuple(_outcome(job, module, plan, kernels) for plan in plans)


def _outcome(job: Job, module: Any, plan: _Plan, kernels: Mapping[Wanted, Kernel | str]) -> Outcome:
    if plan.error:
        failed = Found("not run", 0, plan.error)
        return Outcome(plan.request.row.host_name, failed if job.library and job.source else None, failed)
    return _Comparison(job, module, plan, [kernels[one] for one in plan.wanted]).outcome()


@dataclass(frozen=True)
class _Plan:
    """What to run for one host name; `wanted` are the kernels from source, one for each launch."""

    request: Request
    launches: tuple[Launch, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    error: str = ""


def _plan(job: Job, module: Any, row: Instantiation) -> _Plan:
    request = request_for(job, row)
    try:
        launches = tuple(module.launches(request))
        for launch in launches:
            _check(request, launch)
    except Exception as error:  # a generator is one family's code, and its fault is that family's result
        return _Plan(request, error=f"the generator failed: {_said(error)}")
    if not launches:
        return _Plan(request, error="the generator made no case")
    try:
        wanted = () if job.source is None else tuple(job.source.wanted(row, one.constants) for one in launches)
    except ProofError as error:
        return _Plan(request, error=str(error))
    return _Plan(request, launches, wanted)


def _check(request: Request, launch: Launch) -> None:
    """Raises ProofError for a launch that says less, or something else, than the family's YAML."""
    constants = dict(launch.constants)
    if constants not in request.combinations():
        raise ProofError(
            f"{launch.what}: the constants {constants} are no combination of {request.row.template}",
            expected=" or ".join(map(str, request.combinations()[:4])),
        )
    if not launch.outputs:
        raise ProofError(f"{launch.what}: the case names no output")
    for output in launch.outputs:
        if output.slot not in launch.buffers:
            raise ProofError(f"{launch.what}: the output {output.slot} is not bound")


class _Comparison:
    """One kernel: all of its launches on the sides that there are."""

    def __init__(self, job: Job, module: Any, plan: _Plan, sources: Sequence[Kernel | str]) -> None:
        self._job, self._module, self._plan, self._sources = job, module, plan, sources
        self._row = plan.request.row
        self._compiled = CompiledKernels(job.library, self._row.host_name) if job.library else None
        self._basis = Basis((), False)
        self._side = job.source.name if job.source else "the kernel"

    def outcome(self) -> Outcome:
        theirs = [self._apple(self._compiled, launch) for launch in self._plan.launches] if self._compiled else []
        ours = [self._ours(*one) for one in zip(self._plan.launches, self._sources, strict=False)]
        against_apple = self._against_apple(theirs, ours) if theirs and ours else None
        return Outcome(self._row.host_name, against_apple, self._against_expected(ours or theirs))

    def _apple(self, compiled: CompiledKernels, launch: Launch) -> Ran | str:
        try:
            kernel = compiled.kernel(launch.constants)
            self._basis = compiled.basis
            return run(kernel, launch)
        except SteelPortError as error:
            return str(error)

    def _ours(self, launch: Launch, kernel: Kernel | str) -> Ran | str:
        if isinstance(kernel, str):
            return kernel
        # The port has no gates: what upstream leaves unbound is bound to something there.
        arguments = self._job.family.kernel(self._row.template).arguments
        dummies = [one.slot for one in arguments if one.gate is not None and not launch.constants.get(one.gate)]
        try:
            return run(kernel, launch, dummies)
        except SteelPortError as error:
            return str(error)

    def _against_apple(self, theirs: Sequence[Ran | str], ours: Sequence[Ran | str]) -> Found:
        report = _Report()
        for launch, their, our in zip(self._plan.launches, theirs, ours, strict=True):
            why = _failed("Apple's kernel", their) or _failed(self._side, our)
            if not why and isinstance(their, Ran) and isinstance(our, Ran):
                why = self._compared(launch, their, our, report)
            report.add(launch, why, "the same")
        return report.found(self._basis.said(report.within))

    def _compared(self, launch: Launch, theirs: Ran, ours: Ran, report: _Report) -> str:
        """What differs in the outputs and no tolerance covers."""
        for output in launch.outputs:
            got, wanted = ours.memory[output.slot], theirs.memory[output.slot]
            difference = compare_bits(got, wanted, output)
            tolerance = self._tolerance(output) if self._basis.hidden else None
            if difference is not None and tolerance is not None:
                numbers = decode(elements(wanted, output), output.dtype)
                compared = compare_values(got, numbers, output, tolerance)
                outside = compared.difference
                report.worst = max(report.worst, compared.worst)
                if outside is None:
                    report.covered(launch, f"buffer {output.slot} within the tolerance: {difference}")
                difference = outside
            if difference is not None:
                return f"buffer {output.slot}: {difference}"
        return ""

    def _against_expected(self, ran: Sequence[Ran | str]) -> Found | None:
        if not hasattr(self._module, "expected"):
            return None
        report = _Report()
        for launch, side in zip(self._plan.launches, ran, strict=True):
            why = _failed(self._side, side)
            if not why and isinstance(side, Ran):
                try:
                    wanted = self._module.expected(self._plan.request, launch)
                except Exception as error:
                    return Found("not run", 0, f"{launch.what}: `expected` failed: {_said(error)}")
                if wanted is None:
                    continue
                why = self._as_expected(launch, side, wanted, report)
            report.add(launch, why, "as expected")
        return report.found("") if report.cases else None

    def _as_expected(self, launch: Launch, side: Ran, wanted: Mapping[int, Array], report: _Report) -> str:
        for output in launch.outputs:
            if output.slot in wanted:
                compared = compare_values(
                    side.memory[output.slot], wanted[output.slot], output, self._tolerance(output)
                )
                report.worst = max(report.worst, compared.worst)
                if compared.difference is not None:
                    return f"buffer {output.slot}: {compared.difference}"
        return ""

    def _tolerance(self, output: Output) -> Tolerance | None:
        return tolerance_for(self._job.family.tolerances, self._row.template, output.dtype)


class _Report:
    """What the cases of one comparison came to."""

    def __init__(self) -> None:
        self.cases = 0
        self.within = False
        self.worst = 0.0
        self._details: list[str] = []
        self._whys: list[tuple[int, str]] = []

    def add(self, launch: Launch, why: str, otherwise: str) -> None:
        self.cases += 1
        self._details.append(f"{launch.what}: {why or otherwise}")
        if why:
            self._whys.append((_size(launch), f"{launch.what}: {why}"))

    def covered(self, launch: Launch, how: str) -> None:
        self.within = True
        self._details.append(f"{launch.what}: {how}")

    def found(self, basis: str) -> Found:
        smallest, why = min(self._whys, default=(0, ""))
        status = "differs" if self._whys else "equal"
        return Found(status, self.cases, why, basis, tuple(self._details), self.within, self.worst, smallest)


def _failed(who: str, ran: Ran | str) -> str:
    if isinstance(ran, str):
        return f"{who}: {ran}"
    return f"{who} {ran.trespasses[0]}" if ran.trespasses else ""


def _size(launch: Launch) -> int:
    return sum(len(value) if isinstance(value, bytes) else value.nbytes for value in launch.buffers.values())


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, SteelPortError) else f"{type(error).__name__}: {error}"
