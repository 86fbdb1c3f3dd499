# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Explicit instantiations of kernel templates in preprocessed text, and which kernel each is of.

They often come from macros, so they are looked for after preprocessing. The forms that MLX and PyTorch write:

    template [[host_name("f_f32")]] [[kernel]] decltype(f<float>) f<float>;
    template [[host_name("f_f32")]] kernel void ns::f<float>(device float* x [[buffer(0)]], ...);
    template [[host_name("f_f32")]] [[kernel]] void f(device float* x, ...);
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from porter.errors import MetalError
from porter.metal.frontend import KernelDeclaration

# What `MSL_IHOST(...)` is defined as for the preprocessing that this module reads.
MARKER = "MSL_INSTANTIATION"

_HEAD = re.compile(rf"\btemplate\s+{MARKER}\s*\(((?:\s*\"[^\"]*\")+)\s*\)")
# What opens and closes scopes, and literals, in which brackets mean nothing.
_BRACKETS = re.compile(
    r"[{}]|\bnamespace\s+(?:\[\[[^\]]*\]\]\s*)?((?:\w+\s*::\s*)*\w*)\s*\{"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)'"
)

# Template arguments that are no types, and types. Of other names the text does not say which they are.
_VALUE = re.compile(r"-?\d.*|true|false")
_TYPE = re.compile(r"(?:metal::)?(?:bool|half|bfloat|float|size_t|u?(?:char|short|int|long)|u?int\d+_t)[234]?")


@dataclass(frozen=True)
class Instantiation:
    """One instantiation: its place in the text, its host name, what it names in C++ (`ns::f<float, 64>`; without
    template arguments where the types of the function's arguments say them), those types where they are written, and
    the namespace that it stands in (`a::b`, or nothing)."""

    start: int
    end: int
    host_name: str
    callee: str
    arguments: str | None
    scope: str


def instantiations(preprocessed: str) -> list[Instantiation]:
    """Every instantiation with a host name, in order. Raises MetalError where one is not understood."""
    found = []
    scopes = _Scopes(preprocessed)
    for head in _HEAD.finditer(preprocessed):
        name = "".join(re.findall(r'"([^"]*)"', head.group(1)))
        end = preprocessed.index(";", head.end())
        callee, arguments = named_by(preprocessed[head.end() : end])
        found.append(Instantiation(head.start(), end + 1, name, callee, arguments, scopes.at(head.start())))
    return found


def kernel_of(found: Instantiation, kernels: Sequence[KernelDeclaration]) -> KernelDeclaration:
    """The kernel template that is instantiated, looked up as C++ does: from its namespace outwards.

    Raises MetalError where there is none, and where a `using namespace` would be needed to tell several apart.
    """
    written = found.callee.split("<", 1)[0].replace(" ", "")
    candidates = [kernel for kernel in kernels if kernel.name == written.rsplit("::", 1)[-1]]
    scope = [] if written.startswith("::") else [part for part in found.scope.split("::") if part]
    for depth in range(len(scope), -1, -1):
        wanted = "::".join([*scope[:depth], written.removeprefix("::")])
        exact = [kernel for kernel in candidates if visible_name(kernel) == wanted]
        if exact:
            candidates = exact
            break
    if len(candidates) > 1:
        candidates = [kernel for kernel in candidates if _may_be(found, kernel)] or candidates
    if len(candidates) == 1:  # also one that a using directive shows
        return candidates[0]
    if not candidates:
        raise MetalError(f"{found.host_name} instantiates {found.callee}, which is no kernel of this source")
    listed = ", ".join(f"{kernel.qualified_name} ({kernel.file}:{kernel.line})" for kernel in candidates)
    raise MetalError(f"{found.host_name} instantiates {found.callee}, which may be several kernels: {listed}")


def _may_be(found: Instantiation, kernel: KernelDeclaration) -> bool:
    """Whether an overload takes as many arguments, and template arguments of these kinds."""
    if found.arguments is not None and len(_split(found.arguments)) != len(kernel.arguments):
        return False
    if "<" not in found.callee:
        return True
    given = _split(found.callee[found.callee.index("<") + 1 : -1])
    required = sum(parameter.default is None for parameter in kernel.parameters)
    kinds = zip(given, kernel.parameters, strict=False)
    return required <= len(given) <= len(kernel.parameters) and not any(
        (_VALUE if parameter.kind == "typename" else _TYPE).fullmatch(argument) for argument, parameter in kinds
    )


def visible_name(kernel: KernelDeclaration) -> str:
    """Its qualified name without unnamed namespaces."""
    return "::".join(part for part in kernel.qualified_name.split("::") if part and not part.startswith("("))


class _Scopes:
    """Which namespace a place of the text stands in. Places are asked for in order."""

    def __init__(self, text: str) -> None:
        self._brackets = _BRACKETS.finditer(text)
        self._open: list[str | None] = []
        self._next: re.Match[str] | None = next(self._brackets, None)

    def at(self, position: int) -> str:
        while self._next is not None and self._next.start() < position:
            word = self._next.group()
            if word.startswith("namespace"):
                self._open.append("".join(self._next.group(1).split()))
            elif word == "{":
                self._open.append(None)
            elif word == "}" and self._open:
                self._open.pop()
            self._next = next(self._brackets, None)
        return "::".join(name for name in self._open if name)


def named_by(declaration: str) -> tuple[str, str | None]:
    """`f<float>` of `decltype(f<float>) f<float>` or of `void f<float>(float* x, ...)`, and `float* x, ...` of that."""
    text = re.sub(r"^#.*$", "", declaration, flags=re.M)
    text = re.sub(r"\[\[.*?\]\]|__attribute__\s*\(\(\s*always_inline\s*\)\)", "", text, flags=re.S)
    text = re.sub(r"\s*::\s*", "::", " ".join(text.split()))
    if text.startswith("decltype"):
        text = text[_closing(text, text.index("("), "()") + 1 :].strip()
    else:
        text = re.sub(r"^(?:inline |static )*void\b", "", text).strip()
    brackets = [text.find("<"), text.find("(")]
    end = len(text)
    if brackets[0] >= 0 and (brackets[1] < 0 or brackets[0] < brackets[1]):
        end = _closing(text, brackets[0], "<>") + 1
    elif brackets[1] >= 0:
        end = brackets[1]
    callee, rest = text[:end].strip(), text[end:].strip()
    return callee, rest[1 : _closing(rest, 0, "()")] if rest.startswith("(") else None


def _split(arguments: str) -> list[str]:
    """The parts of a list, which commas outside of brackets separate."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "(<[{") - (character in ")>]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts] if arguments.strip() else []


def _closing(text: str, opening: int, pair: str) -> int:
    """Where the bracket at `opening` closes. Angle brackets inside parentheses are operators."""
    depth, inner = 0, 0
    for position in range(opening, len(text)):
        character = text[position]
        if pair == "<>" and character in "()":
            inner += 1 if character == "(" else -1
        elif inner == 0 and character in pair:
            depth += 1 if character == pair[0] else -1
            if depth == 0:
                return position
    raise MetalError(f"an instantiation does not close its bracket: {text[:80]}")
