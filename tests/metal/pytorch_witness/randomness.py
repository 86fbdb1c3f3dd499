# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers: PyTorch's counter-based generator decides them, so that torch on the CPU has others. Distributions
are compared: Kolmogorov and Smirnov's distance to torch's own distribution function, which for n numbers is above
2.2 / sqrt(n) once in 8,000 times (seeds are fixed), and the same seed gives the same numbers, another one others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, values, wide

SIZE = 4001
# Each makes four numbers, what one turn of the generator gives; two random integers of 64 bits.
THREADS = 1001
_TYPED = rf"(?P<type>{TYPE})"
_NORMAL = torch.distributions.Normal(0.0, 1.0)


def _seed(seed: int) -> bytes:
    return constant("long2", seed, 0)


def _distance(got: torch.Tensor, distribution: Callable[[torch.Tensor], torch.Tensor]) -> float:
    ordered = wide(got).flatten().sort().values
    expected = distribution(ordered)
    steps = torch.arange(len(ordered) + 1, dtype=torch.float64) / len(ordered)
    return float(torch.maximum((expected - steps[:-1]).abs(), (expected - steps[1:]).abs()).max())


def _check(
    got: torch.Tensor, distribution: Callable[[torch.Tensor], torch.Tensor], name: str, *, grain: float = 0.0
) -> None:
    """`grain`: the most that one number of the type may weigh."""
    assert wide(got).isfinite().all(), name
    distance = _distance(got, distribution)
    assert distance < 2.2 / math.sqrt(got.numel()) + grain, f"{name}: {distance}"


def _drawn(witness: Witness, name: str, dtype: torch.dtype, middle: list[torch.Tensor | bytes]) -> torch.Tensor:
    """The numbers of one seed, having looked that it decides them."""
    first, again, other = (torch.zeros(SIZE, dtype=dtype) for _ in range(3))
    two = name.startswith("random_int") and first.element_size() == 8
    for got, seed in ((first, 42), (again, 42), (other, 43)):
        witness.launch(name, [got, *middle, _seed(seed), constant("uint", SIZE)], (2001 if two else THREADS,))
    agree(again, first, says=name)
    assert not torch.equal(wide(first), wide(other)), name
    return first


def continuous(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, kind = DTYPES[match["type"]], match["kind"]
    parameters = {
        "uniform_dist": (-1.0, 3.0),
        "normal": (1.0, 2.0),
        "log_normal": (0.2, 0.5),
        "cauchy": (1.0, 2.0),
        "exponential": (1.5, 0.0),
    }[kind]
    got = _drawn(witness, name, dtype, [constant("float2", *parameters)])
    a, b = parameters
    functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "uniform_dist": lambda x: ((x - a) / (b - a)).clamp(0, 1),
        "normal": lambda x: _NORMAL.cdf((x - a) / b),
        "log_normal": lambda x: _NORMAL.cdf((x.clamp_min(1e-30).log() - a) / b),
        "cauchy": lambda x: torch.atan((x - a) / b) / math.pi + 0.5,
        "exponential": lambda x: 1 - torch.exp(-a * x),
    }
    _check(got[wide(got).isfinite()], functions[kind], name, grain=2 * torch.finfo(dtype).eps)


def whole(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Geometric numbers (the parameter is the logarithm of what fails), and uniform ones (from, and how many)."""
    dtype = DTYPES[match["type"]]
    if match["kind"] == "geometric":
        got = _drawn(witness, name, dtype, [constant("float2", math.log(0.75), 0)])
        frequency = [(wide(got) <= n).double().mean() - (1 - 0.75**n) for n in range(1, 20)]
    else:
        kinds = {one.slot: one.type for one in witness.described(name).arguments if one.slot is not None}
        got = _drawn(witness, name, dtype, [constant(kinds[1], 2, 10)])
        assert wide(got).min() == 2, name
        assert wide(got).max() == 11, name
        frequency = [(wide(got) <= n).double().mean() - (n - 1) / 10 for n in range(2, 12)]
    assert max(abs(float(one)) for one in frequency) < 2.2 / math.sqrt(SIZE), name


def bernoulli(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    if match["form"] == "scalar":
        got = _drawn(witness, name, dtype, [constant("float2", 0.3, 0)])
        rate = torch.full((SIZE,), 0.3)
    else:
        rate = values(name, (SIZE,), torch.float32, 0, 1)
        (error,) = (one for one in witness.described(name).arguments if one.slot == 4)
        got, failed = torch.zeros(SIZE, dtype=dtype), torch.zeros((error.size or 0) // 4, dtype=torch.int32)
        witness.launch(name, [got, rate, _seed(42), constant("uint", SIZE), failed], (THREADS,))
        assert not failed.any(), name
    x = wide(got).abs()
    assert ((x == 0) | (x == 1)).all(), name
    spread = float((rate * (1 - rate)).sum().sqrt())
    assert abs(float(x.double().sum() - rate.sum())) < 4 * spread, name
    low = rate < 0.5 if match["form"] == "tensor" else rate > 1
    assert match["form"] == "scalar" or x[low].double().mean() < 0.35, name


def dropout(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Kept numbers are scaled; the mask says which, at the given rate."""
    dtype = DTYPES[match["type"]]
    x, got, mask = (
        values(name, (SIZE,), dtype, 1, 2),
        torch.zeros(SIZE, dtype=dtype),
        torch.zeros(SIZE, dtype=torch.bool),
    )
    if match["way"] == "fwd":
        witness.launch(
            name, [got, mask, x, constant("float2", 0.25, 2.0), _seed(42), constant("uint", SIZE)], (THREADS,)
        )
        rate = float(mask.double().mean())
        assert min(abs(rate - 0.25), abs(rate - 0.75)) < 4 * math.sqrt(0.25 * 0.75 / SIZE), f"{name}: {rate}"
    else:
        mask = values(name, (SIZE,), torch.bool, 0, 1, "mask")
        witness.launch(name, [got, x, mask, constant("float", 2.0)], (SIZE,))
    agree(got, wide(x) * mask * 2, says=name)


def permutation(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, size = DTYPES[match["type"]], 777
    first, other = torch.zeros(size, dtype=dtype), torch.zeros(size, dtype=dtype)
    witness.launch(name, [first, _seed(42), constant("uint", size)], (1024,), (1024,))
    witness.launch(name, [other, _seed(43), constant("uint", size)], (1024,), (1024,))
    for got in (first, other):
        agree(got.sort().values, torch.arange(size), says=name)
    assert not torch.equal(first, other), name


def gamma(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    shape = torch.full((SIZE,), 2.5, dtype=dtype)
    got = torch.zeros(SIZE, dtype=dtype)
    witness.launch(name, [got, shape, _seed(42)], (SIZE,))
    _check(
        got,
        lambda x: torch.special.gammainc(torch.tensor(2.5, dtype=torch.float64), x),
        name,
        grain=2 * torch.finfo(dtype).eps,
    )


def dirichlet(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Rows sum to one; each part is distributed as Beta(a, rest), of which the mean is looked at."""
    dtype, rows, parts = DTYPES[match["type"]], 500, 4
    concentration = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=dtype).repeat(rows, 1)
    got = torch.zeros_like(concentration)
    witness.launch(name, [got, concentration, _seed(42), constant("uint", parts)], (rows * 32,), (32,))
    agree(got.double().sum(1), torch.ones(rows), ulps=1, absolute=8 * torch.finfo(dtype).eps, says=name)
    means = got.double().mean(0)
    want = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    spread = (want * (1 - want) / 11 / rows).sqrt()  # variance of Beta(a, 10 - a): m (1 - m) / (10 + 1)
    assert ((means - want).abs() < 4 * spread + torch.finfo(dtype).eps).all(), f"{name}: {means}"


CASES = (
    Case(rf"(?P<kind>uniform_dist|normal|log_normal|cauchy|exponential)_{_TYPED}", continuous),
    Case(rf"(?P<kind>geometric)_{_TYPED}", whole),
    Case(rf"(?P<kind>random_int)_{_TYPED}", whole),
    Case(rf"bernoulli_(?P<form>scalar|tensor)_{_TYPED}", bernoulli),
    Case(rf"dropout_(?P<way>fwd|bwd)_{_TYPED}", dropout),
    Case(rf"randperm_small_{_TYPED}", permutation),
    Case(rf"standard_gamma_{_TYPED}", gamma),
    Case(rf"standard_dirichlet_{_TYPED}", dirichlet),
)
