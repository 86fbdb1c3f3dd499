# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reductions: of any dimension, of rows, of columns, in parts; arg, predicate and norm reductions.

A sum of n floating point numbers, accumulated in float in any order, is within n * eps * sum(|x|) of the exact one
(Higham, Accuracy and Stability of Numerical Algorithms, 4.2), and then rounded to the result's type.
"""

from __future__ import annotations

import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, strided, values, wide

SHAPE = (3, 77, 5)
# PyTorch's threadgroups: with fewer, lanes that do not run are asked for their values, which Metal leaves undefined.
GROUP = 1024
SLOTS = 16  # NormParams holds as many dimensions
EPS = torch.finfo(torch.float32).eps


def _input(name: str, operation: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    if operation in ("all", "any", "count_nonzero"):
        made = values(name, shape, dtype, 0.0, 2.0)
        zero = values(name, shape, torch.float32, 0.0, 1.0, "zero") < (0.01 if operation == "all" else 0.98)
        return torch.where(zero, torch.zeros_like(made), made) if dtype != torch.complex32 else made
    made = values(name, shape, dtype, -9.0, 9.0)
    if operation == "nansum":
        made[values(name, shape, torch.float32, 0.0, 1.0, "nan") < 0.2] = float("nan")
    return made


def _want(operation: str, x: torch.Tensor, dim: int, power: float) -> torch.Tensor:
    if operation in ("all", "any"):
        return getattr(x != 0, operation)(dim=dim).to(torch.int64)
    if operation in ("argmax", "argmin"):
        return getattr(x, operation)(dim=dim)
    if operation in ("max", "min"):
        return getattr(x, f"a{operation}")(dim=dim)
    if operation.startswith("norm"):
        return torch.linalg.vector_norm(x, power, dim=dim)
    return {"sum": torch.sum, "nansum": torch.nansum, "count_nonzero": torch.count_nonzero}[operation](x, dim=dim)


def _agree(name: str, operation: str, got: torch.Tensor, x: torch.Tensor, want: torch.Tensor, dim: int) -> None:
    if operation in ("sum", "nansum") or operation.startswith("norm"):
        size = torch.nan_to_num(x.abs().double()).sum(dim=dim) if operation in ("sum", "nansum") else want.abs()
        agree(got, want, ulps=1, absolute=x.shape[dim] * EPS * size, says=name)
    else:
        agree(got, want, says=name)


def _sizes(numbers: tuple[int, ...]) -> list[int]:
    return [*numbers, *[0] * (SLOTS - len(numbers))]


def _params(
    witness: Witness, name: str, x: torch.Tensor, kept: tuple[int, ...], count: int, power: float = 2.0
) -> bytes:
    strides = torch.empty(kept).stride()
    return witness.struct(
        name, 2, p=power, reduction_size=count, ndim=x.dim(), input_sizes=_sizes(tuple(x.shape)),
        input_strides=_sizes(x.stride()), output_sizes=_sizes(kept), output_strides=_sizes(strides),
    )  # fmt: skip


def generic(witness: Witness, name: str, match: re.Match[str]) -> None:
    """A threadgroup for each result; strides of the operand are any. A power of a sum divides it (mean); 0 does not."""
    operation, dtype, result = match["operation"], DTYPES[match["type"]], DTYPES[match["result"]]
    x = strided(_input(name, operation, SHAPE, dtype))
    for power in (0.0, 1.0, 2.0, 3.0, float("inf"), -float("inf")) if operation == "norm" else (0.0,):
        got = torch.zeros((SHAPE[0], 1, SHAPE[2]), dtype=result)
        params = _params(witness, name, x, tuple(got.shape), SHAPE[1], power)
        witness.launch(name, [x, got, params], (got.numel() * GROUP,), (GROUP,))
        want = _want(operation, wide(x), 1, power)
        _agree(name, operation, got[:, 0], wide(x), want, 1)


def parts(witness: Witness, name: str, match: re.Match[str]) -> None:
    """The first pass over all elements: a partial result for each threadgroup."""
    operation, dtype, result = match["operation"], DTYPES[match["type"]], DTYPES[match["result"]]
    groups = SHAPE[0]
    x = strided(_input(name, operation, SHAPE, dtype))
    got = torch.zeros((groups,), dtype=result)
    witness.launch(
        name, [x, got, _params(witness, name, x, (1, 1, 1), x.numel() // groups)], (groups * GROUP,), (GROUP,)
    )
    flat = wide(x).reshape(groups, -1)
    _agree(name, operation, got, flat, _want(operation, flat, 1, 2.0), 1)


def inner(witness: Witness, name: str, match: re.Match[str]) -> None:
    """A simdgroup for each row."""
    operation, dtype, result = match["operation"], DTYPES[match["type"]], DTYPES[match["result"]]
    rows, columns = 5, 333
    x = _input(name, operation, (rows, columns), dtype)
    got = torch.zeros((rows,), dtype=result)
    buffers = [x, got, constant("uint2", rows, columns)]
    divides = any(one.name == "divisor" for one in witness.described(name).arguments)
    whole = not result.is_floating_point or operation.startswith("norm")
    if divides:
        buffers.append(constant("float", 0.0 if whole else columns))
    witness.launch(name, buffers, (3 * 64,), (64,))
    want = _want(operation, wide(x), 1, float(match["power"] or 2))
    mean = divides and not whole
    _agree(name, operation, got, wide(x) / columns if mean else wide(x), want / columns if mean else want, 1)


def outer(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Threadgroups of 32 x 32 for 32 columns each; results are written with a stride."""
    operation, dtype, result = match["operation"], DTYPES[match["type"]], DTYPES[match["result"]]
    rows, columns = 133, 41
    x = _input(name, operation, (rows, columns), dtype)
    got = torch.zeros((columns, 2), dtype=result)
    buffers = [x, got, constant("uint3", rows, columns, 2)]
    if any(one.name == "divisor" for one in witness.described(name).arguments):
        buffers.append(constant("float", 0.0))
    witness.launch(name, buffers, (64, 32), (32, 32))
    _agree(name, operation, got[:, 0], wide(x), _want(operation, wide(x), 0, 2.0), 0)
    assert not wide(got[:, 1]).any(), f"{name} writes between its results"


def renorm(witness: Witness, name: str, match: re.Match[str]) -> None:
    """The factor that brings a norm down to the largest allowed: maxnorm / (norm + 1e-7) where it is larger."""
    norm = values(name, (37,), DTYPES[match["type"]], 0.1, 5.0)
    got = torch.zeros_like(norm)
    witness.launch(name, [norm, got, constant("float", 2.0)], (37,))
    want = torch.where(wide(norm) > 2, 2 / (wide(norm) + 1e-7), 1.0)
    agree(got, want, ulps=2, says=name)


def repeat_interleave(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = {"32": torch.int32, "64": torch.int64}[match["bits"]]
    repeats = values(name, (29,), dtype, 0, 5)
    ends = repeats.cumsum(0)
    got = torch.zeros(int(ends[-1]), dtype=dtype)
    witness.launch(name, [repeats, ends, got, constant("long", 1)], (29,))
    agree(got, torch.repeat_interleave(torch.arange(29), repeats), says=name)


_TYPES = rf"(?P<type>{TYPE})_(?P<result>{TYPE})"
_OPERATION = "(?P<operation>all|any|argmax|argmin|count_nonzero|max|min|nansum|sum)"
CASES = (
    Case(rf"{_OPERATION}_reduction_{_TYPES}", generic),
    Case(rf"(?P<operation>norm)_{_TYPES}", generic),
    Case(rf"{_OPERATION}_reduction_strided_{_TYPES}", parts),
    Case(
        rf"(?P<operation>all|any|argmax|argmin|count_nonzero|max|min|nansum|sum|norm_l(?P<power>\d))_reduction_inner_{_TYPES}",
        inner,
    ),
    Case(rf"{_OPERATION}_reduction_outer_{_TYPES}", outer),
    Case(rf"renorm_(?P<type>{TYPE})", renorm),
    Case(r"repeat_interleave_int(?P<bits>32|64)_t", repeat_interleave),
)
