# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading LLVM IR as text: operands, bytes that a type takes in memory, and the source that an instruction comes from.

The text is LLVM's own, written by the version of LLVM that this process has, so that its form is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

NAME = r'(?:[-\w.$]+|"[^"]*")'
_SCALAR_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64, "ptr": 64}
_OPENING, _CLOSING = "([{<", ")]}>"


def split(text: str) -> list[str]:
    """The parts of `text` between commas that stand in no bracket and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]


def closing(text: str, opening: int) -> int:
    """The index of the bracket that closes the one at `opening`."""
    depth, quoted = 0, False
    for position in range(opening, len(text)):
        character = text[position]
        if character == '"':
            quoted = not quoted
        elif not quoted and character in _OPENING:
            depth += 1
        elif not quoted and character in _CLOSING:
            depth -= 1
            if depth == 0:
                return position
    raise ValueError(f"a bracket is not closed: {text[opening:][:80]}")


def leading_type(text: str) -> str:
    """The type that `text` begins with."""
    if text[0] in _OPENING:
        return text[: closing(text, 0) + 1]
    found = re.match(rf"%{NAME}|[\w.]+", text)
    if found is None:
        raise ValueError(f"no type: {text[:80]}")
    return found.group()


_VALUE = re.compile(rf"[%@]{NAME}")
# What may stand between the type of an argument and the argument.
_PARAMETER = re.compile(r"(?:(?:noundef|nonnull|noalias|readonly|writeonly|nofree|align \d+|\w+\([^)]*\)) )*")


def pointer(text: str) -> str:
    """The operand behind the first `ptr` of `text`: a value, a global, or a constant expression."""
    text = text[re.search(r"\bptr ", text).end() :]  # type: ignore[union-attr]
    text = text[_PARAMETER.match(text).end() :]  # type: ignore[union-attr]
    if found := _VALUE.match(text):
        return found.group()
    if "(" in text:
        return text[: closing(text, text.index("(")) + 1]
    return text.split(" ", 1)[0]


class Types:
    """Bytes that loads and stores of a module's types touch."""

    def __init__(self, text: str) -> None:
        self._head = "\n".join(re.findall(rf"^(?:target datalayout = .*|%{NAME} = type .*)$", text, re.M))
        self._sizes: dict[str, int] = {}

    def size(self, type_: str) -> int:
        """Bytes of `type_` in memory, without what follows for alignment behind a scalar or a vector."""
        if type_ not in self._sizes:
            self._sizes[type_] = self._measure(type_)
        return self._sizes[type_]

    def _measure(self, type_: str) -> int:
        if found := re.fullmatch(r"<(\d+) x (\w+)>", type_):
            return -(-int(found[1]) * _scalar_bits(found[2]) // 8)
        if type_[0] not in "[{<%":
            return -(-_scalar_bits(type_) // 8)
        import llvmlite.binding as llvm

        module = llvm.parse_assembly(f"{self._head}\n@one = external global {type_}\n")
        layout = llvm.create_target_data(module.data_layout)
        return int(layout.get_abi_size(module.get_global_variable("one").global_value_type))


def _scalar_bits(type_: str) -> int:
    if type_ in _SCALAR_BITS:
        return _SCALAR_BITS[type_]
    if re.fullmatch(r"i\d+", type_):
        return int(type_[1:])
    raise ValueError(f"a type of unknown size: {type_}")


# ---------------------------------------------------------------------------------------------------------------------
# Places in the source


@dataclass(frozen=True)
class Frame:
    """A place in a source, in the function `function`. `folder` is where `file` is, unless that says it itself."""

    folder: str
    file: str
    line: int
    column: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")


class Locations:
    """The debug locations of a module."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _nodes(self) -> dict[str, tuple[str, str]]:
        found = re.findall(r"^!(\d+) = (?:distinct )?!(DI\w+)\((.*)\)$", self._text, re.M)
        return {number: (kind, fields) for number, kind, fields in found}

    def frames(self, line: str) -> tuple[Frame, ...]:
        """Where the instruction `line` comes from, innermost first: what was inlined, then where it was called."""
        found = re.search(r"!dbg !(\d+)", line)
        node = found[1] if found else None
        frames = []
        while node is not None and node in self._nodes:
            fields = self._nodes[node][1]
            folder, file, function = self._scope(_reference(fields, "scope"))
            frames.append(Frame(folder, file, _number(fields, "line"), _number(fields, "column"), function))
            node = _reference(fields, "inlinedAt")
        return tuple(frames)

    def _scope(self, node: str | None) -> tuple[str, str, str]:
        """(folder, file, function) of a scope: the innermost file, and the name of the function around it."""
        folder = file = ""
        while node is not None and node in self._nodes:
            kind, fields = self._nodes[node]
            file_node = _reference(fields, "file")
            if not file and file_node in self._nodes:
                file_fields = self._nodes[file_node][1]
                folder, file = _string(file_fields, "directory"), _string(file_fields, "filename")
            if kind == "DISubprogram":
                return folder, file, _string(fields, "name")
            node = _reference(fields, "scope")
        return folder, file, ""


def _reference(fields: str, name: str) -> str | None:
    found = re.search(rf"\b{name}: !(\d+)", fields)
    return found[1] if found else None


def _number(fields: str, name: str) -> int:
    found = re.search(rf"\b{name}: (\d+)", fields)
    return int(found[1]) if found else 0


def _string(fields: str, name: str) -> str:
    found = re.search(rf'\b{name}: "([^"]*)"', fields)
    return found[1] if found else ""


def c_string(text: str) -> tuple[int, str]:
    """(bytes, LLVM's spelling) of `text` as a constant array that ends with a zero. Nothing in it looks like a name."""
    data = text.encode() + b"\0"
    spelled = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\@%!{}' else f"\\{byte:02X}" for byte in data
    )
    return len(data), f'c"{spelled}"'
