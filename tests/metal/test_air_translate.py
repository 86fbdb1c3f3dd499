# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Translating compiled kernels: what becomes of each thing that Apple's bitcode says, on modules of our own; and a
sample of every library that we know (all kernels of each: `tools/bench air_translate FILE`)."""

from __future__ import annotations

import re

import pytest

from porter.errors import MetalError
from porter.metal import air_operations
from porter.metal.air_constants import literal, settle
from porter.metal.air_matrices import narrow
from porter.metal.air_operations import Declaration
from porter.metal.air_text import plain
from porter.metal.air_threadgroup import localise, variables
from porter.metal.air_translate import translate

from .macos_wheels import LIBRARIES, MacosLibrary, opened

llvm = pytest.importorskip("llvmlite.binding")

STEP = 150

HEAD = """target datalayout = "e-p:64:64:64-i64:64:64-n8:16:32"
target triple = "air64_v27-apple-macosx15.0.0"
"""
META = """
!air.kernel = !{!0}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
"""  # noqa: E501


def bitcode(body: str, before: str = "", metadata: str = META) -> bytes:
    """A kernel `k(device float* %0, uint %1)` of our own."""
    kernel = f"define void @k(ptr addrspace(1) noundef %0, i32 noundef %1) {{\n{body}\n}}\n"
    return llvm.parse_assembly(HEAD + before + kernel + metadata).as_bitcode()


def translated(body: str, before: str = "", metadata: str = META, constants=None) -> str:
    unit = translate(bitcode(body, before, metadata), library="own.metallib", constants=constants)
    llvm.parse_assembly(unit.ir).verify()
    return unit.ir


def function(ir: str, name: str) -> str:
    found = re.search(rf"^define [^\n]*@{re.escape(name)}\(.*?^\}}", ir, re.M | re.S)
    assert found, f"{name} is not defined"
    return found.group()


# ---------------------------------------------------------------------------------------------------------------------
# Text


def test_nothing_is_fused_or_reassociated() -> None:
    ir = translated(
        "%a = load float, ptr addrspace(1) %0\n"
        "%b = fadd fast float %a, 1.0\n"
        "%c = fmul reassoc nnan contract float %b, %b\n"
        "%d = call float @llvm.fmuladd.f32(float %a, float %b, float %c)\n"
        "%e = fneg nsz float %d\n"
        "store float %e, ptr addrspace(1) %0\nret void",
        "declare float @llvm.fmuladd.f32(float, float, float)\n",
    )
    kernel = function(ir, "air.kernel")
    assert not re.search(r"\b(fast|reassoc|contract|nnan|nsz|fmuladd)\b", kernel)
    assert re.search(r"%product\.d = fmul float %a, %b\n  %d = fadd float %product\.d, %c\n", kernel)


def test_address_spaces_and_promises_about_memory_go() -> None:
    ir = translated(
        "%a = load float, ptr addrspace(1) %0, align 4, !tbaa !5, !noalias !8\n"
        "%p = addrspacecast ptr addrspace(1) %0 to ptr\n"
        "store float %a, ptr %p\nret void",
        metadata=META + '!5 = !{!6, !6, i64 0}\n!6 = !{!"float", !7}\n!7 = !{!"root"}\n!8 = !{!9}\n'
        '!9 = distinct !{!9, !10}\n!10 = distinct !{!10}\n',
    )  # fmt: skip
    assert "addrspace" not in ir
    assert "!" not in function(ir, "air.kernel")


def test_loops_keep_their_unrolling() -> None:
    ir = translated(
        "br label %loop\nloop:\n%i = phi i32 [ 0, %2 ], [ %n, %loop ]\n%n = add i32 %i, 1\n"
        "%c = icmp ult i32 %n, 4\nbr i1 %c, label %loop, label %end, !llvm.loop !5\nend:\nret void",
        metadata=META + '!5 = distinct !{!5, !6}\n!6 = !{!"llvm.loop.unroll.full"}\n',
    )
    assert "!llvm.loop !5" in ir
    assert '!6 = !{!"llvm.loop.unroll.full"}' in ir


def test_bfloat_arithmetic_is_the_shims() -> None:
    text = plain(
        "define bfloat @f(bfloat %a, float %b) {\n  %c = fadd bfloat %a, 0xR3F80\n  %d = fptrunc float %b to bfloat\n"
        "  %e = fneg bfloat %d\n  ret bfloat %e\n}\n"
    )
    assert "%c = call bfloat @msl.fadd.bf16(bfloat %a, bfloat 0xR3F80)" in text
    assert "%d = call bfloat @air.convert.f.bf16.f.f32(float %b)" in text
    with pytest.raises(MetalError, match="frem bfloat"):
        plain("define bfloat @f(bfloat %a) {\n  %c = frem bfloat %a, %a\n  ret bfloat %c\n}\n")


# ---------------------------------------------------------------------------------------------------------------------
# Matrices, threadgroup variables, constants


def test_matrices_become_two_elements() -> None:
    sixty = ", ".join(["i32 poison"] * 62)
    kept = ", ".join(f"i32 {64 + i}" for i in range(2, 64))
    text = narrow(
        f"  %a = shufflevector <2 x float> %x, <2 x float> poison, <64 x i32> <i32 0, i32 1, {sixty}>\n"
        f"  %b = shufflevector <64 x float> %a, <64 x float> %y, <64 x i32> <i32 64, i32 1, {kept}>\n"
        "  %c = shufflevector <64 x half> %h, <64 x half> poison, <2 x i32> <i32 1, i32 0>\n"
        "  %d = phi <64 x float> [ undef, %1 ], [ %b, %2 ]\n"
        "  %e = alloca [4 x <64 x float>], align 256\n"
    )
    assert text.splitlines() == [
        "  %a = shufflevector <2 x float> %x, <2 x float> poison, <2 x i32> <i32 0, i32 1>",
        "  %b = shufflevector <2 x float> %a, <2 x float> %y, <2 x i32> <i32 2, i32 1>",
        "  %c = shufflevector <2 x half> %h, <2 x half> poison, <2 x i32> <i32 1, i32 0>",
        "  %d = phi <2 x float> [ undef, %1 ], [ %b, %2 ]",
        "  %e = alloca [4 x [32 x <2 x float>]], align 256",
    ]


def test_an_element_that_no_lane_has() -> None:
    with pytest.raises(MetalError, match="element 2 of a lane"):
        narrow("  %a = extractelement <64 x float> %m, i64 2")
    with pytest.raises(MetalError, match="element 5 of a lane"):
        narrow("  %a = shufflevector <64 x float> %m, <64 x float> poison, <2 x i32> <i32 0, i32 5>")


def test_threadgroup_variables() -> None:
    before = "@v = internal unnamed_addr addrspace(3) global [8 x float] undef, align 4\n"
    ir = translated(
        "%a = load float, ptr addrspace(3) getelementptr inbounds ([8 x float], ptr addrspace(3) @v, i64 0, i64 3)\n"
        "store float %a, ptr addrspace(3) @v\nret void",
        before,
    )
    assert "@v = internal thread_local global [8 x float] undef, align 4" in ir
    kernel = function(ir, "air.kernel")
    assert kernel.count("@v") == kernel.count("call ptr @llvm.threadlocal.address.p0(ptr @v)") == 1
    # LLVM writes the constant expression with a byte offset; either way it is an instruction now.
    assert re.search(r"%threadgroup\.1 = getelementptr inbounds .*%threadgroup\.0", kernel)


def test_only_names_of_threadgroup_variables_are_replaced() -> None:
    text = "@v = internal addrspace(3) global i32 undef\n@v2 = internal addrspace(2) constant i32 1\n"
    assert variables(text) == ("v",)
    text = text.replace(" addrspace(3)", "").replace(" addrspace(2)", "")
    text += "define i32 @f() {\n  %a = load i32, ptr @v2\n  %b = load i32, ptr @v\n  ret i32 %a\n}\n"
    assert "load i32, ptr @v2" in localise(text, ("v",))


CONSTANTS = (
    "@c.MTL_FC_INIT_3_i = internal unnamed_addr addrspace(2) externally_initialized constant i32 undef, "
    'section "air.fc_initializer", align 4\n'
    "@twice = internal unnamed_addr addrspace(2) global i32 undef, align 4\n"
    "@given = internal addrspace(2) global i8 0, align 1\n"
    "@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] "
    "[{ i32, ptr, ptr } { i32 65535, ptr @_GLOBAL__sub_I_own.metal, ptr null }]\n"
    "declare i8 @air.normalize_function_constant_predicate.i8(i8)\n"
    'define internal void @_GLOBAL__sub_I_own.metal() section "air.static_init" {\n'
    "  %1 = load i32, ptr addrspace(2) @c.MTL_FC_INIT_3_i, align 4\n"
    "  %2 = mul nsw i32 %1, 2\n"
    "  store i32 %2, ptr addrspace(2) @twice, align 4\n"
    "  %3 = call i8 @air.normalize_function_constant_predicate.i8(i8 7)\n"
    "  store i8 %3, ptr addrspace(2) @given, align 1\n"
    "  ret void\n}\n"
)
CONSTANT_META = META + (
    '!air.function_constants = !{!5}\n!5 = !{ptr addrspace(2) @c.MTL_FC_INIT_3_i, !"int", !"c", i32 3, i1 true}\n'
)
READS = "%a = load i32, ptr addrspace(2) @twice\nstore i32 %a, ptr addrspace(1) %0\nret void"


@pytest.mark.parametrize("key", [3, "c"])
def test_function_constants_have_values(key: int | str) -> None:
    ir = translated(READS, CONSTANTS, CONSTANT_META, {key: -21})
    assert "@twice = internal unnamed_addr constant i32 -42, align 4" in ir
    assert "@given = internal unnamed_addr constant i8 1, align 1" in ir
    assert "_GLOBAL__" not in ir
    assert "llvm.global_ctors" not in ir


def test_a_function_constant_that_is_missing_or_too_big() -> None:
    with pytest.raises(MetalError, match=r"k needs a value for the constant c \(int, index 3\)"):
        translated(READS, CONSTANTS, CONSTANT_META)
    with pytest.raises(MetalError, match="no value for a constant of 32 bits"):
        translated(READS, CONSTANTS, CONSTANT_META, {"c": 2**40})


def test_initialisers_and_globals_that_are_not_known() -> None:
    with pytest.raises(MetalError, match="nothing says how"):
        settle("@c = internal externally_initialized constant i32 undef, align 4\n", {})
    with pytest.raises(MetalError, match=r"not known here: %1 = call i32 @f\(\)"):
        settle("define internal void @_GLOBAL__sub_I_x() {\n  %1 = call i32 @f()\n  ret void\n}\n", {})


def test_literals() -> None:
    assert (literal(True, "i8"), literal(200, "i8"), literal(-1, "i32")) == ("1", "-56", "-1")
    assert (literal(1.5, "float"), literal(1, "half")) == ("0x3FF8000000000000", "0xH3C00")


# ---------------------------------------------------------------------------------------------------------------------
# Operations


def test_an_operation_that_nobody_defines_is_named() -> None:
    with pytest.raises(MetalError, match=r"nothing defines air\.sample_texture_2d\.v4f32.*") as error:
        translated(
            "call void @air.sample_texture_2d.v4f32(ptr addrspace(1) %0)\nret void",
            "declare void @air.sample_texture_2d.v4f32(ptr addrspace(1))\n",
        )
    assert error.value.where == "own.metallib: k"


def test_an_operation_with_other_types_is_not_taken() -> None:
    declaration = Declaration("air.exp.f32", "double", ("double",))
    assert air_operations.define([declaration]).missing == ("air.exp.f32",)


def test_operations_on_vectors_are_made_of_scalar_ones() -> None:
    definitions = air_operations.define([Declaration("air.fma.v3f32", "<3 x float>", ("<3 x float>",) * 3)])
    assert not definitions.missing
    assert function(definitions.functions, "air.fma.v3f32").count("call float @air.fma.f32(") == 3


def test_lanes_exchange_short_vectors_at_one_meeting() -> None:
    wanted = Declaration("air.simd_shuffle.u.v2i32", "<2 x i32>", ("<2 x i32>", "i16"))
    definitions = air_operations.define([wanted])
    between = function(definitions.functions, wanted.symbol)
    assert between.count("call") == 1
    assert "bitcast <2 x i32> %a0 to i64" in between


def test_a_place_that_is_not_there_is_named() -> None:
    with pytest.raises(MetalError, match=r"argument i is \[\[render_target_array_index\]\]"):
        translated("ret void", metadata=META.replace("thread_position_in_grid", "render_target_array_index"))


def test_threadgroup_arguments_stand_behind_the_buffers() -> None:
    metadata = META.replace('"air.location_index", i32 0', '"air.location_index", i32 2').replace(
        '!"air.address_space", i32 1', '!"air.address_space", i32 3'
    )
    kernel = (
        "define void @k(ptr addrspace(3) noundef %0, i32 noundef %1) {\n"
        "  store i32 %1, ptr addrspace(3) %0\n  ret void\n}\n"
    )
    code = llvm.parse_assembly(HEAD + kernel + metadata).as_bitcode()
    unit = translate(code, library="own.metallib")
    assert "%argument.0.at = getelementptr inbounds ptr, ptr %buffers, i64 33\n" in unit.ir
    (argument,) = unit.kernels[0].arguments
    assert (argument.address_space, argument.slot) == ("threadgroup", 2)


@pytest.mark.parametrize("library", LIBRARIES, ids=str)
def test_a_sample_of_every_library(library: MacosLibrary) -> None:
    with opened(library) as found:
        for listed in found.functions[::STEP]:
            kernel = found.kernel(listed.name)
            values = dict.fromkeys((constant.index for constant in kernel.constants), 0)
            unit = translate(found.bitcode(listed), library="sample", constants=values)
            module = llvm.parse_assembly(unit.ir)
            module.verify()
            undefined = {f.name for f in module.functions if f.is_declaration and f.name.startswith(("air.", "__"))}
            assert not undefined, listed.name
