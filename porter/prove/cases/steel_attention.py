# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of attention of many queries, with simdgroup matrices or NAX: a threadgroup for bq queries of a head.

The scale is ln(2) / 8. The kernels work with powers of two, so that they multiply queries by 1 / 8, which rounds
nothing in any dtype; otherwise `attention`, which rounds scaled queries to their dtype, could be held to little in
bfloat16. `align_Q` and `align_K` say that the numbers of queries and keys are whole multiples of bq and bk, and are set
so.

What upstream's own kernels do, found while these cases were written (v0.30.1). Such queries are launched, and nothing
is expected of them:
- Where a mask hides all keys of a query, the result is the mean of all values that lie in its tiles of keys, those
  behind the last key too: the lowest finite number stands for -inf.
- Where attention is causal and the number of keys, but not that of queries, is a multiple of bk, the last bq / bk tiles
  of keys are compared with the query's place, and one more would have to be: the first queries of a tile see keys that
  come after them (steel_attention.h, line 306, steel_attention_nax.h, line 304: one more is compared only `!align_K`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

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

SCALE = math.log(2) / 8


def launches(request: Request) -> Iterator[Launch]:
    """One combination of constants; `thorough`: all of them, then special numbers."""
    rng = request.rng()
    combinations = request.combinations()
    if not request.thorough:
        number = request.seed % len(combinations)
        yield _launch(request, rng, combinations[number], number, False)
        return
    for number, constants in enumerate(combinations):
        yield _launch(request, rng, constants, number, False)
    yield _launch(request, rng, combinations[-1], 0, True)


def _lengths(request: Request, constants: Mapping[str, Value], number: int) -> tuple[int, int]:
    """(queries, keys): two tiles of queries, and more keys, or (some cases that are not causal) a tile of keys."""
    bq, bk = int(request.axes["bq"]), int(request.axes["bk"])
    queries = 2 * bq if constants["align_Q"] else bq + 7
    tiles = math.ceil(queries / bk) + 1
    if number % 4 == 1 and not constants["do_causal"]:
        return queries, bk if constants["align_K"] else bk - 3
    return queries, tiles * bk + (0 if constants["align_K"] else 5)


def _launch(
    request: Request, rng: np.random.Generator, constants: Mapping[str, Value], number: int, special: bool
) -> Launch:
    axes, dtype = request.axes, str(request.axes["dtype"])
    queries, keys = _lengths(request, constants, number)
    batch, heads, key_heads = ((1, 2, 1), (2, 2, 2))[number % 3 == 2]
    masking = (BOOLEAN if axes["mask"] == "bool_" else ADDITIVE) if constants["has_mask"] else NO_MASK
    made = attention(
        rng,
        (batch, heads, key_heads, queries, keys, int(axes["bd"])),
        dtype,
        SCALE,
        masking,
        bool(constants["has_sinks"]),
        causal=bool(constants["do_causal"]),
        broadcast=number % 2 == 1,
    )
    if made.mask is not None and made.mask.dtype == np.bool_:
        made.mask[0, 0, 1, :] = False
    if special:
        made = with_special_numbers(rng, made)
    true = ", ".join(name for name, value in constants.items() if value)
    tiles = math.ceil(queries / int(axes["bq"]))
    return Launch(
        what=f"{batch} x {heads} heads, {queries} queries, {keys} keys" + (f", {true}" if true else "")
        + (", special numbers" if special else ""),
        buffers=_buffers(request, made, number),
        threads=(32 * tiles, heads * int(axes["wm"]), batch * int(axes["wn"])),
        group=(32, int(axes["wm"]), int(axes["wn"])),
        outputs=(Output(3, dtype),),
        constants=dict(constants),
        notes={"attention": made, "special": special},
    )  # fmt: skip


def _buffers(request: Request, made: Attention, number: int) -> dict[int, Array | bytes]:
    """Operands lie heads outermost, or (odd `number`) sequences; results always with sequences outermost."""
    axes = request.axes
    order = (0, 2, 1, 3) if number % 2 else (0, 1, 2, 3)
    batch, heads, length, dimension = made.queries.shape
    keys = made.keys.shape[2]
    (q, q_strides), (k, k_strides), (v, v_strides) = (
        laid_out(one, order) for one in (made.queries, made.keys, made.values)
    )
    out, out_strides = laid_out(empty((batch, heads, length, dimension), made.dtype), (0, 2, 1, 3))
    tiles = {"Q": (length, int(axes["bq"])), "K": (keys, int(axes["bk"]))}
    counted = {f"N{name}": math.ceil(total / size) for name, (total, size) in tiles.items()}
    counted |= {f"N{name}_aligned": total // size for name, (total, size) in tiles.items()}
    params = request.struct(
        "AttnParams", B=batch, H=heads, D=dimension, qL=length, kL=keys,
        gqa_factor=heads // made.keys.shape[1], scale=made.scale, **counted,
        qL_rem=length % int(axes["bq"]), kL_rem=keys % int(axes["bk"]), qL_off=keys - length,
        Q_strides=q_strides[:3], K_strides=k_strides[:3], V_strides=v_strides[:3], O_strides=out_strides[:3],
    )  # fmt: skip
    buffers: dict[int, Array | bytes] = {0: q, 1: k, 2: v, 3: out, 4: params}
    if made.mask is not None:
        mask, strides = laid_out(made.mask, (0, 1, 2, 3))
        strides = (strides[0], strides[1] if mask.shape[1] > 1 else 0, strides[2])
        buffers |= {5: request.struct("AttnMaskParams", M_strides=strides), 6: mask}
    if made.sinks is not None:
        buffers[7] = made.sinks
    return buffers


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """Attention in float64, in the order of the results in memory."""
    if launch.notes["special"]:
        return None
    made: Attention = launch.notes["attention"]
    result = made.result()
    unseen = np.asarray(np.isneginf(made.scores()).all(axis=-1))[..., None]
    unseen = np.asarray(unseen | _too_much_seen(request, launch)[:, None])
    masked = np.ma.masked_array(result, np.broadcast_to(unseen, result.shape))
    return {3: masked.transpose(0, 2, 1, 3)}


def _too_much_seen(request: Request, launch: Launch) -> Array:
    """Which queries (queries,) see keys that come after them, because upstream compares too few tiles of keys."""
    made: Attention = launch.notes["attention"]
    queries, keys = made.queries.shape[2], made.keys.shape[2]
    if not made.causal:
        return np.zeros(queries, np.bool_)
    bq, bk = int(request.axes["bq"]), int(request.axes["bk"])
    place = np.arange(queries) + keys - queries
    last = (np.arange(queries) // bq + 1) * bq + keys - queries  # behind the last query of the tile
    tiles = np.minimum(-(-last // bk), -(-keys // bk))
    compared = tiles - -(-bq // bk) - (0 if launch.constants["align_K"] else 1)
    return np.asarray(compared * bk > place + 1)
