# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Operations among lanes: whole simdgroups, parts of them, and lanes that have gone different ways."""

from __future__ import annotations

import numpy as np
import pytest

SHUFFLES = """
kernel void shuffles(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  float x = in[i];
  device float* row = out + 12 * i;
  row[0] = simd_shuffle(x, 5);
  row[1] = simd_broadcast(x, 31);
  row[2] = simd_shuffle_xor(x, 3);
  row[3] = simd_shuffle_down(x, 2);
  row[4] = simd_shuffle_up(x, 2);
  row[5] = simd_shuffle_rotate_down(x, 2);
  row[6] = simd_shuffle_rotate_up(x, 2);
  row[7] = simd_shuffle_and_fill_up(x, -x, 2);
  row[8] = simd_shuffle_and_fill_down(x, -x, 2);
  row[9] = simd_broadcast_first(x);
  row[10] = quad_shuffle_xor(x, 1);
  row[11] = quad_broadcast(x, 2);
}
"""


def test_shuffles(run):
    x = np.arange(64, dtype=np.float32) + 1
    out = np.zeros((64, 12), np.float32)
    run(SHUFFLES, "shuffles", {0: x, 1: out}, (64,), (64,))
    lane = np.arange(64) % 32
    first = np.arange(64) - lane
    quad = np.arange(64) // 4 * 4
    expected = [
        x[first + 5],
        x[first + 31],
        x[first + (lane ^ 3)],
        np.where(lane < 30, x[np.minimum(first + lane + 2, 63)], x),
        np.where(lane >= 2, x[np.maximum(first + lane - 2, 0)], x),
        x[first + (lane + 2) % 32],
        x[first + (lane - 2) % 32],
        np.where(lane >= 2, x[np.maximum(first + lane - 2, 0)], -x[first + (lane - 2) % 32]),
        np.where(lane < 30, x[np.minimum(first + lane + 2, 63)], -x[first + (lane + 2) % 32]),
        x[first],
        x[np.arange(64) ^ 1],
        x[quad + 2],
    ]
    for column, values in enumerate(expected):
        np.testing.assert_array_equal(out[:, column], values, err_msg=str(column))


REDUCTIONS = """
template <typename T>
kernel void reductions(device const T* in [[buffer(0)]], device T* out [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) {
  T x = in[i];
  device T* row = out + 9 * i;
  row[0] = simd_sum(x);
  row[1] = simd_max(x);
  row[2] = simd_min(x);
  row[3] = simd_prefix_inclusive_sum(x);
  row[4] = simd_prefix_exclusive_sum(x);
  row[5] = simd_product(T(x % T(3) + T(1)));
  row[6] = simd_xor(x);
  row[7] = T(simd_all(x > T(2)) * 2 + simd_any(x > T(2)));
  row[8] = quad_sum(x);
}
template [[host_name("int")]] [[kernel]] decltype(reductions<int>) reductions<int>;
template [[host_name("ushort")]] [[kernel]] decltype(reductions<ushort>) reductions<ushort>;
template [[host_name("ulong")]] [[kernel]] decltype(reductions<ulong>) reductions<ulong>;
"""


@pytest.mark.parametrize(("name", "kind"), [("int", np.int32), ("ushort", np.uint16), ("ulong", np.uint64)])
@pytest.mark.parametrize("threads", [64, 45])
def test_reductions_of_integers(run, name, kind, threads):
    """45 threads: the second simdgroup has 13, and only those take part."""
    x = np.random.default_rng(5).integers(0, 9, threads).astype(kind)
    out = np.zeros((threads, 9), kind)
    run(REDUCTIONS, name, {0: x, 1: out}, (threads,), (64,))
    for first in range(0, threads, 32):
        part = x[first : first + 32]
        for lane, row in enumerate(out[first : first + 32]):
            quad = part[lane // 4 * 4 : lane // 4 * 4 + 4]
            votes = 2 * (part > 2).all() + (part > 2).any()
            expected = [
                part.sum(dtype=kind),
                part.max(),
                part.min(),
                part[: lane + 1].sum(dtype=kind),
                part[:lane].sum(dtype=kind),
                np.multiply.reduce(part % kind(3) + kind(1), dtype=kind),
                np.bitwise_xor.reduce(part),
                votes,
                quad.sum(dtype=kind),
            ]
            assert row.tolist() == [int(value) for value in expected], (first, lane)


FLOAT_SUM = """
kernel void float_sum(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) { out[i] = simd_sum(in[i]); }
kernel void half_max(device const half* in [[buffer(0)]], device half* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) { out[i] = simd_max(in[i]); }
kernel void vector_sum(device const float4* in [[buffer(0)]], device float4* out [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) { out[i] = simd_sum(in[i]); }
"""


def tree_sum(x):
    """Lanes 16 apart first, then 8, 4, 2 and 1: the order that porter/metal/msl/msl_simdgroup_run states."""
    while x.shape[0] > 1:
        x = x[: x.shape[0] // 2] + x[x.shape[0] // 2 :]
    return x[0]


def test_a_float_sum_has_the_stated_order(run):
    x = np.random.default_rng(6).standard_normal((32, 4)).astype(np.float32)
    out = np.zeros(32, np.float32)
    run(FLOAT_SUM, "float_sum", {0: np.ascontiguousarray(x[:, 0]), 1: out}, (32,), (32,))
    assert (out == tree_sum(x[:, 0])).all()
    out = np.zeros((32, 4), np.float32)
    run(FLOAT_SUM, "vector_sum", {0: x, 1: out}, (32,), (32,))
    assert (out == tree_sum(x)).all()


def test_half_maximum(run):
    x = np.random.default_rng(7).standard_normal(32).astype(np.float16)
    x[3] = np.nan  # the maximum of a number and a NaN is the number
    out = np.zeros(32, np.float16)
    run(FLOAT_SUM, "half_max", {0: x, 1: out}, (32,), (32,))
    assert (out == np.nanmax(x)).all()


DIVERGENT = """
kernel void branches(device const uint* in [[buffer(0)]], device uint* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  uint x = in[i];
  uint result;
  if (x % 2 == 0) {
    result = simd_sum(x);
  } else if (x % 3 == 0) {
    result = simd_sum(x);
  } else {
    result = simd_max(x);
  }
  out[i] = result + 1000 * simd_sum(1u);
}
kernel void loops(device const uint* in [[buffer(0)]], device uint* out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  uint total = 0;
  for (uint k = 0; k < in[i]; k++) total += simd_sum(1u) * 100 + simd_sum(k);
  out[i] = total + 100000 * simd_sum(1u);
}
kernel void leaving(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i % 3 == 1) return;
  out[i] = simd_sum(1u);
  if (i % 3 == 2) return;
  out[i] += 100 * simd_sum(1u);
}
"""


def test_lanes_at_two_calls_do_not_meet(run):
    x = np.random.default_rng(8).integers(0, 50, 32).astype(np.uint32)
    out = np.zeros(32, np.uint32)
    run(DIVERGENT, "branches", {0: x, 1: out}, (32,), (32,))
    even, third = x % 2 == 0, (x % 2 == 1) & (x % 3 == 0)
    rest = ~even & ~third
    expected = np.where(even, x[even].sum(), np.where(third, x[third].sum(), x[rest].max(initial=0)))
    # Behind the branches all lanes meet again.
    np.testing.assert_array_equal(out, expected + 1000 * 32)


def test_lanes_that_have_left_a_loop_are_not_in_it(run):
    x = np.random.default_rng(9).integers(0, 7, 32).astype(np.uint32)
    out = np.zeros(32, np.uint32)
    run(DIVERGENT, "loops", {0: x, 1: out}, (32,), (32,))
    active = [int((x > k).sum()) for k in range(7)]
    expected = [sum(100 * active[k] + k * active[k] for k in range(n)) + 3200000 for n in x]
    assert out.tolist() == expected


def test_lanes_that_have_ended_are_not_counted(run):
    out = np.zeros(32, np.uint32)
    run(DIVERGENT, "leaving", {0: out}, (32,), (32,))
    zero, one = len(range(0, 32, 3)), len(range(1, 32, 3))
    expected = [{0: 32 - one + 100 * zero, 1: 0, 2: 32 - one}[i % 3] for i in range(32)]
    assert out.tolist() == expected
