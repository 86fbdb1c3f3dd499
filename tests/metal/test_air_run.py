# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Apple's compiled kernels run: against numpy where the bitcode decides every bit, within derived bounds where it does
not. The libraries are those of MLX's wheels for macOS, fetched when a test runs."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

np = pytest.importorskip("numpy")

from porter.errors import MetalError  # noqa: E402
from porter.metal.air_library import AirLibrary  # noqa: E402

from .macos_wheels import LIBRARIES, MLX_0_30_1, MacosLibrary, opened  # noqa: E402

UNIT = 2.0**-24  # half the distance of 1 and the next float

GEMM = "steel_gemm_fused_{}_{}_{}_bm64_bn64_bk16_wm2_wn2"


def library_of(wanted: MacosLibrary) -> Iterator[AirLibrary]:
    with opened(wanted) as file:
        yield AirLibrary(file)


@pytest.fixture(scope="module")
def mlx() -> Iterator[AirLibrary]:
    yield from library_of(MLX_0_30_1)


@pytest.fixture(scope="module")
def mlx_nax() -> Iterator[AirLibrary]:
    yield from library_of(next(one for one in LIBRARIES if one.platform == "macosx_26_0_arm64"))


def numbers(count: int, dtype: str, seed: int = 0):
    """Values of many sizes; a bfloat16 is the uint16 with its bits."""
    rng = np.random.default_rng(seed)
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, count, dtype=dtype, endpoint=True)
    values = (rng.standard_normal(count) * 2.0 ** rng.integers(-6, 7, count)).astype(np.float32)
    return to_bfloat(values) if dtype == "bfloat16" else values.astype(dtype)


def to_bfloat(values):
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def one(value: float, dtype: str):
    return np.array([value], dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Every bit


@pytest.mark.parametrize("operation", ["Add", "Subtract", "Multiply"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8", "int64"])
def test_elementwise(mlx: AirLibrary, operation: str, dtype: str) -> None:
    count = 1003  # no multiple of a group
    a, b = numbers(count, dtype, 1), numbers(count, dtype, 2)
    out = np.zeros_like(a)
    mlx[f"vv_{operation}{dtype}"]({0: a, 1: b, 2: out, 3: one(count, "uint32")}, (count,), (256,))
    function = getattr(np, operation.lower())
    with np.errstate(over="ignore"):
        expected = to_bfloat(function(from_bfloat(a), from_bfloat(b))) if dtype == "bfloat16" else function(a, b)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("source", "target"),
    [("float32", "float16"), ("float16", "float32"), ("int32", "float32"), ("float32", "int32"), ("int64", "uint8"),
     ("uint8", "int16"), ("float32", "bfloat16"), ("bfloat16", "float32"), ("float16", "int8"), ("float32", "float32")],
)  # fmt: skip
def test_copy_converts(mlx: AirLibrary, source: str, target: str) -> None:
    count = 777
    values = numbers(count, source, 3)
    plain = from_bfloat(values) if source == "bfloat16" else values
    out = np.zeros(count, "uint16" if target == "bfloat16" else target)
    mlx[f"v_copy{source}{target}"]({0: values, 1: out, 2: one(count, "uint32")}, (count,), (256,))
    if target == "bfloat16":
        expected = to_bfloat(plain)
    elif target.startswith(("int", "uint")) and plain.dtype.kind == "f":
        info = np.iinfo(target)
        expected = np.clip(np.trunc(plain.astype(np.float64)), info.min, info.max).astype(target)
    else:
        with np.errstate(over="ignore"):
            expected = plain.astype(target)
    np.testing.assert_array_equal(out, expected)


def test_a_float_beyond_an_integer_gives_the_nearest(mlx: AirLibrary) -> None:
    values = np.array([3e9, -3e9, np.inf, -np.inf, np.nan, 1.5], np.float32)
    out = np.zeros(6, np.int32)
    mlx["v_copyfloat32int32"]({0: values, 1: out, 2: one(6, "uint32")}, (6,), (6,))
    assert out.tolist() == [2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 0, 1]


@pytest.mark.parametrize("dtype", ["int32", "float32", "uint8"])
def test_arange(mlx: AirLibrary, dtype: str) -> None:
    out = np.zeros(100, dtype)
    mlx[f"arange{dtype}"]({0: one(3, dtype), 1: one(2, dtype), 2: out}, (100,), (64,))
    np.testing.assert_array_equal(out, np.arange(3, 203, 2, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float16"])
def test_sort(mlx: AirLibrary, dtype: str) -> None:
    rows, columns = 3, 401
    values = numbers(rows * columns, dtype, 4).reshape(rows, columns)
    size, step = one(columns, "int32"), one(1, "int32")
    buffers = {0: values, 2: size, 3: step, 4: step, 5: size, 6: size}
    out, places = np.zeros_like(values), np.zeros((rows, columns), np.uint32)
    mlx[f"c_block_sort_{dtype}_{dtype}_bn128_tn4"]({**buffers, 1: out}, (128, rows), (128,))
    mlx[f"carg_block_sort_{dtype}_uint32_bn128_tn4"]({**buffers, 1: places}, (128, rows), (128,))
    np.testing.assert_array_equal(out, np.sort(values, 1))
    np.testing.assert_array_equal(places, np.argsort(values, 1, kind="stable"))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16"])
def test_prefix_sums_of_integers(mlx: AirLibrary, dtype: str) -> None:
    rows, columns = 2, 999
    values = numbers(rows * columns, dtype, 5).reshape(rows, columns)
    for name, expected in (
        ("inclusive", np.cumsum(values, 1, dtype=dtype)),
        ("reverse_inclusive", np.cumsum(values[:, ::-1], 1, dtype=dtype)[:, ::-1]),
        ("exclusive", np.cumsum(values, 1, dtype=dtype) - values),
    ):
        out = np.zeros_like(values)
        kernel = mlx[f"contig_scan_{name}_sum_{dtype}_{dtype}"]
        kernel({0: values, 1: out, 2: one(columns, "uint64")}, (256, rows), (256,))
        np.testing.assert_array_equal(out, expected)


def test_reduction_of_integers(mlx: AirLibrary) -> None:
    values = numbers(5000, "int32", 6)
    out = np.zeros(1, np.int32)
    size = one(values.size, "uint64")
    mlx["all_reduce_sumint32"]({0: values, 1: out, 2: size, 3: size}, (256,), (256,))
    assert out[0] == values.sum(dtype=np.int32)


def test_a_bfloat_carried_between_blocks_keeps_its_bits(mlx: AirLibrary) -> None:
    """Denormal numbers, and a NaN's payload, which a register of floats would not keep."""
    values, out = np.array([0x0001, 0x007F, 0x7F81, 0x8003] * 128, np.uint16), np.zeros(512, np.uint16)
    size, step = one(512, "int32"), one(1, "int32")
    buffers = {0: values, 1: out, 2: size, 3: step, 4: step, 5: size, 6: size}
    mlx["c_block_sort_bfloat16_bfloat16_bn128_tn4"](buffers, (128,), (128,))
    np.testing.assert_array_equal(np.sort(out), np.sort(values))


def test_argmax(mlx: AirLibrary) -> None:
    rows, columns = 7, 501
    values = numbers(rows * columns, "float32", 7).reshape(rows, columns)
    out = np.zeros(rows, np.uint32)
    shape, strides = one(rows, "int32"), one(columns, "int64")
    buffers = {0: values, 1: out, 2: shape, 3: strides, 4: one(1, "int64"), 5: one(1, "uint64"), 6: one(1, "int64")}
    mlx["argmax_float32"]({**buffers, 7: one(columns, "uint64")}, (128, rows), (128,))
    np.testing.assert_array_equal(out, values.argmax(1))


def test_in_place(mlx: AirLibrary) -> None:
    """MLX gives an input's buffer to the output: arguments may be the same memory."""
    values, other = numbers(300, "float32", 8), numbers(300, "float32", 9)
    expected = values + other
    mlx["vv_Addfloat32"]({0: values, 1: other, 2: values, 3: one(300, "uint32")}, (300,), (64,))
    np.testing.assert_array_equal(values, expected)


# ---------------------------------------------------------------------------------------------------------------------
# Products: K products and sums, in whatever order, are off by at most gamma = K u / (1 - K u) times the sum of the
# products' magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), and the result is rounded once.


def gemm_bound(a, b, dtype: str):
    k = a.shape[1]
    magnitudes = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    last = {"float32": UNIT, "float16": 2.0**-11}[dtype]
    return (k * UNIT / (1 - k * UNIT)) * magnitudes + last * magnitudes + 2.0**-24


def gemm_launch(m: int, n: int, k: int, tile: tuple[int, int, int], transposes: str = "nn"):
    """(params, threads, constants) of a Steel GEMM without batches (struct GEMMParams: 8 int32, 3 int64, 3 int32)."""
    bm, bn, bk = tile
    tiles_n, tiles_m = -(-n // bn), -(-m // bm)
    leading = (m if transposes[0] == "t" else k, k if transposes[1] == "t" else n)
    params = struct.pack("<8i3q3i4x", m, n, k, *leading, n, tiles_n, tiles_m, 0, 0, 0, 0, k // bk, 0)
    names = ("has_batch", "use_out_source", "do_axpby")
    aligned = {"align_M": m % bm == 0, "align_N": n % bn == 0, "align_K": k % bk == 0}
    return params, (tiles_n, tiles_m), {**dict.fromkeys(names, False), **aligned}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("transposes", ["nn", "nt", "tn"])
@pytest.mark.parametrize("shape", [(64, 64, 32), (70, 50, 37)])
def test_gemm(mlx: AirLibrary, dtype: str, transposes: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    a, b = numbers(m * k, dtype, 10).reshape(m, k) / 8, numbers(k * n, dtype, 11).reshape(k, n) / 8
    params, tiles, constants = gemm_launch(m, n, k, (64, 64, 16), transposes)
    kernel = mlx.kernel(GEMM.format(transposes, dtype, dtype), constants)
    out = np.zeros((m, n), dtype)
    operands = [np.ascontiguousarray(x.T if t == "t" else x) for x, t in zip((a, b), transposes, strict=True)]
    kernel({0: operands[0], 1: operands[1], 3: out, 4: params}, (32 * tiles[0], 2 * tiles[1], 2), (32, 2, 2))
    error = np.abs(out - a.astype(np.float64) @ b.astype(np.float64))
    assert (error <= gemm_bound(a, b, dtype)).all()


def test_gemm_is_the_same_with_and_without_batches_of_products(mlx: AirLibrary) -> None:
    a, b = numbers(64 * 64, "float32", 12), numbers(64 * 64, "float32", 13)
    params, _, constants = gemm_launch(64, 64, 64, (64, 64, 16))
    results = []
    for library in (mlx, AirLibrary(mlx._file, optimise=False)):
        out = np.zeros((64, 64), np.float32)
        kernel = library.kernel(GEMM.format("nn", "float32", "float32"), constants)
        kernel({0: a, 1: b, 3: out, 4: params}, (32, 2, 2), (32, 2, 2))
        results.append(out)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("transposes", ["nn", "nt", "tn"])
@pytest.mark.parametrize("shape", [(64, 64, 256), (40, 50, 100)])
def test_nax_gemm(mlx_nax: AirLibrary, transposes: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    a, b = numbers(m * k, "float16", 14).reshape(m, k) / 8, numbers(k * n, "float16", 15).reshape(k, n) / 8
    params, tiles, constants = gemm_launch(m, n, k, (64, 64, 256), transposes)
    name = f"steel_gemm_fused_nax_{transposes}_float16_float16_bm64_bn64_bk256_wm2_wn2"
    out = np.zeros((m, n), np.float16)
    operands = [np.ascontiguousarray(x.T if t == "t" else x) for x, t in zip((a, b), transposes, strict=True)]
    kernel = mlx_nax.kernel(name, constants)
    kernel({0: operands[0], 1: operands[1], 3: out, 4: params}, (32 * tiles[0], 2 * tiles[1], 2), (32, 2, 2))
    error = np.abs(out - a.astype(np.float64) @ b.astype(np.float64))
    assert (error <= gemm_bound(a, b, "float16")).all()


@pytest.mark.parametrize("shape", [(32, 32, 256), (60, 40, 200)])
def test_nax_gemm_on_tensors_in_memory(mlx_nax: AirLibrary, shape: tuple[int, int, int]) -> None:
    """Each of four simdgroups takes a part of K; their sums meet in threadgroup memory."""
    m, n, k = shape
    a, b = numbers(m * k, "float16", 16).reshape(m, k) / 8, numbers(k * n, "float16", 17).reshape(k, n) / 8
    params, tiles, constants = gemm_launch(m, n, k, (32, 32, 64))
    out = np.zeros((m, n), np.float16)
    kernel = mlx_nax.kernel("steel_gemm_thin_nax_nn_float16_um2_un2_sm1_sn1_ks4", constants)
    kernel({0: a, 1: b, 3: out, 4: params}, (128 * tiles[0] * tiles[1],), (128,))
    error = np.abs(out - a.astype(np.float64) @ b.astype(np.float64))
    assert (error <= gemm_bound(a, b, "float16")).all()


# ---------------------------------------------------------------------------------------------------------------------
# Errors


def test_a_constant_without_a_value(mlx: AirLibrary) -> None:
    with pytest.raises(MetalError, match=r"has_batch \(bool, index 10\)"):
        mlx[GEMM.format("nn", "float32", "float32")]


def test_gated_arguments_exist_only_when_their_constant_is_true(mlx: AirLibrary) -> None:
    _, _, constants = gemm_launch(64, 64, 64, (64, 64, 16))
    name = GEMM.format("nn", "float32", "float32")
    without = mlx.kernel(name, constants)
    with_source = mlx.kernel(name, {**constants, "use_out_source": True})
    assert [argument.slot for argument in without.arguments] == [0, 1, 3, 4]
    assert [argument.slot for argument in with_source.arguments] == [0, 1, 2, 3, 4, 5]


def test_a_name_that_is_not_there(mlx: AirLibrary) -> None:
    with pytest.raises(MetalError, match="vv_Addfloat32"):
        mlx["vv_Addfloat3"]


def test_a_missing_argument(mlx: AirLibrary) -> None:
    with pytest.raises(MetalError, match=r"\[\[buffer\(2\)\]\] is missing"):
        mlx["vv_Addfloat32"]({0: np.zeros(1, np.float32), 1: np.zeros(1, np.float32)}, (1,), (1,))
