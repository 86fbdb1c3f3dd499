# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the host's own C++ compiler makes of emitted headers: small generated programs, compiled and run."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from porter.errors import ProofError, ToolchainError
from porter.metal.toolchain import system_compiler

_TIMEOUT = 300  # seconds


def compiler_name() -> str:
    """The first line of what the compiler says of itself."""
    done = _run([system_compiler(), "--version"], Path.cwd())
    return done.stdout.splitlines()[0] if done.stdout else system_compiler()


def output_of(program: str, include: Path) -> list[list[str]]:
    """Compile `program` with `include` on its path, run it, and return its output: tab-separated rows.

    Raises ToolchainError where there is no compiler, ProofError where the program does not compile or run.
    """
    with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
        folder = Path(temporary)
        (folder / "program.cpp").write_text(program, encoding="utf-8")
        command = [system_compiler(), "-std=c++20", "-O0", f"-I{include.resolve()}", "program.cpp", "-o", "program"]
        built = _run(command, folder)
        if built.returncode != 0:
            error = next((line for line in built.stderr.splitlines() if "error" in line), built.stderr[:200])
            raise ProofError(f"the host's compiler refuses an emitted header: {error}", where=str(include))
        ran = _run([str(folder / "program")], folder)
        if ran.returncode != 0:
            raise ProofError(f"a generated program ended with status {ran.returncode}")
        return [line.split("\t") for line in ran.stdout.splitlines()]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"{command[0]} could not be run: {error}") from error
