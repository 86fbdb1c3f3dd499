# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A mutation run on two libraries of our own: what is drawn, what is found, what is said of what is not."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from porter.errors import ProofError
from porter.model import Proof, Ring, Status
from porter.prove.case import Case
from porter.prove.mutants import Examiner, examine_all
from porter.prove.mutate import Mutant, draw, mutate, source_root
from porter.prove.mutation_operators import OPERATORS, STRUCT, by_name
from porter.prove.mutation_text import Change


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our libraries were compiled by nobody else, and what was found is kept nowhere else."""
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path_factory.mktemp("cache")))
    agrees = Proof(Ring.CODE, "pair", "a claim", "a witness", Status.PROVED, 1)
    monkeypatch.setattr("porter.prove.mutants.prove_compiled_interface", lambda case: agrees)


@pytest.fixture
def cases(minimal, plain) -> list[Case]:
    """Two families in one overlay."""
    for path in plain.kernels.iterdir():
        (minimal.kernels / path.name).write_text(path.read_text())
    return [minimal.case, dataclasses.replace(plain.case, overlay_root=minimal.case.overlay_root)]


def mutant(case: Case, operator: str, name: str, old: str, new: str) -> Mutant:
    """A mutant of our choice."""
    file = f"{case.target.kernels}/{name}"
    text = (source_root(case) / file).read_text()
    assert text.count(old) == 1
    start = text.index(old)
    return Mutant(1, operator, case.family.name, file, 1, Change(start, start + len(old), new), old)


def examined(case: Case, one: Mutant):
    (found,) = examine_all(Examiner((case,)), [one], 1)
    return found


def test_one_seed_draws_the_same_mutants_in_turn_over_the_families(cases):
    first = draw(cases, 30, 7)
    assert first == draw(cases, 30, 7)
    assert first != draw(cases, 30, 8)
    assert set(Counter(one.family for one in first).values()) == {15}
    assert len({(one.file, one.change) for one in first}) == 30
    assert len({one.operator for one in first}) > 20


def test_only_params_structs_lose_fields(minimal):
    drawn = draw([minimal.case], 100, 1)
    fields = [one for one in drawn if by_name(one.operator).kind == STRUCT]
    assert fields
    assert all(one.file.endswith("SteelPairParams.h") for one in fields)


def test_a_run_misses_nothing_and_changes_nothing(cases):
    before = {path: path.read_bytes() for case in cases for path in case.overlay_root.rglob("*.*") if path.is_file()}
    calls: list[tuple[int, int | None]] = []
    report = mutate(cases, 24, 3, lambda _, done, total: calls.append((done, total)), jobs=1)
    assert {path: path.read_bytes() for path in before} == before
    assert len(report.examined) == 24
    assert [one.mutant.number for one in report.examined] == list(range(1, 25))
    assert report.misses == ()
    assert calls[-1] == (24, 24)
    header, *rows, total = report.table()
    assert len(rows) == len(OPERATORS)
    assert int(total[2]) == 24 == sum(int(cell or 0) for cell in total[3:])
    assert header[3:] == ["names", "layouts", "interface", "body", "outputs", "equivalent", "missed"]
    assert report.to_text().startswith("24 mutants over 2 families, seed 3\n")


@pytest.mark.parametrize(
    ("operator", "file", "old", "new", "ring"),
    [
        ("lost row", "SteelPair.metal", 'INSTANTIATE_PAIRS("steel_pair_float16", half, 8)\n', "", "names"),
        ("field order", "SteelPairParams.h", "int32_t count;\n  int32_t stride", "int32_t stride;\n  int32_t count",
         "layouts"),
        ("slot", "SteelPair.h", "[[buffer(2)]]", "[[buffer(9)]]", "interface"),
        ("boundary", "SteelPairLoader.h", "j < columns", "j <= columns", "body"),
        ("integer", "SteelPairLoader.h", "short k = 0", "short k = zero", "interface"),  # does not compile
        ("template type", "SteelPair.metal", '_float16", half', '_float16", halve', "interface"),
    ],
)  # fmt: skip
def test_the_cheapest_ring_that_finds_it_is_named(minimal, operator, file, old, new, ring):
    found = examined(minimal.case, mutant(minimal.case, operator, file, old, new))
    assert (found.ring, found.missed) == (ring, False)
    assert found.how.startswith("steel_pair: ")


def test_what_no_kernel_reaches_is_equivalent_and_says_why(minimal):
    one = mutant(minimal.case, "integer", "SteelPairLoader.h", "float get(bool sign) const thread { return sign",
                 "float get(bool sign) const thread { return !sign")  # fmt: skip
    found = examined(minimal.case, one)
    assert (found.ring, found.equivalent) == (None, "8 kernels of 1 family keep their IR")


def test_what_the_optimiser_makes_equal_is_equivalent(minimal):
    one = mutant(minimal.case, "operands", "SteelPairLoader.h", "j * stride + rows", "rows + j * stride")
    found = examined(minimal.case, one)
    assert (found.ring, found.equivalent) == (None, "8 kernels of 1 family keep their IR, 8 of them after O1")


def test_what_ir_does_not_show_is_a_miss_where_no_ring_finds_it(minimal, monkeypatch):
    monkeypatch.setattr("porter.prove.mutants.Examiner.quick", lambda self, mutant, case: None)
    one = mutant(minimal.case, "slot", "SteelPair.h", "[[buffer(2)]]", "[[buffer(9)]]")
    found = examined(minimal.case, one)
    assert found.missed
    assert found.how == "IR does not show this kind of change"


def test_the_outputs_are_asked_last(minimal, monkeypatch):
    monkeypatch.setattr("porter.prove.mutants.Examiner.quick", lambda self, mutant, case: None)
    one = mutant(minimal.case, "slot", "SteelPair.h", "[[buffer(2)]]", "[[buffer(9)]]")
    (found,) = examine_all(Examiner((minimal.case,), lambda case: "another result"), [one], 1)
    assert (found.ring, found.how) == ("outputs", "steel_pair: another result")


def test_a_port_that_is_not_proved_says_nothing_of_mutants(minimal):
    minimal.mutate("SteelPairLoader.h", "j < columns", "j <= columns")
    with pytest.raises(ProofError, match="the ring body finds something without any mutant"):
        examined(minimal.case, mutant(minimal.case, "slot", "SteelPair.h", "[[buffer(2)]]", "[[buffer(9)]]"))
