# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The rings together: what cannot be examined is said, and does not stop the rest."""

from __future__ import annotations

import pytest

from porter.errors import ToolchainError
from porter.model import Proof, Ring, Status
from porter.prove import Claim, examine, verify
from porter.prove.code import CLAIM

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
    proofs = verify(
        minimal.sources, minimal.corpus, (minimal.family,), minimal.overlay_root, rings=[Ring.LAYOUTS], jobs=1
    )
    assert [proof.status for proof in proofs] == [Status.PROVED, Status.PROVED, Status.NOT_RUN]


def test_the_real_port_is_proved(root, sources, corpus, families):
    proofs = verify(sources, corpus, families, root / "generated", rings=[Ring.NAMES, Ring.LAYOUTS, Ring.CODE])
    assert [proof for proof in proofs if proof.status is not Status.PROVED] == []
    bodies = next(proof for proof in proofs if proof.claim == CLAIM)
    assert isinstance(bodies, Proof)
    assert bodies.cases == 96 * 48
