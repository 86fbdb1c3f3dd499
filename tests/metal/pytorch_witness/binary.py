# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of two and three operands, with and without a parameter. Units in the last place: see `unary`."""

from __future__ import annotations

import numpy
import torch

from .elementwise import Operation, case
from .unary import COMPOSED, floating, special

aten = torch.ops.aten


def doubles(function):  # type: ignore[no-untyped-def]
    return lambda a, b: function(a.double(), b.double())


def polynomial(name: str) -> Operation:
    """Recurrences of a degree up to five: the terms are up to some ten times the result."""
    return Operation(
        doubles(getattr(special, name)), ((0.05, 0.95), (0.0, 5.0)), ulps=COMPOSED, low_ulps=128, scale=512,
        integers=(0, 5),
    )  # fmt: skip


def divide(mode: str) -> Operation:
    return Operation(
        lambda a, b: torch.div(a, b, rounding_mode=mode), ((-9.0, 9.0), (0.6, 3.0)), integers=(1, 9), low_ulps=0
    )


def _nextafter(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """In the operands' own type; for half, which torch does not do on the CPU, by numpy. PyTorch's kernel takes the
    neighbour of a bfloat as a float and rounds that to bfloat (docs/pytorch-witness.md)."""
    if a.dtype == torch.bfloat16:
        return torch.nextafter(a.float(), b.float()).to(torch.bfloat16)
    if a.dtype == torch.float16:
        return torch.from_numpy(numpy.nextafter(a.numpy(), b.numpy()))
    return torch.nextafter(a, b)


COMPARISONS = {
    name: Operation(getattr(torch, name), ((-2.0, 2.0),), integers=(-1, 1))
    for name in ("eq", "ne", "ge", "gt", "le", "lt")
}
INTEGERS = {
    "bitwise_and": Operation(torch.bitwise_and, ((-99, 99),)),
    "bitwise_or": Operation(torch.bitwise_or, ((-99, 99),)),
    "bitwise_xor": Operation(torch.bitwise_xor, ((-99, 99),)),
    "bitwise_left_shift": Operation(torch.bitwise_left_shift, ((-99, 99), (0, 6))),
    "bitwise_right_shift": Operation(torch.bitwise_right_shift, ((-99, 99), (0, 6))),
    "gcd": Operation(torch.gcd, ((0, 99),)),
    "lcm": Operation(torch.lcm, ((1, 11),)),
}
ARITHMETIC = {
    "add": Operation(torch.add),
    "sub": Operation(torch.sub),
    "mul": Operation(torch.mul, ulps=4),
    "div_true": Operation(
        lambda a, b: a / b if a.is_complex() else a.double() / b, ((-2, 2), (0.5, 2)), ulps=8, low_ulps=8,
        integers=(1, 9),
    ),
    "div_floor": divide("floor"),
    "div_trunc": divide("trunc"),
    "fmod": Operation(torch.fmod, ((-9, 9), (0.6, 3)), ulps=0, low_ulps=0, integers=(1, 9)),
    # a less b times a whole number, both of the size of a, each rounded.
    "remainder": Operation(torch.remainder, ((-9, 9), (0.6, 3)), ulps=1, low_ulps=1, scale=9, integers=(1, 9)),
    "maximum": Operation(torch.maximum),
    "minimum": Operation(torch.minimum),
    "fmax": Operation(torch.fmax),
    "fmin": Operation(torch.fmin),
    "copysign": Operation(doubles(torch.copysign)),
    "atan2": Operation(doubles(torch.atan2), ((-2, 2), (0.2, 2)), ulps=6, low_ulps=2, integers=(1, 9)),
    "hypot": Operation(torch.hypot, ulps=8, low_ulps=4),
    "igamma": Operation(torch.igamma, ((0.3, 6.0),), ulps=4 * COMPOSED, low_ulps=4, scale=64),
    "igammac": Operation(torch.igammac, ((0.3, 6.0),), ulps=4 * COMPOSED, low_ulps=4, scale=64),
    "logaddexp": Operation(
        floating(lambda a, b: torch.log(torch.exp(a) + torch.exp(b))), ulps=16, low_ulps=4, scale=16
    ),
    "logaddexp2": Operation(doubles(torch.logaddexp2), ulps=16, low_ulps=4, scale=16),
    "make_complex": Operation(torch.complex),
    "nextafter": Operation(
        _nextafter, low_ulps=0, as_is=frozenset({torch.float32, torch.float16, torch.bfloat16})
    ),
    "polar": Operation(torch.polar, ulps=8, low_ulps=4),
    "xlogy": Operation(doubles(special.xlogy), ((-2, 2), (0.2, 6)), ulps=8, low_ulps=4, scale=8, integers=(1, 9)),
    "xlog1py": Operation(doubles(special.xlog1py), ((-2, 2), (-0.7, 6)), ulps=8, low_ulps=4, scale=8, integers=(1, 9)),
    "zeta": Operation(doubles(special.zeta), ((1.5, 6), (0.5, 6)), ulps=2 * COMPOSED, low_ulps=4, integers=(2, 6)),
}  # fmt: skip
POLYNOMIALS = {
    name: polynomial(name)
    for name in (
        *(f"{shifted}chebyshev_polynomial_{kind}" for shifted in ("", "shifted_") for kind in "tuvw"),
        "hermite_polynomial_h",
        "hermite_polynomial_he",
    )
}
BACKWARD = {
    "gelu_backward": Operation(aten.gelu_backward, ulps=COMPOSED, low_ulps=8, scale=8),
    "gelu_tanh_backward": Operation(
        lambda grad, x: aten.gelu_backward(grad, x, approximate="tanh"), ulps=COMPOSED, low_ulps=8, scale=8
    ),
    "hardsigmoid_backward": Operation(aten.hardsigmoid_backward, ((-2, 2), (-5, 5)), ulps=4, low_ulps=2),
    "hardswish_backward": Operation(aten.hardswish_backward, ((-2, 2), (-5, 5)), ulps=16, low_ulps=4, scale=8),
    "silu_backward": Operation(aten.silu_backward, ulps=COMPOSED, low_ulps=8, scale=8),
    "elu_backward": Operation(
        lambda grad, x, alpha, scale, inner, result: aten.elu_backward(grad, alpha, scale, inner, result, x), ulps=32,
        low_ulps=8, alpha={"alpha": 1.5, "scale": 0.75, "input_scale": 0.5, "is_result": False},
    ),
    "leaky_relu_backward": Operation(
        lambda x, grad, slope: aten.leaky_relu_backward(grad, x, slope, False), alpha={"slope": 0.125}
    ),
    "shrink_backward": Operation(
        lambda grad, x, lambd: aten.hardshrink_backward(grad, x, lambd), alpha={"lambd": 0.5}
    ),
}  # fmt: skip
ALPHA = {
    "add_alpha": Operation(lambda a, b, alpha: a + b * alpha, ulps=1, low_ulps=2, scale=4, alpha={"alpha": 3}),
    "sub_alpha": Operation(lambda a, b, alpha: a - b * alpha, ulps=1, low_ulps=2, scale=4, alpha={"alpha": 3}),
    "lerp_alpha": Operation(
        lambda a, b, weight: a + weight * (b - a), ulps=2, low_ulps=2, scale=4, alpha={"weight": 1}
    ),
}
THREE = {
    "clamp": Operation(torch.clamp, ((-2, 2), (-1, 0), (0.1, 1)), integers=(0, 5)),
}
TABLES = (COMPARISONS, INTEGERS, ARITHMETIC, POLYNOMIALS, BACKWARD, ALPHA, THREE)
CASES = tuple(case(name, one) for table in TABLES for name, one in table.items())
