# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the implicit GEMM for any strides and dilations, of the input too.

With a dilated input only some filter elements fall on a number. Which ones, depends on the output position modulo the
input's dilation over its greatest common divisor with the stride; the grid's third dimension goes over those classes.
For each class and dimension the host says which filter element is the first and how many there are; they are as far
apart as the input's dilation over its greatest common divisor with the filter's.

`align_C` says that bk divides the channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.convolution import Convolution, plain
from porter.prove.cases.matrices import chosen, grid, group, tiles, uniform
from porter.prove.cases.steel_conv import jumps
from porter.prove.cases.values import Array, decode, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = mlx_arrays.WITNESS


def launches(request: Request) -> Iterator[Launch]:
    """A padded filter on a dilated input; `thorough`: each value of the constant, other dilations, strides, flipped."""
    rng = request.rng()
    _, bn, bk = tiles(request)
    for constants in chosen(request):
        channels = bk if constants["align_C"] else bk + 5
        outputs = bn + 3
        yield _launch(
            request,
            rng,
            constants,
            plain(2, channels, outputs, (4, 3), (3, 2), padding=(2, 1), input_dilation=(2, 3)),
        )
        if request.thorough:
            yield _launch(
                request,
                rng,
                constants,
                plain(1, 2 * channels, bn, (5, 5), (3, 3), stride=(3, 2), padding=(2, 3), dilation=(2, 1), flip=True),
            )
            yield _launch(
                request,
                rng,
                constants,
                plain(1, channels, bn - 3, (4, 4), (4, 2), stride=(2, 4), dilation=(3, 2), input_dilation=(4, 2)),
            )


def _launch(request: Request, rng: np.random.Generator, constants: Mapping[str, Value], case: Convolution) -> Launch:
    dtype = str(request.axes["dtype"])
    bm, bn, bk = tiles(request)
    values, weights = uniform(rng, case.in_shape, dtype), uniform(rng, case.weight_shape, dtype)
    classes = [_classes(case, d) for d in range(2)]
    apart = [between // math.gcd(between, f) for between, f in zip(case.input_dilation, case.dilation, strict=True)]
    adjusted = [-(-size // len(one)) for size, one in zip(case.out_size, classes, strict=True)]
    m = case.batch * adjusted[0] * adjusted[1]
    n = case.outputs
    buffers: dict[int, Array | bytes] = {
        0: values,
        1: weights,
        2: empty(case.out_shape, dtype),
        3: case.struct(request),
        4: request.struct(
            "ImplicitGemmConv2DParams",
            M=case.batch * case.out_size[0] * case.out_size[1],
            N=n,
            K=int(np.prod(case.weight_shape[1:])),
            gemm_k_iterations=-(-case.channels // bk),
            **jumps(request, case),
            tiles_n=-(-n // bn),
            tiles_m=-(-m // bm),
            swizzle_log=0,
        ),
        5: request.struct(
            "Conv2DGeneralJumpParams",
            f_wgt_jump_h=apart[0],
            f_wgt_jump_w=apart[1],
            f_out_jump_h=len(classes[0]),
            f_out_jump_w=len(classes[1]),
            adj_out_h=adjusted[0],
            adj_out_w=adjusted[1],
            adj_out_hw=adjusted[0] * adjusted[1],
            adj_implicit_m=m,
        ),
    }
    for slot, one, step in ((6, classes[0], apart[0]), (7, classes[1], apart[1])):
        length = case.filter[slot - 6]
        rows = [(first, -(-(length - first) // step)) for first in one]
        buffers[slot] = b"".join(
            request.struct("Conv2DGeneralBaseInfo", weight_base=first, weight_size=count) for first, count in rows
        )
    return Launch(
        what=f"{case.what()}; align_C {str(constants['align_C']).lower()}",
        buffers=buffers,
        threads=grid(request, m, n, len(classes[0]) * len(classes[1])),
        group=group(request),
        outputs=(Output(2, dtype),),
        constants=constants,
        notes={
            "wanted": case.exact(decode(values, dtype), decode(weights, dtype)),
            "operands": (case, decode(values, dtype), decode(weights, dtype)),
        },
    )


def _classes(case: Convolution, d: int) -> list[int]:
    """For each class of output positions in one dimension the first filter element that falls on a number of the
    (endless) dilated input; the filter's length where none does."""
    between, length = case.input_dilation[d], case.filter[d]
    out = []
    for position in range(between // math.gcd(between, case.stride[d])):
        start = position * case.stride[d] - case.padding[d]
        order = range(length - 1, -1, -1) if case.flip else range(length)
        hits = [i for i, element in enumerate(order) if (start + element * case.dilation[d]) % between == 0]
        out.append(hits[0] if hits else length)
    return out


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The convolution in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 2, wanted, mlx_arrays.convolution(*launch.notes["operands"]))
    return {2: wanted}
