# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Scalars and vectors as kernels see them: conversions bit for bit, arithmetic, layout."""

from __future__ import annotations

import numpy as np
import pytest

ALL_16_BITS = np.arange(1 << 16, dtype=np.uint16)

# For each upper half of a float, lower halves around what decides rounding.
FLOATS = (
    (ALL_16_BITS.astype(np.uint32)[:, None] << 16 | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32))
    .ravel()
    .view(np.float32)
)

CONVERT = """
template <typename From, typename To>
kernel void convert(device const From* in [[buffer(0)]], device To* out [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  out[i] = static_cast<To>(in[i]);
}
#define instantiate(name, From, To) \\
  template [[host_name(name)]] [[kernel]] decltype(convert<From, To>) convert<From, To>;
instantiate("bfloat_to_float", bfloat, float)
instantiate("float_to_bfloat", float, bfloat)
instantiate("half_to_float", half, float)
instantiate("float_to_half", float, half)
instantiate("half_to_bfloat", half, bfloat)
instantiate("short_to_bfloat", short, bfloat)
"""


def convert(run, name, values, to):
    out = np.zeros(values.size, to)
    run(CONVERT, name, {0: values, 1: out}, (values.size,), (256,))
    return out


def nearest_bfloat(values):
    """Round to nearest even by comparing distances in float64, where every float and every distance is exact."""
    bits = values.view(np.uint32)
    below = (bits & 0xFFFF0000).view(np.float32).astype(np.float64)
    step = np.ldexp(1.0, np.maximum((bits >> 23 & 0xFF).astype(int), 1) - 127 - 7)
    distance = np.abs(values.astype(np.float64) - below)
    odd = (bits >> 16 & 1).astype(bool)
    up = (distance > step / 2) | ((distance == step / 2) & odd)
    return ((bits >> 16) + up).astype(np.uint16)


def test_bfloat_to_float_is_exact(run):
    out = convert(run, "bfloat_to_float", ALL_16_BITS, np.uint32)
    np.testing.assert_array_equal(out, ALL_16_BITS.astype(np.uint32) << 16)


def test_float_to_bfloat_rounds_to_nearest_even(run):
    out = convert(run, "float_to_bfloat", FLOATS, np.uint16)
    nan = np.isnan(FLOATS)
    infinite = np.isinf(FLOATS)
    with np.errstate(invalid="ignore"):
        expected = nearest_bfloat(np.where(nan | infinite, np.float32(0), FLOATS))
    expected[infinite] = (FLOATS.view(np.uint32)[infinite] >> 16).astype(np.uint16)
    np.testing.assert_array_equal(out[~nan], expected[~nan])
    # A NaN stays one, keeps its sign and is quiet.
    assert ((out[nan] & 0x7FC0) == 0x7FC0).all()
    np.testing.assert_array_equal(out[nan] >> 15, FLOATS.view(np.uint32)[nan] >> 31)


def test_half_to_float_is_exact(run):
    halves = ALL_16_BITS.view(np.float16)
    out = convert(run, "half_to_float", halves, np.float32)
    with np.errstate(invalid="ignore"):
        expected = halves.astype(np.float32)
    nan = np.isnan(halves)
    np.testing.assert_array_equal(out.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])
    assert np.isnan(out[nan]).all()


def test_float_to_half_rounds_to_nearest_even(run):
    out = convert(run, "float_to_half", FLOATS, np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = FLOATS.astype(np.float16)
    nan = np.isnan(FLOATS)
    np.testing.assert_array_equal(out.view(np.uint16)[~nan], expected.view(np.uint16)[~nan])
    assert np.isnan(out[nan]).all()


def test_half_and_integers_to_bfloat(run):
    halves = ALL_16_BITS.view(np.float16)
    halves = halves[np.isfinite(halves)]
    out = convert(run, "half_to_bfloat", halves, np.uint16)
    np.testing.assert_array_equal(out, nearest_bfloat(halves.astype(np.float32)))
    shorts = ALL_16_BITS.view(np.int16)
    out = convert(run, "short_to_bfloat", shorts, np.uint16)
    np.testing.assert_array_equal(out, nearest_bfloat(shorts.astype(np.float32)))


ARITHMETIC = """
template <typename T>
kernel void arithmetic(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device T* out [[buffer(2)]],
                       uint i [[thread_position_in_grid]]) {
  out[4 * i] = a[i] + b[i];
  out[4 * i + 1] = a[i] - b[i];
  out[4 * i + 2] = a[i] * b[i];
  out[4 * i + 3] = a[i] * b[i] + a[i];
}
template [[host_name("half")]] kernel void arithmetic<half>(device const half*, device const half*, device half*, uint);
template [[host_name("bfloat")]] [[kernel]] decltype(arithmetic<bfloat>) arithmetic<bfloat>;
template [[host_name("float")]] [[kernel]] decltype(arithmetic<float>) arithmetic<float>;
"""


def test_half_rounds_after_every_operation(run):
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(4096).astype(np.float16) for _ in range(2))
    out = np.zeros((4096, 4), np.float16)
    run(ARITHMETIC, "half", {0: a, 1: b, 2: out}, (4096,), (64,))
    np.testing.assert_array_equal(out, np.stack([a + b, a - b, a * b, a * b + a], axis=1))


def test_bfloat_rounds_after_every_operation(run):
    rng = np.random.default_rng(2)
    a, b = (nearest_bfloat(rng.standard_normal(4096).astype(np.float32)) for _ in range(2))
    wide_a, wide_b = ((value.astype(np.uint32) << 16).view(np.float32) for value in (a, b))
    product = (nearest_bfloat(wide_a * wide_b).astype(np.uint32) << 16).view(np.float32)
    expected = [wide_a + wide_b, wide_a - wide_b, wide_a * wide_b, product + wide_a]
    out = np.zeros((4096, 4), np.uint16)
    run(ARITHMETIC, "bfloat", {0: a, 1: b, 2: out}, (4096,), (64,))
    np.testing.assert_array_equal(out, np.stack([nearest_bfloat(value) for value in expected], axis=1))


def test_float_products_and_sums_are_not_fused(run):
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(4096).astype(np.float32) for _ in range(2))
    out = np.zeros((4096, 4), np.float32)
    run(ARITHMETIC, "float", {0: a, 1: b, 2: out}, (4096,), (64,))
    np.testing.assert_array_equal(out[:, 3], a * b + a)


def test_float_denormals_are_flushed(run):
    smallest_normal = np.float32(np.finfo(np.float32).tiny)
    a = np.array([smallest_normal, smallest_normal / 4], np.float32)
    b = np.array([0.5, 1.0], np.float32)
    out = np.full((2, 4), -1, np.float32)
    run(ARITHMETIC, "float", {0: a, 1: b, 2: out}, (2,), (2,))
    assert out[0, 2] == 0  # a result
    assert out[1, 2] == 0  # an operand
    assert out[1, 0] == 1


VECTORS = """
struct Sizes { uint values[8]; };
kernel void sizes(device uint* out [[buffer(0)]]) {
  out[0] = sizeof(float2); out[1] = sizeof(float3); out[2] = sizeof(float4); out[3] = alignof(float3);
  out[4] = sizeof(half3); out[5] = sizeof(packed_float3); out[6] = alignof(packed_float3); out[7] = sizeof(bfloat4);
}
kernel void components(device const float4* in [[buffer(0)]], device float* out [[buffer(1)]]) {
  float4 v = in[0];
  float4 w = float4(v.w, v.z, v.y, v.x);
  w *= 2.0;
  w[3] += v[1];
  float4 sum = v + w;
  bool4 larger = w > v;
  for (int i = 0; i < 4; i++) {
    out[i] = w[i];
    out[4 + i] = sum[i];
    out[8 + i] = larger[i] ? 1.0 : 0.0;
  }
  out[12] = dot(v, v);
  out[13] = any(larger) ? 1.0 : 0.0;
  out[14] = all(larger) ? 1.0 : 0.0;
  int3 n = int3(7, -7, 9) / int3(2, 2, -2) + 1;
  out[15] = n.x * 100 + n.y * 10 + n.z;
}
"""


def test_vector_sizes_are_metals(run):
    out = np.zeros(8, np.uint32)
    run(VECTORS, "sizes", {0: out}, (1,), (1,))
    assert out.tolist() == [8, 16, 16, 16, 8, 12, 4, 8]


def test_vector_components_and_operators(run):
    out = np.zeros(16, np.float32)
    run(VECTORS, "components", {0: np.array([1, 2, 3, 4], np.float32), 1: out}, (1,), (1,))
    assert out[:4].tolist() == [8, 6, 4, 4]
    assert out[4:8].tolist() == [9, 8, 7, 8]
    assert out[8:12].tolist() == [1, 1, 1, 0]
    assert out[12:15].tolist() == [30, 1, 0]
    # C++ division: 7/2, -7/2, 9/-2 are 3, -3, -4; plus one: 4, -2, -3.
    assert out[15] == 400 - 20 - 3


MATHS = """
kernel void maths(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  float x = in[i];
  device float* row = out + 8 * i;
  row[0] = exp(x); row[1] = log(abs(x) + 1.0f); row[2] = rsqrt(abs(x) + 1.0f); row[3] = metal::precise::tanh(x);
  row[4] = floor(x); row[5] = clamp(x, -1.0f, 1.0f); row[6] = fma(x, x, 1.0f); row[7] = fast::sin(x);
}
"""


def test_mathematics_is_within_two_units_of_the_last_place(run):
    # The C library states at most 1 ULP for each of these functions, and the sums and quotients around them round once
    # more (half a ULP), so 2 ULP of the float64 value bounds all of them.
    x = np.linspace(-8, 8, 999, dtype=np.float32)
    out = np.zeros((999, 8), np.float32)
    run(MATHS, "maths", {0: x, 1: out}, (999,), (128,))
    wide = x.astype(np.float64)
    plus = (np.abs(x) + np.float32(1)).astype(np.float64)
    expected = [
        np.exp(wide),
        np.log(plus),
        1 / np.sqrt(plus),
        np.tanh(wide),
        np.floor(wide),
        np.clip(wide, -1, 1),
        wide * wide + 1,
        np.sin(wide),
    ]
    for column, value in enumerate(expected):
        ulp = np.spacing(np.abs(value).astype(np.float32)).astype(np.float64)
        assert (np.abs(out[:, column] - value) <= 2 * ulp).all(), column


INTEGERS = """
kernel void integers(device const uint* in [[buffer(0)]], device uint* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  uint x = in[i];
  out[6 * i] = clz(x); out[6 * i + 1] = ctz(x); out[6 * i + 2] = popcount(x);
  out[6 * i + 3] = reverse_bits(x); out[6 * i + 4] = mulhi(x, 0x9e3779b9u); out[6 * i + 5] = rotate(x, 5u);
}
"""


@pytest.mark.parametrize("x", [0, 1, 0x80000000, 0xFFFFFFFF, 0x12345678])
def test_integer_functions(run, x):
    out = np.zeros(6, np.uint32)
    run(INTEGERS, "integers", {0: np.array([x], np.uint32), 1: out}, (1,), (1,))
    binary = f"{x:032b}"
    expected = [
        len(binary) - len(binary.lstrip("0")),
        len(binary) - len(binary.rstrip("0")),
        binary.count("1"),
        int(binary[::-1], 2),
        x * 0x9E3779B9 >> 32,
        int(binary[5:] + binary[:5], 2),
    ]
    assert out.tolist() == expected
