# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Overlay -> Proof: four rings, each a list of claims with their witnesses.

Upstream's side of every comparison is made from bytes whose digest stands in the pin, the port's from the files that
stand in the overlay. A claim that cannot be examined (a tool is missing, a witness cannot be fetched) is a proof with
the status `not run` and the reason: it never counts as proved.

One task is one ring of one family. Tasks run in worker processes, the longest first, and each process ends after a few:
what compilers and JITs leave behind goes with it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from porter.errors import SteelPortError
from porter.model import Proof, Ring, Status
from porter.prove.case import Case, Claim, Progress
from porter.spec import Family

__all__ = ["Task", "examine", "prove_task", "verify"]

_TASKS_A_PROCESS = 4
# Seconds a kernel takes in each ring, about: only which task goes first depends on it.
_COST = {Ring.NAMES: 0.001, Ring.LAYOUTS: 0.002, Ring.CODE: 0.01, Ring.OUTPUTS: 0.1}


@dataclass(frozen=True)
class Task:
    """One ring of one family."""

    ring: Ring
    case: Case

    @property
    def cost(self) -> float:
        combinations = {name: len(self.case.family.combinations(name)) for name in self.case.family.kernel_names}
        weight = 1 if self.ring is not Ring.CODE else max(combinations.values(), default=1)
        return 1 + _COST[self.ring] * len(self.case.chosen) * weight

    @property
    def name(self) -> str:
        return f"{self.ring.value} {self.case.family.name}"


def verify(tasks: Sequence[Task], jobs: int, progress: Progress) -> Iterator[tuple[Task, tuple[Proof, ...]]]:
    """Run every task, and yield what came of each as it ends. Raises nothing for a claim that cannot be examined."""
    label, done = "proving", 0.0
    whole = sum(task.cost for task in tasks)
    progress(label, 0, int(whole) or None)
    if jobs < 2 or len(tasks) < 2:
        for task in tasks:
            yield task, prove_task(replace(task, case=replace(task.case, progress=progress)))
        return
    ordered = sorted(tasks, key=lambda task: -task.cost)
    # Spawned, not forked: this process may hold threads (torch, libclang). A pool that renews its workers, since
    # neither LLVM's JIT nor libclang gives back all that it took.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=_TASKS_A_PROCESS) as pool:
        numbered = [(number, _portable(task)) for number, task in enumerate(ordered)]
        for number, proofs in pool.imap_unordered(_work, numbered):
            done += ordered[number].cost
            progress(label, int(done), int(whole))
            yield ordered[number], proofs


def _portable(task: Task) -> Task:
    """The task as a worker can be given it: with nothing to report progress to, and no workers of its own."""
    return replace(task, case=replace(task.case, progress=_silent, jobs=1))


def _silent(what: str, done: int, total: int | None) -> None:
    """Progress is reported by tasks."""


def _work(numbered: tuple[int, Task]) -> tuple[int, tuple[Proof, ...]]:
    number, task = numbered
    return number, prove_task(task)


def prove_task(task: Task) -> tuple[Proof, ...]:
    """Examine every claim of one ring of one family."""
    return tuple(proof for claim in claims(task) for proof in examine(claim, task.case.family))


def claims(task: Task) -> Iterator[Claim]:
    """The claims that a ring makes of a family.

    Of kernels whose bodies did not come with the sources (a wheel lacks those in `.metal` files) there is no port, and
    so no claim about one: what is emitted, and ring code. The page lists such families as not ported.
    """
    from porter.prove import code, layouts, names, outputs

    module = {Ring.NAMES: names, Ring.LAYOUTS: layouts, Ring.CODE: code, Ring.OUTPUTS: outputs}[task.ring]
    found: Iterable[Claim] = module.claims(task.case)
    if not task.case.has_source:
        of_the_port = (names.EMITTED_CLAIM, layouts.CLAIM)
        found = () if task.ring is Ring.CODE else (one for one in found if one.claim not in of_the_port)
    yield from found


def examine(claim: Claim, family: Family) -> tuple[Proof, ...]:
    """What came of one claim; `not run` where an error or a missing package kept it from being examined."""
    try:
        found = claim.examine()
    except SteelPortError as error:
        why = str(error)
    except ImportError as error:
        why = f"the package {error.name} is missing\n  next: pip install 'steel-port[verify]'"
    else:
        return () if found is None else found if isinstance(found, tuple) else (found,)
    return (Proof(claim.ring, family.name, claim.claim, claim.witness, Status.NOT_RUN, 0, why),)
