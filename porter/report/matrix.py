# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Family by ring: what the table in the terminal and the page both show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from porter.model import Proof, Ring, Status

# From what a reader must see first to what needs no look.
SEVERITY = (Status.DIFFERS, Status.NOT_RUN, Status.SAMPLED, Status.EQUAL_AFTER_O1, Status.PROVED)


@dataclass(frozen=True)
class Cell:
    """One family in one ring: the gravest status of its claims, how many kernels they looked at, how many hold."""

    status: Status
    kernels: int
    claims: int
    held: int


def gravest(statuses: Iterable[Status]) -> Status:
    """The status that a reader must see first. Raises ValueError for no status at all."""
    return min(statuses, key=SEVERITY.index)


def cell(proofs: Sequence[Proof], family: str, ring: Ring) -> Cell | None:
    """None where no claim of the ring is about the family."""
    found = [proof for proof in proofs if proof.family == family and proof.ring is ring]
    if not found:
        return None
    kernels = {result.host_name for proof in found for result in proof.kernels}
    held = sum(proof.holds for proof in found)
    return Cell(gravest(proof.status for proof in found), len(kernels), len(found), held)


def families_of(proofs: Iterable[Proof]) -> tuple[str, ...]:
    """The families that have claims, in the order of the first."""
    return tuple(dict.fromkeys(proof.family for proof in proofs))
