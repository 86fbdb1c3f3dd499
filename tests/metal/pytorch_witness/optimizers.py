# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Fused optimiser steps over lists of tensors, whose addresses stand in an argument buffer, and gradient scaling.

A step is some twenty operations in float on numbers of order one; each state is rounded to its type.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, values, wide

EPS = torch.finfo(torch.float32).eps
SIZES = (37, 1000, 5)
GROUP = 64
_TYPED = rf"(?P<type>{TYPE})"


def _list(name: str, dtype: torch.dtype, salt: str, low: float, high: float) -> list[torch.Tensor]:
    return [values(name, (size,), dtype, low, high, f"{salt}{size}") for size in SIZES]


def _padded(numbers: list[int]) -> list[int]:
    return [*numbers, *[0] * (32 - len(numbers))]


def _addresses(tensors: list[torch.Tensor]) -> list[int]:
    return _padded([one.data_ptr() for one in tensors])


def _metadata(witness: Witness, name: str) -> bytes:
    """One threadgroup for each tensor, none of which fills a chunk."""
    return witness.struct(
        name, 1, numels=_padded(list(SIZES)), threadgroup_to_tensor=_padded([0, 1, 2]), threadgroup_to_chunk=_padded([])
    )


def adam(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, amsgrad = DTYPES[match["type"]], bool(match["amsgrad"])
    kept = dtype
    lists = {
        "params": _list(name, dtype, "params", -1, 1), "grads": _list(name, dtype, "grads", -1, 1),
        "exp_avgs": _list(name, kept, "first", -1, 1), "exp_avg_sqs": _list(name, kept, "second", 0.1, 1),
    }  # fmt: skip
    if amsgrad:
        lists["max_exp_avg_sqs"] = _list(name, kept, "largest", 0.1, 1)
    steps = [torch.tensor(3.0, dtype=DTYPES[match["steps"]]) for _ in SIZES]
    wides = {key: [wide(one).clone() for one in tensors] for key, tensors in lists.items()}
    addresses = {key: _addresses(tensors) for key, tensors in lists.items()}
    args = torch.frombuffer(
        bytearray(witness.struct(name, 0, **addresses, state_steps=_addresses(steps))), dtype=torch.uint8
    )
    numbers = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "eps": 1e-6}
    constants = [constant("float", value) for value in numbers.values()]
    scale, found = torch.ones(1), torch.zeros(1)
    buffers = [args, _metadata(witness, name), *constants, constant("uchar", 0), scale, found]
    witness.launch(name, buffers, (GROUP * len(SIZES),), (GROUP,))
    function = torch._fused_adamw_ if match["w"] else torch._fused_adam_
    function(
        wides["params"], wides["grads"], wides["exp_avgs"], wides["exp_avg_sqs"], wides.get("max_exp_avg_sqs", []),
        [step.double() for step in steps], amsgrad=amsgrad, maximize=False, **numbers,
    )  # fmt: skip
    for key in lists:
        if key != "grads":
            for got, want in zip(lists[key], wides[key], strict=True):
                # A root of a state that was rounded to its type divides.
                # Gradients with their decay are rounded to it too, and weigh at most 0.2.
                spread = 0.25 * torch.finfo(kept).eps + 64 * EPS
                agree(got, want, ulps=1, absolute=spread, says=f"{name}: {key}")


def sgd(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, momentum = DTYPES[match["type"]], bool(match["momentum"])
    lists = {"params": _list(name, dtype, "params", -1, 1), "grads": _list(name, dtype, "grads", -1, 1)}
    if momentum:
        lists["momentum_buffer_list"] = _list(name, dtype, "momentum", -1, 1)
    wides = {key: [wide(one).clone() for one in tensors] for key, tensors in lists.items()}
    addresses = {key: _addresses(tensors) for key, tensors in lists.items()}
    args = torch.frombuffer(bytearray(witness.struct(name, 0, **addresses)), dtype=torch.uint8)
    numbers: dict[str, Any] = {"weight_decay": 0.1, "momentum": 0.9, "lr": 0.01, "dampening": 0.2}
    taken = numbers if momentum else {"weight_decay": 0.1, "lr": 0.01}
    flags = [constant("uchar", flag) for flag in ((1, 0, 0) if momentum else (0,))]
    buffers = [args, _metadata(witness, name), *(constant("float", value) for value in taken.values()), *flags]
    witness.launch(name, [*buffers, torch.ones(1), torch.zeros(1)], (GROUP * len(SIZES),), (GROUP,))
    if not momentum:
        numbers.update(momentum=0.0, dampening=0.0)
    torch._fused_sgd_(
        wides["params"], wides["grads"], wides.get("momentum_buffer_list", []), **numbers, nesterov=momentum,
        maximize=False, is_first_step=False,
    )  # fmt: skip
    for key in lists:
        if key != "grads":
            for got, want in zip(lists[key], wides[key], strict=True):
                agree(got, want, ulps=1, absolute=64 * EPS + 0.5 * torch.finfo(dtype).eps, says=f"{name}: {key}")


def unscale(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    for broken in (False, True):
        lists = _list(name, dtype, "data", -1, 1)
        if broken:
            lists[0][3] = float("inf")
        want = [wide(one) * 0.25 for one in lists]
        found, inverse = torch.zeros(1, dtype=DTYPES[_type(witness, name, "foundInf")]), None
        inverse = torch.tensor([0.25], dtype=DTYPES[_type(witness, name, "invScale")])
        if match["single"]:
            witness.launch(name, [lists[0], found, inverse], (SIZES[0],))
            lists, want = lists[:1], want[:1]
        else:
            args = witness.struct(name, 0, data=_addresses(lists))
            buffers = [args, _metadata(witness, name), found, inverse]
            witness.launch(name, buffers, (GROUP * len(SIZES),), (GROUP,))
        for got, expected in zip(lists, want, strict=True):
            agree(got, expected, says=name)
        assert bool(found[0] == 1) == broken, name


def _type(witness: Witness, name: str, argument: str) -> str:
    (found,) = (one.type for one in witness.described(name).arguments if one.name == argument)
    return found


def update_scale(witness: Witness, name: str, match: re.Match[str]) -> None:
    for bad, tracked in ((0.0, 0), (0.0, 4), (1.0, 3)):
        scale = torch.tensor([8.0], dtype=DTYPES[_type(witness, name, "scale")])
        tracker = torch.tensor([tracked], dtype=torch.int32)
        found = torch.tensor([bad], dtype=DTYPES[_type(witness, name, "foundInf")])
        kinds = [_type(witness, name, one) for one in ("scaleGrowthFactor", "scaleBackoffFactor")]
        numbers = [constant(kinds[0], 2.0), constant(kinds[1], 0.5), constant("int", 5)]
        want, count = torch.tensor([8.0]), torch.tensor([tracked], dtype=torch.int32)
        torch._amp_update_scale_(want, count, torch.tensor([bad]), 2.0, 0.5, 5)
        witness.launch(name, [scale, tracker, found, *numbers], (1,))
        agree(scale, want, says=name)
        agree(tracker, count, says=name)


CASES = (
    Case(rf"fused_adam(?P<w>w)?(?P<amsgrad>_amsgrad)?_{_TYPED}_(?P<steps>{TYPE})", adam),
    Case(rf"fused_sgd(?P<momentum>_momentum)?_{_TYPED}", sgd),
    Case(rf"ampNonFiniteCheckAndUnscale(?P<single>Single)?_{_TYPED}", unscale),
    Case(rf"ampUpdateScale_{_TYPED}", update_scale),
)
