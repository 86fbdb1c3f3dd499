# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's formatting, by clang-format from PyPI, and the check that it moved nothing but white space.

What was formatted is kept in the cache under a digest of the text, the style and clang-format's version, so that a
file that did not change costs nothing.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from porter.cache import cache_dir, write_atomically
from porter.errors import EmitError, ToolchainError
from porter.model import sha256
from porter.parse.lexer import significant, tokenize

STYLE = Path(__file__).parent / "clang-format.yaml"
_FORMATTED = (".h", ".cpp", ".metal")
_TIMEOUT = 120  # seconds; the ported headers of all of MLX take about one


def format_files(files: Mapping[str, str]) -> dict[str, str]:
    """`files` (path -> text) with C++ and Metal formatted.

    Raises ToolchainError where clang-format is missing or fails, EmitError where it changed a token.
    """
    out = dict(files)
    wanted = {path: _key(files[path]) for path in files if path.endswith(_FORMATTED)}
    kept = {path: text for path, key in wanted.items() if (text := _recall(key)) is not None}
    fresh = _formatted({path: files[path] for path in wanted if path not in kept})
    for path, text in fresh.items():
        _check_tokens(path, files[path], text)
        write_atomically(_kept_at(wanted[path]), f"{sha256(text.encode())}\n{text}".encode())
    return {**out, **kept, **fresh}


def _formatted(files: Mapping[str, str]) -> dict[str, str]:
    if not files:
        return {}
    with tempfile.TemporaryDirectory(prefix="steel-port-") as folder:
        names = {}
        for number, path in enumerate(files):
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
        return {path: name.read_text(encoding="utf-8") for path, name in names.items()}


def _executable() -> Path:
    import clang_format

    return Path(clang_format.__file__).parent / "data" / "bin" / "clang-format"


def _key(text: str) -> str:
    return sha256(f"{_formatter()}\n{text}".encode())


@cache
def _formatter() -> str:
    return f"{importlib.metadata.version('clang-format')}\n{STYLE.read_text()}"


def _kept_at(key: str) -> Path:
    return cache_dir("formatted") / key


def _recall(key: str) -> str | None:
    """What was kept, if it still has the digest that stands before it: a cache may be damaged."""
    try:
        digest, _, text = _kept_at(key).read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if digest == sha256(text.encode()) else None


def _spellings(text: str) -> list[str]:
    return [token.spelling for token in significant(tokenize(text))]


def _check_tokens(path: str, before: str, after: str) -> None:
    old, new = _spellings(before), _spellings(after)
    if old != new:
        index = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        near = " ".join(old[max(index - 3, 0) : index + 3])
        raise EmitError("clang-format changed a token", where=path, expected=f"... {near} ...")
