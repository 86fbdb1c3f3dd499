# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of rotary position embedding.

A head's row of one position is rotated in pairs, each by its own frequency: neighbours are pairs where `traditional`,
else the halves of what is rotated. A thread of `rope` does one pair of four heads of one position, one of `rope_single`
a pair of one head at one position. What is not rotated, at the end of each row, is left alone. `forward` turns the
other way than its gradient. Where `hs_transpose` the input's heads lie inside its positions: (batch, position, head,
pair).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from porter.prove.cases.arguments import blocks, only, scalar, vector
from porter.prove.cases.values import Array, awkward, decode, empty, ordinary
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

BASE, SCALE = 10000.0, 0.75
HEADS_A_THREAD = 4
WITNESS = "numpy, float64"


@dataclass(frozen=True)
class _Case:
    """`inner`: whether a head's input lies with its pairs outermost, so that no stride is 1. `extremes` have no
    reference: float32 overflows where float64 does not."""

    batch: int
    heads: int
    length: int
    width: int
    rotated: int
    offset: int
    one_offset: bool = True
    inner: bool = False
    frequency_stride: int = 1
    extremes: bool = False


def launches(request: Request) -> Iterator[Launch]:
    """Every combination of the constants; `thorough`: of other strides and widths too, and with extremes."""
    only(request, ("rope", "rope_freqs", "rope_single", "rope_single_freqs"))
    rng = request.rng()
    single = "single" in request.row.template
    first = _Case(1, 5, 1, 48, 40, 7) if single else _Case(2, 6, 5, 40, 40, 3, one_offset=False)
    for constants in request.combinations():
        yield _launch(request, rng, first, constants)
        if request.thorough and single:
            yield _launch(request, rng, replace(first, heads=1, width=64, rotated=64, frequency_stride=2), constants)
            yield _launch(request, rng, replace(first, extremes=True), constants)
        elif request.thorough:
            transposed = bool(constants["hs_transpose"])
            yield _launch(request, rng, replace(first, inner=not transposed, frequency_stride=2), constants)
            yield _launch(request, rng, _Case(1, 1, 33, 48, 32, 0), constants)
            yield _launch(request, rng, replace(first, heads=4, one_offset=True, extremes=True), constants)


def _launch(request: Request, rng: np.random.Generator, case: _Case, constants: Mapping[str, Value]) -> Launch:
    dtype = str(request.axes["dtype"])
    x = _values(rng, case, dtype)
    offsets = np.arange(case.batch, dtype=np.int32) * (0 if case.one_offset else 5) + case.offset
    pairs = case.rotated // 2
    frequencies = rng.uniform(1, 50, pairs * case.frequency_stride).astype(np.float32)
    buffers: dict[int, Array | bytes] = {0: _laid_out(x, case, constants), 1: empty(x.shape, dtype)}
    buffers |= {2: offsets, 3: scalar(SCALE, "float32"), 10: scalar(math.log2(BASE), "float32")}
    if "freqs" in request.row.template:
        buffers |= {10: frequencies, 11: vector([case.frequency_stride])}
    matrix = case.length * case.width
    if "single" in request.row.template:
        buffers[4] = vector([matrix])
        threads = (pairs, case.heads, 1)
    else:
        buffers |= {4: vector(_strides(case, constants)), 5: vector([matrix, case.width, 1])}
        buffers |= {6: vector([0 if case.one_offset else 1]), 7: scalar(case.heads)}
        threads = (pairs, case.length, case.batch * math.ceil(case.heads / HEADS_A_THREAD))
    return Launch(
        what=f"batch {case.batch}, {case.heads} heads, {case.length} positions from {offsets.tolist()}, "
        f"{case.rotated} of {case.width} rotated{', pairs outermost' if case.inner else ''}"
        f"{', extremes' if case.extremes else ''}",
        buffers=buffers,
        threads=threads,
        group=blocks(threads),
        outputs=(Output(1, dtype),),
        constants=constants,
        notes={"x": x, "case": case, "offsets": offsets, "frequencies": frequencies[:: case.frequency_stride]},
    )


def _values(rng: np.random.Generator, case: _Case, dtype: str) -> Array:
    """The operand, (batch, heads, positions, width): awkward numbers first, of which the huge ones are left out where
    there is a reference."""
    size = case.batch * case.heads * case.length * case.width
    values = awkward(rng, size, dtype)
    known = decode(values, dtype)
    huge = np.isfinite(known) & (np.abs(known) > 100)
    if not case.extremes:
        values = np.where(huge, ordinary(rng, size, dtype), values)
    return values.reshape(case.batch, case.heads, case.length, case.width)


def _laid_out(x: Array, case: _Case, constants: Mapping[str, Value]) -> Array:
    """The input's memory."""
    if constants.get("hs_transpose"):
        return np.ascontiguousarray(x.transpose(0, 2, 1, 3))
    return np.ascontiguousarray(x.swapaxes(2, 3)) if case.inner else np.ascontiguousarray(x)


def _strides(case: _Case, constants: Mapping[str, Value]) -> tuple[int, int, int]:
    """The input's strides of a head, a position and a number."""
    if constants["hs_transpose"]:
        return case.width, case.heads * case.width, 1
    matrix = case.length * case.width
    return (matrix, 1, case.length) if case.inner else (matrix, case.width, 1)


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """Each pair, rotated in float64; what is not rotated as it was before."""
    case, dtype = launch.notes["case"], str(request.axes["dtype"])
    if case.extremes:
        return None
    x = decode(launch.notes["x"], dtype)
    out = decode(np.asarray(launch.buffers[1]), dtype).copy()
    pairs = case.rotated // 2
    inverse = BASE ** (-np.arange(pairs) / pairs)
    if "freqs" in request.row.template:
        inverse = 1 / launch.notes["frequencies"].astype(np.float64)
    positions = np.arange(case.length) + launch.notes["offsets"][:, None]
    angles = (SCALE * positions)[:, None, :, None] * inverse
    step = 2 if launch.constants["traditional"] else 1
    first = np.arange(pairs) * step
    second = first + (1 if launch.constants["traditional"] else pairs)
    sine = np.sin(angles) if launch.constants["forward"] else -np.sin(angles)
    with np.errstate(invalid="ignore"):
        out[..., first] = x[..., first] * np.cos(angles) - x[..., second] * sine
        out[..., second] = x[..., first] * sine + x[..., second] * np.cos(angles)
    return {1: out}
