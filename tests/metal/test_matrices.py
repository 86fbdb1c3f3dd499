# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""simdgroup_matrix: layout, products, and that batching products changes no bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from porter.errors import MetalError

LAYOUT = """
kernel void layout(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                   uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, in, 8);
  out[2 * lane] = m.thread_elements()[0];
  out[2 * lane + 1] = m.thread_elements()[1];
}
kernel void transpose(device const float* in [[buffer(0)]], device float* out [[buffer(1)]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, in, 16, ulong2(3, 2), true);
  simdgroup_store(m, out, 8);
}
kernel void diagonal(device float* out [[buffer(0)]]) {
  simdgroup_store(simdgroup_float8x8(3.0f), out, 8);
  simdgroup_store(make_filled_simdgroup_matrix<float, 8, 8>(2.0f), out + 64, 8);
}
"""


def test_each_lane_holds_two_elements_of_a_row(run):
    out = np.zeros(64, np.float32)
    run(LAYOUT, "layout", {0: np.arange(64, dtype=np.float32), 1: out}, (32,), (32,))
    for lane in range(32):
        # Written with bits, unlike the shim and the runtime: 4, 2 and 1 of the lane are the row, 3 and 0 the columns.
        row = (lane >> 4 & 1) * 4 + (lane >> 1 & 3)
        column = (lane >> 3 & 1) * 4 + (lane & 1) * 2
        assert out[2 * lane : 2 * lane + 2].tolist() == [8 * row + column, 8 * row + column + 1]


def test_load_with_origin_and_transposition(run):
    x = np.arange(16 * 16, dtype=np.float32).reshape(16, 16)
    out = np.zeros((8, 8), np.float32)
    run(LAYOUT, "transpose", {0: x, 1: out}, (32,), (32,))
    np.testing.assert_array_equal(out, x[2:10, 3:11].T)


def test_diagonal_and_filled(run):
    out = np.zeros((2, 8, 8), np.float32)
    run(LAYOUT, "diagonal", {0: out}, (32,), (32,))
    np.testing.assert_array_equal(out, [3 * np.eye(8), np.full((8, 8), 2)])


PRODUCT = """
template <typename T, typename Accumulator>
kernel void product(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]],
                    device const Accumulator* c [[buffer(2)]], device Accumulator* d [[buffer(3)]]) {
  simdgroup_matrix<T, 8, 8> ma, mb;
  simdgroup_matrix<Accumulator, 8, 8> mc, md;
  simdgroup_load(ma, a);
  simdgroup_load(mb, b);
  simdgroup_load(mc, c);
  simdgroup_multiply_accumulate(md, ma, mb, mc);
  simdgroup_store(md, d);
}
template [[host_name("float")]] [[kernel]] decltype(product<float, float>) product<float, float>;
template [[host_name("half")]] [[kernel]] decltype(product<half, half>) product<half, half>;
template [[host_name("mixed")]] [[kernel]] decltype(product<half, float>) product<half, float>;
"""


def to_float32(exact):
    """The float nearest to a fraction, ties to even."""
    near = np.float32(float(exact))
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(candidates, key=lambda x: (abs(Fraction(float(x)) - exact), x.view(np.uint32) & 1))


def fused_product(a, b, c):
    """c + a b with k = 0..7 in order, each step computed exactly and rounded once to float."""
    total = c.astype(np.float32)
    for row, column in np.ndindex(8, 8):
        for k in range(8):
            exact = Fraction(float(a[row, k])) * Fraction(float(b[k, column])) + Fraction(float(total[row, column]))
            total[row, column] = to_float32(exact)
    return total


@pytest.mark.parametrize(
    ("name", "kind", "accumulator"),
    [("float", np.float32, np.float32), ("half", np.float16, np.float16), ("mixed", np.float16, np.float32)],
)
def test_a_product_is_a_chain_of_fused_steps(run, name, kind, accumulator):
    rng = np.random.default_rng(10)
    a, b = (rng.standard_normal((8, 8)).astype(kind) for _ in range(2))
    c = rng.standard_normal((8, 8)).astype(accumulator)
    d = np.zeros((8, 8), accumulator)
    run(PRODUCT, name, {0: a, 1: b, 2: c, 3: d}, (32,), (32,))
    np.testing.assert_array_equal(d, fused_product(a, b, c).astype(accumulator))


TYPES = {"float": np.float32, "half": np.float16, "bfloat": np.uint16}


def rounded(kind, values):
    """float32 values, rounded to `kind` to nearest, ties to even."""
    if kind == "bfloat":
        bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.asarray(values, np.float32).astype(TYPES[kind]).astype(np.float32)


def stored(kind, values):
    if kind == "bfloat":
        return (rounded(kind, values).view(np.uint32) >> 16).astype(np.uint16)
    return np.asarray(values).astype(TYPES[kind])


def loaded(kind, values):
    return (values.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat" else values.astype(np.float32)


MIXED = """
template <typename A, typename B, typename C, typename D>
kernel void mixed(device const A* a, device const B* b, device const C* c, device D* d, device D* ab) {
  simdgroup_matrix<A, 8, 8> ma;
  simdgroup_matrix<B, 8, 8> mb;
  simdgroup_matrix<C, 8, 8> mc;
  simdgroup_matrix<D, 8, 8> md;
  simdgroup_load(ma, a);
  simdgroup_load(mb, b);
  simdgroup_load(mc, c);
  simdgroup_multiply_accumulate(md, ma, mb, mc);
  simdgroup_store(md, d);
  simdgroup_multiply(md, ma, mb);
  simdgroup_store(md, ab);
}
"""


@pytest.mark.parametrize(
    "kinds",
    [
        ("bfloat", "bfloat", "bfloat", "bfloat"),
        ("bfloat", "bfloat", "float", "float"),
        ("half", "float", "float", "half"),
        ("float", "bfloat", "half", "bfloat"),
        ("half", "half", "float", "bfloat"),
    ],
    ids="_".join,
)
def test_types_may_be_mixed(run, kinds):
    rng = np.random.default_rng(12)
    values = [rounded(kind, rng.standard_normal((8, 8))) for kind in kinds[:3]]
    arrays = [stored(kind, one) for kind, one in zip(kinds, values, strict=False)]
    d, product = (np.zeros((8, 8), TYPES[kinds[3]]) for _ in range(2))
    written = ", ".join(kinds)
    source = MIXED + f'template [[host_name("k")]] [[kernel]] decltype(mixed<{written}>) mixed<{written}>;\n'
    run(source, "k", {**dict(enumerate(arrays)), 3: d, 4: product}, (32,), (32,))
    np.testing.assert_array_equal(loaded(kinds[3], d), rounded(kinds[3], fused_product(*values)))
    nothing = np.zeros((8, 8), np.float32)
    np.testing.assert_array_equal(loaded(kinds[3], product), rounded(kinds[3], fused_product(*values[:2], nothing)))


MEMORY = """
template <typename T>
kernel void memory(device const T* in, device T* out, uint lane [[thread_index_in_simdgroup]]) {
  threadgroup T tile[20 * 24];
  for (uint e = lane; e < 20 * 24; e += 32) tile[e] = in[e];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<T, 8, 8> m;
  const threadgroup T* from = tile;
  simdgroup_load(m, from, 24, ulong2(5, 3));
  simdgroup_store(m, out, 16, ulong2(1, 2));
  simdgroup_load(m, tile, 24, ulong2(0, 9), true);
  simdgroup_store(m, out, 16, ulong2(2, 11), true);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_store(m, tile, 9, ulong2(0), true);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_load(m, tile, 9);
  m.thread_elements()[1] = m.thread_elements()[0];
  simdgroup_store(m, out + 20 * 16);
}
"""


@pytest.mark.parametrize("kind", list(TYPES))
def test_strides_origins_and_transpositions_in_both_memories(run, kind):
    source = MEMORY + f'template [[host_name("k")]] [[kernel]] decltype(memory<{kind}>) memory<{kind}>;\n'
    x = np.arange(20 * 24).reshape(20, 24) % 251  # whole numbers that a bfloat holds
    out = np.zeros(20 * 16 + 64, TYPES[kind])
    run(source, "k", {0: stored(kind, x), 1: out}, (32,), (32,))
    result = loaded(kind, out)
    expected = np.zeros((20, 16))
    expected[2:10, 1:9] = x[3:11, 5:13]
    expected[11:19, 2:10] = x[9:17, 0:8]  # transposed on the way in and on the way out
    np.testing.assert_array_equal(result[: 20 * 16].reshape(20, 16), expected)
    last = x[9:17, 0:8].astype(float)
    last[:, 1::2] = last[:, 0::2]
    np.testing.assert_array_equal(result[20 * 16 :].reshape(8, 8), last)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("simdgroup_matrix<int, 8, 8> m;", "simdgroup_matrix holds float, half or bfloat"),
        ("simdgroup_matrix<float, 8, 4> m;", "simdgroup_matrix is 8 x 8"),
        ("simdgroup_half8x8 m; simdgroup_load(m, x);", "simdgroup_load reads elements of the matrix's own type"),
        ("simdgroup_half8x8 m; simdgroup_store(m, x);", "simdgroup_store writes elements of the matrix's own type"),
    ],
)
def test_matrices_that_are_not_there_are_named(run, statement, message):
    with pytest.raises(MetalError, match=message):
        run(
            f"kernel void wrong(device float* x) {{ {statement} }}\n",
            "wrong",
            {0: np.zeros(64, np.float32)},
            (32,),
            (32,),
        )


# A small GEMM in the style of tiled kernels: several accumulators, two steps of K in one block, a loop around them.
TILED = """
kernel void tiled(device const float* a [[buffer(0)]], device const float* b [[buffer(1)]],
                  device float* d [[buffer(2)]], constant int& k_steps [[buffer(3)]]) {
  threadgroup float tile_a[16 * 16];
  threadgroup float tile_b[16 * 16];
  simdgroup_float8x8 sum[2][2];
  for (int i = 0; i < 2; i++) for (int j = 0; j < 2; j++) sum[i][j] = simdgroup_float8x8(0.0f);
  const uint lane = simd_prefix_exclusive_sum(1u);
  for (int step = 0; step < k_steps; step++) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = lane; e < 256; e += 32) {
      tile_a[e] = a[e / 16 * 16 * k_steps + step * 16 + e % 16];
      tile_b[e] = b[(step * 16 + e / 16) * 16 + e % 16];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
    for (int k = 0; k < 2; k++) {
      simdgroup_barrier(mem_flags::mem_none);
      simdgroup_float8x8 left[2], right[2];
#pragma clang loop unroll(full)
      for (int i = 0; i < 2; i++) {
        simdgroup_load(left[i], tile_a + i * 128 + k * 8, 16);
        simdgroup_load(right[i], tile_b + k * 128 + i * 8, 16);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 2; i++) {
#pragma clang loop unroll(full)
        for (int j = 0; j < 2; j++) simdgroup_multiply_accumulate(sum[i][j], left[i], right[j], sum[i][j]);
      }
    }
  }
  for (int i = 0; i < 2; i++) for (int j = 0; j < 2; j++) simdgroup_store(sum[i][j], d + i * 128 + j * 8, 16);
}
"""
HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def test_batching_changes_no_bit():
    from porter.metal import Library

    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((16, 64), np.float32), rng.standard_normal((64, 16), np.float32)
    outs = []
    for optimise in (True, False):
        out = np.zeros((16, 16), np.float32)
        kernel = Library(HEADER + TILED, optimise=optimise)["tiled"]
        kernel({0: a, 1: b, 2: out, 3: np.int32(4).tobytes()}, (32,), (32,))
        outs.append(out)
    np.testing.assert_array_equal(outs[0].view(np.uint32), outs[1].view(np.uint32))
    # 64 fused steps of float: each rounds by at most half an ULP of a partial sum, which |a||b| bounds.
    bound = 64 * 2.0**-24 * (np.abs(a).astype(np.float64) @ np.abs(b))
    assert (np.abs(outs[0] - a.astype(np.float64) @ b) <= bound).all()


def test_products_of_one_block_are_one_batch():
    """Eight products (two of K, two by two), though each of the last four takes a result of the first."""
    from porter.metal.compiler import compile_source
    from porter.metal.execution import optimised_ir
    from porter.metal.lowering import lower

    unit = compile_source(HEADER + TILED)
    ir = optimised_ir(unit)
    symbols = [kernel.symbol for kernel in unit.kernels]
    assert lower(ir, symbols).batches == (8,)
    assert lower(ir, symbols, batch=False).batches == (1,) * 8


PARTIAL = """
kernel void partial(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (out[i] > 20) return;
  simdgroup_float8x8 m = simdgroup_float8x8(1.0f);
  out[i] = (m * m).thread_elements()[0];
}
"""


def test_a_product_needs_all_lanes(run):
    with pytest.raises(MetalError, match="fewer than the 32 threads"):
        run(PARTIAL, "partial", {0: np.arange(32, dtype=np.float32)}, (32,), (32,))
    with pytest.raises(MetalError, match="fewer than the 32 threads"):
        run(PARTIAL, "partial", {0: np.zeros(24, np.float32)}, (24,), (32,))
