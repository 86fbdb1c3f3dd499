# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One git command on a repository that we did not make: no network, no hook, no program that its settings name, an end
to what it may print and to how long it may take."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from porter.errors import ToolchainError, UpstreamError

_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
LONGEST = 120.0
"""Seconds for one command."""
LARGEST = 256 << 20
"""Bytes that one command may print. The patches of MLX's kernels from v0.0.2 to v0.32.1 are a tenth of that."""


@dataclass(frozen=True)
class Told:
    """What a command printed, its exit status, and the last line of its complaint."""

    output: bytes
    status: int
    complaint: str


def run_git(
    folder: Path, *arguments: str, given: bytes = b"", longest: float = LONGEST, largest: int = LARGEST
) -> Told:
    """Run git in `folder`, a clone or a bare repository or a folder in a work tree. `given` is what it reads.

    Raises ToolchainError where git is not installed, UpstreamError where it takes or prints more than is allowed.
    """
    command = ["git", *_SAFE, "--literal-pathspecs", "-C", str(folder), *arguments]
    with tempfile.TemporaryFile() as complaint, tempfile.TemporaryFile() as asked:
        asked.write(given)
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=asked, stdout=subprocess.PIPE, stderr=complaint, env=_environment()
            )
        except FileNotFoundError as error:
            raise ToolchainError("git is not installed", next_step="install git") from error
        output, late = _output(process, longest, largest)
        complaint.seek(0)
        last = complaint.read(1 << 16).decode("utf-8", "replace").strip().splitlines()[-1:]
    if late or len(output) > largest:
        raise UpstreamError(
            f"git {arguments[0]} "
            + (f"took more than {longest:.0f} s" if late else f"printed more than {largest} bytes"),
            where=str(folder),
            next_step="run git fsck there, or give another clone",
        )
    return Told(output, process.returncode, last[0] if last else "")


def _output(process: subprocess.Popen[bytes], longest: float, largest: int) -> tuple[bytes, bool]:
    """What is printed, at most one byte more than is allowed, and whether the time ran out."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(longest, stop)
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 (Popen was given a pipe)
        with process.stdout:
            output = process.stdout.read(largest + 1)
        if len(output) > largest:
            process.kill()
        process.wait()
    finally:
        timer.cancel()
    return output, late.is_set()


def _environment() -> dict[str, str]:
    """Without GIT_DIR and such, which would point git at another repository; with no protocol to fetch by."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_ALLOW_PROTOCOL": "", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def succeed(folder: Path, told: Told, what: str) -> bytes:
    """What git printed. Raises UpstreamError that says what could not be done, and the next step."""
    if told.status != 0:
        dubious = "dubious ownership" in told.complaint
        step = f"git config --global --add safe.directory {folder}" if dubious else "run git fsck there"
        raise UpstreamError(f"git could not {what}: {told.complaint}", where=str(folder), next_step=step)
    return told.output
