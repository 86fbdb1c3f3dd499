# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Rules about names: namespaces, convenience macros, types, and the fields that host and kernel share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from porter.model import Edit
from porter.port.context import Context, Directive, edit, identifiers
from porter.port.rules.rule import Example, Rule


def _namespaces(c: Context) -> Iterator[Edit]:
    tokens = c.code
    for i, token in identifiers(tokens, c.target.namespaces):
        names = c.target.namespaces[token.text]
        if i and tokens[i - 1].text == "namespace" and tokens[i + 1].text == "{":
            close = tokens[c.closing(tokens, i + 1)]
            opening = "".join(f"namespace {name} {{\n" for name in names).rstrip("\n")
            yield edit("namespace", tokens[i - 1].start, tokens[i + 1].end, opening)
            comment = re.compile(r"[ \t]*// namespace \w+").match(c.text, close.end)
            ends = "\n".join(f"}} // namespace {name}" for name in reversed(names))
            yield edit("namespace", close.start, comment.end() if comment else close.end, ends)
        elif tokens[i + 1].text == "::":
            yield edit("namespace", token.start, token.end, "::".join(names))


def _expand_macros(c: Context) -> Iterator[Edit]:
    gone = _definition_ranges(c)
    yield from (edit("expand-macros", start, end, "") for start, end in gone)
    for _, token in identifiers(c.tokens, c.macros):
        if any(start <= token.start < end for start, end in gone):
            continue
        body = c.macros[token.text].body
        pragma = re.fullmatch(r'_Pragma\s*\(\s*"(.*)"\s*\)', body)
        on_a_line = pragma and not token.directive and c.stands_alone(token)
        yield edit("expand-macros", token.start, token.end, f"#pragma {pragma[1]}" if pragma and on_a_line else body)


def _definition_ranges(c: Context) -> list[tuple[int, int]]:
    """Where expanded macros are defined; an #if group that holds nothing else goes whole."""
    out: list[tuple[int, int]] = []
    opened: list[list[Directive]] = []
    for d in c.directives:
        if d.name in ("if", "ifdef", "ifndef"):
            opened.append([d])
        elif opened and d.name == "endif":
            group = [*opened.pop(), d]
            inside = [t for t in c.code if group[0].end <= t.start < d.start]
            if not inside and all(_defines_expanded(c, x) for x in group[1:-1] if x.name not in ("else", "elif")):
                out = [r for r in out if not group[0].start <= r[0] < d.end]
                out.append((group[0].start, d.end))
        elif opened:
            opened[-1].append(d)
        if _defines_expanded(c, d):
            out.append((d.start, d.end))
    return out


def _defines_expanded(c: Context, d: Directive) -> bool:
    return d.name == "define" and bool(d.tokens) and d.tokens[0].text in c.macros


def _aliases(c: Context) -> Iterator[Edit]:
    tokens = c.tokens
    for i, token in identifiers(tokens, c.target.aliases):
        if i >= 2 and tokens[i - 2].text == "typedef" and tokens[i + 1].text == ";":
            yield edit("type-alias", *c.line_range(tokens[i - 2].start, tokens[i + 1].end), "")
        else:
            yield edit("type-alias", token.start, token.end, c.target.aliases[token.text])


def _renames(c: Context) -> Iterator[Edit]:
    for _, token in identifiers(c.tokens, c.target.renames):
        yield edit("complex64", token.start, token.end, c.target.renames[token.text])


def _params(c: Context) -> Iterator[Edit]:
    if not c.holds_params:
        return
    at = c.top()
    yield edit("params-struct", at, at, "\n#ifndef __METAL_VERSION__\n#include <cstdint>\n#endif\n")
    tokens = c.code
    for i, token in enumerate(tokens):
        if token.text != "struct" or tokens[i + 2].text != "{":
            continue
        for j in range(i + 3, c.closing(tokens, i + 2)):
            field = tokens[j]
            if field.text == "const":
                yield edit("params-struct", field.start, tokens[j + 1].start, "")
            elif field.text in c.target.field_types:
                yield edit("params-struct", field.start, field.end, c.target.field_types[field.text])


RULES = (
    Rule(
        "namespace",
        "Two libraries in one process may not define one name differently; PyTorch's code lives under at::native::mps.",
        _namespaces,
        Example(
            "namespace mlx {\nnamespace steel {\nint x;\n} // namespace steel\n} // namespace mlx\n"
            "using namespace mlx::steel;\n",
            "namespace at {\nnamespace native {\nnamespace mps {\nnamespace steel {\nint x;\n} // namespace steel\n"
            "} // namespace mps\n} // namespace native\n} // namespace at\nusing namespace at::native::mps::steel;\n",
        ),
    ),
    Rule(
        "expand-macros",
        "PyTorch's Metal files write out what upstream's convenience macros stand for.",
        _expand_macros,
        Example(
            "#define STEEL_CONST static constant constexpr const\nSTEEL_CONST int n = 2;\nvoid f() {\n"
            "  STEEL_PRAGMA_UNROLL\n  for (;;) {}\n}\n",
            "static constant constexpr const int n = 2;\nvoid f() {\n"
            "  #pragma clang loop unroll(full)\n  for (;;) {}\n}\n",
            macros=(
                ("STEEL_CONST", "static constant constexpr const"),
                ("STEEL_PRAGMA_UNROLL", '_Pragma("clang loop unroll(full)")'),
            ),
        ),
    ),
    Rule(
        "type-alias",
        "PyTorch's Metal files use Metal's own type names.",
        _aliases,
        Example("typedef bfloat bfloat16_t;\nbfloat16_t f(bfloat16_t x);\n", "bfloat f(bfloat x);\n"),
    ),
    Rule(
        "complex64",
        "PyTorch's name for the dtype. The class stays: PyTorch's float2 would multiply element by element.",
        _renames,
        Example("struct complex64_t {};\n", "struct complex64 {};\n"),
    ),
    Rule(
        "params-struct",
        "Host and kernel share one header: fixed-width fields that the host can fill.",
        _params,
        Example(
            "#pragma once\nstruct P {\n  const int M;\n  const int64_t stride;\n  const float alpha;\n};\n",
            "#pragma once\n\n#ifndef __METAL_VERSION__\n#include <cstdint>\n#endif\n"
            "struct P {\n  int32_t M;\n  int64_t stride;\n  float alpha;\n};\n",
            holds_params=True,
        ),
    ),
)
