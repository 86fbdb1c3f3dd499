# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A mutation run: whether the rings find what they are there to find.

Mutants are drawn from a fixed list of operators and a printed seed, in turn over all families, and made on the port's
emitted text, in a copy of the overlay. Each is shown to the rings, the cheapest first, until one finds it: names,
layouts, interface, body, outputs. A mutant that does not compile counts as found, by the ring that compiles it. None is
left out. What no ring finds is listed, with a proof that it is equivalent (its kernels' IR is the same, or is after
O1), or as a miss.

Two claims would find every mutant and are left out, since they compare files, not kernels: that generated/ is what the
rules make now, and that the run-time source is the headers.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from porter.prove.case import Case, Progress
from porter.prove.layouts import base_name
from porter.prove.mutation_operators import OPERATORS, SEEN_IN_IR, STRUCT, Operator, by_name
from porter.prove.mutation_text import Change, Text
from porter.prove.sides import headers_of, port_side, table_path

RINGS = ("names", "layouts", "interface", "body", "outputs")
_OWN = 0.7  # of the mutants of headers: in a header that holds the family's kernels, where it has others too


@dataclass(frozen=True)
class Mutant:
    """One change of one file of the overlay (`file`, from the source root), drawn for `family`."""

    number: int
    operator: str
    family: str
    file: str
    line: int
    change: Change
    before: str

    def __str__(self) -> str:
        name = self.file.rpartition("/")[2]
        old, new = (" ".join(text.split()) for text in (self.before, self.change.text))
        return f"{self.number}: {self.operator}, {name}:{self.line}: `{old[:60]}` becomes `{new[:60]}`"


@dataclass(frozen=True)
class Examined:
    """What came of one mutant: the ring that found it and how, or how it is known to be equivalent, or neither."""

    mutant: Mutant
    ring: str | None
    how: str
    equivalent: str = ""

    @property
    def missed(self) -> bool:
        return self.ring is None and not self.equivalent


@dataclass(frozen=True)
class MutationReport:
    """All mutants of a run."""

    seed: int
    operators: tuple[str, ...]
    examined: tuple[Examined, ...]

    @property
    def survivors(self) -> tuple[Examined, ...]:
        """Those that no ring found."""
        return tuple(one for one in self.examined if one.ring is None)

    @property
    def misses(self) -> tuple[Examined, ...]:
        """The survivors that are not known to be equivalent."""
        return tuple(one for one in self.survivors if one.missed)

    def table(self) -> list[list[str]]:
        """A row for each operator, and their sum: its kind, how many each ring found, equivalent, missed."""
        columns = (*RINGS, "equivalent", "missed")
        rows = [["operator", "kind", "mutants", *columns]]
        total: Counter[str] = Counter()
        for name in self.operators:
            counts = Counter(_column(one) for one in self.examined if one.mutant.operator == name)
            total += counts
            rows.append([name, by_name(name).kind, str(counts.total()), *(str(counts[c] or "") for c in columns)])
        rows.append(["all", "", str(total.total()), *(str(total[c] or "") for c in columns)])
        return rows

    def to_text(self) -> str:
        """The table and the survivors, for a terminal."""
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        families = len({one.mutant.family for one in self.examined})
        lines.insert(0, f"{len(self.examined)} mutants over {families} families, seed {self.seed}")
        for one in self.survivors:
            lines.append(f"{'MISSED' if one.missed else 'equivalent'} {one.mutant}: {one.equivalent or one.how}")
        return "\n".join(lines)


def _column(one: Examined) -> str:
    return one.ring or ("missed" if one.missed else "equivalent")


def mutate(
    cases: Sequence[Case],
    count: int,
    seed: int,
    progress: Progress,
    *,
    jobs: int = 2,
    outputs: Callable[[Case], str] | None = None,
) -> MutationReport:
    """Draw `count` mutants over the families of `cases` and show each to the rings.

    `outputs` runs the outputs ring of a family on a mutated overlay and says what differs, or nothing; it has to be a
    function that another process can import. Raises ProofError where a ring finds something in the port as it stands.
    """
    from porter.prove.mutants import Examiner, examine_all

    mutants = draw(cases, count, seed)
    label = "mutation: showing mutants to the rings"
    progress(label, 0, len(mutants))
    found: list[Examined] = []
    for one in examine_all(Examiner(tuple(cases), outputs), mutants, jobs):
        found.append(one)
        progress(label, len(found), len(mutants))
    found.sort(key=lambda one: one.mutant.number)
    return MutationReport(seed, tuple(operator.name for operator in OPERATORS), tuple(found))


# ---------------------------------------------------------------------------------------------------------------------
# Drawing


def draw(cases: Sequence[Case], count: int, seed: int) -> list[Mutant]:
    """`count` mutants, in turn over the families; each takes one of the operators that were used least so far."""
    chance = random.Random(seed)  # noqa: S311 (nothing here is a secret: the seed is printed)
    order = sorted(cases, key=lambda case: case.family.name)
    chance.shuffle(order)
    places, used, taken = _Places(), Counter[str](), set[tuple[str, Change]]()
    mutants: list[Mutant] = []
    empty = 0
    while len(mutants) < count and empty < len(order):
        case = order[len(mutants) % len(order)] if not empty else order[(len(mutants) + empty) % len(order)]
        ranked = sorted(OPERATORS, key=lambda operator: (used[operator.name], chance.random()))
        drawn = next(filter(None, (places.one(case, operator, chance, taken) for operator in ranked)), None)
        if drawn is None:
            empty += 1
            continue
        empty = 0
        operator, path, change = drawn
        used[operator.name] += 1
        taken.add((path, change))
        text = places.text(case, path)
        before = text.text[change.start : change.end]
        line = text.line_of(change.start)
        mutants.append(Mutant(len(mutants) + 1, operator.name, case.family.name, path, line, change, before))
    return mutants


class _Places:
    """Where the operators can change the files of the families; every file is read and looked at once."""

    def __init__(self) -> None:
        self._texts: dict[str, Text] = {}
        self._sites: dict[tuple[str, str], tuple[Change, ...]] = {}
        self._files: dict[str, tuple[list[str], list[str], str]] = {}

    def text(self, case: Case, path: str) -> Text:
        if path not in self._texts:
            self._texts[path] = Text((source_root(case) / path).read_text(encoding="utf-8"))
        return self._texts[path]

    def one(
        self, case: Case, operator: Operator, chance: random.Random, taken: set[tuple[str, Change]]
    ) -> tuple[Operator, str, Change] | None:
        own, shared, table = self._of(case)
        files = list(own)
        others = list(shared)
        chance.shuffle(files)
        chance.shuffle(others)
        files = files + others if chance.random() < _OWN else others + files
        for path in [table] if operator.in_table else files:
            left = [change for change in self._at(case, path, operator) if (path, change) not in taken]
            if operator.kind == STRUCT:
                left = [change for change in left if self._owned(case, path, change)]
            if left:
                return operator, path, chance.choice(left)
        return None

    def _owned(self, case: Case, path: str, change: Change) -> bool:
        """Whether the change is one of a params struct of the family."""
        heads = re.findall(r"\bstruct (\w+)\s*\{", self.text(case, path).text[: change.start])
        return bool(heads) and heads[-1] in {base_name(name) for name in case.family.params}

    def _of(self, case: Case) -> tuple[list[str], list[str], str]:
        """The headers with the family's kernels, those that they include, and the table."""
        name = case.family.name
        if name not in self._files:
            own = sorted(headers_of(case))
            shared = sorted(set(port_side(case).files) - set(own))
            self._files[name] = own, shared, table_path(case).relative_to(source_root(case)).as_posix()
        return self._files[name]

    def _at(self, case: Case, path: str, operator: Operator) -> tuple[Change, ...]:
        key = (path, operator.name)
        if key not in self._sites:
            text = self.text(case, path)
            changes = operator.sites(text)
            self._sites[key] = tuple(c for c in changes if text.text[c.start : c.end] != c.text)
        return self._sites[key]


def source_root(case: Case) -> Path:
    return case.overlay_root / "pytorch" / case.target.source_root


def including(cases: Iterable[Case], file: str) -> Iterator[Case]:
    """The families whose kernels a change of `file` can reach, the smallest first."""
    reached = []
    for case in cases:
        if file in port_side(case).files or source_root(case) / file == table_path(case):
            reached.append(case)
    yield from sorted(reached, key=lambda case: (_cost(case), case.family.name))


def _cost(case: Case) -> int:
    combinations = {kernel: len(case.family.combinations(kernel)) for kernel in case.family.kernel_names}
    return sum(combinations[row.template] for row in case.rows)


def with_change(case: Case, folder: Path) -> Case:
    """`case` on a mutated overlay, a sample of its rows."""
    return replace(case, overlay_root=folder, everything=False, recall=False)


def shown_in_ir(mutant: Mutant) -> bool:
    return by_name(mutant.operator).kind in SEEN_IN_IR
