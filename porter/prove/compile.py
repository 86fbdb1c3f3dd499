# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One compiler for both sides of a proof: the clang in the `ziglang` package, with the same arguments each time.

What it writes is unoptimised IR of an -O1 compilation: nothing is inlined or removed yet, but the functions carry the
attributes that the optimiser will want. Type-based alias information is left out, since it spells the names of types;
the types themselves are compared as structures, and on the AST.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import ProofError, ToolchainError
from porter.metal.frontend import SHIM, Mode, compiler_arguments
from porter.model import check_relative, sha256

TARGET = "x86_64-linux-gnu"
_TIMEOUT = 600  # seconds; the largest unit takes 5 on one 2023 server core
_UNOPTIMISED = (
    "-O1",
    "-Xclang",
    "-disable-llvm-passes",
    "-fno-strict-aliasing",
    "-fdiscard-value-names",
    "-fno-sanitize=all",
    "-fno-stack-protector",
    "-fno-ident",
    "-g0",
)


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """`ziglang 0.17.1`. Raises ToolchainError where the package is missing."""
    if importlib.util.find_spec("ziglang") is None:
        raise ToolchainError(
            "the compiler of the proofs is missing", next_step="pip install 'steel-port[verify]' (it brings ziglang)"
        )
    return f"ziglang {importlib.metadata.version('ziglang')}"


@lru_cache(maxsize=1)
def toolchain_digest() -> str:
    """One digest over everything but the source that decides what `emit_ir` writes: compiler, arguments, shim."""
    shim = sorted(path for path in SHIM.rglob("*") if path.is_file())
    parts = [compiler_version(), TARGET, *_UNOPTIMISED, *_portable(compiler_arguments(Mode.PROVE))]
    parts += [f"{path.relative_to(SHIM)} {sha256(path.read_bytes())}" for path in shim]
    return sha256("\n".join(parts).encode())


def _portable(arguments: Sequence[str]) -> list[str]:
    return ["SHIM" if argument == str(SHIM) else argument for argument in arguments]


def lay_out(files: Mapping[str, str], folder: Path) -> None:
    """Write `files` (relative path -> text) under `folder`, which the compiler then searches."""
    for path, text in files.items():
        place = folder / check_relative(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def emit_ir(unit: str, root: Path) -> str:
    """The unoptimised IR of `unit`, whose includes are found under `root`. Raises ProofError with the first errors."""
    return _clang(unit, (*compiler_arguments(Mode.PROVE), *_UNOPTIMISED, f"-I{root}", "-S", "-emit-llvm"))


def preprocess(unit: str, root: Path | None = None, definitions: Sequence[str] = ()) -> str:
    """`unit` preprocessed as Metal source, without line markers; standard headers must not be included."""
    include = [f"-I{root}"] if root else []
    return _clang(unit, ("-x", "c++", "-std=c++20", "-nostdinc", "-nostdinc++", *definitions, *include, "-E", "-P"))


def run_compiler(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run zig's clang in `folder`, its caches out of the user's way. Raises ToolchainError where it cannot run."""
    compiler_version()
    environment = {
        **os.environ,
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig-local"),
        "ZIG_GLOBAL_CACHE_DIR": str(cache_dir("zig")),
    }
    command = [sys.executable, "-m", "ziglang", "c++", "-target", TARGET, *arguments]
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"the compiler did not end within {_TIMEOUT} s") from error
    except OSError as error:
        raise ToolchainError(f"the compiler cannot be run: {error.strerror}") from error


def _clang(unit: str, arguments: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
        folder = Path(temporary)
        (folder / "unit.cpp").write_text(unit, encoding="utf-8")
        done = run_compiler([*arguments, "unit.cpp", "-o", "unit.out"], folder)
        if done.returncode != 0:
            raise ProofError(
                f"the compiler refuses the source: {_errors(done.stderr)}", next_step="report this as a bug"
            )
        return (folder / "unit.out").read_text(encoding="utf-8")


def _errors(text: str) -> str:
    lines = [line for line in text.splitlines() if "error:" in line] or text.splitlines()
    return "; ".join(lines[:3])
