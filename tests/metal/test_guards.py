# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels that would stop a processor, and no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from porter.metal.guards import guarded

DIVISIONS = """
template <class T> [[kernel]] void divide(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]],
    device T* quotient [[buffer(2)]], device T* remainder [[buffer(3)]], uint i [[thread_position_in_grid]]) {
  quotient[i] = a[i] / b[i];
  remainder[i] = a[i] % b[i];
}
#define each(T) template [[host_name("divide_" #T)]] [[kernel]] decltype(divide<T>) divide<T>;
each(char) each(uchar) each(short) each(ushort) each(int) each(uint) each(long) each(ulong)
"""
TYPES = {
    "char": np.int8, "uchar": np.uint8, "short": np.int16, "ushort": np.uint16,
    "int": np.int32, "uint": np.uint32, "long": np.int64, "ulong": np.uint64,
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_divisions_that_have_no_result(run, name):
    dtype = TYPES[name]
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    minus_one = -1 if least < 0 else most
    pairs = [
        (7, 2),
        (most, 0),
        (least, 0),
        (0, 0),
        (least, minus_one),
        (most, minus_one),
        (least, most),
        (5, minus_one),
    ]
    a, b = (np.array(column, dtype) for column in zip(*pairs, strict=True))
    quotient, remainder = np.zeros_like(a), np.zeros_like(a)
    run(DIVISIONS, f"divide_{name}", {0: a, 1: b, 2: quotient, 3: remainder}, (len(pairs),), (len(pairs),))
    for (dividend, divisor), q, r in zip(pairs, quotient.tolist(), remainder.tolist(), strict=True):
        if divisor == 0 or (least < 0 and (dividend, divisor) == (least, -1)):
            divisor = 1
        expected = int(abs(dividend) // abs(divisor)) * (-1 if (dividend < 0) != (divisor < 0) else 1)
        assert (q, r) == (expected, dividend - expected * divisor)


def test_vectors_that_are_not_aligned(run):
    source = (
        "kernel void widen(device const long4* in [[buffer(0)]], device float4* out [[buffer(1)]],\n"
        "                  uint i [[thread_position_in_grid]]) { out[i] = float4(in[i]) + out[i]; }\n"
    )
    for shift in (8, 16, 24):
        memory = np.zeros(64 + 8 * 32, np.uint8)
        start = (-memory.ctypes.data) % 32 + shift
        values = memory[start : start + 4 * 32].view(np.int64)
        values[:] = np.arange(16)
        storage = np.zeros(17, np.float32)
        out = storage[1:]
        run(source, "widen", {0: values, 1: out}, (4,), (4,))
        assert out.tolist() == list(range(16))


def test_of_vectors_and_of_constants():
    ir = (
        "define void @f(<4 x i32> %a, <4 x i32> %b, i64 %c) {\n"
        "  %q = sdiv <4 x i32> %a, %b, !dbg !3\n  %r = udiv i64 %c, 12\n  %s = urem i64 %c, 0\n"
        "  %t = alloca i64, align 16\n  %u = load i64, ptr %t, align 16\n}\n"
    )
    text = guarded(ir)
    assert "%msl.guard.q.least = icmp eq <4 x i32> %a, splat (i32 -2147483648)" in text
    assert "%q = sdiv <4 x i32> %a, %msl.guard.q.divisor, !dbg !3" in text
    assert "  %r = udiv i64 %c, 12\n" in text
    assert "%s = urem i64 %c, %msl.guard.s.divisor" in text
    assert "alloca i64, align 16\n  %u = load i64, ptr %t, align 4\n" in text
