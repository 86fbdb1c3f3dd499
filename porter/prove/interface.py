# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code, interface: what the IR does not show, from the syntax trees of both sides.

IR without attributes and address spaces is blind to swapped buffer slots, wrong address spaces, lost thread limits and
wrong gates; and a lost unroll pragma may vanish in the optimiser. Here every host name's template arguments, every
argument of each kernel, its thread limit, every loop with its pragma, and the overloads that the shim has to hide are
compared, upstream's under the renames that specs/targets/ states. A second claim holds the port's kernels against what
Apple's compiler recorded about its own (porter/prove/compiled_interface.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from porter.errors import ProofError
from porter.metal.frontend import KernelArgumentDeclaration, KernelDeclaration, declared_kernels, parse
from porter.model import Instantiation, Proof, Ring, Status
from porter.port.target import Target
from porter.prove.case import Case
from porter.prove.functions import Shapes, shapes
from porter.prove.kernels import each, written_out
from porter.prove.sides import Side, emitted_instantiations, port_side, tokens, upstream_side
from porter.spec import Family, Kernel, spell

CLAIM = "every kernel's interface is upstream's"
WITNESS = "both syntax trees"
_SHOWN = 4
# The patch of porter/metal/patches.py that blanks whole definitions.
TWINS = "address space twin"


def prove_interface(case: Case) -> Proof:
    """Both syntax trees. Raises ParseError where a side cannot be parsed."""
    family, rename = case.family, Renames(case.target)
    upstream, port = upstream_side(case), port_side(case)
    emitted = emitted_instantiations(case)
    facts = upstream_facts(case, upstream)
    mine, theirs = facts.kernels, declarations(port, family)
    seen, ported = facts.shapes, shapes(port, family, lambda text: text)
    hidden = facts.hidden, hidden_overloads(port, lambda text: text)
    gate_notes: dict[str, None] = {}
    of_kernel: dict[str, list[str]] = {}
    for kernel in family.kernels:
        about_gates, problems = gates(_found(mine, kernel.name, upstream), kernel, family)
        gate_notes.update(dict.fromkeys(about_gates))
        problems += kernel_problems(mine[kernel.name], _found(theirs, kernel.name, port), family, rename)
        of_kernel[kernel.name] = [f"{kernel.name}: {problem}" for problem in problems]
    of_row = host_name_problems(case, emitted, rename)
    shared = [
        *shape_problems(seen, ported),
        *(f"kernel {name} is the port's alone" for name in sorted(theirs.keys() - mine.keys())),
        *(
            f"hidden from the compiler on one side only: {' '.join(text.split())[:80]}"
            for text in sorted(hidden[0] ^ hidden[1])
        ),
    ]
    kernels = family.kernel_names
    arguments = sum(len(theirs[name].arguments) for name in kernels)
    pragmas = sum(loop.pragma != "" for loop in ported.loops)
    notes = (
        f"compared: {len(emitted)} host names, {len(kernels)} kernels with {arguments} arguments and their thread "
        f"limits, address spaces, attributes and const in {len(ported.functions)} functions, {len(ported.loops)} loops "
        f"({pragmas} with a pragma), overload groups that the shim hides: {len(hidden[1])}",
        *gate_notes,
    )
    counted = len(emitted) + arguments + len(kernels) + len(ported.functions) + len(ported.loops) + len(hidden[1])
    every = [
        *(one for found in of_kernel.values() for one in found),
        *(p for f in of_row.values() for p in f),
        *shared,
    ]
    results = each(
        (row.host_name for row in case.rows),
        {row.host_name: [*of_row.get(row.host_name, []), *of_kernel[row.template]] for row in case.rows},
    )
    why = shown(every)
    status = Status.DIFFERS if why else Status.PROVED
    return Proof(Ring.CODE, family.name, CLAIM, WITNESS, status, counted, why, notes, results)


@dataclass(frozen=True)
class Facts:
    """What upstream's syntax tree says, under the port's names."""

    kernels: Mapping[str, KernelDeclaration]
    shapes: Shapes
    hidden: set[str]


_facts: dict[tuple[str, ...], Facts] = {}
_MOST_FACTS = 64


def upstream_facts(case: Case, side: Side) -> Facts:
    """Kept for as long as this process looks at one upstream: a mutation run asks some hundred times."""
    key = (side.digest, side.main, case.target.digest, case.family.digest)
    if key not in _facts:
        while len(_facts) >= _MOST_FACTS:
            del _facts[next(iter(_facts))]
        rename = Renames(case.target)
        found = shapes(side, case.family, rename.text)
        _facts[key] = Facts(declarations(side, case.family), found, hidden_overloads(side, rename.text))
    return _facts[key]


def shown(problems: list[str]) -> str:
    """The first problems, and how many more there are; nothing where there is none."""
    rest = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


class Renames:
    """What upstream's names are called in the port, token by token."""

    def __init__(self, target: Target) -> None:
        spaces = {name: "::".join(parts) for name, parts in target.namespaces.items()}
        self._names = {**spaces, **target.aliases, **target.renames}

    def text(self, text: str) -> str:
        """`text`'s tokens, renamed, with one space between them."""
        renamed = (self._names.get(token, token) for token in tokens(text))
        return " ".join(" ".join(tokens(token)) for token in renamed)


def same_tokens(text: str | None) -> str | None:
    return None if text is None else " ".join(tokens(text))


# ---------------------------------------------------------------------------------------------------------------------
# Host names


def host_name_problems(case: Case, emitted: Iterable[Instantiation], rename: Renames) -> dict[str, list[str]]:
    """Each emitted host name stands for upstream's template arguments, renamed, and its values of the constants."""
    family = case.family
    found = {row.host_name: row for row in emitted}
    out: dict[str, list[str]] = {}
    lowered = {constant.name for constant in family.constants if constant.lower == "template"}
    spelled: dict[str, str | None] = {}
    for row in case.rows:
        mine = [rename.text(argument) for argument in written_out(case, row)]
        for combination in family.combinations(row.template):
            name = row.host_name + family.suffix(row.template, combination)
            values = [spell(value) for constant, value in combination.items() if constant in lowered]
            other = found.get(name)
            for argument in other.arguments if other else ():
                if argument not in spelled:
                    spelled[argument] = same_tokens(argument)
            if other is None:
                out.setdefault(row.host_name, []).append(f"{name} is not emitted")
            elif other.template != row.template:
                out.setdefault(row.host_name, []).append(f"{name} is {other.template}, upstream's is {row.template}")
            elif [spelled[argument] for argument in other.arguments] != mine + values:
                given, wanted = ", ".join(other.arguments), ", ".join(mine + values)
                out.setdefault(row.host_name, []).append(f"{name} has the arguments {given}, upstream's are {wanted}")
    return out


# ---------------------------------------------------------------------------------------------------------------------
# The kernels


def declarations(side: Side, family: Family) -> Mapping[str, KernelDeclaration]:
    """Every kernel of one side, by name. Of overloads, those whose template parameters the family's tables do not fit
    are none: nothing instantiates them. Raises ProofError where several are left."""
    declared = declared_kernels(parse(side.main, side.files, skip_bodies=True))
    names = [kernel.name for kernel in declared]
    given = {table.kernel: len(table.arguments) for table in reversed(family.tables)}
    out: dict[str, KernelDeclaration] = {}
    for kernel in declared:
        if names.count(kernel.name) > 1 and not _takes(kernel, given.get(kernel.name, 0)):
            continue
        if kernel.name in out:
            raise ProofError(f"{side.name} declares two kernels called {kernel.name}", where=kernel.file)
        out[kernel.name] = kernel
    return out


def _takes(kernel: KernelDeclaration, count: int) -> bool:
    required = sum(parameter.default is None for parameter in kernel.parameters)
    return required <= count <= len(kernel.parameters)


def _found(kernels: Mapping[str, KernelDeclaration], name: str, side: Side) -> KernelDeclaration:
    if name not in kernels:
        raise ProofError(f"{side.name} declares no kernel called {name}", expected="one")
    return kernels[name]


def kernel_problems(
    upstream: KernelDeclaration, port: KernelDeclaration, family: Family, rename: Renames
) -> Iterator[str]:
    """Template parameters, arguments in order, thread limit."""
    wanted = [(rename.text(p.kind), p.name, rename.text(p.default or "")) for p in upstream.parameters]
    reaching = family.constants_of(upstream.name)
    wanted += [("bool", constant.name, "") for constant in reaching if constant.lower == "template"]
    have = [(p.kind, p.name, same_tokens(p.default or "")) for p in port.parameters]
    if have != wanted:
        first = next((pair for pair in zip_longest(wanted, have) if pair[0] != pair[1]), (None, None))
        yield f"template parameter {first[1]}, upstream's is {first[0]}"
    limit, other_limit = rename.text(upstream.thread_limit or "none"), same_tokens(port.thread_limit or "none")
    if limit != other_limit:
        yield f"thread limit {other_limit}, upstream's is {limit}"
    gated = {constant.name for constant in reaching}
    for mine, theirs in zip_longest(upstream.arguments, port.arguments):
        if mine is None or theirs is None:
            yield f"argument {(mine or theirs).name} is on one side only"
            continue
        for what, want, got in argument_facts(mine, theirs, gated, rename):
            if want != got:
                yield f"argument {mine.name}: {what} {got}, upstream's is {want}"


def argument_facts(
    mine: KernelArgumentDeclaration, theirs: KernelArgumentDeclaration, gated: set[str], rename: Renames
) -> tuple[tuple[str, object, object], ...]:
    """(what, as it has to be, as it is) for everything that an argument declares. A gate goes with its constant."""
    return (
        ("name", mine.name, theirs.name),
        ("attribute", mine.attribute, theirs.attribute),
        ("slot", mine.slot, theirs.slot),
        ("address space", mine.address_space, theirs.address_space),
        ("type", rename.text(mine.type), same_tokens(theirs.type)),
        ("const", mine.is_const, theirs.is_const),
        ("reference", mine.is_reference, theirs.is_reference),
        ("gate", None if mine.gate in gated else mine.gate, theirs.gate),
    )


def gates(upstream: KernelDeclaration, kernel: Kernel, family: Family) -> tuple[list[str], list[str]]:
    """What became of each gate (notes), and where the family says another thing of it than upstream (problems)."""
    notes, problems = [], []
    roles = {role.name: role for role in kernel.arguments}
    for argument in upstream.arguments:
        role = roles.get(argument.name)
        said = role.gate if role else None
        if said != argument.gate:
            problems.append(f"argument {argument.name} is gated by {argument.gate}, by {said} in specs/{family.path}")
        elif argument.gate is not None and role is not None:
            notes.append(
                f"{argument.name} lost its gate {argument.gate}: where that is false it is bound to {role.dummy}"
            )
    return notes, problems


# ---------------------------------------------------------------------------------------------------------------------
# Loops, and overloads that differ in address space alone


def shape_problems(upstream: Shapes, port: Shapes) -> Iterator[str]:
    """The same functions; in each the same loops, as deep, under the same pragmas; the same address spaces, attributes
    and `const` in order."""
    for name in sorted(upstream.functions.keys() | port.functions.keys()):
        mine, theirs = upstream.functions.get(name), port.functions.get(name)
        if mine is None or theirs is None:
            yield f"function {name} is in {'upstream' if mine else 'the port'} only"
            continue
        for number, (loop, other) in enumerate(zip_longest(mine.loops, theirs.loops), 1):
            if loop != other:
                yield f"{name}, loop {number}: {other or 'missing'}, upstream's is {loop or 'missing'}"
                break
        yield from _word_problems(name, "address space", mine.spaces, theirs.spaces)
        yield from _word_problems(name, "attribute or const", mine.marks, theirs.marks)
    yield from _word_problems("outside of functions", "address space", upstream.outside, port.outside)
    for pragma, other_pragma in zip_longest(upstream.pragmas, port.pragmas):
        if pragma != other_pragma:
            yield f"pragma {other_pragma or 'missing'}, upstream's is {pragma or 'missing'}"
            break


def _word_problems(name: str, what: str, mine: tuple[str, ...], theirs: tuple[str, ...]) -> Iterator[str]:
    for number, (word, other) in enumerate(zip_longest(mine, theirs), 1):
        if word != other:
            yield f"{name}, {what} {number}: {other or 'missing'}, upstream's is {word or 'missing'}"
            return


def hidden_overloads(side: Side, rename: Callable[[str], str]) -> set[str]:
    """The tokens of every definition that the shim blanks because, without address spaces, it would be a second one."""
    found = set()
    for path, text in side.files.items():
        lines = {one.line for where, one in side.patches if where == path and one.name == TWINS}
        for start, end in _blanked(text, side.patched[path]):
            if text.count("\n", 0, start) + 1 in lines:
                found.add(" ".join(tokens(rename(text[start:end]))))
    return found


def _blanked(text: str, patched: str) -> Iterator[tuple[int, int]]:
    """The ranges where `patched` is blank and `text` is not, joined over white space."""
    start = end = None
    for index, (old, new) in enumerate(zip(text, patched, strict=True)):
        if old != new and new == " ":
            start, end = (index if start is None else start), index + 1
        elif start is not None and end is not None and not old.isspace():
            yield start, end
            start = end = None
    if start is not None and end is not None:
        yield start, end
