# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the IR does not show of functions: their loops' pragmas, address spaces, attributes and `const`.

libclang shows neither `#pragma clang loop` nor `_Pragma`, so both are taken from the preprocessor's output, where they
look alike, and matched to functions by the extents that libclang gives for that same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from porter.metal.frontend import SHIM, VIRTUAL_ROOT, parse
from porter.prove.sides import Side
from porter.spec import Family

_FUNCTIONS = ("FUNCTION_DECL", "FUNCTION_TEMPLATE", "CXX_METHOD", "CONSTRUCTOR", "DESTRUCTOR", "CONVERSION_FUNCTION")
_SCOPES = ("NAMESPACE", "STRUCT_DECL", "CLASS_DECL", "CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION")
_FILE = "side.h"
_SPACES = re.compile(r'"(?:[^"\\\n]|\\.)*"|\b(device|threadgroup|constant|thread)\b(?!\s*\()')
# An attribute that no kernel has (of a method's argument) means nothing to a compiler, and `const` little: a port keeps
# both all the same. Gates go with their constants.
_MARKS = re.compile(r'"(?:[^"\\\n]|\\.)*"|(\[\[(?:[^\[\]]|\[[^\[\]]*\])*\]\]|\bconst\b)')
_GATE = re.compile(r",?function_constant\([^()]*\),?")
_FUNCTION_CONSTANT = re.compile(r"[^;{}]*\[\[\s*function_constant\s*\(\s*\d+\s*\)\s*\]\]\s*;")
# After the preprocessor, what MLX writes as a macro stands before the address space, where the shim's patch of
# function constants does not look for it.
_CONSTANT_EXPRESSION = re.compile(r"\bstatic\s+constant\s+constexpr\s+const\b(?=[^;{}]*\[\[\s*function_constant\s*\()")
_INSTANTIATION = re.compile(r"\btemplate\s*\[\[\s*host_name\b[^;]*;")
_PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+([^\n]*)", re.M)
_PIECE = re.compile(r'^[ \t]*#[ \t]*pragma[ \t]+([^\n]*)|"(?:[^"\\\n]|\\.)*"|\b(for|while|do)\b|([{}])|(\S)', re.M)


@dataclass(frozen=True)
class Loop:
    """One loop: its keyword, how many braces of its function it stands in, and the pragma before it (or '')."""

    keyword: str
    depth: int
    pragma: str

    def __str__(self) -> str:
        return f"{self.keyword} at depth {self.depth} with {f'pragma {self.pragma}' if self.pragma else 'no pragma'}"


@dataclass(frozen=True)
class Shape:
    """One function: its loops, and the address spaces, attributes and `const` of its signature and body, in order."""

    loops: tuple[Loop, ...]
    spaces: tuple[str, ...]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shapes:
    """Every function of one side; the address spaces named outside of functions (fields, constants); all pragmas."""

    functions: Mapping[str, Shape]
    outside: tuple[str, ...]
    pragmas: tuple[str, ...]

    @property
    def loops(self) -> list[Loop]:
        return [loop for shape in self.functions.values() for loop in shape.loops]


def shapes(side: Side, family: Family, rename: Callable[[str], str]) -> Shapes:
    """Functions are called by scope, name and, where several are called so, a number."""
    text = side.preprocessed
    found: dict[str, Shape] = {}
    outside, position = [], 0
    for name, start, end in _functions(text, side.foreign):
        renamed = rename(name).replace(" ", "")
        number = 1
        while (key := renamed if number == 1 else f"{renamed} ({number})") in found:
            number += 1
        body = text[start:end]
        found[key] = Shape(tuple(loops_of(body)), spaces_of(body), marks_of(body))
        outside.append(text[position:start])
        position = max(position, end)
    rest = _declarations("".join([*outside, text[position:]]), family)
    # `clang diagnostic` decides which warnings are printed, never what code is made.
    pragmas = tuple(
        p for p in (" ".join(found.split()) for found in _PRAGMA.findall(text)) if not p.startswith("clang diagnostic")
    )
    return Shapes(found, spaces_of(rest), pragmas)


def _declarations(text: str, family: Family) -> str:
    """What stands outside of functions, without what the port has elsewhere by decision: a function constant is a
    template parameter or has a macro's value, and explicit instantiations stand in the table."""
    names = "|".join(constant.name for constant in family.constants)
    lowered = re.compile(rf"[^;{{}}]*\bconstant\b[^;{{}}]*\b(?:{names})\s*=\s*\w+\s*;") if names else None
    for pattern in (_FUNCTION_CONSTANT, _INSTANTIATION, lowered):
        text = pattern.sub(";", text) if pattern is not None else text
    return text


def spaces_of(text: str) -> tuple[str, ...]:
    """The address spaces that `text` names, in order."""
    return tuple(word for word in _SPACES.findall(text) if word)


def marks_of(text: str) -> tuple[str, ...]:
    """The attributes of `text`, without gates, and every `const`, in order."""
    marks = (_GATE.sub("", "".join(mark.split())) for mark in _MARKS.findall(text) if mark)
    return tuple(mark for mark in marks if mark != "[[]]")


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


def _functions(text: str, foreign: Iterable[str]) -> list[tuple[str, int, int]]:
    """(scope and name, start, end in characters) of every function with a body, in the order of the text."""
    text = _CONSTANT_EXPRESSION.sub(lambda found: "constant".ljust(len(found[0])), text)
    encoded = text.encode()
    before = "".join(f"#include <{path}>\n" for path in foreign if (SHIM / path).is_file())
    unit = parse(f'{before}#include "{_FILE}"\n', {_FILE: text})
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
