# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Scaled dot product attention: for few queries (one pass and two), and for many.

Scores are inner products of d terms: each is within d * eps * scale * sum(|q| |k|) of the exact one, and e to its power
is off by that much relatively, as is the weight; a result is a mean of values of at most 1 by those weights. In the
second pass partial results are of the operands' type.
"""

from __future__ import annotations

import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, values, wide

EPS = torch.finfo(torch.float32).eps
BLOCKS = 32
_PREFILL = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Attention:
    """Two query heads for each of the keys'; strides are any, but of the last dimension."""

    def __init__(
        self, name: str, dtype: torch.dtype, queries: int, keys: int, size: int, mask: str, *, causal: bool
    ) -> None:
        batch, heads, key_heads = 2, 4, 2
        self.q = _spread(values(name, (batch, heads, queries, size), dtype, -1, 1))
        self.k = _spread(values(name, (batch, key_heads, keys, size), dtype, -1, 1, "k"))
        self.v = _spread(values(name, (batch, key_heads, keys, size), dtype, -1, 1, "v"))
        self.scale, self.causal, self.size = size**-0.5, causal, size
        self.mask: torch.Tensor | None = None
        if mask == "bool":
            self.mask = values(name, (batch, heads, queries, keys), torch.float32, 0, 1, "mask") < 0.7
            self.mask[..., 0] = True
        elif mask:
            self.mask = values(name, (batch, heads, queries, keys), dtype, -2, 2, "mask")
        self.scores = self.scale * wide(self.q) @ wide(self.k).repeat_interleave(2, 1).mT
        if self.mask is not None:
            self.scores = (
                self.scores.masked_fill(~self.mask, -torch.inf) if mask == "bool" else self.scores + wide(self.mask)
            )
        if causal:
            last = torch.arange(queries)[:, None]
            self.scores = self.scores.masked_fill(torch.arange(keys) > last, -torch.inf)
        self.want = self.scores.softmax(-1) @ wide(self.v).repeat_interleave(2, 1)
        size_of = self.scale * wide(self.q).abs() @ wide(self.k).abs().repeat_interleave(2, 1).mT
        # Twice: numerator and denominator. fast::exp and exp2 add some units of their argument (below 16) to that.
        self.allowed = float(2 * EPS * (size * size_of.max() + 64 + keys))


def _spread(x: torch.Tensor) -> torch.Tensor:
    """Heads and positions exchanged in memory."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def _vector_arguments(one: Attention) -> list[bytes]:
    three = (one.q, one.k, one.v)
    return [
        constant("uint", 2),
        constant("uint", one.k.shape[2]),
        constant("uint3", *(x.stride(1) for x in three)),
        constant("uint3", *(x.stride(2) for x in three)),
        constant("float", one.scale),
    ]


def _mask_arguments(one: Attention) -> list[torch.Tensor | bytes]:
    if one.mask is None:
        return [torch.zeros(4), constant("uint4", 0, 0, 0, 0)]
    return [one.mask, constant("uint4", *reversed(one.mask.stride()))]


def _batches(one: Attention) -> bytes:
    return constant("uint4", one.q.stride(0), one.k.stride(0), one.v.stride(0), one.q.shape[1])


def _made(name: str, match: re.Match[str]) -> Attention:
    mask = "" if match["mask"] == "none" else match["mask"]
    return Attention(name, DTYPES[match["type"]], 3, 77, int(match["size"]), mask, causal=bool(match["causal"]))


def vector(witness: Witness, name: str, match: re.Match[str]) -> None:
    one = _made(name, match)
    got = torch.zeros(tuple(one.q.shape), dtype=one.q.dtype)
    buffers = [one.q, one.k, one.v, got, *_vector_arguments(one), *_mask_arguments(one), _batches(one)]
    batch, heads, queries, _ = got.shape
    witness.launch(name, buffers, (1024 * batch * heads, queries, 1), (1024, 1, 1))
    agree(got, one.want, ulps=1, absolute=one.allowed, says=name)


def first_pass(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Keys go to blocks eight at a time; the blocks' results, weighted, make the whole."""
    one = _made(name, match)
    batch, heads, queries, size = one.q.shape
    got = torch.zeros((batch, heads, queries, BLOCKS, size), dtype=one.q.dtype)
    sums, maxima = (torch.zeros((batch, heads, queries, BLOCKS)) for _ in range(2))
    buffers = [one.q, one.k, one.v, got, sums, maxima, *_vector_arguments(one), *_mask_arguments(one), _batches(one)]
    witness.launch(name, buffers, (256 * batch * heads, queries, BLOCKS), (256, 1, 1))
    weight = torch.exp(wide(maxima) - wide(maxima).amax(-1, keepdim=True))
    total = (wide(sums) * weight).sum(-1, keepdim=True)
    whole = (wide(got) * weight[..., None]).sum(-2) / total
    rounding = torch.finfo(got.dtype).eps * (wide(got).abs() * weight[..., None]).sum(-2) / total
    agree(whole, one.want, absolute=one.allowed + rounding, says=name)


def second_pass(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, size = DTYPES[match["type"]], int(match["size"])
    partial = values(name, (5, 3, BLOCKS, size), dtype, -1, 1)
    sums = values(name, (5, 3, BLOCKS), torch.float32, 0.5, 2, "sums")
    maxima = values(name, (5, 3, BLOCKS), torch.float32, -3, 3, "maxima")
    got = torch.zeros((5, 3, size), dtype=dtype)
    witness.launch(name, [partial, sums, maxima, got], (1024 * 5, 3, 1), (1024, 1, 1))
    weight = torch.exp(wide(maxima) - wide(maxima).amax(-1, keepdim=True))
    total = (wide(sums) * weight).sum(-1, keepdim=True)
    want = (wide(partial) * weight[..., None]).sum(-2) / total
    allowed = BLOCKS * 8 * EPS * (wide(partial).abs() * weight[..., None]).sum(-2) / total
    agree(got, want, ulps=1, absolute=allowed, says=name)


def prefill(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, size = _PREFILL[match["type"]], int(match["bd"])
    mask = ("bool" if match["mask"] == "bool_" else "float") if match["hm"] == "1" else ""
    one = Attention(name, dtype, 2 * int(match["bq"]) + 5, 2 * int(match["bk"]) + 3 + int(match["bq"]) * 2, size, mask,
                    causal=match["dc"] == "1")  # fmt: skip
    got = torch.zeros(tuple(one.q.shape), dtype=dtype)
    batch, heads, queries, _ = got.shape
    strides = {f"{key}_strides": x.stride()[:3] for key, x in (("Q", one.q), ("K", one.k), ("V", one.v), ("O", got))}
    params = witness.struct(
        name, 4, B=batch, H=heads, D=size, qL=queries, kL=one.k.shape[2], gqa_factor=2, scale=one.scale,
        softcapping=1.0,
        **strides,
    )  # fmt: skip
    mask_strides = array("int", one.mask.stride() if one.mask is not None else (0, 0, 0, 0))
    buffers = [one.q, one.k, one.v, got, params, mask_strides, one.mask if one.mask is not None else torch.zeros(4)]
    rows, columns = int(match["wm"]), int(match["wn"])
    groups = -(-queries // int(match["bq"]))
    witness.launch(name, buffers, (32 * groups, rows * heads, columns * batch), (32, rows, columns))
    # Scaled queries and weights are of the operands' type.
    rounding = 2 * torch.finfo(dtype).eps * (1 + float(one.scores.nan_to_num(neginf=0).abs().max()))
    agree(got, one.want, ulps=1, absolute=one.allowed + rounding, says=name)


_MASK = rf"mask(?P<mask>none|bool|{TYPE})(?P<causal>_causal)?"
CASES = (
    Case(rf"sdpa_vector_(?P<type>{TYPE})_(?P<size>\d+)_\d+_{_MASK}", vector),
    Case(rf"sdpa_vector_2pass_1_(?P<type>{TYPE})_(?P<size>\d+)_\d+_{_MASK}", first_pass),
    Case(rf"sdpa_vector_2pass_2_(?P<type>{TYPE})_(?P<size>\d+)", second_pass),
    Case(
        r"prefill_attention_(?P<type>\w+?)_bq(?P<bq>\d+)_bk(?P<bk>\d+)_bd(?P<bd>\d+)_wm(?P<wm>\d+)_wn(?P<wn>\d+)"
        r"_hm(?P<hm>\d)_dc(?P<dc>\d)_mask(?P<mask>\w+)",
        prefill,
    ),
)
