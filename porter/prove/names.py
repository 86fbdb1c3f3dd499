# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names: the instantiation tables are complete, and hold nothing else.

The table that the port was made from (upstream's macros, or the family's YAML where upstream's .metal file is not at
hand) against the names in Apple's compiled library, all families together, and against what the preprocessor alone
makes of the .metal file. Then the tables that were emitted against that table and every combination of the constants.
What the host is told besides (porter/prove/selection.py, porter/prove/spoken.py) concerns families with tiles.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from porter.emit.names import namespace, overlay_name
from porter.metal import air
from porter.model import Instantiation, KernelResult, Proof, Ring, Status
from porter.prove.case import LIBRARY, Case, Claim
from porter.prove.host import output_of
from porter.prove.kernels import each, written_out
from porter.prove.sides import emitted_instantiations
from porter.spec import Family

TABLE_CLAIM = "the table names every kernel, and no other"
MEMBER_CLAIM = "every name of the table is a compiled kernel's"
NAX_CLAIM = "the library, built before Metal 4, holds no NAX kernel"
EMITTED_CLAIM = "every kernel is emitted once, and no other"
WHOLE_CLAIM = "the tables of all families name every kernel, and no other"
TEXT = "text-only expansion"
METAL_4 = "only in the source: built with Metal 4"
"""MLX builds them where the SDK has Metal 4 (mlx/backend/metal/kernels/CMakeLists.txt)."""
_SHOWN = 3


def claims(case: Case) -> Iterator[Claim]:
    """What the ring names claims of a family."""
    from porter.prove import selection, spoken

    yield Claim(Ring.NAMES, NAX_CLAIM if is_nax(case.family) else MEMBER_CLAIM, LIBRARY, partial(against_library, case))
    yield Claim(Ring.NAMES, TABLE_CLAIM, TEXT, partial(against_text, case))
    yield Claim(Ring.NAMES, EMITTED_CLAIM, "emitted .metal file", partial(emitted_metal, case))
    yield Claim(Ring.NAMES, EMITTED_CLAIM, "emitted host table", partial(emitted_host_table, case))
    if case.family.tiles is not None:
        yield Claim(Ring.NAMES, spoken.CLAIM, spoken.WITNESS, partial(spoken.arguments_say_what_names_say, case))
        chosen = partial(selection.prove_selection, case)
        yield Claim(Ring.NAMES, selection.YAML_CLAIM, "MLX's host code or specs/", chosen)


def is_nax(family: Family) -> bool:
    """Whether Metal 4 is needed to build the family: upstream's CMakeLists.txt names these files so."""
    return (family.table or "").removesuffix(".metal").endswith("_nax")


def tabled(case: Case) -> tuple[Instantiation, ...]:
    """The rows of upstream's table: without what upstream instantiates at run time only."""
    if case.family.table is None:
        return ()
    on_demand = {kernel.name for kernel in case.family.kernels if kernel.on_demand}
    return tuple(row for row in case.rows if row.template not in on_demand)


def against_library(case: Case) -> Proof | None:
    """Every name of the table against the names in a compiled library; None where upstream has no table."""
    names = [row.host_name for row in tabled(case)]
    if not names:
        return None
    compiled = {function.name for function in air.functions(case.library)}
    if is_nax(case.family):
        return _nax(case, names, compiled)
    missing = {name: ["not in the library"] for name in names if name not in compiled}
    why = _listed("not in the library", sorted(missing)) if missing else ""
    kernels = each(names, missing)
    return _proof(case, MEMBER_CLAIM, LIBRARY, len(names), why, _provenance(case), kernels)


def _nax(case: Case, names: list[str], compiled: set[str]) -> Proof:
    present = sorted(name for name in names if name in compiled)
    why = _listed("in the library", present) if present else ""
    kernels = tuple(
        KernelResult(name, Status.DIFFERS if name in compiled else Status.NOT_RUN, 1, why or METAL_4)
        for name in sorted(names)
    )
    return _proof(case, NAX_CLAIM, LIBRARY, len(names), why, (f"{len(names)} names are {METAL_4}",), kernels)


def _provenance(case: Case) -> tuple[str, ...]:
    family = case.family
    if family.table is None or family.table in case.sources.files:
        return ()
    return (f"the table is that of specs/{family.path}: {family.table} did not come with this source of upstream",)


def whole_library(cases: Sequence[Case]) -> Proof:
    """The tables of `cases`, which have to be all families, against all names of the compiled library, both ways."""
    have = [row.host_name for case in cases if not is_nax(case.family) for row in tabled(case)]
    metal_4 = [row.host_name for case in cases if is_nax(case.family) for row in tabled(case)]
    compiled = [function.name for function in air.functions(cases[0].library)]
    on_demand = sum(len(case.rows) - len(tabled(case)) for case in cases)
    why, want = _difference(have, compiled), set(compiled)
    if present := sorted(want & set(metal_4)):
        why = "; ".join(filter(None, (why, _listed("for Metal 4 and yet in the library", present))))
    notes = [f"{len(metal_4)} NAX names are {METAL_4}"] if metal_4 else []
    notes += [f"{on_demand} kernels are upstream's at run time only: no table and no library names them"] * bool(
        on_demand
    )
    status = Status.DIFFERS if why else Status.PROVED
    return Proof(Ring.NAMES, "all families", WHOLE_CLAIM, LIBRARY, status, len(compiled), why, tuple(notes))


def against_text(case: Case) -> Proof | None:
    """The table against the preprocessor's expansion of upstream's own .metal file; None where that is not at hand."""
    from porter.parse.text_only import text_only_names

    if case.family.table is None or case.family.table not in case.sources.files:
        return None
    expanded = text_only_names(case.sources, case.family.table)
    names = [row.host_name for row in tabled(case)]
    return _compare(case, TABLE_CLAIM, TEXT, names, sorted(expanded), ())


def emitted_metal(case: Case) -> Proof:
    """The emitted .metal file, and the plain kernels of the headers, against the table and the combinations."""
    emitted = [row.host_name for row in emitted_instantiations(case)]
    expected = {
        name: row.host_name
        for row in case.rows
        for combination in case.family.combinations(row.template)
        for name in [row.host_name + case.family.suffix(row.template, combination)]
    }
    notes = tuple(f"not emitted: {dict(rule.constants)}, because {rule.reason}" for rule in case.family.excluded)
    return _compare(case, EMITTED_CLAIM, "emitted .metal file", emitted, expected, notes, expected)


def emitted_host_table(case: Case) -> Proof:
    """The host's constexpr table, as the host's compiler reads it, against the table: every column of every row."""
    from porter.prove import spoken

    tiles = case.family.tiles is not None
    columns = spoken.HOST_COLUMNS if tiles else ("host_name", "kernel", "arguments")
    program = host_table_program(case, columns, spoken.host_values(case) if tiles else {})
    rows = output_of(program, case.overlay_root / "pytorch" / case.target.source_root)
    expected = {
        "\t".join(spoken.host_row(case, row) if tiles else _host_row(case, row)): row.host_name for row in case.rows
    }
    emitted = ["\t".join(row) for row in rows]
    return _compare(case, EMITTED_CLAIM, "emitted host table", emitted, expected, (), expected)


def _host_row(case: Case, row: Instantiation) -> tuple[str, str, str]:
    return row.host_name, row.template, host_arguments(case, row)


def host_arguments(case: Case, row: Instantiation) -> str:
    """The row's template arguments as the host's table has them: under the target's names."""
    names = {**case.target.aliases, **case.target.renames}
    return ", ".join(
        re.sub(r"[A-Za-z_]\w*", lambda word: names.get(word[0], word[0]), one) for one in written_out(case, row)
    )


def host_table_program(case: Case, columns: Iterable[str], values: Mapping[str, str]) -> str:
    """A program that prints the emitted table. `values`: column -> a C++ expression for it, where it prints none."""
    header = f"{case.target.operations}/{overlay_name(case.family)}Table.h"
    printed = ' << "\\t" << '.join(values.get(column, f"row.{column}") for column in columns)
    return (
        f"#include <{header}>\n#include <iostream>\n"
        f"namespace ours = {namespace(case.family, case.target)};\nint main() {{\n"
        f'  for (const auto& row : ours::kInstantiations)\n    std::cout << {printed} << "\\n";\n}}\n'
    )


def _compare(
    case: Case,
    claim: str,
    witness: str,
    mine: Iterable[str],
    theirs: Iterable[str],
    notes: tuple[str, ...],
    hosts: dict[str, str] | None = None,
) -> Proof:
    """`hosts`: what is compared -> upstream's host name, where they are not the same."""
    have, want = list(mine), list(theirs)
    why = _difference(have, want) or ("" if want else "the witness names no kernel of the family")
    wrong = (set(want) ^ set(have)) | {name for name, count in Counter(have).items() if count > 1}
    named = hosts or {name: name for name in want}
    problems = {named[name]: [f"{name}: not once"] for name in wrong if name in named}
    kernels = each(named.values(), problems)
    return _proof(case, claim, witness, len(want), why, notes, kernels)


def _difference(mine: Iterable[str], theirs: Iterable[str]) -> str:
    have, want = Counter(mine), set(theirs)
    twice = sorted(name for name, count in have.items() if count > 1)
    found = (("missing", sorted(want - have.keys())), ("extra", sorted(have.keys() - want)), ("twice", twice))
    return "; ".join(_listed(kind, names) for kind, names in found if names)


def _proof(
    case: Case,
    claim: str,
    witness: str,
    count: int,
    why: str,
    notes: tuple[str, ...],
    kernels: tuple[KernelResult, ...],
) -> Proof:
    status = Status.DIFFERS if why else Status.PROVED
    return Proof(Ring.NAMES, case.family.name, claim, witness, status, count, why, notes, kernels)


def _listed(kind: str, names: list[str]) -> str:
    rest = len(names) - _SHOWN
    shown = ", ".join(" ".join(name.split("\t")) for name in names[:_SHOWN])
    return f"{len(names)} {kind}: {shown}{f' and {rest} more' if rest > 0 else ''}"
