# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Grids, threadgroups, barriers, threadgroup memory and atomics."""

from __future__ import annotations

import numpy as np
import pytest

from porter.errors import MetalError

PLACES = """
kernel void places(device uint* out [[buffer(0)]],
                   uint3 in_grid [[thread_position_in_grid]],
                   uint3 group [[threadgroup_position_in_grid]],
                   ushort3 in_group [[thread_position_in_threadgroup]],
                   uint3 grid [[threads_per_grid]],
                   uint3 size [[threads_per_threadgroup]],
                   uint2 groups [[threadgroups_per_grid]],
                   uint index [[thread_index_in_threadgroup]],
                   uint lane [[thread_index_in_simdgroup]],
                   uint simdgroup [[simdgroup_index_in_threadgroup]],
                   uint simdgroups [[simdgroups_per_threadgroup]],
                   uint width [[threads_per_simdgroup]]) {
  device uint* row = out + 19 * (in_grid.x + grid.x * (in_grid.y + grid.y * in_grid.z));
  row[0] = group.x; row[1] = group.y; row[2] = group.z;
  row[3] = in_group.x; row[4] = in_group.y; row[5] = in_group.z;
  row[6] = grid.x; row[7] = grid.y; row[8] = grid.z;
  row[9] = size.x; row[10] = size.y; row[11] = size.z;
  row[12] = groups.x; row[13] = groups.y;
  row[14] = index; row[15] = lane; row[16] = simdgroup; row[17] = simdgroups; row[18] = width;
}
"""


@pytest.mark.parametrize(
    ("threads", "group"), [((8, 4, 2), (4, 2, 2)), ((7, 5, 3), (4, 4, 2)), ((70, 1, 1), (64, 1, 1))]
)
def test_every_thread_knows_its_place(run, threads, group):
    """Also where the grid is no multiple: threadgroups at the edge are smaller, as with Metal's dispatchThreads."""
    out = np.full((threads[2], threads[1], threads[0], 19), 0xDEAD, np.uint32)
    run(PLACES, "places", {0: out}, threads, group)
    for z, y, x in np.ndindex(out.shape[:3]):
        at = (x, y, z)
        of = [p // g for p, g in zip(at, group, strict=True)]
        inside = [p % g for p, g in zip(at, group, strict=True)]
        size = [min(g, t - o * g) for g, t, o in zip(group, threads, of, strict=True)]
        index = inside[0] + size[0] * (inside[1] + size[1] * inside[2])
        count = -(-size[0] * size[1] * size[2] // 32)
        groups = [-(-t // g) for t, g in zip(threads, group, strict=True)]
        expected = [*of, *inside, *threads, *size, *groups[:2], index, index % 32, index // 32, count, 32]
        assert out[z, y, x].tolist() == expected, at


OTHER_PLACES = """
kernel void other_places(device uint* out,
                         ushort thread_position_in_grid [[thread_position_in_grid]],
                         uint2 origin [[grid_origin]],
                         ushort3 grid_size [[grid_size]],
                         uint thread_execution_width [[ thread_execution_width ]],
                         uint lane_of_quad [[thread_index_in_quadgroup]],
                         ushort quad [[quadgroup_index_in_threadgroup]],
                         uint quads [[quadgroups_per_threadgroup]],
                         uint3 dispatch [[dispatch_threads_per_threadgroup]],
                         ushort simdgroups [[dispatch_simdgroups_per_threadgroup]],
                         uint dispatched_quads [[dispatch_quadgroups_per_threadgroup]],
                         ushort simdgroup [[simdgroup_index_in_threadgroup]],
                         ushort threads_per_simdgroup [[threads_per_simdgroup]]) {
  device uint* row = out + 16 * thread_position_in_grid;
  row[0] = origin.x; row[1] = origin.y; row[2] = grid_size.x; row[3] = grid_size.y; row[4] = grid_size.z;
  row[5] = thread_execution_width; row[6] = lane_of_quad; row[7] = quad; row[8] = quads;
  row[9] = dispatch.x; row[10] = dispatch.y; row[11] = simdgroups; row[12] = dispatched_quads;
  row[13] = simdgroup; row[14] = threads_per_simdgroup;
}
"""


def test_the_other_attributes_and_arguments_that_have_their_names(run):
    for count, group in ((99, 70), (100, 64)):
        out = np.zeros((count, 16), np.uint32)
        run(OTHER_PLACES, "other_places", {0: out}, (count,), (group,))
        simdgroups, quads = -(-group // 32), -(-group // 4)
        for i, row in enumerate(out):
            inside = i % group
            size = -(-(group if i < group else count - group) // 4)
            expected = [0, 0, count, 1, 1, 32, inside % 4, inside // 4, size, group, 1, simdgroups, quads]
            assert row[:15].tolist() == [*expected, inside // 32, 32], i


WITHOUT_INDEX = """
struct Range { int first; float step; };
kernel void without_index(device float* out, constant Range& range, constant const int offsets[2],
                          device const float4* vectors [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = range.first + range.step * i + offsets[i % 2] + vectors[i / 4][i % 4];
}
"""


def test_buffers_without_an_index_take_the_free_ones(run):
    """out is 0, range 2 (1 is taken) and offsets 3."""
    vectors, out = np.arange(8, dtype=np.float32) ** 2, np.zeros(8, np.float32)
    given = np.array([7], np.int32).tobytes() + np.array([0.5], np.float32).tobytes()
    buffers = {0: out, 1: vectors, 2: given, 3: np.array([100, 200], np.int32)}
    run(WITHOUT_INDEX, "without_index", buffers, (8,), (8,))
    i = np.arange(8)
    np.testing.assert_array_equal(out, 7 + 0.5 * i + np.where(i % 2, 200, 100) + vectors)


DYNAMIC = """
kernel void dynamic(device const float* in, device float* out, threadgroup float* a [[threadgroup(0)]],
                    threadgroup float4* b [[threadgroup(2)]], uint n [[threads_per_threadgroup]],
                    uint i [[thread_index_in_threadgroup]], uint at [[thread_position_in_grid]]) {
  threadgroup float fixed[64];
  fixed[i] = in[at];
  a[i] = 2 * in[at];
  b[i] = float4(in[at], i, n, 1);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint j = n - 1 - i;
  out[at] = fixed[j] + 10 * a[j] + 100 * b[j].y + b[j].x;
}
"""


def test_threadgroup_memory_whose_size_the_host_sets():
    from porter.metal import Library

    kernel = Library("#include <metal_stdlib>\nusing namespace metal;\n" + DYNAMIC)["dynamic"]
    rows = [(one.name, one.address_space, one.slot) for one in kernel.arguments if one.address_space == "threadgroup"]
    assert rows == [("a", "threadgroup", 0), ("b", "threadgroup", 2)]
    x, out = np.arange(160, dtype=np.float32), np.zeros(160, np.float32)
    kernel({0: x, 1: out}, (160,), (64,), threadgroup_memory={0: 64 * 4, 2: 64 * 16})
    for first in range(0, 160, 64):
        part = x[first : first + 64]
        i = np.arange(len(part), dtype=np.float32)
        expected = (part + 10 * 2 * part + 100 * i + part)[::-1]
        np.testing.assert_array_equal(out[first : first + 64], expected)


LOGGING = """
constant os_log logger("subsystem", "category");
kernel void logging(device int* out, uint i [[thread_position_in_grid]]) {
  logger.log("plain");
  logger.log_debug("value %d of %f", out[i], 0.5f);
  logger.log_info("info %u", i);
  logger.log_error("error");
  logger.log_fault("fault %d", 1);
  logger.log_with_type(os_log_type::debug, "typed %d", 2);
  os_log_default.log_debug("default");
  metal::os_log local("a", "b");
  local.log("local");
  out[i]++;
}
"""


def test_logging_is_accepted(run):
    out = np.zeros(4, np.int32)
    run(LOGGING, "logging", {0: out}, (4,), (4,))
    assert out.tolist() == [1] * 4


TWO_WAYS = """
kernel void two_ways(device uint* out, uint i [[thread_index_in_threadgroup]]) {
  threadgroup atomic_uint count;
  if (i == 0) atomic_store_explicit(&count, 0u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&count, i, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i == 0) out[0] = atomic_load_explicit(&count, memory_order_relaxed);
}
"""


def test_a_barrier_is_one_whatever_is_known_on_the_way_to_it(run):
    """The optimiser knows in front of the barriers what the last condition will be, and copied all in between."""
    out = np.zeros(1, np.uint32)
    run(TWO_WAYS, "two_ways", {0: out}, (96,), (96,))
    assert out[0] == 95 * 96 // 2


REVERSE = """
kernel void reverse(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                    uint i [[thread_position_in_threadgroup]], uint n [[threads_per_threadgroup]],
                    uint g [[threadgroup_position_in_grid]]) {
  threadgroup float tile[1024];
  threadgroup float total[1];
  for (int round = 0; round < 3; round++) {
    tile[i] = round == 0 ? in[g * 256 + i] : tile[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float other = tile[n - 1 - i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    tile[i] = other + 1.0;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i == 0) {
    total[0] = 0;
    for (uint k = 0; k < n; k++) total[0] += tile[k];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[g * 256 + i] = tile[i] + 1000.0 * total[0];
}
"""


def test_barriers_order_threadgroup_memory(run):
    values = np.arange(600, dtype=np.float32) % 7
    out = np.zeros(600, np.float32)
    run(REVERSE, "reverse", {0: values, 1: out}, (600,), (256,))
    expected = np.zeros(600, np.float32)
    for first in range(0, 600, 256):
        tile = values[first : first + 256][::-1] + 3
        expected[first : first + 256] = tile + 1000 * tile.sum()
    np.testing.assert_array_equal(out, expected)


def test_threadgroup_memory_is_reported_and_bounded():
    from porter.metal import Library

    library = Library(REVERSE.join(["#include <metal_stdlib>\nusing namespace metal;\n", ""]))
    assert library["reverse"].threadgroup_memory == 1024 * 4 + 4
    too_large = Library(
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "kernel void large(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {\n"
        "  threadgroup float tile[8193];\n  tile[i] = i;\n  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "  out[i] = tile[0];\n}\n"
    )["large"]
    with pytest.raises(MetalError, match="32772 bytes of threadgroup memory, more than the 32768"):
        too_large({0: np.zeros(32, np.float32)}, (32,), (32,))


UNINITIALISED = """
kernel void uninitialised(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float tile[64];
  if (i % 64 == 0) { tile[0] = 1; }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = tile[i % 64];
}
"""


def test_uninitialised_threadgroup_memory_is_nan(run):
    out = np.zeros(128, np.float32)
    run(UNINITIALISED, "uninitialised", {0: out}, (128,), (64,))
    assert out[[0, 64]].tolist() == [1, 1]
    assert np.isnan(np.delete(out, [0, 64])).all()


EXIT_EARLY = """
kernel void exit_early(device uint* out [[buffer(0)]], constant uint& n [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) {
  threadgroup atomic_uint count;
  if (i == 0) atomic_store_explicit(&count, 0u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i >= n) return;
  atomic_fetch_add_explicit(&count, 1u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = atomic_load_explicit(&count, memory_order_relaxed);
}
"""


@pytest.mark.parametrize("n", [1, 31, 33, 96])
def test_threads_that_have_ended_do_not_hold_a_barrier_up(run, n):
    out = np.zeros(96, np.uint32)
    run(EXIT_EARLY, "exit_early", {0: out, 1: np.uint32(n).tobytes()}, (96,), (96,))
    assert out.tolist() == [n] * n + [0] * (96 - n)


DIVERGENT = """
kernel void divergent(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (out[i] < 5) {
    out[i] = 1;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = 2;
  } else {
    out[i] = 3;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = 4;
  }
}
"""


def test_a_divergent_barrier_is_an_error(run):
    with pytest.raises(MetalError, match="divergent: threads of one simdgroup wait at different threadgroup_barrier"):
        run(DIVERGENT, "divergent", {0: np.arange(64, dtype=np.float32)}, (64,), (64,))
    # The same kernel with one side only is none, also after the error.
    out = np.zeros(64, np.float32)
    run(DIVERGENT, "divergent", {0: out}, (64,), (64,))
    assert (out == 2).all()


FUNCTOR = """
float product(float a, float b) { return fma(a, b, 1.0f); }
struct Functor { float operator()(float a, float b) { return product(a, b) + 2.0f; } };
template <typename F> kernel void functor(device const float* a, device const float* b, device float* out,
                                          uint i [[thread_position_in_grid]]) { out[i] = F()(a[i], b[i]); }
template [[host_name("k")]] [[kernel]] decltype(functor<Functor>) functor<Functor>;
"""


def test_functions_of_a_plain_kernel_become_part_of_its_loop(run):
    """Which LLVM then turns into vector instructions: a call in it would stay one."""
    from porter.metal.compiler import compile_source
    from porter.metal.execution import optimised_ir

    unit = compile_source("#include <metal_stdlib>\nusing namespace metal;\n" + FUNCTOR)
    ir = optimised_ir(unit, [unit.kernels[0].symbol])
    assert "x float> @llvm.fma." in ir
    a, b, out = (np.arange(1000, dtype=np.float32) for _ in range(3))
    run(FUNCTOR, "k", {0: a, 1: b, 2: out}, (1000,), (256,))
    np.testing.assert_array_equal(out, a * b + 3)


BY_SIMDGROUP = """
kernel void by_simdgroup(device uint* out, uint i [[thread_index_in_threadgroup]],
                         uint g [[simdgroup_index_in_threadgroup]]) {
  threadgroup uint shared[96];
  if (g == 1) {
    shared[i] = 100 + i;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = shared[95 - i];
  } else {
    shared[i] = i;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = 1000 + shared[95 - i];
  }
}
"""


def test_simdgroups_may_wait_at_different_calls(run):
    """A GPU counts the simdgroups that wait."""
    out = np.zeros(96, np.uint32)
    run(BY_SIMDGROUP, "by_simdgroup", {0: out}, (96,), (96,))
    i = np.arange(96)
    other, second = 95 - i, i // 32 == 1
    np.testing.assert_array_equal(out, np.where(second, 0, 1000) + other + np.where(other // 32 == 1, 100, 0))


HISTOGRAM = """
kernel void histogram(device const uint* in [[buffer(0)]], device atomic_uint* counts [[buffer(1)]],
                      device atomic_float* sum [[buffer(2)]], device atomic_int* largest [[buffer(3)]],
                      uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&counts[in[i] % 16], 1u, memory_order_relaxed);
  atomic_fetch_add_explicit(sum, 1.0f, memory_order_relaxed);
  atomic_fetch_max_explicit(largest, int(in[i]), memory_order_relaxed);
}
"""


def test_atomics_of_many_threadgroups(run):
    values = np.random.default_rng(4).integers(0, 1000, 50_000).astype(np.uint32)
    counts, total, largest = np.zeros(16, np.uint32), np.zeros(1, np.float32), np.zeros(1, np.int32)
    run(HISTOGRAM, "histogram", {0: values, 1: counts, 2: total, 3: largest}, (50_000,), (64,))
    np.testing.assert_array_equal(counts, np.bincount(values % 16, minlength=16))
    assert total[0] == 50_000  # below 2**24, so every partial sum is exact
    assert largest[0] == values.max()


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_any_number_of_cores_gives_the_same(run, cores):
    from porter.metal import set_cores

    values = np.arange(600, dtype=np.float32)
    out, reference = np.zeros(600, np.float32), np.zeros(600, np.float32)
    run(REVERSE, "reverse", {0: values, 1: reference}, (600,), (256,))
    try:
        set_cores(cores)
        run(REVERSE, "reverse", {0: values, 1: out}, (600,), (256,))
    finally:
        set_cores(0)
    np.testing.assert_array_equal(out, reference)


def test_dispatches_from_several_threads_at_once(run):
    from concurrent.futures import ThreadPoolExecutor

    values = np.arange(600, dtype=np.float32)
    reference = np.zeros(600, np.float32)
    run(REVERSE, "reverse", {0: values, 1: reference}, (600,), (256,))
    outs = [np.zeros(600, np.float32) for _ in range(16)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda out: run(REVERSE, "reverse", {0: values, 1: out}, (600,), (256,)), outs))
    for out in outs:
        np.testing.assert_array_equal(out, reference)
