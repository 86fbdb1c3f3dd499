# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the functions are: numbers from elsewhere, and what is left open."""

from __future__ import annotations

import math

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.cases import reference
from porter.prove.cases.functions import results
from porter.prove.cases.values import encode

pytest.importorskip("mlx.core")
torch = pytest.importorskip("torch")


def one(op, *operands, dtype="float32", outputs=("float32",)):
    return results(op, [np.asarray(x) for x in operands], [dtype] * len(operands), outputs)


def test_eight_bit_floats_are_torchs():
    codes = np.arange(256, dtype=np.uint8)
    (found,) = one("FromFP8", codes, dtype="uint8")
    np.testing.assert_array_equal(found, torch.from_numpy(codes).view(torch.float8_e4m3fn).double().numpy())


def test_to_eight_bits_rounds_as_torch_and_limits():
    numbers = np.concatenate([np.linspace(-460, 460, 997), [2.0**-10, 3 * 2.0**-10, -0.0, 17.0, 19.0]]).astype(
        np.float32
    )
    (found,) = one("ToFP8", numbers)
    theirs = torch.from_numpy(numbers).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
    np.testing.assert_array_equal(found, theirs)
    (found,) = one("ToFP8", np.array([1e9, -1e9, math.inf, 470.0], np.float32))
    assert found.tolist() == [126, 254, 126, None]  # 448, and what lies between 464 and 480 is left open


def test_denormal_operands_are_left_open_where_flushing_matters():
    (found,) = one("Log", np.array([1e-40, 1.0], np.float32))
    assert found.tolist() == [None, 0.0]
    (found,) = one("Log", encode(np.array([1e-40, 1.0]), "bfloat16"), dtype="bfloat16", outputs=("bfloat16",))
    assert found.tolist() == [None, 0.0]
    (found,) = one("Log", np.array([6e-8, 1.0], np.float16), dtype="float16", outputs=("float16",))
    assert found.tolist()[0] == pytest.approx(math.log(2.0**-24))


def test_exponentials_minus_one_are_compared_near_zero_only():
    (found,) = one("Expm1", np.array([0.25, 1.0], np.float32))
    assert found.tolist() == [pytest.approx(math.expm1(0.25)), None]


@pytest.mark.parametrize(("op", "number", "is_left_open"), [
    ("Sqrt", 1 + 1j, False), ("Sqrt", 100 + 1e-3j, True), ("Exp", complex(math.inf, 0), True), ("ArcTan", 2j, True),
    ("ArcSin", 3 + 3j, True), ("ArcSin", 1 + 1j, False), ("Square", 1e20 + 0j, True), ("Log", 0j, True),
])  # fmt: skip
def test_complex_numbers(op, number, is_left_open):
    (found,) = one(op, np.array([number], np.complex64), dtype="complex64", outputs=("complex64",))
    assert bool(np.ma.getmaskarray(found)[0]) == is_left_open


def test_quotients_and_remainders():
    x, y = (np.array(values, np.int8) for values in ([7, -7, 7, -7, -128], [2, 2, -2, -2, -1]))
    quotient, rest = results("DivMod", [x, y], ["int8"] * 2, ["int8"] * 2)
    assert quotient.tolist() == [3, -3, -3, 3, -128]
    assert rest.tolist() == [1, 1, -1, -1, 0]
    x, y = (np.array(values, np.float32) for values in ([7.5, -7.5, 1.0], [2.0, 2.0, -math.inf]))
    quotient, rest = results("DivMod", [x, y], ["float32"] * 2, ["float32"] * 2)
    assert quotient.tolist() == [3.0, -3.0, -0.0]
    assert rest.tolist() == [1.5, 0.5, -math.inf]
    (rest,) = one("Remainder", np.array([5 - 3j], np.complex64), np.array([-2 + 2j], np.complex64), dtype="complex64")
    assert rest.tolist() == [-1 + 1j]


def test_powers_of_integers():
    base, exponent = np.array([3, -3, 2, 2], np.int8), np.array([5, 3, 7, -1], np.int8)
    (found,) = one("Power", base, exponent, dtype="int8", outputs=("int8",))
    assert found.tolist() == [243 - 256, -27, -128, 0]
    (found,) = one("Power", np.array([False, False]), np.array([False, True]), dtype="bool_", outputs=("bool_",))
    assert found.tolist() == [True, False]


def test_a_nan_equals_a_nan_part_by_part():
    left = np.array([complex(math.nan, 1), complex(math.nan, 1), 1], np.complex64)
    right = np.array([complex(math.nan, 1), complex(1, math.nan), 1], np.complex64)
    (found,) = one("NaNEqual", left, right, dtype="complex64", outputs=("bool_",))
    assert found.tolist() == [True, False, True]


def test_a_function_that_mlx_lacks_or_whose_dtype_differs_is_an_error():
    with pytest.raises(KeyError, match="NaNEqual"):
        reference.elementwise("NaNEqual", [], [], [])
    with pytest.raises(ProofError, match=r"MLX made mlx\.core\.int32 where the kernel makes float32"):
        reference.elementwise("Square", [np.array([1], np.int32)], ["int32"], ["float32"])
