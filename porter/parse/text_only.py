# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The second witness of the instantiation table: host names in upstream's preprocessed text, which nobody parses.

It shares no code with the first (porter/parse/instantiations.py): another compiler's preprocessor on upstream's
unmodified bytes, upstream's own macros, and two regular expressions.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from porter.errors import ParseError
from porter.metal import toolchain
from porter.model import Sources, sha256

_ANGLED = re.compile(r"^\s*#\s*include\s*<([\w/.]+)>", re.M)
_HOST_NAME = re.compile(r'\[\[\s*host_name\s*\(((?:\s*"[^"]*")+)\s*\)\s*\]\]')
# A kernel without `template <...>` or a host name before it: Metal names it as C++ does.
_KERNEL = re.compile(r"(?:\[\[\s*kernel\b(?:[^\[\]]|\[[^\[\]]*\])*\]\]|\bkernel)\s+void\s+(\w+)\s*\(")
_MAX_BYTES = 64 << 20  # MLX's largest table is 2 MB behind the preprocessor

_FLAGS = ("-E", "-P", "-x", "c++", "-std=c++17", "-nostdinc", "-nostdinc++", "-w")
# What Apple's compiler defines: https://developer.apple.com/metal/Metal-Shading-Language-Specification.pdf, 1.6.
_DEFINES = ("-D__METAL__", "-D__METAL_VERSION__=320")


def text_only_names(sources: Sources, table: str) -> set[str]:
    """The host names in the `.metal` file `table` after the preprocessor, its plain kernels' names among them.

    Raises ParseError where the preprocessor refuses the file, or where a text is not upstream's bytes; ToolchainError
    where the preprocessor cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="steel-port-") as folder:
        tree, empty = Path(folder) / "tree", Path(folder) / "empty"
        for path, file in sources.files.items():
            if path == table or path.endswith(".h"):
                data = file.text.encode()
                if sha256(data) != file.sha256:
                    raise ParseError("the text is not upstream's bytes any more", where=path)
                _write(tree / path, data)
                for header in _ANGLED.findall(file.text):
                    _write(empty / header, b"")
        text = _preprocessed(tree, empty, table)
    named = {"".join(re.findall(r'"([^"]*)"', found)) for found in _HOST_NAME.findall(text)}
    return named | {
        found[1] for found in _KERNEL.finditer(text) if not text[: found.start()].rstrip().endswith((">", "]]"))
    }


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _preprocessed(tree: Path, empty: Path, path: str) -> str:
    arguments = ["clang", *_FLAGS, "-isystem", str(empty), f"-I{tree}", *_DEFINES]
    done = toolchain.run_zig([*arguments, str(tree / path)], folder=tree, max_output=_MAX_BYTES)
    if done.returncode:
        line = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-300:])
        raise ParseError(f"the preprocessor refuses the file: {line.replace(f'{tree}/', '')}", where=path)
    return done.stdout
