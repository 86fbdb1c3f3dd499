# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The translation units whose IR is compared, a slice of a family's instantiations at a time.

Upstream sets its function constants when a pipeline is made; here each combination is fixed by a definition that stands
before the kernel's header, so that the compiler folds it. Everything but the constants is the same for every
combination, so a unit includes the kernel's header once for each, in a namespace of its own: names inside it are found
as they would be at global scope, since the namespace holds nothing else. That this changes nothing is not taken on
trust: `plain_unit` includes the header once, at global scope, and must yield the same digests.

The port's unit is its emitted header and the instantiations of its emitted .metal file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from porter.model import Instantiation
from porter.prove.sides import Combination
from porter.prove.symbols import COMBINATION
from porter.spec import Family, spell

_ROOT = "steel_port_root_"


@dataclass(frozen=True)
class Unit:
    """One translation unit. `roots`: what is compared (a ported host name) -> the variable that points to its code."""

    text: str
    roots: Mapping[str, str]


@dataclass(frozen=True)
class Slice:
    """Some of the family's instantiations, and every combination of its constants."""

    rows: tuple[Instantiation, ...]
    combinations: tuple[Combination, ...]


def slices(family: Family, rows: Sequence[Instantiation], size: int) -> tuple[Slice, ...]:
    """All `rows` in slices of at most `size`, each with every combination that the family does not exclude."""
    return tuple(Slice(tuple(rows[i : i + size]), family.combinations()) for i in range(0, len(rows), size))


def upstream_unit(family: Family, part: Slice) -> Unit:
    """Upstream's preamble, then its kernel header once for every combination, then the instantiations of each."""
    lines = [f'#include "{path}"' for path in family.preamble]
    for number, combination in enumerate(part.combinations):
        lines += [f"namespace {COMBINATION}{number} {{", *_pinned(combination), f'#include "{family.kernel}"', "}"]
    functions = {
        row.host_name + family.suffix(combination): f"{COMBINATION}{number}::{_function(row)}"
        for row in part.rows
        for number, combination in enumerate(part.combinations)
    }
    return _finish(lines, functions)


def plain_unit(family: Family, rows: Iterable[Instantiation], combination: Combination) -> Unit:
    """As upstream's .metal file has it: everything at global scope, one combination."""
    lines = [f'#include "{path}"' for path in family.preamble]
    lines += [*_pinned(combination), f'#include "{family.kernel}"']
    return _finish(lines, {row.host_name + family.suffix(combination): _function(row) for row in rows})


def port_unit(header: str, rows: Iterable[Instantiation]) -> Unit:
    """The emitted header and some of the emitted instantiations."""
    return _finish([f"#include <{header}>"], {row.host_name: _function(row) for row in rows})


def _pinned(combination: Combination) -> list[str]:
    # `extern` first, so that upstream's own declaration (which the shim makes extern) means the same variable.
    return [f"extern const bool {name}; const bool {name} = {spell(value)};" for name, value in combination.items()]


def _function(row: Instantiation) -> str:
    return f"{row.template}<{', '.join(row.arguments)}>"


def _finish(lines: list[str], functions: Mapping[str, str]) -> Unit:
    roots = {}
    for number, (name, function) in enumerate(functions.items()):
        variable = f"{_ROOT}{number}"
        roots[name] = f"@{variable}"
        lines.append(f"template decltype({function}) {function};")
        lines.append(f'extern "C" {{ extern void* const {variable}; void* const {variable} = (void*)&{function}; }}')
    return Unit("\n".join(lines) + "\n", roots)
