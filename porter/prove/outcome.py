# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What running one kernel on both sides came to, as plain data that goes through a pipe and into a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Found:
    """What one comparison of one kernel came to.

    `status` is `equal`, `differs` or `not run`; `within` says that bits differed and the family's tolerance covered
    it. `why` is what the smallest case that is wrong shows, `smallest` the bytes of its buffers; `details` has a line
    for each case. `worst`: the largest error in units of the tolerance.
    """

    status: str
    cases: int
    why: str = ""
    basis: str = ""
    details: tuple[str, ...] = ()
    within: bool = False
    worst: float = 0.0
    smallest: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was found of one kernel: against Apple's compiled kernel, and against what the generator expects.

    None where there was nothing to compare with.
    """

    host_name: str
    apple: Found | None
    expected: Found | None


def outcome(row: dict[str, Any]) -> Outcome:
    """From plain data (porter.model.to_data). Raises KeyError, TypeError or ValueError for anything else."""
    apple, expected = row["apple"], row["expected"]
    return Outcome(str(row["host_name"]), _found(apple), _found(expected))


def _found(row: dict[str, Any] | None) -> Found | None:
    if row is None:
        return None
    found = Found(**{**row, "details": tuple(row["details"])})
    if found.status not in ("equal", "differs", "not run"):
        raise ValueError(f"no status: {found.status!r}")
    return found
