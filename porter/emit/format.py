# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's formatting, by clang-format from PyPI, and the check that it moved nothing but white space."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from porter.errors import EmitError, ToolchainError
from porter.parse.lexer import significant, tokenize

STYLE = Path(__file__).parent / "clang-format.yaml"
_FORMATTED = (".h", ".cpp", ".metal")
_TIMEOUT = 120  # seconds; the whole overlay takes about one


def format_files(files: Mapping[str, str]) -> dict[str, str]:
    """`files` (path -> text) with C++ and Metal formatted.

    Raises ToolchainError where clang-format is missing or fails, EmitError where it changed a token.
    """
    wanted = [path for path in files if path.endswith(_FORMATTED)]
    with tempfile.TemporaryDirectory(prefix="steel-port-") as folder:
        names = {}
        for number, path in enumerate(wanted):
            # Metal is formatted as C++; the number keeps two files of one name apart.
            names[path] = Path(folder) / f"{number}.cpp"
            names[path].write_text(files[path], encoding="utf-8")
        command = [str(_executable()), f"--style=file:{STYLE}", "-i", *map(str, names.values())]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolchainError(f"clang-format cannot be run: {error}", next_step="reinstall steel-port") from error
        if done.returncode:
            raise ToolchainError(f"clang-format failed: {done.stderr.strip()[:500]}")
        out = dict(files)
        for path in wanted:
            out[path] = names[path].read_text(encoding="utf-8")
            _check_tokens(path, files[path], out[path])
    return out


def _executable() -> Path:
    import clang_format

    return Path(clang_format.__file__).parent / "data" / "bin" / "clang-format"


def _spellings(text: str) -> list[str]:
    return [token.spelling for token in significant(tokenize(text))]


def _check_tokens(path: str, before: str, after: str) -> None:
    old, new = _spellings(before), _spellings(after)
    if old != new:
        index = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        near = " ".join(old[max(index - 3, 0) : index + 3])
        raise EmitError("clang-format changed a token", where=path, expected=f"... {near} ...")
