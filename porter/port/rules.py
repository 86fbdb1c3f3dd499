# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rewrite rules. Each is a name, a reason, a way to make edits, and an example that is also its test.

A rule looks at tokens and returns edits at token positions; it never searches and replaces text. Rules do not see
each other's edits, and two rules that claim one token are an error, so their order means nothing but for insertions
at one place, which keep the order of `RULES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from porter.model import Edit
from porter.port.context import Context, Directive, edit, identifiers
from porter.port.notice import COPYRIGHT_TAG, LICENCE_TAG, header_comment

ORIGIN = "mlx/backend/metal/kernels/steel/example.h"


@dataclass(frozen=True)
class Example:
    """`before` becomes `after` under one rule alone. `macros` are `NAME body` pairs that upstream defines elsewhere."""

    before: str
    after: str
    macros: tuple[tuple[str, str], ...] = ()
    kernel: str | None = None
    preamble: tuple[str, ...] = ()
    holds_params: bool = False
    path: str = ORIGIN


@dataclass(frozen=True)
class Rule:
    """One rewrite. `edits` is called once per file."""

    name: str
    reason: str
    edits: Callable[[Context], Iterator[Edit]]
    example: Example


def _notice(c: Context) -> Iterator[Edit]:
    yield edit("notice", 0, 0, header_comment(c.path, c.text, c.notice, c.revision))


def _pragma_once(c: Context) -> Iterator[Edit]:
    if not any(d.name == "pragma" and [t.text for t in d.tokens] == ["once"] for d in c.directives):
        at = c.after_leading_comments()
        yield edit("pragma-once", at, at, "#pragma once\n\n")


def _self_contained(c: Context) -> Iterator[Edit]:
    if c.preamble:
        at = c.after_leading_comments()
        lines = [f"#include <{c.headers[path]}>\n" for path in c.preamble if c.headers.get(path)]
        yield edit("self-contained", at, at, "".join(lines) + "\n")


def _warnings(c: Context) -> Iterator[Edit]:
    if any(t.text == "if" and after.text == "constexpr" for t, after in zip(c.code, c.code[1:], strict=False)):
        first = next((d for d in c.directives if d.name == "pragma"), None)
        at = first.end if first else c.after_leading_comments()
        ignored = '#pragma clang diagnostic push\n#pragma clang diagnostic ignored "-Wc++17-extensions"\n'
        yield edit("c++17-warnings", at, at, f"\n{ignored}")
        yield edit("c++17-warnings", len(c.text), len(c.text), "#pragma clang diagnostic pop\n")


def _final_newline(c: Context) -> Iterator[Edit]:
    if not c.text.endswith("\n"):
        yield edit("final-newline", len(c.text), len(c.text), "\n")


def _includes(c: Context) -> Iterator[Edit]:
    for d in c.directives:
        if d.name != "include" or not d.tokens or not d.tokens[0].text.startswith(chr(34)):
            continue
        token = d.tokens[0]
        path = token.text[1:-1]
        if path not in c.headers:
            raise c.fail(f"includes {path}, which is not among the files to port", token.start)
        header = c.headers[path]
        yield (
            edit("include-path", d.start, d.end, "")
            if header is None
            else edit("include-path", token.start, token.end, f"<{header}>")
        )


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


def _drop_macros(c: Context) -> Iterator[Edit]:
    for d in c.directives:
        if d.name == "define" and d.tokens and d.tokens[0].text in c.target.drop_macros:
            yield edit("instantiate-kernel", _with_comment_above(c, d.start), d.end, "")


def _with_comment_above(c: Context, start: int) -> int:
    """The start of the run of line comments that stands directly above `start`."""
    while start:
        line = c.text.rfind("\n", 0, start - 1) + 1
        if not c.text[line:start].lstrip().startswith("//"):
            break
        start = line
    return start


def _aliases(c: Context) -> Iterator[Edit]:
    tokens, typedefs = c.tokens, set()
    for i, token in identifiers(tokens, c.target.aliases):
        if i >= 2 and tokens[i - 2].text == "typedef" and tokens[i + 1].text == ";":
            typedefs.add(token.start)
            yield edit("type-alias", *c.line_range(tokens[i - 2].start, tokens[i + 1].end), "")
        else:
            yield edit("type-alias", token.start, token.end, c.target.aliases[token.text])


def _renames(c: Context) -> Iterator[Edit]:
    for _, token in identifiers(c.tokens, c.target.renames):
        yield edit("complex64", token.start, token.end, c.target.renames[token.text])


def _params(c: Context) -> Iterator[Edit]:
    if not c.holds_params:
        return
    first = next((d for d in c.directives if d.name == "pragma"), None)
    at = first.end if first else c.after_leading_comments()
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


def _function_constants(c: Context) -> Iterator[Edit]:
    names = {constant.name: constant for constant in c.constants}
    tokens = c.code
    inside = _kernel_extent(c) if c.kernel else None
    for i, token in identifiers(tokens, names):
        if tokens[i - 2].text == "constant" and tokens[i + 1].text == "[" and tokens[i + 3].text == "function_constant":
            end = tokens[c.closing(tokens, i + 1) + 1]
            yield edit("function-constants", *c.line_range(tokens[i - 2].start, end.end), "")
        elif tokens[i - 2].text == "function_constant":
            yield edit("function-constants", tokens[i - 3].start, tokens[i + 1].end, "")
        elif inside is None or not inside[0] <= token.start < inside[2]:
            raise c.fail(f"function constant {token.text} is used outside the kernel template", token.start)
    if inside is not None and names:
        yield edit("function-constants", inside[1], inside[1], "".join(f",\n    bool {name}" for name in names))


def _kernel_extent(c: Context) -> tuple[int, int, int]:
    """Where the kernel template begins, where its parameter list ends, and where its body ends."""
    tokens = c.code
    for i, token in enumerate(tokens):
        if token.text != "template" or tokens[i + 1].text != "<":
            continue
        angle = c.closing_angle(tokens, i + 1)
        if [t.text for t in tokens[angle + 1 : angle + 4]] != ["[", "[", "kernel"]:
            continue
        name = next(j for j in range(angle + 1, len(tokens)) if tokens[j].text == "void") + 1
        if tokens[name].text == c.kernel:
            body = c.closing(tokens, name + 1) + 1
            return token.start, tokens[angle].start, tokens[c.closing(tokens, body)].end
    raise c.fail(
        f"no kernel template is called {c.kernel}", 0, expected="template <...> [[kernel, ...]] void NAME(...)"
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "notice",
        "A file's copyright and licence must travel with it, with where it comes from and that it was changed.",
        _notice,
        Example(
            "int x;\n",
            f"// {COPYRIGHT_TAG} Copyright © 2023 Example\n"
            f"// {LICENCE_TAG} MIT\n"
            "//\n"
            "// The licence's text stands beside this file in Steel.LICENSE.\n"
            "// Ported by steel-port, which changed it; edit its rules, not this file, and run `steel-port sync`.\n"
            "// Origin: https://github.com/ml-explore/mlx\n"
            "//   revision 0000000000000000000000000000000000000000\n"
            f"//   {ORIGIN}, lines 1-1\n"
            "\n"
            "int x;\n",
        ),
    ),
    Rule(
        "pragma-once",
        "PyTorch's headers guard themselves; upstream includes its kernel headers once, from a .metal file.",
        _pragma_once,
        Example("// A comment.\nint x;\n", "// A comment.\n#pragma once\n\nint x;\n"),
    ),
    Rule(
        "self-contained",
        "A PyTorch header includes what it uses; upstream leaves that to the .metal file.",
        _self_contained,
        Example(
            "int x;\n",
            "#include <ATen/native/mps/kernels/MlxUtils.h>\n\nint x;\n",
            preamble=("mlx/backend/metal/kernels/utils.h",),
        ),
    ),
    Rule(
        "include-path",
        "Ported headers live in PyTorch's tree; a header of which nothing is left is not included.",
        _includes,
        Example(
            '#include <metal_stdlib>\n#include "mlx/backend/metal/kernels/utils.h"\n'
            '#include "mlx/backend/metal/kernels/steel/defines.h"\nint x;\n',
            "#include <metal_stdlib>\n#include <ATen/native/mps/kernels/MlxUtils.h>\nint x;\n",
        ),
    ),
    Rule(
        "final-newline",
        "A file ends with a newline, or the next one in the flattened source begins on its last line.",
        _final_newline,
        Example("#pragma once\nint x;", "#pragma once\nint x;\n"),
    ),
    Rule(
        "c++17-warnings",
        "Metal before version 4 is C++14; what upstream takes from C++17 is an extension there, and PyTorch may build "
        "with warnings as errors.",
        _warnings,
        Example(
            "#pragma once\nvoid f() {\n  if constexpr (true) {\n  }\n}\n",
            "#pragma once\n\n#pragma clang diagnostic push\n"
            '#pragma clang diagnostic ignored "-Wc++17-extensions"\n'
            "void f() {\n  if constexpr (true) {\n  }\n}\n#pragma clang diagnostic pop\n",
        ),
    ),
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
        "instantiate-kernel",
        "The emitted tables instantiate kernels; upstream's macro for it would be a second way.",
        _drop_macros,
        Example("// Makes an instantiation.\n#define instantiate_kernel(n, f) \\\n  template f;\nint x;\n", "int x;\n"),
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
    Rule(
        "function-constants",
        "PyTorch's MetalShaderLibrary cannot set function constants, so they become template parameters.",
        _function_constants,
        Example(
            "constant bool flag [[function_constant(7)]];\ntemplate <typename T>\n"
            "[[kernel]] void k(device T* a [[buffer(0), function_constant(flag)]]) {\n  if (flag) {\n  }\n}\n",
            "template <typename T,\n    bool flag>\n"
            "[[kernel]] void k(device T* a [[buffer(0)]]) {\n  if (flag) {\n  }\n}\n",
            kernel="k",
        ),
    ),
)
