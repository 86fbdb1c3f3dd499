# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How well a detector, and a judge of notices, do on generated cases.

Lines are counted where they hold code that is no common idiom (`Case.code_lines`).
- line recall: of the derived lines, those in a passage of a match that names a right upstream file.
- found: origins (an upstream file of a case) of whose lines so covered are at least half (`FOUND`).
- precision: of the lines in passages of any match, those that are derived.
- file: of the origins that any match covers by half, those where the match that covers most lines names a right file.
- tags: of those same origins, those where that match's `revisions` are just the tags that hold the code.
Intervals are Wilson's at 95%. Lines of one case are not independent, so the intervals of line figures are too narrow.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from porter.audit.model import Match, Verdict

from .cases import Case

FOUND = 0.5

Detector = Callable[[str, str], Sequence[Match]]  # path, text -> matches
Judge = Callable[[Mapping[str, str], str, Sequence[Match]], Verdict]  # tree, path, matches -> verdict


@dataclass
class Rate:
    hits: int = 0
    total: int = 0

    def add(self, hits: int, total: int = 1) -> None:
        self.hits += hits
        self.total += total

    def __str__(self) -> str:
        if not self.total:
            return "-"
        low, high = wilson(self.hits, self.total)
        return f"{self.hits / self.total:.3f} [{low:.3f}, {high:.3f}] of {self.total}"


def wilson(hits: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval (1927) of a proportion, at 95% by default."""
    rate = hits / total
    scale = 1 + z * z / total
    middle = (rate + z * z / (2 * total)) / scale
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass
class Score:
    """Of one kind. `clean` counts cases without anything derived in which nothing was claimed."""

    kind: str
    cases: int = 0
    recall: Rate = field(default_factory=Rate)
    found: Rate = field(default_factory=Rate)
    precision: Rate = field(default_factory=Rate)
    file: Rate = field(default_factory=Rate)
    tags: Rate = field(default_factory=Rate)
    clean: Rate = field(default_factory=Rate)
    wrong: list[str] = field(default_factory=list)  # what to look at: "number: what was wrong"

    def add(self, case: Case, matches: Sequence[Match]) -> None:
        self.cases += 1
        covered = [(match, covered_lines(match) & case.code_lines) for match in matches]
        claimed = frozenset[int]().union(*(lines for _, lines in covered))
        right = claimed & case.derived()
        self.precision.add(len(right), len(claimed))
        if len(right) < len(claimed):
            self.wrong.append(f"{case.number}: claims {len(claimed - right)} lines that are not derived")
        if not case.truth:
            self.clean.add(not claimed)
        for number, origin in enumerate(case.origins):
            lines = case.derived(number)
            if not lines:
                continue
            theirs = [one for match, one in covered if match.upstream in origin.paths]
            good = lines & frozenset[int]().union(*theirs)
            self.recall.add(len(good), len(lines))
            found = len(good) >= FOUND * len(lines)
            self.found.add(found)
            if not found:
                self.wrong.append(f"{case.number}: {origin.path} at {origin.tag}: {len(good)} of {len(lines)} lines")
            self._name(case, number, covered)

    def _name(self, case: Case, number: int, covered: Sequence[tuple[Match, frozenset[int]]]) -> None:
        origin, lines = case.origins[number], case.derived(number)
        if not covered:
            return
        match, best = max(covered, key=lambda one: len(one[1] & lines))
        if len(best & lines) < FOUND * len(lines):
            return
        self.file.add(match.upstream in origin.paths)
        if not origin.tags:  # a labelled file: nobody knows its revisions
            return
        same = set(match.revisions) == set(origin.tags)
        self.tags.add(same)
        if match.upstream not in origin.paths:
            self.wrong.append(f"{case.number}: names {match.upstream}, is {sorted(origin.paths)}")
        if not same:
            more, less = set(match.revisions) - set(origin.tags), set(origin.tags) - set(match.revisions)
            self.wrong.append(f"{case.number}: {origin.path}: tags too many {sorted(more)}, too few {sorted(less)}")


def covered_lines(match: Match) -> frozenset[int]:
    return frozenset(line for one in match.passages for line in range(one.lines.first, one.lines.last + 1))


def score(kind: str, cases: Iterable[Case], detect: Detector) -> Score:
    """The detector's score on cases of one kind."""
    found = Score(kind)
    for case in cases:
        found.add(case, detect(case.target, case.text))
    return found


def confusion(cases: Iterable[Case], detect: Detector, judge: Judge) -> Counter[tuple[Verdict, Verdict]]:
    """(what the notice is, what it was judged to be) -> cases, of those with a match and one answer."""
    pairs: Counter[tuple[Verdict, Verdict]] = Counter()
    for case in cases:
        matches = detect(case.target, case.text) if case.notice is not None else ()
        if case.notice is not None and matches:
            pairs[case.notice, judge(case.tree, case.target, matches)] += 1
    return pairs


def pooled(scores: Iterable[Score]) -> Rate:
    """Precision over all lines claimed in all kinds, those without anything derived included."""
    total = Rate()
    for one in scores:
        total.add(one.precision.hits, one.precision.total)
    return total
