# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metadata nodes of an LLVM module, read from its text (llvmlite gives no other way in)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Union

# A string, a number, a global (`@name`) or a reference to another node (`!12`). What is none of these is text.
Operand = Union[str, int, "Reference", None]

_NAMED = re.compile(r"!([A-Za-z_.$-][\w.$\\-]*) = !\{(.*)\}$")
_NODE = re.compile(r"!(\d+) = (?:distinct )?!\{(.*)\}$")
# LLVM writes a quote, a backslash and what cannot be printed as \XX, so a quote always ends a string.
_STRING = re.compile(r'!"([^"]*)"$')
_REFERENCE = re.compile(r"!(\d+)$")
_SYMBOL = re.compile(r'ptr (?:addrspace\(\d+\) )?@("[^"]*"|[\w.$-]+)$')
_NUMBER = re.compile(r"i\d+ (-?\d+|true|false)$")
_PUNCTUATION = re.compile(r'"[^"]*"|[\[\](){}<>,]')
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})")
# Python refuses to read longer numbers; LLVM's integers go up to 2^23 bits.
_LONGEST_NUMBER = 40


class Reference(int):
    """The number of another node."""


class Metadata:
    """The nodes of one module. Nodes that are no plain `!{...}` list (debug information) are left out."""

    def __init__(self, text: str) -> None:
        self._named: dict[str, str] = {}
        self._nodes: dict[int, str] = {}
        for line in text.split("\n"):
            if line.startswith("!"):
                if node := _NODE.match(line):
                    self._nodes[int(node[1])] = node[2]
                elif named := _NAMED.match(line):
                    self._named[named[1]] = named[2]

    def names(self) -> tuple[str, ...]:
        return tuple(self._named)

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
    """The parts of `body` between the commas that stand in no bracket and no string."""
    out: list[Operand] = []
    depth = start = 0
    for found in _PUNCTUATION.finditer(body):
        mark = found[0]
        if mark in "[({<":
            depth += 1
        elif mark in "])}>":
            depth -= 1
        elif mark == "," and depth == 0:
            out.append(_operand(body[start : found.start()].strip()))
            start = found.end()
    if start or body.strip():
        out.append(_operand(body[start:].strip()))
    return tuple(out)


def _operand(text: str) -> Operand:
    if string := _STRING.match(text):
        return unescaped(string[1])
    if reference := _REFERENCE.match(text):
        return Reference(reference[1])
    if text == "null":
        return None
    if symbol := _SYMBOL.match(text):
        return "@" + unescaped(symbol[1].strip('"'))
    if number := _NUMBER.match(text):
        if len(number[1]) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(number[1])} digits")
        return {"true": 1, "false": 0}[number[1]] if number[1] in ("true", "false") else int(number[1])
    return text


def unescaped(text: str) -> str:
    r"""`text` with LLVM's `\XX` as the bytes of UTF-8 that they stand for."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode()).decode("utf-8", "replace")
