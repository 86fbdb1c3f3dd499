# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of attention of few queries: a threadgroup for each query of each head, in one pass or two.

In the first of two passes 32 threadgroups share a query: each takes every 32nd block of 8 keys, and leaves the largest
score, the sum of the powers and the weighted values, unnormalised, these rounded to the inputs' dtype. The second pass
joins the 32. Queries are stored with heads outermost, or (`query_transposed`) with queries outermost; keys and values
have any distance between heads and between keys, as a slice of a cache has. A query that sees no key gets zeros.

MLX refuses a mask beside the causal mode (mlx/fast.cpp, lines 626-635). A kernel that is asked for both adds an
additive mask and leaves a boolean one out, of which nothing is expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from porter.prove.cases.arguments import scalar
from porter.prove.cases.attention import (
    ADDITIVE,
    BOOLEAN,
    NO_MASK,
    Attention,
    attention,
    laid_out,
    with_special_numbers,
)
from porter.prove.cases.values import Array, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = "numpy, float64"

BLOCKS, BLOCK = 32, 8
"""Threadgroups that share a query in the first of two passes, and consecutive keys that each takes at a time."""

LEAST_MAXIMUM = -1e9
"""What the first of two passes leaves as the largest score of a block that sees no key, or only lower ones."""


def launches(request: Request) -> Iterator[Launch]:
    """One combination of constants; `thorough`: all of them, then special numbers."""
    rng = request.rng()
    if request.row.template == "sdpa_vector_2pass_2":
        for queries, special in ((2, False), (1, True)) if request.thorough else ((2, False),):
            yield _join(request, rng, queries, special)
        return
    combinations = request.combinations()
    if not request.thorough:
        yield _launch(request, rng, combinations[request.seed % len(combinations)], 0, False)
        return
    for number, constants in enumerate(combinations):
        yield _launch(request, rng, constants, number, False)
    yield _launch(request, rng, combinations[0], 0, True)


def _masking(constants: Mapping[str, Value]) -> str:
    named = {"bool_mask": BOOLEAN, "float_mask": ADDITIVE}
    return next((word for name, word in named.items() if constants[name]), NO_MASK)


def _launch(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    two_pass = request.row.template == "sdpa_vector_2pass_1"
    dimension, dtype = int(request.axes["qk_dim"]), str(request.axes["dtype"])
    queries = 1 if two_pass and number % 2 else 2
    batch, heads, key_heads = ((2, 1, 1), (1, 2, 1), (1, 4, 2))[number % 3]
    keys = (300 if two_pass else 71) + number
    made = attention(
        rng,
        (batch, heads, key_heads, queries, keys, dimension),
        dtype,
        1 / math.sqrt(dimension),
        _masking(constants),
        bool(constants["has_sinks"]),
        causal=bool(constants["do_causal"]),
        broadcast=number % 4 == 1,
    )
    if made.mask is not None and number % 2:  # one query that sees nothing
        made.mask[0, 0, 0, :] = False if made.mask.dtype == np.bool_ else -np.inf if dtype != "bfloat16" else 0xFF80
    if special:
        made = with_special_numbers(rng, made)
    named = _arguments(made, bool(constants["query_transposed"]), number)
    rows = batch * heads
    outputs = {"out": ("float32" if two_pass else dtype, (rows, queries, *((BLOCKS,) if two_pass else ()), dimension))}
    if two_pass:
        outputs |= {"sums": ("float32", (rows, queries, BLOCKS)), "maxs": ("float32", (rows, queries, BLOCKS))}
    for name, (kind, sizes) in outputs.items():
        named[name] = empty(sizes, kind)
    slots = {one.name: one.slot for one in request.family.kernel(request.row.template).arguments}
    group = 256 if two_pass else 1024
    true = ", ".join(name for name, value in constants.items() if value)
    return Launch(
        what=f"{rows} heads, {queries} queries, {keys} keys" + (f", {true}" if true else "") + ", special" * special,
        buffers={slots[name]: value for name, value in named.items()},
        threads=(rows * group, queries, BLOCKS if two_pass else 1),
        group=(group, 1, 1),
        outputs=tuple(Output(slots[name], kind) for name, (kind, _) in outputs.items()),
        constants=dict(constants),
        notes={"attention": made, "special": special},
    )


def _arguments(made: Attention, query_transposed: bool, number: int) -> dict[str, Array | bytes]:
    """Inputs by name. Keys and values lie heads outermost with room for more keys, or (odd `number`) keys outermost."""
    order, slack = ((0, 2, 1, 3), 0) if number % 2 else ((0, 1, 2, 3), 3)
    keys, key_strides = laid_out(made.keys, order, slack)
    values, value_strides = laid_out(made.values, order, slack)
    batch, heads, queries, dimension = made.queries.shape
    rows = made.queries.reshape(batch * heads, queries, dimension)
    of_heads = int(made.keys.shape[1] > 1)  # of a single head the host takes the batch's distance
    out: dict[str, Array | bytes] = {
        "queries": np.ascontiguousarray(rows.transpose(1, 0, 2)) if query_transposed else rows,
        "keys": keys, "values": values,
        "gqa_factor": scalar(heads // made.keys.shape[1]), "N": scalar(made.keys.shape[2]),
        "scale": scalar(made.scale, "float32"),
        "k_head_stride": scalar(key_strides[of_heads], "uint64"), "k_seq_stride": scalar(key_strides[2], "uint64"),
        "v_head_stride": scalar(value_strides[of_heads], "uint64"), "v_seq_stride": scalar(value_strides[2], "uint64"),
    }  # fmt: skip
    if made.mask is not None:
        mask, strides = laid_out(made.mask, (0, 1, 2, 3))
        per_head = strides[1] if mask.shape[1] > 1 else strides[0] if mask.shape[0] > 1 else 0
        out["bmask" if mask.dtype == np.bool_ else "fmask"] = mask
        out["mask_kv_seq_stride"], out["mask_q_seq_stride"] = scalar(strides[3]), scalar(strides[2])
        out["mask_head_stride"] = scalar(per_head)
    if made.sinks is not None:
        out["sinks"], out["num_q_heads"] = made.sinks, scalar(heads)
    return out


def _join(request: Request, rng: np.random.Generator, queries: int, special: bool) -> Launch:
    """The second pass: partial results of 32 threadgroups, of which some saw no key."""
    dimension, dtype, rows = int(request.axes["value_dim"]), str(request.axes["dtype"]), 2
    maxs = rng.uniform(-20, 20, (rows, queries, BLOCKS)).astype(np.float32)
    sums = rng.uniform(0.5, 8, (rows, queries, BLOCKS)).astype(np.float32)
    partials = (rng.uniform(-1, 1, (rows, queries, BLOCKS, dimension)) * sums[..., None]).astype(np.float32)
    unseen = rng.random((rows, queries, BLOCKS)) < 0.3
    if special:
        unseen[0, 0] = True  # no key at all
        partials[1, 0, 3, :4] = (np.nan, np.inf, -np.inf, 1e-40)
    maxs[unseen], sums[unseen] = np.float32(LEAST_MAXIMUM), 0
    partials[unseen] = 0
    return Launch(
        what=f"{rows} heads, {queries} queries" + (", special numbers" if special else ""),
        buffers={0: partials, 1: sums, 2: maxs, 3: empty((rows, queries, dimension), dtype)},
        threads=(rows * 1024, queries, 1),
        group=(1024, 1, 1),
        outputs=(Output(3, dtype),),
        notes={"partials": (partials, sums, maxs), "special": special},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """Attention, or a pass of it, in float64."""
    if launch.notes["special"]:
        return None
    if request.row.template == "sdpa_vector_2pass_2":
        partials, sums, maxs = (one.astype(np.float64) for one in launch.notes["partials"])
        weights = np.exp(maxs - maxs.max(axis=-1, keepdims=True))
        total = (weights * sums).sum(axis=-1, keepdims=True)
        return {3: (weights[..., None] * partials).sum(axis=-2) / np.where(total == 0, 1.0, total)}
    made: Attention = launch.notes["attention"]
    if launch.constants["do_causal"] and launch.constants["bool_mask"]:
        return None
    if request.row.template == "sdpa_vector":
        return {3: made.result()}
    return _first_pass(made)


def _first_pass(made: Attention) -> dict[int, Array]:
    """The largest score, the sum of powers and the weighted values of each block; a sink counts in the first."""
    scores: Any = made.scores()
    keys = scores.shape[-1]
    block = (np.arange(keys) // BLOCK) % BLOCKS
    out, sums, maxs = [], [], []
    for number in range(BLOCKS):
        mine = np.where(block == number, scores, -np.inf)
        sink = made.sink_scores()[None, :, :] if number == 0 else np.full((1, 1, 1), -np.inf)
        highest = np.maximum(np.maximum(mine.max(axis=-1), sink), LEAST_MAXIMUM)
        weights = np.exp(mine - highest[..., None])
        maxs.append(highest)
        sums.append(weights.sum(axis=-1) + np.exp(sink - highest))
        out.append(made.weighted(weights))
    return {3: np.stack(out, axis=-2), 4: np.stack(sums, axis=-1), 5: np.stack(maxs, axis=-1)}
