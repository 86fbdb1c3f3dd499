# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code: for every instantiation and every combination of the constants, the port's kernel is upstream's.

The body's half stands here, the interface's in porter/prove/interface.py. Both sides are compiled to unoptimised IR, a
unit of some instantiations at a time, and each kernel gets a digest that covers everything it reaches under canonical
names (porter/prove/ir.py). Equal digests are the proof. What differs goes through LLVM's -O1 and is then `equal after
O1`, with the rules whose edits stand there, or `differs`.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from porter.cache import cache_dir, write_atomically
from porter.model import Instantiation, Proof, Ring, Status, sha256, to_data
from porter.prove.blame import blamer
from porter.prove.case import LIBRARY, Case, Claim, Progress
from porter.prove.compile import compiler_version, emit_ir, lay_out, toolchain_digest
from porter.prove.difference import Comparison, Pair, Verdict, smallest
from porter.prove.ir import Module
from porter.prove.kernels import kernel_results
from porter.prove.names import is_nax
from porter.prove.sides import Side, emitted_instantiations, port_side, upstream_side
from porter.prove.symbols import simple_name
from porter.prove.units import Part, Unit, parts, port_unit, upstream_unit

Blame = Callable[[Iterable[str]], str]

CLAIM = "every kernel's body is upstream's, renamed"
WITNESS = "unoptimised IR of both"

_WORKERS = 2
# Instantiations a unit. The reductions, whose kernels are many and small, make 15 MB of IR so, and their compiler
# takes 190 MB; measured on all families of v0.30.1 (tools/bench code).
_ROWS = 800
# The modules that decide what a digest means: results kept under another text of them are not looked at.
_DECIDING = ("ir.py", "difference.py", "optimise.py", "code.py")
_INITIALISERS = "@llvm.global_ctors"
INITIALISATION = "initialisation before any kernel runs"


def claims(case: Case) -> Iterator[Claim]:
    """What the ring code claims of a family. Without the bodies there is nothing to compare."""
    from porter.prove import compiled_interface, flattened, interface

    yield Claim(Ring.CODE, interface.CLAIM, interface.WITNESS, partial(interface.prove_interface, case))
    if not is_nax(case.family) and case.family.table is not None:
        compiled = partial(compiled_interface.prove_compiled_interface, case)
        yield Claim(Ring.CODE, compiled_interface.CLAIM, LIBRARY, compiled)
    yield Claim(Ring.CODE, CLAIM, WITNESS, partial(prove_bodies, case, blamer(case)))
    yield Claim(Ring.CODE, flattened.CLAIM, flattened.WITNESS, partial(flattened.prove_flattened, case))


@dataclass(frozen=True)
class Task:
    """One unit of both sides. `hosts`: what is compared -> upstream's host name."""

    upstream: Unit
    port: Unit
    hosts: Mapping[str, str]
    upstream_side: Side
    port_side: Side

    @property
    def key(self) -> str:
        texts = (self.upstream.text, self.port.text, self.upstream_side.digest, self.port_side.digest)
        return sha256("\n".join([_code_digest(), toolchain_digest(), *texts]).encode())


@dataclass(frozen=True)
class Outcome:
    """What a unit came to: how many comparisons were equal as they stood, and a verdict on each that was not."""

    equal: int
    verdicts: tuple[Verdict, ...]


@lru_cache(maxsize=1)
def _code_digest() -> str:
    return sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in _DECIDING))


def prove_bodies(case: Case, blame: Blame | None = None) -> Proof:
    """Compare every chosen kernel. `blame` names the rules behind functions of upstream, by their names in the IR.

    Raises ToolchainError where a tool is missing, DigestMismatch where upstream's bytes are not the pinned ones, and
    ProofError where the sources cannot be compiled or the overlay lacks a kernel.
    """
    upstream, port = upstream_side(case), port_side(case)
    tasks = list(make_tasks(case, upstream, port))
    found = list(run_tasks(tasks, case.jobs, case.progress, case.recall))
    notes = (upstream.patch_note(), port.patch_note(), f"compiler: {compiler_version()}, the same for both sides")
    return conclude(case, found, notes, blame)


def make_tasks(
    case: Case, upstream: Side, port: Side, wanted: Callable[[Part], bool] = lambda part: True
) -> Iterator[Task]:
    """One task a unit. Raises ProofError where the overlay lacks a kernel: then there is nothing to compare with."""
    emitted: dict[str, Instantiation] = {row.host_name: row for row in emitted_instantiations(case)}
    for part in filter(wanted, parts(case.family, case.chosen, _ROWS)):
        unit = upstream_unit(case, upstream, part)
        hosts = dict(zip(unit.roots, (row.host_name for row in part.rows), strict=True))
        yield Task(unit, port_unit(case, part, emitted), hosts, upstream, port)


def run_tasks(tasks: list[Task], jobs: int, progress: Progress, recall: bool = True) -> Iterator[tuple[Task, Outcome]]:
    """The outcomes, in no order; with `recall`, what was found before for the same inputs is taken from the cache."""
    label = "code: comparing kernels"
    progress(label, 0, len(tasks))
    done = 0
    fresh = []
    for task in tasks:
        kept = _recall(task.key) if recall else None
        if kept is None:
            fresh.append(task)
            continue
        done += 1
        progress(label, done, len(tasks))
        yield task, kept
    for task, outcome in _run_fresh(fresh, jobs):
        write_atomically(_place(task.key), json.dumps(to_data(outcome)).encode())
        done += 1
        progress(label, done, len(tasks))
        yield task, outcome


def _run_fresh(tasks: list[Task], jobs: int) -> Iterator[tuple[Task, Outcome]]:
    workers = min(jobs, _WORKERS, len(tasks))
    if workers < 2:
        yield from ((task, compare(task)) for task in tasks)
        return
    # Spawned, not forked: the parent may hold threads (torch, libclang).
    pool: Executor
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures: dict[Future[Outcome], Task] = {pool.submit(compare, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def compare(task: Task, known: Module | None = None) -> Outcome:
    """Compile the unit of each side and compare their kernels. `known`: upstream's module, compiled before."""
    upstream = known or Module(compiled(task.upstream, task.upstream_side))
    port = Module(compiled(task.port, task.port_side))
    pairs = {
        key: Pair(upstream.pointee(variable), port.pointee(task.port.roots[key]))
        for key, variable in task.upstream.roots.items()
    }
    if _initialised(upstream, [pair.upstream for pair in pairs.values()]) or _initialised(
        port, [pair.port for pair in pairs.values()]
    ):
        pairs[INITIALISATION] = Pair(_INITIALISERS, _INITIALISERS)
    comparison = Comparison(upstream, port)
    differing = {key: pair for key, pair in pairs.items() if not comparison.same(pair)}
    return Outcome(len(pairs) - len(differing), comparison.verdicts(differing))


def _initialised(module: Module, kernels: Iterable[str]) -> bool:
    """Whether a kernel reaches a variable that is given its value before any kernel runs."""
    if _INITIALISERS not in module.symbols:
        return False
    given = set(module.reachable(_INITIALISERS))
    return any(variable in given for kernel in kernels for variable in module.free(kernel))


def compiled(unit: Unit, side: Side) -> str:
    """The unit's IR."""
    with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
        lay_out(side.patched, Path(temporary))
        return emit_ir(unit.text, Path(temporary))


def conclude(case: Case, found: list[tuple[Task, Outcome]], notes: tuple[str, ...], blame: Blame | None) -> Proof:
    """One proof over all units, with what was found for each of upstream's kernels."""
    family = case.family
    verdicts = [verdict for _, outcome in found for verdict in outcome.verdicts]
    cases = sum(outcome.equal for _, outcome in found) + len(verdicts)
    kernels = kernel_results(case, ((task.hosts, outcome.verdicts) for task, outcome in found))
    wrong = [verdict for verdict in verdicts if not verdict.equal_after_o1]
    places = dict.fromkeys(name for one in (wrong or verdicts) for name in one.functions)
    rules = blame(places) if blame and places else ""
    if wrong:
        shown = smallest(wrong)
        where = f"smallest: {shown.key}, in {_listed(shown.functions)}"
        why = f"{len(wrong)} of {cases} kernels; {where}{rules}\n{shown.shown}"
        return Proof(Ring.CODE, family.name, CLAIM, WITNESS, Status.DIFFERS, cases, why, notes, kernels)
    why = ""
    if verdicts:
        functions = _listed(name for verdict in verdicts for name in verdict.functions)
        why = f"{len(verdicts)} of {cases} kernels, which differ before O1 in {functions}{rules}"
    status = Status.EQUAL_AFTER_O1 if verdicts else Status.PROVED
    if case.status is Status.SAMPLED or any(one.status is Status.SAMPLED for one in kernels):
        status, notes = Status.SAMPLED, (*notes, *_sampled_notes(case))
    return Proof(Ring.CODE, family.name, CLAIM, WITNESS, status, cases, why, notes, kernels)


def _sampled_notes(case: Case) -> Iterator[str]:
    if case.status is Status.SAMPLED:
        yield f"{len(case.chosen)} of {len(case.rows)} kernels were looked at"
    for name in case.family.kernel_names:
        if case.family.is_sampled(name):
            yield f"{name}: integer constants have {len(case.family.combinations(name))} sets of values, a sample"


def _listed(symbols: Iterable[str]) -> str:
    names = sorted({simple_name(symbol) for symbol in dict.fromkeys(symbols)})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# ---------------------------------------------------------------------------------------------------------------------
# What was found before


def _place(key: str) -> Path:
    return cache_dir("proofs") / f"{key}.json"


def _recall(key: str) -> Outcome | None:
    try:
        data = json.loads(_place(key).read_text())
        verdicts = tuple(
            Verdict(v["key"], v["equal_after_o1"], tuple(v["functions"]), v["shown"], v["size"])
            for v in data["verdicts"]
        )
        return Outcome(int(data["equal"]), verdicts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
