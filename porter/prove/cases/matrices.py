# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Stacks of matrices as GEMM and GEMV kernels read them, and what the generators of their cases share.

Numbers are uniform in [-1, 1], so that the bounds of porter/prove/tolerance.py become numbers: |A| |B| <= K. What lies
between the rows of a matrix, where its leading dimension is larger than a row, is NaN: a kernel that reads it shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from porter.prove.cases.values import Array, decode, encode
from porter.prove.launch import Request
from porter.spec import Value

Sizes = tuple[int, ...]
Numbers = Callable[[np.random.Generator, Sizes, str], Array]


def uniform(rng: np.random.Generator, size: Sizes, dtype: str) -> Array:
    """Numbers in [-1, 1], as `dtype` holds them; of complex64 both parts."""
    values = rng.uniform(-1, 1, size)
    return encode(values + 1j * rng.uniform(-1, 1, size) if dtype == "complex64" else values, dtype)


def eighths(rng: np.random.Generator, size: Sizes, dtype: str) -> Array:
    """Multiples of 1/8 in [-1, 1]: their products and sums of up to 2^17 products are exact in float32, in any order,
    and the products in float16 and bfloat16 too."""
    return encode(rng.integers(-8, 9, size) / 8, dtype)


def number(value: float, dtype: str) -> Any:
    """One number, as `dtype` holds it."""
    return encode(np.array([value]), dtype)[0]


@dataclass(frozen=True)
class Stack:
    """Matrices in memory.

    `stored` is what the kernel reads; `values` what it stands for, batch x rows x columns, in float64 or complex128.
    `leading` is the leading dimension and `strides` those of the batch dimensions, in elements; a batch dimension of
    one that another operand repeats has the stride 0.
    """

    stored: Array
    values: Array
    leading: int
    strides: Sizes

    @property
    def batch(self) -> Sizes:
        return tuple(self.values.shape[:-2])


def stack(
    rng: np.random.Generator,
    batch: Sizes,
    rows: int,
    columns: int,
    dtype: str,
    *,
    transposed: bool = False,
    padding: int = 0,
    special: bool = False,
    numbers: Numbers = uniform,
) -> Stack:
    """Random matrices. `transposed`: stored column by column; `padding`: how much longer a stored row is.

    `special` puts one NaN and one infinity into different rows and columns of the last matrix.
    """
    made = numbers(rng, (*batch, rows, columns), dtype)
    if special:
        flat = made.reshape(-1, rows, columns)
        flat[-1, 0, columns - 1] = number(np.nan, dtype)
        flat[-1, rows - 1, 0] = number(np.inf, dtype)
    return laid_out(made, dtype, transposed=transposed, padding=padding)


def laid_out(numbers: Array, dtype: str, *, transposed: bool = False, padding: int = 0) -> Stack:
    """`numbers` (batch x rows x columns, as `dtype` holds them) in memory."""
    as_stored = np.swapaxes(numbers, -1, -2) if transposed else numbers
    *batch, outer, inner = as_stored.shape
    stored = np.empty((*batch, outer, inner + padding), numbers.dtype)
    stored[...] = number(np.nan, dtype)
    stored[..., :inner] = as_stored
    matrix = outer * (inner + padding)
    strides = tuple(0 if size == 1 else math.prod(batch[i + 1 :]) * matrix for i, size in enumerate(batch))
    return Stack(stored, decode(numbers, dtype), inner + padding, strides)


def product(a: Array, b: Array) -> Array:
    """a @ b in float64 or complex128; what NaN and infinities make is part of it."""
    with np.errstate(all="ignore"):
        return np.asarray(a @ b)


def tiles(request: Request) -> tuple[int, int, int]:
    """bm, bn and bk: rows and columns of the result of one threadgroup, and of the operands in one step."""
    bm, bn, bk = (int(request.axes[name]) for name in ("bm", "bn", "bk"))
    return bm, bn, bk


def group(request: Request) -> tuple[int, int, int]:
    """One threadgroup: wm x wn simdgroups."""
    return 32, int(request.axes["wn"]), int(request.axes["wm"])


def grid(request: Request, m: int, n: int, matrices: int, swizzle: int = 0) -> tuple[int, int, int]:
    """The grid in threads: a threadgroup for each tile of the results (matrices x m x n).

    `swizzle`: log2 of how many rows of tiles lie side by side in the grid; there are then threadgroups without a tile.
    """
    bm, bn, _ = tiles(request)
    one = group(request)
    groups = (-(-n // bn) << swizzle, -(-m // (bm << swizzle)), matrices)
    return groups[0] * one[0], groups[1] * one[1], groups[2] * one[2]


def chosen(request: Request, every: int = 8) -> Iterator[Mapping[str, Value]]:
    """The combinations of constants for the launches of one request.

    A plain request gets one, and the next host name another, so that a family's host names take them in turn (in an
    order of chance, so that transposes and dtypes do not go with them). A thorough one gets all where there are at most
    `every`, else as many, evenly spread.
    """
    known = request.combinations()
    names = list(request.family.axes_by_name)
    start = int(np.random.default_rng(len(names)).permutation(len(names))[names.index(request.row.host_name)])
    count = min(every, len(known)) if request.thorough else 1
    for i in range(count):
        yield known[(start + i * len(known) // count) % len(known)]


def gemm_params(request: Request, **fields: Any) -> bytes:
    """GEMMParams; what is not given follows from the sizes (one batch dimension, no swizzle)."""
    bm, bn, bk = tiles(request)
    m, n, k = fields["M"], fields["N"], fields["K"]
    given = {
        "ldd": n,
        "tiles_n": -(-n // bn),
        "tiles_m": -(-m // bm),
        "batch_stride_a": 0,
        "batch_stride_b": 0,
        "batch_stride_d": m * n,
        "swizzle_log": 0,
        "gemm_k_iterations_aligned": k // bk,
        "batch_ndim": 1,
        **fields,
    }
    return request.struct("GEMMParams", **given)


def block_dims(sizes: Sequence[int], largest: int = 1024) -> tuple[int, int, int]:
    """A threadgroup for a grid: powers of two no larger than its sizes, each axis doubled in turn up to `largest`."""
    out = [1, 1, 1]
    grown = True
    while grown:
        grown = False
        for axis, size in enumerate(sizes):
            if 2 * out[axis] <= size and math.prod(out) < largest:
                out[axis] *= 2
                grown = True
    return out[0], out[1], out[2]
