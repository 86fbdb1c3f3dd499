# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The compilers: clang and lld as the package `ziglang` carries them, and the system's for the runtime.

No shell is involved, and nothing outside our cache is written.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import MetalError, ToolchainError

_TIMEOUT_SECONDS = 600
_MAX_REPORTED = 5


@cache
def zig() -> Path:
    """The zig binary of the package `ziglang`. Raises ToolchainError where it is not installed."""
    found = importlib.util.find_spec("ziglang")
    folders = list(found.submodule_search_locations or ()) if found else []
    for folder in folders:
        binary = Path(folder) / "zig"
        if binary.is_file():
            return binary
    raise ToolchainError(
        "the compiler package ziglang is not installed",
        expected="ziglang 0.17.1, which carries clang 22",
        next_step="pip install 'steel-port[verify]'",
    )


@cache
def system_compiler() -> str:
    """The system's C++20 compiler: `$CXX`, or the first of c++, g++ and clang++. Raises ToolchainError."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        path = shutil.which(name) if name else None
        if path:
            return path
    raise ToolchainError(
        "there is no C++ compiler",
        expected="a C++20 compiler as $CXX, c++, g++ or clang++",
        next_step="install one (Debian and Ubuntu: apt install g++)",
    )


@cache
def cpu_identity() -> str:
    """A digest of what this machine's processor can do: code for it may not run on another."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown"
    facts = sorted(set(re.findall(r"^(?:flags|Features|model name|CPU part)\s*:.*$", text, re.M)))
    return digest(facts)


def digest(parts: Iterable[str | bytes]) -> str:
    """Hex SHA-256 of `parts`, kept apart by their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


def digest_of_folder(folder: Path, pattern: str = "*") -> str:
    """Digest of the names and bytes of the files under `folder` whose names match `pattern`."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return digest(part for path in files for part in (path.relative_to(folder).as_posix(), path.read_bytes()))


def run_zig(arguments: Sequence[str], *, folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `zig ARGUMENTS` in `folder`, with `text` as standard input."""
    return run([str(zig()), *arguments], folder=folder, text=text)


def run(command: Sequence[str], *, folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `command` in `folder`. Raises ToolchainError where it cannot be started or does not end in ten minutes."""
    zig_cache = str(cache_dir("zig"))
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache, "LC_ALL": "C"}
    try:
        return subprocess.run(
            list(command),
            cwd=folder,
            input=text,
            capture_output=True,
            text=True,
            env=environment,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(
            f"the compiler did not end within {_TIMEOUT_SECONDS} s", where=command[0], next_step="compile fewer kernels"
        ) from error
    except OSError as error:
        raise ToolchainError(
            f"the compiler cannot be started: {error.strerror}", where=command[0], next_step="install it again"
        ) from error


_DIAGNOSTIC = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$", re.M)


def source_error(output: str, source_name: str) -> MetalError:
    """The compiler's first errors as one MetalError that names the line in the user's source."""
    errors = list(_DIAGNOSTIC.finditer(output))
    if not errors:
        last = output.strip().splitlines()[-3:] or ["it said nothing"]
        return MetalError(
            "the compiler failed: " + " / ".join(last), where=source_name, next_step="report this as a bug"
        )
    # An error inside the shim is about the line of the source that the notes name.
    first = next((error for error in errors if error["file"] == source_name), errors[0])
    what = f"not valid Metal source: {first['what']}"
    for error in [error for error in errors if error is not first][: _MAX_REPORTED - 1]:
        what += f"\n  {Path(error['file']).name}:{error['line']}: {error['what']}"
    if len(errors) > _MAX_REPORTED:
        what += f"\n  and {len(errors) - _MAX_REPORTED} more"
    return MetalError(what, where=f"{Path(first['file']).name}:{first['line']}")
