# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The bounds hold for honest arithmetic in any order, and are tight enough to find small wrongs."""

import numpy as np
import pytest

from porter.prove.samples import decode, encode, from_bfloat16, make_case, to_bfloat16
from porter.prove.tolerance import FORMATS, g

REAL = ("float32", "float16", "bfloat16")


def float32_product(a: np.ndarray, b: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The product as a GPU might compute it: float32 terms, summed one by one in `order`."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for k in order:
        total = (total + np.outer(a[:, k].astype(np.float32), b[k].astype(np.float32))).astype(np.float32)
    return total


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("inner", [1, 17, 300])
def test_any_order_of_summation_is_within_the_bound(dtype: str, inner: int) -> None:
    case = make_case(inner, dtype, (13, 11, inner))
    for order in (np.arange(inner), np.arange(inner)[::-1], np.random.default_rng(0).permutation(inner)):
        result = decode(encode(float32_product(case.a, case.b, order), dtype), dtype)
        assert case.worst(result) <= 1.0


@pytest.mark.parametrize("dtype", [*REAL, "complex64"])
def test_a_product_with_one_term_missing_is_found(dtype: str) -> None:
    case = make_case(3, dtype, (16, 16, 64))
    wrong = case.a[:, :-1] @ case.b[:-1]
    assert case.worst(decode(encode(wrong, dtype), dtype)) > 1.0


@pytest.mark.parametrize("dtype", REAL)
def test_two_swapped_results_are_found(dtype: str) -> None:
    case = make_case(4, dtype, (16, 16, 64))
    wrong = case.exact.copy()
    wrong[[0, 1]] = wrong[[1, 0]]
    assert case.worst(decode(encode(wrong, dtype), dtype)) > 1.0


@pytest.mark.parametrize("dtype", REAL)
def test_two_units_in_the_last_place_are_found_where_one_rounding_is_allowed(dtype: str) -> None:
    case = make_case(5, dtype, (8, 8, 1))
    stored = FORMATS[dtype]
    assert case.worst(case.exact * (1 + 6 * stored.u)) > 1.0


def test_nan_is_not_within_any_bound() -> None:
    case = make_case(6, "float32", (2, 2, 2))
    result = case.exact.copy()
    result[0, 0] = np.nan
    assert case.worst(result) == np.inf


def test_g_is_highams_gamma() -> None:
    u = 2.0**-24
    assert g(1) == u / (1 - u)
    assert (1 + u) ** 100 - 1 <= g(100)


def test_bfloat16_rounds_to_nearest_even() -> None:
    one, step = np.float32(1), np.float32(2.0**-7)
    halfway = [one + step / 2, one + step * 3 / 2]  # ties: down to 1, up to 1 + 2 steps
    rounded = from_bfloat16(to_bfloat16(np.array(halfway, np.float32)))
    assert rounded.tolist() == [1.0, 1.0 + 2 * float(step)]


def test_every_bfloat16_survives_the_way_there_and_back() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    finite = bits[(bits & 0x7F80) != 0x7F80]
    assert np.array_equal(to_bfloat16(from_bfloat16(finite)), finite)
