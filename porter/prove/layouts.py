# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring layouts: host and kernel agree on every params struct, field by field.

Four views of each struct: the emitted header by the host's compiler, the emitted header by the kernel's compiler (clang
over the Metal shim), upstream's own header by the same, and what Apple's compiler wrote into every compiled kernel
(`air.struct_type_info`). The kernel's view of the emitted header is compared with each of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.errors import ProofError
from porter.metal import air
from porter.metal.frontend import parse
from porter.model import Corpus, ParamsStruct, Proof, Ring, Sources, Status
from porter.port.target import Target
from porter.prove.host import compiler_name, output_of
from porter.prove.sides import Side, port_side, upstream_side
from porter.spec import Family

CLAIM = "params structs lie as the kernel reads them"


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


def prove_layouts(
    sources: Sources, corpus: Corpus, family: Family, overlay_root: Path, target: Target
) -> tuple[Proof, ...]:
    """The three comparisons that need no compiled library. Structs are called by their upstream names."""
    structs = _structs(corpus, family)
    upstream = clang_layouts(upstream_side(sources, family), {s.name: (s.location.file, s.name) for s in structs})
    ported = {s.name: (target.header(s.location.file), ported_name(s.name, target)) for s in structs}
    kernel = clang_layouts(port_side(overlay_root, target, family), ported)
    host = host_layouts(overlay_root / "pytorch" / target.source_root, ported, kernel)
    return (
        compare(family, "the host's compiler", kernel, host, notes=(f"host compiler: {compiler_name()}",)),
        compare(family, "upstream's header", kernel, upstream),
    )


def against_library(corpus: Corpus, family: Family, overlay_root: Path, target: Target, library: Path) -> Proof:
    """The kernel's view of the emitted header against every compiled kernel of the family."""
    structs = _structs(corpus, family)
    ported = {s.name: (target.header(s.location.file), ported_name(s.name, target)) for s in structs}
    kernel = clang_layouts(port_side(overlay_root, target, family), ported)
    names = {row.host_name for row in corpus.instantiations if row.template == family.template}
    compiled = [f for f in air.functions(library) if f.name in names]
    if not compiled:
        raise ProofError("the compiled library holds no kernel of the family", where=str(library))
    witness = "Apple's compiled library"
    proof = None
    for function in compiled:
        proof = compare(family, witness, kernel, library_layouts(air.bitcode(library, function)), function.name)
        if proof.status is not Status.PROVED:
            return proof
    if proof is None:
        raise ProofError("nothing was compared")
    notes = (f"air.struct_type_info of {len(compiled)} kernels compiled by Apple",)
    return Proof(Ring.LAYOUTS, family.name, CLAIM, witness, Status.PROVED, proof.cases * len(compiled), "", notes)


def _structs(corpus: Corpus, family: Family) -> list[ParamsStruct]:
    found = [struct for struct in corpus.params if struct.name in family.params]
    if len(found) != len(family.params):
        raise ProofError(f"the sources declare {len(found)} of the {len(family.params)} params structs")
    return found


def ported_name(name: str, target: Target) -> str:
    """`mlx::steel::GEMMParams` as the port calls it."""
    first, _, rest = name.partition("::")
    return f"{'::'.join(target.namespaces[first])}::{rest}" if first in target.namespaces else name


def clang_layouts(side: Side, structs: Mapping[str, tuple[str, str]]) -> dict[str, Layout]:
    """By libclang over the shim. `structs`: key -> (header, qualified name)."""
    headers = dict.fromkeys(header for header, _ in structs.values())
    unit = parse("".join(f"#include <{header}>\n" for header in headers), side.files)
    found: dict[str, Layout] = {}

    def walk(cursor: Any, scope: tuple[str, ...]) -> None:
        for child in cursor.get_children():
            if child.kind.name == "NAMESPACE":
                walk(child, (*scope, child.spelling))
            elif child.kind.name == "STRUCT_DECL" and child.is_definition():
                found["::".join((*scope, child.spelling))] = _clang_layout(child)

    walk(unit.cursor, ())
    missing = [name for _, name in structs.values() if name not in found]
    if missing:
        raise ProofError(f"{side.name} declares no struct {missing[0]}", where=next(iter(headers)))
    return {key: found[name] for key, (_, name) in structs.items()}


def _clang_layout(cursor: Any) -> Layout:
    fields = [child for child in cursor.get_children() if child.kind.name == "FIELD_DECL"]
    rows = tuple((f.spelling, f.get_field_offsetof() // 8, f.type.get_size(), _clang_kind(f.type)) for f in fields)
    return Layout(cursor.type.get_size(), rows)


def _clang_kind(type_: Any) -> str:
    while type_.get_array_size() >= 0:
        type_ = type_.get_array_element_type()
    return _KINDS.get(type_.get_canonical().spelling.removeprefix("const "), STRUCT)


def host_layouts(include: Path, structs: Mapping[str, tuple[str, str]], fields: Layouts) -> dict[str, Layout]:
    """By the host's compiler: a program that includes the headers and prints what it sees of the named fields."""
    lines = [f"#include <{header}>" for header in dict.fromkeys(header for header, _ in structs.values())]
    lines += ["#include <cstddef>", "#include <cstdio>", "#include <type_traits>", _HOST_KIND, "int main() {"]
    for key, (_, name) in structs.items():
        lines.append(f'  std::printf("{key}\\t\\t0\\t%zu\\n", sizeof({name}));')
        for field, *_ in fields[key].fields:
            facts = f"offsetof({name}, {field}), sizeof({name}::{field}), kind<decltype({name}::{field})>()"
            lines.append(f'  std::printf("{key}\\t{field}\\t%zu\\t%zu\\t%s\\n", {facts});')
    rows = output_of("\n".join([*lines, "}"]) + "\n", include)
    out = {}
    for key in structs:
        size = next(int(row[3]) for row in rows if row[0] == key and not row[1])
        out[key] = Layout(size, tuple((r[1], int(r[2]), int(r[3]), r[4]) for r in rows if r[0] == key and r[1]))
    return out


def library_layouts(code: bytes) -> dict[str, Layout]:
    """By Apple's compiler: the structs that the arguments of one compiled kernel point to."""
    return {
        argument.type: Layout(
            argument.size or 0,
            tuple(
                (f.name, f.offset, f.size * max(1, f.array_length), _KINDS.get(f.type, STRUCT)) for f in argument.fields
            ),
        )
        for argument in air.arguments(code)
        if argument.fields
    }


def compare(
    family: Family, witness: str, mine: Layouts, theirs: Layouts, place: str = "", notes: tuple[str, ...] = ()
) -> Proof:
    """Every struct of `mine` must be in `theirs`, with the same size and the same fields in the same order."""
    cases, problems = 0, []
    for struct, layout in mine.items():
        cases += 1 + len(layout.fields)
        other = theirs.get(struct)
        problems += [f"{struct} is missing"] if other is None else list(_problems(struct, layout, other))
    why = "; ".join(problems[:3]) + (f" and {len(problems) - 3} more" if len(problems) > 3 else "")
    status = Status.DIFFERS if problems else Status.PROVED
    why = f"{place}: {why}" if why and place else why
    return Proof(Ring.LAYOUTS, family.name, CLAIM, witness, status, cases, why, notes)


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
