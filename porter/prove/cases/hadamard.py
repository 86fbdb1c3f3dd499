# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases of Hadamard transforms of 2^k numbers: y = H x, H the matrix of Sylvester (H of 2n is [[H, H], [H, -H]]).

`hadamard_n<T, N, radix, read width, stride = 1>`: input (slot 0), output (1), scale (2, float). A threadgroup of
N / radix threads transforms N numbers that lie `stride` apart. With stride 1 the grid is (N / radix, transforms, 1) and
results are scaled; else it is (N / radix, transforms / stride, stride) and they are not.

Sums of the first case are whole numbers of at most 256, which every dtype holds, and the scale is a power of two: every
order of adding gives the same bits. Of the second one the numbers add up to 1. The third one has a NaN, an infinity and
both of them in transforms of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from porter.errors import ProofError
from porter.prove.cases.values import decode, empty, encode
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = "numpy, float64"

WHOLE = 200  # numbers of a transform that are not zero: 1 or -1, so that no sum is beyond 256


def launches(request: Request) -> Iterator[Launch]:
    if request.row.template != "hadamard_n":
        raise ProofError(f"{request.row.template} is no transform of a power of two", where=request.row.host_name)
    rng, length, stride = request.rng(), *_sizes(request)
    yield _launch(request, "whole numbers", _whole(rng, (2, length, stride)), 0.5)
    if request.thorough:
        yield _launch(request, "numbers that round", _rounding(rng, (3, length, stride)), 1.0)
        yield _launch(request, "NaN and infinities", _special(rng, (3, length, stride)), 0.25)


def _sizes(request: Request) -> tuple[int, int]:
    """Numbers of a transform, and how far apart they lie."""
    numbers = [int(argument) for argument in request.row.arguments[1:]]
    return numbers[0], numbers[3] if len(numbers) > 3 else 1


def _whole(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    values = rng.choice([-1.0, 1.0], shape)
    values[:, WHOLE:] = 0
    return np.asarray(rng.permuted(values, axis=1))


def _rounding(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    values = rng.standard_normal(shape)
    # A little less than 1, so that rounding to the dtype does not make more of it.
    return np.asarray(values / (1.01 * np.abs(values).sum(axis=1, keepdims=True)))


def _special(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    values = _whole(rng, shape)
    values[0, 0], values[1, -1], values[2, 0], values[2, -1] = np.nan, np.inf, np.inf, -np.inf
    return values


def _launch(request: Request, what: str, values: Array, scale: float) -> Launch:
    """`values`: (batch, N, stride). `scale` is given to the kernel, which uses it for stride 1 only."""
    dtype = str(request.axes["dtype"])
    batch, length, stride = values.shape
    radix = int(request.row.arguments[2])
    buffers: dict[int, Array | bytes] = {
        0: encode(values.reshape(-1), dtype),
        1: empty(values.size, dtype),
        2: np.array([scale], np.float32),
    }
    grid = (length // radix, batch, stride)
    what = f"{what}: {batch} x {length}, stride {stride}"
    return Launch(what, buffers, grid, (length // radix, 1, 1), (Output(1, dtype),), notes={"shape": values.shape})


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    dtype = launch.outputs[0].dtype
    values = decode(np.asarray(launch.buffers[0]), dtype).reshape(launch.notes["shape"])
    scale = float(np.asarray(launch.buffers[2])[0]) if values.shape[2] == 1 else 1.0
    with np.errstate(invalid="ignore"):
        return {1: transform(values) * scale}


def transform(values: Array) -> Array:
    """H times `values` along axis 1, whose length is a power of two; in float64."""
    length = values.shape[1]
    if length == 1:
        return values
    left, right = transform(values[:, : length // 2]), transform(values[:, length // 2 :])
    return np.concatenate([left + right, left - right], axis=1)
