# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the GEMM that is split along K, and of the kernels that sum its parts.

A part is a whole number of the tile's steps long; the last one takes what is left of K, steps and a rest of one. The
sum goes over the parts of each element; with alpha and beta it is alpha sum + beta C, both of one sign, so that an
error relative to the terms is one relative to the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import scalar
from porter.prove.cases.matrices import block_dims, grid, group, number, product, stack, tiles, uniform
from porter.prove.cases.values import Array, decode, empty, encode
from porter.prove.launch import Launch, Output, Request

WITNESS = mlx_arrays.WITNESS

ALPHA, BETA = 0.75, 0.5  # exact in every dtype


def launches(request: Request) -> Iterator[Launch]:
    """Parts of one step and a last one with more; `thorough`: also of two steps, one part, and NaN and infinity."""
    rng = request.rng()
    real = request.axes["dtype"] != "complex64"
    if request.row.template == "gemm_splitk":
        yield _product(request, rng, parts=3, steps=1, more=1)
        if request.thorough:
            yield _product(request, rng, parts=2, steps=2, more=0, padding=3)
            yield _product(request, rng, parts=1, steps=1, more=0)
            yield _product(request, rng, parts=2, steps=1, more=1, special=real)
        return
    yield _sum(request, rng, parts=3, m=5, n=37)
    if request.thorough:
        yield _sum(request, rng, parts=1, m=1, n=1)
        yield _sum(request, rng, parts=4, m=32, n=64, by_columns=True)
        yield _sum(request, rng, parts=2, m=3, n=7, special=real)


def _product(
    request: Request,
    rng: np.random.Generator,
    parts: int,
    steps: int,
    more: int,
    padding: int = 0,
    special: bool = False,
) -> Launch:
    """`parts` parts of `steps` steps, of which the last has `more` steps and, where K is not aligned, a rest."""
    dtype, axes = str(request.axes["dtype"]), request.axes
    bm, bn, bk = tiles(request)
    m, n = (bm, bn) if axes["mn_aligned"] else (bm + 5, bn - 3)
    length = steps * bk
    k = parts * length + more * bk + (0 if axes["k_aligned"] else 5)
    a = stack(rng, (), m, k, dtype, transposed=bool(axes["transpose_a"]), padding=padding, special=special)
    b = stack(rng, (), k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding)
    ends = [(part * length, k if part == parts - 1 else (part + 1) * length) for part in range(parts)]
    params = request.struct(
        "GEMMSpiltKParams",
        M=m,
        N=n,
        K=k,
        lda=a.leading,
        ldb=b.leading,
        ldc=n,
        tiles_n=-(-n // bn),
        tiles_m=-(-m // bm),
        split_k_partitions=parts,
        split_k_partition_stride=m * n,
        split_k_partition_size=length,
        gemm_k_iterations_aligned=steps,
    )
    return Launch(
        what=f"{m} x {n} x {k} in {parts} parts{', NaN and infinity' if special else ''}",
        buffers={0: a.stored, 1: b.stored, 2: empty((parts, m, n), str(axes["parts"])), 3: params},
        threads=grid(request, m, n, parts),
        group=group(request),
        outputs=(Output(2, str(axes["parts"])),),
        notes={
            "wanted": {2: np.stack([product(a.values[:, i:j], b.values[i:j]) for i, j in ends])},
            "parts": [(a.values[:, i:j], b.values[i:j]) for i, j in ends],
        },
    )


def _sum(
    request: Request,
    rng: np.random.Generator,
    parts: int,
    m: int,
    n: int,
    by_columns: bool = False,
    special: bool = False,
) -> Launch:
    """`parts` parts of m x n numbers. C lies by rows with a gap, or by columns."""
    dtype, kind = str(request.axes["dtype"]), str(request.axes["parts"])
    split = uniform(rng, (parts, m, n), kind)
    if special:
        split[0, 0, 0], split[-1, -1, -1] = number(np.nan, kind), number(np.inf, kind)
    wanted = decode(split, kind).sum(axis=0)
    buffers: dict[int, Array | bytes] = {
        0: split,
        1: empty((m, n), dtype),
        2: scalar(parts),
        3: scalar(m * n),
        4: scalar(n),
    }
    if request.row.template == "gemm_splitk_accum_axpby":
        c = encode(_like(rng, wanted), dtype)
        stored = np.full((n, m + 1) if by_columns else (m, n + 2), number(np.nan, dtype), c.dtype)
        stored[:, : m if by_columns else n] = c.T if by_columns else c
        strides = (1, m + 1) if by_columns else (n + 2, 1)
        buffers |= {5: stored, 6: scalar(strides[0]), 7: scalar(strides[1])}
        buffers |= {8: scalar(ALPHA, "float32"), 9: scalar(BETA, "float32")}
        wanted = ALPHA * wanted + BETA * decode(c, dtype)
    return Launch(
        what=f"{parts} parts of {m} x {n}{', C by columns' if by_columns else ''}{', specials' if special else ''}",
        buffers=buffers,
        threads=(n, m, 1),
        group=block_dims((n, m, 1)),
        outputs=(Output(1, dtype),),
        notes={"wanted": {1: wanted}},
    )


def _like(rng: np.random.Generator, wanted: Array) -> Array:
    """Numbers in [-1, 1] of the signs of `wanted`, of both parts where it is complex."""
    size = rng.uniform(0, 1, wanted.shape)
    if np.iscomplexobj(wanted):
        other = rng.uniform(0, 1, wanted.shape)
        return np.asarray(np.copysign(size, wanted.real) + 1j * np.copysign(other, wanted.imag))
    return np.asarray(np.copysign(size, wanted))


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products of the parts, or their sum, in float64 (complex128)."""
    wanted: Mapping[int, Array] = launch.notes["wanted"]
    if request.thorough and "parts" in launch.notes:
        theirs = np.stack([mlx_arrays.product(a, b) for a, b in launch.notes["parts"]])
        mlx_arrays.confirm(request, launch, 2, wanted[2], theirs)
    return wanted
