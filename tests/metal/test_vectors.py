# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Vectors: swizzles, constructors, packed ones, operators, bits as other types (specification, sections 2.2, 2.20)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from porter.errors import MetalError
from porter.metal import Library

NAMES = {2: "xy", 3: "xyz", 4: "xyzw"}
COLOURS = str.maketrans("xyzw", "rgba")


def swizzles(length: int) -> list[str]:
    """Every swizzle of two to four of the first `length` components."""
    names = NAMES[length]
    return ["".join(one) for width in (2, 3, 4) for one in itertools.product(names, repeat=width)]


def swizzle_kernel(vector: str, length: int) -> str:
    """A kernel that reads every swizzle, and one that writes every swizzle without a repetition."""
    reads, writes = [], []
    for j, name in enumerate(swizzles(length)):
        for form in (name, name.translate(COLOURS)):
            k = 8 * j + (4 if form != name else 0)
            reads.append(f"  {{ const auto s = v.{form}; for (int k = 0; k < {len(name)}; k++) out[{k} + k] = s[k]; }}")
    for j, name in enumerate(one for one in swizzles(length) if len(set(one)) == len(one)):
        value = f"vec<int, {len(name)}>({', '.join(str(10 + k) for k in range(len(name)))})"
        for form, twice in ((name, 0), (name.translate(COLOURS), 1)):
            for verb, how in (("=", 0), ("+=", 1)):
                place = ((2 * j + twice) * 2 + how) * 4
                writes.append(
                    f"  {{ {vector} t = v; t.{form} {verb} {value}; "
                    f"for (int k = 0; k < {length}; k++) out[{place} + k] = t[k]; }}"
                )
    return (
        f"kernel void reads(device const {vector}* in [[buffer(0)]], device int* out [[buffer(1)]]) {{\n"
        f"  const {vector} v = in[0];\n" + "\n".join(reads) + "\n}\n"
        f"kernel void writes(device const {vector}* in [[buffer(0)]], device int* out [[buffer(1)]]) {{\n"
        f"  const {vector} v = in[0];\n" + "\n".join(writes) + "\n}\n"
    )


@pytest.mark.parametrize("length", [2, 3, 4])
@pytest.mark.parametrize("vector", ["int{}", "packed_int{}"])
def test_every_swizzle_is_read_and_written(run, vector, length):
    source = swizzle_kernel(vector.format(length), length)
    values = np.array([1, 2, 3, 4], np.int32)
    names = swizzles(length)
    out = np.zeros((len(names), 2, 4), np.int32)
    run(source, "reads", {0: values, 1: out}, (1,), (1,))
    for name, row in zip(names, out, strict=True):
        expected = [1 + "xyzw".index(c) for c in name] + [0] * (4 - len(name))
        assert row.tolist() == [expected, expected], name
    names = [name for name in names if len(set(name)) == len(name)]
    out = np.zeros((len(names), 2, 2, 4), np.int32)
    run(source, "writes", {0: values, 1: out}, (1,), (1,))
    for name, row in zip(names, out, strict=True):
        put, added = list(range(1, length + 1)), list(range(1, length + 1))
        for k, c in enumerate(name):
            put["xyzw".index(c)] = 10 + k
            added["xyzw".index(c)] += 10 + k
        rest = [0] * (4 - length)
        assert row.tolist() == [[put + rest, added + rest]] * 2, name


CONSTANTS = """
constant constexpr float4 quad = float4(1, 2, 3, 4);
static_assert(quad.wzyx.x == 4 && quad.yz[1] == 3 && quad[2] == 3 && quad.rgb.b == 3, "constants have swizzles");
static_assert(float3(quad.xy, 5)[2] == 5 && (quad + quad).w == 8 && packed_float3(1, 2, 3).zyx.x == 3, "and sums");
kernel void components(device float4* io [[buffer(0)]], device float* out [[buffer(1)]]) {
  io[0].a = 9;
  io[0].g += 1;
  io[0].xz = io[0].zx;
  device float* first = &io[0].x;
  out[0] = *first; out[1] = io[0].r + io[0].b; out[2] = io[0].xyz.yzx.x;
  float4 v = io[0];
  v.xy *= 2; v.zw -= v.xy; v.xyz = 0.5;
  out[3] = v.x + v.y + v.z; out[4] = v.w;
  thread float3& t = (thread float3&)v;
  t.zy = float2(7, 8);
  out[5] = v.y; out[6] = v.z; out[7] = dot(v.xy, v.zw.yx);
}
"""


def test_swizzles_in_constants_and_through_pointers(run):
    io, out = np.array([1, 2, 3, 4], np.float32), np.zeros(8, np.float32)
    run(CONSTANTS, "components", {0: io, 1: out}, (1,), (1,))
    assert io.tolist() == [3, 3, 1, 9]
    # v = (3, 3, 1, 9), then (6, 6, 1, 9), then (6, 6, -5, 3), then (.5, .5, .5, 3), then (.5, 8, 7, 3).
    assert out.tolist() == [3, 4, 3, 1.5, 3, 8, 7, 0.5 * 3 + 8 * 7]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("v.xx = float2(1);", "msl_put_xx"),
        ("v.xq = float2(1);", "no member named 'xq'"),
        ("v.xg = float2(1);", "no member named 'xg'"),
        ("float2 u = float2(1); v.x = u.z;", "no member named 'z'"),
        ("float4 u = float2(1);", "no viable conversion"),
        ("float4 u = float4(v, v);", "no matching"),
        ("int4 u = v;", "no viable conversion"),
        ("float2 t = v;", "no viable conversion"),
        ("float s = v;", "no viable conversion"),
    ],
)
def test_what_is_no_swizzle_and_no_vector(statement, message):
    source = "#include <metal_stdlib>\nusing namespace metal;\n"
    source += f"kernel void f(device float4* x [[buffer(0)]]) {{ float4 v = x[0]; {statement} x[0] = v; }}\n"
    with pytest.raises(MetalError, match=message) as caught:
        Library(source)["f"]
    assert caught.value.where.startswith("source.metal:3:")


BUILDING = """
#define PUT(v) { const auto made = v; for (int k = 0; k < 4; k++) out[n++] = k < int(sizeof(made) / 4) ? made[k] : 0; }
kernel void built(device float* out [[buffer(0)]]) {
  const float2 p = float2(1, 2), q = float2(3, 4);
  const float3 t = float3(5, 6, 7);
  const packed_float3 k = packed_float3(5, 6, 7);
  int n = 0;
  PUT(float4(p, q)) PUT(float4(p, 8, 9)) PUT(float4(8, p, 9)) PUT(float4(8, 9, p)) PUT(float4(t, 8)) PUT(float4(8, t))
  PUT(float4(3)) PUT(float4(1, 2u, short(3), half(4))) PUT(float4(k, 8)) PUT(float4(8, k)) PUT(float4(t.zx, t.xz))
  PUT(float4(int4(1, 2, 3, -4))) PUT(float4(bfloat4(half4(1, 2, 3, 4)))) PUT(float4(bool4(true, false, 7, 0)))
  float4 listed = {1, 2, 3}; PUT(listed)
  float4 none = {}; PUT(none)
  float4 spread = 6; PUT(spread)
  PUT(packed_float4(t, 8)) PUT(packed_float4(p, q)) PUT(packed_float4(2))
  PUT(float4(float3(p, 8), 0)) PUT(float4(float3(8, p), 0)) PUT(float4(packed_float3(p, 8), 0))
  PUT(float4(packed_float3(8, p), 0)) PUT(float4(packed_float2(p), packed_float2(q))) PUT(float4(float3(k), 1))
  PUT(float4(packed_int4(packed_float4(p, q)))) PUT(float4(packed_float4(int4(4, 3, 2, 1))))
}
"""


def test_constructors(run):
    expected = [
        [1, 2, 3, 4], [1, 2, 8, 9], [8, 1, 2, 9], [8, 9, 1, 2], [5, 6, 7, 8], [8, 5, 6, 7],
        [3, 3, 3, 3], [1, 2, 3, 4], [5, 6, 7, 8], [8, 5, 6, 7], [7, 5, 5, 7],
        [1, 2, 3, -4], [1, 2, 3, 4], [1, 0, 1, 0],
        [1, 2, 3, 0], [0, 0, 0, 0], [6, 6, 6, 6],
        [5, 6, 7, 8], [1, 2, 3, 4], [2, 2, 2, 2],
        [1, 2, 8, 0], [8, 1, 2, 0], [1, 2, 8, 0],
        [8, 1, 2, 0], [1, 2, 3, 4], [5, 6, 7, 1],
        [1, 2, 3, 4], [4, 3, 2, 1],
    ]  # fmt: skip
    out = np.zeros((len(expected), 4), np.float32)
    run(BUILDING, "built", {0: out}, (1,), (1,))
    assert out.tolist() == expected


PACKED = """
kernel void packed(device const packed_float3* in [[buffer(0)]], device packed_float3* out [[buffer(1)]],
                   device packed_half4* halves [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  packed_float3 a = in[2 * i], b = in[2 * i + 1];
  const float3 wide = b;
  out[8 * i] = a + b; out[8 * i + 1] = a * 2 - wide; out[8 * i + 2] = wide / a.xxx; out[8 * i + 3] = -a;
  a += b; a[1] *= 3;
  out[8 * i + 4] = a; out[8 * i + 5] = max(a, b); out[8 * i + 6] = 1 / b;
  out[8 * i + 7] = float3(select(wide, wide.zyx, a > b));
  halves[i] = half4(half3(a), half(dot(float3(a), wide)));
}
"""


def test_packed_vectors(run):
    values = np.random.default_rng(1).integers(1, 9, (64, 2, 3)).astype(np.float32)
    out, halves = np.zeros((64, 8, 3), np.float32), np.zeros((64, 4), np.float16)
    run(PACKED, "packed", {0: values, 1: out, 2: halves}, (64,), (16,))
    a, b = values[:, 0], values[:, 1]
    c = (a + b) * np.float32([1, 3, 1])
    expected = [a + b, a * 2 - b, b / a[:, :1], -a, c, np.maximum(c, b), 1 / b, np.where(c > b, b[:, ::-1], b)]
    np.testing.assert_array_equal(out, np.stack(expected, 1))
    np.testing.assert_array_equal(halves, np.concatenate([c, (c * b).sum(1, keepdims=True)], 1).astype(np.float16))


OPERATORS = """
template <typename T>
kernel void operators(device const vec<T, 4>* in [[buffer(0)]], device vec<T, 4>* out [[buffer(1)]],
                      device uchar* flags [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  const vec<T, 4> a = in[2 * i], b = in[2 * i + 1];
  vec<T, 4> c = a;
  out[0 + 12 * i] = a + b; out[1 + 12 * i] = a - b; out[2 + 12 * i] = a * b; out[3 + 12 * i] = a / b;
  out[4 + 12 * i] = a + T(2); out[5 + 12 * i] = 2 - b; out[6 + 12 * i] = -a; out[7 + 12 * i] = +b;
  out[8 + 12 * i] = c++; out[9 + 12 * i] = c; out[10 + 12 * i] = --c; c *= T(3); c -= b; out[11 + 12 * i] = c;
  const bool4 results[] = {a < b, a <= b, a > b, a >= b, a == b, a != b, 2 < a, a >= 2, !(a < b),
                           (a < b) || (a == b), (a <= b) && (a >= b), (a < b) & (a != b), (a < b) == (b > a)};
  for (int j = 0; j < 13; j++)
    for (int k = 0; k < 4; k++) flags[(13 * i + j) * 4 + k] = results[j][k];
}
#define instantiate(T) template [[host_name(#T)]] [[kernel]] decltype(operators<T>) operators<T>;
instantiate(float) instantiate(half) instantiate(int) instantiate(short)
kernel void integers(device const int4* in [[buffer(0)]], device int4* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  const int4 a = in[2 * i], b = in[2 * i + 1];
  out[8 * i] = a % b; out[8 * i + 1] = a & b; out[8 * i + 2] = a | b; out[8 * i + 3] = a ^ b; out[8 * i + 4] = a << b;
  out[8 * i + 5] = a >> b; out[8 * i + 6] = ~a; out[8 * i + 7] = a << 2;
}
"""


@pytest.mark.parametrize(
    ("name", "kind"), [("float", np.float32), ("half", np.float16), ("int", np.int32), ("short", np.int16)]
)
def test_operators(run, name, kind):
    values = np.random.default_rng(2).integers(1, 9, (64, 2, 4)).astype(kind)
    out, flags = np.zeros((64, 12, 4), kind), np.zeros((64, 13, 4), np.uint8)
    run(OPERATORS, name, {0: values, 1: out, 2: flags}, (64,), (8,))
    a, b = values[:, 0], values[:, 1]
    quotient = a / b if np.issubdtype(kind, np.floating) else a // b  # of positive numbers
    expected = [a + b, a - b, a * b, quotient, a + 2, 2 - b, -a, b, a, a + 1, a, a * 3 - b]
    np.testing.assert_array_equal(out, np.stack(expected, 1).astype(kind))
    answers = [a < b, a <= b, a > b, a >= b, a == b, a != b, a > 2, a >= 2, a >= b, a <= b, a == b, a < b]
    np.testing.assert_array_equal(flags, np.stack([*answers, np.ones_like(a, bool)], 1))


def test_operators_of_integers(run):
    values = np.random.default_rng(3).integers(1, 20, (64, 2, 4)).astype(np.int32)
    out = np.zeros((64, 8, 4), np.int32)
    run(OPERATORS, "integers", {0: values, 1: out}, (64,), (8,))
    a, b = values[:, 0], values[:, 1]
    np.testing.assert_array_equal(out, np.stack([a % b, a & b, a | b, a ^ b, a << b, a >> b, ~a, a << 2], 1))


BITS = """
kernel void bits(device const uint4* in [[buffer(0)]], device uint4* out [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) {
  const uint4 v = in[i];
  out[8 * i] = as_type<uint4>(as_type<float4>(v)); out[8 * i + 1] = as_type<uint4>(as_type<ulong2>(v));
  out[8 * i + 2].xy = as_type<uint2>(as_type<half4>(v.xy)); out[8 * i + 2].zw = as_type<uint2>(as_type<bfloat4>(v.zw));
  const uchar4 bytes = as_type<uchar4>(v.x);
  out[8 * i + 3] = uint4(bytes.x, bytes.y, bytes.z, bytes.w);
  const ushort2 parts = as_type<ushort2>(as_type<int>(v.y));
  out[8 * i + 4] = uint4(uint2(parts), as_type<ushort>(as_type<half>(parts.x)),
                         as_type<ushort>(as_type<bfloat>(parts.y)));
  out[8 * i + 5] = uint4(as_type<uint>(as_type<float>(v.x)), as_type<uint>(as_type<packed_uchar4>(v.y)), 0, 0);
  out[8 * i + 6] = uint4(as_type<uint3>(as_type<float3>(v.xyz)), 1);
  out[8 * i + 7] = uint4(as_type<uint2>(as_type<long>(v.zw)), as_type<uint>(as_type<char4>(v.x).wzyx.wzyx), 5);
}
"""


def test_bits_as_other_types(run):
    # Neither NaNs nor denormals change: nothing computes with them.
    v = np.random.default_rng(4).integers(0, 1 << 32, (200, 4), np.uint32)
    v[:4] = [[0x7F800001] * 4, [0xFFC00001] * 4, [0x00000001] * 4, [0x7C017F81] * 4]
    out = np.zeros((200, 8, 4), np.uint32)
    run(BITS, "bits", {0: v, 1: out}, (200,), (8,))
    x, y, zero = v[:, 0], v[:, 1], np.zeros(200, np.uint32)
    parts = [y & 0xFFFF, y >> 16]
    expected = [v.T, v.T, v.T, [x & 0xFF, x >> 8 & 0xFF, x >> 16 & 0xFF, x >> 24], [*parts, *parts], [x, y, zero, zero]]
    expected += [[x, y, v[:, 2], zero + 1], [v[:, 2], v[:, 3], x, zero + 5]]
    np.testing.assert_array_equal(out, np.stack([np.stack(list(row), 1) for row in expected], 1))


def test_as_type_needs_one_size():
    source = "#include <metal_stdlib>\nkernel void f(device int* x [[buffer(0)]]) { x[0] = as_type<int>(half(1)); }\n"
    with pytest.raises(MetalError, match="as_type needs types of one size"):
        Library(source)["f"]


EVERY = """
#define CHECK(T) { \\
  T##2 a = T##2(1); T##3 b = T##3(1); T##4 c = T##4(1); \\
  packed_##T##2 d = a; packed_##T##3 e = b; packed_##T##4 f = c; \\
  vec<T, 3> g = b; packed_vec<T, 3> h = e; \\
  out[n++] = sizeof(a); out[n++] = sizeof(b); out[n++] = sizeof(c); \\
  out[n++] = sizeof(d); out[n++] = sizeof(e); out[n++] = sizeof(f); out[n++] = alignof(T##3); \\
  out[n++] = alignof(packed_##T##3); \\
  out[n++] = int(a.yx.x) + int(b.zyx.x) + int(c.wzyx.x) + int(d.yx.x) + int(e.zyx.x) + int(f.wzyx.x) \\
           + int(g.y) + int(h.z) + int(metal::T##3(b).z); }
kernel void every(device int* out [[buffer(0)]]) {
  int n = 0;
  CHECK(bool) CHECK(char) CHECK(uchar) CHECK(short) CHECK(ushort) CHECK(int) CHECK(uint) CHECK(long) CHECK(ulong)
  CHECK(half) CHECK(bfloat) CHECK(float)
}
"""


def test_every_vector_type_has_its_size(run):
    out = np.zeros((12, 9), np.int32)
    run(EVERY, "every", {0: out}, (1,), (1,))
    # Specification, tables 2.3 and 2.4.
    sizes = [1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4]
    assert out.tolist() == [[2 * s, 4 * s, 4 * s, 2 * s, 3 * s, 4 * s, 4 * s, s, 9] for s in sizes]
