# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the sources of one family declare: one translation unit, read by libclang.

With upstream's `.metal` file the unit is that file; without, the family's kernel files behind its preamble, because the
headers are not self-contained. Bodies are not read: what they say is for the rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from porter.errors import ParseError
from porter.metal import frontend
from porter.model import FunctionConstant, Instantiation, KernelTemplate, ParamsStruct
from porter.parse.declarations import function_constants, kernel_templates, params_structs, specialisations
from porter.parse.instantiations import PROLOGUE, table_rows, with_rows
from porter.spec import Family


@dataclass(frozen=True)
class Unit:
    """What is read: `includes` in this order, of `files` (all that they include, by upstream path).

    `owned` are the files whose kernels are the family's, `params` the structs it names, `has_table` says whether
    `includes` is upstream's `.metal` file.
    """

    family: str
    includes: tuple[str, ...]
    owned: tuple[str, ...]
    params: tuple[str, ...]
    has_table: bool
    files: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """What a unit declares. `kernels` are all of it, those of files that the family does not own too.

    `instantiations` is empty where the unit has no table.
    """

    kernels: tuple[KernelTemplate, ...]
    constants: tuple[FunctionConstant, ...]
    params: tuple[ParamsStruct, ...]
    instantiations: tuple[Instantiation, ...]


def read_part(unit: Unit) -> Part:
    """Raises ParseError (the source's file:line) for what cannot be understood."""
    if not unit.includes:
        return Part((), (), (), ())
    files = {path: with_rows(path, text) for path, text in unit.files.items()} if unit.has_table else unit.files
    main = (PROLOGUE if unit.has_table else "") + "".join(f'#include "{path}"\n' for path in unit.includes)
    parsed = frontend.parse(main + specialisations(unit.params, unit.files), files, skip_bodies=True)
    kernels = kernel_templates(parsed, files, unit.family)
    rows = table_rows(parsed, kernels, unit.family, unit.owned) if unit.has_table else ()
    return Part(kernels, function_constants(parsed), params_structs(parsed, unit.params), rows)


def owned(family: Family, part: Part) -> dict[str, KernelTemplate]:
    """The kernels of the files that the family owns, by name.

    Of overloads, those whose template parameters the family's tables do not fit are none: nothing instantiates them.
    Raises ParseError where several are left.
    """
    found: dict[str, KernelTemplate] = {}
    given = {table.kernel: table.arguments for table in reversed(family.tables)}
    names = [one.name for one in part.kernels]
    for kernel in part.kernels:
        if kernel.location.file not in family.sources_of_kernels:
            continue
        if names.count(kernel.name) > 1 and not takes(kernel, len(given.get(kernel.name, ()))):
            continue
        if kernel.name in found:
            raise ParseError(
                f"a second kernel is called {kernel.name}, and takes as many template arguments",
                where=str(kernel.location),
                expected=f"one, at {found[kernel.name].location}",
                next_step="teach porter/parse/part.py to tell them apart",
            )
        found[kernel.name] = kernel
    return found


def takes(kernel: KernelTemplate, count: int) -> bool:
    """Whether the kernel can be instantiated by so many template arguments."""
    required = sum(parameter.default is None for parameter in kernel.parameters)
    return required <= count <= len(kernel.parameters)
