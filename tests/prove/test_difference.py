# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the optimiser may and may not make equal. The IR here is written by hand."""

from __future__ import annotations

from porter.prove.difference import Comparison, Pair, shown_difference, smallest
from porter.prove.ir import Module

KERNEL = """
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
@tile = internal global [4 x i32] zeroinitializer, align 4

define void @kern(ptr %0, i32 %1) {
  BODY
}

define internal i32 @helper(i32 %0, i32 %1) {
  HELPER
}

declare void @barrier()
"""

BODY = """%3 = call i32 @helper(i32 %1, i32 7)
  store i32 %3, ptr @tile, align 4
  call void @barrier()
  %4 = load i32, ptr @tile, align 4
  store i32 %4, ptr %0, align 4
  ret void"""

HELPER = """%3 = mul i32 %0, %0
  %4 = mul i32 %1, %1
  %5 = add i32 %3, %4
  ret i32 %5"""


def module(body: str = BODY, helper: str = HELPER) -> Module:
    return Module(KERNEL.replace("BODY", body).replace("HELPER", helper))


def verdict(port: Module):
    pair = Pair("@kern", "@kern")
    comparison = Comparison(module(), port)
    assert not comparison.same(pair)
    return comparison.verdicts({"kernel": pair})[0]


def test_a_commuted_addition_is_equal_after_o1_and_in_one_function():
    found = verdict(module(helper=HELPER.replace("%3, %4", "%4, %3")))
    assert (found.equal_after_o1, found.functions) == (True, ("@helper",))


def test_another_constant_differs_and_is_shown():
    found = verdict(module(body=BODY.replace("i32 7", "i32 8")))
    assert not found.equal_after_o1
    assert found.functions == ("@kern",)
    assert "i32 7)" in found.shown
    assert "i32 8)" in found.shown


def test_a_difference_across_functions_is_seen_whole():
    # The square is taken before the call on one side, and inside it on the other.
    body = BODY.replace(
        "%3 = call i32 @helper(i32 %1, i32 7)", "%sq = mul i32 %1, %1\n  %3 = call i32 @helper(i32 %sq, i32 7)"
    )
    helper = HELPER.replace("%3 = mul i32 %0, %0", "%3 = add i32 %0, 0")
    assert verdict(module(body, helper)).equal_after_o1


def test_memory_of_a_threadgroup_is_not_forwarded_across_a_barrier():
    # One thread's view: what it loads is what it stored. With other threads behind the barrier it need not be.
    body = BODY.replace("%4 = load i32, ptr @tile, align 4\n  store i32 %4", "store i32 %3")
    assert not verdict(module(body=body)).equal_after_o1


def test_a_dropped_barrier_differs():
    assert not verdict(module(body=BODY.replace("call void @barrier()\n  ", ""))).equal_after_o1


SHARED = """
@a = internal global i32 0
@b = internal global i32 0
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


def test_another_of_two_like_variables_differs():
    comparison = Comparison(Module(SHARED.replace("VARIABLE", "a")), Module(SHARED.replace("VARIABLE", "b")))
    (found,) = comparison.verdicts({"kernel": Pair("@kern", "@kern")})
    assert not found.equal_after_o1


def test_the_diff_does_not_follow_moved_numbers():
    mine = ["  %3 = add i32 %1, %2", "  %4 = mul i32 %3, %3", "  ret i32 %4"]
    theirs = ["  %3 = sub i32 0, 1", "  %4 = add i32 %1, %2", "  %5 = mul i32 %4, %4", "  ret i32 %5"]
    assert shown_difference(mine, theirs) == "+ %3 = sub i32 0, 1"
    assert shown_difference(["store i32 %1, ptr %2"], ["store i32 %2, ptr %2"]) == (
        "- store i32 %1, ptr %2\n+ store i32 %2, ptr %2"
    )
    assert shown_difference(mine, mine) == "the same text, but another of two like variables is meant"


def test_the_smallest_difference_leads():
    comparison = Comparison(module(), module(helper=HELPER.replace("mul i32 %1, %1", "mul i32 %1, 3")))
    (found,) = comparison.verdicts({"k": Pair("@kern", "@kern")})
    assert smallest([found]) is found
