# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From what each case of the outputs ring came to, to a proof."""

from __future__ import annotations

from dataclasses import dataclass

from porter.model import Proof, Ring, Status
from porter.prove.case import Case

NUMPY = "float64 (numpy)"
MLX = "MLX's arrays (CPU)"
TOLERANCE_NOTE = "tolerances are bounds from K and the dtype, derived in porter/prove/tolerance.py"


@dataclass(frozen=True)
class Finding:
    """What one case came to: its size (to find the smallest), the error in units of the bound, and what it was."""

    size: int
    worst: float
    what: str


def conclude(case: Case, claim: str, witness: str, findings: list[Finding], status: Status = Status.PROVED) -> Proof:
    """A proof over all findings: DIFFERS with the smallest case that is out of bounds, else `status`."""
    name = case.family.name
    wrong = sorted((f for f in findings if not f.worst <= 1.0), key=lambda f: f.size)
    worst = max(f.worst for f in findings)
    notes = (f"{claim}: against {witness} the largest error is {worst:.2f} of its bound", TOLERANCE_NOTE)
    if wrong:
        why = f"{len(wrong)} of {len(findings)} cases; smallest: {wrong[0].what}: {wrong[0].worst:.3g} times the bound"
        return Proof(Ring.OUTPUTS, name, claim, witness, Status.DIFFERS, len(findings), why, notes)
    return Proof(Ring.OUTPUTS, name, claim, witness, status, len(findings), "", notes)
