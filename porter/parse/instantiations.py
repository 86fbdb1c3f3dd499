# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The instantiation table: host name -> template and arguments.

With upstream's `.metal` file its own macros make the table. Its last macro, `instantiate_kernel`, is redefined so that
each call becomes a variable whose attributes hold what the call was given and whose initialiser is the address of the
specialisation: the compiler thereby expands every macro, and refuses a specialisation that does not exist.

`text_only_names` is a second witness and shares no code with the first: another compiler's preprocessor, upstream's own
`instantiate_kernel`, and a regular expression.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from porter.errors import ParseError, ToolchainError
from porter.metal import frontend
from porter.model import Instantiation, Location, Macro, Sources, sha256
from porter.parse.lexer import significant, tokenize
from porter.spec import Family

MACRO = "instantiate_kernel"

_VARIABLE = "steel_port_instantiation_"
# MLX's `instantiate_kernel(name, func, ...)`: the string, the template, the template's arguments.
_REDEFINITION = f"""
#undef {MACRO}
#define STEEL_PORT_PASTE_(a, b) a##b
#define STEEL_PORT_PASTE(a, b) STEEL_PORT_PASTE_(a, b)
#define {MACRO}(name, func, ...) \\
  [[clang::annotate("host name=" name), clang::annotate("template=" #func), \\
    clang::annotate("arguments=" #__VA_ARGS__)]] \\
  constexpr auto* STEEL_PORT_PASTE({_VARIABLE}, __COUNTER__) = &func<__VA_ARGS__>;
"""


def expand_table(family: Family, files: Mapping[str, str], macros: Iterable[Macro]) -> tuple[Instantiation, ...]:
    """The rows of the family's `.metal` file, in the order it makes them.

    `files` are the file and all it includes; `macros` what they define. An origin is the line of the outermost macro
    call. Raises ParseError where the file makes kernels in a way that is not understood, or none at all.
    """
    definition = next((macro for macro in macros if macro.name == MACRO), None)
    if definition is None:
        raise ParseError(
            f"no macro {MACRO} is defined", where=family.table, expected="MLX's way to instantiate kernels"
        )
    _refuse_host_names(family.table, files[family.table])
    main = f'#include "{definition.location.file}"\n{_REDEFINITION}#include "{family.table}"\n'
    unit = frontend.parse(main, files, skip_bodies=True)
    rows = tuple(
        _row(child)
        for child in unit.cursor.get_children()
        if child.kind.name == "VAR_DECL" and child.spelling.startswith(_VARIABLE)
    )
    if not rows:
        raise ParseError("the file instantiates no kernel", where=f"{family.table}:1", expected=f"calls of {MACRO}")
    return rows


def _refuse_host_names(path: str, text: str) -> None:
    """A table that names a kernel past `instantiate_kernel` would come out short, silently."""
    for token in significant(tokenize(text)):
        if token.text == "host_name":
            raise ParseError(
                f"a kernel is named without {MACRO}, which the table's reader does not understand",
                where=f"{path}:{token.line}",
                next_step="teach porter/parse/instantiations.py this form",
            )


def _row(variable: Any) -> Instantiation:
    notes = {}
    for child in variable.get_children():
        if child.kind.name == "ANNOTATE_ATTR" and "=" in child.spelling:
            key, _, value = child.spelling.partition("=")
            notes[key] = value
    place = variable.location
    origin = Location(frontend.relative_path(place.file.name), place.line, place.column)
    return Instantiation(notes["host name"], notes["template"], split_arguments(notes["arguments"]), origin)


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


# ---------------------------------------------------------------------------------------------------------------------
# The second witness

_TEXT_TIMEOUT = 120  # seconds; the fused GEMM's file takes about one
_ANGLED = re.compile(r"^\s*#\s*include\s*<([\w/.]+)>", re.M)
_HOST_NAME = re.compile(r'\[\[\s*host_name\s*\(((?:\s*"[^"]*")+)\s*\)\s*\]\]')


def text_only_names(sources: Sources, table_path: str) -> set[str]:
    """The host names in `table_path` after the preprocessor, from upstream's unmodified bytes; nothing is parsed.

    Raises ParseError where the preprocessor refuses the file, ToolchainError where it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="steel-port-") as folder:
        tree, empty = Path(folder) / "tree", Path(folder) / "empty"
        for path, file in sources.files.items():
            data = file.text.encode()
            if sha256(data) != file.sha256:
                raise ParseError("the text is not upstream's bytes any more", where=path)
            if path.startswith("mlx/"):
                _write(tree / path, data)
                for header in _ANGLED.findall(file.text):
                    _write(empty / header, b"")
        text = _preprocess(tree, empty, table_path)
    return {"".join(re.findall(r'"([^"]*)"', found)) for found in _HOST_NAME.findall(text)}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _preprocess(tree: Path, empty: Path, path: str) -> str:
    flags = ["-E", "-P", "-x", "c++", "-std=c++17", "-nostdinc", "-nostdinc++", "-isystem", str(empty), "-I.", "-w"]
    # What Apple's compiler defines: https://developer.apple.com/metal/Metal-Shading-Language-Specification.pdf, 1.6.
    defines = ["-D__METAL__", "-D__METAL_VERSION__=320"]
    command = [sys.executable, "-m", "ziglang", "c++", *flags, *defines, path]
    try:
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, timeout=_TEXT_TIMEOUT, check=False, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(
            f"the preprocessor did not run: {error}", next_step="pip install ziglang==0.17.1"
        ) from error
    if "No module named ziglang" in done.stderr:
        raise ToolchainError("the package ziglang is missing", next_step="pip install 'steel-port[verify]'")
    if done.returncode:
        line = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-300:])
        raise ParseError(f"the preprocessor refuses the file: {line}", where=path)
    return done.stdout
