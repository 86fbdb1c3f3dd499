# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""LLVM IR as text: operands, sizes, places."""

from __future__ import annotations

import pytest

from porter.metal import ir_text
from porter.metal.ir_text import Frame, Locations, Types

LAYOUT = 'target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"\n'


def test_parts_between_commas():
    assert ir_text.split('<2 x float> <float 1.0, float 2.0>, ptr %"a,b", align 8') == [
        "<2 x float> <float 1.0, float 2.0>",
        'ptr %"a,b"',
        "align 8",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ptr %4", "%4"),
        ("ptr noundef align 16 dereferenceable(8) %x.addr", "%x.addr"),
        ('ptr @"a b" monotonic', '@"a b"'),
        ("ptr null", "null"),
        (
            "ptr getelementptr inbounds ([4 x float], ptr @t, i64 0, i64 2) seq_cst",
            "getelementptr inbounds ([4 x float], ptr @t, i64 0, i64 2)",
        ),
        ("getelementptr inbounds float, ptr %base, i64 %i", "%base"),
    ],
)
def test_pointer(text, expected):
    assert ir_text.pointer(text) == expected


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("i1", 1),
        ("i16", 2),
        ("bfloat", 2),
        ("double", 8),
        ("ptr", 8),
        ("<3 x float>", 12),  # the fourth lane's place is not touched
        ("<8 x i1>", 1),
        ("[5 x half]", 10),
        ("{ i8, i32 }", 8),
        ("<{ i8, i32 }>", 5),
        ('%"struct.a b"', 24),
    ],
)
def test_bytes_that_a_type_touches(kind, size):
    assert Types(LAYOUT + '%"struct.a b" = type { [3 x i32], i64 }\n').size(kind) == size


def test_a_type_of_unknown_size_is_refused():
    with pytest.raises(ValueError, match="x86_mmx"):
        Types(LAYOUT).size("x86_mmx")


def test_where_an_instruction_comes_from():
    text = """
!1 = !DIFile(filename: "source.metal", directory: "/somewhere")
!2 = !DIFile(filename: "msl/metal_math", directory: "/shim")
!3 = distinct !DISubprogram(name: "kernel", scope: !1, file: !1, line: 5, unit: !9)
!4 = distinct !DISubprogram(name: "fma", scope: !2, file: !2, line: 7, unit: !9)
!5 = !DILexicalBlock(scope: !3, file: !1, line: 6)
!6 = !DILocation(line: 8, column: 3, scope: !4, inlinedAt: !7)
!7 = distinct !DILocation(line: 9, column: 1, scope: !5)
"""
    assert Locations(text).frames("  %x = load i32, ptr %y, align 4, !dbg !6") == (
        Frame("/shim", "msl/metal_math", 8, 3, "fma"),
        Frame("/somewhere", "source.metal", 9, 1, "kernel"),
    )
    assert Locations(text).frames("  %x = load i32, ptr %y, align 4") == ()


def test_strings_of_a_module_hold_no_names():
    size, spelled = ir_text.c_string('a "@b" %1')
    assert (size, spelled) == (10, 'c"a \\22\\40b\\22 \\251\\00"')
