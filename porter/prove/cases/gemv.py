# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of matrix times vector: `gemv` (rows of the matrix lie side by side in memory), `gemv_t` (columns do), and
the kernels that pick matrix and vector by indices.

A threadgroup makes bm sm tm results (`gemv_t`: bn sn tn) and goes over the vector in steps of bn sn tn (bm sm tm)
numbers. A thread that would reach past the last result moves back to end with it, so at least tm (tn) are wanted.

With alpha and beta both terms get one sign: then an error relative to them is one relative to their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from porter.prove.cases import mlx_arrays
from porter.prove.cases.arguments import scalar, shape, vector
from porter.prove.cases.matrices import Stack, product, stack
from porter.prove.cases.values import Array, decode, empty, encode
from porter.prove.launch import Launch, Output, Request

WITNESS = mlx_arrays.WITNESS

ALPHA, BETA = 0.75, 0.5  # exact in every dtype


@dataclass(frozen=True)
class Blocks:
    """What one threadgroup does: results of it, numbers of the vector in one step, and results of a thread."""

    results: int
    step: int
    thread: int
    transposed: bool

    @classmethod
    def of(cls, request: Request) -> Blocks:
        b, s, t = ({name: int(request.axes[f"{kind}{name}"]) for name in "mn"} for kind in "bst")
        rows, columns = b["m"] * s["m"] * t["m"], b["n"] * s["n"] * t["n"]
        if request.row.template.startswith("gemv_t"):
            return cls(columns, rows, t["n"], True)
        return cls(rows, columns, t["m"], False)


def launches(request: Request) -> Iterator[Launch]:
    """Sizes that no block divides; `thorough`: those that blocks divide, the smallest, and NaN and infinity."""
    make = _gather if "gather" in request.row.template else _plain
    blocks = Blocks.of(request)
    rng = request.rng()
    yield make(request, rng, blocks, blocks.results + blocks.thread + 1, blocks.step + 5)
    if request.thorough:
        yield make(request, rng, blocks, blocks.results, blocks.step, padding=3)
        yield make(request, rng, blocks, blocks.thread, 3)
        yield make(request, rng, blocks, max(blocks.results - 1, blocks.thread), 1)
        if request.axes["dtype"] != "complex64":
            yield make(request, rng, blocks, blocks.results + blocks.thread, 2 * blocks.step, special=True)


def _plain(
    request: Request,
    rng: np.random.Generator,
    blocks: Blocks,
    results: int,
    inner: int,
    padding: int = 0,
    special: bool = False,
) -> Launch:
    """Batches of one matrix for all, or (`nc`) two batch dimensions of which each operand repeats another."""
    dtype = str(request.axes["dtype"])
    batch, one, other = ((2, 2), (2, 1), (1, 2)) if request.axes["nc"] else ((2,), (1,), (2,))
    matrix = stack(rng, one, results, inner, dtype, transposed=blocks.transposed, padding=padding, special=special)
    operand = stack(rng, other, inner, 1, dtype, transposed=True)
    exact = product(matrix.values, operand.values)[..., 0]
    with_bias = bool(request.axes["axpby"])
    bias = _bias(rng, exact, dtype)
    buffers = _common(request, blocks, matrix, operand, exact.size, results, inner)
    steps = [int(np.prod(batch[i + 1 :])) * 2 * results for i in range(len(batch))]
    buffers |= {
        2: bias if with_bias else scalar(0, dtype),
        9: scalar(len(batch)),
        10: shape(batch),
        11: vector(operand.strides),
        12: vector(matrix.strides),
        13: vector(steps),
        14: scalar(2),
    }
    operands: tuple[Any, ...] = (matrix.values, operand.values)
    wanted = exact
    if with_bias:
        operands = (*operands, decode(bias[..., ::2], dtype)[..., None], ALPHA, BETA)
        wanted = ALPHA * exact + BETA * operands[2][..., 0]
    notes = {"wanted": wanted, "operands": operands, "picked": {}}
    return _launch(request, blocks, buffers, results, batch, notes, f"{results} x {inner}", padding, special)


def _bias(rng: np.random.Generator, exact: Array, dtype: str) -> Array:
    """A bias with a NaN behind every number (its stride is two), of the signs of what it is added to."""
    size = (*exact.shape, 2)
    numbers = np.abs(rng.uniform(0, 1, exact.shape))
    if dtype == "complex64":
        signed = numbers * np.sign(exact.real) + 1j * rng.uniform(0, 1, exact.shape) * np.sign(exact.imag)
    else:
        signed = np.where(np.isnan(exact), 1.0, np.copysign(numbers, exact))
    out = np.full(size, np.nan, signed.dtype)
    out[..., 0] = signed
    return encode(out.reshape(*exact.shape[:-1], -1), dtype)


def _gather(
    request: Request,
    rng: np.random.Generator,
    blocks: Blocks,
    results: int,
    inner: int,
    padding: int = 0,
    special: bool = False,
) -> Launch:
    """Indices in two dimensions (the vector's are the same along the second) of 2 x 2 matrices and 4 vectors; or, with
    padding or special values, in one dimension, every other one of a buffer, of 4 matrices and 2 x 2 vectors."""
    dtype = str(request.axes["dtype"])
    flat = special or padding > 0
    of_matrices, of_vectors = ((4,), (2, 2)) if flat else ((2, 2), (4,))
    matrix = stack(
        rng, of_matrices, results, inner, dtype, transposed=blocks.transposed, padding=padding, special=special
    )
    operand = stack(rng, of_vectors, inner, 1, dtype, transposed=True)
    batch: tuple[int, ...]
    if flat:
        batch, strides = (3,), [1, 2]
        vectors, matrices = np.array([2, 0, 1], np.uint32), np.array([3, 9, 1, 9, 0], np.uint32)
        indices = {"lhs": matrices[::2], "rhs": vectors}
    else:
        batch, strides = (2, 2), [1, 0, 2, 1]
        vectors, matrices = np.array([3, 0], np.uint32), np.array([1, 3, 0, 2], np.uint32)
        indices = {"lhs": matrices, "rhs": np.repeat(vectors, 2)}
    buffers = _common(request, blocks, matrix, operand, int(np.prod(batch)) * results, results, inner)
    buffers |= {
        2: scalar(0, dtype),
        9: scalar(len(batch)),
        10: shape((*batch, results, 1)),
        11: vector(strides),
        12: scalar(len(of_vectors)),
        13: shape([*of_vectors, inner, 1]),
        14: vector([*operand.strides, 1, 1]),
        15: scalar(len(of_matrices)),
        16: shape([*of_matrices, results, inner]),
        17: vector([*matrix.strides, matrix.leading, 1]),
        18: vectors,
        19: matrices,
    }
    every = matrix.values.reshape(4, results, inner), operand.values.reshape(4, inner, 1)
    wanted = product(every[0][indices["lhs"]], every[1][indices["rhs"]])[..., 0]
    notes = {"wanted": wanted, "operands": every, "picked": indices}
    return _launch(request, blocks, buffers, results, batch, notes, f"{results} x {inner}", padding, special)


def _common(
    request: Request, blocks: Blocks, matrix: Stack, operand: Stack, size: int, results: int, inner: int
) -> dict[int, Array | bytes]:
    return {
        0: matrix.stored,
        1: operand.stored,
        3: empty(size, str(request.axes["dtype"])),
        4: scalar(inner),
        5: scalar(results),
        6: scalar(matrix.leading),
        7: scalar(ALPHA, "float32"),
        8: scalar(BETA, "float32"),
    }


def _launch(
    request: Request,
    blocks: Blocks,
    buffers: Mapping[int, Array | bytes],
    results: int,
    batch: tuple[int, ...],
    notes: Mapping[str, Any],
    what: str,
    padding: int,
    special: bool,
) -> Launch:
    groups = -(-results // blocks.results)
    bn, bm = int(request.axes["bn"]), int(request.axes["bm"])
    how = (f", leading dimension {padding} longer" if padding else "") + (", NaN and infinity" if special else "")
    return Launch(
        what=f"{what}, batch {'x'.join(map(str, batch))}{how}",
        buffers=buffers,
        threads=(32 * groups, bn, bm * int(np.prod(batch))),
        group=(32, bn, bm),
        outputs=(Output(3, str(request.axes["dtype"])),),
        notes=notes,
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """The products in float64 (complex128)."""
    wanted = launch.notes["wanted"]
    if request.thorough:
        mlx_arrays.confirm(request, launch, 3, wanted, _by_mlx(*launch.notes["operands"], **launch.notes["picked"]))
    return {3: wanted}


def _by_mlx(matrices: Array, vectors: Array, *rest: Any, lhs: Array | None = None, rhs: Array | None = None) -> Array:
    """The same by MLX's arrays, whose gather_mm is for real numbers on the CPU."""
    if lhs is None or rhs is None:
        return mlx_arrays.product(matrices, vectors, *rest)
    if np.iscomplexobj(matrices):
        return mlx_arrays.product(matrices[lhs], vectors[rhs])
    return mlx_arrays.gathered(matrices, vectors, lhs, rhs)
