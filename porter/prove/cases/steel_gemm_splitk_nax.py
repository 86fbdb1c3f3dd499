# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of the GEMM on the GPU's matrix units (NAX) that is split along K.

The grid has one dimension: the tiles of the first part, then those of the next. In it rows of tiles may lie side by
side (swizzled); then there are threadgroups without a tile.

A part is as long as the host says, whole steps of the tile or not; the last one takes what is left of K. The host
halves a K of at most 1024, so that an odd one leaves a third part of one element. Its parts are of 1024, 2048 or 4096
elements where K is longer; here they are as long as a step.

The numbers are multiples of 1/8, whose sums float32 holds exactly: so are the parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.matrices import chosen, eighths, group, product, stack, tiles
from porter.prove.cases.steel_gemm_fused import sizes
from porter.prove.cases.values import Array, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = mlx_arrays.WITNESS


@dataclass(frozen=True)
class Split:
    """How long K is, and each part but the last; `swizzle` is log2 of how many rows of tiles lie side by side."""

    k: int
    length: int
    swizzle: int = 0

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Where each part begins and ends."""
        return [(begin, min(begin + self.length, self.k)) for begin in range(0, self.k, self.length)]


def launches(request: Request) -> Iterator[Launch]:
    """A launch for each chosen combination of constants, of the splits in turn (a thorough request: each of both).

    NaN and infinity stand in one of a thorough request; in another one there are several tiles, swizzled.
    """
    rng = request.rng()
    bm, bn, bk = tiles(request)
    every = (
        Split(bk + 45, bk),  # whole steps, then a rest of one
        Split(2 * bk // 4 + 1, bk // 4, 1),  # no whole step, and a part of one element
        Split(2 * bk, bk),
    )
    for i, constants in enumerate(chosen(request)):
        number = i if request.thorough else _turn(constants)
        yield _launch(request, rng, constants, number, every[number % len(every)], request.thorough and i == 1)
    if request.thorough:
        several = {"align_M": True, "align_N": False}
        split = Split(bk + 45, bk, 1)
        yield _launch(request, rng, several, 0, split, special=False, size=(3 * bm, bn + 9))


def _turn(constants: Mapping[str, Value]) -> int:
    """Another number for each combination of constants."""
    return sum(int(bool(value)) << i for i, value in enumerate(constants.values()))


def _launch(
    request: Request,
    rng: np.random.Generator,
    constants: Mapping[str, Value],
    number: int,
    split: Split,
    special: bool,
    size: tuple[int, int] | None = None,
) -> Launch:
    """`size`: M and N, where they do not follow from the constants (a tile, or a part of one)."""
    dtype, axes = str(request.axes["dtype"]), request.axes
    bm, bn, bk = tiles(request)
    m, n = size or sizes(request, constants, number)[:2]
    k, ends = split.k, split.ends
    padding = 2 * (number % 2)
    a = stack(
        rng, (), m, k, dtype, transposed=bool(axes["transpose_a"]), padding=padding, special=special, numbers=eighths
    )
    b = stack(rng, (), k, n, dtype, transposed=bool(axes["transpose_b"]), padding=padding, numbers=eighths)
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
        split_k_partitions=len(ends),
        split_k_partition_stride=m * n,
        split_k_partition_size=split.length,
        swizzle_log=split.swizzle,
        gemm_k_iterations_aligned=split.length // bk,
    )
    true = ", ".join(name for name, value in constants.items() if value)
    parts = [(a.values[:, i:j], b.values[i:j]) for i, j in ends]
    return Launch(
        what=f"{m} x {n} x {k}, parts {ends}{', NaN and infinity' if special else ''}; true: {true or 'none'}",
        buffers={0: a.stored, 1: b.stored, 2: empty((len(ends), m, n), "float32"), 3: params},
        threads=_grid(request, m, n, len(ends), split.swizzle),
        group=group(request),
        outputs=(Output(2, "float32"),),
        constants=constants,
        notes={"wanted": np.stack([product(*part) for part in parts]), "parts": parts},
    )


def _grid(request: Request, m: int, n: int, parts: int, swizzle: int) -> tuple[int, int, int]:
    """In threads: threadgroups along x alone."""
    bm, bn, _ = tiles(request)
    wide, high, deep = group(request)
    across, down = -(-n // bn) << swizzle, -(-m // (bm << swizzle))
    return across * down * parts * wide, high, deep


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products of the parts in float64."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        theirs = np.stack([mlx_arrays.product(a, b) for a, b in launch.notes["parts"]])
        mlx_arrays.confirm(request, launch, 2, wanted, theirs)
    return {2: wanted}
