# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What Metal forbids and C++ allows, and text that is no source at all.

clang reads Metal as C++, so that it does not object to what only Metal forbids. Each rule here names the chapter of the
Metal Shading Language Specification that it enforces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from porter.errors import MetalError
from porter.metal.frontend import SHIM, KernelArgumentDeclaration, KernelDeclaration
from porter.metal.kernel_unit import MAX_BUFFERS, MAX_THREADGROUP_ARGUMENTS
from porter.metal.names import nearest
from porter.metal.patches import _shadow

MAX_SOURCE_BYTES = 16 << 20
"""Ten times what MLX's largest kernel file is with everything it includes."""

MAX_DEPTH = 256
"""How deep brackets may nest: clang's own limit (-fbracket-depth)."""

MAX_EXPRESSION = 2048
"""How many characters may enclose a place without a comma. libclang parses in this process, each prefix costs its stack
a frame, and 4096 of them overflow it (measured with 18.1.1). The most in MLX v0.30.1 and v0.32.1 are 183 characters."""

_GAP = r"(?:\s|\\\n)+"


def check_text(source: str, name: str) -> None:
    """Raises MetalError where `source`, called `name`, cannot be given to a compiler at all."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise MetalError(
            f"the source holds {source[error.start]!r}, which is no character",
            where=_place(source, name, error.start),
            expected="text that UTF-8 can hold",
        ) from error
    if size > MAX_SOURCE_BYTES:
        raise MetalError(f"the source has {size} bytes", where=name, expected=f"at most {MAX_SOURCE_BYTES}")
    if "\0" in source:
        raise MetalError("the source holds a NUL byte", where=_place(source, name, source.index("\0")))
    check_depth(_shadow(source), name)


def check_depth(text: str, name: str) -> None:
    """Raises MetalError where the brackets of `text`, which holds no comments, nest deeper than parsers bear."""
    depth = 0
    for line in _without_strings(text).split("\n"):
        opened = sum(map(line.count, "([{"))
        if depth + opened > MAX_DEPTH and depth + _deepest(line) > MAX_DEPTH:
            raise MetalError("brackets nest too deep", where=name, expected=f"at most {MAX_DEPTH} levels")
        # What is closed and was never opened is clang's to complain of.
        depth = max(0, depth + opened - sum(map(line.count, ")]}")))


def check_expressions(preprocessed: str, name: str) -> None:
    """Raises MetalError where an expression nests deeper, with brackets or without, than parsers bear."""
    check_depth(preprocessed, name)
    for statement in re.finditer(r"[^;}]+", _without_strings(preprocessed)):
        if statement.end() - statement.start() > MAX_EXPRESSION and _enclosing(statement[0]) > MAX_EXPRESSION:
            raise MetalError(
                "an expression is too long",
                where=name,
                expected=f"at most {MAX_EXPRESSION} characters around a place without a comma",
            )


def _without_strings(text: str) -> str:
    return re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)


def _deepest(line: str) -> int:
    depth = deepest = 0
    for one in re.findall(r"[()\[\]{}]", line):
        depth += 1 if one in "([{" else -1
        deepest = max(deepest, depth)
    return deepest


def _enclosing(statement: str) -> int:
    """The most characters that stand between a place and the commas before it, counted at every level of brackets."""
    levels, total, most = [0], 0, 0
    for found in re.finditer(r"^#.*$|[()\[\]{}]|,|[^()\[\]{},\s]+", statement, re.M):
        one = found[0]
        if one[0] == "#":
            continue
        if one in "([{":
            levels.append(0)
        elif one in ")]}" and len(levels) > 1:
            total -= levels.pop()
        if one == ",":
            total -= levels[-1]
            levels[-1] = 0
        else:
            levels[-1] += len(one)
            total += len(one)
        most = max(most, total)
    return most


def check_results(source: str, name: str) -> None:
    """Raises MetalError for the first kernel that returns a value ("Compute Functions (Kernels)")."""
    specifier = rf"(?:\bkernel\b|\[\[[^\[\]]*\bkernel\b[^\[\]]*\]\])(?:{_GAP}|(?<=\]))"
    result = r"(?!\[\[)([A-Za-z_][^;{}()\[\]=]{0,400}?)(?<![\w:])(\w+)\s*\("
    for found in re.finditer(specifier + result, _shadow(source)):
        written = " ".join(found[1].split())
        if "void" not in written.split() and not written.startswith("void"):
            raise MetalError(
                f"kernel {found[2]} returns {written}",
                where=_place(source, name, found.start(1)),
                expected="void, as every kernel does",
            )


def check_kernels(source: str, name: str, kernels: Sequence[KernelDeclaration]) -> None:
    """Raises MetalError for the first argument of `kernels`, those of `source`, that Metal does not allow."""
    shadow = _shadow(source)
    for kernel in kernels:
        for argument in kernel.arguments:
            for what in _wrong_argument(shadow, kernel, argument):
                raise MetalError(
                    f"kernel {kernel.name}: argument {argument.name} {what}",
                    where=_declared(source, name, argument),
                )


@cache
def _attributes() -> frozenset[str]:
    """The attributes of arguments that the shim knows."""
    return frozenset(re.findall(r'^#define [A-Z]\w+ MSL_NOTE\("(\w+)"\)', (SHIM / "msl_keywords").read_text(), re.M))


def _wrong_argument(shadow: str, kernel: KernelDeclaration, argument: KernelArgumentDeclaration) -> Iterator[str]:
    declared = _declaration(shadow, argument)
    is_indirect = "*" in declared or "&" in declared
    if is_indirect and argument.address_space is None:
        # "Address Spaces": an argument that is a pointer or a reference is declared with one.
        yield f"is a pointer or a reference without an address space: {declared} (device, constant or threadgroup)"
    limit = {"buffer": MAX_BUFFERS, "threadgroup": MAX_THREADGROUP_ARGUMENTS}.get(argument.attribute or "")
    if limit is not None and argument.slot is not None:
        # Metal Feature Set Tables, entries in the argument tables.
        if argument.slot >= limit:
            yield f"has [[{argument.attribute}({argument.slot})]]; there are 0 to {limit - 1}"
        for other in kernel.arguments:
            same = (other.attribute, other.slot) == (argument.attribute, argument.slot)
            if other is not argument and same and other.gate is None and argument.gate is None:
                yield f"has [[{argument.attribute}({argument.slot})]], as argument {other.name} has"
    negative = re.search(r"\b(?:buffer|threadgroup)\s*\(\s*-[^()]*\)", declared)
    if negative and argument.slot is None:
        yield f"has [[{negative[0]}]]; there are 0 to {MAX_BUFFERS - 1}"
    if not is_indirect and argument.attribute is None and argument.gate is None:
        written = re.search(r"\[\[\s*(\w+)\s*\]\]", declared)
        if written:
            known = nearest(written[1], _attributes())
            yield f"has [[{written[1]}]], which is no attribute of an argument; expected {known}"


def _declaration(shadow: str, argument: KernelArgumentDeclaration) -> str:
    """One argument's declaration, from its type to behind its attributes; nothing where a macro wrote it."""
    lines = shadow.split("\n")
    if argument.line > len(lines):
        return ""
    column = len(lines[argument.line - 1].encode()[: argument.column - 1].decode(errors="ignore"))
    name = sum(len(line) + 1 for line in lines[: argument.line - 1]) + column
    if not argument.name or not shadow.startswith(argument.name, name):
        return ""
    start, end = _back(shadow, name), _ahead(shadow, name)
    return " ".join(shadow[start:end].split())


def _back(text: str, position: int) -> int:
    depth = 0
    while position > 0:
        one = text[position - 1]
        depth += (one in ")>]") - (one in "(<[")
        if depth < 0 or (depth == 0 and one == ","):
            break
        position -= 1
    return position


def _ahead(text: str, position: int) -> int:
    depth = 0
    while position < len(text):
        one = text[position]
        depth += (one in "([") - (one in ")]")
        if depth < 0 or (depth == 0 and one in ",{;"):
            break
        position += 1
    return position


def _declared(source: str, name: str, argument: KernelArgumentDeclaration) -> str:
    lines = source.split("\n")
    text = lines[argument.line - 1] if argument.line <= len(lines) else ""
    return f"{name}:{argument.line}:{len(text.encode()[: argument.column - 1].decode(errors='ignore')) + 1}"


def _place(source: str, name: str, position: int) -> str:
    line = source.count("\n", 0, position) + 1
    return f"{name}:{line}:{position - source.rfind(chr(10), 0, position)}"


def check_assembly(ir: str, name: str) -> None:
    """Raises MetalError where LLVM IR, from whatever loader, holds assembly: an assembler reads files that it names."""
    if _ASSEMBLY.search(ir):
        raise MetalError("inline assembly is not part of Metal", where=name)


_ASSEMBLY = re.compile(r'^module asm |^\s+(?:%[^=\n]+= )?[a-z ]*call [^"\n]*\basm (?:[a-z]+ )*"', re.M)
