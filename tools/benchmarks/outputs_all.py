# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How fast the ring outputs goes over kernels of Apple's library, both sides compiled, run and compared.

    tools/bench outputs_all [--root DIR] [--sample] [--limit N] [FAMILY ...]

For each family: kernels, cases, when it was done, and what was found. Then all of it again, recalled. The port
is the one under DIR (default: this folder), made by `steel-port sync`. Peak memory is the resident memory of the whole
process tree, read every 0.2 s; shared pages count once for every process that has them. Processor time is that of the
children and their compilers; on a busy machine it says more than the seconds do.
"""

from __future__ import annotations

import argparse
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from memory import resident, tree

from porter.model import Sources
from porter.parse.corpus import read_corpus
from porter.parse.requests import with_requests
from porter.port.target import load_target
from porter.prove import kept_outcomes
from porter.prove.case import Case
from porter.prove.compare_kernels import Job
from porter.prove.outcome import Outcome
from porter.prove.outputs import make_jobs
from porter.prove.workers import compare_all
from porter.spec import Family, load_families, present
from porter.upstream import vendored

PROCESSES = 2


def watch(peak: list[int], stop: threading.Event) -> None:
    """Keep the most KiB that this process and those below it took in `peak`."""
    while not stop.wait(0.2):
        peak[0] = max(peak[0], sum(map(resident, tree(os.getpid()))))


def jobs_of(
    root: Path, families: Sequence[Family], sources: Sources, everything: bool, limit: int
) -> dict[str, list[Job]]:
    corpus = read_corpus(sources, tuple(families), 1)
    target = load_target()
    out = {}
    for family in families:
        case = Case(
            sources, corpus, tuple(families), family, root / "generated", target, 1, lambda *_: None, True, everything
        )
        jobs = [job for job in make_jobs(case) if job.library is not None]
        out[family.name] = jobs[: max(1, limit // 48)] if limit else jobs
    return out


def run(jobs: list[Job]) -> tuple[int, float]:
    """Compare, keep what holds, and print a line for each family: (kernels, seconds) of all."""
    start = time.perf_counter()
    outcomes: dict[str, list[Outcome]] = {}
    last: dict[str, float] = {}
    for number, found in compare_all(jobs, PROCESSES):
        kept_outcomes.keep(kept_outcomes.key(jobs[number]), found)
        name = jobs[number].family.name
        outcomes.setdefault(name, []).extend(found)
        last[name] = time.perf_counter() - start
    begun = 0.0
    for name, listed in outcomes.items():
        cases = sum(one.apple.cases for one in listed if one.apple)
        came = Counter(one.apple.status for one in listed if one.apple)
        said = ", ".join(f"{status} {count}" for status, count in sorted(came.items()))
        taken = max(last[name] - begun, 0.0)
        begun = max(begun, last[name])
        print(
            f"{name:30} {len(listed):6} kernels {cases:7} cases, done after {last[name]:7.1f} s ({taken:6.1f})  {said}"
        )
    return sum(map(len, outcomes.values())), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--sample", action="store_true", help="one kernel of each template and dtype")
    parser.add_argument("--limit", type=int, default=0, help="about so many kernels of each family")
    options = parser.parse_args()
    upstream = vendored(options.root / "upstream_mlx")
    families = [family for family in present(load_families(options.families or None), upstream) if family.cases]
    sources = with_requests(upstream, families)
    peak, stop = [0], threading.Event()
    threading.Thread(target=watch, args=(peak, stop), daemon=True).start()
    jobs = jobs_of(options.root, families, sources, not options.sample, options.limit)
    kernels, seconds = run([job for listed in jobs.values() for job in listed])
    stop.set()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime
    print(
        f"{kernels} kernels in {seconds:.1f} s, {kernels / seconds:.1f} a second; {processor:.1f} s of processor time"
    )
    print(f"14,804 kernels with {PROCESSES} cores free: {14804 * processor / kernels / PROCESSES / 60:.1f} minutes")
    print(f"peak memory {peak[0] / 1024:.0f} MiB")
    start = time.perf_counter()
    again = jobs_of(options.root, families, sources, not options.sample, options.limit)
    recalled = [kept_outcomes.recall(kept_outcomes.key(job)) for listed in again.values() for job in listed]
    missing = sum(one is None for one in recalled)
    print(f"recalled in {time.perf_counter() - start:.2f} s, {missing} of {len(recalled)} jobs would be run again")


if __name__ == "__main__":
    main()
