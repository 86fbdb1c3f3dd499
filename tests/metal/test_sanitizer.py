# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sanitizer mode: planted bugs of each kind are found where they are, and what is right is clean.

Every kernel runs twice: with the lines of its source, and without debug information, as a compiled library comes.
`PLANTED` marks the line that a report must name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from porter.errors import MetalError
from porter.metal import compiler

np = pytest.importorskip("numpy")

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"


@dataclass
class Checked:
    """Compiles and runs kernels in sanitizer mode."""

    has_lines: bool

    def __call__(self, source, name, buffers, threads=(64,), group=(64,), **options):
        from porter.metal import Library

        Library(self.head + source)[name](buffers, threads, group, **options)

    @property
    def head(self):
        # What was compiled is kept by its source, so that the two are not to be one source.
        return HEAD if self.has_lines else HEAD + "// without debug information\n"

    def report(self, source, name, buffers, threads=(64,), group=(64,), **options):
        """What is found in a kernel that must not be clean."""
        with pytest.raises(MetalError) as caught:
            self(source, name, buffers, threads, group, **options)
        text = str(caught.value)
        assert text.startswith(f"kernel {name}: the sanitizer found ")
        return text

    def place(self, source, instruction, marker="PLANTED"):
        """The pattern of what a report says of the line with `marker`, which is `instruction` in LLVM's words."""
        if not self.has_lines:
            return rf"instruction `[^`]*{instruction}[^`]*` of msl_entry_\d+.*"
        (line,) = [n for n, text in enumerate((HEAD + source).splitlines(), 1) if marker in text]
        return rf"source\.metal:{line}:\d+ in \w+.*"


@pytest.fixture(params=["source", "instructions"])
def checked(request, monkeypatch):
    monkeypatch.setenv("STEEL_METAL_CHECK", "1")
    if request.param == "instructions":
        monkeypatch.setattr(compiler, "_CHECKED_ARGUMENTS", ())
    return Checked(request.param == "source")


def floats(count, value=0.0):
    return np.full(count, value, np.float32)


# ---------------------------------------------------------------------------------------------------------------------
# Out of bounds

SHIFTED = """
float one_further(device const float* in, uint i) {
  return in[i + 1];  // PLANTED
}
kernel void shifted(device const float* in [[buffer(3)]], device float* out [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  out[i] = one_further(in, i);
}
"""


def test_a_read_past_a_buffer(checked):
    text = checked.report(SHIFTED, "shifted", {3: floats(128), 1: floats(128)}, (128,))
    assert re.search(
        rf"out-of-bounds read of 4 bytes at {checked.place(SHIFTED, 'load float')}\n"
        r"    by thread \(63, 0, 0\) of threadgroup \(1, 0, 0\): bytes 512\.\.515 of buffer\(3\) in \(512 bytes\)",
        text,
    ), text
    if checked.has_lines:
        assert "in one_further, called at source.metal:9:" in text


def test_what_is_in_bounds_is_clean(checked):
    values, out = np.arange(129, dtype=np.float32), floats(128)
    checked(SHIFTED, "shifted", {3: values, 1: out}, (128,))
    np.testing.assert_array_equal(out, values[1:])


BEFORE = """
kernel void before(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[int(i) - 3] = 1;  // PLANTED
}
"""


def test_a_write_in_front_of_a_buffer_does_not_happen(checked):
    memory = floats(8, 7.0)
    text = checked.report(BEFORE, "before", {0: memory[4:]}, (4,), (4,))
    assert re.search(
        rf"out-of-bounds write of 4 bytes at {checked.place(BEFORE, 'store float')}\n"
        r"    by thread \(0, 0, 0\) of threadgroup \(0, 0, 0\): bytes -12\.\.-9 of buffer\(0\) out \(16 bytes\)",
        text,
    ), text
    assert memory[:4].tolist() == [7, 7, 7, 7]


WRAPPED = """
kernel void wrapped(device const float* in [[buffer(0)]], device const float* other [[buffer(1)]],
                    device float* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  out[i] = in[i - 1] + other[i];  // PLANTED
}
"""


def test_an_index_that_wraps_is_said_of_the_buffer_that_it_was_meant_for(checked):
    text = checked.report(WRAPPED, "wrapped", {0: floats(64), 1: floats(64), 2: floats(64)})
    # 2^32 - 1 floats further on.
    assert re.search(r"bytes 17179869180\.\.17179869183 of buffer\(0\) in \(256 bytes\)", text), text
    assert re.search(rf"read of 4 bytes at {checked.place(WRAPPED, 'load float')}\n", text), text


TILE = """
kernel void tile(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float first[64];
  threadgroup float second[64];
  second[t] = t;
  first[t + 1] = t;  // PLANTED
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = first[63 - t] + second[t];
}
"""


def test_a_write_past_a_threadgroup_array(checked):
    """Also where another array lies behind it."""
    text = checked.report(TILE, "tile", {0: floats(64)})
    assert re.search(
        rf"out-of-bounds write of 4 bytes at {checked.place(TILE, 'store float')}\n"
        r"    by thread \(63, 0, 0\) of threadgroup \(0, 0, 0\): "
        r"bytes 256\.\.259 of threadgroup variable first \(256 bytes\)",
        text,
    ), text


TABLE = """
constant float weights[4] = {1, 2, 3, 4};
kernel void table(device const int* in [[buffer(0)]], device float* out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  out[i] = weights[in[i]];  // PLANTED
}
"""


def test_a_read_past_a_constant_array(checked):
    text = checked.report(TABLE, "table", {0: np.arange(64, dtype=np.int32) % 5, 1: floats(64)})
    assert re.search(
        rf"out-of-bounds read of 4 bytes at {checked.place(TABLE, 'load float')}\n"
        r"    by thread \(4, 0, 0\) of threadgroup \(0, 0, 0\): bytes 16\.\.19 of constant weights \(16 bytes\)",
        text,
    ), text
    out = floats(64)
    checked(TABLE, "table", {0: np.arange(64, dtype=np.int32) % 4, 1: out})
    np.testing.assert_array_equal(out, np.arange(64) % 4 + 1)


PARAMS = """
struct Params { int n; float scale; int pad; };
kernel void params(constant Params* params [[buffer(0)]], device float* out [[buffer(1)]],
                   uint i [[thread_position_in_grid]]) {
  Params one = params[i];  // PLANTED
  out[i] = one.scale * one.n;
}
"""


def test_a_read_past_a_constant_buffer(checked):
    text = checked.report(PARAMS, "params", {0: bytes(12 * 5), 1: floats(8)}, (8,), (8,))
    assert re.search(r"thread \(5, 0, 0\) .*: bytes 60\.\.\d+ of buffer\(0\) params \(60 bytes\)", text), text
    assert re.search(rf"at {checked.place(PARAMS, '(?:load|memcpy)')}\n", text), text


NOWHERE = """
kernel void nowhere(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  device const float* chosen = in[i] > 0 ? in : nullptr;
  out[i] = *chosen;  // PLANTED
}
"""


def test_a_null_pointer(checked):
    text = checked.report(NOWHERE, "nowhere", {0: floats(64), 1: floats(64)})
    assert "through a null pointer" in text
    assert re.search(rf"read of 4 bytes at {checked.place(NOWHERE, 'load float')}\n", text), text


# ---------------------------------------------------------------------------------------------------------------------
# Races

NO_BARRIER = """
kernel void no_barrier(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = t;  // WRITE
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float other = tile[63 - t];  // READ
  tile[t] = other + 99;  // PLANTED
  out[t] = other;
}
"""


def test_a_race_in_threadgroup_memory(checked):
    text = checked.report(NO_BARRIER, "no_barrier", {0: floats(64)})
    assert "the sanitizer found 2 problems" in text
    assert re.search(
        rf"data race: write of 4 bytes at {checked.place(NO_BARRIER, 'store float')}\n"
        r"    by thread \(32, 0, 0\) of threadgroup \(0, 0, 0\): bytes 128\.\.131 of threadgroup variable tile .*\n"
        rf"    after a read at {checked.place(NO_BARRIER, 'load float', 'READ')}\n"
        r"    by thread \(31, 0, 0\) of threadgroup \(0, 0, 0\); "
        r"no threadgroup_barrier with mem_flags::mem_threadgroup is between them \[and 31 more like it\]",
        text,
    ), text
    fixed = NO_BARRIER.replace(
        "  tile[t] = other", "  threadgroup_barrier(mem_flags::mem_threadgroup);\n  tile[t] = other"
    )
    checked(fixed, "no_barrier", {0: floats(64)})


WRONG_FLAGS = """
kernel void wrong_flags(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  out[t] = t;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[64 + t] = out[63 - t];  // PLANTED
}
"""


def test_a_barrier_orders_the_memory_that_it_names(checked):
    text = checked.report(WRONG_FLAGS, "wrong_flags", {0: floats(128)})
    assert re.search(rf"data race: read of 4 bytes at {checked.place(WRONG_FLAGS, 'load float')}\n", text), text
    assert "no threadgroup_barrier with mem_flags::mem_device is between them" in text
    checked(WRONG_FLAGS.replace("mem_threadgroup", "mem_device"), "wrong_flags", {0: floats(128)})


ACROSS = """
kernel void across(device float* sums [[buffer(0)]], device const float* in [[buffer(1)]],
                   uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
  if (t == 0) sums[g / 2] += in[g];  // PLANTED
}
"""


def test_a_race_between_threadgroups(checked):
    text = checked.report(ACROSS, "across", {0: floats(4), 1: floats(8, 1)}, (64,), (8,))
    assert re.search(
        rf"data race: read of 4 bytes at {checked.place(ACROSS, 'load float')}\n"
        r"    by thread \(0, 0, 0\) of threadgroup \(1, 0, 0\): bytes 0\.\.3 of buffer\(0\) sums \(16 bytes\)\n"
        r"    after a write at .*\n"
        r"    by thread \(0, 0, 0\) of threadgroup \(0, 0, 0\); threadgroups of one dispatch are not ordered",
        text,
    ), text
    checked(ACROSS.replace("g / 2", "g"), "across", {0: floats(8), 1: floats(8, 1)}, (64,), (8,))


ATOMICS = """
kernel void atomics(device atomic_uint* counts [[buffer(0)]], device uint* plain [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  if (i == 40) plain[0] = 3;  // PLANTED
  else atomic_fetch_add_explicit(counts, 1u, memory_order_relaxed);
}
"""


def test_atomics_race_with_plain_accesses_only(checked):
    count, other = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    checked(ATOMICS, "atomics", {0: count, 1: other}, (256,), (32,))
    assert count[0] == 255
    text = checked.report(ATOMICS, "atomics", {0: count, 1: count}, (256,), (32,))
    assert re.search(rf"data race: write of 4 bytes at {checked.place(ATOMICS, 'store i32')}\n", text), text
    assert "after an atomic write" in text
    assert "one allocation with buffer(0), buffer(1)" in text


SAME_VALUE = """
kernel void same_value(device int* found [[buffer(0)]]) {
  found[0] = 1;  // PLANTED
}
"""


def test_a_race_that_changes_nothing_is_one_and_the_report_says_so(checked):
    text = checked.report(SAME_VALUE, "same_value", {0: np.zeros(1, np.int32)}, (64,), (32,))
    assert re.search(rf"data race: write of 4 bytes at {checked.place(SAME_VALUE, 'store i32')}\n", text), text
    assert "(it writes what is there already, which is a race all the same)" in text


NEIGHBOURS = """
kernel void neighbours(device uchar* bytes [[buffer(0)]], device half* halves [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) {
  bytes[i] = i;
  halves[i] = halves[i] + 1;
}
"""


def test_neighbours_in_one_word_are_no_race(checked):
    out = np.zeros(70, np.uint8)
    checked(NEIGHBOURS, "neighbours", {0: out, 1: np.zeros(70, np.float16)}, (70,), (35,))
    assert out.tolist() == list(range(70))


WORDS_AND_BYTES = """
kernel void words_and_bytes(device uint* words [[buffer(0)]], device uchar* bytes [[buffer(1)]],
                            uint i [[thread_position_in_grid]]) {
  if (i < 16) words[i] = 1;
  else bytes[i - 16 + 3] = 2;  // PLANTED
}
"""


def test_a_byte_and_the_word_around_it_are_a_race(checked):
    memory = np.zeros(16, np.uint32)
    text = checked.report(WORDS_AND_BYTES, "words_and_bytes", {0: memory, 1: memory.view(np.uint8)}, (17,), (17,))
    assert re.search(r"data race: write of 1 byte at .*\n.*: byte 3 of buffer\(0\) words", text), text


SIMDGROUP = """
kernel void simdgroup_only(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float tile[64];
  tile[t] = t;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = tile[t ^ 1];  // PLANTED
}
"""


def test_a_simdgroup_barrier_orders_its_own_lanes(checked):
    out = floats(64)
    checked(SIMDGROUP, "simdgroup_only", {0: out})
    assert out.tolist() == [t ^ 1 for t in range(64)]
    text = checked.report(SIMDGROUP.replace("t ^ 1", "t ^ 32"), "simdgroup_only", {0: floats(64)})
    assert "no threadgroup_barrier with mem_flags::mem_threadgroup is between them" in text


def test_lanes_of_one_simdgroup_are_not_ordered_by_running_together(checked):
    source = SIMDGROUP.replace("  simdgroup_barrier(mem_flags::mem_threadgroup);\n", "")
    text = checked.report(source, "simdgroup_only", {0: floats(64)})
    assert "nothing orders lanes of one simdgroup but a barrier with mem_flags::mem_threadgroup" in text


# ---------------------------------------------------------------------------------------------------------------------
# Uninitialised memory

PARTLY = """
kernel void partly(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float tile[64];
  if (t < 32) tile[t] = t;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = tile[t];  // PLANTED
}
"""


def test_a_read_of_uninitialised_threadgroup_memory(checked):
    text = checked.report(PARTLY, "partly", {0: floats(128)}, (128,), (64,))
    assert re.search(
        rf"read of uninitialised threadgroup memory at {checked.place(PARTLY, 'load float')}\n"
        r"    by thread \(32, 0, 0\) of threadgroup \(0, 0, 0\): bytes 128\.\.131 of threadgroup variable tile "
        r"\(256 bytes\), which no thread of this threadgroup has written \[and 63 more like it\]",
        text,
    ), text
    checked(PARTLY.replace("t < 32", "true"), "partly", {0: floats(128)}, (64,), (64,))


NEVER = """
kernel void never(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float total;
  out[t] = total;  // PLANTED
}
"""


def test_threadgroup_memory_that_nobody_ever_writes(checked):
    """An optimiser may take it for zero, so that nothing would be left to check."""
    text = checked.report(NEVER, "never", {0: floats(64)})
    assert re.search(rf"uninitialised threadgroup memory at {checked.place(NEVER, 'load float')}\n", text), text


STRUCTS = """
struct Item { float3 position; int count; };
kernel void structs(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup Item items[64];
  items[t].position.x = 1; items[t].position.y = 2; items[t].position.z = t; items[t].count = 3;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  Item one = items[63 - t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  items[t] = one;
  out[t] = items[t].position.z + one.count;
}
"""


def test_a_copied_struct_may_have_holes(checked):
    out = floats(64)
    checked(STRUCTS, "structs", {0: out})
    assert out.tolist() == [66.0 - t for t in range(64)]


# ---------------------------------------------------------------------------------------------------------------------
# Barriers

DIVERGENT = """
kernel void divergent(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  if (t % 2 == 0) {
    out[t] = 1;
    threadgroup_barrier(mem_flags::mem_none);  // ONE
  } else {
    threadgroup_barrier(mem_flags::mem_none);  // OTHER
    out[t] = 2;
  }
}
"""


def test_threads_at_different_barriers(checked):
    text = checked.report(DIVERGENT, "divergent", {0: floats(64)})
    call = "call void @msl_threadgroup_barrier"
    assert re.search(
        rf"divergent threadgroup_barrier at {checked.place(DIVERGENT, call, 'ONE')}\n"
        r"    thread \(0, 0, 0\) of threadgroup \(0, 0, 0\) waits at it, and "
        r"thread \(1, 0, 0\) of threadgroup \(0, 0, 0\) waits at "
        rf"{checked.place(DIVERGENT, call, 'OTHER')}",
        text,
    ), text


ENDED = """
kernel void ended(device float* out [[buffer(0)]], uint t [[thread_position_in_threadgroup]]) {
  if (t >= 40) return;
  threadgroup_barrier(mem_flags::mem_none);  // PLANTED
  out[t] = t;
}
"""


def test_threads_that_ended_while_others_wait(checked, monkeypatch):
    text = checked.report(ENDED, "ended", {0: floats(64)})
    assert re.search(
        rf"divergent threadgroup_barrier at {checked.place(ENDED, 'call void @msl_threadgroup_barrier')}\n"
        r"    thread \(0, 0, 0\) of threadgroup \(0, 0, 0\) waits at it, and "
        r"thread \(40, 0, 0\) of threadgroup \(0, 0, 0\) has ended",
        text,
    ), text
    # Without this mode it is tolerated.
    monkeypatch.delenv("STEEL_METAL_CHECK")
    checked(ENDED, "ended", {0: floats(64)})


# ---------------------------------------------------------------------------------------------------------------------
# The mode itself

EVERYTHING = """
struct Params { uint n; float scale; };
kernel void everything(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                       constant Params& params [[buffer(2)]], device atomic_uint* count [[buffer(3)]],
                       uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]],
                       uint g [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
                       uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float sums[32];
  threadgroup half tile[256];
  float own[4];
  for (uint k = 0; k < 4; k++) own[k] = i * 4 + k < params.n ? in[i * 4 + k] : 0;
  const float sum = simd_sum(own[t % 4] + own[(t + 1) % 4]);
  if (lane == 0) sums[simdgroup] = sum;
  tile[t] = half(own[0]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (i < params.n / 4) out[i] = sums[simdgroup ^ 1] + float(tile[255 - t]) * params.scale;
  atomic_fetch_add_explicit(&count[g], 1u, memory_order_relaxed);
}
"""


def test_the_results_are_the_same_with_and_without(checked, monkeypatch):
    values = np.random.default_rng(5).standard_normal(2048, dtype=np.float32)

    def run():
        out, count = floats(512), np.zeros(2, np.uint32)
        params = np.uint32(2048).tobytes() + np.float32(0.5).tobytes()
        checked(EVERYTHING, "everything", {0: values, 1: out, 2: params, 3: count}, (512,), (256,))
        return out.tobytes(), count.tolist()

    with_checks = run()
    monkeypatch.delenv("STEEL_METAL_CHECK")
    assert with_checks == run()
    assert with_checks[1] == [256, 256]


def test_a_report_is_the_same_every_time(checked):
    first, second = (checked.report(TILE, "tile", {0: floats(64)}, (256,), (64,)) for _ in range(2))
    assert first == second


MANY = "".join(f"kernel_line({n})\n" for n in range(12))
MANY = f"""
#define kernel_line(n) out[n] = i;
kernel void many(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {{
{MANY}}}
"""


def test_of_many_findings_some_are_shown_and_all_are_counted(checked):
    text = checked.report(MANY, "many", {0: np.zeros(12, np.uint32)}, (2,), (2,))
    assert "the sanitizer found 8 problems" in text
    assert "4 more findings at other places are not shown" in text


def test_an_overlapping_view_is_one_memory(checked):
    source = """
kernel void copy(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) {
  out[i] = in[i];
}
"""
    memory = np.arange(128, dtype=np.float32)
    checked(source, "copy", {0: memory[:64], 1: memory[64:]})
    np.testing.assert_array_equal(memory[64:], np.arange(64))
    text = checked.report(source, "copy", {0: memory[:64], 1: memory[1:65]})
    assert "data race" in text
    assert "one allocation with buffer(0), buffer(1)" in text


DYNAMIC = """
kernel void dynamic(device float* out [[buffer(0)]], threadgroup float* scratch [[threadgroup(0)]],
                    uint t [[thread_position_in_threadgroup]]) {
  scratch[t] = t;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = scratch[63 - t];
}
"""


def test_threadgroup_memory_whose_size_the_host_sets(checked):
    out = floats(64)
    checked(DYNAMIC, "dynamic", {0: out}, threadgroup_memory={0: 256})
    assert out.tolist() == [63.0 - t for t in range(64)]
    text = checked.report(DYNAMIC, "dynamic", {0: floats(64)}, threadgroup_memory={0: 240})
    assert re.search(r"bytes 240\.\.243 of threadgroup\(0\) \(240 bytes\)", text), text
