# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""torch.mps.compile_shader: kernels from Python, called as on a Mac."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import porter.metal
import porter.metal.torch as mt

SOURCE = """
#include <metal_stdlib>
using namespace metal;

kernel void full(device float* out, constant float& value, uint i [[thread_position_in_grid]]) { out[i] = value; }

kernel void where_am_i(device int* out, uint3 at [[thread_position_in_grid]], uint3 size [[threads_per_grid]],
                       uint3 group [[threads_per_threadgroup]]) {
  out[(at.z * size.y + at.y) * size.x + at.x] = int(group.x + 10 * group.y + 100 * group.z);
}

kernel void bytes_of_long(device long* out, constant long* values, uint i [[thread_position_in_grid]]) {
  out[i] = values[i];
}

kernel void bytes_of_float(device float* out, constant float* values, uint i [[thread_position_in_grid]]) {
  out[i] = values[i];
}

template <typename T>
kernel void bytes_of(device float* out, constant T* values, uint i [[thread_position_in_grid]]) {
  out[i] = float(values[i]);
}
template [[host_name("bytes_of_half")]] kernel void bytes_of<half>(device float*, constant half*, uint);
template [[host_name("bytes_of_bfloat")]] kernel void bytes_of<bfloat>(device float*, constant bfloat*, uint);
template [[host_name("bytes_of_int")]] kernel void bytes_of<int>(device float*, constant int*, uint);
template [[host_name("bytes_of_short")]] kernel void bytes_of<short>(device float*, constant short*, uint);
template [[host_name("bytes_of_char")]] kernel void bytes_of<char>(device float*, constant char*, uint);
template [[host_name("bytes_of_uchar")]] kernel void bytes_of<uchar>(device float*, constant uchar*, uint);

struct Table { device float* rows[3]; };
kernel void sum_of_rows(device float* out, constant Table& table, uint i [[thread_position_in_grid]]) {
  out[i] = table.rows[0][i] + table.rows[1][i] + table.rows[2][i];
}

kernel void uses_threadgroup_memory(device float* out, uint i [[thread_position_in_threadgroup]]) {
  threadgroup float values[64];
  values[i] = float(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = values[63 - i];
}
"""


@pytest.fixture(scope="module")
def library():
    porter.metal.enable_torch()
    return torch.mps.compile_shader(SOURCE)


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype, device="mps")


def test_the_kernels_are_attributes(library) -> None:
    assert set(dir(library)) == {
        "full", "where_am_i", "bytes_of_long", "bytes_of_float", "bytes_of_half", "bytes_of_bfloat", "bytes_of_int",
        "bytes_of_short", "bytes_of_char", "bytes_of_uchar", "sum_of_rows", "uses_threadgroup_memory",
    }  # fmt: skip
    assert isinstance(library, torch._C._mps_ShaderLibrary)
    assert isinstance(library.full, torch._C._mps_MetalKernel)


def test_the_first_tensor_says_how_many_threads(library) -> None:
    out = zeros(5, 3)
    with mt.record_dispatches() as dispatches:
        library.full(out, 3.25)
    assert out.unique().tolist() == [3.25]
    assert dispatches == [mt.Dispatch("full", (15, 1, 1), (15, 1, 1))]


def test_threads_and_groups(library) -> None:
    out = zeros(4, 6, 8, dtype=torch.int32)
    library.where_am_i(out, threads=(8, 6, 4), group_size=(4, 3, 2))
    assert out.unique().tolist() == [234]
    library.where_am_i(out, threads=[8, 24], group_size=[8, 2])
    assert out.unique().tolist() == [128]
    library.where_am_i(out, threads=192, group_size=64)
    assert out.unique().tolist() == [174]


def test_properties(library) -> None:
    assert library.full.max_threads_per_threadgroup == 1024
    assert library.full.thread_execution_width == 32
    assert library.full.static_thread_group_memory_length == 0
    assert library.uses_threadgroup_memory.static_thread_group_memory_length == 256
    out = zeros(64)
    library.uses_threadgroup_memory(out)
    assert torch.equal(out.cpu(), torch.arange(63.0, -1, -1))


def test_numbers_and_lists(library) -> None:
    out = zeros(2, dtype=torch.int64)
    library.bytes_of_long(out, [-3, 1 << 40])
    assert out.tolist() == [-3, 1 << 40]
    library.bytes_of_long(out, (True, False))  # a bool is an int, to Python and to PyTorch
    assert out.tolist() == [1, 0]
    library.bytes_of_long(out, 7, threads=1)
    assert out.tolist() == [7, 0]
    values = zeros(2)
    library.bytes_of_float(values, (0.1, 2))
    assert torch.equal(values.cpu(), torch.tensor([0.1, 2.0]))
    library.bytes_of_float(values, 1e300, threads=1)
    assert values[0] == torch.inf
    library.bytes_of_float(values, torch.tensor(0.5), threads=1)
    assert values[0] == 0.5


@pytest.mark.parametrize(
    ("kernel", "cast"),
    [
        ("half", "fp16"),
        ("bfloat", "bf16"),
        ("int", "int32"),
        ("short", "int16"),
        ("char", "int8"),
        ("uchar", "uint8"),
    ],
)
def test_casts_of_arguments(library, kernel, cast) -> None:
    run = getattr(library, f"bytes_of_{kernel}")
    out = zeros(2)
    run(out, [3, 100], arg_casts=cast)
    assert out.tolist() == [3, 100]
    run(out, 5, threads=1, arg_casts={1: cast})
    assert out.tolist() == [5, 100]
    run(out, (1.0, 2.0), arg_casts={1: cast})
    assert out.tolist() == [1, 2]


def test_a_list_of_tensors_is_a_table_of_addresses(library) -> None:
    rows = [torch.arange(8.0, device="mps") * scale for scale in (1, 10, 100)]
    out = zeros(8)
    library.sum_of_rows(out, rows)
    assert torch.equal(out.cpu(), torch.arange(8.0) * 111)
    library.sum_of_rows(zeros(4), [row[4:] for row in rows])


BAD_CALLS = {
    "text": (lambda k, x: k(x, "1"), RuntimeError, "Unsupported argument type"),
    "none": (lambda k, x: k(x, None), RuntimeError, "Unsupported argument type"),
    "empty list": (lambda k, x: k(x, []), RuntimeError, "Empty list/tuple can not be an argument to metal kernel"),
    "list of text": (lambda k, x: k(x, ["1"]), RuntimeError, "Unexpected argument types"),
    "mixed list": (lambda k, x: k(x, [1, 2.5]), RuntimeError, "Unable to cast Python instance of type float"),
    "large int": (lambda k, x: k(x, 1 << 63), RuntimeError, "Unable to cast Python instance"),
    "long list": (lambda k, x: k(x, [0.0] * 1025), RuntimeError, "Metal takes at most 4096"),
    "cast": (lambda k, x: k(x, 1.0, arg_casts="fp64"), RuntimeError, "Unsupported cast instruction fp64"),
    "kind of casts": (lambda k, x: k(x, 1.0, arg_casts=3), RuntimeError, "Unexpected caster arg type int"),
    "no threads": (lambda k, _: k(12.0), RuntimeError, "Number of threads is undefined or has wrong dimension"),
    "four dimensions": (lambda k, x: k(x, 1.0, threads=(1, 1, 1, 1)), RuntimeError, "one to three sizes"),
    "negative threads": (lambda k, x: k(x, 1.0, threads=-1), RuntimeError, "Unable to cast"),
    "other dimensions": (lambda k, x: k(x, 1.0, threads=(2, 2), group_size=2), RuntimeError, "group_size->size"),
    "large group": (lambda k, x: k(x, 1.0, threads=4, group_size=1025), ValueError, "exceeds 1024 limit"),
    "large group in two": (
        lambda k, x: k(x, 1.0, threads=(2048, 2), group_size=(1024, 2)),
        ValueError,
        "exceeds 1024 limit",
    ),
    "tensor of the CPU": (lambda k, _: k(torch.ones(4), 1.0), RuntimeError, "Passed CPU tensor to MPS op"),
    "list with a tensor of the CPU": (lambda k, x: k(x, [torch.ones(4)]), RuntimeError, "Passed CPU tensor"),
    "missing argument": (lambda k, x: k(x), RuntimeError, "was never bound"),
    "unknown keyword": (lambda k, x: k(x, 1.0, grid=3), TypeError, "grid"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(library, name) -> None:
    call, error, message = BAD_CALLS[name]
    torch.mps.synchronize()  # so that no earlier call's argument stands in for a missing one
    with pytest.raises(error, match=message):
        call(library.full, zeros(4))


def test_a_kernel_that_is_not_there(library) -> None:
    with pytest.raises(RuntimeError, match=r"Failed to create function state object for: ful \(expected one like full"):
        library.ful  # noqa: B018


def test_a_kernel_outlives_its_library() -> None:
    kernel = torch.mps.compile_shader(SOURCE + "// of its own\n").full
    out = zeros(3)
    kernel(out, 2.0)
    assert out.tolist() == [2, 2, 2]


def test_source_that_is_not_valid() -> None:
    porter.metal.enable_torch()
    source = "#include <metal_stdlib>\n\nkernel void broken(device float* x [[buffer(0)]]) {\n  x[0] = nonsense;\n}\n"
    with pytest.raises(SyntaxError, match=r"4:10: .*use of undeclared identifier 'nonsense'"):
        torch.mps.compile_shader(source)


def test_an_instantiation_that_is_not_valid_is_found_when_the_library_is_made() -> None:
    porter.metal.enable_torch()
    source = (
        "template <typename T> kernel void broken(device T* x [[buffer(0)]]) { x[0] = x[0].missing; }\n"
        'template [[host_name("broken_float")]] kernel void broken<float>(device float*);\n'
    )
    with pytest.raises(SyntaxError, match="member reference base type"):
        torch.mps.compile_shader(source)


def test_source_of_the_users_own_is_ascii() -> None:
    porter.metal.enable_torch()
    with pytest.raises(RuntimeError, match=r"must be ASCII, and line 1 "):
        torch.mps.compile_shader("// \u00a9 somebody\n" + SOURCE)


def test_what_a_kernel_reports_is_raised_at_the_next_synchronisation() -> None:
    porter.metal.enable_torch()
    library = torch.mps.compile_shader(
        "#include <c10/metal/error.h>\n"
        "kernel void check(device int* x, device ::c10::metal::ErrorMessages* errors, uint i "
        "[[thread_position_in_grid]]) {\n"
        '  if (x[i] < 0) { TORCH_REPORT_ERROR(errors, "negative at ", i); }\n'
        "}\n"
    )
    values = torch.tensor([1, 2, -3], dtype=torch.int32, device="mps")
    library.check(values, error_buf_idx=1)
    with pytest.raises(torch.AcceleratorError, match="negative at 2"):
        torch.mps.synchronize()
    torch.mps.synchronize()  # told once


def test_what_is_no_compiled_library(tmp_path) -> None:
    porter.metal.enable_torch()
    with pytest.raises(RuntimeError, match=r"Failed to load metallib: .*header"):
        torch.mps.load_metallib(b"MTLB")
    with pytest.raises(RuntimeError, match="Failed to load metallib"):
        torch.mps.load_metallib(b"")
    with pytest.raises(RuntimeError, match="Failed to load metallib from"):
        torch.mps.load_metallib(tmp_path / "absent.metallib")
    with pytest.raises(TypeError, match="expected bytes or path, got int"):
        torch.mps.load_metallib(3)


def test_importing_the_package_leaves_torch_alone() -> None:
    code = (
        "import sys, porter.metal\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "try: torch.mps.compile_shader('')\n"
        "except RuntimeError as error: print(error)\n"
        "porter.metal.enable_torch()\n"
        "print(dir(torch.mps.compile_shader('kernel void f() {}')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "MPS is not available\n['f']\n"), done.stderr
