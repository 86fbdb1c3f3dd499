# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
import pytest

from porter.errors import PortError, SpecError
from porter.port.target import camel_case, load_target

K = "mlx/backend/metal/kernels/"


@pytest.mark.parametrize(
    ("upstream", "ours"),
    [
        ("steel/gemm/kernels/steel_gemm_fused.h", "SteelGemmFused.h"),
        ("steel/gemm/gemm.h", "SteelGemmGemm.h"),
        ("steel/gemm/nax.h", "SteelGemmNax.h"),
        ("steel/gemm/gemm_nax.h", "SteelGemmGemmNax.h"),
        ("steel/conv/conv.h", "SteelConvConv.h"),
        ("steel/conv/kernels/steel_conv.h", "SteelConv.h"),
        ("steel/conv/kernels/steel_conv.metal", "SteelConv.metal"),
        ("steel/attn/kernels/steel_attention.h", "SteelAttention.h"),
        ("indexing/gather_axis.h", "MlxIndexingGatherAxis.h"),
        ("steel/gemm/mma.h", "SteelGemmMma.h"),
        ("steel/utils/type_traits.h", "SteelUtilsTypeTraits.h"),
        ("steel/utils.h", "SteelUtils.h"),
        ("utils.h", "MlxUtils.h"),
        ("bf16_math.h", "MlxBf16Math.h"),
    ],
)
def test_camel_case(upstream: str, ours: str) -> None:
    assert camel_case(K + upstream) == ours


def test_bodies_of_a_metal_file_become_a_header() -> None:
    assert load_target().header(K + "layer_norm.metal") == "ATen/native/mps/kernels/MlxLayerNorm.h"


def test_a_file_from_elsewhere_is_refused() -> None:
    with pytest.raises(PortError, match="not a kernel file"):
        camel_case("mlx/ops.cpp")


def test_an_unknown_target_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"no target is called 'pytorch-1\.0' \(expected pytorch-2\.13\)"):
        load_target("pytorch-1.0")


def test_a_target_may_not_leave_its_folder() -> None:
    with pytest.raises(SpecError, match="no target"):
        load_target("../families/steel_gemm_fused")
