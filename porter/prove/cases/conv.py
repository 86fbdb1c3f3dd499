# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the kernels around convolutions.

Unfolding lays out for every output position what the filter sees, channels innermost or (`transpose`) the filter's
elements innermost; it copies and computes nothing. The depthwise kernels convolve each channel alone. Winograd's
transforms go between a tensor and 64 values of each of its tiles (porter/prove/cases/winograd.py).

`depthwise_conv_2d` multiplies in the operands' type and sums in float: with multiples of 1/8 both are exact, and only
such cases say what is expected. Its filter and strides are function constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import scalar, vector
from porter.prove.cases.convolution import Convolution, plain
from porter.prove.cases.matrices import block_dims, chosen, eighths, number, uniform
from porter.prove.cases.values import Array, decode, empty
from porter.prove.cases.winograd import SIZE, TILE, input_transform, output_transform, transform, weight_transform
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = "numpy in float64, and (depthwise) MLX's arrays (CPU)"

_UNFOLDED = {
    1: (
        plain(2, 5, 1, (9,), (3,), stride=(2,), padding=(2,), dilation=(2,)),
        plain(1, 33, 1, (4,), (2,), padding=(1,), input_dilation=(3,), flip=True),
        plain(1, 1, 1, (3,), (3,)),
    ),
    2: (
        plain(2, 5, 1, (5, 4), (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        plain(1, 33, 1, (3, 2), (2, 2), padding=(1, 0), input_dilation=(2, 3), flip=True),
        plain(1, 1, 1, (3, 3), (3, 3)),
    ),
    3: (
        plain(2, 5, 1, (3, 4, 3), (2, 1, 3), stride=(1, 2, 1), padding=(1, 0, 2), dilation=(2, 1, 1)),
        plain(1, 33, 1, (2, 2, 2), (2, 1, 2), padding=(0, 1, 0), input_dilation=(2, 1, 3), flip=True),
        plain(1, 1, 1, (2, 2, 2), (2, 2, 2)),
    ),
}


def launches(request: Request) -> Iterator[Launch]:
    """One launch, of sizes that are no multiple of anything; `thorough`: every constant, dilated and flipped ones."""
    rng = request.rng()
    kernel = request.row.template
    if kernel.startswith("naive_unfold"):
        for case in _UNFOLDED[int(request.axes["n"])][: 3 if request.thorough else 1]:
            yield _unfold(request, rng, case)
    elif kernel == "depthwise_conv_2d":
        for i, constants in enumerate(chosen(request, every=16)):
            yield _depthwise_2d(request, rng, constants, exact=True)
            if request.thorough and i % 4 == 0:
                yield _depthwise_2d(request, rng, constants, exact=False)
    elif kernel == "depthwise_conv_1d":
        yield _depthwise_1d(request, rng, 2, 11, 5, 3)
        if request.thorough:
            yield _depthwise_1d(request, rng, 1, 1, 1, 1)
            yield _depthwise_1d(request, rng, 2, 8, 64, 4)
    else:
        make = {"weight": _weights, "input": _input, "output": _output}[kernel.split("_")[3]]
        yield make(request, rng, False)
        if request.thorough:
            yield make(request, rng, True)


def _unfold(request: Request, rng: np.random.Generator, case: Convolution) -> Launch:
    dtype = str(request.axes["dtype"])
    values = uniform(rng, case.in_shape, dtype)
    wanted = case.patches(values)
    if "transpose" in request.row.template:
        wanted = np.swapaxes(wanted, -1, -2)
    filters, positions = math.prod(case.filter), case.batch * math.prod(case.out_size)
    width = 32 * -(-min(case.channels, 64) // 32)
    return Launch(
        what=case.what(),
        buffers={0: values, 1: empty(wanted.shape, dtype), 2: case.struct(request)},
        threads=(case.channels, filters, positions),
        group=(min(width, case.channels), min(256 // width, filters), 1),
        outputs=(Output(1, dtype),),
        notes={"wanted": {1: decode(wanted, dtype)}},
    )


def _depthwise_2d(request: Request, rng: np.random.Generator, constants: Mapping[str, Value], exact: bool) -> Launch:
    """16 channels and an output of 8 x 8, or of 4 x 16 where the filter is not square: whole threadgroups of 4 x 8."""
    dtype = str(request.axes["dtype"])
    filters = int(constants["ker_h"]), int(constants["ker_w"])
    stride = int(constants["str_h"]), int(constants["str_w"])
    padding = filters[0] // 2, (filters[1] - 1) // 2
    out = (8, 8) if filters[0] == filters[1] else (4, 16)
    size = tuple((o - 1) * s + f - 2 * p for o, s, f, p in zip(out, stride, filters, padding, strict=True))
    case = plain(2, 16, 16, size, filters, stride=stride, padding=padding, groups=16, flip=bool(constants["do_flip"]))
    numbers = eighths if exact else uniform
    values, weights = numbers(rng, case.in_shape, dtype), numbers(rng, case.weight_shape, dtype)
    # `flip` turns the filter here, where everywhere else it turns the way through the input: the same for one channel
    wanted = case.exact(decode(values, dtype), decode(weights, dtype))
    return Launch(
        what=f"{case.what()}{'' if exact else ', any numbers'}",
        buffers={0: values, 1: weights, 2: empty(case.out_shape, dtype), 3: case.struct(request)},
        threads=(16, out[1], out[0] * case.batch),
        group=(8, 8, 4),
        outputs=(Output(2, dtype),),
        constants=constants,
        notes={
            "wanted": {2: wanted} if exact else None,
            "operands": (case, decode(values, dtype), decode(weights, dtype)),
        },
    )


def _depthwise_1d(
    request: Request, rng: np.random.Generator, batch: int, length: int, channels: int, filters: int
) -> Launch:
    """Between the input's rows lie two numbers that are none of it."""
    dtype = str(request.axes["dtype"])
    rows, pitch = length + filters - 1, channels + 2
    values = uniform(rng, (batch, rows, channels), dtype)
    stored = np.full((batch, rows, pitch), number(np.nan, dtype), values.dtype)
    stored[..., :channels] = values
    weights = uniform(rng, (channels, filters, 1), dtype)
    case = plain(batch, channels, channels, (rows,), (filters,), groups=channels)
    return Launch(
        what=case.what(),
        buffers={
            0: stored,
            1: weights,
            2: empty(case.out_shape, dtype),
            3: vector([rows * pitch, pitch, 1], "int64" if request.axes["large"] else "int32"),
            4: scalar(filters),
        },
        threads=(channels, length, batch),
        group=block_dims((channels, length, batch)),
        outputs=(Output(2, dtype),),
        notes={
            "wanted": {2: case.exact(decode(values, dtype), decode(weights, dtype))},
            "operands": (case, decode(values, dtype), decode(weights, dtype)),
        },
    )


def _weights(request: Request, rng: np.random.Generator, more: bool) -> Launch:
    """G g G^T of each filter and channel: O x 3 x 3 x C -> 64 x C x O."""
    dtype = str(request.axes["dtype"])
    channels, outputs = (32, 4) if more else (64, 8)
    weights = uniform(rng, (outputs, 3, 3, channels), dtype)
    tiles = transform(weight_transform().T, np.moveaxis(decode(weights, dtype), -1, 1))
    return Launch(
        what=f"{outputs} filters of {channels} channels",
        buffers={
            0: weights,
            1: empty((SIZE * SIZE, channels, outputs), dtype),
            2: scalar(channels),
            3: scalar(outputs),
        },
        threads=(32 * outputs // 4, 4, 1),
        group=(32, 4, 1),
        outputs=(Output(1, dtype),),
        notes={"wanted": {1: np.moveaxis(tiles.reshape(outputs, channels, -1), (2, 1, 0), (0, 1, 2))}},
    )


def _input(request: Request, rng: np.random.Generator, more: bool) -> Launch:
    """B^T d B of each tile and channel: N x H x W x C -> 64 x tiles x C. Tiles overlap by two."""
    dtype = str(request.axes["dtype"])
    batch, down, across, channels = (1, 1, 3, 64) if more else (2, 2, 1, 32)
    case = plain(batch, channels, 32, (TILE * down + 2, TILE * across + 2), (3, 3))
    values = uniform(rng, case.in_shape, dtype)
    known = decode(values, dtype)
    tiles = [
        known[n, TILE * y : TILE * y + SIZE, TILE * x : TILE * x + SIZE]
        for n in range(batch)
        for y in range(down)
        for x in range(across)
    ]
    made = transform(input_transform(), np.moveaxis(np.stack(tiles), -1, 1))  # tiles x C x 8 x 8
    wanted = np.moveaxis(made.reshape(len(tiles), channels, -1), 2, 0)
    return _tiled(request, case, values, empty(wanted.shape, dtype), wanted, (across, down, batch))


def _output(request: Request, rng: np.random.Generator, more: bool) -> Launch:
    """A^T m A of each tile and channel: 64 x tiles x O -> N x H x W x O. The last tiles are cut, or are whole."""
    dtype = str(request.axes["dtype"])
    batch, height, width, outputs = (1, 6, 12, 64) if more else (2, 7, 5, 32)
    case = plain(batch, 32, outputs, (height + 2, width + 2), (3, 3))
    down, across = -(-height // TILE), -(-width // TILE)
    values = uniform(rng, (SIZE * SIZE, batch * down * across, outputs), dtype)
    tiles = np.moveaxis(decode(values, dtype), 0, -1).reshape(batch, down, across, outputs, SIZE, SIZE)
    made = np.einsum("nyxoij->nyixjo", transform(output_transform(), tiles))
    wanted = made.reshape(batch, TILE * down, TILE * across, outputs)[:, :height, :width]
    return _tiled(request, case, values, empty(wanted.shape, dtype), wanted, (across, down, batch))


def _tiled(
    request: Request,
    case: Convolution,
    values: Array,
    out: Array,
    wanted: Array,
    groups: tuple[int, int, int],
) -> Launch:
    """A threadgroup of 2 x 2 simdgroups for each tile."""
    return Launch(
        what=f"{groups[2]} x {groups[1]} x {groups[0]} tiles, {values.shape[-1]} channels",
        buffers={0: values, 1: out, 2: case.struct(request)},
        threads=(32 * groups[0], 2 * groups[1], 2 * groups[2]),
        group=(32, 2, 2),
        outputs=(Output(1, str(request.axes["dtype"])),),
        notes={"wanted": {1: wanted}},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """What the kernel is for, in float64; None where products are rounded to the operands' type."""
    wanted: Mapping[int, Array] | None = launch.notes["wanted"]
    if request.thorough and wanted is not None and "operands" in launch.notes:
        mlx_arrays.confirm(request, launch, 2, wanted[2], mlx_arrays.convolution(*launch.notes["operands"]))
    return wanted
