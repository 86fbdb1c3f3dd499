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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from porter.errors import ProofError, SteelPortError
from porter.metal import air
from porter.metal.air_translate import translate_module
from porter.metal.bitcode_reader import read_module
from porter.metal.execution import load
from porter.metal.kernel import Kernel
from porter.model import Instantiation, ParamsStruct
from porter.prove.agreement import Difference, compare_bits, compare_values, tolerance_for
from porter.prove.basis import Basis, classify
from porter.prove.buffers import Ran, run
from porter.prove.launch import Launch, Output, Request
from porter.prove.runnable import Runnable
from porter.prove.source_kernels import Wanted, compile_sources
from porter.spec import Family

_CASES = "porter.prove.cases"


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


@dataclass(frozen=True)
class Found:
    """What one comparison of one kernel came to.

    `status` is `equal`, `differs` or `not run`; `within` says that bits differed and the family's tolerance covered it.
    `why` is the first thing that is wrong; `details` has a line for each case. `worst`: error in units of the tolerance.
    """

    status: str
    cases: int
    why: str = ""
    basis: str = ""
    details: tuple[str, ...] = ()
    within: bool = False
    worst: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What was found of one kernel: against Apple's compiled kernel, and against what the generator expects.

    None where there was nothing to compare with.
    """

    host_name: str
    apple: Found | None
    expected: Found | None


def generator(family: Family) -> Any:
    """The family's module of porter/prove/cases. Raises ProofError where it has none."""
    if family.cases is None:
        raise ProofError(
            f"the family {family.name} has no generator of cases",
            where=f"specs/{family.path}",
            expected="outputs.cases",
        )
    try:
        return importlib.import_module(f"{_CASES}.{family.cases}")
    except ModuleNotFoundError as error:
        if error.name != f"{_CASES}.{family.cases}":
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
    plans = {row.host_name: _plan(job, module, row) for row in job.rows}
    wanted = {name: _wanted(job, plan) for name, plan in plans.items()}
    kernels = compile_sources([one for listed in wanted.values() for one in listed]) if job.source else {}
    out = []
    for name, plan in plans.items():
        if plan.error:
            failed = Found("not run", 0, plan.error)
            out.append(Outcome(name, failed if job.library else None, failed))
        else:
            out.append(_Comparison(job, module, plan, [kernels.get(one) for one in wanted[name]]).outcome())
    return tuple(out)


@dataclass(frozen=True)
class _Plan:
    request: Request
    launches: tuple[Launch, ...] = ()
    error: str = ""


def _plan(job: Job, module: Any, row: Instantiation) -> _Plan:
    request = request_for(job, row)
    try:
        launches = tuple(module.launches(request))
        for launch in launches:
            _check(request, launch)
    except Exception as error:  # a generator is one family's code, and its fault is that family's result
        return _Plan(request, error=f"the generator failed: {_said(error)}")
    return _Plan(request, launches, "" if launches else "the generator made no case")


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


def _wanted(job: Job, plan: _Plan) -> list[Wanted]:
    if job.source is None:
        return []
    row = plan.request.row
    return [
        Wanted(job.source.text(row.template, launch.constants), job.source.host_name(row, launch.constants))
        for launch in plan.launches
    ]


class _Comparison:
    """One kernel: all of its launches on the sides that there are."""

    def __init__(self, job: Job, module: Any, plan: _Plan, sources: list[Kernel | str | None]) -> None:
        self._job, self._module, self._plan = job, module, plan
        self._sources = sources
        self._row = plan.request.row
        self._compiled = _Compiled(job.library, self._row.host_name) if job.library else None

    def outcome(self) -> Outcome:
        apple: list[tuple[Launch, Ran | str]] = []
        ported: list[tuple[Launch, Ran | str]] = []
        for number, launch in enumerate(self._plan.launches):
            if self._compiled is not None:
                apple.append((launch, self._ran(lambda one=launch: self._compiled.kernel(one.constants), launch, ())))  # type: ignore[misc, union-attr]
            if self._job.source is not None:
                source = self._sources[number]
                ported.append((launch, self._ran(lambda one=source: one, launch, self._dummies(launch))))  # type: ignore[misc]
        against_apple = self._against_apple(apple, ported) if apple and ported else None
        return Outcome(self._row.host_name, against_apple, self._against_expected(ported or apple))

    def _ran(self, kernel: Any, launch: Launch, dummies: Iterable[int]) -> Ran | str:
        try:
            ready = kernel()
            return ready if isinstance(ready, str) else run(ready, launch, tuple(dummies))
        except SteelPortError as error:
            return str(error)

    def _dummies(self, launch: Launch) -> tuple[int, ...]:
        """The slots that upstream leaves unbound in this launch; the port has no gates."""
        arguments = self._job.family.kernel(self._row.template).arguments
        return tuple(one.slot for one in arguments if one.gate is not None and not launch.constants.get(one.gate))

    def _against_apple(self, apple: list[tuple[Launch, Ran | str]], ported: list[tuple[Launch, Ran | str]]) -> Found:
        basis = self._compiled.basis() if self._compiled else Basis((), False)
        details, whys, within, worst = [], [], False, 0.0
        for (launch, theirs), (_, ours) in zip(apple, ported, strict=True):
            why = _failed("Apple's kernel", theirs) or _failed(self._job.source.name if self._job.source else "", ours)
            if not why and isinstance(theirs, Ran) and isinstance(ours, Ran):
                for output in launch.outputs:
                    difference, covered = self._difference(ours, theirs, output, basis)
                    within |= covered
                    worst = max(worst, difference.worst if difference and covered else 0.0)
                    if difference and not covered:
                        why = why or f"buffer {output.slot}: {difference}"
                    elif difference:
                        details.append(f"{launch.what}: buffer {output.slot} within the tolerance: {difference}")
            if why:
                whys.append((_size(launch), f"{launch.what}: {why}"))
            details.append(f"{launch.what}: {why or 'the same'}")
        smallest = min(whys, default=(0, ""))[1]
        return Found(
            "differs" if whys else "equal", len(apple), smallest, basis.said(within), tuple(details), within, worst
        )

    def _difference(self, ours: Ran, theirs: Ran, output: Output, basis: Basis) -> tuple[Difference | None, bool]:
        """(what differs, whether the family's tolerance covers it)."""
        got, wanted = ours.memory[output.slot], theirs.memory[output.slot]
        difference = compare_bits(got, wanted, output)
        if difference is None or not basis.hidden:
            return difference, False
        tolerance = tolerance_for(self._job.family.tolerances, self._row.template, output.dtype)
        if tolerance is None:
            return difference, False
        from porter.prove.agreement import decode, elements

        outside = compare_values(got, decode(elements(wanted, output), output.dtype), output, tolerance)
        return (replace(difference, worst=0.0), True) if outside is None else (outside, False)

    def _against_expected(self, ran: list[tuple[Launch, Ran | str]]) -> Found | None:
        if not hasattr(self._module, "expected"):
            return None
        details, whys, worst, cases = [], [], 0.0, 0
        for launch, side in ran:
            why = _failed("the kernel", side)
            if not why and isinstance(side, Ran):
                try:
                    wanted = self._module.expected(self._plan.request, launch)
                except Exception as error:
                    return Found("not run", 0, f"{launch.what}: `expected` failed: {_said(error)}")
                if wanted is None:
                    continue
                for output in (one for one in launch.outputs if one.slot in wanted):
                    tolerance = tolerance_for(self._job.family.tolerances, self._row.template, output.dtype)
                    difference = compare_values(side.memory[output.slot], wanted[output.slot], output, tolerance)
                    if difference:
                        worst = max(worst, difference.worst)
                        why = why or f"buffer {output.slot}: {difference}"
            cases += 1
            details.append(f"{launch.what}: {why or 'as expected'}")
            if why:
                whys.append((_size(launch), f"{launch.what}: {why}"))
        if not cases:
            return None
        smallest = min(whys, default=(0, ""))[1]
        return Found("differs" if whys else "equal", cases, smallest, "", tuple(details), worst=worst)


class _Compiled:
    """Apple's kernel of one host name."""

    def __init__(self, library: Path, host_name: str) -> None:
        self._library, self._name = library, host_name
        self._kernels: dict[tuple[tuple[str, Any], ...], Kernel] = {}
        self._module: Any = None

    def _read(self) -> Any:
        if self._module is None:
            self._module = read_module(air._opened(self._library).bitcode(self._name))
        return self._module

    def basis(self) -> Basis:
        try:
            return classify(self._read().externals)
        except SteelPortError:
            return Basis((), False)

    def kernel(self, constants: Mapping[str, Any]) -> Kernel:
        key = tuple(sorted(constants.items()))
        if key not in self._kernels:
            unit = translate_module(self._read(), library=self._library.name, constants=dict(constants))
            self._kernels[key] = load(unit, once=True)[0]
        return self._kernels[key]


def _failed(who: str, ran: Ran | str) -> str:
    if isinstance(ran, str):
        return f"{who}: {ran}"
    return f"{who} {ran.trespasses[0]}" if ran.trespasses else ""


def _size(launch: Launch) -> int:
    return sum(len(value) if isinstance(value, bytes) else value.nbytes for value in launch.buffers.values())


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, SteelPortError) else f"{type(error).__name__}: {error}"
