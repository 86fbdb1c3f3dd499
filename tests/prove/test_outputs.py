# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From kernels' outcomes to the claims of the ring."""

from __future__ import annotations

import dataclasses
import sys

import pytest

pytest.importorskip("llvmlite")

from porter.errors import EmitError, ProofError
from porter.model import Ring, Status
from porter.prove import outputs
from porter.prove.compare_kernels import compare
from porter.prove.outcome import Found, Outcome
from porter.spec import Constant, Sample

from . import scaled
from .conftest import make_case


@pytest.fixture
def case(tmp_path, monkeypatch):
    """The family of `scaled` under proof; its jobs are done in this process, where its generator is."""
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "cache"))
    made = scaled.generator()
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(outputs, "compare_all", lambda jobs, processes: ((i, compare(j)) for i, j in enumerate(jobs)))
    proved = make_case(tmp_path / "generated", scaled.FAMILY, scaled.UPSTREAM, scaled.PORT)
    proved.case.__dict__["library"] = scaled.write_library(tmp_path)
    proved.case.__dict__["structs"] = scaled.STRUCTS
    return proved


def replaced(case, **changes):
    """Another case with the same library and structs."""
    made = dataclasses.replace(case, **changes)
    made.__dict__.update(library=case.library, structs=case.structs)
    return made


def test_both_claims_are_proved_kernel_by_kernel(case):
    apple, expected = outputs.prove_outputs(case.case)
    assert (apple.ring, apple.status, apple.cases) == (Ring.OUTPUTS, Status.PROVED, 4)
    assert apple.witness == "Apple's compiled library"
    assert [(one.host_name, one.status, one.basis) for one in apple.kernels] == [
        ("scale_float32", Status.PROVED, "bit for bit, though it calls air.exp"),
        ("scale_int32", Status.PROVED, "bit for bit"),
    ]
    assert "1 bit for bit, 1 bit for bit though they call" in apple.notes[0]
    assert (expected.status, expected.witness, expected.cases) == (Status.PROVED, "numpy, float64", 4)
    assert "NaN" in expected.notes[-1]


def test_a_wrong_port_differs_with_the_smallest_case(case):
    case.mutate("MlxScale.h", "x * 3", "x * 5")
    apple, expected = outputs.prove_outputs(case.case)
    assert (apple.status, expected.status) == (Status.DIFFERS, Status.DIFFERS)
    assert apple.why.startswith("1 of 2 kernels; smallest case: scale_int32, n 5: buffer 1: ")
    assert [one.status for one in apple.kernels] == [Status.PROVED, Status.DIFFERS]


def test_what_was_found_is_recalled_and_what_changed_is_not(case, monkeypatch):
    first = outputs.prove_outputs(case.case)

    def nothing_to_do(jobs, processes):
        assert list(jobs) == []
        return iter(())

    monkeypatch.setattr(outputs, "compare_all", nothing_to_do)
    assert outputs.prove_outputs(case.case) == first
    with pytest.raises(AssertionError):
        outputs.prove_outputs(replaced(case.case, recall=False))
    case.mutate("MlxScale.h", "x * 3", "3 * x")
    with pytest.raises(AssertionError):
        outputs.prove_outputs(case.case)


def test_kernels_that_the_library_lacks_have_one_claim(case, tmp_path):
    folder = tmp_path / "less"
    folder.mkdir()
    path = folder / "less.metallib"
    from tests.metal.metallib_writer import Function, bitcode, library

    path.write_bytes(library([Function("scale_int32", bitcode(scaled.INTEGER))]))
    case.case.__dict__["library"] = path
    apple, expected = outputs.prove_outputs(case.case)
    assert [one.host_name for one in apple.kernels] == ["scale_int32"]
    assert apple.notes[0] == "Apple's compiled library lacks 1 kernels: of them see the other claim"
    assert len(expected.kernels) == 2


def test_without_bodies_apples_kernels_are_held_to_what_is_expected(case):
    family = dataclasses.replace(scaled.FAMILY, sources_of_kernels=("mlx/not_in_a_wheel.metal",))
    (proof,) = outputs.prove_outputs(replaced(case.case, family=family))
    assert (proof.claim, proof.status) == (outputs.EXPECTED_CLAIM, Status.PROVED)
    assert proof.notes[0] == "the bodies were not at hand: it is Apple's compiled kernels that were run"


def test_integer_constants_are_samples(case):
    family = dataclasses.replace(
        scaled.FAMILY,
        constants=(Constant("n", 1, "define", "", "int", ("scale",)),),
        samples=(Sample(("scale",), {"n": 3}, "a test"),),
    )
    equal = Found("equal", 1, "", "bit for bit")
    sampled = dataclasses.replace(case.case, family=family)
    (proof,) = outputs.conclude(sampled, (), [Outcome("scale_int32", equal, None)])
    assert proof.status is proof.kernels[0].status is Status.SAMPLED


def test_what_was_not_run_is_no_proof(case):
    (proof,) = outputs.conclude(case.case, (), [Outcome("scale_int32", Found("not run", 0, "no case"), None)])
    assert (proof.status, proof.why) == (Status.NOT_RUN, "1 of 1 kernels; smallest case: scale_int32, no case")
    (proof,) = outputs.conclude(case.case, (), [])
    assert proof.status is Status.NOT_RUN


def test_a_family_without_a_generator_or_an_overlay_is_an_error(case):
    with pytest.raises(ProofError, match="has no generator of cases"):
        outputs.prove_outputs(case.with_family(cases=None))
    with pytest.raises(ProofError, match="the generator no_such is missing"):
        outputs.prove_outputs(case.with_family(cases="no_such"))
    (case.kernels / "MlxScale.h").unlink()
    with pytest.raises((EmitError, ProofError), match="the overlay lacks this"):
        outputs.prove_outputs(case.case)
