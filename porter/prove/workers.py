# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Comparisons of kernels in processes of their own.

A kernel is machine code that may do anything: crash, loop, take memory without end. So each job runs in a child
process. What ends the child costs its job only: the job is done again in halves, until one kernel is left that gets the
blame. A child that has grown is replaced, since neither LLVM nor its JIT gives back all that it took.

A child reads jobs, each a u64 length and a pickle, and writes answers, each a u64 length and JSON: what comes out of a
process that ran kernels is data.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from porter.errors import ProofError, SteelPortError, ToolchainError
from porter.model import to_data
from porter.prove.compare_kernels import Job
from porter.prove.outcome import Found, Outcome, outcome

RENEWED_AT = 480 << 20
"""Bytes of memory at which a child is replaced: two of them, their compilers and the caller stay below 2 GiB."""

JOB_SECONDS = 900.0
KERNEL_SECONDS = 300.0
"""How long a job, and one kernel alone, may take: ten times what the slowest of v0.30.1 take on a busy machine."""

ADDRESS_SPACE = 16 << 30
"""Bytes that a child may map. The stacks of fibers, LLVM, torch and MLX map some 4 GiB, of which they use little."""

# One core a child: the children are the parallelism.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "STEEL_PORT_METAL_CORES": "1"}


def compare_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[int, tuple[Outcome, ...]]]:
    """(the job's number, what came of it) for every job, in the order in which they end.

    Raises ToolchainError where no process can be started, and ProofError where a job cannot be done.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)
    done: queue.SimpleQueue[tuple[int, tuple[Outcome, ...]] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        child = _Child()
        try:
            while not stop.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                done.put((number, _outcomes(child, jobs[number])))
        except BaseException as error:
            done.put(error)
        finally:
            child.close()
            done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(processes, len(jobs)))]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            got = done.get()
            if got is None:
                left -= 1
            elif isinstance(got, BaseException):
                raise got
            else:
                yield got
    finally:
        stop.set()


def _outcomes(child: _Child, job: Job) -> tuple[Outcome, ...]:
    try:
        return child.answer(job, KERNEL_SECONDS if len(job.rows) == 1 else JOB_SECONDS)
    except _Died as died:
        if len(job.rows) == 1:
            found = Found("not run", 0, f"the process that ran it ended: {died}")
            apple = found if job.library and job.source else None
            return (Outcome(job.rows[0].host_name, apple, found),)
        half = len(job.rows) // 2
        parts = (job.rows[:half], job.rows[half:])
        return tuple(one for rows in parts for one in _outcomes(child, replace(job, rows=rows)))


class _Died(Exception):
    """The child ended, or did not answer in time."""


class _Child:
    """A child process, started when it is first needed and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def answer(self, job: Job, seconds: float) -> tuple[Outcome, ...]:
        """Raises _Died, and ProofError for what the job raised there."""
        process = self._process or self._start()
        try:
            _write(process.stdin, pickle.dumps(job))  # type: ignore[arg-type]
            answer = json.loads(self._read(process, seconds))
        except (BrokenPipeError, EOFError):
            raise _Died(self._ended()) from None
        except BaseException:  # an interrupt leaves half an answer behind
            self.close()
            raise
        if answer["memory"] > RENEWED_AT:
            self.close()
        if "error" in answer:
            raise ProofError(**answer["error"])
        return tuple(map(outcome, answer["outcomes"]))

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": _search_path()},
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolchainError(f"the process that compares kernels cannot start: {error}") from error
        return self._process

    def _read(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        until = time.monotonic() + seconds
        (size,) = struct.unpack("<Q", self._receive(process, 8, until))
        return self._receive(process, size, until)

    def _receive(self, process: subprocess.Popen[bytes], size: int, until: float) -> bytes:
        stream = process.stdout.fileno()  # type: ignore[union-attr]
        waiting = select.poll()
        waiting.register(stream, select.POLLIN)
        received = bytearray()
        while len(received) < size:
            left = until - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                self.close()
                raise _Died("it did not answer in time")
            chunk = os.read(stream, min(size - len(received), 1 << 20))
            if not chunk:
                raise EOFError
            received += chunk
        return bytes(received)

    def _ended(self) -> str:
        """How the child ended, and its last words."""
        process, errors = self._process, self._errors
        if process is None or errors is None:
            return "nobody knows why"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        errors.seek(0)
        told = errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        status = process.returncode
        self.close()
        how = signal.Signals(-status).name if status and status < 0 else f"exit status {status}"
        return f"{how}{': ' + told[-1][:300] if told else ''}"

    def close(self) -> None:
        """End the child."""
        process, errors, self._process, self._errors = self._process, self._errors, None, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, errors):
                if stream:
                    stream.close()


def _search_path() -> str:
    """Where the child finds this very package first."""
    return os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(":")


def _write(stream: IO[bytes], data: bytes) -> None:
    for part in (struct.pack("<Q", len(data)), data):
        view = memoryview(part)
        while view:
            view = view[os.write(stream.fileno(), view) :]


# ---------------------------------------------------------------------------------------------------------------------
# The child


def main() -> None:
    """Answer jobs until no more come."""
    from porter.prove.compare_kernels import compare

    jobs = sys.stdin.buffer
    # What kernels and libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    while len(head := jobs.read(8)) == 8:
        job = pickle.loads(jobs.read(struct.unpack("<Q", head)[0]))  # noqa: S301 (our own caller wrote it)
        answer: dict[str, Any]
        try:
            answer = {"outcomes": to_data(compare(job))}
        except SteelPortError as error:
            answer = {"error": {name: getattr(error, name) for name in ("what", "where", "expected", "next_step")}}
        answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        _write(answers, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
