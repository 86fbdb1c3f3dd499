# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Apple's compilers' own libraries: MLX's of two releases and three systems, and PyTorch's.

All kernels of each were read once (docs/metallib.md says what came of it); here every 60th is.
"""

from __future__ import annotations

import struct
import time

import pytest

from porter.metal import air
from porter.metal.air import LibraryFile

from .macos_wheels import LIBRARIES, MLX_0_30_1, MacosLibrary, file_of, opened

STEP = 60
KINDS = {
    "buffer",
    "indirect_buffer",
    "quadgroup_index_in_threadgroup",
    "simdgroup_index_in_threadgroup",
    "simdgroups_per_threadgroup",
    "thread_index_in_quadgroup",
    "thread_index_in_simdgroup",
    "thread_index_in_threadgroup",
    "thread_position_in_grid",
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threadgroups_per_grid",
    "threads_per_grid",
    "threads_per_simdgroup",
    "threads_per_threadgroup",
}
MOST_THREADGROUP_MEMORY = 32768  # bytes, Apple's Metal feature set tables, all Mac families


@pytest.mark.parametrize("library", LIBRARIES, ids=str)
def test_every_60th_kernel(library: MacosLibrary) -> None:
    with opened(library) as found:
        assert len(found) == library.kernels
        assert {function.type for function in found} == {"kernel"}
        for function in found.functions[::STEP]:
            kernel = found.kernel(function.name)
            assert kernel.name == function.name
            assert kernel.air_version[:2] == function.air_version
            assert kernel.language_version[:2] == function.language_version
            assert [argument.index for argument in kernel.arguments] == list(range(len(kernel.arguments)))
            assert {argument.kind for argument in kernel.arguments} <= KINDS
            assert kernel.threadgroup_memory <= MOST_THREADGROUP_MEMORY
            assert kernel.thread_limit is None or kernel.thread_limit <= 1024
            assert all(name.startswith(("air.", "llvm.", "__tensorops_impl_")) for name in kernel.externals)
            gates = {argument.gate for argument in kernel.arguments} - {None}
            assert gates <= {constant.name for constant in kernel.constants}


def test_constants_are_those_that_the_container_states() -> None:
    """The container's public metadata lists each function's constants too: a second witness, which `air` does not use.

    A CNST field holds a u16 count, then per constant a zero-terminated name, a u8 type (0x35: bool), a u16 index and a
    u8 flag, as one can read off the file.
    """
    path = file_of(MLX_0_30_1)
    data = path.read_bytes()
    (public,) = struct.unpack_from("<Q", data, 40)
    seen = 0
    with LibraryFile(data) as found:
        for function in found.functions[::STEP]:
            at = data.index(b"NAME" + struct.pack("<H", len(function.name) + 1) + function.name.encode() + b"\0")
            place = data.index(b"OFFT", at)
            (start,) = struct.unpack_from("<Q", data, place + 6)
            (size,) = struct.unpack_from("<I", data, public + start)
            fields = data[public + start + 4 : public + start + size]
            constants = [(one.name, one.index) for one in found.kernel(function.name).constants]
            assert constants == stated_constants(fields)
            seen += len(constants)
    assert seen > 20


def stated_constants(fields: bytes) -> list[tuple[str, int]]:
    if not fields.startswith(b"CNST"):
        return []
    (count,) = struct.unpack_from("<H", fields, 6)
    out, at = [], 8
    for _ in range(count):
        end = fields.index(b"\0", at)
        out.append((fields[at:end].decode(), struct.unpack_from("<H", fields, end + 2)[0]))
        at = end + 5
    return out


def test_the_fused_gemm() -> None:
    with opened(MLX_0_30_1) as found:
        gemm = found.kernel("steel_gemm_fused_nt_float32_float32_bm64_bn32_bk8_wm4_wn1")
    assert gemm.thread_limit == 4 * 1 * 32
    assert [argument.slot for argument in gemm.arguments[:8]] == list(range(8))
    assert [constant.index for constant in gemm.constants] == [10, 100, 110, 200, 201, 202]
    assert all(constant.required and constant.symbol for constant in gemm.constants)
    # Tiles of bm 64 and bn 32 rows, bk 8 floats and 4 of padding (16 bytes) each.
    assert gemm.threadgroup_memory == (64 + 32) * (8 + 4) * 4


def test_pytorchs_argument_buffers_and_threadgroup_arguments() -> None:
    with opened(LIBRARIES[-1]) as found:
        adam = found.kernel("fused_adamw_amsgrad_half_half").arguments[0]
        assert (adam.kind, adam.slot, adam.size) == ("indirect_buffer", 0, 6 * 32 * 8)
        assert [field.offset for field in adam.fields] == [256 * at for at in range(6)]
        (elements,) = adam.fields[0].fields
        assert (elements.array_length, elements.size) == (32, 8)
        assert elements.pointee is not None
        assert (elements.pointee.type, elements.pointee.access) == ("half", "read_write")
        (memory,) = found.kernel("int8pack_mv_float").threadgroup_arguments
        assert (memory.kind, memory.name, memory.type, memory.slot) == ("buffer", "shared_memory", "char", 0)


def test_the_index_is_read_in_half_a_second() -> None:
    """105 MB, the best of three. It takes 0.07 s; the machine may be busy."""
    path = file_of(MLX_0_30_1)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with LibraryFile(path) as found:
            assert len(found.names()) == MLX_0_30_1.kernels
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_the_wheel_that_the_proofs_use() -> None:
    from porter.errors import NetworkError
    from porter.upstream.providers.wheel import metallib_of

    try:
        path = metallib_of("v0.30.1")
    except NetworkError as error:
        pytest.skip(f"the wheel cannot be had: {error}")
    assert len(air.functions(path)) == MLX_0_30_1.kernels
