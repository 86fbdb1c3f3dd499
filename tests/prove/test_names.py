# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names: a name that is missing from a table, or that a table has too much, is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from porter.metal.air import LibraryFunction
from porter.model import Corpus, Coverage, Pin, PinnedFile, Proof, Ring, SourceFile, Sources, Status, sha256
from porter.port.target import load_target
from porter.prove.case import Case
from porter.prove.names import (
    METAL_4,
    NAX_CLAIM,
    against_library,
    against_text,
    claims,
    emitted_host_table,
    emitted_metal,
    whole_library,
)
from porter.prove.spoken import arguments_say_what_names_say
from porter.spec import Family, load_families

from .conftest import Minimal


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch):
    """A compiled library with the names that are given to it."""

    def give(*names: str) -> None:
        monkeypatch.setattr("porter.upstream.providers.wheel.metallib_of", lambda *_, **__: Path("library"))
        functions = tuple(LibraryFunction(name, 0, 0) for name in names)
        monkeypatch.setattr("porter.metal.air.functions", lambda path: functions)

    return give


PAIR = ("steel_pair_float16", "steel_pair_float32")


def test_every_name_of_the_table_is_compiled(minimal, holds):
    holds(*PAIR, "another")
    proof = against_library(minimal.case)
    assert (proof.ring, proof.status, proof.cases) == (Ring.NAMES, Status.PROVED, 2)
    assert [one.host_name for one in proof.kernels] == list(PAIR)


def test_a_name_that_is_not_compiled_is_found(minimal, holds):
    holds("steel_pair_float16")
    proof = against_library(minimal.case)
    assert (proof.status, proof.why) == (Status.DIFFERS, "1 not in the library: steel_pair_float32")
    assert [one.status for one in proof.kernels] == [Status.PROVED, Status.DIFFERS]


def test_kernels_of_metal_4_are_in_no_older_library(minimal, holds):
    case = minimal.with_family(table="mlx/backend/metal/kernels/steel/steel_pair_nax.metal")
    holds("another")
    proof = against_library(case)
    assert (proof.claim, proof.status, proof.cases) == (NAX_CLAIM, Status.PROVED, 2)
    assert {(one.status, one.why) for one in proof.kernels} == {(Status.NOT_RUN, METAL_4)}
    holds(*PAIR)
    assert against_library(case).why == "2 in the library: steel_pair_float16, steel_pair_float32"


def test_all_tables_together_are_the_library(minimal, plain, holds):
    cases = [minimal.case, plain.case]
    holds(*PAIR, "ramp", "shift_float16", "shift_float32")
    proof = whole_library(cases)
    assert (proof.status, proof.cases) == (Status.PROVED, 5)
    holds(*PAIR, "ramp", "shift_float16", "shift_float64")
    assert whole_library(cases).why == "1 missing: shift_float64; 1 extra: shift_float32"
    nax = minimal.with_family(table="steel_pair_nax.metal")
    holds(*PAIR, "ramp", "shift_float16", "shift_float32")
    assert whole_library([nax, plain.case]).why.endswith(
        "2 for Metal 4 and yet in the library: steel_pair_float16, steel_pair_float32"
    )


def test_what_upstream_makes_at_run_time_is_in_no_table(minimal, holds):
    holds("another")
    case = minimal.with_family(table=None)
    assert against_library(case) is None
    assert against_text(case) is None
    assert "2 kernels are upstream's at run time only" in whole_library([case]).notes[0]


def yaml_case(family: Family) -> Case:
    """A family whose table is the YAML's, with nothing of upstream at hand but the release's name."""
    licence = SourceFile("LICENSE", "none", sha256(b"none"))
    pin = Pin("0" * 40, "v0.30.1", "dir", Coverage.HEADERS, (PinnedFile("LICENSE", 4, licence.sha256),))
    sources = Sources(pin, Path("unused"), {"LICENSE": licence})
    corpus = Corpus(pin, (), (), (), {}, (), (), (), family.instantiations())
    return Case(sources, corpus, (family,), family, Path("unused"), load_target(), 1, lambda *_: None)


def test_the_yaml_files_together_name_all_14804_kernels_of_apples_library(library):
    cases = [yaml_case(family) for family in load_families() if family.since is None]
    proof = whole_library(cases)
    assert (proof.why, proof.status, proof.cases) == ("", Status.PROVED, 14_804)
    assert f"624 NAX names are {METAL_4}" in proof.notes


def test_without_upstreams_metal_file_the_text_is_no_witness(library):
    (family,) = load_families(["softmax"])
    case = yaml_case(family)
    assert against_text(case) is None
    assert against_library(case).notes[0].startswith("the table is that of specs/families/softmax.yaml: ")


def test_a_value_taken_out_of_the_yaml_is_missed(library):
    families = {family.name: family for family in load_families(["softmax", "logsumexp"])}
    softmax = families["softmax"]
    axes = {"dtype": softmax.tables[0].axes["dtype"][1:]}
    tables = (dataclasses.replace(softmax.tables[0], axes=axes), *softmax.tables[1:])
    cases = [yaml_case(dataclasses.replace(softmax, tables=tables)), yaml_case(families["logsumexp"])]
    assert "block_softmax_float32" not in {row.host_name for row in cases[0].rows}
    assert against_library(cases[0]).status is Status.PROVED  # what is left is compiled
    assert whole_library(cases).why.startswith(f"{14_804 - 15} missing: ")


def test_the_emitted_tables_hold_every_combination_once(minimal, plain):
    assert (emitted_metal(minimal.case).status, emitted_metal(minimal.case).cases) == (Status.PROVED, 8)
    assert (emitted_metal(plain.case).status, emitted_metal(plain.case).cases) == (Status.PROVED, 3)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('INSTANTIATE_PAIRS("steel_pair_float16", half, 8)\n', "", "4 missing: steel_pair_float16_fl0_wb0, "),
        ('"_fl1_wb1"', '"_fl1_wb0"', "2 missing: steel_pair_float16_fl1_wb1, steel_pair_float32_fl1_wb1; 2 twice: "),
        (
            'INSTANTIATE_PAIRS("steel_pair_float16"',
            'INSTANTIATE_PAIRS("steel_pair_f16"',
            "4 extra: steel_pair_f16_fl0_wb0, ",
        ),
    ],
)
def test_an_emitted_table_that_is_wrong(minimal: Minimal, old, new, why):
    minimal.mutate("SteelPair.metal", old, new)
    proof = emitted_metal(minimal.case)
    assert proof.status is Status.DIFFERS
    assert why in proof.why


def test_a_plain_kernel_that_is_gone_is_missed(plain):
    plain.mutate("MlxRamp.h", "[[kernel]] void ramp(", "void ramp(")
    assert emitted_metal(plain.case).why == "1 missing: ramp"


TABLE = """#pragma once
#include <array>
#include <string_view>
namespace at::native::mps::mlx::ramp {
struct Instantiation { std::string_view host_name, kernel, arguments; };
inline constexpr std::array<Instantiation, 3> kInstantiations{{
    {"ramp", "ramp", ""}, {"shift_float16", "shift", "half"}, {"shift_float32", "shift", "float"}}};
} // namespace at::native::mps::mlx::ramp
"""


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("float", "float", Status.PROVED),
        ('"shift", "half"', '"shift", "float"', Status.DIFFERS),
        ('{"ramp", "ramp", ""}', '{"ramp", "shift", ""}', Status.DIFFERS),
        ('"shift_float16"', '"shift_float32"', Status.DIFFERS),
    ],
)
def test_the_hosts_table_is_read_as_the_host_reads_it(plain, old, new, status):
    target = plain.case.target
    folder = plain.case.overlay_root / "pytorch" / target.source_root / target.operations
    folder.mkdir(parents=True)
    (folder / "MlxRampTable.h").write_text(TABLE.replace(old, new))
    found = emitted_host_table(plain.case)
    assert (found.status, found.cases) == (status, 3)


def gemm() -> Case:
    (family,) = load_families(["steel_gemm_fused"])
    case = yaml_case(family)
    from porter.model import KernelTemplate, Location, TemplateParameter

    kinds = [("typename", "T"), *(("int", name) for name in ("BM", "BN", "BK", "WM", "WN"))]
    kinds += [("bool", "transpose_a"), ("bool", "transpose_b"), ("typename", "AccumType")]
    where = Location("x.h", 1)
    template = KernelTemplate(
        "gemm", tuple(TemplateParameter(kind, name, None) for kind, name in kinds), (), None, where, where, family.name
    )
    return dataclasses.replace(case, corpus=dataclasses.replace(case.corpus, templates=(template,)))


@pytest.mark.parametrize(("i", "j"), [(1, 2), (4, 3), (6, 7)])
def test_two_swapped_arguments_are_found_from_the_wheel_alone(i: int, j: int):
    case = gemm()

    def swapped(arguments: tuple[str, ...]) -> tuple[str, ...]:
        order = list(arguments)
        order[i], order[j] = order[j], order[i]
        return tuple(order)

    rows = tuple(dataclasses.replace(row, arguments=swapped(row.arguments)) for row in case.corpus.instantiations)
    wrong = dataclasses.replace(case, corpus=dataclasses.replace(case.corpus, instantiations=rows))
    assert arguments_say_what_names_say(case).status is Status.PROVED
    assert arguments_say_what_names_say(wrong).status is Status.DIFFERS


def test_the_claims_of_a_family(plain):
    assert [claim.witness for claim in claims(plain.case)] == [
        "Apple's compiled library",
        "text-only expansion",
        "emitted .metal file",
        "emitted host table",
    ]
    assert all(claim.ring is Ring.NAMES for claim in claims(plain.case))
    assert isinstance(emitted_metal(plain.case), Proof)
