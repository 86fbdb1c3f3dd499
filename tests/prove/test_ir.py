# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One digest exactly for what differs in names alone. The IR here is written by hand."""

from __future__ import annotations

import pytest

from porter.errors import ProofError
from porter.prove.ir import Module

BASE = """
%"struct.a::P" = type { i32, %"struct.a::Q" }
%"struct.a::Q" = type { float, i64 }
@_ZL4left = internal global [4 x float] zeroinitializer, align 4
@_ZL5right = internal global [4 x float] zeroinitializer, align 4
@_ZL5table = internal unnamed_addr constant [2 x i32] [i32 1, i32 2], align 4
@root = constant ptr @_Z4kernP, align 8

define weak_odr void @_Z4kernP(ptr noundef %0) #0 comdat {
  %2 = getelementptr inbounds %"struct.a::P", ptr %0, i32 0, i32 1
  call void @_Z4stepPf(ptr @_ZL4left)
  call void @_Z4stepPf(ptr @_ZL5right)
  %3 = load i32, ptr @_ZL5table, align 4
  call void @_ZN5metal7barrierEi(i32 %3)
  br label %4

4:                                                ; preds = %4, %1
  br label %4, !llvm.loop !3
}

define linkonce_odr void @_Z4stepPf(ptr noundef %0) #1 {
  store float 1.000000e+00, ptr %0, align 4
  ret void
}

declare void @_ZN5metal7barrierEi(i32)

attributes #0 = { nounwind "target-cpu"="x86-64" }
attributes #1 = { inlinehint }

!0 = !{!"llvm.loop.mustprogress"}
!1 = !{!"llvm.loop.unroll.full"}
!3 = distinct !{!3, !0, !1}
"""


def digest(text: str) -> str:
    module = Module(text)
    return module.digest(module.pointee("@root"))


RENAMED = (
    BASE.replace("_Z4stepPf", '"b::step(float*)"').replace("_Z4kernP", "_ZN1b4kernE").replace("a::", "b::other::")
    .replace("_ZL4left", "_ZZ1fE1l").replace("#0", "#9").replace("!3", "!17").replace("weak_odr ", "linkonce_odr ")
    .replace(' comdat {', ' comdat($x) align 2 {').replace(" align 2", "").replace("x86-64", "other")
    .replace("; preds = %4, %1", "; preds = %1, %4").replace("internal global", "linkonce_odr global")
)  # fmt: skip


def test_names_numbers_of_nodes_and_linkage_do_not_count():
    assert RENAMED != BASE
    assert digest(RENAMED) == digest(BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("store float 1.0", "store float 2.0", id="a callee's constant"),
        pytest.param(
            "call void @_Z4stepPf(ptr @_ZL5right)", "call void @_Z4stepPf(ptr @_ZL4left)", id="one variable for two"
        ),
        pytest.param("global [4 x float] zero", "global [8 x float] zero", id="a variable's size"),
        pytest.param("[i32 1, i32 2]", "[i32 2, i32 1]", id="a constant's content"),
        pytest.param("{ float, i64 }", "{ i64, float }", id="a type inside a type"),
        pytest.param("i32 0, i32 1\n", "i32 0, i32 0\n", id="a field"),
        pytest.param('!"llvm.loop.unroll.full"', '!"llvm.loop.unroll.disable"', id="a pragma"),
        pytest.param("!3 = distinct !{!3, !0, !1}", "!3 = distinct !{!3, !0}", id="a lost pragma"),
        pytest.param("nounwind", "nounwind memory(none)", id="an attribute"),
        pytest.param("_ZN5metal7barrierEi", "_ZN5metal8barrierrEi", id="the name of what is only declared"),
        pytest.param("  call void @_ZN5metal7barrierEi(i32 %3)\n", "", id="a call"),
    ],
)
def test_everything_else_counts(old, new):
    assert old in BASE
    assert digest(BASE.replace(old, new)) != digest(BASE)


SHARED = """
@a = internal global i32 0
@b = internal global i32 0
@root = constant ptr @kern
define void @kern() {
  call void @first()
  call void @second()
  ret void
}
define void @first() {
  store i32 1, ptr @a
  ret void
}
define void @second() {
  store i32 2, ptr @VARIABLE
  ret void
}
"""


def test_two_functions_on_one_variable_are_not_two_functions_on_two():
    one, two = SHARED.replace("VARIABLE", "a"), SHARED.replace("VARIABLE", "b")
    assert digest(one) != digest(two)
    assert digest(one) == digest(SHARED.replace("@a", "@x").replace("VARIABLE", "x"))


RING = """
@root = constant ptr @even
define i32 @even(i32 %0) {
  %2 = call i32 @odd(i32 %0)
  ret i32 %2
}
define i32 @odd(i32 %0) {
  %2 = call i32 @even(i32 %0)
  ret i32 %2
}
"""


def test_functions_that_call_each_other():
    assert digest(RING) == digest(RING.replace("odd", "uneven"))
    assert digest(RING) != digest(RING.replace("@even(i32 %0)\n", "@odd(i32 %0)\n", 1))
    module = Module(RING)
    assert "@ring1" in module.canonical("@even")


def test_the_optimisers_value_names_do_not_count():
    text = "@root = constant ptr @f\ndefine i32 @f(i32 %0) {\nentry:\n  br label %LOOP\n\nLOOP:\n  ret i32 %0\n}\n"
    assert digest(text) == digest(text.replace("LOOP", "loop.12"))
    assert digest(text) != digest(text.replace("br label %LOOP", "br label %entry"))


def test_symbols_in_strings_are_none():
    text = '@root = constant ptr @f\n@s = constant [3 x i8] c"@g\\00"\ndefine ptr @f() {\n  ret ptr @s\n}\n'
    assert Module(text).references("@f") == ("@s",)
    assert Module(text).references("@s") == ()


def test_output_that_is_cut_short_is_refused():
    with pytest.raises(ProofError, match="ends inside a function"):
        Module("define void @f() {\n  ret void\n")


def test_users_and_free_variables():
    module = Module(SHARED.replace("VARIABLE", "b"))
    assert module.free("@kern") == ("@a", "@b")
    assert module.users("@a") == {"@first"}
    assert not module.is_constant("@a")
    assert Module(BASE).is_constant("@_ZL5table")
