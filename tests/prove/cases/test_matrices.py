# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Stacks of matrices in memory, masks of blocks, and what else the generators of products share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from porter.prove.cases.masks import BOOLS, FACTORS, NONE, mask, masked, poisoned, spread
from porter.prove.cases.matrices import block_dims, eighths, stack, uniform
from porter.prove.cases.values import decode, encode


def read(one, place, *, transposed):
    """Element (batch..., row, column) of a stack, found as a kernel finds it: by strides and the leading dimension."""
    *batch, row, column = place
    outer, inner = (column, row) if transposed else (row, column)
    offset = sum(i * step for i, step in zip(batch, one.strides, strict=True)) + outer * one.leading + inner
    return one.stored.reshape(-1)[offset]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_a_stack_is_read_by_its_strides(dtype, transposed):
    one = stack(np.random.default_rng(1), (2, 1, 3), 4, 5, dtype, transposed=transposed, padding=2)
    for place in np.ndindex(*one.values.shape):
        found = decode(np.array([read(one, place, transposed=transposed)]), dtype)[0]
        assert found == one.values[place]
    assert one.leading == (4 if transposed else 5) + 2
    assert one.strides[1] == 0  # a dimension of one is repeated


def test_what_lies_between_rows_is_nan():
    one = stack(np.random.default_rng(1), (2,), 3, 4, "bfloat16", padding=1)
    stored = decode(one.stored, "bfloat16")
    assert np.isnan(stored[..., 4:]).all()
    assert not np.isnan(stored[..., :4]).any()


def test_special_values_stand_in_the_last_matrix():
    values = stack(np.random.default_rng(1), (2,), 3, 4, "float16", special=True).values
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).sum() == 1
    assert np.isinf(values[1]).sum() == 1
    assert np.isnan(values[1, 0, 3])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_eighths_have_exact_products_in_their_type_and_exact_sums_in_float32(dtype):
    a, b = (decode(eighths(np.random.default_rng(seed), (1024,), dtype), dtype) for seed in (1, 2))
    assert set(a * 8) == set(range(-8, 9))
    products = a * b
    np.testing.assert_array_equal(decode(encode(products, dtype), dtype), products)
    backwards = np.cumsum(products[::-1].astype(np.float32), dtype=np.float32)[-1]
    assert backwards == products.sum() == np.cumsum(products.astype(np.float32), dtype=np.float32)[-1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_uniform_numbers_are_within_one(dtype):
    values = decode(uniform(np.random.default_rng(1), (4000,), dtype), dtype)
    parts = np.concatenate([values.real, values.imag]) if dtype == "complex64" else values
    assert np.abs(parts).max() <= 1
    assert abs(parts.mean()) < 0.05
    assert 0.5 < parts.std() < 0.65  # 1 / sqrt(3)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [((1, 1, 1), (1, 1, 1)), ((37, 5, 1), (32, 4, 1)), ((4096, 4096, 1), (32, 32, 1)), ((3, 1, 9), (2, 1, 8))],
)
def test_block_dims(sizes, wanted):
    assert block_dims(sizes) == wanted
    assert math.prod(block_dims(sizes)) <= 1024


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("kind", [BOOLS, FACTORS])
def test_a_mask_is_read_by_its_strides(kind, by_columns):
    one = mask(np.random.default_rng(3), kind, (2,), 3, 4, "bfloat16", by_columns=by_columns)
    flat = decode(one.stored, "bool" if kind == BOOLS else "bfloat16").reshape(-1)
    for batch, row, column in np.ndindex(2, 3, 4):
        place = batch * one.batch_strides[0] + row * one.strides[0] + column * one.strides[1]
        assert flat[place] == one.factors[batch, row, column]
    assert (one.factors != 0).any()
    assert (one.factors == 0).any()


def test_an_absent_mask_means_one():
    one = mask(np.random.default_rng(3), NONE, (2, 1), 3, 4, "float32")
    assert one.stored.size == 1
    assert (one.factors == 1).all()


def test_blocks_spread_over_elements_and_are_cut():
    blocks = np.array([[1.0, 0.0], [0.5, -1.0]])
    np.testing.assert_array_equal(
        spread(blocks, (2, 3), 3, 5), [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0.5, 0.5, 0.5, -1, -1]]
    )


def test_what_a_mask_leaves_out_is_nan_in_memory_and_zero_in_the_result():
    factors = np.array([[1.0, 0.0], [0.0, 0.5]])
    numbers = poisoned(np.full((2, 2), 2, np.float16), factors, "float16")
    np.testing.assert_array_equal(np.isnan(numbers), factors == 0)
    np.testing.assert_array_equal(masked(decode(numbers, "float16"), factors), [[2, 0], [0, 1]])
