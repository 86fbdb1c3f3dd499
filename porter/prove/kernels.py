# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From what a claim found to what it found of each of upstream's kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from porter.model import KernelResult, Status
from porter.prove.case import Case
from porter.prove.difference import Verdict
from porter.spec import Family, Sample

_SHOWN = 3


def kernel_results(
    case: Case, units: Iterable[tuple[Mapping[str, str], Iterable[Verdict]]]
) -> tuple[KernelResult, ...]:
    """For each host name that was compared: the worst of its combinations. `units` are what a unit compared (a key ->
    the host name) and the verdicts on the keys that were not equal as they stood."""
    compared: dict[str, int] = {}
    verdicts: dict[str, list[Verdict]] = {}
    for hosts, found in units:
        for host in hosts.values():
            compared[host] = compared.get(host, 0) + 1
        for verdict in found:
            if verdict.key in hosts:
                verdicts.setdefault(hosts[verdict.key], []).append(verdict)
    rows = {row.host_name: row.template for row in case.rows}
    return tuple(
        _result(case.family, host, rows[host], count, verdicts.get(host, []))
        for host, count in sorted(compared.items())
    )


def _result(family: Family, host: str, kernel: str, count: int, verdicts: list[Verdict]) -> KernelResult:
    details = tuple(f"{one.key}: {'equal after O1' if one.equal_after_o1 else 'differs'}" for one in verdicts)
    wrong = [one for one in verdicts if not one.equal_after_o1]
    if wrong:
        return KernelResult(host, Status.DIFFERS, count, wrong[0].shown, "", details)
    if family.is_sampled(kernel):
        used = tuple(f"constants {_values(sample.constants)}: {sample.of}" for sample in _samples(family, kernel))
        return KernelResult(host, Status.SAMPLED, count, "the values of integer constants are a sample", "", used)
    if verdicts:
        return KernelResult(host, Status.EQUAL_AFTER_O1, count, f"in {', '.join(verdicts[0].functions)}", "", details)
    return KernelResult(host, Status.PROVED, count)


def _samples(family: Family, kernel: str) -> Iterable[Sample]:
    return (sample for sample in family.samples if kernel in sample.kernels)


def _values(constants: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in constants.items())


def each(
    names: Iterable[str], problems: Mapping[str, list[str]], status: Status = Status.PROVED
) -> tuple[KernelResult, ...]:
    """A result for each of `names`: `status`, or DIFFERS with what `problems` holds for it."""
    return tuple(
        KernelResult(name, Status.DIFFERS, 1, "; ".join(problems[name][:_SHOWN]), "", tuple(problems[name]))
        if problems.get(name)
        else KernelResult(name, status, 1)
        for name in sorted(set(names))
    )
