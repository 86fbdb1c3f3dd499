# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MLX's own compiled kernels under the sanitizer, on input as MLX's host code gives it.

What is found in them is written down in docs/sanitizer.md; each entry there has its test here. Grids and arguments are
those of MLX v0.30.1's host code (mlx/backend/metal/*.cpp), which the comments name.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from porter.errors import MetalError

np = pytest.importorskip("numpy")

VERSION = "v0.30.1"
RNG = np.random.default_rng(11)


def random(*shape: int) -> Any:
    return RNG.standard_normal(shape, dtype=np.float32)


def int32(*values: int) -> bytes:
    return struct.pack(f"{len(values)}i", *values)


def int64(*values: int) -> bytes:
    return struct.pack(f"{len(values)}q", *values)


def float32(value: float) -> bytes:
    return struct.pack("f", value)


@dataclass
class Case:
    """One dispatch. `expected` is what the array bound to `out` must hold, computed in float64."""

    name: str
    buffers: dict[int, Any]
    threads: tuple[int, ...]
    group: tuple[int, ...]
    out: int
    expected: Callable[[], Any]
    constants: dict[int, Any] = field(default_factory=dict)
    finding: str = ""
    """The pattern of what the sanitizer says of it, every time (docs/sanitizer.md)."""

    @property
    def result(self) -> Any:
        return self.buffers[self.out]


def elementwise() -> list[Case]:
    """binary.cpp, unary.cpp, copy.cpp: a thread does two elements of four bytes, which 1001 is no multiple of."""
    n, a, b = 1001, random(1001), random(1001)
    size, grid = struct.pack("I", n), ((n + 1) // 2,)
    return [
        Case("vvn_Addfloat32", {0: a, 1: b, 2: np.empty_like(a), 3: size}, grid, (256,), 2, lambda: a + b),
        Case("vsn_Multiplyfloat32", {0: a, 1: b[:1], 2: np.empty_like(a), 3: size}, grid, (256,), 2, lambda: a * b[0]),
        Case("vn_Absfloat32float32", {0: a, 1: np.empty_like(a), 2: size}, grid, (256,), 1, lambda: abs(a)),
        Case("vn_copyfloat32float16", {0: a, 1: np.empty(n, np.float16), 2: size}, grid, (256,), 1,
             lambda: a.astype(np.float16)),
        Case("s_copyfloat32float32", {0: a[:1], 1: np.empty_like(a), 2: struct.pack("I", n)}, (n,), (256,), 1,
             lambda: np.full(n, a[0])),
    ]  # fmt: skip


def reductions() -> list[Case]:
    """reduce.cpp, and arg reduction in primitives.cpp."""
    flat, rows = random(3000), random(6, 700)
    return [
        Case("all_reduce_sumfloat32", {0: flat, 1: np.zeros(1, np.float32), 2: int64(3000), 3: int64(3000)},
             (768,), (768,), 1, lambda: flat.sum(dtype=np.float64)),
        Case("row_reduce_simple_maxfloat32", {0: rows[:4], 1: np.zeros(4, np.float32), 2: int64(700), 3: int64(4)},
             (192, 1), (192, 1), 1, lambda: rows[:4].max(1)),
        # Four rows a threadgroup: the second does the last four there are, two of them again.
        Case("row_reduce_simple_maxfloat32", {0: rows, 1: np.zeros(6, np.float32), 2: int64(700), 3: int64(6)},
             (192, 2), (192, 1), 1, lambda: rows.max(1),
             finding=r"race: write .*\n.*: bytes 8\.\.11 of buffer\(1\) out .*\n.*\n.*writes what is there already"),
        Case("col_reduce_looped_1_32_32_reduce_sumfloat32",
             {0: rows, 1: np.zeros(700, np.float32), 2: int64(6), 3: int64(700), 4: int32(1), 5: int64(0), 6: int32(0),
              7: int32(6), 8: int64(700), 9: int32(1), 10: int64(1)},
             (22 * 256, 1, 1), (256, 1, 1), 1, lambda: rows.sum(0, dtype=np.float64)),
        Case("argmax_float32",
             {0: rows, 1: np.zeros(6, np.uint32), 2: int32(6), 3: int64(700), 4: int64(1), 5: int64(1), 6: int64(1),
              7: int64(700)},
             (192, 6), (192, 1), 1, lambda: rows.argmax(1)),
    ]  # fmt: skip


def rows() -> list[Case]:
    """softmax.cpp, normalization.cpp, logsumexp.cpp: a threadgroup does a row, a thread four elements of it."""
    x, w, b = random(5, 1000), random(1000), random(1000)
    wide, wide_w = random(2, 5000), random(5000)
    eps = 1e-5

    def softmax(values: Any) -> Any:
        e = np.exp(values.astype(np.float64) - values.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def rms(values: Any, weight: Any) -> Any:
        values = values.astype(np.float64)
        return values / np.sqrt((values * values).mean(1, keepdims=True) + eps) * weight

    def layer(values: Any) -> Any:
        values = values.astype(np.float64)
        return (values - values.mean(1, keepdims=True)) / np.sqrt(values.var(1, keepdims=True) + eps) * w + b

    size, wide_size, one = int32(1000), int32(5000), int32(1)
    return [
        Case("block_softmax_float32", {0: x, 1: np.empty_like(x), 2: size}, (5 * 256,), (256,), 1, lambda: softmax(x)),
        Case("looped_softmax_float32", {0: wide, 1: np.empty_like(wide), 2: wide_size}, (2 * 1024,), (1024,), 1,
             lambda: softmax(wide)),
        Case("block_logsumexp_float32", {0: x, 1: np.zeros(5, np.float32), 2: size}, (5 * 256,), (256,), 1,
             lambda: np.log(np.exp(x.astype(np.float64)).sum(1))),
        Case("rmsfloat32", {0: x, 1: w, 2: np.empty_like(x), 3: float32(eps), 4: size, 5: one}, (5 * 256,), (256,), 2,
             lambda: rms(x, w)),
        Case("rms_loopedfloat32", {0: wide, 1: wide_w, 2: np.empty_like(wide), 3: float32(eps), 4: wide_size, 5: one},
             (2 * 1024,), (1024,), 2, lambda: rms(wide, wide_w)),
        Case("layer_normfloat32", {0: x, 1: w, 2: b, 3: np.empty_like(x), 4: float32(eps), 5: size, 6: one, 7: one},
             (5 * 256,), (256,), 3, lambda: layer(x)),
    ]  # fmt: skip


def sorts_and_scans() -> list[Case]:
    """sort.cpp, scan.cpp."""
    x, full = random(3, 500), random(2, 512)
    columns = random(64, 40)
    return [
        Case("c_block_sort_float32_float32_bn128_tn4",
             {0: x, 1: np.empty_like(x), 2: int32(500), 3: int32(1), 4: int32(1), 5: int32(500), 6: int32(500)},
             (128, 3), (128, 1), 1, lambda: np.sort(x, 1)),
        # A whole block: a thread that merges the last values looks at the one behind them, and does not take it.
        Case("c_block_sort_float32_float32_bn128_tn4",
             {0: full, 1: np.empty_like(full), 2: int32(512), 3: int32(1), 4: int32(1), 5: int32(512), 6: int32(512)},
             (128, 2), (128, 1), 1, lambda: np.sort(full, 1),
             finding=r"out-of-bounds read .*\n.*: bytes 2048\.\.2051 of threadgroup variable tgp_vals \(2048 bytes\)"),
        Case("carg_block_sort_float32_uint32_bn128_tn4",
             {0: x, 1: np.empty(x.shape, np.uint32), 2: int32(500), 3: int32(1), 4: int32(1), 5: int32(500),
              6: int32(500)},
             (128, 3), (128, 1), 1, lambda: np.argsort(x, 1)),
        Case("contig_scan_inclusive_sum_float32_float32", {0: x, 1: np.empty_like(x), 2: int64(500)},
             (128, 3), (128, 1), 1, lambda: np.cumsum(x, 1, dtype=np.float64),
             finding=r"uninitialised threadgroup memory .*\n.*: bytes 16\.\.19 of threadgroup variable simdgroup_sums"),
        Case("strided_scan_inclusive_sum_float32_float32",
             {0: columns, 1: np.empty_like(columns), 2: int64(64), 3: int64(40), 4: int64(2)},
             (256, 2), (256, 1), 1, lambda: np.cumsum(columns, 0, dtype=np.float64)),
    ]  # fmt: skip


def products() -> list[Case]:
    """matmul.cpp. What a kernel declares and does not use here is bound to eight bytes."""
    absent = bytes(8)
    matrix, vector, short = random(96, 200), random(200), random(96)
    batch = {
        2: absent,
        7: absent,
        8: absent,
        9: int32(1),
        10: int32(1),
        11: int64(0),
        12: int64(0),
        13: absent,
        14: absent,
    }

    def gemv(rows: int, finding: str = "") -> Case:
        buffers = {0: matrix[:rows], 1: vector, 3: np.zeros(rows, np.float32), 4: int32(200), 5: int32(rows),
                   6: int32(200), **batch}  # fmt: skip
        return Case("gemv_float32_bm4_bn1_sm1_sn32_tm4_tn4_nc0_axpby0", buffers, (-(-rows // 16) * 32, 1, 4),
                    (32, 1, 4), 3, lambda: matrix[:rows].astype(np.float64) @ vector, finding=finding)  # fmt: skip

    def gemv_t(columns: int, finding: str = "") -> Case:
        buffers = {0: matrix, 1: short, 3: np.zeros(columns, np.float32), 4: int32(96), 5: int32(columns),
                   6: int32(200), **batch}  # fmt: skip
        return Case("gemv_t_float32_bm1_bn2_sm8_sn4_tm4_tn4_nc0_axpby0", buffers, (-(-columns // 32) * 32, 2, 1),
                    (32, 2, 1), 3, lambda: short.astype(np.float64) @ matrix[:, :columns], finding=finding)  # fmt: skip

    return [
        gemm(random(128, 64), random(64, 128)),
        gemm(random(100, 70), random(70, 90)),
        gemv(96),
        gemv(90, finding=r"race: write .*\n.*: bytes 344\.\.347 of buffer\(3\).*\n.*\n.*writes what is there already"),
        gemv_t(192),
        gemv_t(200, finding=r"divergent threadgroup_barrier .*\n.* waits at it, and thread .* has ended"),
        # The second row of tiles begins at row 64; C has rows up to 99, and as far as 127 it is read.
        gemm(random(100, 64), random(64, 128), random(100, 128),
             finding=r"out-of-bounds read of 4 bytes .*\n.*: bytes 5\d{4}\.\.5\d{4} of buffer\(2\) C \(51200 bytes\)"),
        gemm(random(100, 64), random(64, 128), random(128, 128)),
    ]  # fmt: skip


def gemm(a: Any, b: Any, c: Any = None, finding: str = "") -> Case:
    """a @ b, plus c / 2 where it is given."""
    (m, k), n = a.shape, b.shape[1]
    tiles = -(-m // 64), -(-n // 64)
    params = struct.pack("8i3q3i4x", m, n, k, k, n, n, tiles[1], tiles[0], 0, 0, 0, 0, k // 16, 0)
    buffers = {0: a, 1: b, 3: np.zeros((m, n), np.float32), 4: params}
    if c is not None:
        buffers.update({2: c, 5: struct.pack("2iq2f", n, 1, 0, 1, 0.5)})
    return Case(
        "steel_gemm_fused_nn_float32_float32_bm64_bn64_bk16_wm2_wn2", buffers, (tiles[1] * 32, tiles[0] * 2, 2),
        (32, 2, 2), 3, lambda: a.astype(np.float64) @ b + (0 if c is None else c[:m] / 2),
        {10: False, 100: c is not None, 110: c is not None, 200: m % 64 == 0, 201: n % 64 == 0, 202: k % 16 == 0},
        finding,
    )  # fmt: skip


def attention() -> list[Case]:
    """scaled_dot_product_attention.cpp, one query."""
    heads, keys, width = 2, 40, 64
    q, k, v = random(heads, width), random(heads, keys, width), random(heads, keys, width)

    def expected() -> Any:
        scores = np.einsum("hd,hkd->hk", q.astype(np.float64), k) * 0.125
        weights = np.exp(scores - scores.max(1, keepdims=True))
        return np.einsum("hk,hkd->hd", weights / weights.sum(1, keepdims=True), v)

    strides = [int64(keys * width), int64(width)]
    buffers = {0: q, 1: k, 2: v, 3: np.empty_like(q), 4: int32(1), 5: int32(keys), 10: float32(0.125)}
    buffers.update(dict(enumerate(strides * 2, 6)))
    constants = dict.fromkeys(range(20, 26), False)
    return [Case("sdpa_vector_float_64_64", buffers, (heads * 1024, 1), (1024, 1), 3, expected, constants)]


CASES = [*elementwise(), *reductions(), *rows(), *sorts_and_scans(), *products(), *attention()]


@pytest.fixture
def library(monkeypatch):
    monkeypatch.setenv("STEEL_METAL_CHECK", "1")
    from porter.metal.air_library import AirLibrary
    from porter.upstream.providers.wheel import metallib_of

    return AirLibrary(metallib_of(VERSION))


@pytest.mark.parametrize(
    "case",
    CASES,
    ids=lambda case: f"{case.name}-{'x'.join(map(str, case.result.shape))}{'-found' * bool(case.finding)}",
)
def test_kernels_on_valid_input(library, case):
    """Clean, or what is found is what is written down; a race that is written down does not change the result."""
    kernel = library.kernel(case.name, constants=case.constants)
    if case.finding:
        with pytest.raises(MetalError) as caught:
            kernel(case.buffers, case.threads, case.group)
        assert "the sanitizer found 1 problem\n" in str(caught.value)
        assert re.search(case.finding, str(caught.value)), str(caught.value)
        if "out-of-bounds" in str(caught.value):
            return  # it ends the threadgroup
    else:
        kernel(case.buffers, case.threads, case.group)
    # Sums of up to 5000 terms of size about 1 in float32: 5000 * 2^-24 * 10 (a result) is 3e-3.
    np.testing.assert_allclose(case.result, case.expected(), rtol=3e-3, atol=3e-3)
