# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The nouns that libclang gives: kernel templates, function constants, params structs.

Walking a cursor's children is the slow part of libclang from Python, so only what stands at namespace scope in one of
our files is visited, and a struct's fields only where the struct is asked for.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from porter.errors import ParseError
from porter.metal import frontend
from porter.model import (
    Field,
    FunctionConstant,
    KernelArgument,
    KernelTemplate,
    Location,
    ParamsStruct,
    TemplateParameter,
)
from porter.parse.lexer import tokenize

PARAMS_HEADER = "params.h"
"""MLX's name for a header of structs that host and kernel share."""

_ALIAS = "steel_port_params_"


def kernel_templates(unit: Any, files: Mapping[str, str], family: str) -> tuple[KernelTemplate, ...]:
    """Every kernel that `unit` (parsed without bodies) defines in one of `files`, as `family`'s.

    Raises ParseError for a buffer slot that is bound twice.
    """
    return tuple(_kernel(kernel, files[kernel.file], family) for kernel in frontend.declared_kernels(unit))


def _kernel(kernel: frontend.KernelDeclaration, text: str, family: str) -> KernelTemplate:
    try:
        return KernelTemplate(
            name=kernel.name,
            parameters=tuple(TemplateParameter(one.kind, one.name, one.default) for one in kernel.parameters),
            arguments=_with_slots([_argument(one, kernel.file) for one in kernel.arguments]),
            thread_limit=kernel.thread_limit,
            location=_at(kernel.file, text, kernel.start),
            end=_at(kernel.file, text, _end_of_body(kernel, text)),
            family=family,
        )
    except ValueError as error:
        raise ParseError(
            str(error), where=f"{kernel.file}:{kernel.line}", expected="each buffer slot once in a kernel"
        ) from error


def _end_of_body(kernel: frontend.KernelDeclaration, text: str) -> int:
    """The offset behind the brace that closes the kernel's body; the unit holds its argument list only."""
    depth = 0
    for token in tokenize(text[kernel.end :]):
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        if token.text == "}" and depth == 0:
            return kernel.end + token.end
    raise ParseError(f"the body of kernel {kernel.name} does not end", where=f"{kernel.file}:{kernel.line}")


def _argument(one: frontend.KernelArgumentDeclaration, path: str) -> KernelArgument:
    where = Location(path, one.line, one.column)
    return KernelArgument(one.name, one.type, one.address_space, one.is_const, one.attribute, one.slot, one.gate, where)


def _with_slots(arguments: Sequence[KernelArgument]) -> tuple[KernelArgument, ...]:
    """A buffer without `[[buffer(n)]]` takes the lowest slot that is free, as Metal gives it (Metal Shading Language
    specification 4, section 5.2.1); its `attribute` stays None."""
    taken = {one.slot for one in arguments if one.attribute == "buffer"}
    out = []
    for one in arguments:
        if one.attribute is None and one.slot is None and one.address_space in ("device", "constant"):
            one = dataclasses.replace(one, slot=next(n for n in range(len(taken) + 1) if n not in taken))
            taken.add(one.slot)
        out.append(one)
    return tuple(out)


def _at(path: str, text: str, offset: int) -> Location:
    return Location(path, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def function_constants(unit: Any) -> tuple[FunctionConstant, ...]:
    """Every variable of one of our files with `[[function_constant(index)]]`."""
    found = []
    for cursor, _ in _declared(unit.cursor, ("VAR_DECL",)):
        for child in cursor.get_children():
            if child.kind.name == "ANNOTATE_ATTR" and child.spelling.startswith("function_constant("):
                index = child.spelling[len("function_constant(") : -1].strip()
                found.append(_constant(cursor, index))
    return tuple(found)


def _constant(cursor: Any, index: str) -> FunctionConstant:
    where = _location(cursor)
    if not re.fullmatch(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*", index):
        raise ParseError(
            f"function constant {cursor.spelling} has the index {index!r}", where=str(where), expected="a number"
        )
    base = 16 if index[:2] in ("0x", "0X") else 8 if index[0] == "0" else 10  # as C reads it
    return FunctionConstant(cursor.spelling, _without_const(cursor.type.spelling), int(index, base), where)


def specialisations(named: Iterable[str], files: Mapping[str, str]) -> str:
    """What to put behind a unit's text so that `params_structs` sees the named structs that are specialisations
    (`Params<2>`) of a class template of `files`."""
    out = ""
    for i, name in enumerate(named):
        template, bracket, _ = name.partition("<")
        definition = re.compile(rf"\b(?:struct|class)\s+{re.escape(template.rpartition('::')[2])}\b")
        if bracket and any(definition.search(text) for text in files.values()):
            out += f"using {_ALIAS}{i} = {name};\nconstexpr decltype(sizeof(int)) {_ALIAS}size_{i} = sizeof({name});\n"
    return out


def params_structs(unit: Any, named: Sequence[str]) -> tuple[ParamsStruct, ...]:
    """The structs called `named` (with their namespaces), wherever they stand, and every other struct of a `params.h`.

    Of a class template, which has no layout of its own, the specialisations in `named`: see `specialisations`.
    """
    found: dict[str, ParamsStruct] = {}
    for cursor, scope in _declared(unit.cursor, ("STRUCT_DECL", "CLASS_DECL", "TYPE_ALIAS_DECL")):
        name = "::".join((*scope, cursor.spelling))
        shared = posixpath.basename(cursor.location.file.name) == PARAMS_HEADER
        if cursor.kind.name == "TYPE_ALIAS_DECL":
            number = cursor.spelling.removeprefix(_ALIAS)
            if number != cursor.spelling:
                name = named[int(number)]
                layout = cursor.underlying_typedef_type.get_canonical()
                found[name] = _struct(layout.get_declaration(), name, layout)
        elif (shared or name in named) and cursor.is_definition():
            found[name] = _struct(cursor, name, cursor.type)
    return tuple(found.values())


def _struct(cursor: Any, name: str, layout: Any) -> ParamsStruct:
    where = _location(cursor)
    if any(child.kind.name == "CXX_BASE_SPECIFIER" for child in cursor.get_children()):
        raise ParseError(
            f"{name} has a base class", where=str(where), expected="a plain struct: host and kernel share it"
        )
    try:
        fields = tuple(_field(field, name) for field in layout.get_fields())
        return ParamsStruct(name, fields, layout.get_size(), layout.get_align(), where)
    except ValueError as error:
        raise ParseError(str(error), where=str(where)) from error


def _field(cursor: Any, struct: str) -> Field:
    where = _location(cursor)
    offset, size = cursor.get_field_offsetof(), cursor.type.get_size()  # bits, bytes; negative where clang has none
    if cursor.is_bitfield() or offset < 0 or offset % 8 or size < 0:
        raise ParseError(f"{struct}::{cursor.spelling} has no layout in whole bytes", where=str(where))
    return Field(cursor.spelling, _without_const(cursor.type.spelling), offset // 8, size, where)


def _declared(
    cursor: Any, kinds: tuple[str, ...], scope: tuple[str, ...] = ()
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Declarations of `kinds` at namespace scope in the files given to `parse`, and the namespaces around each."""
    for child in cursor.get_children():
        kind = child.kind.name
        if kind not in kinds and kind not in ("NAMESPACE", "LINKAGE_SPEC", "UNEXPOSED_DECL"):
            continue
        file = child.location.file
        if file is None or not file.name.startswith(frontend.VIRTUAL_ROOT + "/"):
            continue
        if kind in kinds:
            yield child, scope
        else:
            inner = (*scope, child.spelling) if kind == "NAMESPACE" and child.spelling else scope
            yield from _declared(child, kinds, inner)


def _location(cursor: Any) -> Location:
    place = cursor.location
    return Location(frontend.relative_path(place.file.name), place.line, place.column)


def _without_const(spelling: str) -> str:
    return re.sub(r"\bconst\s+", "", spelling)
