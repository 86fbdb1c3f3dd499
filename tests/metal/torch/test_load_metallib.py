# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""torch.mps.load_metallib on MLX's compiled library: as a file, and one kernel of it as bytes."""

from __future__ import annotations

import pytest
import torch

import porter.metal
from porter.metal.air import LibraryFile

from ..macos_wheels import MLX_0_30_1, file_of
from ..metallib_writer import Function
from ..metallib_writer import library as library_bytes


@pytest.fixture(scope="module")
def mlx():
    porter.metal.enable_torch()
    return torch.mps.load_metallib(file_of(MLX_0_30_1))


def operands() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(1000), torch.randn(1000), torch.zeros(1000, device="mps")


def test_the_names_are_the_librarys(mlx) -> None:
    assert isinstance(mlx, torch._C._mps_PrecompiledShaderLibrary)
    assert len(dir(mlx)) == MLX_0_30_1.kernels


def test_a_kernel_of_apples_compiler_runs(mlx) -> None:
    a, b, out = operands()
    mlx.vv_Addfloat32(a.to("mps"), b.to("mps"), out, len(a), threads=len(a), arg_casts="int32")
    assert torch.equal(out.cpu(), a + b)  # one addition, which IEEE 754 defines


def test_only_what_is_looked_up_is_translated(mlx, monkeypatch) -> None:
    translated = []
    from porter.metal import air_library

    translate = air_library.translate
    monkeypatch.setattr(air_library, "translate", lambda *a, **k: translated.append(1) or translate(*a, **k))
    mlx.vv_Multiplyfloat32  # noqa: B018
    mlx.vv_Multiplyfloat32  # noqa: B018
    dir(mlx)
    assert len(translated) == 1


def test_a_name_that_is_not_there(mlx) -> None:
    with pytest.raises(RuntimeError, match=r"state object for: vv_Addfloat33 \(expected one like vv_Addfloat32"):
        mlx.vv_Addfloat33  # noqa: B018


def test_a_kernel_without_values_for_its_constants(mlx) -> None:
    # MetalShaderLibrary has no way to give any.
    with pytest.raises(RuntimeError, match=r"Failed to created pipeline state object, error: .*constant"):
        mlx.steel_gemm_fused_nn_float32_float32_bm64_bn64_bk16_wm2_wn2  # noqa: B018


def test_bytes_are_a_library_too() -> None:
    porter.metal.enable_torch()
    with LibraryFile(file_of(MLX_0_30_1)) as file:
        code = file.bitcode("vv_Addfloat32")
    library = torch.mps.load_metallib(library_bytes([Function("vv_Addfloat32", code)]))
    assert dir(library) == ["vv_Addfloat32"]
    a, b, out = operands()
    library.vv_Addfloat32(a.to("mps"), b.to("mps"), out, len(a), threads=len(a), arg_casts="int32")
    assert torch.equal(out.cpu(), a + b)
