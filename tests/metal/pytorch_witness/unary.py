# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of one operand, with and without a parameter.

Units in the last place are those of the Metal Shading Language Specification, table 8.2 (section 8.4) where a kernel is
one function of Metal (PyTorch compiles without fast math); COMPOSED where PyTorch computes it from several, each of
which may be off by that much, on values whose conditioning in the given range is below ten.
"""

from __future__ import annotations

import torch

from .elementwise import Operation, case

COMPOSED = 64.0
special = torch.special


def floating(function):  # type: ignore[no-untyped-def]
    """`function` of what an integer is as a double."""
    return lambda x, *rest: function(x if x.is_complex() else x.double(), *rest)


def whole(function):  # type: ignore[no-untyped-def]
    """`function` for floating point; an integer is itself."""
    return lambda x: function(x) if x.is_floating_point() else x


PLAIN = {
    # Both parts of a complex result are the magnitude; PyTorch's host code takes the first.
    "abs": Operation(lambda x: x.abs() * (1 + 1j) if x.is_complex() else x.abs(), ulps=4, low_ulps=2),
    # Of complex numbers, PyTorch takes a root of (|w| - Re w) / 2, w = 1 - z * z, which cancels where w is nearly real.
    "acos": Operation(
        floating(torch.acos), ((-0.95, 0.95),), ulps=COMPOSED, low_ulps=16, complexes=(0.4, 0.9)
    ),
    "angle": Operation(floating(torch.angle), ulps=5),
    "asin": Operation(
        floating(torch.asin), ((-0.95, 0.95),), ulps=COMPOSED, low_ulps=16, complexes=(0.4, 0.9)
    ),
    "atan": Operation(floating(torch.atan), ((-0.9, 0.9),), ulps=COMPOSED, low_ulps=8),
    "bitwise_not": Operation(torch.bitwise_not, as_is=frozenset({torch.bool})),
    "cos": Operation(floating(torch.cos), ulps=8, low_ulps=4, scale=4),
    "cosh": Operation(floating(torch.cosh), ulps=8, low_ulps=4),
    "digamma": Operation(floating(special.digamma), ((0.5, 9.0),), ulps=COMPOSED, low_ulps=4, scale=16),
    "entr": Operation(floating(special.entr), ((0.0, 3.0),), ulps=8, low_ulps=4, scale=4),
    "erf": Operation(floating(special.erf), ulps=COMPOSED, low_ulps=2),
    "erfc": Operation(floating(special.erfc), ulps=COMPOSED, low_ulps=2, scale=1),
    "erfcx": Operation(floating(special.erfcx), ulps=COMPOSED, low_ulps=2),
    "erfinv": Operation(floating(special.erfinv), ((-0.95, 0.95),), ulps=COMPOSED, low_ulps=8),
    "exp": Operation(floating(torch.exp), ulps=12, low_ulps=4),
    "exp2": Operation(floating(torch.exp2), ulps=12, low_ulps=4),
    "expm1": Operation(floating(torch.expm1), ulps=12, low_ulps=4),
    "gelu": Operation(torch.nn.functional.gelu, ulps=COMPOSED, low_ulps=4),
    "gelu_tanh": Operation(lambda x: torch.nn.functional.gelu(x, approximate="tanh"), ulps=COMPOSED, low_ulps=4),
    "hardsigmoid": Operation(torch.nn.functional.hardsigmoid, ((-5.0, 5.0),), ulps=4, low_ulps=2),
    "hardswish": Operation(torch.nn.functional.hardswish, ((-5.0, 5.0),), ulps=4, low_ulps=2),
    "i0": Operation(floating(special.i0), ulps=COMPOSED, low_ulps=4),
    "i0e": Operation(floating(special.i0e), ulps=COMPOSED, low_ulps=4),
    "i1": Operation(floating(special.i1), ulps=COMPOSED, low_ulps=4),
    "i1e": Operation(floating(special.i1e), ulps=COMPOSED, low_ulps=4),
    "lgamma": Operation(floating(torch.lgamma), ((0.3, 9.0),), ulps=COMPOSED, low_ulps=4, scale=16),
    "log": Operation(floating(torch.log), ((0.3, 9.0),), ulps=8, low_ulps=4, scale=4),
    "log10": Operation(floating(torch.log10), ((0.3, 9.0),), ulps=8, low_ulps=4, scale=4),
    "log1p": Operation(floating(torch.log1p), ((-0.7, 9.0),), ulps=8, low_ulps=4, scale=4, integers=(0, 99)),
    "log2": Operation(floating(torch.log2), ((0.3, 9.0),), ulps=8, low_ulps=4, scale=4),
    "neg": Operation(torch.neg),
    "reciprocal": Operation(floating(torch.reciprocal), ((0.2, 3.0),), ulps=8, low_ulps=8),
    "relu": Operation(torch.relu),
    "round": Operation(whole(torch.round), ((-9.0, 9.0),)),
    "rsqrt": Operation(floating(torch.rsqrt), ((0.2, 9.0),), ulps=8, low_ulps=8),
    "sigmoid": Operation(floating(torch.sigmoid), ulps=12, low_ulps=4),
    "silu": Operation(floating(torch.nn.functional.silu), ulps=12, low_ulps=4, integers=(0, 0)),
    "sin": Operation(floating(torch.sin), ulps=8, low_ulps=4, scale=4),
    "sinc": Operation(floating(torch.sinc), ulps=COMPOSED, low_ulps=8, scale=16),
    "sinh": Operation(floating(torch.sinh), ulps=8, low_ulps=4),
    "sqr": Operation(lambda x: x * x, ((-5.0, 5.0),), low_ulps=1),
    "sqrt": Operation(floating(torch.sqrt), ((0.0, 9.0),), ulps=8, low_ulps=4, complexes=(2.0, 9.0)),
    "tan": Operation(floating(torch.tan), ((-1.2, 1.2),), ulps=12, low_ulps=8),
    "tanh": Operation(floating(torch.tanh), ulps=12, low_ulps=8),
    "trigamma": Operation(floating(lambda x: special.polygamma(1, x)), ((0.5, 9.0),), ulps=COMPOSED, low_ulps=4),
    "spherical_bessel_j0": Operation(floating(special.spherical_bessel_j0), ((0.1, 9.0),), ulps=COMPOSED, low_ulps=4,
                                    scale=16),
}  # fmt: skip
BESSEL = {
    f"{name}_forward": Operation(
        floating(getattr(special, name)), ((0.2, 9.0),), ulps=2 * COMPOSED, low_ulps=8, scale=32
    )
    for name in (
        *(f"bessel_{kind}{order}" for kind in "jy" for order in (0, 1)),
        *(f"{scaled}modified_bessel_{kind}{order}" for scaled in ("", "scaled_") for kind in "ik" for order in (0, 1)
          if not (scaled and kind == "i")),
    )
}  # fmt: skip
COPIES = {
    "copy_identity": Operation(torch.clone),
    "copy_conj": Operation(lambda x: torch.conj(x).resolve_conj()),
    "copy_neg": Operation(torch.neg),
    "copy_conj_neg": Operation(lambda x: torch.neg(torch.conj(x).resolve_conj())),
}
PARAMETERS = {
    "clamp_max_scalar": Operation(lambda x, high: x.clamp(max=high), alpha={"alpha": 1}),
    "clamp_min_scalar": Operation(lambda x, low: x.clamp(min=low), alpha={"alpha": 1}),
    "clamp_scalar": Operation(lambda x, low, high: x.clamp(low, high), alpha={"min": 0, "max": 1}),
    "elu": Operation(
        lambda x, alpha, scale, inner: torch.ops.aten.elu(x, alpha, scale, inner), ulps=32, low_ulps=4, scale=4,
        alpha={"alpha": 1.5, "scale": 0.75, "input_scale": 0.5},
    ),
    "hardshrink": Operation(torch.nn.functional.hardshrink, alpha={"alpha": 0.5}),
    "leaky_relu": Operation(torch.nn.functional.leaky_relu, alpha={"alpha": 0.125}),
    "polygamma": Operation(
        floating(lambda x, n: special.polygamma(n, x)), ((0.5, 9.0),), ulps=COMPOSED, low_ulps=8, alpha={"n": 2},
        integers=(1, 9),
    ),
    "pow_scalar": Operation(
        lambda x, exponent: x**exponent, ((0.2, 3.0),), ulps=16, low_ulps=4, alpha={"exponent": 3}, integers=(0, 4)
    ),
    "round_decimals": Operation(
        lambda x, decimals: torch.round(x, decimals=decimals), ulps=4, low_ulps=2, alpha={"decimals": 2}
    ),
    "softshrink": Operation(torch.nn.functional.softshrink, ulps=1, alpha={"lambd": 0.5}),
}  # fmt: skip
CASES = tuple(case(name, one) for table in (PLAIN, BESSEL, COPIES, PARAMETERS) for name, one in table.items())
