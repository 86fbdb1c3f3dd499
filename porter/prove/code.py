# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code, body: for every instantiation and every combination of the constants, the port's kernel is upstream's.

Both sides are compiled to unoptimised IR, a slice of the instantiations at a time, and each kernel gets a digest that
covers everything it reaches under canonical names (porter/prove/ir.py). Equal digests are the proof. What differs goes
through LLVM's -O1 and is then `equal after O1`, with the rules whose edits stand there, or `differs`.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from porter.cache import cache_dir, write_atomically
from porter.errors import ProofError
from porter.model import Corpus, Instantiation, Proof, Ring, Sources, Status, sha256, to_data
from porter.port.target import Target
from porter.prove.compile import compiler_version, emit_ir, lay_out, preprocess, toolchain_digest
from porter.prove.difference import Comparison, Pair, Verdict, smallest
from porter.prove.host import output_of
from porter.prove.ir import Module
from porter.prove.sides import (
    METAL_DEFINITIONS,
    Side,
    emitted_instantiations,
    port_side,
    table_path,
    tokens,
    upstream_side,
    without_foreign_includes,
)
from porter.prove.symbols import simple_name
from porter.prove.units import Unit, plain_unit, port_unit, slices, upstream_unit
from porter.spec import Family

Progress = Callable[[str, int, "int | None"], None]
Blame = Callable[[Iterable[str]], str]

CLAIM = "every kernel's body is upstream's, renamed"
FLAT_CLAIM = "the run-time source is the headers"
FLAT_WITNESS = "the emitted headers"
WITNESS = "unoptimised IR of both"

# Workers at once, and so at most 0.8 GB.
_WORKERS = 2
# Instantiations a unit: with 48 combinations its IR is 8 MB, and the compiler needs up to 330 MB (complex64).
_SLICE = 6
# The modules that decide what a digest means: results kept under another text of them are not looked at.
_DECIDING = ("ir.py", "difference.py", "optimise.py", "code.py")
_INITIALISERS = "@llvm.global_ctors"


@lru_cache(maxsize=1)
def _code_digest() -> str:
    return sha256(b"".join((Path(__file__).parent / name).read_bytes() for name in _DECIDING))


@dataclass(frozen=True)
class Task:
    """One slice: the units of both sides, and upstream's plain unit that vouches for the wrapped one."""

    upstream: Unit
    plain: Unit
    port: Unit
    upstream_files: Mapping[str, str]
    port_files: Mapping[str, str]

    @property
    def key(self) -> str:
        files = (
            f"{path} {sha256(text.encode())}"
            for side in (self.upstream_files, self.port_files)
            for path, text in side.items()
        )
        return sha256(
            "\n".join(
                [_code_digest(), toolchain_digest(), self.upstream.text, self.plain.text, self.port.text, *files]
            ).encode()
        )


@dataclass(frozen=True)
class Outcome:
    """What a slice came to: how many kernels were equal as they stood, and a verdict on each that was not."""

    equal: int
    verdicts: tuple[Verdict, ...]


def prove_bodies(
    sources: Sources,
    corpus: Corpus,
    family: Family,
    overlay_root: Path,
    target: Target,
    jobs: int,
    progress: Progress,
    blame: Blame | None = None,
    recall: bool = True,
) -> Proof:
    """Compare every kernel. `blame` names the rules behind functions of upstream, given by their names in the IR.

    Raises ToolchainError where a tool is missing, DigestMismatch where upstream's bytes are not the pinned ones, and
    ProofError where the sources cannot be compiled.
    """
    upstream = upstream_side(sources, family)
    port = port_side(overlay_root, target, family)
    emitted = {row.host_name: row for row in emitted_instantiations(overlay_root, target, family)}
    rows = [row for row in corpus.instantiations if row.template == family.template]
    tasks = list(make_tasks(upstream, port, family, target.header(family.kernel), rows, emitted))
    outcomes = list(run_tasks(tasks, jobs, progress, recall))
    notes = (upstream.patch_note(), port.patch_note(), f"compiler: {compiler_version()}, the same for both sides")
    return conclude(family, outcomes, notes, blame)


def make_tasks(
    upstream: Side,
    port: Side,
    family: Family,
    header: str,
    rows: list[Instantiation],
    emitted: Mapping[str, Instantiation],
) -> Iterator[Task]:
    """One task a slice. Raises ProofError where the overlay lacks a kernel: then there is nothing to compare with."""
    for part in slices(family, rows, _SLICE):
        unit = upstream_unit(family, part)
        missing = [name for name in unit.roots if name not in emitted]
        if missing:
            raise ProofError(
                f"{len(missing)} kernels are not in the overlay's table, the first is {missing[0]}",
                next_step="see the ring names",
            )
        plain = plain_unit(family, part.rows, part.combinations[-1])
        yield Task(
            unit, plain, port_unit(header, [emitted[name] for name in unit.roots]), upstream.patched, port.patched
        )


def run_tasks(tasks: list[Task], jobs: int, progress: Progress, recall: bool = True) -> Iterator[Outcome]:
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
        yield kept
    for task, outcome in _run_fresh(fresh, jobs):
        write_atomically(_place(task.key), json.dumps(to_data(outcome)).encode())
        done += 1
        progress(label, done, len(tasks))
        yield outcome


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


def compare(task: Task) -> Outcome:
    """Compile the units of one slice and compare their kernels."""
    with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
        folder = Path(temporary)
        lay_out(task.upstream_files, folder / "upstream")
        lay_out(task.port_files, folder / "port")
        upstream = Module(emit_ir(task.upstream.text, folder / "upstream"))
        _check_plain(task, upstream, Module(emit_ir(task.plain.text, folder / "upstream")))
        port = Module(emit_ir(task.port.text, folder / "port"))
    pairs = {
        key: Pair(upstream.pointee(variable), port.pointee(task.port.roots[key]))
        for key, variable in task.upstream.roots.items()
    }
    if _INITIALISERS in upstream.symbols or _INITIALISERS in port.symbols:
        pairs["initialisation before any kernel runs"] = Pair(_INITIALISERS, _INITIALISERS)
    comparison = Comparison(upstream, port)
    differing = {key: pair for key, pair in pairs.items() if not comparison.same(pair)}
    return Outcome(len(pairs) - len(differing), comparison.verdicts(differing))


def _check_plain(task: Task, wrapped: Module, plain: Module) -> None:
    for key, variable in task.plain.roots.items():
        if plain.digest(plain.pointee(variable)) != wrapped.digest(wrapped.pointee(task.upstream.roots[key])):
            raise ProofError(
                f"{key} is another kernel when upstream's header stands in a namespace",
                expected="the same code as at global scope",
                next_step="report this as a bug",
            )


def conclude(family: Family, outcomes: list[Outcome], notes: tuple[str, ...], blame: Blame | None) -> Proof:
    """One proof over all slices."""
    verdicts = [verdict for outcome in outcomes for verdict in outcome.verdicts]
    cases = sum(outcome.equal for outcome in outcomes) + len(verdicts)
    wrong = [verdict for verdict in verdicts if not verdict.equal_after_o1]
    if not verdicts:
        return Proof(Ring.CODE, family.name, CLAIM, WITNESS, Status.PROVED, cases, "", notes)
    rules = blame(dict.fromkeys(name for verdict in (wrong or verdicts) for name in verdict.functions)) if blame else ""
    if wrong:
        shown = smallest(wrong)
        where = f"smallest: {shown.key}, in {_listed(shown.functions)}"
        why = f"{len(wrong)} of {cases} kernels; {where}{rules}\n{shown.shown}"
        return Proof(Ring.CODE, family.name, CLAIM, WITNESS, Status.DIFFERS, cases, why, notes)
    functions = _listed(name for verdict in verdicts for name in verdict.functions)
    why = f"{len(verdicts)} of {cases} kernels, which differ before O1 in {functions}{rules}"
    return Proof(Ring.CODE, family.name, CLAIM, WITNESS, Status.EQUAL_AFTER_O1, cases, why, notes)


def _listed(symbols: Iterable[str]) -> str:
    names = sorted({simple_name(symbol) for symbol in dict.fromkeys(symbols)})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# ---------------------------------------------------------------------------------------------------------------------
# The flattened source

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>", re.M)


def _foreign_includes(texts: Iterable[str], files: Mapping[str, str]) -> list[str]:
    """The headers that `texts` include and that are not among `files`: Metal's own, without which nothing compiles."""
    return sorted({path for text in texts for path in _INCLUDE.findall(text)} - set(files))


def prove_flattened(family: Family, overlay_root: Path, target: Target) -> Proof:
    """The string that is compiled at run time against the header that was compared with upstream, after the
    preprocessor: the same tokens mean the same kernels."""
    port = port_side(overlay_root, target, family)
    root = overlay_root / "pytorch" / target.source_root
    name = table_path(overlay_root, target, family).name.replace(".metal", "Source.h")
    namespace = f"{'::'.join(target.namespaces['mlx'])}::steel::{family.name.removeprefix('steel_')}"
    printer = f"int main() {{ std::fputs({namespace}::kSource, stdout); }}\n"
    program = f"#include <{target.operations}/{name}>\n#include <cstdio>\n{printer}"
    path = root / target.operations / name
    flat = "\n".join("\t".join(line) for line in output_of(program, root))  # as the host's compiler has it
    mine = _foreign_includes(port.files.values(), port.files)
    theirs = _foreign_includes([flat], port.files)
    mine += tokens(port.preprocessed([target.header(family.kernel)]))
    theirs += tokens(preprocess(without_foreign_includes(flat, {}), definitions=METAL_DEFINITIONS))
    count = len(mine)
    if mine == theirs and mine:
        return Proof(Ring.CODE, family.name, FLAT_CLAIM, FLAT_WITNESS, Status.PROVED, count)
    first = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    there, here = (" ".join(found[first : first + 6]) for found in (mine, theirs))
    why = f"token {first}: {there!r} in the headers, {here!r} in {path.name}"
    return Proof(Ring.CODE, family.name, FLAT_CLAIM, FLAT_WITNESS, Status.DIFFERS, count, why)


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
