# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rings together: what cannot be examined is said, and does not stop the rest."""

from __future__ import annotations

import pytest

from porter.errors import ToolchainError
from porter.model import Ring, Status
from porter.prove import Claim, Task, examine, prove_task, verify

from .conftest import Minimal


def claim(run) -> Claim:
    return Claim(Ring.CODE, "a claim", "a witness", run)


def test_a_missing_tool_is_not_run_with_its_next_step(families):
    def run():
        raise ToolchainError("there is no compiler", next_step="install one")

    (proof,) = examine(claim(run), families[0])
    assert (proof.status, proof.why) == (Status.NOT_RUN, "there is no compiler\n  next: install one")
    assert not proof.holds


def test_a_missing_package_is_not_run(families):
    def run():
        raise ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")

    (proof,) = examine(claim(run), families[0])
    assert proof.status is Status.NOT_RUN
    assert "llvmlite" in proof.why


def test_a_bug_is_not_swallowed(families):
    def run():
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        examine(claim(run), families[0])


def test_one_claim_that_cannot_be_run_leaves_the_others(minimal: Minimal, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ToolchainError("there is no library")

    monkeypatch.setattr("porter.upstream.providers.wheel.metallib_of", missing)
    proofs = prove_task(Task(Ring.LAYOUTS, minimal.case))
    assert {proof.status for proof in proofs} == {Status.PROVED, Status.NOT_RUN}
    assert "there is no library" in next(proof.why for proof in proofs if proof.status is Status.NOT_RUN)


def test_tasks_run_in_processes_the_longest_first_and_say_how_far_they_are(minimal: Minimal):
    tasks = [Task(ring, minimal.case) for ring in (Ring.NAMES, Ring.LAYOUTS)]
    said: list[tuple[int, int | None]] = []
    found = {task.ring: proofs for task, proofs in verify(tasks, 2, lambda _, done, total: said.append((done, total)))}
    assert found == {task.ring: prove_task(task) for task in tasks}
    assert said[0][0] == 0
    assert said[-1][0] == said[-1][1]


def test_one_job_needs_no_other_process(minimal: Minimal, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_context", lambda *_: pytest.fail("a process was made"))
    assert (
        len(list(verify([Task(Ring.NAMES, minimal.case), Task(Ring.LAYOUTS, minimal.case)], 1, lambda *_: None))) == 2
    )
