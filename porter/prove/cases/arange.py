# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases of evenly spaced numbers: out[i] = start + i * step, one thread an element.

Arguments: start (slot 0), step (1), both of the output's dtype, and the output (2). The kernel multiplies in the type
that C++ gives the product of a 32-bit unsigned index and the dtype: unsigned arithmetic wraps, floats round the product
and the sum. Signed 64-bit numbers are kept from overflowing. Size 0 is not dispatched by Metal; the smallest is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from porter.prove.cases import strides
from porter.prove.cases.reference import from_mlx
from porter.prove.cases.values import FLOATS, NUMPY, decode, empty, encode
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = "MLX's arrays where every number is exact, else float64 (numpy)"


def launches(request: Request) -> Iterator[Launch]:
    dtype = str(request.axes["dtype"])
    for number, (what, start, step, size) in enumerate(_cases(dtype)):
        if number == 0 or request.thorough:
            yield _launch(dtype, what, start, step, size)


def _cases(dtype: str) -> Sequence[tuple[str, float, float, int]]:
    if dtype in FLOATS:
        return [
            ("fractions that round", 0.1, 0.3, 131),
            ("whole numbers", -3, 2, 97),
            ("one number", 2.5, 1, 1),
            ("downwards", 1, -0.7, 130),
            ("up to infinity", 6e4, 1e3, 33),
            ("a step that is no number", 1, np.nan, 3),
            ("denormal steps", 0, float(2.0**-24), 40),
        ]
    kind = np.iinfo(NUMPY[dtype])
    cases = [("whole numbers", 3, 2, 97), ("one number", 7, 1, 1), ("no step", 5, 0, 40)]
    if kind.min < 0:
        cases.append(("downwards", -3, -2, 50))
    if kind.bits < 64 or kind.min == 0:  # the sum is made unsigned, or wider
        cases.append(("past the largest number", int(kind.max) - 10, 3, 33))
    return cases


def _launch(dtype: str, what: str, start: float, step: float, size: int) -> Launch:
    grid, group = strides.line(size)
    held = [
        encode(np.array([one]), dtype) if dtype in FLOATS else np.array([one], NUMPY[dtype]) for one in (start, step)
    ]
    buffers: dict[int, Array | bytes] = {0: held[0], 1: held[1], 2: empty(size, dtype)}
    return Launch(f"{what}, size {size}", buffers, grid, group, (Output(2, dtype),))


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """MLX's `arange` where start and step are whole; the formula where they are not, and past the largest integer."""
    output = launch.outputs[0]
    start, step = (decode(np.asarray(launch.buffers[slot]), output.dtype)[0] for slot in (0, 1))
    size = np.asarray(launch.buffers[2]).size
    if launch.what.startswith("whole"):
        return {2: _mlx(start, step, size, output.dtype)}
    if output.dtype in FLOATS:
        with np.errstate(all="ignore"):
            return {2: start + np.arange(size) * step}
    bits = 8 * np.dtype(NUMPY[output.dtype]).itemsize
    numbers = [(int(start) + i * int(step)) % 2**bits for i in range(size)]
    return {2: np.array(numbers, np.uint64).astype(f"u{bits // 8}").view(NUMPY[output.dtype])}


def _mlx(start: float, step: float, size: int, dtype: str) -> Array:
    import mlx.core as mx

    first, each = int(start), int(step)
    return from_mlx(mx.arange(first, first + size * each, each, getattr(mx, dtype)), dtype)
