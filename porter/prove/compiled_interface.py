# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code, interface: the port's kernels against what Apple's compiler recorded about its own (`!air.kernel`).

For every host name: the arguments in order, with kind, slot, address space, access, type, size and gate; the thread
limit; and the function constants that the compiled kernel reads, which have to be those that the YAML says reach it.
The types and the limit are the port's, under the row's template arguments, as clang resolves them: a witness for the
template arguments, whoever wrote the table.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from porter.errors import ParseError, ProofError
from porter.metal import air
from porter.metal.frontend import KernelArgumentDeclaration, KernelDeclaration, parse
from porter.model import Instantiation, Proof, Ring, Status
from porter.prove.case import LIBRARY, Case
from porter.prove.compiled import compiled_kernels
from porter.prove.interface import declarations, shown
from porter.prove.kernels import each
from porter.prove.sides import Side, emitted_instantiations, port_side, tokens, upstream_side
from porter.spec import Constant

CLAIM = "every kernel's interface is Apple's"
_SPACES = {"device": 1, "constant": 2, "threadgroup": 3}
_PROBE = "steel_port_type_"
_LIMIT = "steel_port_limit_"
# Apple's names of what clang calls otherwise.
_SCALARS = {
    "signed char": "char", "unsigned char": "uchar", "unsigned short": "ushort", "unsigned int": "uint",
    "unsigned long": "ulong", "_Float16": "half", "long long": "long", "unsigned long long": "ulong",
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What the port says of one instantiation: each argument's type and size in bytes, and the thread limit."""

    types: tuple[tuple[str, int], ...]
    limit: int | None


def prove_compiled_interface(case: Case) -> Proof:
    """The port's kernel, for every chosen host name, against Apple's; gates against upstream's tree."""
    family = case.family
    upstream, side = declarations(upstream_side(case), case.family), port_side(case)
    port = declarations(side, case.family)
    compiled = compiled_kernels(case)
    emitted = {row.host_name: row for row in emitted_instantiations(case)}
    rows = {}
    for row in case.chosen:
        if row.host_name in compiled:
            name = row.host_name + family.suffix(row.template, family.combinations(row.template)[0])
            if name not in emitted or emitted[name].template not in port:
                raise ProofError(f"{name} is not in the overlay's table", next_step="see the ring names")
            rows[row.host_name] = (row, emitted[name])
    expected = resolve(side, port, [ported for _, ported in rows.values()])
    backwards = {name: original for original, name in case.target.renames.items()}
    cases, problems = 0, dict[str, list[str]]()
    for host_name, (row, ported) in rows.items():
        kernel = compiled[host_name]
        cases += 2 + len(kernel.arguments)
        gated = {argument.name: argument.gate for argument in upstream[row.template].arguments}
        found = list(compiled_problems(kernel, port[ported.template], expected[ported.host_name], gated, backwards))
        found += constant_problems(kernel, family.constants_of(row.template), family.path)
        if found:
            problems[host_name] = found
    why = shown([f"{name}: {problem}" for name, found in problems.items() for problem in found])
    status = Status.DIFFERS if why else case.status
    return Proof(Ring.CODE, family.name, CLAIM, LIBRARY, status, cases, why, (), each(rows, problems, case.status))


def compiled_problems(
    compiled: air.CompiledKernel,
    port: KernelDeclaration,
    expected: Expected,
    gated: Mapping[str, str | None],
    backwards: Mapping[str, str],
) -> Iterator[str]:
    """`gated`: argument -> upstream's gate. `backwards`: a type's name in the port -> upstream's."""
    if expected.limit != compiled.thread_limit:
        yield f"thread limit {expected.limit}, compiled {compiled.thread_limit}"
    slots = implicit_slots(port.arguments)
    for number, (mine, theirs) in enumerate(zip_longest(port.arguments, compiled.arguments)):
        if mine is None or theirs is None:
            yield f"argument {(mine or theirs).name} is on one side only"
            continue
        type_, size = expected.types[number]
        bound = replace(mine, attribute="buffer", slot=slots[number]) if number in slots else mine
        for what, got, want in _facts(bound, theirs, backwards.get(type_, type_), size, gated):
            if got != want:
                yield f"argument {mine.name}: {what} {got}, compiled {want}"


def implicit_slots(arguments: Sequence[KernelArgumentDeclaration]) -> dict[int, int]:
    """The slots of buffers without an attribute, by the argument's number: each takes the first that is free, in order
    (Metal Shading Language Specification 3.2, section 5.2.1: "the compiler assigns a location index")."""
    taken = {one.slot for one in arguments if one.attribute == "buffer"}
    free = (slot for slot in itertools.count() if slot not in taken)
    open_ = [
        n for n, one in enumerate(arguments) if one.attribute is None and one.address_space in ("device", "constant")
    ]
    return {number: next(free) for number in open_}


def _facts(
    mine: KernelArgumentDeclaration,
    theirs: air.CompiledArgument,
    type_: str,
    size: int,
    gated: Mapping[str, str | None],
) -> Iterator[tuple[str, object, object]]:
    kind = "buffer" if mine.attribute == "threadgroup" else mine.attribute
    yield "name", mine.name, theirs.name
    yield "attribute", kind, theirs.kind
    yield "slot", mine.slot, theirs.slot
    yield "address space", _SPACES.get(mine.address_space or ""), theirs.address_space
    yield "read only", mine.is_const and mine.address_space is not None, theirs.access == "read"
    yield "type", type_, theirs.type.rpartition("::")[2]
    if theirs.size is not None:
        yield "size", size, theirs.size
    yield "gate", gated.get(mine.name), theirs.gate


def constant_problems(kernel: air.CompiledKernel, stated: Iterable[Constant], path: str) -> Iterator[str]:
    """The function constants that the compiled kernel reads are those that the YAML says reach it."""
    mine = {(one.name, one.index, one.type) for one in stated}
    for constant in kernel.constants:
        if (constant.name, constant.index, constant.type) not in mine:
            yield f"the {constant.type} constant {constant.name} ({constant.index}) reaches it, not so in specs/{path}"


# ---------------------------------------------------------------------------------------------------------------------
# Types and limits under a row's template arguments


def resolve(side: Side, kernels: Mapping[str, KernelDeclaration], rows: Iterable[Instantiation]) -> dict[str, Expected]:
    """By host name. Each distinct type and limit is asked of clang once. Raises ProofError for what it cannot tell."""
    texts: dict[str, tuple[list[str], str | None]] = {}
    for row in rows:
        kernel = kernels[row.template]
        values = _values(kernel, row)
        limit = _substitute(kernel.thread_limit, values) if kernel.thread_limit else None
        texts[row.host_name] = ([_substitute(one.type, values) for one in kernel.arguments], limit)
    types = {text: number for number, text in enumerate(dict.fromkeys(t for ts, _ in texts.values() for t in ts))}
    limits = {text: number for number, text in enumerate(dict.fromkeys(x for _, x in texts.values() if x))}
    # `sizeof` has clang lay out a class template that nothing else in the unit needs whole.
    probes = [
        f"using {_PROBE}{number} = {text}; static_assert(sizeof({_PROBE}{number}) > 0);\n"
        for text, number in types.items()
    ]
    probes += [f"using {_LIMIT}{number} = char[({text})];\n" for text, number in limits.items()]
    try:
        unit = parse(side.main + "".join(probes), side.files, skip_bodies=True)
    except ParseError as error:
        raise ProofError(f"the types of the port's arguments cannot be told: {error.what}") from error
    found: dict[str, Any] = {
        cursor.spelling: cursor.underlying_typedef_type.get_canonical()
        for cursor in unit.cursor.get_children()
        if cursor.kind.name == "TYPE_ALIAS_DECL" and cursor.spelling.startswith((_PROBE, _LIMIT))
    }
    named = {text: _named(found[f"{_PROBE}{number}"]) for text, number in types.items()}
    sizes = {text: found[f"{_LIMIT}{number}"].get_array_size() for text, number in limits.items()}
    return {
        name: Expected(tuple(named[text] for text in own), sizes[limit] if limit else None)
        for name, (own, limit) in texts.items()
    }


def _values(kernel: KernelDeclaration, row: Instantiation) -> dict[str, str]:
    """Template parameter -> what the row gives it, or its default."""
    values: dict[str, str] = {}
    for number, parameter in enumerate(kernel.parameters):
        if number < len(row.arguments):
            values[parameter.name] = row.arguments[number]
        elif parameter.default is not None:
            values[parameter.name] = _substitute(parameter.default, values)
        else:
            raise ProofError(f"{row.host_name} gives {kernel.name} no {parameter.name}")
    return values


def _substitute(text: str, values: Mapping[str, str]) -> str:
    """`text` with each template parameter replaced; `U::type` of a dependent type too, but no member's name."""
    return re.sub(
        r"(?<!::)\b[A-Za-z_]\w*\b",
        lambda word: values.get(word[0], word[0]),
        " ".join(tokens(text)).replace(" :: ", "::"),
    )


def _named(type_: Any) -> tuple[str, int]:
    """A canonical type as Apple's compiler names it, without namespaces, and its size in bytes."""
    spelling = re.sub(r"\b(?:const|volatile)\b", "", type_.spelling).strip()
    vector = re.fullmatch(r"(?:\w+::)*vec<(.*), (\d)>", spelling)
    if vector:
        scalar = vector[1].rpartition("::")[2]
        return f"{_SCALARS.get(scalar, scalar)}{vector[2]}", type_.get_size()
    bare = spelling.partition("<")[0]
    return _SCALARS.get(spelling, bare.rpartition("::")[2]), type_.get_size()
