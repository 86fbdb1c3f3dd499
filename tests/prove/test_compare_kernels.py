# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of our own on both sides: what agrees is said to agree, and every way of being wrong is found."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from porter.prove.compare_kernels import compare
from porter.prove.launch import GUARD_BYTES, Launch, Output

from . import scaled


@pytest.fixture(autouse=True)
def module(monkeypatch):
    made = scaled.generator()
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def changed(old: str, new: str) -> dict[str, str]:
    assert scaled.PORT["MlxScale.h"].count(old) == 1
    return {**scaled.PORT, "MlxScale.h": scaled.PORT["MlxScale.h"].replace(old, new)}


def outcomes(job):
    return {one.host_name: one for one in compare(job)}


def test_what_agrees_is_equal_and_says_on_which_basis(tmp_path):
    found = outcomes(scaled.job(tmp_path))
    assert [one.apple.status for one in found.values()] == ["equal", "equal"]
    assert found["scale_int32"].apple.basis == "bit for bit"
    assert found["scale_float32"].apple.basis == "bit for bit, though it calls air.exp"
    assert found["scale_int32"].apple.details == ("n 70: the same", "n 5: the same")
    assert found["scale_float32"].expected.status == "equal"
    assert found["scale_float32"].expected.cases == 2


def test_an_operator_that_was_changed_is_found_in_the_smallest_case(tmp_path):
    found = outcomes(scaled.job(tmp_path, changed("x * 3", "x * 5")))
    wrong = found["scale_int32"]
    assert (wrong.apple.status, wrong.expected.status) == ("differs", "differs")
    assert wrong.apple.why.startswith("n 5: buffer 1: ")
    assert found["scale_float32"].apple.status == "equal"


def test_within_the_tolerance_where_an_intrinsic_hides_the_rounding(tmp_path):
    found = outcomes(scaled.job(tmp_path, changed("exp(x)", "exp(x) * 1.0000003f")))["scale_float32"].apple
    assert found.status == "equal"
    assert found.within
    assert found.basis == "within the tolerance: air.exp"
    assert 0 < found.worst <= 1


def test_beyond_the_tolerance_it_differs(tmp_path):
    found = outcomes(scaled.job(tmp_path, changed("exp(x)", "exp(x) * 1.001f")))["scale_float32"].apple
    assert found.status == "differs"


def test_a_tolerance_covers_nothing_that_the_bitcode_decides(tmp_path):
    plain = scaled.FLOAT.replace("call float @air.exp.f32(float %7)", "fmul float %7, 2.0")
    plain = plain.replace("declare float @air.exp.f32(float)\n", "")
    library = scaled.write_library(tmp_path, floating=plain)
    port = changed("exp(x)", "x * 2.0000002f")
    job = scaled.job(tmp_path, port)
    found = outcomes(type(job)(**{**job.__dict__, "library": library}))["scale_float32"]
    assert found.apple.status == "differs"


@pytest.mark.parametrize("place", ["out[i + 70]", "out[i + 1000]"])
def test_a_kernel_that_writes_past_its_buffer_is_found(tmp_path, place):
    found = outcomes(scaled.job(tmp_path, changed("  out[i] = ", f"  {place} = T(1);\n  out[i] = ")))["scale_int32"]
    assert found.apple.status == "differs"
    assert "the port writes byte" in found.apple.why
    assert "behind buffer 1" in found.apple.why
    assert GUARD_BYTES >= 4096


def test_a_kernel_that_copies_what_stands_behind_its_input_is_found(tmp_path):
    """The bytes behind buffers are others for each, or what it copies from behind one would hide behind the other."""
    port = changed("  out[i] = ", "  out[i + 70] = in[i + 70];\n  out[i] = ")
    found = outcomes(scaled.job(tmp_path, port))["scale_int32"]
    assert found.apple.status == "differs"
    assert "behind buffer 1" in found.apple.why


def test_a_kernel_that_writes_into_its_input_is_found(tmp_path):
    port = changed("  out[i] = ", "  ((device T*)in)[i] = T(1);\n  out[i] = ")
    found = outcomes(scaled.job(tmp_path, port))["scale_int32"]
    assert "buffer 0, which is no output of the case" in found.apple.why


def test_a_wrong_field_of_a_struct_is_the_generators_fault(tmp_path, module):
    module.launches = lambda request: [request.struct("Step", stride=2)]
    found = outcomes(scaled.job(tmp_path))["scale_int32"]
    assert found.apple.status == found.expected.status == "not run"
    assert "Step has not the fields that the case fills: step, stride" in found.apple.why


def launch(**changes):
    fields = {
        "what": "odd",
        "buffers": {0: np.zeros(4, np.int32), 1: np.zeros(4, np.int32), 2: bytes(4)},
        "threads": (4, 1, 1),
        "group": (4, 1, 1),
        "outputs": (Output(1, "int32"),),
    }
    return Launch(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"constants": {"other": True}}, "no combination of scale"),
        ({"outputs": ()}, "the case names no output"),
        ({"outputs": (Output(3, "int32"),)}, "the output 3 is not bound"),
        (
            {"buffers": {0: np.zeros(4, np.int32), 1: np.zeros(4, np.int32)}},
            r"argument p \[\[buffer\(2\)\]\] is missing",
        ),
    ],
)
def test_a_case_that_says_too_little_is_no_proof(tmp_path, module, changes, why):
    import re

    module.launches = lambda request: [launch(**changes)]
    found = outcomes(scaled.job(tmp_path))["scale_int32"].apple
    assert found.status != "equal"
    assert re.search(why, found.why)


def test_no_case_at_all_is_not_run(tmp_path, module):
    module.launches = lambda request: []
    assert outcomes(scaled.job(tmp_path))["scale_int32"].apple.status == "not run"


def test_a_kernel_that_does_not_compile_leaves_the_others_alone(tmp_path):
    found = outcomes(scaled.job(tmp_path, changed("return exp(x);", "return missing(x);")))
    assert found["scale_float32"].apple.status == "differs"
    assert "missing" in found["scale_float32"].apple.why


def test_without_source_apples_kernel_is_held_to_what_is_expected(tmp_path):
    found = outcomes(scaled.job(tmp_path, source=None))["scale_float32"]
    assert found.apple is None
    assert found.expected.status == "equal"


def test_without_a_library_the_port_is_held_to_what_is_expected(tmp_path):
    found = outcomes(scaled.job(tmp_path, library=None))["scale_float32"]
    assert found.apple is None
    assert found.expected.status == "equal"


def test_bitcode_that_is_not_what_the_library_states_is_refused(tmp_path):
    from tests.metal.metallib_writer import Function, bitcode, library

    path = tmp_path / "other.metallib"
    stated = {b"HASH": bytes(32)}
    path.write_bytes(library([Function("scale_int32", bitcode(scaled.INTEGER), stated=stated)]))
    rows = tuple(row for row in scaled.FAMILY.instantiations() if row.host_name == "scale_int32")
    found = outcomes(scaled.job(tmp_path, rows=rows, library=path))["scale_int32"].apple
    assert found.status == "differs"
    assert "the library states" in found.why
