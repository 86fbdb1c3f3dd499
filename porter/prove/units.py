# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The translation units whose IR is compared: one for each combination of constants and each chunk of a family's rows.

Upstream sets its function constants when a pipeline is made; here each is fixed by a definition that stands before
upstream's own files, so that the compiler folds it. The port's unit defines the macros of the constants that are
lowered so, includes the emitted headers, and takes the template arguments from the emitted .metal file, those that
stand for constants among them. Both units name each kernel by a variable that points to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from porter.errors import ProofError
from porter.model import Instantiation
from porter.prove.case import Case
from porter.prove.sides import Combination, Side, port_head
from porter.spec import Family, spell

_ROOT = "steel_port_root_"


@dataclass(frozen=True)
class Unit:
    """One translation unit. `roots`: what is compared (see `key`) -> the variable that points to its code."""

    text: str
    roots: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """Some instantiations of kernels that the same constants reach, and one combination of those constants."""

    rows: tuple[Instantiation, ...]
    combination: Combination

    @property
    def kernel(self) -> str:
        return self.rows[0].template


def parts(family: Family, rows: Sequence[Instantiation], size: int) -> Iterator[Part]:
    """All `rows` with every combination that the family does not exclude, in parts of at most `size` rows."""
    groups: dict[tuple[tuple[str, object], ...], tuple[Combination, list[Instantiation]]] = {}
    combinations = {kernel: family.combinations(kernel) for kernel in dict.fromkeys(row.template for row in rows)}
    for row in rows:
        for one in combinations[row.template]:
            groups.setdefault(tuple(one.items()), (one, []))[1].append(row)
    for combination, members in groups.values():
        for start in range(0, len(members), size):
            yield Part(tuple(members[start : start + size]), combination)


def key(family: Family, row: Instantiation, combination: Combination) -> str:
    """What one compared kernel is called: its ported host name, and the values that macros give: `rope [forward=1]`."""
    defined = [c.name for c in family.constants_of(row.template) if c.lower == "define"]
    values = ", ".join(f"{name}={int(combination[name])}" for name in defined)
    return row.host_name + family.suffix(row.template, combination) + (f" [{values}]" if values else "")


def upstream_unit(case: Case, side: Side, part: Part) -> Unit:
    """The constants' values, then upstream's files as its .metal file has them."""
    head = "".join(_pinned(case.family, part.combination)) + side.main
    plain = {name for name, template in case.templates.items() if not template.parameters}
    return _finish(head, {key(case.family, row, part.combination): _function(row, plain) for row in part.rows})


def port_unit(case: Case, part: Part, emitted: Mapping[str, Instantiation]) -> Unit:
    """The emitted headers and some of the emitted instantiations. Raises ProofError where one is not emitted."""
    functions = {}
    for row in part.rows:
        name = row.host_name + case.family.suffix(row.template, part.combination)
        if name not in emitted:
            raise ProofError(f"{name} is not in the overlay's table", next_step="see the ring names")
        plain = {emitted[name].template} if not emitted[name].arguments else set[str]()
        functions[key(case.family, row, part.combination)] = _function(emitted[name], plain)
    return _finish(port_head(case, part.kernel, part.combination), functions)


def _pinned(family: Family, combination: Combination) -> Iterable[str]:
    """`extern` first, so that upstream's own declaration (which the shim makes extern) means the same variable."""
    types = {constant.name: constant.type for constant in family.constants}
    for name, value in combination.items():
        yield f"extern const {types[name]} {name}; const {types[name]} {name} = {spell(value)};\n"


def _function(row: Instantiation, plain: set[str]) -> str:
    return row.template if row.template in plain else f"{row.template}<{', '.join(row.arguments)}>"


def _finish(head: str, functions: Mapping[str, str]) -> Unit:
    roots, lines = {}, [head, 'extern "C" {\n']
    for number, (name, function) in enumerate(functions.items()):
        variable = f"{_ROOT}{number}"
        roots[name] = f"@{variable}"
        lines.append(f"extern void* const {variable}; void* const {variable} = (void*)&{function};\n")
    return Unit("".join([*lines, "}\n"]), roots)
