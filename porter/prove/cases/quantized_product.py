# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One product of activations with quantized weights, laid out for any of MLX's kernels of that kind.

`Product` holds the operands of a product y = x w; `arguments` says what each argument of a kernel is, by its name, so
that one layout serves kernels with biases and without, batched and gathering ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from porter.prove.cases.arguments import row_strides, scalar, shape, vector
from porter.prove.cases.quantized_weights import Weights, grid, weights
from porter.prove.cases.values import Array, awkward, decode, empty, encode, ordinary


@dataclass(frozen=True)
class Sizes:
    """y (M, N) = x (M, K) w. `batch`: the axes of a stack of products. `stretched`: x is the same along the first axis
    of the batch, and w along the last. `gather`: the products of `batch` pick their matrices by index. `split`: K is
    done in so many parts, each a product of its own. `special`: x holds the dtype's special numbers.
    """

    M: int
    N: int
    K: int
    batch: tuple[int, ...] = ()
    stretched: bool = False
    gather: bool = False
    split: int = 0
    special: bool = False

    def __str__(self) -> str:
        parts = [f"{self.M} x {self.N} x {self.K}"]
        parts += [f"batch {' x '.join(map(str, self.batch))}"] if self.batch else []
        said = {"stretched": self.stretched, "gathered": self.gather, "special numbers": self.special}
        parts += [word for word, yes in said.items() if yes]
        return ", ".join(parts + ([f"in {self.split} parts"] if self.split else []))


@dataclass(frozen=True)
class Format:
    """How weights are held; `transposed`: as (N, K), so that groups lie along K, else as (K, N)."""

    mode: str
    group_size: int
    bits: int
    dtype: str
    transposed: bool


@dataclass(frozen=True)
class Product:
    """The operands. `x` (stack of x, M, K) as stored; `weights`: a stack of matrices; `lhs` and `rhs` (batch): which
    matrix of either stack each product takes; `exact_rows` (stack of x, M): rows of grid numbers."""

    sizes: Sizes
    format: Format
    x: Array
    weights: Weights
    lhs: Array
    rhs: Array
    exact_rows: Array

    def exact(self) -> tuple[Array, Array]:
        """(y in float64, whether each element is exact but for its last rounding), both (products, M, N)."""
        matrices = self.weights.numbers()
        matrices = np.swapaxes(matrices, -1, -2) if self.format.transposed else matrices
        known: Array = self.weights.exact
        rows, groups = np.asarray(known.all(axis=1)), np.asarray(known.all(axis=0))
        columns = rows if self.format.transposed else np.repeat(groups, self.format.group_size)
        x = decode(self.x, self.format.dtype)
        mask = self.exact_rows[self.lhs][:, :, None] & columns[None, None, :]
        with np.errstate(all="ignore"):
            return x[self.lhs] @ matrices[self.rhs], mask


def product(rng: np.random.Generator, sizes: Sizes, form: Format) -> Product:
    """Random operands: every other row of x is of grid numbers, and about three in four columns of w are exact."""
    count = math.prod(sizes.batch)
    stacks = _stacks(sizes)
    rows = int(np.prod(stacks[0])) * sizes.M
    exact_rows = np.arange(rows) % 2 == 0
    x = np.where(
        exact_rows[:, None], encode(grid(rng, (rows, sizes.K)), form.dtype), ordinary(rng, (rows, sizes.K), form.dtype)
    )
    if sizes.special:
        for one in range(rows):
            x[one, : min(sizes.K, 24)] = np.roll(awkward(rng, 24, form.dtype), one)[: min(sizes.K, 24)]
    exact = _exact_groups(sizes, form)
    held = weights(rng, (int(np.prod(stacks[1])),), exact, form.mode, form.group_size, form.bits, form.dtype)
    if sizes.gather:
        lhs, rhs = rng.integers(0, stacks[0][0], count), rng.integers(0, stacks[1][0], count)
    else:
        index = np.indices(sizes.batch or (1,)).reshape(max(len(sizes.batch), 1), -1)
        lhs, rhs = (np.ravel_multi_index(tuple(i % n for i, n in zip(index, s, strict=True)), s) for s in stacks)
    return Product(sizes, form, x.reshape(-1, sizes.M, sizes.K), held, lhs, rhs, exact_rows.reshape(-1, sizes.M))


def _stacks(sizes: Sizes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many matrices there are of x and of w, along each axis of the batch."""
    if sizes.gather:
        return (3,), (4,)
    whole = sizes.batch or (1,)
    if not sizes.stretched:
        return whole, whole
    return (1, *whole[1:]), (*whole[:-1], 1)


def _exact_groups(sizes: Sizes, form: Format) -> Array:
    """(rows of w, groups): which are exact."""
    if form.transposed:
        rows = np.arange(sizes.N) % 4 != 3
        return np.repeat(rows[:, None], max(sizes.K // form.group_size, 1), axis=1)
    groups = np.arange(sizes.N // form.group_size) % 4 != 1
    return np.repeat(groups[None, :], sizes.K, axis=0)


SPARE_ROWS = 64
"""Rows behind the last of w, which upstream (v0.30.1) reads and does not use. Of w (N, K) a tile's loaders
(`load_safe`) compare a row with the tile's depth, not its height, and so read whole tiles; of w (K, N) NAX's do."""


def _with_room(stored: Array) -> Array:
    return np.concatenate([stored.reshape(-1), np.zeros(SPARE_ROWS * stored.shape[-1], stored.dtype)])


def arguments(made: Product) -> dict[str, Array | bytes]:
    """What each argument of a kernel is, by its name."""
    sizes, held = made.sizes, made.weights
    out: dict[str, Array | bytes] = {
        "w": _with_room(held.packed), "scales": _with_room(held.scales), "x": made.x,
        "y": empty((max(math.prod(sizes.batch), 1), sizes.M, sizes.N), made.format.dtype),
        "in_vec_size": scalar(sizes.K), "out_vec_size": scalar(sizes.N),
        "K": scalar(sizes.K), "N": scalar(sizes.N), "M": scalar(sizes.M),
    }  # fmt: skip
    if held.biases is not None:
        out["biases"] = _with_room(held.biases)
    out.update(_stack_arguments(made))
    if sizes.gather:
        out.update(_gather_arguments(made))
    return out


def _stack_arguments(made: Product) -> dict[str, bytes]:
    """Shapes and strides of the stacks, all axes of the batch, then a matrix's own two."""
    sizes, held = made.sizes, made.weights
    x_stack, w_stack = _stacks(sizes)
    batch = sizes.batch if not sizes.gather else ()
    full = {"x": x_stack if sizes.gather else batch, "w": w_stack if sizes.gather else batch}
    out: dict[str, bytes] = {}
    tensors = {"x": (x_stack, made.x), "w": (w_stack, held.packed), "s": (w_stack, held.scales)}
    if held.biases is not None:
        tensors["b"] = (w_stack, held.biases)
    for name, (stack, tensor) in tensors.items():
        logical = full["x" if name == "x" else "w"]
        matrix = tensor.shape[-2:]
        steps = row_strides((*stack, *matrix))[-2 - len(logical) :] if logical else row_strides(matrix)
        spread = [
            0 if have == 1 and want != 1 else step for have, want, step in zip(stack, logical, steps, strict=False)
        ]
        strides = (*spread, *steps[-2:])
        out[f"{name}_strides"] = vector(strides)
        if name in "xw":
            out[f"{name}_shape"] = shape((*logical, *matrix))
            out[f"{name}_batch_ndims"] = scalar(len(logical))
    return out


def _gather_arguments(made: Product) -> dict[str, Array | bytes]:
    """The indices: one for each product, those of x apart in memory where the batch has two axes."""
    batch = made.sizes.batch
    lhs = made.lhs.astype(np.uint32)
    rhs = made.rhs.astype(np.uint32)
    strides = row_strides(batch)
    apart = strides
    if len(batch) > 1:  # x's indices stand in columns
        lhs = np.ascontiguousarray(lhs.reshape(batch).T).reshape(-1)
        apart = tuple(reversed(row_strides(tuple(reversed(batch)))))
    return {
        "lhs_indices": lhs, "rhs_indices": rhs, "batch_ndims": scalar(len(batch)), "batch_shape": shape(batch),
        "lhs_strides": vector(apart), "rhs_strides": vector(strides),
    }  # fmt: skip


def split_arguments(made: Product) -> dict[str, Array | bytes]:
    """As `arguments`, for K done in parts, a last axis of the batch; each is ceil(K / parts) long but the last.

    MLX gives the kernel the length of a part as the distance between rows of x too, so that of several rows only the
    first is read where it is (a defect of upstream, v0.30.1: `qvm_split_k` in quantized.cpp, and the kernel's use of
    it); the generator expects nothing of the others.
    """
    sizes, held, form = made.sizes, made.weights, made.format
    part = math.ceil(sizes.K / sizes.split)
    out = arguments(made)
    words, groups = held.packed.shape[-1], held.scales.shape[-1]
    shapes = {"x": (sizes.M, sizes.K // sizes.split), "w": (sizes.K, words // sizes.split)}
    for name, (step, matrix) in {
        "x": (part, (part, 1)), "w": (part * words, (words, 1)),
        "s": (part * groups, (groups, 1)), "b": (part * groups, (groups, 1)),
    }.items():  # fmt: skip
        out[f"{name}_strides"] = vector((step, *matrix))
        if name in shapes:
            out[f"{name}_shape"] = shape((sizes.split, *shapes[name]))
            out[f"{name}_batch_ndims"] = scalar(1)
    return out | {
        "in_vec_size": scalar(part), "final_block_size": scalar(sizes.K - (sizes.split - 1) * part),
        "y": empty((sizes.split, sizes.M, sizes.N), form.dtype),
    }  # fmt: skip


def exact_parts(made: Product) -> tuple[Array, Array]:
    """As `Product.exact`, for each part of K: (parts, M, N)."""
    sizes = made.sizes
    part = math.ceil(sizes.K / sizes.split)
    matrix = made.weights.numbers()[0]
    x = decode(made.x, made.format.dtype)[0]
    with np.errstate(all="ignore"):
        parts = [x[:, at : at + part] @ matrix[at : at + part] for at in range(0, sizes.K, part)]
    _, mask = made.exact()
    first = np.arange(sizes.M)[None, :, None] == 0
    return np.stack(parts), np.broadcast_to(mask & first, (sizes.split, sizes.M, sizes.N))


def by_slot(named: Mapping[str, Array | bytes], slots: Mapping[str, int]) -> dict[int, Array | bytes]:
    """Arguments by buffer slot."""
    return {slot: named[name] for name, slot in slots.items()}
