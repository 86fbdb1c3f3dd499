# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sources -> Corpus: everything the sources of the families declare, and where.

Includes, macros and notices are read off the tokens. Kernels, constants and structs come from libclang, which reads the
kernel's header behind its preamble, as upstream's own `.metal` file does (the header is not self-contained).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from porter.errors import SpecError
from porter.metal import frontend
from porter.model import (
    Corpus,
    Coverage,
    FunctionConstant,
    Instantiation,
    KernelTemplate,
    Location,
    Macro,
    Notice,
    ParamsStruct,
    Sources,
)
from porter.parse.check import check_interface, check_table
from porter.parse.declarations import function_constants, kernel_templates, params_structs
from porter.parse.directives import read_includes, read_macros, resolve
from porter.parse.instantiations import expand_table
from porter.parse.lexer import Token, tokenize
from porter.parse.notices import read_licence, read_notice
from porter.spec import Family

Tokens = dict[str, list[Token]]
Noun = TypeVar("Noun")


def read_corpus(sources: Sources, families: tuple[Family, ...]) -> Corpus:
    """Read what the files of `families` declare, and check each family's YAML against it.

    The instantiations come from the macros of a family's `.metal` file where the sources are full, else from its YAML
    alone. Raises SpecError (the YAML's file:line) where a YAML says what upstream does not, ParseError (the source's
    file:line) for a source that cannot be understood.
    """
    tokens: Tokens = {}
    templates: list[KernelTemplate] = []
    constants: list[FunctionConstant] = []
    params: list[ParamsStruct] = []
    rows: list[Instantiation] = []
    for family in families:
        files = {path: sources.files[path].text for path in _reach(_roots(family, sources), sources, tokens)}
        includes = "".join(f'#include "{path}"\n' for path in (*family.preamble, family.kernel))
        unit = frontend.parse(includes, files)
        declared = kernel_templates(unit, files), function_constants(unit)
        check_interface(*declared, family)
        templates += declared[0]
        constants += declared[1]
        params += params_structs(unit, family)
        rows += _table(family, files, tokens)
    return Corpus(
        pin=sources.pin,
        files=tuple(sorted(tokens)),
        includes=_sorted((i for path in tokens for i in read_includes(path, tokens[path])), lambda i: i.location),
        macros=_sorted(_macros(tokens), lambda macro: macro.location),
        notices=_notices(sources, tokens),
        templates=_sorted(templates, lambda template: template.location),
        params=_sorted(params, lambda struct: struct.location),
        constants=_sorted(constants, lambda constant: constant.location),
        instantiations=_sorted(rows, lambda row: row.origin),
    )


def closure(roots: Iterable[str], sources: Sources) -> tuple[str, ...]:
    """`roots` and every file of the sources that they include, however far away, sorted."""
    return tuple(sorted(_reach(roots, sources, {})))


def _reach(roots: Iterable[str], sources: Sources, tokens: Tokens) -> list[str]:
    """As `closure`, in the order found; leaves the tokens of each file in `tokens`."""
    seen: dict[str, None] = {}
    waiting = list(roots)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen[path] = None
        if path not in tokens:
            tokens[path] = tokenize(sources.files[path].text)
        found = (resolve(include, sources.files) for include in read_includes(path, tokens[path]))
        waiting += [target for target in found if target is not None]
    return list(seen)


def _roots(family: Family, sources: Sources) -> list[str]:
    """The files that the family names. Raises SpecError, with the YAML's line, for one that the sources lack."""
    named = [("sources.kernel", family.kernel)]
    named += [(f"sources.preamble.{i}", path) for i, path in enumerate(family.preamble)]
    if sources.pin.coverage is Coverage.FULL:
        named.append(("sources.table", family.table))
    for key, path in named:
        if path not in sources.files:
            raise SpecError(
                f"upstream has no file {path} at revision {sources.pin.revision[:12]}",
                where=f"specs/{family.path}:{family.lines.get(key, 1)}",
                next_step="choose a revision that has it, or change the family's sources",
            )
    return [path for _, path in named]


def _table(family: Family, files: dict[str, str], tokens: Tokens) -> tuple[Instantiation, ...]:
    if family.table not in files:
        return family.instantiations()
    _check_preamble(family, tokens[family.table])
    rows = expand_table(family, files, _macros({path: tokens[path] for path in files}))
    check_table(rows, family)
    return rows


def _check_preamble(family: Family, table: list[Token]) -> None:
    """The kernel is parsed and ported behind the YAML's preamble; it has to be the one that upstream compiles with."""
    includes = [include for include in read_includes(family.table, table) if not include.angled]
    if [include.path for include in includes] != [*family.preamble, family.kernel]:
        raise SpecError(
            f"{family.table} includes other files, or in another order",
            where=f"specs/{family.path}:{family.lines.get('sources.preamble', 1)}",
            expected=", ".join(include.path for include in includes),
            next_step="correct the family's preamble",
        )


def _macros(tokens: Tokens) -> list[Macro]:
    return [macro for path in tokens for macro in read_macros(path, tokens[path])]


def _notices(sources: Sources, tokens: Tokens) -> dict[str, Notice]:
    licence = read_licence("LICENSE", sources.files["LICENSE"].text)
    return {path: read_notice(path, tokens[path], licence) for path in sorted(tokens)}


def _sorted(nouns: Iterable[Noun], location: Callable[[Noun], Location]) -> tuple[Noun, ...]:
    """By location. Two families share headers, so a noun may come twice and stands once; rows of one macro call keep
    their order."""
    return tuple(sorted(dict.fromkeys(nouns), key=location))
