# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""When two results are the same."""

from __future__ import annotations

import numpy as np
import pytest

from porter.prove.agreement import compare_bits, compare_values, tolerance_for
from porter.prove.launch import Output
from porter.spec import Tolerance


def memory(values, dtype):
    return np.array(values, dtype).view(np.uint8)


F32 = Output(0, "float32")
NAN = memory([0x7FC00000], np.uint32)
OTHER_NAN = memory([0xFF800001], np.uint32)


def test_a_nan_equals_a_nan_and_nothing_else():
    assert compare_bits(NAN, OTHER_NAN, F32) is None
    assert compare_bits(NAN, memory([np.inf], np.float32), F32) is not None
    assert compare_bits(memory([0x7FC0], np.uint16), memory([0xFF81], np.uint16), Output(0, "bfloat16")) is None
    assert compare_bits(memory([0x7FC0], np.uint16), memory([0xFF81], np.uint16), Output(0, "uint16")) is not None


def test_zeros_of_two_signs_are_two_results():
    difference = compare_bits(memory([1, 0.0, 2], np.float32), memory([1, -0.0, 2], np.float32), F32)
    assert str(difference) == "1 of 3 elements; first [1]: 0.0, not -0.0"


def test_parts_of_complex_numbers():
    one = np.array([1 + 2j, complex(np.nan, 1)], np.complex64).view(np.uint8)
    other = np.array([1 + 2j, complex(-np.nan, 1)], np.complex64).view(np.uint8)
    assert compare_bits(one, other, Output(0, "complex64")) is None
    third = np.array([1 + 2j, complex(np.nan, 2)], np.complex64).view(np.uint8)
    assert compare_bits(one, third, Output(0, "complex64")) is not None


LOOSE = Tolerance(("float32", "float16"), 1e-3, 1e-6, "a test")


@pytest.mark.parametrize(
    ("got", "wanted", "right"),
    [
        (1.0005, 1.0, True),
        (1.002, 1.0, False),
        (0.0, 9e-7, True),
        (np.nan, np.nan, True),
        (np.nan, 1.0, False),
        (1.0, np.nan, False),
        (np.inf, np.inf, True),
        (-np.inf, np.inf, False),
        (np.inf, 1e30, False),
        (np.inf, 1e39, True),
        (-np.inf, 1e39, False),
    ],
)
def test_numbers_within_a_tolerance(got, wanted, right):
    compared = compare_values(memory([got], np.float32), np.array([wanted]), F32, LOOSE)
    assert (compared.difference is None) == right
    assert (compared.worst <= 1) == right


def test_without_a_tolerance_numbers_are_equal_or_wrong():
    assert compare_values(memory([0.0], np.float32), np.array([-0.0]), F32, None).difference is None
    assert compare_values(memory([1.0], np.float32), np.array([1.0 + 1e-12]), F32, None).difference is not None
    assert compare_values(memory([3], np.int64), np.array([3]), Output(0, "int64"), None).difference is None


def test_what_is_masked_is_not_compared():
    wanted = np.ma.masked_array([5.0, 1.0], [True, False])
    assert compare_values(memory([7, 1], np.float32), wanted, F32, None).difference is None


def test_the_tolerance_that_names_the_kernel_goes_first():
    named = Tolerance(("float32",), 1.0, 0.0, "a test", ("special",))
    assert tolerance_for([LOOSE, named], "special", "float32") is named
    assert tolerance_for([LOOSE, named], "other", "float32") is LOOSE
    assert tolerance_for([LOOSE, named], "other", "int32") is None


def test_an_infinite_part_allows_the_other_one_nothing_more():
    wanted = np.array([complex(np.inf, 1.0)])
    wrong, right = (memory([complex(np.inf, part)], np.complex64) for part in (np.inf, 1.0))
    output = Output(0, "complex64")
    loose = Tolerance(("complex64",), 0.25, 0.0, "A quarter, so that only what is not bounded at all is wrong here.")
    assert compare_values(right, wanted, output, loose).difference is None
    assert compare_values(wrong, wanted, output, loose).difference is not None
