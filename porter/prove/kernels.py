# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From what a claim found to what it found of each of upstream's kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from porter.model import Instantiation, KernelResult, Status
from porter.prove.case import Case
from porter.prove.difference import Verdict
from porter.prove.symbols import simple_name
from porter.spec import Family, Sample

_SHOWN = 3
_WORD = re.compile(r"(?<!::)\b[A-Za-z_]\w*")


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
        return KernelResult(
            host, Status.EQUAL_AFTER_O1, count, f"in {', '.join(map(simple_name, verdicts[0].functions))}", "", details
        )
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


def written_out(case: Case, row: Instantiation) -> tuple[str, ...]:
    """The row's template arguments, upstream's names. Where constants stand behind them as template arguments,
    those that the row leaves to their defaults are written out, with what they name of the others put in."""
    reaching = case.family.constants_of(row.template)
    if all(constant.lower != "template" for constant in reaching):
        return row.arguments
    values: dict[str, str] = {}
    for number, parameter in enumerate(case.templates[row.template].parameters):
        given = row.arguments[number] if number < len(row.arguments) else parameter.default or ""
        values[parameter.name] = _WORD.sub(lambda word: values.get(word[0], word[0]), given)
    return tuple(values.values())
