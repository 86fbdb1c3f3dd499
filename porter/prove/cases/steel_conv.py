# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the convolution as an implicit GEMM: rows are output positions, columns output channels of a group, and K
goes over filter elements and, inside, channels of a group.

Kernels for 1 to 4 channels per group take K in one piece; the others step through channels by the tile's bk, so that
these are a multiple of it. That loader walks through the input by three jumps (to the next filter column, row, and
channels), which the host computes. `filter_s` is for filters of at most 16 x 16, `filter_l` for any.

Only tiles of 8 columns look at each weight's row alone; the wider ones read whole tiles of weights, so that theirs
here are whole tiles.

A flipped filter has no padding in the cases of `channel_l_filter_l`: that loader asks whether the place of the filter's
element counted from the front lies within the input, and reads the one counted from the end (upstream's defect, in
steel/conv/loaders/loader_channel_l.h; `filter_s` asks rightly). With padding it reads outside of the input, on both
sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import row_strides
from porter.prove.cases.convolution import Convolution, plain
from porter.prove.cases.matrices import Numbers, eighths, grid, group, tiles, uniform
from porter.prove.cases.values import Array, decode, empty
from porter.prove.launch import Launch, Output, Request

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """A padded 3 x 2 filter; `thorough`: strides and dilations, groups, a flipped filter, and whole tiles."""
    rng = request.rng()
    _, bn, bk = tiles(request)
    few = int(request.axes["n_channels"])
    channels = few or bk
    outputs = 5 if bn == 8 else bn
    yield _launch(request, rng, plain(2, channels, outputs, (5, 6), (3, 2), padding=(1, 1)))
    if request.thorough:
        more = few or 2 * bk
        yield _launch(
            request,
            rng,
            plain(1, more, outputs, (9, 8), (2, 3), stride=(2, 1), padding=(1, 2), dilation=(3, 2)),
        )
        yield _launch(
            request,
            rng,
            plain(1, 2 * channels, 2 * (8 if bn == 8 else bn), (4, 8), (1, 2), padding=(0, 1), groups=2),
        )
        around = (0, 0) if request.axes["channel"] == "l" and not request.axes["small_filter"] else (1, 1)
        yield _launch(
            request, rng, plain(1, channels, outputs, (4, 6), (3, 3), padding=around, dilation=(1, 2), flip=True)
        )
        size = (17, 2) if not request.axes["small_filter"] else (16, 2)
        yield _launch(request, rng, plain(1, channels, outputs, (size[0] + 1, 4), size), numbers=eighths)


def _launch(request: Request, rng: np.random.Generator, case: Convolution, numbers: Numbers = uniform) -> Launch:
    dtype = str(request.axes["dtype"])
    bm, bn, _ = tiles(request)
    values, weights = numbers(rng, case.in_shape, dtype), numbers(rng, case.weight_shape, dtype)
    m = case.batch * case.out_size[0] * case.out_size[1]
    n = case.outputs // case.groups
    params = request.struct(
        "ImplicitGemmConv2DParams",
        M=m,
        N=n,
        K=int(np.prod(case.weight_shape[1:])),
        gemm_k_iterations=_steps(request, case),
        **jumps(request, case),
        tiles_n=-(-n // bn),
        tiles_m=-(-m // bm),
        swizzle_log=0,
    )
    return Launch(
        what=case.what(),
        buffers={
            0: values,
            1: weights,
            2: empty(case.out_shape, dtype),
            3: case.struct(request),
            4: params,
        },
        threads=grid(request, m, n, case.groups),
        group=group(request),
        outputs=(Output(2, dtype),),
        notes={
            "wanted": case.exact(decode(values, dtype), decode(weights, dtype)),
            "operands": (case, decode(values, dtype), decode(weights, dtype)),
        },
    )


def _steps(request: Request, case: Convolution) -> int:
    """Steps along K: filter elements of 1, 2 or (3 and 4 channels) 4 places side by side, or bk channels at a time."""
    _, _, bk = tiles(request)
    elements, channels = case.filter[0] * case.filter[1], case.channels // case.groups
    if request.axes["n_channels"]:
        places = channels if channels <= 2 else 4
        return -(-elements * places // bk)
    return elements * (channels // bk)


def jumps(request: Request, case: Convolution) -> dict[str, int]:
    """How far the input's loader moves: along a row of the filter, to its next row, and back to its first element bk
    channels on. A flipped filter is walked through from its end."""
    _, _, bk = tiles(request)
    strides = row_strides(case.in_shape)
    way = -1 if case.flip else 1
    row, column = strides[1] * case.dilation[0], strides[2] * case.dilation[1]
    width, height = case.filter[1] - 1, case.filter[0] - 1
    return {
        "inp_jump_w": way * column,
        "inp_jump_h": way * (row - width * column),
        "inp_jump_c": bk - way * (height * row + width * column),
    }


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The convolution in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 2, wanted, mlx_arrays.convolution(*launch.notes["operands"]))
    return {2: wanted}
