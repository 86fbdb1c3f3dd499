# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal from Python: names, arguments, limits and what is said when something is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

from porter.errors import MetalError
from porter.metal import Library, compile_source, kernel_names, load

SOURCE = """\
#include <metal_stdlib>
using namespace metal;
struct Params { int n; float scale; };
template <typename T, int N>
[[kernel, max_total_threads_per_threadgroup(N * 32)]] void scale(
    device const T* in [[buffer(0)]], device T* out [[buffer(1)]], constant Params& params [[buffer(4)]],
    uint i [[thread_position_in_grid]]) {
  if (int(i) < params.n) out[i] = T(in[i] * params.scale);
}
namespace inner {
kernel void fill(device float4* out [[buffer(30)]], uint i [[thread_position_in_grid]]) { out[i] = float4(i); }
}
#define instantiate(name, func, ...) \\
  template [[host_name(name)]] [[kernel]] decltype(func<__VA_ARGS__>) func<__VA_ARGS__>;
instantiate("scale_" "f32", scale, float, 2)
template [[host_name("scale_f16")]] kernel void scale<half, 1>(
    device const half*, device half*, constant Params&, uint);
"""
PARAMS = np.array([5], np.int32).tobytes() + np.array([2], np.float32).tobytes()


@pytest.fixture(scope="module")
def library():
    return Library(SOURCE)


def test_names(library):
    assert library.names() == kernel_names(SOURCE) == ("scale_f32", "scale_f16", "fill")


def test_what_a_kernel_says_of_itself(library):
    kernel = library["scale_f32"]
    assert kernel.max_threads == 64
    assert kernel.threadgroup_memory == 0
    assert not kernel.needs_fibers
    rows = [(one.name, one.type, one.address_space, one.slot, one.size, one.is_const) for one in kernel.arguments]
    assert rows == [
        ("in", "T", "device", 0, 4, True),
        ("out", "T", "device", 1, 4, False),
        ("params", "Params", "constant", 4, 8, True),
    ]
    assert library["scale_f16"].max_threads == 32
    assert library["fill"].arguments[0].size == 16
    assert library["fill"].max_threads == 1024


def test_running(library):
    x = np.arange(8, dtype=np.float16)
    out = np.full(8, -1, np.float16)
    library["scale_f16"]({0: x, 1: out, 4: PARAMS}, (8,), (8,))
    assert out.tolist() == [0, 2, 4, 6, 8, -1, -1, -1]


def test_one_unit_can_hold_all_kernels():
    kernels = load(compile_source(SOURCE))
    assert [kernel.name for kernel in kernels] == ["scale_f32", "scale_f16", "fill"]
    assert [kernel.name for kernel in Library(SOURCE).compile()] == ["scale_f32", "scale_f16", "fill"]


def test_units_and_code_are_kept_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    first = compile_source(SOURCE, kernels=["fill"])
    load(first)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.kernel")}
    assert len(kept) == 2  # the unit, and its machine code
    assert compile_source(SOURCE, kernels=["fill"]) == first
    load(first)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.kernel")} == kept
    other = SOURCE.replace("float4(i)", "float4(i + 1)")
    assert compile_source(other, kernels=["fill"]) != first


ROUNDINGS = """\
#include <metal_stdlib>
using namespace metal;
template <typename T> void mixed(device const T* in, device T* out, uint i, threadgroup T* shared) {
  T x = in[i], y = x;
  for (int step = 0; step < 7; ++step) y = y * x + T(exp(float(y))) / (T(1) + x * x);
  out[i] = y;
}
#define plain(name, type) \\
  kernel void plain_##name(device const type* in [[buffer(0)]], device type* out [[buffer(1)]], \\
      uint i [[thread_position_in_grid]]) { mixed<type>(in, out, i, (threadgroup type*)nullptr); } \\
  kernel void meeting_##name(device const type* in [[buffer(0)]], device type* out [[buffer(1)]], \\
      uint i [[thread_position_in_grid]]) { \\
    threadgroup type shared[64]; \\
    mixed<type>(in, out, i, shared); \\
    shared[i] = out[i]; \\
    threadgroup_barrier(mem_flags::mem_threadgroup); \\
    out[i] = simd_sum(shared[63 - i]) + shared[i]; \\
  }
plain(f32, float)
plain(f16, half)
"""


def test_kernels_that_run_once_give_the_same_bits_and_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    unit = compile_source(ROUNDINGS, once=True)
    once = {kernel.name: kernel for kernel in load(unit, once=True)}
    assert not list((tmp_path / "kernels").glob("*.kernel"))
    values = np.random.default_rng(5).standard_normal(64)
    for kernel in load(unit):
        dtype = np.float32 if kernel.name.endswith("f32") else np.float16
        results = []
        for one in (kernel, once[kernel.name]):
            out = np.zeros(64, dtype)
            one({0: values.astype(dtype), 1: out}, (64,), (64,))
            results.append(out.tobytes())
        assert results[0] == results[1], kernel.name


def test_an_unknown_kernel(library):
    with pytest.raises(MetalError, match="the source has no kernel scale_f64") as caught:
        library["scale_f64"]
    assert "scale_f16, scale_f32" in str(caught.value)


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ({0: np.zeros(8, np.float32), 4: PARAMS}, r"argument out \[\[buffer\(1\)\]\] is missing"),
        (
            {0: np.zeros(8, np.float32), 1: np.zeros(8, np.float32), 4: PARAMS[:4]},
            r"params .* has 4 bytes .*at least 8",
        ),
        ({0: np.zeros(8, np.float32), 1: bytes(32), 4: PARAMS}, r"argument out .* is written by the kernel"),
        (
            {0: np.zeros((8, 2), np.float32)[:, 0], 1: np.zeros(8, np.float32), 4: PARAMS},
            r"argument in .* not contiguous",
        ),
    ],
)
def test_wrong_buffers(library, buffers, message):
    with pytest.raises(MetalError, match=message):
        library["scale_f32"](buffers, (8,), (8,))


@pytest.mark.parametrize(
    ("threads", "group", "message"),
    [
        ((128,), (65,), "65 threads, more than the kernel's limit of 64"),
        ((128,), (8, 4, 4), "128 threads, more than the kernel's limit of 64"),
        ((8,), (0,), r"x is 0, expected 1\.\.1024"),
        ((0,), (8,), r"the grid's x is 0, expected 1\.\."),
        ((1, 2**32), (8,), r"the grid's y is 4294967296"),
        ((1, 1, 1, 1), (8,), "one to three sizes"),
    ],
)
def test_wrong_grids(library, threads, group, message):
    buffers = {0: np.zeros(128, np.float32), 1: np.zeros(128, np.float32), 4: PARAMS}
    with pytest.raises(MetalError, match=message):
        library["scale_f32"](buffers, threads, group)


HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def kernel_of(body, arguments="device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]"):
    return f"{HEADER}kernel void k({arguments}) {{\n{body}\n}}\n"


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        (kernel_of("out[i] = missing;"), 4, "undeclared identifier 'missing'"),
        (kernel_of("out[i] = simd_reticulate(1.0f);"), 4, "simd_reticulate"),
        (kernel_of("out[i] = 1", "device Nothing* out [[buffer(0)]]"), 3, "Nothing"),
        (kernel_of("#error stop here"), 4, "stop here"),
        (kernel_of("out[0] = x;", "device float* out [[buffer(0)]], float x"), 3, "argument x has no attribute"),
        (
            "constant bool on [[function_constant(1)]];\n"
            + kernel_of(
                "out[0] = x[0];",
                "device float* out [[buffer(0)]], device float* x [[buffer(1), function_constant(on)]]",
            ),
            4,
            "argument x is gated by the function constant on",
        ),
    ],
)
def test_source_that_cannot_be_compiled(source, line, message):
    with pytest.raises(MetalError, match=message) as caught:
        Library(source)["k"]
    assert re.fullmatch(rf"source\.metal:{line}(:\d+)?", caught.value.where)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (
            "constant int on [[function_constant(1)]];\n" + kernel_of("out[i] = on;"),
            "the function constant on, which has no value",
        ),
        ("float elsewhere(float x);\n" + kernel_of("out[i] = elsewhere(1.0f);"), "nothing defines .*elsewhere"),
    ],
)
def test_a_symbol_that_nothing_defines_is_named(source, missing):
    with pytest.raises(MetalError, match=missing):
        Library(source)["k"]


def test_two_kernels_of_one_name():
    twice = SOURCE + 'instantiate("fill", scale, float, 1)\n'
    with pytest.raises(MetalError, match="two kernels have one host name: fill"):
        compile_source(twice)


def test_a_missing_compiler_says_what_to_install(monkeypatch, tmp_path):
    from porter.errors import ToolchainError
    from porter.metal import toolchain

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ToolchainError, match=r"no C\+\+ compiler") as caught:
        toolchain.system_compiler.__wrapped__()
    assert "install" in (caught.value.next_step or "")


def test_threadgroup_memory_that_the_host_sizes():
    source = (
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "kernel void turn(device int* out [[buffer(0)]], threadgroup int* tile [[threadgroup(1)]],\n"
        "                 uint i [[thread_position_in_threadgroup]], uint n [[threads_per_threadgroup]]) {\n"
        "  tile[i] = int(i);\n  threadgroup_barrier(mem_flags::mem_threadgroup);\n  out[i] = tile[n - 1 - i];\n}\n"
    )
    kernel = Library(source)["turn"]
    out = np.zeros(64, np.int32)
    kernel({0: out}, (64,), (64,), {1: 256})
    assert out.tolist() == list(range(63, -1, -1))
    with pytest.raises(MetalError, match=r"argument tile \[\[threadgroup\(1\)\]\] was given no memory"):
        kernel({0: out}, (64,), (64,))
    with pytest.raises(MetalError, match="needs 32784 bytes of threadgroup memory, more than the 32768"):
        kernel({0: out}, (64,), (64,), {1: 32784})


def test_kernels_of_one_unit_do_not_pay_for_each_others_threadgroup_memory():
    """Three kernels of 16 KiB each: more than there is together. Each fills its memory before any reads it."""
    source = """
#include <metal_stdlib>
using namespace metal;
template <int N>
__attribute__((noinline)) void turned(threadgroup int* memory, device int* out, uint i) {
  for (uint j = i; j < 4096; j += 32) memory[j] = int(j) * N;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = memory[4095 - i];
}
template <int N>
[[kernel]] __attribute__((noinline)) void k(device int* out [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
  threadgroup int memory[4096];
  turned<N>(memory, out, i);
}
template [[host_name("one")]] [[kernel]] decltype(k<1>) k<1>;
template [[host_name("two")]] [[kernel]] decltype(k<2>) k<2>;
template [[host_name("three")]] [[kernel]] decltype(k<3>) k<3>;
"""
    for optimised_less in (False, True):
        unit = compile_source(source)
        for kernel in load(unit, once=optimised_less):
            out = np.zeros(32, np.int32)
            kernel({0: out}, threads=(32,), group=(32,))
            factor = {"one": 1, "two": 2, "three": 3}[kernel.name]
            assert (out == factor * (4095 - np.arange(32))).all()
