# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The cases of families that a later release than the default one brought (`since` in their YAML).

Apple's compiled library of MLX 0.32.1 shows the params structs, and computes the convolution; it has no NAX kernel.
"""

from __future__ import annotations

import importlib
import itertools
import math

import numpy as np
import pytest

from porter.errors import ProofError
from porter.metal.air_library import AirLibrary
from porter.prove.agreement import compare_values, tolerance_for
from porter.prove.buffers import run
from porter.prove.cases import steel_conv_3d
from porter.prove.cases.arguments import row_strides
from porter.prove.cases.convolution import plain
from porter.prove.cases.steel_gemm_splitk_nax import Split
from porter.prove.launch import Request
from porter.spec import load_families

from ...metal.macos_wheels import LIBRARIES, file_of, opened
from .shown import shown_structs

(MLX_0_32_1,) = (one for one in LIBRARIES if (one.requirement, one.kernels) == ("mlx-metal==0.32.1", 16116))
NAX = ("steel_gemm_splitk_nax", "steel_gemm_segmented_nax")
FAMILIES = {one.name: one for one in load_families(["steel_conv_3d", *NAX])}
SHOWN = {
    "steel_gemm_fused_nn_float32_float32_bm32_bn32_bk16_wm2_wn2": "",
    "steel_gemm_splitk_nn_float32_float32_bm16_bn16_bk16_wm2_wn2_MN_taligned_K_taligned": "",
    "implicit_gemm_conv_3d_float32_bm32_bn8_bk16_wm4_wn1_filter_s": "<3>",
}
CONVOLUTIONS = (
    "implicit_gemm_conv_3d_float16_bm32_bn8_bk16_wm4_wn1_filter_s",
    "implicit_gemm_conv_3d_float32_bm32_bn32_bk16_wm2_wn2_filter_l",
)


@pytest.fixture(scope="module")
def structs():
    return shown_structs(file_of(MLX_0_32_1), SHOWN)


def request_of(family, host_name, structs, *, thorough, seed=7):
    (row,) = (one for one in family.instantiations() if one.host_name == host_name)
    return Request(family, row, family.axes_by_name[host_name], structs, thorough, seed)


def module_of(family):
    return importlib.import_module(f"porter.prove.cases.{family.cases}")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_apples_convolution_computes_what_is_expected(structs, name):
    family = FAMILIES["steel_conv_3d"]
    request = request_of(family, name, structs, thorough=True)
    launches = list(steel_conv_3d.launches(request))
    with opened(MLX_0_32_1) as file:
        kernel = AirLibrary(file)[name]
        for launch in launches:
            left = run(kernel, launch, set())
            assert left.trespasses == (), launch.what
            (output,) = launch.outputs
            tolerance = tolerance_for(family.tolerances, request.row.template, output.dtype)
            wanted = steel_conv_3d.expected(request, launch)[output.slot]
            found = compare_values(left.memory[output.slot], wanted, output, tolerance)
            assert found.difference is None, f"{launch.what}: {found.difference}"
    assert len(launches) == 7


@pytest.mark.parametrize("name", list(FAMILIES))
def test_launches_are_complete(structs, name):
    """Every slot is bound, and no other; sizes agree; without special values the results are finite."""
    family = FAMILIES[name]
    for i, row in enumerate(family.instantiations()[::5]):
        request = request_of(family, row.host_name, structs, thorough=i % 4 == 0, seed=i)
        for launch in module_of(family).launches(request):
            assert set(launch.buffers) == {one.slot for one in family.kernel(row.template).arguments}
            assert launch.constants in family.combinations(row.template)
            assert all(size % one == 0 for size, one in zip(launch.threads, launch.group, strict=True))
            (output,) = launch.outputs
            wanted = module_of(family).expected(request, launch)[output.slot]
            assert wanted.size == launch.buffers[output.slot].size
            assert "NaN" in launch.what or np.isfinite(wanted).all(), launch.what


@pytest.mark.parametrize("name", NAX)
def test_plain_requests_take_the_constants_in_turn(structs, name):
    family = FAMILIES[name]
    asked = []
    for row in family.instantiations():
        request = request_of(family, row.host_name, structs, thorough=False)
        asked += [tuple(launch.constants.items()) for launch in module_of(family).launches(request)]
    assert len(asked) == len(family.instantiations())
    assert len(set(asked)) == len(family.combinations(family.kernels[0].name))


@pytest.mark.parametrize("flip", [False, True])
def test_the_jumps_lead_from_element_to_element_of_the_filter(structs, flip):
    """As the loader walks: a jump along the row, else to the next row, else plane, else on by bk channels."""
    request = request_of(FAMILIES["steel_conv_3d"], CONVOLUTIONS[0], structs, thorough=False)
    case = plain(1, 32, 8, (5, 6, 7), (2, 3, 2), dilation=(2, 1, 3), flip=flip)
    jumps = steel_conv_3d.jumps(request, case)
    strides = row_strides(case.in_shape)[1:4]
    places = []
    for channel, element in itertools.product((0, 16), itertools.product(*map(range, case.filter))):
        at = [f - 1 - e for f, e in zip(case.filter, element, strict=True)] if flip else element
        places.append(channel + sum(e * d * s for e, d, s in zip(at, case.dilation, strides, strict=True)))
    place, walked = places[0], []
    for _, height, width in itertools.product(range(2 * case.filter[0]), range(3), range(2)):
        walked.append(place)
        if width < 1:
            place += jumps["inp_jump_w"]
        elif height < 2:
            place += jumps["inp_jump_h"]
        else:
            place += jumps["inp_jump_d" if len(walked) % 12 else "inp_jump_c"]
    assert walked == places


def test_a_split_covers_k_once():
    assert Split(129, 64).ends == [(0, 64), (64, 128), (128, 129)]
    assert Split(128, 64).ends == [(0, 64), (64, 128)]


def test_tiles_of_split_k_lie_along_x_alone(structs):
    """A threadgroup for every tile of every part; more of them only where rows of tiles lie side by side."""
    name = "steel_gemm_splitk_nax_nt_float16_float32_bm64_bn64_bk256_wm2_wn2"
    request = request_of(FAMILIES["steel_gemm_splitk_nax"], name, structs, thorough=True)
    fields = structs["GEMMSpiltKParams"].fields
    swizzled = set()
    for launch in module_of(request.family).launches(request):
        values = dict(zip((f.name for f in fields), np.frombuffer(launch.buffers[3], "<i4").tolist(), strict=True))
        groups = [size // one for size, one in zip(launch.threads, launch.group, strict=True)]
        tiles = values["tiles_m"] * values["tiles_n"] * values["split_k_partitions"]
        swizzle = values["swizzle_log"]
        odd = tiles // values["tiles_m"] if swizzle and values["tiles_m"] % 2 else 0
        assert groups == [tiles + odd, 1, 1], launch.what
        assert values["split_k_partition_size"] * values["split_k_partitions"] >= values["K"]
        swizzled.add(swizzle)
    assert swizzled == {0, 1}


@pytest.mark.parametrize(("bk", "axis"), [(64, 0), (128, 2), (256, 2)])
def test_segments_lie_along_x_where_the_step_is_64(structs, bk, axis):
    name = f"steel_segmented_mm_nax_tn_bfloat16_bfloat16_bm64_bn64_bk{bk}_wm2_wn2"
    request = request_of(FAMILIES["steel_gemm_segmented_nax"], name, structs, thorough=False)
    (launch,) = module_of(request.family).launches(request)
    groups = [size // one for size, one in zip(launch.threads, launch.group, strict=True)]
    assert groups[axis] == 3
    assert math.prod(groups) == 3  # one tile of the result


@pytest.mark.parametrize(("bk", "wanted"), [(64, [3, 2, 1]), (128, [2, 1, 3])])
def test_a_thorough_request_has_several_tiles(structs, bk, wanted):
    name = f"steel_segmented_mm_nax_tn_bfloat16_bfloat16_bm64_bn64_bk{bk}_wm2_wn2"
    request = request_of(FAMILIES["steel_gemm_segmented_nax"], name, structs, thorough=True)
    launches = module_of(request.family).launches(request)
    groups = [[size // one for size, one in zip(one.threads, one.group, strict=True)] for one in launches]
    assert wanted in groups


@pytest.mark.parametrize("name", list(FAMILIES))
def test_an_expectation_that_mlx_does_not_share_is_refused(structs, name):
    family = FAMILIES[name]
    request = request_of(family, family.instantiations()[0].host_name, structs, thorough=True)
    launch = next(iter(module_of(family).launches(request)))
    assert module_of(family).expected(request, launch) is not None
    launch.notes["wanted"].reshape(-1)[1] += 0.125
    with pytest.raises(ProofError, match=r"MLX's arrays and the case disagree about"):
        module_of(family).expected(request, launch)
