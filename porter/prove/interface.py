# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code, interface: what the IR does not show, from the syntax trees of both sides.

IR without attributes and address spaces is blind to swapped buffer slots, wrong address spaces, lost thread limits and
wrong gates; and a lost unroll pragma may vanish in the optimiser. Here every host name's template arguments, every
argument of the kernel, its thread limit, every loop with its pragma, and the overloads that the shim has to hide are
compared, upstream's under the renames that specs/targets/ states. A second claim holds the port's kernel against what
Apple's compiler recorded about its own (`!air.kernel`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from porter.errors import ProofError
from porter.metal import air
from porter.metal.frontend import KernelArgumentDeclaration, KernelDeclaration, declared_kernels, parse
from porter.model import Corpus, Instantiation, Proof, Ring, Sources, Status
from porter.port.target import Target
from porter.prove.functions import Shapes, shapes
from porter.prove.sides import Side, emitted_instantiations, port_side, tokens, upstream_side
from porter.spec import Family, spell

CLAIM = "every kernel's interface is upstream's"
COMPILED_CLAIM = "every kernel's interface is Apple's"
_SHOWN = 4
# The patch of porter/metal/patches.py that blanks whole definitions.
TWINS = "address space twin"


def prove_interface(sources: Sources, corpus: Corpus, family: Family, overlay_root: Path, target: Target) -> Proof:
    """Both syntax trees. Raises ParseError where a side cannot be parsed."""
    upstream, port = upstream_side(sources, family), port_side(overlay_root, target, family)
    emitted = emitted_instantiations(overlay_root, target, family)
    rows = [row for row in corpus.instantiations if row.template == family.template]
    rename = Renames(target)
    mine = upstream_kernel(upstream, family)
    theirs = port_kernel(port, family, target)
    seen = shapes(upstream, [*family.preamble, family.kernel], rename.text)
    ported = shapes(port, [target.header(family.kernel)], lambda text: text)
    hidden = hidden_overloads(upstream, rename.text), hidden_overloads(port, lambda text: text)
    gate_notes, gate_problems = gates(mine, family)
    problems = [
        *gate_problems,
        *host_name_problems(rows, emitted, family, rename),
        *kernel_problems(mine, theirs, family, rename),
        *shape_problems(seen, ported),
        *(
            f"hidden from the compiler on one side only: {' '.join(text.split())[:80]}"
            for text in hidden[0] ^ hidden[1]
        ),
    ]
    counted = len(emitted) + len(theirs.arguments) + 1 + len(ported.functions) + len(ported.loops) + len(hidden[1])
    pragmas = sum(loop.pragma != "" for loop in ported.loops)
    notes = (
        f"compared: {len(emitted)} host names, {len(theirs.arguments)} arguments, 1 thread limit, address spaces in "
        f"{len(ported.functions)} functions, {len(ported.loops)} loops ({pragmas} with a pragma), "
        f"overload groups that the shim hides: {len(hidden[1])}",
        *gate_notes,
    )
    return _proof(family, CLAIM, "both syntax trees", counted, problems, notes)


def _proof(family: Family, claim: str, witness: str, cases: int, problems: list[str], notes: tuple[str, ...]) -> Proof:
    rest = len(problems) - _SHOWN
    why = "; ".join(problems[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
    return Proof(Ring.CODE, family.name, claim, witness, Status.DIFFERS if why else Status.PROVED, cases, why, notes)


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


def host_name_problems(
    rows: Iterable[Instantiation], emitted: Iterable[Instantiation], family: Family, rename: Renames
) -> Iterator[str]:
    """Each emitted host name stands for upstream's template arguments, renamed, and its values of the constants."""
    found = {row.host_name: row for row in emitted}
    for row in rows:
        for combination in family.combinations():
            name = row.host_name + family.suffix(combination)
            arguments = [rename.text(argument) for argument in row.arguments] + [spell(v) for v in combination.values()]
            other = found.get(name)
            if other is None:
                yield f"{name} is not emitted"
            elif other.template != row.template:
                yield f"{name} is {other.template}, upstream's is {row.template}"
            elif [same_tokens(argument) for argument in other.arguments] != arguments:
                yield f"{name} has the arguments {', '.join(other.arguments)}, upstream's are {', '.join(arguments)}"


# ---------------------------------------------------------------------------------------------------------------------
# The kernel


def upstream_kernel(side: Side, family: Family) -> KernelDeclaration:
    return _kernel(side, [*family.preamble, family.kernel], family.template)


def port_kernel(side: Side, family: Family, target: Target) -> KernelDeclaration:
    return _kernel(side, [target.header(family.kernel)], family.template)


def _kernel(side: Side, paths: list[str], name: str) -> KernelDeclaration:
    unit = parse("".join(f"#include <{path}>\n" for path in paths), side.files)
    found = [kernel for kernel in declared_kernels(unit) if kernel.name == name]
    if len(found) != 1:
        raise ProofError(f"{side.name} declares {len(found)} kernels called {name}", expected="one", where=paths[-1])
    return found[0]


def kernel_problems(
    upstream: KernelDeclaration, port: KernelDeclaration, family: Family, rename: Renames
) -> Iterator[str]:
    """Template parameters, arguments in order, thread limit."""
    wanted = [(rename.text(p.kind), p.name, rename.text(p.default or "")) for p in upstream.parameters]
    wanted += [("bool", constant.name, "") for constant in family.constants]
    have = [(p.kind, p.name, same_tokens(p.default or "")) for p in port.parameters]
    if have != wanted:
        first = next((pair for pair in zip_longest(wanted, have) if pair[0] != pair[1]), (None, None))
        yield f"template parameter {first[1]}, upstream's is {first[0]}"
    limit, other_limit = rename.text(upstream.thread_limit or "none"), same_tokens(port.thread_limit or "none")
    if limit != other_limit:
        yield f"thread limit {other_limit}, upstream's is {limit}"
    lowered = {constant.name for constant in family.constants if constant.lower == "template"}
    for mine, theirs in zip_longest(upstream.arguments, port.arguments):
        if mine is None or theirs is None:
            yield f"argument {(mine or theirs).name} is on one side only"
            continue
        for what, want, got in argument_facts(mine, theirs, lowered, rename):
            if want != got:
                yield f"argument {mine.name}: {what} {got}, upstream's is {want}"


def argument_facts(
    mine: KernelArgumentDeclaration, theirs: KernelArgumentDeclaration, lowered: set[str], rename: Renames
) -> tuple[tuple[str, object, object], ...]:
    """(what, as it has to be, as it is) for everything that an argument declares."""
    return (
        ("name", mine.name, theirs.name),
        ("attribute", mine.attribute, theirs.attribute),
        ("slot", mine.slot, theirs.slot),
        ("address space", mine.address_space, theirs.address_space),
        ("type", rename.text(mine.type), same_tokens(theirs.type)),
        ("const", mine.is_const, theirs.is_const),
        ("reference", mine.is_reference, theirs.is_reference),
        ("gate", None if mine.gate in lowered else mine.gate, theirs.gate),
    )


def gates(upstream: KernelDeclaration, family: Family) -> tuple[list[str], list[str]]:
    """What became of each gate (notes), and where the family says another thing of it than upstream (problems)."""
    notes, problems = [], []
    roles = {role.name: role for role in family.arguments}
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
    """The same functions; in each the same loops, as deep, under the same pragmas; the same address spaces in order."""
    for name in sorted(upstream.functions.keys() | port.functions.keys()):
        mine, theirs = upstream.functions.get(name), port.functions.get(name)
        if mine is None or theirs is None:
            yield f"function {name} is in {'upstream' if mine else 'the port'} only"
            continue
        for number, (loop, other) in enumerate(zip_longest(mine.loops, theirs.loops), 1):
            if loop != other:
                yield f"{name}, loop {number}: {other or 'missing'}, upstream's is {loop or 'missing'}"
                break
        yield from _space_problems(name, mine.spaces, theirs.spaces)
    yield from _space_problems("outside of functions", upstream.outside, port.outside)
    for pragma, other_pragma in zip_longest(upstream.pragmas, port.pragmas):
        if pragma != other_pragma:
            yield f"pragma {other_pragma or 'missing'}, upstream's is {pragma or 'missing'}"
            break


def _space_problems(name: str, mine: tuple[str, ...], theirs: tuple[str, ...]) -> Iterator[str]:
    for number, (space, other) in enumerate(zip_longest(mine, theirs), 1):
        if space != other:
            yield f"{name}, address space {number}: {other or 'missing'}, upstream's is {space or 'missing'}"
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


# ---------------------------------------------------------------------------------------------------------------------
# Apple's compiled kernels

_SPACES = {"device": 1, "constant": 2, "threadgroup": 3}


def prove_compiled_interface(
    sources: Sources, corpus: Corpus, family: Family, overlay_root: Path, target: Target, library: Path
) -> Proof:
    """The port's kernel, for every host name, against what Apple's compiler recorded; gates against upstream's tree."""
    gated = {a.name: a.gate for a in upstream_kernel(upstream_side(sources, family), family).arguments}
    port = port_kernel(port_side(overlay_root, target, family), family, target)
    rows = {row.host_name: row for row in corpus.instantiations if row.template == family.template}
    names = [parameter.name for parameter in port.parameters]
    cases, problems = 0, []
    for function in air.functions(library):
        row = rows.get(function.name)
        if row is not None:
            compiled = air.kernel(air.bitcode(library, function))
            cases += 1 + len(compiled.arguments)
            values = dict(zip(names, row.arguments, strict=False))
            problems += list(compiled_problems(compiled, port, values, gated))
    if cases == 0:
        raise ProofError("the compiled library holds no kernel of the family", where=str(library))
    return _proof(family, COMPILED_CLAIM, "Apple's compiled library", cases, problems, ())


def compiled_problems(
    compiled: air.CompiledKernel, port: KernelDeclaration, values: Mapping[str, str], gated: Mapping[str, str | None]
) -> Iterator[str]:
    """`values`: template parameter -> argument. `gated`: argument -> upstream's gate."""
    limit = evaluate(port.thread_limit, values) if port.thread_limit else None
    if limit != compiled.thread_limit:
        yield f"{compiled.name}: thread limit {limit}, compiled {compiled.thread_limit}"
    for mine, theirs in zip_longest(port.arguments, compiled.arguments):
        if mine is None or theirs is None:
            yield f"{compiled.name}: argument {(mine or theirs).name} is on one side only"
            continue
        facts = (
            ("name", mine.name, theirs.name),
            ("attribute", mine.attribute, theirs.kind),
            ("slot", mine.slot, theirs.slot),
            ("address space", _SPACES.get(mine.address_space or ""), theirs.address_space),
            ("read only", mine.is_const and mine.address_space is not None, theirs.access == "read"),
            ("gate", gated.get(mine.name), theirs.gate),
        )
        for what, got, want in facts:
            if got != want:
                yield f"{compiled.name}, argument {mine.name}: {what} {got}, compiled {want}"


def evaluate(expression: str, values: Mapping[str, str]) -> int:
    """An integer expression over template arguments, as a thread limit is. Raises ProofError for anything else."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and re.fullmatch(r"\d+", values.get(node.id, "")):
            return int(values[node.id])
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](value(node.left), value(node.right))
        raise ProofError(f"not an integer expression over template arguments: {expression}")

    try:
        return value(ast.parse(expression.strip(), mode="eval").body)
    except SyntaxError:
        raise ProofError(f"not an integer expression over template arguments: {expression}") from None


_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Mult: lambda a, b: a * b,
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
}
