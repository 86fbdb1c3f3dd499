# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Rules about a file as a whole: its heading, its guard, what it includes, how it ends."""

from __future__ import annotations

from collections.abc import Iterator

from porter.model import Edit
from porter.port.context import Context, edit
from porter.port.notice import COPYRIGHT_TAG, LICENCE_TAG, header_comment
from porter.port.rules.rule import ORIGIN, Example, Rule


def _notice(c: Context) -> Iterator[Edit]:
    yield edit("notice", 0, 0, header_comment(c.path, c.text, c.notice, c.revision))


def _pragma_once(c: Context) -> Iterator[Edit]:
    if c.guard is None:
        at = c.after_leading_comments()
        yield edit("pragma-once", at, at, "#pragma once\n\n")


def _self_contained(c: Context) -> Iterator[Edit]:
    own = {d.tokens[0].text[1:-1] for d in c.directives if d.name == "include" and d.tokens}
    needed = dict.fromkeys((*c.target.needs.get(c.path, ()), *c.preamble))
    lines = [f"#include <{c.headers[path]}>\n" for path in needed if c.headers.get(path) and path not in own]
    if lines:
        at = c.top()
        yield edit("self-contained", at, at, "\n" * (c.guard is not None) + "".join(lines) + "\n")


def _warnings(c: Context) -> Iterator[Edit]:
    if any(t.text == "if" and after.text == "constexpr" for t, after in zip(c.code, c.code[1:], strict=False)):
        at = c.top()
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


RULES = (
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
)
