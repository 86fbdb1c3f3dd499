# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring layouts: host and kernel agree on every params struct, field by field.

Four views of each struct: the emitted header by the host's compiler, the emitted header by the kernel's compiler (clang
over the Metal shim), upstream's own header by the same, and what Apple's compiler wrote into every compiled kernel
(`air.struct_type_info`). The kernel's view of the emitted header is compared with each of the others.

A struct that a compiled kernel takes as its params and that the family's YAML does not own is a difference; so is any
struct, where the YAML owns none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from porter.errors import ParseError, ProofError
from porter.metal.air import CompiledArgument, CompiledKernel
from porter.metal.frontend import parse, relative_path
from porter.model import Instantiation, Proof, Ring, Status
from porter.port.target import Target
from porter.prove.case import LIBRARY, Case, Claim
from porter.prove.compiled import compiled_kernels
from porter.prove.host import compiler_name, output_of
from porter.prove.kernels import each
from porter.prove.names import is_nax
from porter.prove.sides import Side, port_side, upstream_side
from porter.spec import Family

CLAIM = "params structs lie as the kernel reads them"
NONE_CLAIM = "no kernel takes a params struct"
HOST, UPSTREAM = "the host's compiler", "upstream's header"
_CONSTANT = 2  # the address space; what lies in `device` memory is an element, not a params struct
_SHOWN = 3


def claims(case: Case) -> Iterator[Claim]:
    """What the ring layouts claims of a family."""
    if case.family.params:
        yield Claim(Ring.LAYOUTS, CLAIM, f"{HOST}, {UPSTREAM}", partial(prove_layouts, case))
    if not is_nax(case.family) and case.family.table is not None:
        claim = CLAIM if case.family.params else NONE_CLAIM
        yield Claim(Ring.LAYOUTS, claim, LIBRARY, partial(against_library, case))
    elif not case.family.params:
        yield Claim(Ring.LAYOUTS, NONE_CLAIM, UPSTREAM, partial(against_upstream, case))


@dataclass(frozen=True)
class Layout:
    """One struct: its size in bytes, and (name, offset, size, kind) of each field in order."""

    size: int
    fields: tuple[tuple[str, int, int, str], ...]


Layouts = Mapping[str, Layout]

# What a field's bytes mean. An array is of its element's kind; what is none of these is a struct.
SIGNED, UNSIGNED, FLOAT, BOOL, STRUCT = "a signed integer", "an unsigned integer", "a float", "a bool", "a struct"
_KINDS = {
    **dict.fromkeys(("char", "signed char", "short", "int", "long", "long long"), SIGNED),
    **dict.fromkeys(
        ("unsigned char", "unsigned short", "unsigned int", "unsigned long", "unsigned long long"), UNSIGNED
    ),
    **dict.fromkeys(("uchar", "ushort", "uint", "ulong"), UNSIGNED),
    **dict.fromkeys(("half", "_Float16", "bfloat", "float", "double"), FLOAT),
    "bool": BOOL,
}
_HOST_KIND = (
    "template <class T> const char* kind() {\n"
    "  using U = std::remove_cv_t<std::remove_all_extents_t<T>>;\n"
    f'  if (std::is_same_v<U, bool>) return "{BOOL}";\n'
    f'  if (std::is_floating_point_v<U>) return "{FLOAT}";\n'
    f'  if (std::is_integral_v<U>) return std::is_signed_v<U> ? "{SIGNED}" : "{UNSIGNED}";\n'
    f'  return "{STRUCT}";\n}}'
)


def prove_layouts(case: Case) -> tuple[Proof, ...]:
    """The two comparisons that need no compiled library. Structs are called by their upstream names."""
    family, target = case.family, case.target
    names = family.params
    upstream, files = clang_layouts(upstream_side(case), {name: name for name in names})
    ported = {name: ported_name(name, target) for name in names}
    kernel, _ = clang_layouts(port_side(case), ported)
    headers = dict.fromkeys(target.header(files[name]) for name in names)
    host = host_layouts(case, headers, ported, kernel)
    return (
        compare(family, HOST, kernel, host, notes=(f"host compiler: {compiler_name()}",)),
        compare(family, UPSTREAM, kernel, upstream),
    )


def against_library(case: Case) -> Proof:
    """The kernel's view of the emitted header against every compiled kernel of the family, and every struct that such
    a kernel takes against what the family owns."""
    family = case.family
    ported = {name: ported_name(name, case.target) for name in family.params}
    kernel = clang_layouts(port_side(case), ported)[0] if ported else {}
    compiled = compiled_kernels(case)
    cases, problems, seen = 0, dict[str, list[str]](), set[str]()
    for row in case.chosen:
        if row.host_name in compiled:
            taken = params_of(compiled[row.host_name], row)
            cases += 1 + sum(1 + len(argument.fields) for argument in taken)
            seen |= {argument.type for argument in taken}
            if found := list(_library_problems(family, kernel, taken)):
                problems[row.host_name] = found
    first = next(iter(problems.items()), None)
    why = f"{first[0]}: {_shown(first[1])}" if first else ""
    unused = [name for name in kernel if base_name(name) not in {base_name(one) for one in seen}]
    if unused and not why and case.everything:
        why = f"no compiled kernel takes {', '.join(unused)}; take it out of params in specs/{family.path}"
    status = Status.DIFFERS if why else case.status
    claim = CLAIM if family.params else NONE_CLAIM
    notes = (f"air.struct_type_info of {len(compiled)} kernels compiled by Apple",)
    results = each(compiled, problems, case.status)
    return Proof(Ring.LAYOUTS, family.name, claim, LIBRARY, status, cases, why, notes, results)


def params_of(kernel: CompiledKernel, row: Instantiation) -> list[CompiledArgument]:
    """The structs that the host fills: those in constant memory. What a template argument names is an element type."""
    words = {word for argument in row.arguments for word in re.findall(r"\w+", argument)}
    return [
        argument
        for argument in kernel.arguments
        if argument.fields and argument.address_space == _CONSTANT and base_name(argument.type) not in words
    ]


def base_name(name: str) -> str:
    """`ConvParams` of `mlx::ConvParams<2>`: Apple's compiler leaves template arguments out."""
    return name.partition("<")[0].rpartition("::")[2]


def _library_problems(family: Family, kernel: Layouts, taken: Iterable[CompiledArgument]) -> Iterator[str]:
    for argument in taken:
        theirs = Layout(
            argument.size or 0,
            tuple(
                (f.name, f.offset, f.size * max(1, f.array_length), _KINDS.get(f.type, STRUCT)) for f in argument.fields
            ),
        )
        ours = [name for name in kernel if base_name(name) == base_name(argument.type)]
        if not ours:
            yield (
                f"argument {argument.name} points to the struct {argument.type}, which the family does not own; "
                f"add it to params in specs/{family.path}"
            )
            continue
        # Of a class template, the specialisation that is nearest.
        found = [list(_problems(name, kernel[name], theirs)) for name in ours]
        yield from min(found, key=len)


def against_upstream(case: Case) -> Proof:
    """That no kernel takes a struct, where no compiled library holds the family: upstream's declarations."""
    structs = set(case.structs)
    problems: dict[str, list[str]] = {}
    for template in case.templates.values():
        for argument in template.arguments:
            if argument.address_space == "constant" and base_name(argument.type) in structs:
                what = (
                    f"argument {argument.name} points to {argument.type}; add it to params in specs/{case.family.path}"
                )
                problems.setdefault(template.name, []).append(what)
    first = next(iter(problems.items()), None)
    why = f"{first[0]}: {_shown(first[1])}" if first else ""
    by_row = {row.host_name: problems.get(row.template, []) for row in case.rows}
    status = Status.DIFFERS if why else Status.PROVED
    cases = sum(len(template.arguments) for template in case.templates.values())
    results = each(by_row, by_row)
    return Proof(Ring.LAYOUTS, case.family.name, NONE_CLAIM, UPSTREAM, status, cases, why, (), results)


def ported_name(name: str, target: Target) -> str:
    """`mlx::steel::GEMMParams` as the port calls it."""
    first, _, rest = name.partition("::")
    return f"{'::'.join(target.namespaces[first])}::{rest}" if first in target.namespaces else name


_PROBE = "steel_port_probe_"


def clang_layouts(side: Side, structs: Mapping[str, str]) -> tuple[dict[str, Layout], dict[str, str]]:
    """By libclang over the shim: the layouts, and the files that declare the structs. `structs`: key -> its name.

    A name may be that of a class template with its arguments. Raises ProofError where the side declares no such struct.
    """
    probes = [
        f"using {_PROBE}{number} = {name}; static_assert(sizeof({_PROBE}{number}) > 0);\n"
        for number, name in enumerate(structs.values())
    ]
    try:
        unit = parse(side.main + "".join(probes), side.files, skip_bodies=True)
    except ParseError as error:
        names = ", ".join(structs.values())
        raise ProofError(f"{side.name} does not declare {names} as the family needs it: {error.what}") from error
    types = {
        cursor.spelling: cursor.underlying_typedef_type.get_canonical()
        for cursor in unit.cursor.get_children()
        if cursor.kind.name == "TYPE_ALIAS_DECL" and cursor.spelling.startswith(_PROBE)
    }
    found = {key: types[f"{_PROBE}{number}"] for number, key in enumerate(structs)}
    files = {key: relative_path(one.get_declaration().location.file.name) for key, one in found.items()}
    return {key: _clang_layout(one) for key, one in found.items()}, files


def _clang_layout(type_: Any) -> Layout:
    rows = tuple(
        (f.spelling, f.get_field_offsetof() // 8, f.type.get_size(), _clang_kind(f.type)) for f in type_.get_fields()
    )
    return Layout(type_.get_size(), rows)


def _clang_kind(type_: Any) -> str:
    while type_.get_array_size() >= 0:
        type_ = type_.get_array_element_type()
    return _KINDS.get(type_.get_canonical().spelling.removeprefix("const "), STRUCT)


def host_layouts(case: Case, headers: Iterable[str], structs: Mapping[str, str], fields: Layouts) -> dict[str, Layout]:
    """By the host's compiler: a program that includes the headers and prints what it sees of the named fields."""
    lines = [f"#include <{header}>" for header in headers]
    lines += ["#include <cstddef>", "#include <cstdio>", "#include <type_traits>", _HOST_KIND, "int main() {"]
    for number, (key, name) in enumerate(structs.items()):
        alias = f"{_PROBE}{number}"  # a name with a comma would be two arguments of offsetof
        lines.append(f"  using {alias} = {name};")
        lines.append(f'  std::printf("{key}\\t\\t0\\t%zu\\n", sizeof({alias}));')
        for field, *_ in fields[key].fields:
            facts = f"offsetof({alias}, {field}), sizeof({alias}::{field}), kind<decltype({alias}::{field})>()"
            lines.append(f'  std::printf("{key}\\t{field}\\t%zu\\t%zu\\t%s\\n", {facts});')
    include = case.overlay_root / "pytorch" / case.target.source_root
    rows = output_of("\n".join([*lines, "}"]) + "\n", include)
    out = {}
    for key in structs:
        size = next(int(row[3]) for row in rows if row[0] == key and not row[1])
        out[key] = Layout(size, tuple((r[1], int(r[2]), int(r[3]), r[4]) for r in rows if r[0] == key and r[1]))
    return out


def compare(
    family: Family, witness: str, mine: Layouts, theirs: Layouts, place: str = "", notes: tuple[str, ...] = ()
) -> Proof:
    """Every struct of `mine` must be in `theirs`, with the same size and the same fields in the same order."""
    cases, problems = 0, []
    for struct, layout in mine.items():
        cases += 1 + len(layout.fields)
        other = theirs.get(struct)
        problems += [f"{struct} is missing"] if other is None else list(_problems(struct, layout, other))
    why = _shown(problems)
    status = Status.DIFFERS if problems else Status.PROVED
    why = f"{place}: {why}" if why and place else why
    return Proof(Ring.LAYOUTS, family.name, CLAIM, witness, status, cases, why, notes)


def _shown(problems: list[str]) -> str:
    rest = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _problems(struct: str, mine: Layout, theirs: Layout) -> Iterable[str]:
    names, other_names = [f[0] for f in mine.fields], [f[0] for f in theirs.fields]
    for name in names:
        if name not in other_names:
            yield f"{struct}.{name} is not in the witness"
    for name in other_names:
        if name not in names:
            yield f"{struct}.{name} is missing"
    others = {field[0]: field for field in theirs.fields}
    for name, offset, size, kind in mine.fields:
        _, other_offset, other_size, other_kind = others.get(name, (name, offset, size, kind))
        if offset != other_offset:
            yield f"{struct}.{name} at byte {offset}, {other_offset} in the witness"
        if size != other_size:
            yield f"{struct}.{name} of {size} bytes, {other_size} in the witness"
        if kind != other_kind:
            yield f"{struct}.{name} is {kind}, {other_kind} in the witness"
    if mine.size != theirs.size:
        yield f"{struct} of {mine.size} bytes, {theirs.size} in the witness"
