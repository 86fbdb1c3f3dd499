# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the convolution in three dimensions as an implicit GEMM: rows are output positions, columns output
channels of a group, and K goes over filter elements and, inside, channels of a group.

The kernels step through channels by the tile's bk, so that these are a multiple of it. The loader walks through the
input by four jumps (to the next filter column, row, plane, and channels), which the host computes. `filter_s` is for
filters of at most 16 x 16 x 16, of which it keeps a mask for each direction, `filter_l` for any.

Only tiles of 8 columns look at each weight's row alone; the wider ones read whole tiles of weights, so that theirs
here are whole tiles.
"""

from __future__ import annotations

import dataclasses
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
    """A padded 2 x 3 x 2 filter, and a flipped one; `thorough`: strides and dilations, groups, and filters as long as
    the loader is for, in each direction."""
    rng = request.rng()
    _, bn, bk = tiles(request)
    outputs = 5 if bn == 8 else bn
    yield _launch(request, rng, plain(2, bk, outputs, (3, 4, 5), (2, 3, 2), padding=(1, 1, 1)))
    turned = plain(1, bk, outputs, (3, 4, 4), (2, 2, 3), padding=(1, 1, 1), dilation=(1, 2, 1), flip=True)
    yield _launch(request, rng, turned)
    if request.thorough:
        yield _launch(
            request,
            rng,
            plain(1, 2 * bk, outputs, (3, 9, 8), (1, 2, 3), stride=(2, 1, 3), padding=(0, 1, 2), dilation=(2, 3, 2)),
        )
        wide = 2 * (8 if bn == 8 else bn)
        yield _launch(request, rng, plain(1, 2 * bk, wide, (2, 3, 6), (2, 1, 2), padding=(1, 0, 1), groups=2))
        long = 16 if request.axes["small_filter"] else 17
        for i in range(3):
            filters = tuple(np.roll((long, 1, 2), i).tolist())
            yield _launch(
                request, rng, plain(1, bk, outputs, tuple(one + 1 for one in filters), filters), numbers=eighths
            )


def _launch(request: Request, rng: np.random.Generator, case: Convolution, numbers: Numbers = uniform) -> Launch:
    dtype = str(request.axes["dtype"])
    bm, bn, bk = tiles(request)
    values, weights = numbers(rng, case.in_shape, dtype), numbers(rng, case.weight_shape, dtype)
    m = case.batch * int(np.prod(case.out_size))
    n = case.outputs // case.groups
    k = int(np.prod(case.weight_shape[1:]))
    params = request.struct(
        "ImplicitGemmConv3DParams",
        M=m,
        N=n,
        K=k,
        gemm_k_iterations=k // bk,
        **jumps(request, case),
        tiles_n=-(-n // bn),
        tiles_m=-(-m // bm),
        swizzle_log=0,
    )
    return Launch(
        what=case.what(),
        buffers={0: values, 1: weights, 2: empty(case.out_shape, dtype), 3: case.struct(request), 4: params},
        threads=grid(request, m, n, case.groups),
        group=group(request),
        outputs=(Output(2, dtype),),
        notes={
            "wanted": case.exact(decode(values, dtype), decode(weights, dtype)),
            "operands": (case, decode(values, dtype), decode(weights, dtype)),
        },
    )


def jumps(request: Request, case: Convolution) -> dict[str, int]:
    """How far the input's loader moves: along a row of the filter, to its next row, to its next plane, and back to its
    first element bk channels on. A flipped filter is walked through from its end."""
    _, _, bk = tiles(request)
    way = -1 if case.flip else 1
    steps = [stride * apart for stride, apart in zip(row_strides(case.in_shape)[1:4], case.dilation, strict=True)]
    plane, row, column = steps
    depth, height, width = (one - 1 for one in case.filter)
    return {
        "inp_jump_w": way * column,
        "inp_jump_h": way * (row - width * column),
        "inp_jump_d": way * (plane - height * row - width * column),
        "inp_jump_c": bk - way * (depth * plane + height * row + width * column),
    }


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The convolution in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 2, wanted, _by_group(*launch.notes["operands"]))
    return {2: wanted}


def _by_group(case: Convolution, values: Array, weights: Array) -> Array:
    """MLX's convolution of each group: on the CPU it has no groups in three dimensions."""
    one = dataclasses.replace(
        case, channels=case.channels // case.groups, outputs=case.outputs // case.groups, groups=1
    )
    parts = zip(np.split(values, case.groups, axis=-1), np.split(weights, case.groups), strict=True)
    return np.concatenate([mlx_arrays.convolution(one, *part) for part in parts], axis=-1)
