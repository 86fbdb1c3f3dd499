# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every form of an elementwise kernel (dense, strided, with casts, scalars and broadcasts), by its arguments' names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from .witness import DTYPES, SCALAR_TYPES, Case, Witness, agree, constant, narrow, strided, values, wide

SHAPE = (3, 5, 7)
_OPERANDS = ("input", "other", "other1", "other2", "broadcast", "scalar")
_RESULTS = ("output", "out")
_FORM = (
    r"_(?P<form>(dense|strided)(_broadcast)?(_scalar)?(_rhs|_lhs)?(_castout_ilp|_castout|_cast|_ilp4)?)"
    r"_(?P<types>[A-Za-z0-9_]+)"
)


@dataclass(frozen=True)
class Operation:
    """What an elementwise kernel computes.

    `reference` takes the operands as double, complex128 or int64 (then `alpha`, where there is one) and gives what the
    kernel should, before rounding. `ranges`: of each operand. `ulps`: units in the last place of the result's type that
    it may be off in float; `low_ulps` in half and bfloat, whose kernels round each intermediate result. `scale`: what
    the absolute part of the tolerance is a multiple of eps of, where terms cancel. `alpha`: the parameter that kernels
    take after the operands, as numbers of its struct, in order.
    """

    reference: Callable[..., torch.Tensor]
    ranges: tuple[tuple[float, float], ...] = ((-2.0, 2.0),)
    ulps: float = 0.0
    low_ulps: float = 1.0
    scale: float = 0.0
    alpha: dict[str, Any] = field(default_factory=dict)
    integers: tuple[float, float] | None = None
    """The range of operands that are integers, where it differs."""

    complexes: tuple[float, float] | None = None
    """The range of both parts of operands that are complex, where it differs."""
    as_is: frozenset[torch.dtype] = frozenset()
    """The types that `reference` takes as they are, not widened."""

    @property
    def alpha_values(self) -> tuple[Any, ...]:
        return tuple(self.alpha.values())

    def range(self, index: int, dtype: torch.dtype) -> tuple[float, float]:
        if self.integers and not dtype.is_floating_point and not dtype.is_complex:
            return self.integers
        if self.complexes and dtype.is_complex:
            return self.complexes
        return self.ranges[min(index, len(self.ranges) - 1)]


def case(name: str, operation: Operation) -> Case:
    def check(witness: Witness, kernel: str, match: re.Match[str]) -> None:
        run(witness, kernel, match, operation)

    return Case(re.escape(name) + _FORM, check)


def run(witness: Witness, kernel: str, match: re.Match[str], operation: Operation) -> None:
    """Launch one form, and compare. Types stand in the name: result, operands, alpha; only operands where it casts."""
    form, types = match["form"], [part for part in match["types"].split("_") if part in DTYPES]
    dtype = DTYPES[types[1] if len(types) > 1 else types[0]]
    arguments = [one for one in witness.described(kernel).arguments if one.slot is not None]
    names = [one.name for one in arguments]
    result_name = next(name for name in names if name in _RESULTS)
    casts = any("types" in name for name in names)
    made = {
        name: _operand(operation, kernel, index, name, dtype, casts=casts, gaps="strided" in form)
        for index, name in enumerate(name for name in names if name in _OPERANDS)
    }
    computed = [narrow(wide(one), dtype) for one in made.values()]
    operands = computed if dtype in operation.as_is else [wide(one) for one in computed]
    alpha = [bool(value) if types[-1] == "bool" else value for value in operation.alpha_values]
    want = operation.reference(*operands, *alpha).expand(SHAPE)
    result_dtype = DTYPES[types[0]] if len(types) > 1 else (want.dtype if want.dtype == torch.bool else dtype)
    if "castout" in form:
        result_dtype = torch.float32 if not want.is_complex() else torch.complex64
    if dtype in operation.as_is:
        want = wide(want)
    if not want.is_floating_point() and not want.is_complex():
        want = wide(
            narrow(want, DTYPES[types[0]] if len(types) > 1 else want.dtype if want.dtype == torch.bool else dtype)
        )
    result = torch.zeros(SHAPE, dtype=result_dtype)
    if "strided" in form:
        result = strided(result)
    bindings = {}
    for one in arguments:
        assert one.slot is not None
        if one.name == result_name:
            bindings[one.slot] = result
        elif one.name in made:
            bindings[one.slot] = made[one.name]
        else:
            bindings[one.slot] = _parameter(witness, kernel, one, made, result, operation)
    total = math.prod(SHAPE)
    if any(name in ("numel", "size_outtype_numel") for name in names):
        threads: tuple[int, ...] = (-(-total // 4),)
    elif any(one.type == "uint2" for one in witness.described(kernel).arguments if one.slot is None):
        threads = (SHAPE[-1], total // SHAPE[-1])
    else:
        threads = (total,)
    witness.launch(kernel, bindings, threads)
    low = dtype in (torch.float16, torch.bfloat16, torch.complex32)
    ulps = max(operation.ulps, operation.low_ulps) if low else operation.ulps
    if dtype.is_complex:  # sums of two rounded products, which may cancel: of the larger part's last place
        ulps = max(ulps, 4.0)
    exact = not dtype.is_floating_point and not dtype.is_complex and not result_dtype.is_floating_point
    of = dtype if low else (result_dtype if result_dtype.is_floating_point else torch.float32)
    real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(of, of)
    if low and result_dtype != dtype:  # rounded to the operands' type first
        ulps *= torch.finfo(real).eps / torch.finfo(torch.float32).eps if not exact else 1
    agree(
        result,
        want,
        ulps=0 if exact else ulps,
        absolute=0.0 if exact or not operation.scale else operation.scale * torch.finfo(real).eps,
        says=kernel,
    )


def _operand(
    operation: Operation, kernel: str, index: int, name: str, dtype: torch.dtype, *, casts: bool, gaps: bool
) -> torch.Tensor:
    shape = {"scalar": (1,), "broadcast": SHAPE[-1:]}.get(name, SHAPE)
    low, high = operation.range(index, dtype)
    if casts:
        # Other types than the kernel computes in, whose values it has exactly.
        cast = torch.uint8 if index == 0 else torch.float16 if dtype.is_floating_point else torch.int16
        cast = torch.float32 if dtype.is_complex and index == 1 else cast
        least = math.ceil(max(low, 0.0))
        if dtype == torch.bool or cast == torch.bool:
            least, high = int(low >= 1), 1
        made = torch.floor(values(kernel, shape, torch.float64, least, math.floor(high) + 0.99, str(index))).to(cast)
    else:
        made = values(kernel, shape, dtype, low, high, str(index))
    return strided(made) if gaps else made


def _parameter(
    witness: Witness,
    kernel: str,
    one: Any,
    operands: dict[str, torch.Tensor],
    result: torch.Tensor,
    operation: Operation,
) -> bytes:
    """What the argument `one` is bound to. Sizes and strides come innermost dimension first, strides in bytes."""
    inputs = list(operands.values())
    sizes = [tensor.element_size() for tensor in inputs]
    types = [SCALAR_TYPES[tensor.dtype] for tensor in inputs]
    total, dimensions = math.prod(SHAPE), len(SHAPE)
    if one.name == "alpha":
        if one.fields:
            return witness.struct(kernel, one.slot, **operation.alpha)
        if one.type in ("half2", "float2"):
            return constant(one.type, *operation.alpha_values, 0)
        return constant(one.type, *operation.alpha_values)
    if one.name.endswith("_strides"):
        tensor = result if one.name == "output_strides" else operands[one.name.removesuffix("_strides")]
        strides = [stride * tensor.element_size() for stride in reversed(tensor.stride())]
        return b"".join(constant("long", stride) for stride in strides)
    made = {
        ("numel", "uint"): lambda: [total],
        ("sizes", "long"): lambda: list(reversed(SHAPE)),
        ("sizes", "uint3"): lambda: sizes,
        ("types", "uint3"): lambda: types,
        ("types", "uint4"): lambda: [*types, SCALAR_TYPES[result.dtype]],
        ("ndim", "uint"): lambda: [dimensions],
        ("ndim", "uint3"): lambda: [dimensions, 0, 0],
        ("broadcast_numel", "long"): lambda: [SHAPE[-1]],
        ("sizes_types", "uint4"): lambda: [*sizes, *types],
        ("ndim_types", "uint4"): lambda: [dimensions, *types, SCALAR_TYPES[result.dtype]],
        ("ndim_outtype", "uint2"): lambda: [dimensions, SCALAR_TYPES[result.dtype]],
        ("size_outtype", "uint2"): lambda: [result.element_size(), SCALAR_TYPES[result.dtype]],
        ("size_outtype_numel", "uint3"): lambda: [result.element_size(), SCALAR_TYPES[result.dtype], total],
    }[one.name, one.type]()  # fmt: skip
    return b"".join(constant("long", value) for value in made) if one.type == "long" else constant(one.type, *made)
