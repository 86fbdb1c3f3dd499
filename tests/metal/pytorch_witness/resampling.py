# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Upsampling, sampling by grids, and their gradients.

A coordinate is within 4 units of its last place (below 16: 16 * 4 * eps); weights, whose slope is at most 2 a
dimension, are off by as much, and so is a mean of values below 2; a gradient is a sum of up to 64 such terms.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, values, wide

EPS = torch.finfo(torch.float32).eps
ALLOWED = 3 * 2 * 2 * 64 * EPS
aten = torch.ops.aten
_TYPED = rf"(?P<type>{TYPE})"


def _scales(inputs: tuple[int, ...], outputs: tuple[int, ...], *, align: bool) -> list[float]:
    """Of the innermost dimension first."""
    pairs = list(zip(reversed(inputs), reversed(outputs), strict=True))
    return [(a - 1) / (b - 1) if align else a / b for a, b in pairs]


def _gradient(x: torch.Tensor, grad: torch.Tensor, function: Any) -> torch.Tensor:
    given = wide(x).requires_grad_()
    (made,) = torch.autograd.grad(function(given), given, wide(grad))
    return made


def upsample_flat(witness: Witness, name: str, match: re.Match[str]) -> None:
    """One and two dimensions."""
    dtype, flat = DTYPES[match["type"]], match["dimensions"] == "1"
    inputs, outputs = ((9,), (13,)) if flat else ((9, 7), (13, 10))
    mode = {"linear": "linear", "bilinear": "bilinear", "bicubic": "bicubic"}[match["mode"]]
    x = values(name, (2, 3, *inputs), dtype, 0 if dtype == torch.uint8 else -1, 200 if dtype == torch.uint8 else 1)
    grad = values(name, (2, 3, *outputs), dtype, -1, 1, "grad")
    for align in (False,) if match["form"] == "_aa" else (False, True):
        extra = {"antialias": True} if match["form"] == "_aa" else {}

        def reference(given: torch.Tensor, align: bool = align, extra: dict[str, bool] = extra) -> torch.Tensor:
            return torch.nn.functional.interpolate(given, outputs, mode=mode, align_corners=align, **extra)

        backward = match["form"] == "_backward"
        got = torch.zeros_like(x) if backward else torch.zeros_like(grad)
        kinds = ("ulong3", "long3") if flat else ("ulong4", "long4")
        layouts = [constant(kinds[0], *one.stride()) for one in (x, grad)]
        layouts += [constant(kinds[1], *tuple(one.shape)) for one in (x, grad)]
        scales = _scales(inputs, outputs, align=align)
        numbers = [constant("float2", *(scales * 2 if flat else scales)), constant("bool", align)]
        witness.launch(
            name, [got, grad, *layouts, *numbers] if backward else [x, got, *layouts, *numbers], (math.prod(outputs),)
        )
        want = _gradient(x, grad, reference) if backward else reference(x if dtype == torch.uint8 else wide(x))
        if dtype == torch.uint8:  # fixed point, which PyTorch says matches the CPU's to one
            assert (wide(got) - wide(want)).abs().max() <= 1, name
        else:
            # Gradients are added atomically, at most 64 of them, each sum rounded to the type.
            added = 64 * torch.finfo(dtype).eps * _gradient(x, grad.abs(), reference).abs() if backward else 0.0
            agree(got, want, ulps=1, absolute=(64 if backward else 4) * ALLOWED + added, says=name)


def upsample_3d(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, mode = (
        DTYPES[match["type"]],
        {"nearest_exact_3d": "nearest-exact", "nearest_3d": "nearest"}.get(match["mode"], "trilinear"),
    )
    inputs, outputs = (5, 7, 4), (9, 11, 6)
    low, high = (0, 200) if dtype == torch.uint8 else (-1, 1)
    x = values(name, (2, 3, *inputs), dtype, low, high)
    grad = values(name, (2, 3, *outputs), dtype, low, high, "grad")
    align = False
    extra = {"align_corners": align} if mode == "trilinear" else {}

    def reference(given: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(given, outputs, mode=mode, **extra)

    got = torch.zeros_like(x) if match["backward"] else torch.zeros_like(grad)
    params = witness.struct(
        name, 2, input_strides=x.stride(), input_sizes=x.shape, output_strides=grad.stride(), output_sizes=grad.shape,
        scales=_scales(inputs, outputs, align=align), align_corners=align,
    )  # fmt: skip
    witness.launch(name, [got, grad, params] if match["backward"] else [x, got, params], (math.prod(outputs),))
    want = _gradient(x, grad, reference) if match["backward"] else reference(wide(x).double())
    if dtype == torch.uint8:  # each of three dimensions rounds to a whole number
        assert (wide(got) - want).abs().max() <= 1.5 + 0.1, name
    else:
        added = 27 * torch.finfo(dtype).eps * _gradient(x, grad.abs(), reference) if match["backward"] else 0.0
        agree(got, want, ulps=1, absolute=(64 if match["backward"] else 1) * ALLOWED + added, says=name)


_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDING = {"zeros": 0, "border": 1, "reflection": 2}


def _grid(name: str, match: re.Match[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    dtype, flat = DTYPES[match["type"]], match["dimensions"] == "2"
    inputs, outputs = ((6, 7), (5, 9)) if flat else ((4, 6, 7), (3, 5, 4))
    x = values(name, (2, 3, *inputs), dtype, -1, 1)
    grid = values(name, (2, *outputs, len(inputs)), dtype, -1.3, 1.3, "grid")
    return x, grid, values(name, (2, 3, *outputs), dtype, -1, 1, "grad")


def _layout(x: torch.Tensor, grid: torch.Tensor, out: torch.Tensor, *, align: bool) -> dict[str, Any]:
    return {
        "sampler_dims": x.dim() - 2, "output_sizes": out.shape, "output_strides": out.stride(), "input_sizes": x.shape,
        "input_strides": x.stride(), "grid_sizes": grid.shape[: x.dim()], "grid_strides": grid.stride()[: x.dim()],
        "align_corners": align,
    }  # fmt: skip


def _sampler(x: torch.Tensor, mode: int, padding: int, *, align: bool) -> Any:
    function = aten.grid_sampler_2d if x.dim() == 4 else aten.grid_sampler_3d
    return lambda given, grid: function(given, grid, mode, padding, align)


def grid_sample(witness: Witness, name: str, match: re.Match[str]) -> None:
    x, grid, grad = _grid(name, match)
    for align in (False, True):
        got = torch.zeros_like(grad)
        params = witness.struct(name, 3, **_layout(x, grid, got, align=align))
        witness.launch(
            name, [got, x, grid, params], (got.numel() if x.dim() == 5 else got.numel() // 3,)
        )  # in two dimensions a thread does all channels
        sampler = _sampler(x, _MODES[match["mode"]], _PADDING[match["padding"]], align=align)
        agree(got, sampler(wide(x), wide(grid)), ulps=2, absolute=16 * ALLOWED, says=f"{name} align={align}")


def grid_backward(witness: Witness, name: str, match: re.Match[str]) -> None:
    """The gradient of the input (added atomically), of the grid, or in three dimensions both."""
    x, grid, grad = _grid(name, match)
    deep = x.dim() == 5
    mode = _MODES[match["mode"] or "bilinear"]
    paddings = [match["padding"]] if match["padding"] else list(_PADDING)
    for padding in paddings:
        grad_x, grad_grid = torch.zeros_like(x), torch.zeros_like(grid)
        params = witness.struct(
            name, {"grid": 4, "input": 3}.get(match["what"] or "", 5), forward=_layout(x, grid, grad, align=False),
            grad_output_strides=grad.stride(), grad_input_strides=x.stride(),
            grad_grid_strides=grid.stride()[: x.dim()],
            padding_mode=_PADDING[padding], interpolation_mode=mode, compute_grad_input=True, compute_grad_grid=True,
        )  # fmt: skip
        if deep:
            buffers: list[Any] = [grad, x, grid, grad_x, grad_grid, params]
            threads: tuple[int, ...] = (grad.shape[4], grad.shape[2] * grad.shape[3], grad.shape[0])
        else:
            buffers = [grad_grid, grad, x, grid, params] if match["what"] == "grid" else [grad_x, grad, grid, params]
            threads = (grad.numel() // 3,)
        witness.launch(name, buffers, threads)
        given, where = wide(x).requires_grad_(), wide(grid).requires_grad_()
        sampled = _sampler(x, mode, _PADDING[padding], align=False)(given, where)
        want_x, want_grid = torch.autograd.grad(sampled, (given, where), wide(grad))
        if deep or match["what"] == "input":
            eps = torch.finfo(x.dtype).eps
            agree(
                grad_x, want_x, ulps=2, absolute=64 * ALLOWED + 64 * eps * want_x.abs().mean(), says=f"{name} {padding}"
            )
        if deep or match["what"] == "grid":
            agree(grad_grid, want_grid, ulps=4, absolute=64 * ALLOWED, says=f"{name} {padding}: grid")


_PADDED = "(_(?P<padding>zeros|border|reflection))?"
CASES = (
    Case(
        rf"grid_sampler_(?P<dimensions>2)d_backward_(?P<mode>bilinear|nearest|bicubic)_(?P<what>grid|input){_PADDED}_i\d+_{_TYPED}",
        grid_backward,
    ),
    Case(rf"grid_sampler_(?P<dimensions>3)d_backward(?P<mode>)(?P<what>)(?P<padding>)_i\d+_{_TYPED}", grid_backward),
    Case(
        rf"upsample_(?P<mode>bicubic|bilinear|linear)(?P<dimensions>[12])d(?P<form>|_aa|_backward)_{_TYPED}",
        upsample_flat,
    ),
    Case(rf"upsample_(?P<mode>nearest_3d|nearest_exact_3d|trilinear)(?P<backward>_backward)?_{_TYPED}", upsample_3d),
    Case(
        rf"grid_sampler_(?P<dimensions>[23])d_(?P<mode>bilinear|nearest|bicubic)_(?P<padding>zeros|border|reflection)_i\d+_{_TYPED}",
        grid_sample,
    ),
)
