# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rule for function constants, which a family's YAML lowers to template parameters or to macros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from porter.errors import PortError
from porter.model import Edit
from porter.parse.lexer import Token
from porter.port.constants import macro_name
from porter.port.context import Context, KernelExtent, edit
from porter.port.rules.rule import Example, Rule
from porter.spec import Constant

_NAME = "function-constants"


def _function_constants(c: Context) -> Iterator[Edit]:
    declarations = list(_declarations(c))
    for one in declarations:
        yield from _declaration(c, one)
    for gate in _gates(c):
        yield edit(_NAME, *gate, "")
    lowered = [one.constant for one in declarations if one.constant.lower == "template"]
    _check_reads(c, declarations)
    for kernel in c.kernels_here:
        names = [constant.name for constant in lowered if kernel.name in constant.kernels]
        if names:
            yield _parameters(c, kernel, names)


@dataclass(frozen=True)
class _Declaration:
    """`constant bool NAME [[function_constant(7)]];`: where the statement begins and ends, and its attribute."""

    constant: Constant
    start: int
    end: int
    attribute: tuple[int, int]
    is_constexpr: bool


def _declarations(c: Context) -> Iterator[_Declaration]:
    known = {constant.name: constant for constant in c.constants}
    tokens = c.code
    for i, token in enumerate(tokens):
        if token.text != "function_constant" or tokens[i + 2].kind != "number":
            continue
        name, close = tokens[i - 3], c.closing(tokens, i - 2)
        if [t.text for t in tokens[i - 2 : i]] != ["[", "["] or tokens[close + 1].text != ";":
            raise c.fail("a declaration of a function constant that is not understood", token.start, _DECLARED)
        if name.text not in known:
            raise _lowered_nowhere(c, name)
        first = i - 3
        while first and tokens[first - 1].text not in (";", "{", "}") and not _directive_between(c, tokens, first):
            first -= 1
        yield _Declaration(
            known[name.text],
            tokens[first].start,
            tokens[close + 1].end,
            (tokens[i - 2].start, tokens[close].end),
            any("constexpr" in _spelled(c, t) for t in tokens[first : i - 3]),
        )


_DECLARED = "constant TYPE NAME [[function_constant(NUMBER)]];"


def _lowered_nowhere(c: Context, name: Token) -> PortError:
    return PortError(
        f"no family lowers the function constant {name.text}",
        where=c.where(name.start),
        expected=", ".join(constant.name for constant in c.constants) or "a family that owns this file",
        next_step=f"name {name.text} under `constants` in the YAML of the family whose sources.kernels has {c.path}",
    )


def _directive_between(c: Context, tokens: list[Token], i: int) -> bool:
    """Whether a directive stands between token `i` and the one before it: it ends a statement's reach."""
    return any(tokens[i - 1].end <= d.start < tokens[i].start for d in c.directives)


def _spelled(c: Context, token: Token) -> list[str]:
    """The words of a token, or of the macro that it is."""
    return c.macros[token.text].body.split() if token.text in c.macros else [token.text]


def _declaration(c: Context, one: _Declaration) -> Iterator[Edit]:
    if one.constant.lower == "template":
        yield edit(_NAME, *c.line_range(one.start, one.end), "")
        return
    if not one.is_constexpr:
        yield edit(_NAME, one.start, one.start, "constexpr ")
    yield edit(_NAME, *one.attribute, f"= {macro_name(one.constant.name)}")


def _gates(c: Context) -> Iterator[tuple[int, int]]:
    """Where `, function_constant(NAME)` stands among the attributes of an argument."""
    known = [constant.name for constant in c.constants]
    tokens = c.code
    for i, token in enumerate(tokens):
        if token.text != "function_constant" or tokens[i + 2].kind == "number":
            continue
        if tokens[i + 2].text not in known:
            raise _lowered_nowhere(c, tokens[i + 2])
        before, after = tokens[i - 1], tokens[i + 4]
        if before.text == ",":
            yield before.start, tokens[i + 3].end
        elif after.text == ",":
            yield token.start, after.end
        else:
            yield tokens[i - 2].start, tokens[i + 5].end


def _check_reads(c: Context, declarations: list[_Declaration]) -> None:
    """A kernel that reads a constant is one that the YAML names for it. A constant that becomes a template parameter is
    read in kernels only, and by each that gets it. Raises PortError that says what to write in the YAML."""
    readers: dict[str, set[str]] = {one.constant.name: set() for one in declarations}
    for constant, token in _reads(c, declarations):
        kernel = next((one for one in c.kernels_here if one.start <= token.start < one.end), None)
        if constant.lower == "template" and (kernel is None or token.directive):
            raise _refused(c, f"function constant {token.text} is read outside of a kernel", token.start, _DEFINE)
        if kernel is not None and kernel.name not in constant.kernels:
            expected = f"{kernel.name} among `kernels` of {token.text}"
            raise _refused(c, f"kernel {kernel.name} reads the function constant {token.text}", token.start, expected)
        readers[constant.name].add(kernel.name if kernel else "")
    for constant in (one.constant for one in declarations if one.constant.lower == "template"):
        for kernel in c.kernels_here:
            if kernel.name in constant.kernels and kernel.name not in readers[constant.name]:
                raise _refused(
                    c,
                    f"kernel {kernel.name} does not read the function constant {constant.name}",
                    kernel.start,
                    f"`kernels` of {constant.name} without {kernel.name}",
                )


def _reads(c: Context, declarations: list[_Declaration]) -> Iterator[tuple[Constant, Token]]:
    """Every mention of a constant but for its declaration and members of the same name; gates too."""
    constants = {one.constant.name: one.constant for one in declarations}
    previous: Token | None = None
    for token in c.tokens:
        is_member = previous is not None and previous.text in (".", "->", "::")
        is_declared = any(one.start <= token.start < one.end for one in declarations)
        if token.text in constants and not is_member and not is_declared:
            yield constants[token.text], token
        previous = token


_DEFINE = "`lower: define`, without a suffix"


def _refused(c: Context, what: str, offset: int, expected: str) -> PortError:
    return PortError(
        what,
        where=c.where(offset),
        expected=expected,
        next_step=f"write so in the YAML of the family that owns {c.path}",
    )


def _parameters(c: Context, kernel: KernelExtent, names: list[str]) -> Edit:
    if kernel.parameters_end is None:
        what = f"kernel {kernel.name} is no template, so {', '.join(names)} cannot become its parameter"
        raise _refused(c, what, kernel.start, _DEFINE)
    last = kernel.parameters_end
    added = "".join(f",\n    bool {name}" for name in names)
    return edit(_NAME, last.start, last.end, f"{last.text[:-1]}{added}>")


RULES = (
    Rule(
        _NAME,
        "PyTorch's MetalShaderLibrary cannot set function constants, so they become template parameters or macros.",
        _function_constants,
        Example(
            "constant bool flag [[function_constant(7)]];\ntemplate <typename T>\n"
            "[[kernel]] void k(device T* a [[buffer(0), function_constant(flag)]]) {\n  if (flag) {\n  }\n}\n",
            "template <typename T,\n    bool flag>\n"
            "[[kernel]] void k(device T* a [[buffer(0)]]) {\n  if (flag) {\n  }\n}\n",
        ),
    ),
)
