# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The cases of products and convolutions: Apple's compiled kernels compute on them what the generators expect, and what
the generators make is complete. The layout of params structs comes from Apple's compiled kernels too."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator

import numpy as np
import pytest

from porter.errors import ProofError
from porter.metal.air_library import AirLibrary
from porter.model import ParamsStruct
from porter.prove.agreement import compare_values, tolerance_for
from porter.prove.buffers import run
from porter.prove.launch import Request
from porter.spec import load_families

from ...metal.macos_wheels import MLX_0_30_1, file_of, opened
from .shown import shown_structs

FAMILIES = {
    family.name: family
    for family in load_families(
        [
            "gemv",
            "gemv_masked",
            "steel_gemm_fused",
            "steel_gemm_gather",
            "steel_gemm_masked",
            "steel_gemm_segmented",
            "steel_gemm_splitk",
            "steel_conv",
            "steel_conv_general",
            "conv",
            "steel_gemm_fused_nax",
            "steel_gemm_gather_nax",
        ]
    )
}
NAX = ("steel_gemm_fused_nax", "steel_gemm_gather_nax")
# The kernels whose arguments show the structs, and what Apple's compiler does not say of a template.
SHOWN = {
    "steel_gemm_fused_nn_float32_float32_bm32_bn32_bk16_wm2_wn2": "",
    "steel_gemm_splitk_nn_float32_float32_bm16_bn16_bk16_wm2_wn2_MN_taligned_K_taligned": "",
    "implicit_gemm_conv_2d_general_float32_bm32_bn8_bk16_wm4_wn1": "<2>",
    "naive_unfold_nd_float32_1": "<1>",
    "naive_unfold_nd_float32_3": "<3>",
}
# One kernel of each template, of tiles that compile fast; dtypes take turns.
RUN = (
    "gemv_bfloat16_bm1_bn8_sm1_sn32_tm4_tn4_nc1_axpby1",
    "gemv_float16_bm1_bn1_sm8_sn4_tm1_tn4_nc0_axpby0",
    "gemv_gather_complex64_bm4_bn1_sm1_sn32_tm4_tn4",
    "gemv_t_float32_bm1_bn2_sm8_sn4_tm4_tn4_nc1_axpby1",
    "gemv_t_gather_float16_bm1_bn2_sm8_sn4_tm4_tn1",
    "gemv_outmask_float16_opmask_bool__float16_bm2_bn1_sm4_sn8_tm4_tn4_nc1",
    "gemv_t_outmask_nomask_opmask_float32_float32_bm1_bn1_sm8_sn4_tm8_tn4_nc0",
    "steel_gemm_fused_tn_float16_float16_bm32_bn32_bk16_wm2_wn2",
    "steel_gather_mm_nt_bfloat16_bfloat16_bm32_bn32_bk16_wm2_wn2",
    "steel_gather_mm_rhs_nt_float16_float16_bm16_bn64_bk16_wm1_wn2",
    "steel_gemm_block_outmask_bool__opmask_float32_tt_float32_float32_bm32_bn32_bk16_wm2_wn2_MN_naligned_K_naligned",
    "steel_segmented_mm_tn_float32_float32_bm32_bn32_bk16_wm2_wn2",
    "steel_gemm_splitk_nt_complex64_complex64_bm16_bn32_bk16_wm2_wn2_MN_naligned_K_naligned",
    "steel_gemm_splitk_accum_bfloat16_float32",
    "steel_gemm_splitk_accum_complex64_complex64_axbpy",
    "implicit_gemm_conv_2d_float16_bm32_bn8_bk16_wm4_wn1_channel_3_filter_l",
    "implicit_gemm_conv_2d_float32_bm32_bn32_bk16_wm2_wn2_channel_l_filter_s",
    "implicit_gemm_conv_2d_general_bfloat16_bm32_bn32_bk16_wm2_wn2",
    "naive_unfold_nd_float32_2",
    "naive_unfold_transpose_nd_bfloat16_3",
    "depthwise_conv_1d_float16_large",
    "depthwise_conv_2d_float16",
    "winograd_conv_2d_weight_transform_float16_bc32",
    "winograd_conv_2d_input_transform_float32_bc32",
    "winograd_conv_2d_output_transform_bfloat16_bo32",
)


@pytest.fixture(scope="module")
def apple() -> Iterator[AirLibrary]:
    with opened(MLX_0_30_1) as file:
        yield AirLibrary(file)


@pytest.fixture(scope="module")
def structs() -> dict[str, ParamsStruct]:
    return shown_structs(file_of(MLX_0_30_1), SHOWN)


def request_of(name, structs, *, thorough=False):
    for family in FAMILIES.values():
        if name in family.axes_by_name:
            row = next(one for one in family.instantiations() if one.host_name == name)
            return Request(family, row, family.axes_by_name[name], structs, thorough, 7)
    raise AssertionError(f"no family has {name}")


def module_of(family):
    return importlib.import_module(f"porter.prove.cases.{family.cases}")


@pytest.mark.parametrize("name", RUN)
def test_apples_kernel_computes_what_is_expected(apple, structs, name):
    request = request_of(name, structs, thorough=True)
    module = module_of(request.family)
    compared = 0
    for launch in module.launches(request):
        kernel = apple.kernel(name, dict(launch.constants)) if launch.constants else apple[name]
        dummies = {a.slot for a in request.family.kernel(request.row.template).arguments if a.gate}
        left = run(kernel, launch, dummies)
        assert left.trespasses == (), launch.what
        expected = module.expected(request, launch)
        for output in launch.outputs if expected is not None else ():
            tolerance = tolerance_for(request.family.tolerances, request.row.template, output.dtype)
            found = compare_values(left.memory[output.slot], expected[output.slot], output, tolerance)
            assert found.difference is None, f"{launch.what}: {found.difference}"
            compared += 1
    assert compared > 1


@pytest.mark.parametrize("name", list(FAMILIES))
def test_launches_are_complete(structs, name):
    """Every slot that exists is bound, and no other; sizes agree; without special values the results are finite."""
    family, module = FAMILIES[name], module_of(FAMILIES[name])
    rows = family.instantiations()
    for i, row in enumerate(rows[:: max(1, len(rows) // 40)]):
        request = Request(family, row, family.axes_by_name[row.host_name], structs, i % 4 == 0, i)
        for launch in module.launches(request):
            arguments = family.kernel(row.template).arguments
            gated = {a.slot for a in arguments if a.gate and not launch.constants[a.gate]}
            assert set(launch.buffers) == {a.slot for a in arguments} - gated, launch.what
            assert launch.constants in family.combinations(row.template)
            assert math.prod(launch.group) <= 1024
            assert all(size > 0 for size in (*launch.threads, *launch.group))
            expected = module.expected(request, launch) or {}
            assert set(expected) <= {one.slot for one in launch.outputs}
            for slot, numbers in expected.items():
                assert numbers.size == launch.buffers[slot].size, launch.what
                assert "NaN" in launch.what or "specials" in launch.what or np.isfinite(numbers).all(), launch.what


@pytest.mark.parametrize("name", [*NAX, "steel_gemm_fused", "steel_gemm_gather", "steel_gemm_segmented"])
def test_plain_requests_take_the_constants_in_turn(structs, name):
    """Together the host names of the kernel with most of them ask for every combination, or each for another one."""
    family, module = FAMILIES[name], module_of(FAMILIES[name])
    rows = [row for row in family.instantiations() if row.template == family.tables[-1].kernel]
    asked = []
    for row in rows:
        request = Request(family, row, family.axes_by_name[row.host_name], structs, False, 0)
        asked += [tuple(launch.constants.items()) for launch in module.launches(request)]
    assert len(asked) == len(rows)
    assert len(set(asked)) >= 0.85 * min(len(rows), len(family.combinations(rows[0].template)))


def test_the_same_request_gives_the_same_launches(structs):
    for name in ("gemv_bfloat16_bm1_bn8_sm1_sn32_tm4_tn4_nc1_axpby1", "depthwise_conv_2d_float32"):
        request = request_of(name, structs, thorough=True)
        first, second = (list(module_of(request.family).launches(request)) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert one.what == other.what
            for slot, value in one.buffers.items():
                np.testing.assert_array_equal(
                    np.frombuffer(memoryview(value).cast("B"), np.uint8),
                    np.frombuffer(memoryview(other.buffers[slot]).cast("B"), np.uint8),
                )


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("gemv_t_gather_float16_bm1_bn2_sm8_sn4_tm4_tn1", 3),
        ("steel_segmented_mm_tn_float32_float32_bm32_bn32_bk16_wm2_wn2", 3),
        ("depthwise_conv_2d_float16", 2),
    ],
)
def test_an_expectation_that_mlx_does_not_share_is_refused(structs, name, slot):
    """A wrong element in what a case expects, by more than the tolerance, and the message says where."""
    request = request_of(name, structs, thorough=True)
    module = module_of(request.family)
    launch = next(iter(module.launches(request)))
    assert module.expected(request, launch) is not None
    wanted = launch.notes["wanted"]
    numbers = wanted[slot] if isinstance(wanted, dict) else wanted
    numbers.reshape(-1)[1] += 0.125
    with pytest.raises(
        ProofError, match=r"MLX's arrays and the case disagree about .*\n?.*1 of \d+ elements; first \[1\]"
    ):
        module.expected(request, launch)
