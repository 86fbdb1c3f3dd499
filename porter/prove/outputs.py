# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring outputs: what the ported kernels compute, run on the CPU on the launches that a family's generator makes.

Two claims of every family. The ported kernel computes what Apple's compiled kernel computes: bit for bit, except where
the bitcode leaves an order or a rounding open (porter/prove/basis.py). And it computes what the generator expects:
what MLX's arrays, torch or numpy say, within the family's tolerances. Kernels that Apple's library lacks (NAX, and what
MLX compiles at run time only) have the second claim alone. Where the kernels' bodies are not at hand (a wheel), it is
Apple's compiled kernel of which the second claim is made. The fused GEMM has claims of its own beside these
(porter/prove/gemm_outputs.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from porter.errors import ProofError
from porter.model import Instantiation, KernelResult, Proof, Ring, Status
from porter.prove import gemm_outputs, kept_outcomes
from porter.prove.basis import CALLS, EXACT, FUSED
from porter.prove.case import LIBRARY, Case, Claim, sampled
from porter.prove.compare_kernels import Job, generator
from porter.prove.compiled_kernels import digests
from porter.prove.launch import GUARD_BYTES
from porter.prove.outcome import Found, Outcome
from porter.prove.runnable import PortSource, Runnable
from porter.prove.workers import compare_all

APPLE_CLAIM = "computes what Apple's compiled kernel computes"
EXPECTED_CLAIM = "computes what the operation means"
_CHUNK = 48
"""Kernels in one job: one run of clang's front end serves them all, and a kill loses no more than that."""

POLICY = (
    f"compared: every element of each output (a NaN equals a NaN), {GUARD_BYTES} bytes behind each buffer, and that no "
    "other buffer changes"
)


def claims(case: Case) -> Iterator[Claim]:
    """The ring's claims of one family."""
    yield Claim(Ring.OUTPUTS, APPLE_CLAIM, LIBRARY, lambda: prove_outputs(case))
    if case.family.name == gemm_outputs.FAMILY:
        witness = "float64 (numpy) and MLX's arrays (CPU)"
        yield Claim(
            Ring.OUTPUTS, "the kernels compute their products", witness, lambda: gemm_outputs.prove_products(case)
        )


def prove_outputs(case: Case) -> tuple[Proof, ...]:
    """Both claims, as far as there is something to compare with.

    Raises ProofError where the family has no generator or the overlay lacks its files, UpstreamError where Apple's
    library cannot be had, ToolchainError where nothing can be run.
    """
    jobs = make_jobs(case)
    outcomes = run_jobs(jobs, case)
    return conclude(case, jobs, outcomes)


def make_jobs(case: Case) -> tuple[Job, ...]:
    """The chosen rows of the port in chunks; those that Apple's library lacks apart."""
    return jobs_of(case, PortSource.of(case) if case.has_source else None)


def jobs_of(case: Case, source: Runnable | None) -> tuple[Job, ...]:
    """As `make_jobs`, of any source; without one, Apple's kernels alone. Raises ProofError as `prove_outputs` does."""
    generator(case.family)
    if not case.chosen:
        raise ProofError(f"the family {case.family.name} names no kernel", where=f"specs/{case.family.path}")
    known = digests(case.library)
    thorough = frozenset(row.host_name for row in sampled(case.family, case.rows))
    compiled = [row for row in case.chosen if row.host_name in known]
    others = [row for row in case.chosen if row.host_name not in known]
    parts: list[tuple[tuple[Instantiation, ...], Path | None]] = [(part, case.library) for part in _chunks(compiled)]
    if source is not None:
        parts += [(part, None) for part in _chunks(others)]
    return tuple(
        Job(
            family=case.family,
            rows=part,
            thorough=thorough & {row.host_name for row in part},
            structs=case.structs,
            library=library,
            source=source,
        )
        for part, library in parts
    )


def _chunks(rows: Sequence[Instantiation]) -> Iterator[tuple[Instantiation, ...]]:
    """In the order of the kernels, so that a chunk's texts are few."""
    ordered = sorted(rows, key=lambda row: (row.template, row.host_name))
    for at in range(0, len(ordered), _CHUNK):
        yield tuple(ordered[at : at + _CHUNK])


def run_jobs(jobs: Sequence[Job], case: Case) -> tuple[Outcome, ...]:
    """What every job comes to; with `case.recall`, what was found before for the same inputs is not run again."""
    label = f"outputs: running kernels of {case.family.name}"
    whole = sum(len(job.rows) for job in jobs)
    case.progress(label, 0, whole)
    keys = [kept_outcomes.key(job) for job in jobs]
    found = {number: kept_outcomes.recall(key) if case.recall else None for number, key in enumerate(keys)}
    fresh = [number for number, outcomes in found.items() if outcomes is None]
    done = whole - sum(len(jobs[number].rows) for number in fresh)
    for number, outcomes in compare_all([jobs[number] for number in fresh], max(case.jobs, 1)):
        found[fresh[number]] = outcomes
        kept_outcomes.keep(keys[fresh[number]], outcomes)
        done += len(outcomes)
        case.progress(label, done, whole)
    return tuple(one for outcomes in found.values() if outcomes for one in outcomes)


# ---------------------------------------------------------------------------------------------------------------------
# From outcomes to proofs


def conclude(case: Case, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> tuple[Proof, ...]:
    """The proofs. A claim that is made of no kernel is left out; with neither, one says that nothing was run."""
    witness = str(getattr(generator(case.family), "WITNESS", "numpy"))
    lacking = {row.host_name for job in jobs if job.library is None for row in job.rows}
    notes = (
        [] if not lacking else [f"Apple's compiled library lacks {len(lacking)} kernels: of them see the other claim"]
    )
    bodies = [] if case.has_source else ["the bodies were not at hand: it is Apple's compiled kernels that were run"]
    apple = [(one.host_name, one.apple) for one in outcomes if one.apple]
    expected = [(one.host_name, one.expected) for one in outcomes if one.expected]
    proofs = (
        _proof(case, APPLE_CLAIM, LIBRARY, apple, notes),
        _proof(case, EXPECTED_CLAIM, witness, expected, bodies),
    )
    made = tuple(proof for proof in proofs if proof is not None)
    if made:
        return made
    why = "neither the kernels' bodies nor Apple's compilation of them are at hand, or nothing says what is expected"
    return (Proof(Ring.OUTPUTS, case.family.name, EXPECTED_CLAIM, witness, Status.NOT_RUN, 0, why),)


def _proof(
    case: Case, claim: str, witness: str, found: Sequence[tuple[str, Found]], notes: Sequence[str]
) -> Proof | None:
    if not found:
        return None
    templates = {row.host_name: row.template for row in case.chosen}
    ordered = sorted(found, key=lambda pair: pair[0])
    kernels = tuple(
        KernelResult(name, _status(case, templates[name], one), one.cases, one.why, one.basis, one.details)
        for name, one in ordered
    )
    status, why = _verdict(case, ordered, kernels)
    facts = (*notes, *_facts([one for _, one in found]))
    cases = sum(one.cases for _, one in found)
    return Proof(Ring.OUTPUTS, case.family.name, claim, witness, status, cases, why, facts, kernels)


def _status(case: Case, template: str, found: Found) -> Status:
    """Where integer constants choose among ways through a kernel, only samples of their values were run."""
    if found.status == "equal":
        return Status.SAMPLED if case.family.is_sampled(template) else Status.PROVED
    return Status.DIFFERS if found.status == "differs" else Status.NOT_RUN


def _verdict(case: Case, found: Sequence[tuple[str, Found]], kernels: Sequence[KernelResult]) -> tuple[Status, str]:
    """What the claim may call itself, and the smallest case that speaks against it."""
    for status in (Status.DIFFERS, Status.NOT_RUN):
        wrong = [pair for pair, kernel in zip(found, kernels, strict=True) if kernel.status is status]
        if wrong:
            name, one = min(wrong, key=lambda pair: (pair[1].smallest, pair[0]))
            return status, f"{len(wrong)} of {len(found)} kernels; smallest case: {name}, {one.why}"
    sampled = any(kernel.status is Status.SAMPLED for kernel in kernels)
    return (Status.SAMPLED if sampled else case.status), ""


def _facts(found: Sequence[Found]) -> Iterator[str]:
    """How many kernels agree on which basis, and what was compared."""
    bases = [one for one in found if one.basis and one.status == "equal"]
    if bases:
        within = [one for one in bases if one.within]
        called = [one for one in bases if not one.within and CALLS in one.basis]
        fused = sum(FUSED in one.basis for one in bases)
        parts = [f"{len(bases) - len(within) - len(called)} {EXACT}"]
        parts += [f"{len(called)} {EXACT} though they call what hides an order or a rounding"] if called else []
        worst = max((one.worst for one in within), default=0.0)
        parts += [f"{len(within)} within the tolerance, by at most {worst:.2g} of it"] if within else []
        yield f"of the kernels that agree: {', '.join(parts)}"
        if fused:
            yield f"{fused} of them {FUSED}"
    else:
        worst = max((one.worst for one in found if one.status == "equal"), default=0.0)
        yield f"the largest error is {worst:.2g} of the family's tolerance, which its YAML derives"
    yield POLICY
