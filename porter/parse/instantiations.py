# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The instantiation table of an upstream `.metal` file: host name -> kernel and template arguments.

libclang does not show explicit instantiations. So each

    template [[host_name("name")]] [[kernel]] declaration;

of the text, be it in a macro's body or not, becomes a call of `ROW`, of the same length. That macro instantiates too,
so that the compiler still refuses a specialisation that does not exist, and leaves a variable whose attributes hold the
host name and the declaration, as upstream's own macros have put them together. The place of the variable is that of the
outermost macro call.

A kernel without template parameters is its own row: Metal takes the function's name for the host name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from porter.errors import MetalError, ParseError
from porter.metal import frontend
from porter.metal.instantiations import named_by
from porter.model import Instantiation, KernelTemplate, Location
from porter.parse.lexer import Token, significant, tokenize

ROW = "STEELROW_"
_REPLACED = "host_name"  # is as long as ROW
_VARIABLE = "steel_port_row_"

PROLOGUE = f"""
#define {ROW}PASTE_(a, b) a##b
#define {ROW}PASTE(a, b) {ROW}PASTE_(a, b)
#define {ROW}(name, ...) \\
  template __VA_ARGS__; \\
  [[clang::annotate("host name=" name), clang::annotate("declaration=" #__VA_ARGS__)]] \\
  constexpr int {ROW}PASTE({_VARIABLE}, __COUNTER__) = 0;
"""
"""What has to stand in front of the text that `with_rows` gives."""

# ---------------------------------------------------------------------------------------------------------------------
# The text


def with_rows(path: str, text: str) -> str:
    """`text` with every explicit instantiation that has a host name as a call of `ROW`; no length changes.

    Raises ParseError (file:line) for a host name that stands elsewhere, or in another form.
    """
    if _REPLACED not in text:
        return text
    words, out = significant(tokenize(text)), list(text)
    for at, word in enumerate(words):
        if word.text == _REPLACED and _texts(words, at - 2, at) == ["[", "["]:
            _rewrite(path, words, at, out)
    return "".join(out)


def _rewrite(path: str, words: list[Token], at: int, out: list[str]) -> None:
    """The instantiation whose `host_name` is `words[at]`."""
    name = words[at]
    close = _closing(words, at + 1)
    behind = close + 1
    if (
        words[at - 3].text != "template"
        or words[behind - 1].text != ")"
        or _texts(words, behind, behind + 2) != 2 * ["]"]
    ):
        raise ParseError(
            "a host name in a form that the table's reader does not understand",
            where=f"{path}:{name.line}",
            expected='template [[host_name("name")]] [[kernel]] declaration;',
            next_step="teach porter/parse/instantiations.py this form",
        )
    gone = [*words[at - 3 : at], *words[behind : behind + 2]]
    behind += 2
    if _texts(words, behind, behind + 5) == ["[", "[", "kernel", "]", "]"]:
        gone += words[behind : behind + 5]
    elif _texts(words, behind, behind + 1) == ["kernel"]:
        gone.append(words[behind])
    end = next((word for word in words[behind:] if word.text == ";"), None)
    if end is None:
        raise ParseError("the instantiation does not end", where=f"{path}:{name.line}", expected="';'")
    for word in gone:
        out[word.start : word.end] = " " * (word.end - word.start)
    out[name.start : name.end] = ROW
    out[words[close].start] = ","
    out[end.start] = ")"


def _texts(words: list[Token], start: int, end: int) -> list[str]:
    return [word.text for word in words[max(0, start) : end]]


def _closing(words: list[Token], opening: int) -> int:
    """Where the parenthesis at `opening` closes; the last word if it does not, or if none stands there."""
    depth = 0
    for at in range(opening, len(words)):
        depth += {"(": 1, ")": -1}.get(words[at].text, 0)
        if depth == 0:
            return at
    return len(words) - 1


# ---------------------------------------------------------------------------------------------------------------------
# The rows


def table_rows(
    unit: Any, kernels: Sequence[KernelTemplate], family: str, owned: Collection[str]
) -> tuple[Instantiation, ...]:
    """The rows of a unit whose texts are those of `with_rows`, in the order they are made, then one for each plain
    kernel of the files `owned`. `kernels` are those that the unit declares.

    Raises ParseError for a row that instantiates none of them.
    """
    by_name = {kernel.name: kernel for kernel in kernels}
    rows = [_row(variable, by_name, family) for variable in _variables(unit.cursor)]
    plain = [kernel for kernel in kernels if not kernel.parameters and kernel.location.file in owned]
    return (*rows, *(Instantiation(one.name, one.name, (), one.location, family) for one in plain))


def _variables(cursor: Any) -> Iterator[Any]:
    for child in cursor.get_children():
        if child.kind.name == "VAR_DECL" and child.spelling.startswith(_VARIABLE):
            yield child
        elif child.kind.name in ("NAMESPACE", "LINKAGE_SPEC") and _is_ours(child):
            yield from _variables(child)


def _is_ours(cursor: Any) -> bool:
    file = cursor.location.file
    return file is not None and file.name.startswith(frontend.VIRTUAL_ROOT + "/")


def _row(variable: Any, kernels: Mapping[str, KernelTemplate], family: str) -> Instantiation:
    notes = {}
    for child in variable.get_children():
        if child.kind.name == "ANNOTATE_ATTR" and "=" in child.spelling:
            key, _, value = child.spelling.partition("=")
            notes[key] = value
    place = variable.location
    origin = Location(frontend.relative_path(place.file.name), place.line, place.column)
    try:
        callee, arguments = named_by(notes["declaration"])
    except (MetalError, ValueError) as error:
        raise ParseError(f"an instantiation that is not understood: {error}", where=str(origin)) from error
    written, bracket, inside = callee.partition("<")
    name = written.strip().rpartition("::")[2]
    if name not in kernels:
        raise ParseError(f"{notes['host name']} instantiates {callee}, which is no kernel", where=str(origin))
    given = split_arguments(inside.strip().removesuffix(">")) if bracket else ()
    if not bracket and kernels[name].parameters:
        given = deduced_arguments(kernels[name], arguments or "", str(origin))
    return Instantiation(notes["host name"], name, given, origin, family)


def split_arguments(text: str) -> tuple[str, ...]:
    """`half, vec<int, 2>, true` as its three arguments."""
    arguments, depth = [""], 0
    for token in tokenize(text):
        depth += {"(": 1, "<": 1, "[": 1, "{": 1, ")": -1, ">": -1, ">>": -2, "]": -1, "}": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += token.text
    return tuple(argument.strip() for argument in arguments if argument.strip())


def normalised(argument: str) -> str:
    """A template argument with spaces only where they part two words, so that spellings can be compared."""
    return re.sub(r"(?<!\w) | (?!\w)", "", " ".join(argument.split()))


# ---------------------------------------------------------------------------------------------------------------------
# Template arguments that only the types of a function's arguments say

_QUALIFIERS = frozenset(("const", "volatile", "device", "constant", "threadgroup", "thread", "*", "&"))


def deduced_arguments(kernel: KernelTemplate, arguments: str, where: str) -> tuple[str, ...]:
    """The template arguments of `template void f(const device float* x, ...)`, as a compiler deduces them.

    Trailing parameters with a default that no type names are left out. Raises ParseError where one without is.
    """
    found: dict[str, str] = {}
    names = {parameter.name for parameter in kernel.parameters}
    for mine, given in zip(kernel.arguments, split_arguments(arguments), strict=False):
        match = re.fullmatch(_pattern(mine.type, names), _type_of(given))
        for name, text in (match.groupdict() if match else {}).items():
            found.setdefault(name, text)
    out = []
    for parameter in kernel.parameters:
        if parameter.name not in found:
            if parameter.default is None:
                what = f"{kernel.name} is instantiated by types that do not say its template argument {parameter.name}"
                raise ParseError(what, where=where)
            break
        out.append(found[parameter.name])
    return tuple(out)


def _type_of(argument: str) -> str:
    """`MLXConvParams<2>` of `const constant MLXConvParams<2>* params [[buffer(2)]]`."""
    words = [token.text for token in significant(tokenize(re.sub(r"\[\[.*?\]\]", "", argument)))]
    kept = [word for word in words if word not in _QUALIFIERS]
    named = len(kept) > 1 and re.fullmatch(r"\w+", kept[-1]) and kept[-2] != "::"
    return normalised(" ".join(kept[:-1] if named else kept))


def _pattern(declared: str, names: set[str]) -> str:
    """A regular expression for `declared` with each template parameter as a group of its name."""
    out, seen = "", set()
    for token in tokenize(normalised(declared)):
        if token.text not in names:
            out += re.escape(token.text)
        elif token.text in seen:
            out += f"(?P={token.text})"
        else:
            seen.add(token.text)
            out += f"(?P<{token.text}>.+?)"
    return out
