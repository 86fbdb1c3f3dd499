# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Operations among lanes: whole simdgroups, parts of them, and lanes that have gone different ways."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from porter.errors import MetalError

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


# ---------------------------------------------------------------------------------------------------------------------
# Every operation, for every type, against a model of one group of lanes


def shuffled(source):
    """The value of the lane at `source(lane, width)`; the lane's own where that is out of range or not active."""
    return lambda x, filling, lane, width: x.get(source(lane, width), x[lane])


def filled(direction, delta, modulo):
    """Within each `modulo` lanes; behind the end the filling goes on where the values end."""

    def value(x, filling, lane, width):
        first, place = lane - lane % modulo, lane % modulo + direction * delta
        if 0 <= place < modulo:
            return x.get(first + place, x[lane])
        return filling.get(first + place % modulo, x[lane])

    return value


def reduced(combine):
    return lambda x, filling, lane, width: functools.reduce(combine, x.values())


def prefix(combine, identity, inclusive):
    def value(x, filling, lane, width):
        before = [one for other, one in x.items() if other < lane or (inclusive and other == lane)]
        return functools.reduce(combine, before, identity)

    return value


def exchanges(group, width):
    """MSL expression -> model of it. A model takes the active lanes' values and fillings, a lane and the width."""
    half = width // 2
    return {
        f"{group}_broadcast(x, {width - 1})": shuffled(lambda lane, width: width - 1),
        f"{group}_broadcast_first(x)": lambda x, filling, lane, width: x[min(x)],
        f"{group}_shuffle(x, ushort({width - 1} - lane % {width}))": shuffled(lambda lane, width: width - 1 - lane),
        f"{group}_shuffle_xor(x, {half})": shuffled(lambda lane, width: lane ^ half),
        f"{group}_shuffle_up(x, 1)": shuffled(lambda lane, width: lane - 1),
        f"{group}_shuffle_down(x, 1)": shuffled(lambda lane, width: lane + 1),
        f"{group}_shuffle_rotate_up(x, 3)": shuffled(lambda lane, width: (lane - 3) % width),
        f"{group}_shuffle_rotate_down(x, 3)": shuffled(lambda lane, width: (lane + 3) % width),
        f"{group}_shuffle_and_fill_up(x, filling, 1)": filled(-1, 1, width),
        f"{group}_shuffle_and_fill_down(x, filling, 1)": filled(1, 1, width),
        f"{group}_shuffle_and_fill_up(x, filling, 1, {half})": filled(-1, 1, half),
        f"{group}_shuffle_and_fill_down(x, filling, 1, {half})": filled(1, 1, half),
    }


def reductions(group, operand="x"):
    add, multiply = operator.add, operator.mul
    return {
        f"{group}_sum({operand})": reduced(add),
        f"{group}_product({operand})": reduced(multiply),
        f"{group}_max({operand})": reduced(max),
        f"{group}_min({operand})": reduced(min),
        f"{group}_prefix_inclusive_sum({operand})": prefix(add, 0, True),
        f"{group}_prefix_exclusive_sum({operand})": prefix(add, 0, False),
        f"{group}_prefix_inclusive_product({operand})": prefix(multiply, 1, True),
        f"{group}_prefix_exclusive_product({operand})": prefix(multiply, 1, False),
    }


def of_bits(group):
    return {
        f"{group}_and(x)": reduced(operator.and_),
        f"{group}_or(x)": reduced(operator.or_),
        f"{group}_xor(x)": reduced(operator.xor),
    }


FLOATS = ("half", "bfloat", "float")
INTEGERS = ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong")
VECTORS = ("half2", "bfloat4", "float3", "char4", "uint3", "long2")
GROUPS = {"simd": 32, "quad": 4}


def operations(kind):
    tables = []
    for group, width in GROUPS.items():
        tables += [(width, exchanges(group, width)), (width, reductions(group))]
        if kind.rstrip("234") not in FLOATS:
            tables.append((width, of_bits(group)))
    return [(expression, width, model) for width, table in tables for expression, model in table.items()]


def exchange_kernel(kind):
    lines = [f"  row[{i}] = {expression};" for i, (expression, _, _) in enumerate(operations(kind))]
    return (
        f"kernel void exchange(device const {kind}* in, device const {kind}* fillings, device {kind}* out,\n"
        "    constant uint& active, uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {\n"
        f"  const {kind} x = in[i], filling = fillings[i];\n  device {kind}* row = out + {len(lines)} * i;\n"
        "  if ((active >> lane & 1) == 0) return;\n" + "\n".join(lines) + "\n}\n"
    )


NUMPY = {
    "half": np.float16,
    "bfloat": np.float32,
    "float": np.float32,
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}


def stored(kind, values):
    """Whole numbers of shape [..., components] as `kind` lays them out in memory. They are exact in every type."""
    array = np.asarray(values).astype(NUMPY[kind.rstrip("234")])
    if kind.startswith("bfloat"):
        array = (array.view(np.uint32) >> 16).astype(np.uint16)
    if kind.endswith("3"):
        array = np.concatenate([array, np.zeros_like(array[..., :1])], -1)
    return np.ascontiguousarray(array)


def read_back(kind, array):
    values = array[..., :3] if kind.endswith("3") else array
    if kind.startswith("bfloat"):
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float64)


@pytest.mark.parametrize("kind", [*FLOATS, *INTEGERS, *VECTORS])
@pytest.mark.parametrize(("threads", "active"), [(64, 0xFFFFFFFF), (45, 0xFFFFFFFF), (64, 0x8F3C05B2)])
def test_every_operation_for_every_type(run, kind, threads, active):
    """Whole simdgroups; a second one of 13 threads; and lanes that have ended, among them the first and whole quads."""
    components = int(kind[-1]) if kind[-1] in "234" else 1
    rng = np.random.default_rng(len(kind) + threads)
    # A simdgroup's sum is at most 96 and its product at most 64, so that both are exact in a char and in a bfloat.
    x = 1 + rng.integers(0, 2, (threads, components)) * (np.arange(threads)[:, None] % 32 % 6 == 1)
    fillings = 5 + rng.integers(0, 50, (threads, components))
    table = operations(kind)
    out = stored(kind, np.zeros((threads, len(table), components)))
    buffers = {0: stored(kind, x), 1: stored(kind, fillings), 2: out, 3: np.uint32(active).tobytes()}
    run(exchange_kernel(kind), "exchange", buffers, (threads,), (64,))
    result = read_back(kind, out)
    for i in range(threads):
        if not active >> i % 32 & 1:
            assert (result[i] == 0).all()
            continue
        for place, (expression, width, model) in enumerate(table):
            first = i // width * width
            lanes = [j for j in range(first, min(first + width, threads)) if active >> j % 32 & 1]
            for c in range(components):
                values = {j - first: int(x[j, c]) for j in lanes}
                rest = {j - first: int(fillings[j, c]) for j in lanes}
                expected = model(values, rest, i - first, width)
                assert result[i, place, c] == expected, (expression, i, c)


VOTES = """
kernel void votes(device const int* in, device uint* out, uint i [[thread_position_in_grid]]) {
  if (in[i] < 0) return;
  const bool odd = in[i] % 2 != 0;
  device uint* row = out + 14 * i;
  row[0] = simd_all(odd); row[1] = simd_any(odd); row[2] = uint(simd_vote::vote_t(simd_ballot(odd)));
  row[3] = simd_ballot(odd).all(); row[4] = simd_ballot(odd).any();
  row[5] = uint(simd_vote::vote_t(simd_active_threads_mask())); row[6] = simd_is_first();
  row[7] = quad_all(odd); row[8] = quad_any(odd); row[9] = quad_vote::vote_t(quad_ballot(odd));
  row[10] = quad_ballot(odd).all(); row[11] = quad_ballot(odd).any();
  row[12] = quad_vote::vote_t(quad_active_threads_mask()); row[13] = quad_is_first();
}
"""


@pytest.mark.parametrize("seed", range(4))
def test_votes(run, seed):
    """Lanes below zero have ended. The last eight are all odd, so that some quads agree; the other simdgroup has 13."""
    x = np.random.default_rng(seed).integers(-1 if seed else 0, 4, 45).astype(np.int32)
    x[24:32] = 1
    if seed == 3:
        x[:32] = 1
    out = np.zeros((45, 14), np.uint32)
    run(VOTES, "votes", {0: x, 1: out}, (45,), (64,))
    for i in range(45):
        expected = []
        for width in (32, 4):
            first = i // width * width
            lanes = [j for j in range(first, min(first + width, 45)) if x[j] >= 0]
            ballot = sum(1 << j - first for j in lanes if x[j] % 2)
            active = sum(1 << j - first for j in lanes)
            every = ballot == (1 << width) - 1
            expected += [ballot == active, ballot != 0, ballot, every, ballot != 0, active, lanes[:1] == [i]]
        assert out[i].tolist() == ([int(value) for value in expected] if x[i] >= 0 else [0] * 14), i


REFUSED = """
struct Pair { int a, b; };
kernel void refused(device Pair* x, uint i [[thread_position_in_grid]]) { x[i] = simd_broadcast(x[i], 0); }
"""


def test_lanes_exchange_nothing_but_scalars_and_vectors(run):
    with pytest.raises(MetalError, match="operations among lanes take scalars and vectors"):
        run(REFUSED, "refused", {0: np.zeros(2, np.int32)}, (1,), (1,))
