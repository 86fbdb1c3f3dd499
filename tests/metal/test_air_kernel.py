# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel's metadata says, right and wrong."""

from __future__ import annotations

import pytest

from porter.errors import MetalError
from porter.metal import air
from porter.metal.air import CompiledArgument, CompiledConstant, StructField, ThreadgroupVariable
from porter.metal.air_metadata import Metadata, Reference

from .metallib_writer import bitcode, kernel_ir


def read(rows: str) -> air.CompiledKernel:
    return air.kernel(bitcode(kernel_ir(rows)))


def refused(rows: str) -> str:
    with pytest.raises(MetalError) as caught:
        read(rows)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Operands


def test_metadata_operands():
    metadata = Metadata(
        '!name = !{!0}\n!0 = distinct !{ptr addrspace(2) @"a b", i32 -3, i1 true, !"x\\22y", null, !1, '
        '[2 x i32] [i32 1, i32 2], <2 x i8> <i8 1, i8 2>, %"a,b" undef, !"", !"a, b]", ptr @f, i8 0, i1 false}\n'
        "!1 = !{}\n!other.name = !{!1, !0}\n!2 = !DILocation(line: 1)\n"
    )
    (row,) = metadata.named("name")
    assert row == [
        "@a b",
        -3,
        1,
        'x"y',
        None,
        Reference(1),
        "[2 x i32] [i32 1, i32 2]",
        "<2 x i8> <i8 1, i8 2>",
        '%"a,b" undef',
        "",
        "a, b]",
        "@f",
        0,
        0,
    ]
    assert metadata.node(row[5]) == []
    assert metadata.named("missing") == []
    assert metadata.named("other.name") == [[], row]
    assert metadata.names() == ("name", "other.name")
    with pytest.raises(KeyError):
        metadata.node(Reference(2))
    with pytest.raises(TypeError):
        metadata.node(1)


def test_escaped_strings_are_utf_8():
    (row,) = Metadata('!a = !{!0}\n!0 = !{!"\\C3\\A4\\5C", !"\\FF"}\n').named("a")
    assert row == ["ä\\", "\N{REPLACEMENT CHARACTER}"]


def test_a_number_that_goes_on_and_on():
    with pytest.raises(ValueError, match="5000 digits"):
        Metadata(f"!a = !{{!0}}\n!0 = !{{i20000 {'1' * 5000}}}\n").named("a")


# ---------------------------------------------------------------------------------------------------------------------
# Kernels


def test_what_a_kernel_says_of_itself():
    found = air.kernel(bitcode())
    fields = (StructField("sizes", "int", 0, 4, 3), StructField("step", "long", 16, 8, 0))
    assert found == air.CompiledKernel(
        "k",
        (
            CompiledArgument(0, "buffer", "x", "float", 0, "read_write", 1, 4, 4, None, ()),
            CompiledArgument(1, "buffer", "p", "some::P", 3, "read", 2, 24, 8, "is_on", fields, 1, 48, True),
            CompiledArgument(2, "buffer", "t", "half", 1, "read_write", 3, 2, 2, None, ()),
            CompiledArgument(3, "thread_position_in_grid", "id", "uint", *[None] * 6, ()),
        ),
        (CompiledConstant("is_on", "bool", 7, False, "gate"),),
        96,
        # a struct of 12 + 4 (padding) + 8 bytes
        (
            ThreadgroupVariable("shared", "[32 x float]", 128, 4),
            ThreadgroupVariable("pairs", "[3 x %struct.P]", 72, 16),
        ),
        ("air.simd_sum.f32",),
        (2, 7, 0),
        "Metal",
        (3, 2, 0),
        "a compiler",
        ("fast_math_disable",),
        (("air.max_work_group_size", (96,)),),
    )
    assert found.threadgroup_memory == 128 + 72  # 128 is a multiple of 16 already
    assert [argument.slot for argument in found.threadgroup_arguments] == [1]


def test_threadgroup_memory_counts_what_alignment_costs():
    variables = (ThreadgroupVariable("a", "i8", 1, 1), ThreadgroupVariable("b", "i64", 8, 8))
    assert air.CompiledKernel("k", (), (), None, variables).threadgroup_memory == 16


def test_a_kernel_that_says_little():
    found = read("!2 = !{}\n")
    assert (found.arguments, found.constants, found.thread_limit) == ((), (), None)
    assert (found.air_version, found.language, found.language_version, found.producer) == ((), "", (), "")
    assert (found.options, found.attributes, found.externals, found.threadgroup_memory) == ((), (), (), 0)


def test_nested_structs_and_argument_buffers():
    (argument,) = read(
        "!2 = !{!20}\n"
        '!20 = !{i32 0, !"air.indirect_buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space",'
        ' i32 1, !"air.struct_type_info", !21, !"air.arg_type_size", i32 272, !"air.arg_type_name", !"Lists"}\n'
        '!21 = !{i32 0, i32 4, i32 0, !"int", !"n", !"air.struct_type_info", !22, i32 8, i32 256, i32 0, !"List", !"a",'
        ' !"air.indirect_argument", i32 0, i32 264, i32 2, i32 4, !"half", !"tail"}\n'
        '!22 = !{i32 0, i32 8, i32 32, !"float", !"elements", !"air.indirect_argument", !23}\n'
        '!23 = !{i32 0, !"air.buffer", !"air.location_index", i32 5, i32 1, !"air.read_write", !"air.address_space",'
        ' i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"elements"}\n'
    ).arguments
    assert argument.kind == "indirect_buffer"
    pointee = CompiledArgument(0, "buffer", "elements", "float", 5, "read_write", 1, 4, None, None, ())
    elements = StructField("elements", "float", 0, 8, 32, (), pointee)
    assert argument.fields == (
        StructField("n", "int", 0, 4, 0),
        StructField("a", "List", 8, 256, 0, (elements,)),
        StructField("tail", "half", 264, 2, 4),
    )


def test_an_argument_that_is_no_buffer():
    (texture,) = read(
        "!2 = !{!20}\n"
        '!20 = !{i32 0, !"air.texture", !"air.location_index", i32 4, i32 2, !"air.sample", !"air.arg_type_name",'
        ' !"texture2d<float>", !"air.some_flag", !"air.arg_name", !"image"}\n'
    ).arguments
    assert (texture.kind, texture.slot, texture.slots, texture.access) == ("texture", 4, 2, "sample")
    assert (texture.name, texture.type) == ("image", "texture2d<float>")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        pytest.param("!2 = !{!20}\n!20 = !{i32 0}\n", "argument 0 has no kind", id="no kind"),
        pytest.param("!2 = !{!20}\n!20 = !{}\n", "not what Apple's compilers write", id="empty row"),
        pytest.param("!2 = !{i32 1}\n", "not a metadata node: 1", id="no row"),
        pytest.param("!2 = !{null}\n", "not a metadata node: None", id="null"),
        pytest.param("!2 = !{!20}\n!20 = !{i32 0, i32 1}\n", "1 stands where a word should", id="number"),
        pytest.param('!2 = !{!20}\n!20 = !{!"0", !"air.buffer"}\n', "'0' stands where a number should", id="word"),
        pytest.param(
            '!2 = !{!20}\n!20 = !{i32 0, !"air.buffer", !"air.location_index"}\n', "not what Apple's", id="cut off"
        ),
        pytest.param(
            '!2 = !{!20}\n!20 = !{i32 0, !"air.buffer", !"air.struct_type_info", !21}\n!21 = !{i32 0, i32 4}\n',
            "not what Apple's",
            id="half a field",
        ),
        pytest.param("!2 = !{}\n!air.version = !{!20}\n!20 = !{!2}\n", "where a number should", id="version"),
        pytest.param("!2 = !{}\n!air.function_constants = !{!20}\n!20 = !{i32 1}\n", "not what", id="constant"),
    ],
)
def test_metadata_that_says_nothing_is_refused(rows, what):
    assert what in refused(rows)


def test_structs_that_nest_without_end():
    rows = '!2 = !{!20}\n!20 = !{i32 0, !"air.buffer", !"air.struct_type_info", !21}\n'
    field = 'i32 0, i32 8, i32 0, !"S", !"s"'
    assert "nest without end" in refused(rows + f'!21 = distinct !{{!"air.struct_type_info", !21, {field}}}\n')
    pointer = f'!21 = distinct !{{{field}, !"air.indirect_argument", !20}}\n'
    assert "nest without end" in refused(rows + pointer)
    # Each of 31 levels holds the next twice: 2^31 fields from 31 nodes.
    levels = "".join(
        f'!{at} = !{{!"air.struct_type_info", !{at + 1}, {field}, !"air.struct_type_info", !{at + 1}, {field}}}\n'
        for at in range(21, 51)
    )
    assert "more than 16384 fields" in refused(rows + levels + f"!51 = !{{{field}}}\n")


def test_modules_that_hold_no_kernel():
    ir = "define void @f() {\n  ret void\n}\n"
    with pytest.raises(MetalError, match="holds 0 kernels"):
        air.kernel(bitcode(ir))
    with pytest.raises(MetalError, match="holds a fragment function and no kernel"):
        air.kernel(bitcode(ir + "!air.fragment = !{!0}\n!0 = !{ptr @f}\n"))
    with pytest.raises(MetalError, match="holds 2 kernels"):
        air.kernel(bitcode(ir + "!air.kernel = !{!0, !0}\n!0 = !{ptr @f}\n"))
