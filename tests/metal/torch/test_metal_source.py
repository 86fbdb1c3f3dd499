# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal source, compiled by porter.metal and run on tensors of the device."""

from __future__ import annotations

import pytest
import torch

import porter.metal.torch as mt
from porter.metal.torch.libraries import open_source

SOURCE = """
#include <metal_stdlib>
using namespace metal;

template <typename T>
[[kernel]] void axpy(device const T* x [[buffer(0)]], device T* y [[buffer(1)]], constant float& alpha [[buffer(2)]],
                     uint index [[thread_position_in_grid]]) {
  y[index] = T(alpha * float(x[index]) + float(y[index]));
}
template [[host_name("axpy_float")]] [[kernel]] decltype(axpy<float>) axpy<float>;
template [[host_name("axpy_half")]] [[kernel]] decltype(axpy<half>) axpy<half>;

[[kernel]] void group_sum(device const float* x [[buffer(0)]], device float* sums [[buffer(1)]],
                          uint index [[thread_position_in_grid]], uint group [[threadgroup_position_in_grid]],
                          uint lane [[thread_index_in_simdgroup]], uint simd [[simdgroup_index_in_threadgroup]],
                          uint simds [[simdgroups_per_threadgroup]]) {
  threadgroup float partial[32];
  const float sum = simd_sum(x[index]);
  if (lane == 0) {
    partial[simd] = sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (lane == 0 && simd == 0) {
    float total = 0;
    for (uint i = 0; i < simds; ++i) {
      total += partial[i];
    }
    sums[group] = total;
  }
}
"""


@pytest.fixture(autouse=True)
def real_compiler(ops):
    with mt.using(open_source):
        yield


@pytest.mark.parametrize(("name", "dtype"), [("axpy_float", torch.float32), ("axpy_half", torch.float16)])
def test_an_elementwise_kernel(ops, name, dtype) -> None:
    x, y = torch.arange(100, dtype=dtype), torch.ones(100, dtype=dtype)
    out = y.to("mps")
    ops.run_source(SOURCE, name, [x.to("mps"), out, torch.tensor(0.5)], 100, 32)
    assert torch.equal(out.cpu(), x * 0.5 + y)  # every value is a multiple of 1/2 below 64: exact in half


def test_barriers_and_simdgroups(ops) -> None:
    x = torch.arange(512.0)
    sums = torch.empty(4, device="mps")
    ops.run_source(SOURCE, "group_sum", [x.to("mps"), sums], 512, 128)
    assert torch.equal(sums.cpu(), x.view(4, 128).sum(1))  # integers below 2**24: exact in any order


def test_an_error_in_the_source(ops) -> None:
    with pytest.raises(SyntaxError, match="nonsense"):
        ops.compile("[[kernel]] void broken(device float* x [[buffer(0)]]) { x[0] = nonsense; }")
