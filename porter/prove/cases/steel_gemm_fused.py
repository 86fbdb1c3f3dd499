# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the fused GEMM, D = alpha A B + beta C, on simdgroup matrices and on the GPU's matrix units (NAX).

The constants say what a launch is: how many batch dimensions there are, whether C is added, scaled, and which of M, N
and K the tile divides. Where it does not, there is one whole tile and a part of one, or a part alone. C is a matrix, a
vector that every row adds, or stored column by column. Some launches walk through the tiles in swizzled order.

NAX tiles are large: sizes end within a simdgroup's share of the only one, and some simdgroups have none. Its steps
along K are up to 512 long; there the numbers are multiples of 1/8, whose sums float32 holds exactly.

Behind C lie a tile's worth of rows of NaN: where M is not aligned, upstream's epilogue reads rows of C past the last
one, and drops what it makes of them (`apply_epilogue_safe` in steel/gemm/mma.h compares columns alone; our sanitizer
found it). A case without them would read whatever lies there.

Nothing is expected of complex64 with C: upstream's epilogue computes in float, so that the imaginary part is lost (all
of it comes out as 0, on both sides). Its host never asks for that: AddMM refuses what is not real (matmul.cpp, line
1102), and the operator makes a product and a sum of it (mlx/ops.cpp, line 5131).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import shape, vector
from porter.prove.cases.matrices import (
    Numbers,
    Sizes,
    Stack,
    chosen,
    eighths,
    gemm_params,
    grid,
    group,
    laid_out,
    product,
    stack,
    tiles,
    uniform,
)
from porter.prove.cases.values import Array, empty, encode
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = mlx_arrays.WITNESS

ALPHA, BETA = 0.75, -0.5
LONG = 32
"""Steps along K that are longer are those of NAX."""


def launches(request: Request) -> Iterator[Launch]:
    """A launch for each chosen combination of constants; NaN and infinity in one of a thorough request."""
    rng = request.rng()
    real = request.axes["dtype"] != "complex64"
    for i, constants in enumerate(chosen(request)):
        yield _launch(request, rng, constants, i, special=request.thorough and real and i == 1)


def sizes(request: Request, constants: Mapping[str, Value], number: int) -> tuple[int, int, int]:
    """M, N, K as the constants want them: `align_K` two steps, else one and a part; a part alone in every third."""
    bm, bn, bk = tiles(request)
    part = number % 3 == 2
    if bk > LONG:
        m = bm if constants.get("align_M") else 5 if part else bm - 29
        n = bn if constants.get("align_N") else 9 if part else bn - 27
        return m, n, bk if constants.get("align_K") else 45 if part else bk + 37
    m = bm if constants.get("align_M") else bm - 3 if part or constants.get("has_batch") else bm + 5
    n = bn if constants.get("align_N") else bn - 5 if part else bn + 3
    k = 2 * bk if constants.get("align_K") else bk - 1 if part else bk + 5
    return m, n, k


def _launch(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    dtype, axes = str(request.axes["dtype"]), request.axes
    m, n, k = sizes(request, constants, number)
    numbers: Numbers = eighths if tiles(request)[2] > LONG else uniform
    batch, of_a, of_b, of_c = _batches(bool(constants["has_batch"]))
    padding, swizzle = 3 * (number % 2), int(request.thorough and number % 4 == 3)
    a = stack(
        rng,
        of_a,
        m,
        k,
        dtype,
        transposed=bool(axes["transpose_a"]),
        padding=padding,
        special=special,
        numbers=numbers,
    )
    b = stack(rng, of_b, k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding, numbers=numbers)
    buffers: dict[int, Array | bytes] = {
        0: a.stored,
        1: b.stored,
        3: empty((*batch, m, n), dtype),
        4: gemm_params(
            request,
            M=m,
            N=n,
            K=k,
            lda=a.leading,
            ldb=b.leading,
            batch_stride_a=0 if constants["has_batch"] else a.strides[-1],
            batch_stride_b=0 if constants["has_batch"] else b.strides[-1],
            batch_ndim=len(batch),
            swizzle_log=swizzle,
        ),
    }
    wanted, strides = product(a.values, b.values), (*a.strides, *b.strides)
    operands: tuple[Any, ...] = (a.values, b.values)
    how = ""
    if constants["use_out_source"]:
        how, c, ldc, fdc = _source(rng, of_c, m, n, dtype, numbers, number)
        alpha, beta = (ALPHA, BETA) if constants["do_axpby"] else (1.0, 1.0)
        behind = encode(np.full(tiles(request)[0] * ldc, np.nan), dtype)
        stride = 0 if constants["has_batch"] else c.strides[-1]
        buffers |= {
            2: np.concatenate([c.stored.reshape(-1), behind]),
            5: request.struct("GEMMAddMMParams", ldc=ldc, fdc=fdc, batch_stride_c=stride, alpha=alpha, beta=beta),
        }
        wanted, strides = alpha * wanted + beta * c.values, (*strides, *c.strides)
        operands = (*operands, c.values, alpha, beta)
    if constants["has_batch"]:
        buffers |= {6: shape(batch), 7: vector(strides)}
    true = ", ".join(name for name, value in constants.items() if value)
    return Launch(
        what=f"{m} x {n} x {k}{how}{', NaN and infinity' if special else ''}; true: {true or 'none'}",
        buffers=buffers,
        threads=grid(request, m, n, int(np.prod(batch)), swizzle),
        group=group(request),
        outputs=(Output(3, dtype),),
        constants=constants,
        notes={"wanted": wanted, "operands": operands},
    )


def _batches(stacked: bool) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """The batch, and those of A, B and C: two dimensions of which each operand repeats another, or one."""
    return ((2, 2), (2, 1), (1, 2), (2, 1)) if stacked else ((2,), (1,), (2,), (2,))


def _source(
    rng: np.random.Generator, batch: Sizes, m: int, n: int, dtype: str, numbers: Numbers, number: int
) -> tuple[str, Stack, int, int]:
    """C, and its strides from row to row and from column to column."""
    if number % 3 == 1:
        c = laid_out(numbers(rng, (*batch, 1, n), dtype), dtype)
        return ", C a row", c, 0, 1
    c = stack(rng, batch, m, n, dtype, transposed=number % 3 == 2, padding=2, numbers=numbers)
    return (", C by columns", c, 1, c.leading) if number % 3 == 2 else (", C a matrix", c, c.leading, 1)


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """alpha A B + beta C in float64 (complex128); None where that is not what the kernel computes (see above)."""
    if request.axes["dtype"] == "complex64" and launch.constants["use_out_source"]:
        return None
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 3, wanted, mlx_arrays.product(*launch.notes["operands"]))
    return {3: wanted}
