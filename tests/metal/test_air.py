# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Compiled libraries: a small one made here, every way to break it, and Apple's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from porter.errors import MetalError
from porter.metal import air
from porter.metal.air_metadata import Metadata, Reference

CODE = b"BC\xc0\xde" + b"\x01" * 12
LIST_START = 88


def field(tag: bytes, data: bytes) -> bytes:
    return tag + struct.pack("<H", len(data)) + data


def entry(name: str, offset: int, size: int) -> bytes:
    body = field(b"NAME", name.encode() + b"\0") + field(b"TYPE", b"\2") + field(b"MDSZ", struct.pack("<Q", size))
    body += field(b"OFFT", struct.pack("<3Q", 0, 0, offset)) + b"ENDT"
    return struct.pack("<I", len(body) + 4) + body


def library(entries: list[bytes], code: bytes = CODE * 2, count: int | None = None) -> bytes:
    listed = b"".join(entries)
    code_start = LIST_START + 4 + len(listed)
    sections = (LIST_START, len(listed), code_start, 0, code_start, 0, code_start, len(code))
    body = struct.pack("<I", len(entries) if count is None else count) + listed + code
    head = b"MTLB" + b"\0" * 12 + struct.pack("<Q", LIST_START + len(body)) + struct.pack("<8Q", *sections)
    return head + body


GOOD = library([entry("first", 0, 16), entry("second", 16, 16)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.metallib"


def test_functions_and_their_bitcode(path):
    path.write_bytes(GOOD)
    first, second = air.functions(path)
    start = len(GOOD) - 32
    assert first == air.LibraryFunction("first", start, 16)
    assert second == air.LibraryFunction("second", start + 16, 16)
    assert air.bitcode(path, second) == CODE


def test_every_cut_is_refused_with_its_place(path):
    for size in range(len(GOOD)):
        path.write_bytes(GOOD[:size])
        with pytest.raises(MetalError) as caught:
            air.functions(path)
        assert "some.metallib: byte " in str(caught.value), size


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"MTLA" + GOOD[4:], "byte 0: the library begins with b'MTLA'", id="magic"),
        pytest.param(library([entry("a", 0, 33)]), "the bitcode of a ends outside", id="too long"),
        pytest.param(library([entry("a", 2**63, 16)]), "the bitcode of a ends outside", id="far away"),
        pytest.param(library([entry("a", 0, 16)], count=2), "the function list ends inside an entry", id="count"),
        pytest.param(library([entry("a", 0, 16)], count=2**31), "functions do not fit", id="huge count"),
        pytest.param(library([b"\0\0\0\0" + entry("a", 0, 16)]), "an entry of 0 bytes", id="empty entry"),
        pytest.param(library([struct.pack("<I", 8) + b"NAME"]), "an entry ends without ENDT", id="no end"),
        pytest.param(library([struct.pack("<I", 8) + b"ENDT"]), "without a readable NAME", id="no name"),
        pytest.param(
            library([struct.pack("<I", 14) + b"NAME" + struct.pack("<H", 999) + b"ENDT"]), "past its entry", id="field"
        ),
    ],
)
def test_what_is_malformed_is_named(path, data, what):
    path.write_bytes(data)
    with pytest.raises(MetalError) as caught:
        air.functions(path)
    assert what in str(caught.value)


def test_what_is_no_bitcode_is_refused(path):
    path.write_bytes(library([entry("a", 0, 16)], code=b"\0" * 16))
    with pytest.raises(MetalError, match="no LLVM bitcode"):
        air.bitcode(path, air.functions(path)[0])
    with pytest.raises(MetalError, match="LLVM cannot read"):
        air.kernel(CODE)


def test_a_file_that_is_not_there(path):
    with pytest.raises(MetalError, match="cannot be read"):
        air.functions(path)


def test_metadata_operands():
    metadata = Metadata(
        '!name = !{!0}\n!0 = distinct !{ptr addrspace(2) @"a b", i32 -3, i1 true, !"x\\22y", null, !1, '
        "[2 x i32] [i32 1, i32 2]}\n"
        "!1 = !{}\n"
    )
    (row,) = metadata.named("name")
    assert row == ["@a b", -3, 1, 'x"y', None, Reference(1), "[2 x i32] [i32 1, i32 2]"]
    assert metadata.node(row[5]) == []
    assert metadata.named("other") == []


def kernel_bitcode(rows: str) -> bytes:
    import llvmlite.binding as llvm

    text = (
        "define void @k(ptr %0) {\n  ret void\n}\n@gate = global i8 0\n"
        "!air.kernel = !{!0}\n!air.function_constants = !{!8}\n"
        '!0 = !{ptr @k, !1, !2, !3}\n!1 = !{}\n!3 = !{!"air.max_work_group_size", i32 96}\n'
        '!8 = !{ptr @gate, !"bool", !"is_on", i32 7, i1 true}\n!9 = !{ptr @gate, !"bool", !"is_on"}\n' + rows
    )
    return llvm.parse_assembly(text).as_bitcode()


def test_what_a_kernel_says_of_itself():
    code = kernel_bitcode(
        "!2 = !{!4, !5}\n"
        '!4 = !{i32 0, !"air.function_constant", !9, !"air.buffer", !"air.location_index", i32 3, i32 1, !"air.read",'
        ' !"air.address_space", i32 2, !"air.struct_type_info", !6, !"air.arg_type_size", i32 24,'
        ' !"air.arg_type_align_size", i32 8, !"air.arg_type_name", !"some::P", !"air.arg_name", !"p"}\n'
        '!5 = !{i32 1, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"t"}\n'
        '!6 = !{i32 0, i32 4, i32 3, !"int", !"sizes", i32 16, i32 8, i32 0, !"long", !"step"}\n'
    )
    found = air.kernel(code)
    assert (found.name, found.thread_limit) == ("k", 96)
    assert found.constants == (air.CompiledConstant("is_on", "bool", 7, True, "gate"),)
    fields = (air.StructField("sizes", "int", 0, 4, 3), air.StructField("step", "long", 16, 8, 0))
    assert found.arguments == (
        air.CompiledArgument(0, "buffer", "p", "some::P", 3, "read", 2, 24, 8, "is_on", fields),
        air.CompiledArgument(1, "thread_position_in_grid", "t", "uint", *[None] * 6, ()),
    )


def test_metadata_that_says_nothing_is_refused():
    with pytest.raises(MetalError, match="not what Apple's compilers write"):
        air.kernel(kernel_bitcode("!2 = !{!4}\n!4 = !{i32 0}\n"))


def test_apples_own_library():
    from porter.upstream.providers.wheel import metallib_of

    path = metallib_of("v0.30.1")
    found = air.functions(path)
    assert len(found) == 14804
    gemm = next(f for f in found if f.name == "steel_gemm_fused_nt_float32_float32_bm64_bn32_bk8_wm4_wn1")
    kernel = air.kernel(air.bitcode(path, gemm))
    assert kernel.thread_limit == 4 * 1 * 32
    assert [argument.slot for argument in kernel.arguments[:8]] == list(range(8))
    assert [constant.index for constant in kernel.constants] == [10, 100, 110, 200, 201, 202]
