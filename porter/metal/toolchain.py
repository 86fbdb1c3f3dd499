# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The compilers: clang and lld as the package `ziglang` carries them, and the system's for the runtime.

No shell is involved, and nothing outside our cache is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from porter.cache import cache_dir, write_atomically
from porter.errors import MetalError, ToolchainError

_TIMEOUT_SECONDS = 600
# Far above what real source takes: clang needs 0.4 GB for unoptimised IR of all of MLX's kernels.
_MAX_OUTPUT_BYTES = 1 << 30
_MAX_MEMORY_BYTES = 16 << 30
_MAX_REPORTED = 5

# What clang and gcc read besides their arguments: folders to search, and arguments in place of ours.
_COMPILER_VARIABLES = frozenset(
    (
        "CPATH",
        "C_INCLUDE_PATH",
        "CPLUS_INCLUDE_PATH",
        "OBJC_INCLUDE_PATH",
        "CCC_OVERRIDE_OPTIONS",
        "CLANG_CONFIG_FILE_USER_DIR",
        "CLANG_CONFIG_FILE_SYSTEM_DIR",
        "DEPENDENCIES_OUTPUT",
        "SUNPRO_DEPENDENCIES",
        "GCC_EXEC_PREFIX",
        "COMPILER_PATH",
    )
)


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
def zig_identity() -> str:
    """Which clang this is, for digests: the package's version and the binary's size."""
    return f"ziglang {importlib.metadata.version('ziglang')} {zig().stat().st_size}"


def compiler_identity(compiler: str) -> str:
    """Which compiler stands at the path `compiler`, for digests: an update changes its size or its time."""
    real = Path(compiler).resolve()
    status = real.stat()
    return f"{real} {status.st_size} {status.st_mtime_ns}"


def closed(folders: Iterable[Path]) -> tuple[str, ...]:
    """Arguments with which clang (18 and later) sees the files under `folders` and no other file of this machine.

    Source text is data: `#include "/etc/passwd"`, `#embed` and `__has_include` must not reach what it does not belong
    to, and an error message must not show it. clang's own file system overlay is what it asks for every file.
    Raises TreeError where our cache cannot be written.
    """
    roots = [{"type": "directory-remap", "name": str(folder), "external-contents": str(folder)} for folder in folders]
    overlay = {"version": 0, "case-sensitive": "true", "redirecting-with": "redirect-only", "roots": roots}
    text = json.dumps(overlay).encode()
    path = cache_dir("overlay").absolute() / f"{digest([text])}.yaml"
    if not path.is_file() or path.read_bytes() != text:
        write_atomically(path, text)
    return ("-ivfsoverlay", str(path))


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


def run_zig(
    arguments: Sequence[str], *, folder: Path, text: str | None = None, max_output: int = _MAX_OUTPUT_BYTES
) -> subprocess.CompletedProcess[str]:
    """Run `zig ARGUMENTS` in `folder`, with `text` as standard input. Raises ToolchainError as `run` does."""
    return run([str(zig()), *arguments], folder=folder, text=text, max_output=max_output)


def run(
    command: Sequence[str], *, folder: Path, text: str | None = None, max_output: int = _MAX_OUTPUT_BYTES
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `folder`, with bounds on its time, memory and output, so that no source can take the machine.

    Raises ToolchainError where it cannot be started, and where it does not end within a bound.
    """
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        streams[0].write((text or "").encode())
        streams[0].seek(0)
        status = _wait(command, folder, streams, max_output)
        full = any(stream.seek(0, os.SEEK_END) >= max_output for stream in streams[1:])
        for stream in streams[1:]:
            stream.seek(0)
        output, errors = (stream.read().decode(errors="replace") for stream in streams[1:])
    if full or status == -signal.SIGXFSZ or "File too large" in errors[-2000:]:
        raise ToolchainError(
            f"the compiler wrote more than {max_output >> 20} MiB",
            where=command[0],
            expected="source whose macros do not multiply without end",
        )
    return subprocess.CompletedProcess(list(command), status, output, errors)


def _wait(command: Sequence[str], folder: Path, streams: Sequence[IO[bytes]], max_output: int) -> int:
    """The exit status of `command`; its process group is gone when this returns, however it returns."""
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise ToolchainError(
            f"the compiler cannot be started: {error.strerror}", where=command[0], next_step="install it again"
        ) from error
    try:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (max_output, max_output))
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
        return process.wait(_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(
            f"the compiler did not end within {_TIMEOUT_SECONDS} s", where=command[0], next_step="compile fewer kernels"
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what would make a compiler read, write or say something else."""
    zig_cache = str(cache_dir("zig").absolute())
    kept = {name: value for name, value in os.environ.items() if name not in _COMPILER_VARIABLES}
    return {**kept, "ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache, "LC_ALL": "C"}


_DIAGNOSTIC = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$", re.M)


def source_error(output: str, source_name: str) -> MetalError:
    """The compiler's first errors as one MetalError that names the line in the user's source."""
    errors = list(_DIAGNOSTIC.finditer(output))
    if not errors and "Stack dump:" in output:
        return MetalError("clang gave up on this source", where=source_name, expected="statements that nest less deep")
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
