# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""matmul2d of Metal 4 by one simdgroup, with operands that the lanes hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from porter.errors import MetalError

HEADER = "#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>\n"

# Each lane's share of its operands lies in memory as it holds it, so that the layout is the test's own.
PRODUCT = """
template <typename A, typename B, typename C, int M, int N, int K, bool left, bool right, bool accumulate>
kernel void product(device const A* a, device const B* b, device C* c, uint lane [[thread_index_in_simdgroup]]) {
  using mpp::tensor_ops::matmul2d_descriptor;
  constexpr auto descriptor = matmul2d_descriptor(
      M, N, K, left, right, true,
      accumulate ? matmul2d_descriptor::mode::multiply_accumulate : matmul2d_descriptor::mode::multiply);
  mpp::tensor_ops::matmul2d<descriptor, execution_simdgroup> operation;
  auto held_a = operation.template get_left_input_cooperative_tensor<A, B, C>();
  auto held_b = operation.template get_right_input_cooperative_tensor<A, B, C>();
  auto held_c = operation.template get_destination_cooperative_tensor<decltype(held_a), decltype(held_b), C>();
  for (int i = 0; i < held_a.get_capacity(); i++) held_a[i] = a[lane * held_a.get_capacity() + i];
  for (int i = 0; i < held_b.get_capacity(); i++) held_b[i] = b[lane * held_b.get_capacity() + i];
  for (int i = 0; i < held_c.get_capacity(); i++) held_c[i] = c[lane * held_c.get_capacity() + i];
  operation.run(held_a, held_b, held_c);
  for (int i = 0; i < held_c.get_capacity(); i++) c[lane * held_c.get_capacity() + i] = held_c[i];
}
"""
TYPES = ("float", "half", "bfloat")


def instantiated(*arguments):
    written = ", ".join(str(one).lower() for one in arguments)
    return (
        HEADER + PRODUCT + f'template [[host_name("k")]] [[kernel]] decltype(product<{written}>) product<{written}>;\n'
    )


def shares(matrix, transposed):
    """[32, elements of a lane] of a matrix: 16 x 16 fragments row by row, of which a lane has 2 rows of 4 elements."""
    rows, columns = matrix.shape
    held = []
    for row, column in itertools.product(range(0, rows, 16), range(0, columns, 16)):
        fragment = matrix[row : row + 16, column : column + 16]
        fragment = fragment.T if transposed else fragment
        # In bits of the lane: 4, 2 and 1 are the row, 3 and 0 the columns; the second four stand eight rows below.
        tiles = fragment.reshape(
            2, 2, 4, 2, 2, 4
        )  # eight rows, row bit 4, row bits 2 and 1, column bits 3 and 0, element
        held.append(tiles.transpose(1, 3, 2, 4, 0, 5).reshape(32, 8))
    return np.concatenate(held, 1)


def gathered(held, rows, columns):
    places = shares(np.arange(rows * columns).reshape(rows, columns), False)
    matrix = np.empty(rows * columns, held.dtype)
    matrix[places] = held
    return matrix.reshape(rows, columns)


def rounded(kind, values):
    """float32 values that `kind` can hold."""
    values = np.asarray(values, np.float32)
    if kind == "half":
        return values.astype(np.float16).astype(np.float32)
    if kind == "bfloat":
        bits = values.view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return values


def stored(kind, values):
    if kind == "half":
        return np.ascontiguousarray(values.astype(np.float16))
    if kind == "bfloat":
        return np.ascontiguousarray((np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16))
    return np.ascontiguousarray(values)


def loaded(kind, values):
    return (values.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat" else values.astype(np.float32)


def multiplied(run, kinds, size, left, right, accumulate, operands):
    a, b, c = operands
    buffers = {
        0: stored(kinds[0], shares(a, left)),
        1: stored(kinds[1], shares(b, right)),
        2: stored(kinds[2], shares(c, False)),
    }
    run(instantiated(*kinds, *size, left, right, accumulate), "k", buffers, (32,), (32,))
    return gathered(loaded(kinds[2], buffers[2]), size[0], size[1])


@pytest.mark.parametrize("kinds", list(itertools.product(TYPES, TYPES, TYPES)), ids="_".join)
def test_every_combination_of_types(run, kinds):
    """Each element is a chain of fused steps in float, rounded once. Operands have so few bits (five) that a product is
    exact in float and a sum of double precision is exact: the chain's steps are rounded to float one by one."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-16, 17, (16, 16)) / 8, rng.integers(-16, 17, (16, 32)) / 8
    c = rounded(kinds[2], rng.standard_normal((16, 32)))
    result = multiplied(run, kinds, (16, 32, 16), False, False, True, (a.astype(np.float32), b.astype(np.float32), c))
    chain = c.astype(np.float32)
    for k in range(16):
        chain = (chain.astype(np.float64) + np.outer(a[:, k], b[k])).astype(np.float32)
    np.testing.assert_array_equal(result, rounded(kinds[2], chain))


@pytest.mark.parametrize(("left", "right"), list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize("size", [(16, 32, 16), (32, 32, 32), (64, 16, 48)])
@pytest.mark.parametrize("accumulate", [False, True])
def test_sizes_and_transpositions(run, size, left, right, accumulate):
    """Small whole numbers, of which float holds every sum."""
    m, n, k = size
    rng = np.random.default_rng(sum(size))
    a, b, c = (rng.integers(-8, 9, shape).astype(np.float32) for shape in ((m, k), (k, n), (m, n)))
    result = multiplied(run, ("float",) * 3, size, left, right, accumulate, (a, b, c))
    np.testing.assert_array_equal(result, a @ b + (c if accumulate else 0))


def test_all_32_lanes_must_arrive(run):
    source = instantiated("float", "float", "float", 16, 16, 16, False, False, True)
    buffers = {slot: np.zeros(256, np.float32) for slot in range(3)}
    with pytest.raises(MetalError, match="fewer than the 32 threads"):
        run(source, "k", buffers, (31,), (32,))
    run(source, "k", buffers, (64,), (32,))


USES = """
kernel void use(device float* x) {
  constexpr auto descriptor = mpp::tensor_ops::matmul2d_descriptor(16, %d, 16);
  mpp::tensor_ops::matmul2d<descriptor, %s> operation;
  auto a = operation.get_left_input_cooperative_tensor<%s, float, float>();
  auto b = operation.get_right_input_cooperative_tensor<float, float, float>();
  auto c = operation.get_destination_cooperative_tensor<decltype(a), decltype(b), float>();
  %s;
}
"""


@pytest.mark.parametrize(
    ("columns", "scope", "kind", "statement", "message"),
    [
        (
            16,
            "execution_simdgroups<4>",
            "float",
            "operation.run(a, b, c)",
            "its scope must be metal::execution_simdgroup",
        ),
        (16, "execution_thread", "float", "operation.run(a, b, c)", "its scope must be metal::execution_simdgroup"),
        (24, "execution_simdgroup", "float", "operation.run(a, b, c)", "sizes that are multiples of 16"),
        (16, "execution_simdgroup", "char", "operation.run(a, b, c)", "cooperative tensors of float, half or bfloat"),
        (16, "execution_simdgroup", "float", "operation.run(x, b, c)", "tensors in memory are not supported"),
        (32, "execution_simdgroup", "float", "operation.run(a, a, c)", "the cooperative tensors of its own descriptor"),
        (16, "execution_simdgroup", "float", "a.store(x)", "no member named 'store'"),
        (16, "execution_simdgroup", "float", "mpp::tensor_ops::reduce_rows(c)", "named 'reduce_rows' in namespace"),
    ],
)
def test_anything_else_is_named(run, columns, scope, kind, statement, message):
    with pytest.raises(MetalError, match=message):
        run(HEADER + USES % (columns, scope, kind, statement), "use", {0: np.zeros(1, np.float32)}, (32,), (32,))


def test_another_header_of_the_framework_is_named(run):
    source = (
        "#include <MetalPerformancePrimitives/MPPTensorOpsConvolution2d.h>\nkernel void k(device int* x) { x[0] = 1; }"
    )
    with pytest.raises(MetalError, match=r"MPPTensorOpsConvolution2d\.h"):
        run(source, "k", {0: np.zeros(1, np.int32)}, (1,), (1,))
