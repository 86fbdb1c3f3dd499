# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the page shows, as plain data.

There are some 15,000 kernels and some ten results for each, so results are rows of numbers: the kernel's index, the
status's, the count of cases, and indices into one table of strings for whatever is said of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from porter.emit import ROOT
from porter.model import Coverage, Instantiation, KernelTemplate, Proof, Ring, Status
from porter.port.notice import UPSTREAM
from porter.report.matrix import cell, families_of
from porter.spec import Family

if TYPE_CHECKING:
    from porter.walk import Proved

STATUSES = tuple(Status)
RINGS = tuple(Ring)


class Strings:
    """A table of strings, each once; number 0 is the empty one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def table(self) -> list[str]:
        return list(self._numbers)


def page_data(proved: Proved, made: str) -> dict[str, Any]:
    """Everything that the page shows. `made` is the date of the run, `2026-11-25`."""
    strings = Strings()
    rows = sorted(proved.corpus.instantiations, key=lambda row: (row.family, row.host_name))
    numbers = {(row.family, row.host_name): number for number, row in enumerate(rows)}
    families = {family.name: family for family in proved.families}
    pin = proved.sources.pin
    return {
        "upstream": {"url": UPSTREAM, "revision": pin.revision, "tag": pin.tag, "coverage": pin.coverage.value},
        "target": proved.target.name,
        "made": made,
        "rings": [ring.value for ring in RINGS],
        "statuses": [status.value for status in STATUSES],
        "families": [_family(family, proved) for family in proved.families],
        "matrix": _matrix(proved.proofs),
        "rows": [_row(row, families[row.family], strings) for row in rows],
        "claims": [_claim(proof, numbers, strings) for proof in proved.proofs],
        "strings": strings.table(),
    }


def _matrix(proofs: tuple[Proof, ...]) -> list[list[Any]]:
    """A row for each family: its name, then for each ring [status, kernels, claims, claims that hold] or null."""
    out: list[list[Any]] = []
    for family in families_of(proofs):
        cells = [cell(proofs, family, ring) for ring in RINGS]
        out.append(
            [
                family,
                *([STATUSES.index(c.status), c.kernels, c.claims, c.held] if c is not None else None for c in cells),
            ]
        )
    return out


def _row(row: Instantiation, family: Family, strings: Strings) -> list[Any]:
    """Host name, family, kernel, template arguments, the YAML's columns, and where upstream makes it."""
    columns = family.axes_by_name.get(row.host_name, {})
    axes = ", ".join(f"{name} {value}" for name, value in columns.items())
    return [
        row.host_name,
        strings.number(row.family),
        strings.number(row.template),
        strings.number(", ".join(row.arguments)),
        strings.number(axes),
        strings.number(row.origin.file),
        row.origin.line,
    ]


def _claim(proof: Proof, numbers: dict[tuple[str, str], int], strings: Strings) -> dict[str, Any]:
    results = [
        [
            numbers[proof.family, one.host_name],
            STATUSES.index(one.status),
            one.cases,
            strings.number(one.why),
            strings.number(one.basis),
            [strings.number(line) for line in one.details],
        ]
        for one in proof.kernels
        if (proof.family, one.host_name) in numbers
    ]
    return {
        "ring": RINGS.index(proof.ring),
        "family": proof.family,
        "claim": proof.claim,
        "witness": proof.witness,
        "status": STATUSES.index(proof.status),
        "cases": proof.cases,
        "why": proof.why,
        "notes": list(proof.notes),
        "results": results,
    }


def _family(family: Family, proved: Proved) -> dict[str, Any]:
    present = all(path in proved.sources.files for path in family.sources_of_kernels)
    templates = [one for one in proved.corpus.templates if one.family == family.name]
    return {
        "name": family.name,
        "title": family.title,
        "operators": list(family.operators),
        "origin": "source" if present else "Apple's compiled library",
        "origin_why": "" if present else _why_compiled(proved.sources.pin.coverage),
        "sources": list(family.sources_of_kernels),
        "table": family.table or "",
        "constants": [
            [one.name, one.index, one.type, one.lower, one.suffix, ", ".join(one.kernels)] for one in family.constants
        ],
        "excluded": [[_values(one.constants), one.reason] for one in family.excluded],
        "samples": [[_values(one.constants), one.of] for one in family.samples],
        "tolerances": [[", ".join(t.dtypes), t.relative, t.absolute, t.because] for t in family.tolerances],
        "kernels": [_template(one, family, proved) for one in templates],
        "params": [
            [one.name, one.size, [[f.name, f.type, f.offset, f.size] for f in one.fields]]
            for one in proved.corpus.params
            if one.name in family.params
        ],
    }


def _why_compiled(coverage: Coverage) -> str:
    return (
        "the bodies stand in a .metal file, which the wheel does not carry: not ported here, Apple's compiled kernels "
        "stand in (sync with --mlx-source for the port)"
        if coverage is Coverage.HEADERS
        else "the bodies are not at hand"
    )


def _values(constants: Any) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in constants.items())


def _template(one: KernelTemplate, family: Family, proved: Proved) -> dict[str, Any]:
    roles = {role.name: role for role in family.kernel(one.name).arguments}
    combinations = family.combinations(one.name)
    return {
        "name": one.name,
        "parameters": [f"{p.kind} {p.name}" + (f" = {p.default}" if p.default else "") for p in one.parameters],
        "limit": one.thread_limit or "",
        "file": one.location.file,
        "line": one.location.line,
        "ported": f"{ROOT}/{proved.target.source_root}/{_ported(one.location.file, proved)}",
        "combinations": len(combinations),
        "arguments": [
            [
                argument.name,
                argument.type,
                argument.address_space or "",
                argument.attribute or "",
                argument.slot if argument.slot is not None else "",
                argument.gate or "",
                roles[argument.name].role if argument.name in roles else "",
                (roles[argument.name].dummy or "") if argument.name in roles else "",
            ]
            for argument in one.arguments
        ],
    }


def _ported(path: str, proved: Proved) -> str:
    return proved.target.header(path).removesuffix(".metal").removesuffix(".h") + ".h"
