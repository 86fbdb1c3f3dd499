# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rule that takes upstream's instantiations out of a file: the emitted tables make them.

A `.metal` file holds bodies and the macros that instantiate them; what is ported of it is the bodies. Nothing here
knows a file or a macro by name, but for the macro that the target's YAML names (`instantiate_kernel`).
"""

from __future__ import annotations

from collections.abc import Iterator

from porter.model import Edit
from porter.parse.lexer import Token
from porter.port.context import Context, Directive, edit
from porter.port.rules.rule import Example, Rule

Range = tuple[int, int]

_OFF, _ON = "clang-format off", "clang-format on"


def _instantiations(c: Context) -> Iterator[Edit]:
    gone = [(_with_comments_above(c, start), end) for start, end in _instantiating(c)]
    gone += _idle_format_comments(c, gone)
    for start, end in _merged(c, gone):
        yield edit("instantiations", *c.line_range(start, end), "")


def _instantiating(c: Context) -> list[Range]:
    """Definitions and uses of macros that instantiate, and explicit instantiations written out."""
    macros = instantiating_macros(c)
    out = [(d.start, d.end) for d in c.directives if _defined_name(d) in macros]
    tokens, i = c.code, 0
    while i < len(tokens):
        end = None
        if tokens[i].text in macros and tokens[i + 1].text == "(":
            end = c.closing(tokens, i + 1)
            end += end + 1 < len(tokens) and tokens[end + 1].text == ";"
        elif _is_explicit(tokens, i):
            end = next((j for j in range(i, len(tokens)) if tokens[j].text == ";"), None)
            if end is None:
                raise c.fail("nothing ends this explicit instantiation", tokens[i].start, expected="a semicolon")
        if end is not None:
            out.append((tokens[i].start, tokens[end].end))
            i = end
        i += 1
    return out


def instantiating_macros(c: Context) -> frozenset[str]:
    """The macros whose body names a kernel for the host, or calls a macro that does."""
    bodies = {name: {t.text for t in d.tokens[1:]} for d in c.directives if (name := _defined_name(d)) is not None}
    found = set(c.target.drop_macros) | {name for name, body in bodies.items() if "host_name" in body}
    while more := {name for name, body in bodies.items() if name not in found and body & found}:
        found |= more
    return frozenset(found)


def _defined_name(d: Directive) -> str | None:
    return d.tokens[0].text if d.name == "define" and d.tokens else None


def _is_explicit(tokens: list[Token], i: int) -> bool:
    """Whether `template [[host_name("...")]]` begins here: an explicit instantiation has no `<` behind `template`."""
    return [t.text for t in tokens[i : i + 4]] == ["template", "[", "[", "host_name"]


def _with_comments_above(c: Context, start: int) -> int:
    """The start of the run of line comments that stands directly above `start`, if `start` is the first of its line."""
    line = c.text.rfind("\n", 0, start) + 1
    if c.text[line:start].strip():
        return start
    while line:
        above = c.text.rfind("\n", 0, line - 1) + 1
        if not c.text[above:line].lstrip().startswith("//"):
            break
        start = line = above
    return start


def _idle_format_comments(c: Context, gone: list[Range]) -> list[Range]:
    """Comments that switch the formatter off and on again around nothing that is left."""
    out: list[Range] = []
    off: Token | None = None
    for token in c.all_tokens:
        if token.kind != "comment":
            if off is not None and token.kind not in ("space", "newline", "splice") and not _inside(token, gone):
                off = None
        elif _OFF in token.text:
            off = token
        elif _ON in token.text and (off is not None or _follows(c, token, gone)):
            out += [(one.start, one.end) for one in (off, token) if one is not None and not _inside(one, gone)]
            off = None
    return out


def _follows(c: Context, comment: Token, gone: list[Range]) -> bool:
    """Whether the comment stands on the line of something that goes, whose own comment went with it."""
    line = c.text.rfind("\n", 0, comment.start) + 1
    return any(line <= end <= comment.start and not c.text[end : comment.start].strip() for _, end in gone)


def _inside(token: Token, ranges: list[Range]) -> bool:
    return any(start <= token.start < end for start, end in ranges)


def _merged(c: Context, ranges: list[Range]) -> list[Range]:
    """As few ranges as cover `ranges`, with the white space between them."""
    out: list[Range] = []
    for start, end in sorted(ranges):
        if out and not c.text[out[-1][1] : start].strip():
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


RULES = (
    Rule(
        "instantiations",
        "The emitted tables instantiate kernels; upstream's macros and lines for it would be a second way.",
        _instantiations,
        Example(
            "int x;\n// clang-format off\n#define make(name, type) \\\n  instantiate_kernel(#name, k, type)\n\n"
            "// Two of them.\nmake(a, int)\nmake(b, float); // clang-format on\n"
            'template [[host_name("c")]] [[kernel]] void k<half>(device half* x [[buffer(0)]]);\nint y;\n',
            "int x;\nint y;\n",
        ),
        removes=True,
    ),
)
