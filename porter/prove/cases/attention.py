# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Attention for generators: operands with heads that share keys, masks, sinks, and the result in float64.

Numbers of queries, keys and values are uniform in [-1, 1], additive masks and sinks in [-4, 4]: the tolerances of the
families rest on these bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from porter.prove.cases.values import Array, awkward, decode, encode

NO_MASK, BOOLEAN, ADDITIVE = "no mask", "a boolean mask", "an additive mask"


@dataclass(frozen=True)
class Attention:
    """`queries` (batch, heads, queries, dimension), `keys` and `values` (batch, key heads, keys, dimension), each as
    `dtype` holds them, in logical order. `mask`: (batch, heads or 1, queries, keys), bool or `dtype`, or None; `sinks`:
    (heads,) or None."""

    dtype: str
    scale: float
    queries: Array
    keys: Array
    values: Array
    causal: bool
    mask: Array | None
    sinks: Array | None

    def scores(self) -> Array:
        """(batch, heads, queries, keys) in float64; -inf where a query may not see a key."""
        query, key = decode(self.queries, self.dtype), decode(self.keys, self.dtype)
        shared = query.shape[1] // key.shape[1]
        with np.errstate(all="ignore"):
            out = self.scale * (query @ np.swapaxes(np.repeat(key, shared, axis=1), -1, -2))
            if self.mask is not None and self.mask.dtype == np.bool_:
                out = np.where(self.mask, out, -np.inf)
            elif self.mask is not None:
                out = out + decode(self.mask, self.dtype)
        if self.causal:  # the last query sees every key
            rows, columns = out.shape[-2:]
            out = np.where(np.arange(columns) <= np.arange(rows)[:, None] + columns - rows, out, -np.inf)
        return np.asarray(out)

    def sink_scores(self) -> Array:
        """(heads, 1) in float64; -inf without sinks."""
        heads = self.queries.shape[1]
        return decode(self.sinks, self.dtype)[:, None] if self.sinks is not None else np.full((heads, 1), -np.inf)

    def weighted(self, weights: Array) -> Array:
        """The sum of values (batch, heads, queries, dimension) with these weights (batch, heads, queries, keys)."""
        value = decode(self.values, self.dtype)
        return np.asarray(weights @ np.repeat(value, self.queries.shape[1] // value.shape[1], axis=1))

    def result(self) -> Array:
        """(batch, heads, queries, dimension) in float64; zeros where a query sees no key."""
        scores, sinks = self.scores(), self.sink_scores()[None, :, :]
        highest = np.maximum(scores.max(axis=-1), sinks)[..., None]
        highest = np.where(np.isfinite(highest), highest, 0.0)
        with np.errstate(all="ignore"):
            weights = np.exp(scores - highest)
            total = weights.sum(axis=-1, keepdims=True) + np.exp(sinks[..., None] - highest)
            return self.weighted(weights / np.where(total == 0, 1.0, total))


def attention(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int, int, int],
    dtype: str,
    scale: float,
    masking: str,
    sinks: bool,
    causal: bool = False,
    broadcast: bool = False,
) -> Attention:
    """`shape` is (batch, heads, key heads, queries, keys, dimension). `broadcast`: one mask for all heads of a batch.

    Of the mask's rows the last sees only the first and the last key; a mask hides about one key in three.
    """
    batch, heads, key_heads, queries, keys, dimension = shape

    def draw(*sizes: int, limit: float = 1.0) -> Array:
        return encode(rng.uniform(-limit, limit, sizes), dtype)

    mask: Array | None = None
    if masking in (BOOLEAN, ADDITIVE):
        sizes = (batch, 1 if broadcast else heads, queries, keys)
        seen = rng.random(sizes) < 0.67
        seen[..., -1, :] = False
        seen[..., 0], seen[..., -1] = True, True
        mask = seen if masking == BOOLEAN else np.where(seen, draw(*sizes, limit=4.0), encode(np.array(-np.inf), dtype))
    return Attention(
        dtype=dtype,
        scale=float(np.float32(scale)),
        queries=draw(batch, heads, queries, dimension),
        keys=draw(batch, key_heads, keys, dimension),
        values=draw(batch, key_heads, keys, dimension),
        causal=causal,
        mask=mask,
        sinks=draw(heads, limit=4.0) if sinks else None,
    )


def with_special_numbers(rng: np.random.Generator, made: Attention) -> Attention:
    """The same with the dtype's special numbers at the start of the first query, the last key and the second value."""
    query, key, value = made.queries.copy(), made.keys.copy(), made.values.copy()
    query[0, 0, 0, ::2] = awkward(rng, query.shape[-1] // 2, made.dtype)
    key[0, 0, -1, :24] = awkward(rng, 24, made.dtype)
    value[0, 0, 1, :24] = awkward(rng, 24, made.dtype)
    return replace(made, queries=query, keys=key, values=value)


def laid_out(tensor: Array, order: Sequence[int], slack: int = 0) -> tuple[Array, tuple[int, ...]]:
    """(memory, strides of the logical axes in elements): `tensor`'s axes in memory in this order, outermost first.

    `slack`: so many more places along the next to last axis in memory, unused, as a cache of keys has them.
    """
    moved = np.ascontiguousarray(np.transpose(tensor, order))
    if slack:
        wide = np.zeros((*moved.shape[:-2], moved.shape[-2] + slack, moved.shape[-1]), moved.dtype)
        wide[..., : moved.shape[-2], :] = moved
        moved = wide
    steps = [moved.strides[axis] // moved.itemsize for axis in range(moved.ndim)]
    strides = [0] * tensor.ndim
    for place, axis in enumerate(order):
        strides[axis] = steps[place]
    return moved, tuple(strides)
