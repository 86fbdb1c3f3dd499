# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Pooling, unpooling, padding, and columns of images. A mean of at most 12 values below 2 is within 12 * 2 * eps."""

from __future__ import annotations

import re
from typing import Any

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, narrow, values, wide

EPS = torch.finfo(torch.float32).eps
SHAPE = (2, 3, 9, 7)
KERNEL, STRIDE, PADDING, DILATION = (3, 2), (2, 1), (1, 1), (1, 2)
aten = torch.ops.aten
_TYPED = rf"(?P<type>{TYPE})"


def _five(numbers: Any) -> list[int]:
    return [*numbers, *[0] * (5 - len(numbers))]


def _three(numbers: Any) -> list[int]:
    return [*numbers, *[0] * (3 - len(numbers))]


def max_pool(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    x = values(name, SHAPE, dtype, 0 if not dtype.is_signed else -9, 99)
    want, places = aten.max_pool2d_with_indices(wide(x).double(), KERNEL, STRIDE, PADDING, DILATION)
    got, indices = torch.zeros(tuple(want.shape), dtype=dtype), torch.zeros(tuple(want.shape), dtype=torch.int64)
    params = witness.struct(
        name, 3, dims=4, pooling_dims=2, input_sizes=_five(x.shape), input_strides=_five(x.stride()),
        output_sizes=_five(got.shape), output_strides=_five(got.stride()), indices_sizes=_five(indices.shape),
        indices_strides=_five(indices.stride()), kernel_size=_three(KERNEL), stride=_three(STRIDE),
        padding=_three(PADDING), dilation=_three(DILATION), return_indices=True,
    )  # fmt: skip
    witness.launch(name, [x, got, indices, params], (got.numel(),))
    agree(got, want, says=name)
    agree(indices, places, says=f"{name}: indices")


def max_pool_backward(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    x = values(name, SHAPE, dtype, -9, 9)
    forward, indices = aten.max_pool2d_with_indices(wide(x), KERNEL, STRIDE, PADDING, DILATION)
    grad = values(name, forward.shape, dtype, -1, 1, "grad")
    got = torch.zeros_like(x)
    params = witness.struct(
        name, 3, dims=4, pooling_dims=2, grad_input_sizes=_five(x.shape), grad_input_strides=_five(x.stride()),
        grad_output_sizes=_five(grad.shape), grad_output_strides=_five(grad.stride()),
        indices_strides=_five(indices.stride()),
    )  # fmt: skip
    witness.launch(name, [got, grad, indices, params], (grad.numel(),))
    want = aten.max_pool2d_with_indices_backward(wide(grad), wide(x), KERNEL, STRIDE, PADDING, DILATION, False, indices)
    agree(got, want, absolute=6 * 6 * torch.finfo(dtype).eps, says=name)


def max_unpool(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    x = values(name, (2, 3, 4, 3), dtype, 0 if not dtype.is_signed else -9, 99)
    places = torch.stack([torch.randperm(63, generator=torch.Generator().manual_seed(i))[:12] for i in range(6)])
    indices = places.reshape(x.shape)
    got = torch.zeros(SHAPE, dtype=dtype)
    params = witness.struct(
        name, 3, dims=4, pooling_dims=2, input_sizes=_five(x.shape), input_strides=_five(x.stride()),
        output_sizes=_five(got.shape), output_strides=_five(got.stride()), indices_strides=_five(indices.stride()),
    )  # fmt: skip
    (error,) = (one for one in witness.described(name).arguments if one.slot == 4)
    failed = torch.zeros((error.size or 0) // 4, dtype=torch.int32)
    witness.launch(name, [got, x, indices, params, failed], (x.numel(),))
    agree(got, aten.max_unpool2d(wide(x).double(), indices, SHAPE[2:]), says=name)
    assert not failed.any(), name


def avg_pool(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    whole = not dtype.is_floating_point
    x = values(name, SHAPE, dtype, 0 if whole else -2, 99 if whole else 2)
    for include, divisor in ((True, None), (False, None), (True, 5)):
        arguments = (KERNEL, STRIDE, PADDING, False, include, divisor)
        want = aten.avg_pool2d(wide(x).double(), *arguments)
        grad = values(name, want.shape, dtype, -1, 1, "grad")
        got = torch.zeros_like(x) if match["backward"] else torch.zeros_like(grad)
        # The gradient's kernel has three dimensions always, of which the first may be one.
        deep = bool(match["backward"])
        a, b = (one.unsqueeze(2) if deep else one for one in (x, grad))
        params = witness.struct(
            name, 2, dims=a.dim(), pooling_dims=a.dim() - 2, input_sizes=_five(a.shape),
            input_strides=_five(a.stride()), output_sizes=_five(b.shape), output_strides=_five(b.stride()),
            kernel_size=(1, *KERNEL) if deep else _three(KERNEL), stride=(1, *STRIDE) if deep else _three(STRIDE),
            padding=(0, *PADDING) if deep else _three(PADDING), count_include_pad=include,
            has_divisor_override=divisor is not None, divisor_override=divisor or 0,
        )  # fmt: skip
        witness.launch(name, [got, grad, params] if match["backward"] else [x, got, params], (grad.numel(),))
        if match["backward"]:
            want = aten.avg_pool2d_backward(wide(grad), wide(x), *arguments)
        if whole:
            assert ((wide(got) - want).abs() <= 1).all(), name  # a quotient, cut or rounded
        else:
            agree(got, want, ulps=1, absolute=12 * (torch.finfo(dtype).eps if match["backward"] else EPS), says=name)


def pad(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Edge values repeated to the left and right, and cut where the number is negative."""
    dtype = DTYPES[match["type"]]
    for left, right in ((2, 3), (2, -1)):
        x = values(name, (2, 3, 9), dtype, -9, 9)
        grad = values(name, (2, 3, 9 + left + right), dtype, -1, 1, "grad")
        sizes = constant("int4", 9, grad.shape[2], left, right)
        if match["backward"]:
            got = torch.zeros_like(x)
            witness.launch(name, [grad, got, sizes], (9, 3, 2), (9, 1, 1))
            want = aten.replication_pad1d_backward(wide(grad), wide(x), [left, right])
            real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)
            agree(got, want, ulps=1, absolute=16 * torch.finfo(real).eps, says=name)
        else:
            got = torch.zeros_like(grad)
            witness.launch(name, [x, got, sizes], (grad.shape[2], 3, 2), (grad.shape[2], 1, 1))
            source = wide(x) if x.is_complex() else wide(x).double()
            want = torch.nn.functional.pad(source, (left, right), mode="replicate")
            agree(got, narrow(want, dtype), says=name)


CASES = (
    Case(rf"max_pool_{_TYPED}", max_pool),
    Case(rf"max_pool_backward_{_TYPED}", max_pool_backward),
    Case(rf"max_unpool_{_TYPED}", max_unpool),
    Case(rf"avg_pool_(?P<backward>backward_)?{_TYPED}", avg_pool),
    Case(rf"replication_pad1d_(?P<backward>backward|)(forward)?_{_TYPED}", pad),
)
