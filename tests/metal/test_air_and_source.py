# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The same kernel of MLX from its source, untouched, and from Apple's compilation of it: the same bits.

Both loaders define an operation once and fuse, reassociate and round alike (docs/metal.md), so that what is left to
differ is what Apple's compiler and clang made of the source: nothing here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

np = pytest.importorskip("numpy")

from porter.metal import Library  # noqa: E402
from porter.metal.air_library import AirLibrary  # noqa: E402

from .macos_wheels import MLX_0_30_1, opened  # noqa: E402
from .test_air_run import GEMM, gemm_launch, numbers, one  # noqa: E402

KERNELS = "mlx/backend/metal/kernels"


@pytest.fixture(scope="module")
def apple() -> Iterator[AirLibrary]:
    with opened(MLX_0_30_1) as file:
        yield AirLibrary(file)


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """MLX's kernel headers of the same release, from the registry's wheel."""
    from porter.upstream import obtain

    sources, _ = obtain("v0.30.1", None, "wheel", tmp_path_factory.mktemp("wheel") / "upstream_mlx")
    return {path: file.text for path, file in sources.files.items()}


def from_source(headers: dict[str, str], wanted: list[str], kernel: str, name: str, constants=None):
    """`kernel`, a template of the headers `wanted` with its arguments, as the host name `name`."""
    seen: set[str] = set()

    def expanded(path: str) -> str:
        if path in seen:
            return ""
        seen.add(path)
        text = headers[path].replace("#pragma once", "")
        return re.sub(r'^\s*#\s*include\s+"([^"]+)".*$', lambda found: expanded(found[1]), text, flags=re.M)

    text = "".join(expanded(f"{KERNELS}/{path}") for path in wanted)
    source = f'{text}\ntemplate [[host_name("{name}")]] [[kernel]] decltype({kernel}) {kernel};\n'
    return Library("#include <metal_stdlib>\n#include <metal_math>\n" + source, constants=constants or {})[name]


TYPES = {"float32": "float", "float16": "half", "bfloat16": "bfloat16_t", "int32": "int32_t", "uint8": "uint8_t"}


@pytest.mark.parametrize("operation", ["Add", "Subtract", "Multiply", "Divide"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_elementwise(apple: AirLibrary, headers: dict[str, str], operation: str, dtype: str) -> None:
    count = 1003
    a, b = numbers(count, dtype, 1), numbers(count, dtype, 2)
    template = f"binary_vv<{TYPES[dtype]}, {TYPES[dtype]}, {operation}, 1>"
    name = f"vv_{operation}{dtype}"
    files = ["defines.h", "utils.h", "binary_ops.h", "binary.h"]
    outputs = [np.zeros_like(a), np.zeros_like(a)]
    for kernel, out in zip((apple[name], from_source(headers, files, template, name)), outputs, strict=True):
        kernel({0: a, 1: b, 2: out, 3: one(count, "uint32")}, (count,), (256,))
    np.testing.assert_array_equal(*outputs)
    assert outputs[0].any()


@pytest.mark.parametrize(("source", "target"), [("float32", "float16"), ("float32", "bfloat16"), ("bfloat16", "int32")])
def test_copy_converts(apple: AirLibrary, headers: dict[str, str], source: str, target: str) -> None:
    count = 777
    values = numbers(count, source, 3)
    name, template = f"v_copy{source}{target}", f"copy_v<{TYPES[source]}, {TYPES[target]}, 1>"
    outputs = [np.zeros(count, "uint16" if target == "bfloat16" else target) for _ in range(2)]
    kernels = (apple[name], from_source(headers, ["utils.h", "copy.h"], template, name))
    for kernel, out in zip(kernels, outputs, strict=True):
        kernel({0: values, 1: out, 2: one(count, "uint32")}, (count,), (256,))
    np.testing.assert_array_equal(*outputs)
    assert outputs[0].any()


def test_sort(apple: AirLibrary, headers: dict[str, str]) -> None:
    rows, columns = 3, 401
    values = numbers(rows * columns, "float32", 4).reshape(rows, columns)
    name = "carg_block_sort_float32_uint32_bn128_tn4"
    size, step = one(columns, "int32"), one(1, "int32")
    buffers = {0: values, 2: size, 3: step, 4: step, 5: size, 6: size}
    outputs = [np.zeros((rows, columns), np.uint32) for _ in range(2)]
    template = "block_sort<float, uint32_t, true, 128, 4>"
    for kernel, out in zip(
        (apple[name], from_source(headers, ["utils.h", "sort.h"], template, name)), outputs, strict=True
    ):
        kernel({**buffers, 1: out}, (128, rows), (128,))
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(outputs[0], np.argsort(values, 1, kind="stable"))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(64, 64, 64), (70, 50, 37)])
def test_gemm(apple: AirLibrary, headers: dict[str, str], dtype: str, shape: tuple[int, int, int]) -> None:
    """Products in the same order, and the same sums of them."""
    m, n, k = shape
    a, b = numbers(m * k, dtype, 10) / 8, numbers(k * n, dtype, 11) / 8
    params, tiles, constants = gemm_launch(m, n, k, (64, 64, 16))
    name, template = GEMM.format("nn", dtype, dtype), f"gemm<{TYPES[dtype]}, 64, 64, 16, 2, 2, false, false, float>"
    files = ["utils.h", "steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_fused.h"]
    outputs = [np.zeros((m, n), dtype) for _ in range(2)]
    absent = np.zeros(8, np.int64)
    kernels = (apple.kernel(name, constants), from_source(headers, files, template, name, constants))
    for kernel, out in zip(kernels, outputs, strict=True):
        buffers = {0: a, 1: b, 2: out, 3: out, 4: params, 5: absent, 6: absent, 7: absent}
        kernel(buffers, (32 * tiles[0], 2 * tiles[1], 2), (32, 2, 2))
    np.testing.assert_array_equal(*outputs)
    assert outputs[0].any()
