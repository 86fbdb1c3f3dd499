# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""LLVM's reading of bitcode that may come from anywhere, in a process of its own.

LLVM's reader is not made for hostile bitcode: it aborts, crashes or loops on some. So one child process
(bitcode_reader_process.py) reads modules for this one, one after another, with limits on memory and time; what ends it
is a MetalError here, and the next module gets a new one. It hands back LLVM's text of a module that LLVM's verifier
accepted. Starting it costs some 0.05 s once, a module up to 0.3 ms more than reading it here
(tools/bench metallib_index).

This guards the reading of a library, not the running of it: who runs a kernel trusts its code.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from porter.errors import MetalError, ToolchainError
from porter.metal.bitcode_reader_process import NO_LLVM

# Seconds by the wall clock for one module; the process itself allows 20 s of processor time. The machine may be busy.
TIMEOUT = 120.0
# Bytes of an answer. LLVM's text of Apple's largest module has 0.6 MB.
LARGEST_ANSWER = 1 << 30
_CHUNK = 1 << 20
# Without the place in LLVM's source, which names a folder of whoever built it.
_LAST_WORDS = re.compile(r"LLVM ERROR: .*|Assertion `.*' failed")
_TOLD = 300  # letters of LLVM's last words that an error repeats


@dataclass(frozen=True)
class ThreadgroupVariable:
    """A variable in threadgroup memory that the module defines: LLVM's type, size and alignment in bytes."""

    name: str
    type: str
    size: int
    align: int


@dataclass(frozen=True)
class ReadModule:
    """A module as LLVM read and verified it: its text, its threadgroup variables, the functions it only declares."""

    text: str
    threadgroup_variables: tuple[ThreadgroupVariable, ...]
    externals: tuple[str, ...]


def read_module(code: bytes) -> ReadModule:
    """`code` as LLVM reads it. Raises MetalError where LLVM refuses it or does not survive it."""
    summary, _, text = _process.answer(code).partition(b"\n")
    told = json.loads(summary)
    return ReadModule(
        text.decode(),
        tuple(ThreadgroupVariable(**variable) for variable in told["threadgroup"]),
        tuple(told["externals"]),
    )


class _Died(Exception):
    """The process ended, or did not answer in time."""


class _Process:
    """The child, started when it is first needed and again after it died. Its methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def answer(self, code: bytes) -> bytes:
        with self._lock:
            child = self._child if self._child and self._child.poll() is None else self._start()
            try:
                status, answer = self._exchange(child, code)
            except BaseException as error:  # an interrupt too leaves half an answer behind
                why = self._stop()
                if not isinstance(error, _Died):
                    raise
                if child.returncode == NO_LLVM:
                    raise ToolchainError("llvmlite is missing", next_step="pip install 'steel-port[verify]'") from None
                raise MetalError(
                    f"LLVM did not survive reading this bitcode: {str(error) or why}",
                    expected="bitcode as Apple's compilers write it",
                ) from None
        if status != 0:
            told = answer.decode("utf-8", "replace").strip()
            raise MetalError(f"LLVM cannot read this bitcode: {told[:_TOLD]}")
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._stop()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by _stop)
        program = Path(__file__).with_name("bitcode_reader_process.py")
        try:
            self._child = subprocess.Popen(
                [sys.executable, str(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
            )
        except OSError as error:
            raise ToolchainError(f"the process that reads bitcode cannot start: {error}") from error
        return self._child

    def _exchange(self, child: subprocess.Popen[bytes], code: bytes) -> tuple[int, bytes]:
        until = time.monotonic() + TIMEOUT
        try:
            for part in (struct.pack("<Q", len(code)), code):
                view = memoryview(part)
                while view:
                    view = view[os.write(child.stdin.fileno(), view) :]  # type: ignore[union-attr]
        except BrokenPipeError:
            raise _Died from None
        status, size = struct.unpack("<BQ", self._receive(child, 9, until))
        if size > LARGEST_ANSWER:
            raise _Died(f"its text has {size} bytes, and at most {LARGEST_ANSWER} are taken")
        return status, self._receive(child, size, until)

    def _receive(self, child: subprocess.Popen[bytes], size: int, until: float) -> bytes:
        stream = child.stdout.fileno()  # type: ignore[union-attr]
        waiting = select.poll()
        waiting.register(stream, select.POLLIN)
        received = bytearray()
        while len(received) < size:
            left = until - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                raise _Died(f"it took more than {TIMEOUT:.0f} s")
            chunk = os.read(stream, min(size - len(received), _CHUNK))
            if not chunk:
                raise _Died
            received += chunk
        return bytes(received)

    def _stop(self) -> str:
        """End the child, and say how it ended if it did so by itself."""
        child, errors, self._child, self._errors = self._child, self._errors, None, None
        if child is None or errors is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.5)  # a child that closed its pipe is about to end, and its own reason is the true one
        child.kill()
        why = _reason(child.wait(), errors)
        for stream in (child.stdin, child.stdout, errors):
            if stream:
                stream.close()
        return why

    def close(self) -> None:
        with self._lock:
            if self._child and self._child.stdin:
                self._child.stdin.close()  # the child ends when no more can come
            self._stop()

    def forget(self) -> None:
        """In a forked process: the child is the parent's, and so is whoever held the lock."""
        child = self._child
        self.__init__()  # type: ignore[misc]
        if child is not None:
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()
            child.returncode = 0  # not ours to wait for


def _reason(status: int, errors: IO[bytes]) -> str:
    """How the child ended, and LLVM's last words."""
    if status == -signal.SIGXCPU:
        return "it took too much processor time"
    errors.seek(0)
    told = _LAST_WORDS.search(errors.read().decode("utf-8", "replace"))
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return f"{how}, {told[0][:_TOLD]}" if told else how


_process = _Process()
atexit.register(_process.close)
os.register_at_fork(after_in_child=_process.forget)
