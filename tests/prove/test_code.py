# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The body half of the code ring: every change of meaning is found, and none but a change is reported."""

from __future__ import annotations

import dataclasses

import pytest

from porter.errors import DigestMismatch, ProofError
from porter.model import SourceFile, Sources, Status
from porter.prove.code import prove_bodies

from .conftest import Minimal


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path_factory.mktemp("cache")))


def run(pair: Minimal):
    return prove_bodies(pair.case)


def test_a_rename_proves_every_kernel(minimal):
    proof = run(minimal)
    assert (proof.status, proof.cases, proof.why) == (Status.PROVED, 8, "")
    assert "address space twin 1" in proof.notes[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "count"),
    [
        pytest.param("SteelPairLoader.h", "j < columns", "j <= columns", 8, id="< becomes <="),
        pytest.param("SteelPairLoader.h", "k < width", "k < width - 1", 8, id="off by one"),
        pytest.param("SteelPairLoader.h", "j * stride + rows", "rows * stride + j", 8, id="wrong transpose"),
        pytest.param("SteelPair.h", "(left, right, flip)", "(right, left, flip)", 8, id="swapped fragments"),
        pytest.param(
            "SteelPair.h", "  threadgroup_barrier(mem_flags::mem_threadgroup);\n", "", 8, id="dropped barrier"
        ),
        pytest.param("SteelPair.h", "mem_flags::mem_threadgroup", "mem_flags::mem_device", 8, id="weaker barrier"),
        pytest.param("SteelPair.h", "threadgroup T right[W]", "threadgroup T right[W + 1]", 8, id="larger tile"),
        pytest.param("SteelPair.h", "b{A, right,", "b{A, left,", 8, id="one tile for two"),
        pytest.param("SteelPair.h", "if (with_bias)", "if (flip)", 4, id="another constant"),
        pytest.param("SteelPairParams.h", "  float scale;\n", "  int32_t gap;\n  float scale;\n", 8, id="moved field"),
        pytest.param("SteelPair.metal", "half, 8", "half, 4", 4, id="wrong template argument"),
    ],
)
def test_a_change_of_meaning_differs(minimal, file, old, new, count):
    minimal.mutate(file, old, new)
    proof = run(minimal)
    assert proof.status is Status.DIFFERS
    assert proof.cases == 8
    assert proof.why.startswith(f"{count} of 8 kernels; smallest: steel_pair_float")


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        pytest.param(
            "SteelPair.h", "A + params->offset", "params->offset + A", "pair", id="commuted addition in the kernel"
        ),
        pytest.param(
            "SteelPairLoader.h",
            "j * stride + rows",
            "rows + j * stride",
            "Loader::load",
            id="commuted addition below it",
        ),
        pytest.param(
            "SteelPairLoader.h", "for (short j = 0", "for (int j = 0", "Loader::load", id="wider loop variable"
        ),
    ],
)
def test_what_the_optimiser_makes_equal_says_so(minimal, file, old, new, place):
    minimal.mutate(file, old, new)
    proof = run(minimal)
    assert proof.status is Status.EQUAL_AFTER_O1
    assert proof.cases == 8
    assert proof.why == f"8 of 8 kernels, which differ before O1 in {place}"


def test_a_lost_unroll_pragma_is_no_rename(minimal):
    minimal.mutate("SteelPairLoader.h", "#pragma clang loop unroll(full)\n", "")
    assert run(minimal).status is not Status.PROVED


def test_spelling_alone_is_equal(minimal):
    minimal.mutate(
        "SteelPairLoader.h", "short rows, short columns) const", "short rows, short columns) const /* as is */"
    )
    minimal.mutate("SteelPair.h", "  float sum = mix", "\n\n  float sum =\n      mix")
    assert run(minimal).status is Status.PROVED


def test_the_smallest_difference_is_shown(minimal):
    minimal.mutate("SteelPairLoader.h", "j < columns", "j <= columns")
    why = run(minimal).why
    assert "- " in why
    assert "icmp slt" in why
    assert "icmp sle" in why
    assert "in Loader::load\n" in why


def test_upstream_must_be_the_pinned_bytes(minimal):
    sources = minimal.case.sources
    (path,) = minimal.case.family.sources_of_kernels
    changed = SourceFile(path, sources.files[path].text + "\n", sources.files[path].sha256)
    other = Sources(sources.pin, sources.root, {**sources.files, path: changed})
    with pytest.raises(DigestMismatch, match=r"steel_pair\.h"):
        prove_bodies(dataclasses.replace(minimal.case, sources=other))


def test_a_kernel_that_is_not_emitted_is_named(minimal):
    minimal.mutate("SteelPair.metal", 'INSTANTIATE_PAIRS("steel_pair_float16", half, 8)\n', "")
    with pytest.raises(ProofError, match="steel_pair_float16_fl0_wb0"):
        run(minimal)


def test_a_second_run_compiles_nothing(minimal, monkeypatch):
    first = run(minimal)
    monkeypatch.setattr("porter.prove.code.compare", lambda task: pytest.fail("compiled again"))
    assert run(minimal) == first


def test_what_was_found_of_each_kernel(minimal):
    minimal.mutate("SteelPair.h", "if (with_bias)", "if (flip)")
    single, double = run(minimal).kernels
    assert (single.host_name, double.host_name) == ("steel_pair_float16", "steel_pair_float32")
    assert (single.status, single.cases) == (Status.DIFFERS, 4)
    assert single.details == ("steel_pair_float16_fl0_wb1: differs", "steel_pair_float16_fl1_wb0: differs")


def test_a_sample_of_the_rows_is_sampled(minimal):
    proof = prove_bodies(dataclasses.replace(minimal.case, everything=False))
    assert (proof.status, proof.cases) == (Status.PROVED, 8)  # the sample is all there is
    rows = [*minimal.case.corpus.instantiations]
    rows.append(dataclasses.replace(rows[0], host_name="steel_pair_float64", arguments=("float", "5")))
    corpus = dataclasses.replace(minimal.case.corpus, instantiations=tuple(rows))
    proof = prove_bodies(dataclasses.replace(minimal.case, corpus=corpus, everything=False))
    assert (proof.status, proof.cases) == (Status.SAMPLED, 8)


def test_plain_kernels_and_constants_that_macros_give(plain):
    proof = run(plain)
    assert (proof.status, proof.cases, proof.why) == (Status.SAMPLED, 2 + 2 * 2, "")
    ramp, *shifts = proof.kernels
    assert (ramp.host_name, ramp.status, ramp.cases) == ("ramp", Status.SAMPLED, 2)
    assert ramp.details[1] == "constants negate = True, steps_ = 5: a ramp of 5, turned"
    assert {one.status for one in shifts} == {Status.PROVED}


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("negate = STEEL_PORT_NEGATE", "negate = false", {"ramp [negate=1, steps_=5]", "shift_float16 [negate=1]"}),
        ("steps_ = STEEL_PORT_STEPS", "steps_ = 3", {"ramp [negate=1, steps_=5]"}),
        ("step < steps_", "step <= steps_", {"ramp [negate=0, steps_=3]", "ramp [negate=1, steps_=5]"}),
        ("out[i] = x;", "out[i] = -x;", {"ramp [negate=0, steps_=3]", "ramp [negate=1, steps_=5]"}),
    ],
)
def test_a_wrong_macro_or_plain_kernel_differs(plain, old, new, keys):
    plain.mutate("MlxRamp.h", old, new)
    proof = run(plain)
    assert proof.status is Status.DIFFERS
    found = {detail.removesuffix(": differs") for one in proof.kernels for detail in one.details if "differs" in detail}
    assert keys <= found


def test_a_constant_that_the_family_does_not_give_to_a_kernel_differs(plain):
    constants = tuple(
        dataclasses.replace(one, kernels=("ramp",)) if one.name == "negate" else one
        for one in plain.case.family.constants
    )
    proof = prove_bodies(plain.with_family(constants=constants))
    assert proof.status is Status.DIFFERS
    assert {one.host_name for one in proof.kernels if one.status is Status.DIFFERS} == {
        "shift_float16",
        "shift_float32",
    }
