# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every loop of every function of one side, with the pragma that stands before it.

libclang shows neither `#pragma clang loop` nor `_Pragma`, so both are taken from the preprocessor's output, where they
look alike, and matched to functions by the extents that libclang gives for that same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from porter.metal.frontend import VIRTUAL_ROOT, parse
from porter.prove.sides import Side

_FUNCTIONS = ("FUNCTION_DECL", "FUNCTION_TEMPLATE", "CXX_METHOD", "CONSTRUCTOR", "DESTRUCTOR", "CONVERSION_FUNCTION")
_SCOPES = ("NAMESPACE", "STRUCT_DECL", "CLASS_DECL", "CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION")
_FILE = "side.h"
_PIECE = re.compile(r'^[ \t]*#[ \t]*pragma[ \t]+([^\n]*)|"(?:[^"\\\n]|\\.)*"|\b(for|while|do)\b|([{}])|(\S)', re.M)


@dataclass(frozen=True)
class Loop:
    """One loop: its keyword, how many braces of its function it stands in, and the pragma before it (or '')."""

    keyword: str
    depth: int
    pragma: str

    def __str__(self) -> str:
        return f"{self.keyword} at depth {self.depth} with {f'pragma {self.pragma}' if self.pragma else 'no pragma'}"


def loops_by_function(side: Side, paths: Iterable[str], rename: Callable[[str], str]) -> dict[str, list[Loop]]:
    """Function -> its loops in order. Functions are called by scope, name and, where those are several, a number."""
    text = side.preprocessed(paths)
    found: dict[str, list[Loop]] = {}
    for name, start, end in _functions(text):
        renamed = rename(name).replace(" ", "")
        number = 1
        while (key := renamed if number == 1 else f"{renamed} ({number})") in found:
            number += 1
        found[key] = list(loops_of(text[start:end]))
    return found


def loops_of(body: str) -> Iterator[Loop]:
    """The loops of one function's text, from its first to its last token."""
    depth, pragma, closes_do = 0, "", False
    for piece in _PIECE.finditer(body):
        if piece[1] is not None:
            pragma = " ".join(piece[1].split())
            continue
        if piece[2]:
            if not (piece[2] == "while" and closes_do):
                yield Loop(piece[2], depth, pragma)
        elif piece[3]:
            depth += 1 if piece[3] == "{" else -1
        pragma, closes_do = "", piece[3] == "}" and _opened_by_do(body, piece.start())


def _opened_by_do(body: str, close: int) -> bool:
    """Whether the brace that closes at `close` was opened by `do {`."""
    depth, at = 0, close
    while at >= 0:
        depth += (body[at] == "}") - (body[at] == "{")
        if depth == 0:
            return re.search(r"\bdo\s*$", body[:at]) is not None
        at -= 1
    return False


def _functions(text: str) -> list[tuple[str, int, int]]:
    """(scope and name, start, end in characters) of every function with a body, in the order of the text."""
    encoded = text.encode()
    unit = parse(f'#include "{_FILE}"\n', {_FILE: text})
    found: list[tuple[str, int, int]] = []

    def walk(cursor: Any, scope: tuple[str, ...]) -> None:
        for child in cursor.get_children():
            kind, file = child.kind.name, child.location.file
            if kind in _SCOPES:
                walk(child, (*scope, child.spelling))
            elif kind in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
                walk(child, scope)
            elif (
                kind in _FUNCTIONS and file is not None and file.name == f"{VIRTUAL_ROOT}/{_FILE}" and _has_body(child)
            ):
                start, end = (len(encoded[: at.offset].decode()) for at in (child.extent.start, child.extent.end))
                found.append(("::".join((*scope, child.spelling)), start, end))

    walk(unit.cursor, ())
    return sorted(found, key=lambda row: row[1])


def _has_body(cursor: Any) -> bool:
    return any(child.kind.name == "COMPOUND_STMT" for child in cursor.get_children())
