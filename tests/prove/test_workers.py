# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Comparisons in child processes: what ends a child is one kernel's result, and a grown child is replaced."""

from __future__ import annotations

import textwrap

import pytest

pytest.importorskip("llvmlite")

from porter.errors import ProofError
from porter.prove import workers

from . import scaled

GENERATOR = """
import os
import numpy as np
from porter.prove.launch import Launch, Output

def launches(request):
    integer = request.row.host_name.endswith("int32")
    {before}
    dtype = np.int32 if integer else np.float32
    step = request.struct("Step", step=2)
    yield Launch("n 5", {{0: np.arange(5, dtype=dtype), 1: np.zeros(5, dtype), 2: step}}, (5, 1, 1), (5, 1, 1),
                 (Output(1, dtype.__name__),))
"""


@pytest.fixture
def children(tmp_path, monkeypatch):
    """Children find a generator of this test among the package's: `children(line)` puts `line` in it."""
    folder = tmp_path / "cases"
    folder.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        f"import porter.prove.cases\nporter.prove.cases.__path__.append({str(folder)!r})\n"
    )
    root = str(workers.Path(workers.__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")

    def write(line: str = "pass") -> None:
        (folder / "scaled_of_a_test.py").write_text(textwrap.dedent(GENERATOR.format(before=line)))

    return write


def ran(jobs):
    return {one.host_name: one for _, outcomes in workers.compare_all(jobs, 2) for one in outcomes}


def test_jobs_are_done_in_children(tmp_path, children):
    children()
    job = scaled.job(tmp_path)
    parts = [type(job)(**{**job.__dict__, "rows": (row,)}) for row in job.rows]
    assert {name: one.apple.status for name, one in ran(parts).items()} == {
        "scale_float32": "equal",
        "scale_int32": "equal",
    }


def test_what_crashes_a_child_is_blamed_and_the_others_are_done(tmp_path, children):
    children("if integer: os.kill(os.getpid(), 11)")
    found = ran([scaled.job(tmp_path)])
    assert found["scale_float32"].apple.status == "equal"
    assert found["scale_int32"].apple.status == "not run"
    assert "SIGSEGV" in found["scale_int32"].apple.why


def test_a_crash_says_nothing_of_a_side_that_is_not_there(tmp_path, children):
    children("os.kill(os.getpid(), 11)")
    found = ran([scaled.job(tmp_path, library=None)])["scale_int32"]
    assert found.apple is None
    assert found.expected.status == "not run"


def test_what_never_ends_is_stopped(tmp_path, children, monkeypatch):
    children("while integer: pass")
    monkeypatch.setattr(workers, "JOB_SECONDS", 20.0)
    monkeypatch.setattr(workers, "KERNEL_SECONDS", 10.0)
    found = ran([scaled.job(tmp_path)])
    assert found["scale_float32"].apple.status == "equal"
    assert found["scale_int32"].apple.why == "the process that ran it ended: it did not answer in time"


def test_what_a_job_cannot_do_is_raised_here(tmp_path, children):
    with pytest.raises(ProofError, match="the generator scaled_of_a_test is missing"):
        ran([scaled.job(tmp_path)])


def test_a_child_that_has_grown_is_replaced(tmp_path, children, monkeypatch):
    children()
    monkeypatch.setattr(workers, "RENEWED_AT", 1)
    started = []
    start = workers._Child._start
    monkeypatch.setattr(workers._Child, "_start", lambda self: started.append(self) or start(self))
    job = scaled.job(tmp_path)
    list(workers.compare_all([job, job], 1))
    assert len(started) == 2
