# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Atomics: every operation on every type that has it, from many threadgroups on several cores, and fences."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from porter.errors import MetalError

TYPES = {"int": np.int32, "uint": np.uint32, "ulong": np.uint64, "float": np.float32, "bool": np.bool_}

# The function's name, what it does, and the types that have it (specification, section 6.15.4).
FETCHES = [
    ("add", operator.add, ("int", "uint", "ulong", "float")),
    ("sub", operator.sub, ("int", "uint", "ulong", "float")),
    ("and", operator.and_, ("int", "uint", "ulong", "bool")),
    ("or", operator.or_, ("int", "uint", "ulong", "bool")),
    ("xor", operator.xor, ("int", "uint", "ulong", "bool")),
    ("min", min, ("int", "uint", "ulong")),
    ("max", max, ("int", "uint", "ulong")),
]


def fetch_kernel(name, kind):
    return (
        f"kernel void fetch(device const {kind}* in, device atomic<{kind}>* all, device {kind}* before,\n"
        "    uint i [[thread_position_in_grid]]) {\n"
        f"  before[i] = atomic_fetch_{name}_explicit(all, in[i], memory_order_relaxed);\n}}\n"
    )


@pytest.mark.parametrize(("name", "combine", "kinds"), FETCHES, ids=[row[0] for row in FETCHES])
def test_fetch_and_modify(run, name, combine, kinds):
    """All 20,000 threads of 79 threadgroups have a part in the one value, and each gets a value that was there."""
    rng = np.random.default_rng(len(name))
    for kind in kinds:
        # Floats are whole numbers whose sums stay below 2**24, so that no order of them rounds.
        low = -40 if kind in ("int", "float") else 0
        x = rng.integers(low, 2 if kind == "bool" else 41, 20_000).astype(TYPES[kind])
        start = TYPES[kind](1 if kind == "bool" else 0 if name in ("add", "or", "xor", "max") else 255)
        total, before = np.array([start]), np.zeros(20_000, TYPES[kind])
        run(fetch_kernel(name, kind), "fetch", {0: x, 1: total, 2: before}, (20_000,), (256,))
        with np.errstate(over="ignore"):
            expected = functools.reduce(combine, x, start)
        assert total[0] == TYPES[kind](expected), kind
        assert start in before
        if name in ("min", "max"):
            assert {int(value) for value in before} <= {int(start), *map(int, x)}


SCALARS = """
template <typename T> kernel void scalars(device atomic<T>* x, device T* out, device const T* in) {
  out[0] = atomic_load_explicit(x, memory_order_relaxed);
  atomic_store_explicit(x, in[0], memory_order_relaxed);
  out[1] = atomic_exchange_explicit(x, in[1], memory_order_relaxed);
  T expected = in[0];
  bool done = atomic_compare_exchange_weak_explicit(x, &expected, in[2], memory_order_relaxed, memory_order_relaxed);
  out[2] = done; out[3] = expected;
  while (!atomic_compare_exchange_weak_explicit(x, &expected, in[2], memory_order_relaxed, memory_order_relaxed)) {}
  out[4] = expected;
  out[5] = atomic_load_explicit(x, memory_order_relaxed);
}
"""


@pytest.mark.parametrize("kind", list(TYPES))
def test_load_store_exchange_and_compare(run, kind):
    source = SCALARS + f'template [[host_name("k")]] [[kernel]] decltype(scalars<{kind}>) scalars<{kind}>;\n'
    x, out = np.array([1], TYPES[kind]), np.zeros(6, TYPES[kind])
    given = np.array([0, 1, 0] if kind == "bool" else [5, 6, 7], TYPES[kind])
    run(source, "k", {0: x, 1: out, 2: given}, (1,), (1,))
    # It held in[1], not in[0]: the first exchange failed, and said what was there.
    assert out.tolist() == [1, given[0], 0, given[1], given[1], given[2]]
    assert x[0] == given[2]


NAN = """
kernel void nan_exchange(device atomic_float* x, device uint* out) {
  float expected = atomic_load_explicit(x, memory_order_relaxed);
  const memory_order order = memory_order_relaxed;
  for (int i = 0; i < 4; i++)
    if (atomic_compare_exchange_weak_explicit(x, &expected, 3.0f, order, order)) out[0] = 1;
}
"""


def test_a_comparison_looks_at_bits(run):
    x, out = np.array([np.nan], np.float32), np.zeros(1, np.uint32)
    run(NAN, "nan_exchange", {0: x, 1: out}, (1,), (1,))
    assert out[0] == 1
    assert x[0] == 3


MODIFY = """
kernel void modify(device atomic_ulong* x, device const ulong* in, uint i [[thread_position_in_grid]]) {
  atomic_max_explicit(x, in[i], memory_order_relaxed);
  atomic_min_explicit(x + 1, in[i], memory_order_relaxed);
}
"""


def test_minimum_and_maximum_of_64_bits(run):
    values = np.random.default_rng(3).integers(0, 2**64, 5000, dtype=np.uint64)
    x = np.array([0, 2**64 - 1], np.uint64)
    run(MODIFY, "modify", {0: x, 1: values}, (5000,), (128,))
    assert x.tolist() == [values.max(), values.min()]


WRAP = """
kernel void wrap(device atomic_int* x) {
  atomic_fetch_add_explicit(x, 2, memory_order_relaxed);
  atomic_fetch_sub_explicit(x + 1, 2, memory_order_relaxed);
}
"""


def test_integers_wrap_around(run):
    x = np.array([2**31 - 1, -(2**31)], np.int32)
    run(WRAP, "wrap", {0: x}, (1,), (1,))
    assert x.tolist() == [-(2**31) + 1, 2**31 - 2]


THREADGROUP = """
kernel void in_threadgroup(device uint* out, uint i [[thread_index_in_threadgroup]],
                           uint g [[threadgroup_position_in_grid]]) {
  threadgroup atomic_uint count;
  threadgroup atomic<float> sum;
  if (i == 0) {
    atomic_store_explicit(&count, 0u, memory_order_relaxed);
    atomic_store_explicit(&sum, 0.0f, memory_order_relaxed);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&count, i, memory_order_relaxed);
  atomic_fetch_add_explicit(&sum, 2.0f, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
  if (i == 0) {
    out[2 * g] = atomic_load_explicit(&count, memory_order_relaxed);
    out[2 * g + 1] = uint(atomic_load_explicit(&sum, memory_order_relaxed));
  }
}
"""


def test_atomics_in_threadgroup_memory(run):
    out = np.zeros(10, np.uint32)
    run(THREADGROUP, "in_threadgroup", {0: out}, (5 * 96,), (96,))
    assert out.tolist() == [95 * 96 // 2, 192] * 5


LAST = """
kernel void last_one(device uint* values, device atomic_uint* arrived, device uint* out,
                     uint g [[threadgroup_position_in_grid]], uint n [[threadgroups_per_grid]],
                     uint i [[thread_index_in_threadgroup]]) {
  threadgroup bool is_last;
  if (i == 0) {
    values[g] = g + 1;
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
    is_last = atomic_fetch_add_explicit(arrived, 1u, memory_order_relaxed) == n - 1;
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (is_last && i == 0)
    for (uint k = 0; k < n; k++) out[0] += values[k];
}
"""


def test_a_fence_shows_what_was_written_before_it(run):
    """The threadgroup that arrives last, on whichever core, sums what all others wrote."""
    for _ in range(20):
        values, arrived, out = np.zeros(500, np.uint32), np.zeros(1, np.uint32), np.zeros(1, np.uint32)
        run(LAST, "last_one", {0: values, 1: arrived, 2: out}, (500 * 32,), (32,))
        assert out[0] == 500 * 501 // 2


@pytest.mark.parametrize(
    ("declaration", "statement", "message"),
    [
        ("device atomic<half>* x", "x[0].value = 0;", "atomic is of int, uint, bool, ulong or float"),
        (
            "device atomic_float* x",
            "atomic_fetch_max_explicit(x, 1.0f, memory_order_relaxed);",
            "atomic_fetch_max_explicit takes int, uint or ulong",
        ),
        (
            "device atomic_bool* x",
            "atomic_fetch_add_explicit(x, true, memory_order_relaxed);",
            "atomic_fetch_add_explicit takes int, uint, ulong or float",
        ),
        (
            "device atomic_uint* x",
            "atomic_max_explicit(x, 1u, memory_order_relaxed);",
            "atomic_max_explicit takes ulong",
        ),
    ],
)
def test_what_a_type_does_not_have_is_named(run, declaration, statement, message):
    source = f"kernel void wrong({declaration}) {{ {statement} }}\n"
    with pytest.raises(MetalError, match=message):
        run(source, "wrong", {0: np.zeros(4, np.uint32)}, (1,), (1,))
