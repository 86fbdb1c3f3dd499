# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which rules of the port edit a function: what to look at when its code is not upstream's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from porter.metal.frontend import parse, relative_path
from porter.prove.case import Case
from porter.prove.sides import Side, upstream_side
from porter.prove.symbols import simple_name

if TYPE_CHECKING:
    import clang.cindex

_FUNCTIONS = ("FUNCTION_DECL", "FUNCTION_TEMPLATE", "CXX_METHOD", "CONSTRUCTOR", "CONVERSION_FUNCTION")
_SCOPES = ("NAMESPACE", "STRUCT_DECL", "CLASS_DECL", "CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION")


def blamer(case: Case) -> Callable[[Iterable[str]], str]:
    """A function from symbols of upstream's IR to a phrase that names the rules that edit them. Works when called."""

    def blame(symbols: Iterable[str]) -> str:
        from porter.port import port

        wanted = {simple_name(symbol) for symbol in symbols}
        ported = port(case.corpus, case.sources, case.families, case.target)
        edits = {file.source: file.edits for file in ported.files}
        rules: dict[str, None] = {}
        for name, path, start, end in _extents(upstream_side(case)):
            if name in wanted:
                inside = (edit.rule for edit in edits.get(path, ()) if start <= edit.start and edit.end <= end)
                rules.update(dict.fromkeys(inside))
        return f"; rules that edit there: {', '.join(rules)}" if rules else "; no rule edits there"

    return blame


def _extents(side: Side) -> Iterator[tuple[str, str, int, int]]:
    """(name, file, start, end in characters) of every function with a body in the files that the family needs."""
    files = side.files
    unit = parse(side.main, files)

    def walk(cursor: clang.cindex.Cursor, scope: tuple[str, ...]) -> Iterator[tuple[str, str, int, int]]:
        for child in cursor.get_children():
            kind, file = child.kind.name, child.location.file
            if kind in _SCOPES or kind in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
                yield from walk(child, (*scope, child.spelling) if kind in _SCOPES else scope)
            elif kind in _FUNCTIONS and file is not None and child.is_definition():
                try:
                    path = relative_path(file.name)
                except ValueError:  # the shim's own
                    continue
                if path in files:
                    text = files[path].encode()
                    start, end = (len(text[: at.offset].decode()) for at in (child.extent.start, child.extent.end))
                    name = child.spelling.split("<")[0]
                    yield "::".join((*scope, name)[-2:]), path, start, end

    yield from walk(unit.cursor, ())
