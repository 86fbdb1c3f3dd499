# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metadata nodes of an LLVM module, read from its text (llvmlite gives no other way in)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Union

# A string, a number, a global (`@name`) or a reference to another node (`!12`).
Operand = Union[str, int, "Reference", None]

_NAMED = re.compile(r"^!([A-Za-z_.][\w.]*) = !\{(.*)\}$")
_NODE = re.compile(r"^!(\d+) = (?:distinct )?!\{(.*)\}$")
_OPERAND = re.compile(
    r'\s*(?:!"((?:[^"\\]|\\.)*)"|!(\d+)|(null)|(?:ptr(?: addrspace\(\d+\))? )@("(?:[^"\\]|\\.)*"|[\w.$-]+)'
    r"|i\d+ (-?\d+|true|false)|([^,\[\]]*(?:\[[^\]]*\][^,\[\]]*)*))\s*(?:,|$)"
)


class Reference(int):
    """The number of another node."""


class Metadata:
    """The nodes of one module. Nodes that are no plain `!{...}` list (debug information) are left out."""

    def __init__(self, text: str) -> None:
        self._named: dict[str, str] = {}
        self._nodes: dict[int, str] = {}
        for line in text.splitlines():
            if line.startswith("!"):
                if node := _NODE.match(line):
                    self._nodes[int(node[1])] = node[2]
                elif named := _NAMED.match(line):
                    self._named[named[1]] = named[2]

    def named(self, name: str) -> list[list[Operand]]:
        """The nodes that `!name = !{...}` lists, or none."""
        operands = _operands(self._named.get(name, ""))
        return [self.node(operand) for operand in operands]

    def node(self, reference: Operand) -> list[Operand]:
        """The operands of a node. Raises TypeError for what is no reference, KeyError for a node that is missing."""
        if not isinstance(reference, Reference):
            raise TypeError(f"not a metadata node: {reference!r}")
        return list(_operands(self._nodes[int(reference)]))


@lru_cache(maxsize=4096)
def _operands(body: str) -> tuple[Operand, ...]:
    out: list[Operand] = []
    at = 0
    while at < len(body):
        match = _OPERAND.match(body, at)
        if match is None or match.end() == at:
            raise ValueError(f"not a list of metadata operands: {body[at : at + 60]!r}")
        out.append(_operand(match))
        at = match.end()
    return tuple(out)


def _operand(match: re.Match[str]) -> Operand:
    string, reference, null, symbol, number, other = match.groups()
    if string is not None:
        return re.sub(r"\\([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), string)
    if reference is not None:
        return Reference(reference)
    if null is not None:
        return None
    if symbol is not None:
        return "@" + symbol.strip('"')
    if number is not None:
        return {"true": 1, "false": 0}[number] if number in ("true", "false") else int(number)
    return str(other).strip()
