# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How well `steel-port audit` finds what comes from MLX, on cases with known truth (docs/audit-quality.md).

    tools/bench audit_quality [--seed tuning|held-out] [--mlx-source GIT] [--count N] [--wrong] [KIND ...]

The cases are made from every release of the clone that --mlx-source or STEEL_PORT_MLX_GIT names; without one, from the
vendored tree, which has one revision: the figures about revisions are then not measured. Excerpts and negatives are
--count cases a kind (200), whole files and trees a third as many. The held-out seed is for final figures only.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from porter.audit.detect import find
from porter.audit.history import of_clone, of_sources
from porter.audit.index import Index, index_of
from porter.audit.judge import judge
from porter.audit.model import Match, Verdict
from porter.audit.tree_licences import TreeLicences
from porter.upstream import vendored
from tests.audit import labelled
from tests.audit.cases import EXCERPTS, HELD_OUT_SEED, KINDS, NEGATIVES, TUNING_SEED, WHOLE, Case, Generator
from tests.audit.history import History, history_of, history_of_tree
from tests.audit.negatives import carried_versions
from tests.audit.score import Score, pooled

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {"tuning": TUNING_SEED, "held-out": HELD_OUT_SEED}


def history_and_index(source: str | None) -> tuple[History, Index]:
    """Both sides read upstream for themselves: the truth by tests/audit, the detector by porter/audit."""
    if source:
        history = history_of(source)
        return history, index_of(of_clone(source), list(history.tags))
    sources = vendored(ROOT / "upstream_mlx")
    revision = sources.pin.tag or sources.pin.revision
    return history_of_tree(ROOT / "upstream_mlx", revision), index_of(of_sources(sources), [revision])


class Judge:
    """The notice about the largest match of a generated tree, judged as in an audit."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __call__(self, tree: Mapping[str, str], target: str, matches: Sequence[Match]) -> Verdict:
        match = max(matches, key=lambda one: one.tokens)
        licences = TreeLicences(tree, tree.__getitem__)
        return judge(licences, target, tree[target], match, self._index.by_digest(match.digest)).verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join((*KINDS, labelled.KIND))}")
    parser.add_argument("--seed", choices=SEEDS, default="tuning")
    parser.add_argument("--mlx-source", default=os.environ.get("STEEL_PORT_MLX_GIT"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--wrong", action="store_true", help="list what was wrong (with the tuning seed only)")
    options = parser.parse_args()
    if options.wrong and options.seed != "tuning":
        parser.error("--wrong shows cases, and nobody looks at those of the held-out seed")
    kinds = options.kinds or [*KINDS, labelled.KIND]
    if unknown := set(kinds) - {*KINDS, labelled.KIND}:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    start = time.perf_counter()
    history, index = history_and_index(options.mlx_source)
    generator = Generator(history)
    print(f"MLX {history.tags[0]} to {history.tags[-1]}, {len(history.tags)} revisions")
    print(f"headers of {carried_versions()}")
    print(f"seed {options.seed}; read and indexed in {time.perf_counter() - start:.0f} s\n")
    scores, notices = [], Counter[tuple[Verdict, Verdict]]()
    judging = Judge(index)
    for kind in kinds:
        score = Score(kind)
        for case in cases_of(kind, generator, SEEDS[options.seed], options.count):
            matches = find(case.target, case.text, index)
            score.add(case, matches)
            if case.notice is not None and matches:
                notices[case.notice, judging(case.tree, case.target, matches)] += 1
        print_score(score, len(history.tags), options.wrong)
        scores.append(score)
    print(f"precision over the lines of all kinds: {pooled(scores)}")
    print_confusion(notices)


def cases_of(kind: str, generator: Generator, seed: int, count: int) -> Iterable[Case]:
    if kind == labelled.KIND:
        folder = labelled.include_folder()
        if folder is None:
            print(f"{kind}: not measured, torch is not installed")
            return ()
        return labelled.labelled(folder)
    return generator.cases(seed, kind, max(1, count // 3) if kind in WHOLE else count)


def print_score(score: Score, revisions: int, wrong: bool) -> None:
    print(f"{score.kind}: {score.cases} cases")
    rows = {"precision of lines": score.precision}
    if score.kind in NEGATIVES:
        rows["cases with no claim"] = score.clean
    else:
        rows |= {"recall of lines": score.recall, "found (half or more)": score.found, "file right": score.file}
    if score.kind in (*EXCERPTS, *WHOLE) and revisions > 1:
        rows["revisions right"] = score.tags
    for name, rate in rows.items():
        print(f"  {name:22} {rate}")
    if score.kind in (*EXCERPTS, *WHOLE) and revisions == 1:
        print("  revisions right        not measured: one revision only (give --mlx-source)")
    for one in score.wrong if wrong else ():
        print(f"    {one}")
    print(flush=True)


def print_confusion(notices: Counter[tuple[Verdict, Verdict]]) -> None:
    print("\nnotices: rows are the truth, columns what was judged")
    verdicts = list(Verdict)
    print(" " * 34 + "".join(f"{verdict.name[:14]:>16}" for verdict in verdicts))
    for truth in verdicts:
        print(f"{truth.value:34}" + "".join(f"{notices[truth, judged]:16}" for judged in verdicts))
    right = sum(count for (truth, judged), count in notices.items() if truth is judged)
    total = sum(notices.values())
    print(f"right: {right} of {total}" if total else "no notice was judged")


if __name__ == "__main__":
    main()
