# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel's externals say of a comparison with it."""

from __future__ import annotations

import pytest

from porter.prove.basis import FUSED, classify


@pytest.mark.parametrize(
    "name",
    [
        "llvm.lifetime.start.p0",
        "llvm.memcpy.p3.p1.i64",
        "llvm.assume",
        "llvm.smax.i16",
        "llvm.usub.sat.i32",
        "air.wg.barrier",
        "air.simd_sum.s.i32",
        "air.simd_prefix_exclusive_sum.u.i8",
        "air.simd_shuffle_down.f32",
        "air.simd_shuffle_and_fill_up.u.v2i32",
        "air.simd_any",
        "air.min.s.i32",
        "air.clamp.s.i32",
        "air.convert.f.bf16.s.i64",
        "air.convert.u.i1.f.f32",
        "air.fabs.f16",
        "air.fma.f32",
        "air.round.f32",
        "air.atomic.fence",
        "air.load.system_coherent.volatile.i32.p1i32",
    ],
)
def test_operations_that_decide_every_bit(name):
    assert classify([name]).said(False) == "bit for bit"


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("air.simd_sum.f32", "air.simd_sum"),
        ("air.quad_sum.f32", "air.quad_sum"),
        ("air.simd_max.f16", "air.simd_max"),
        ("air.fmin.f32", "air.fmin"),
        ("air.fast_exp.f32", "air.fast_exp"),
        ("air.pow.f16", "air.pow"),
        ("air.convert.u.i8.f.f32", "air.convert of a float to an integer"),
        ("air.convert.s.i64.f.bf16", "air.convert of a float to an integer"),
        (
            "air.simdgroup_matrix_8x8_multiply_accumulate.v64f32.v64f32.v64f32.v64f32",
            "air.simdgroup_matrix_8x8_multiply_accumulate",
        ),
        ("air.never_heard_of.v2f32", "air.never_heard_of"),
    ],
)
def test_operations_that_hide_something(name, called):
    basis = classify([name, "llvm.assume"])
    assert basis.said(False) == f"bit for bit, though it calls {called}"
    assert basis.said(True) == f"within the tolerance: {called}"


def test_fused_multiply_add_is_one_policy_and_no_licence():
    basis = classify(["llvm.fmuladd.v2f32"])
    assert basis.hidden == ()
    assert basis.said(False) == f"bit for bit; {FUSED}"
