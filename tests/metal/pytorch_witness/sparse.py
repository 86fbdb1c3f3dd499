# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Embeddings and sparse tensors: bags, counts, coalescing, products.

Sums are of at most 12 numbers below 4, added in the type where they are added atomically: within 12 * 12 * 4 / 2 * eps
of it, as is their product with weights below 1.
"""

from __future__ import annotations

import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, values, wide

ROWS, FEATURES = 9, 5
INDICES = torch.tensor([3, 0, 8, 3, 3, 1, 7, 2, 2, 0, 5, 3])
OFFSETS = torch.tensor([0, 3, 4, 9])
_TYPED = rf"(?P<type>{TYPE})"


def _allowed(dtype: torch.dtype) -> float:
    real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)
    return 12 * 12 * 2 * torch.finfo(real).eps if dtype.is_floating_point or dtype.is_complex else 0.0


def bag(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Sums (weighted), means and maxima of bags."""
    dtype, kind = DTYPES[match["type"]], DTYPES[match["index"]]
    table = values(name, (ROWS, FEATURES), dtype, -4, 4)
    samples = values(name, (len(INDICES),), dtype, 0, 1, "samples")
    (error,) = (one for one in witness.described(name).arguments if one.slot == 9)
    for mode in range(3):
        weighted = mode == 0
        got = torch.zeros((len(OFFSETS), FEATURES), dtype=dtype)
        places, failed = (
            torch.zeros((len(OFFSETS), FEATURES), dtype=kind),
            torch.zeros((error.size or 0) // 4, dtype=torch.int32),
        )
        bags, sizes = torch.zeros(len(INDICES), dtype=kind), torch.zeros(len(OFFSETS), dtype=kind)
        params = witness.struct(
            name, 8, weight_strides=table.stride(), output_strides=got.stride(), max_indices_strides=places.stride(),
            use_per_sample_weights=weighted, per_sample_weights_stride=1, num_indices=len(INDICES),
            num_bags=len(OFFSETS), feature_size=FEATURES, num_weights=ROWS, mode=mode, padding_idx=-1,
        )  # fmt: skip
        buffers = [table, INDICES.to(kind), OFFSETS.to(kind), samples, got, bags, sizes, places, params, failed]
        witness.launch(name, buffers, (got.numel(),))
        want, _, _, want_places = torch.embedding_bag(
            wide(table), INDICES, OFFSETS, False, mode, False, wide(samples) if weighted else None
        )
        agree(got, want, ulps=1, absolute=_allowed(torch.float32), says=f"{name} mode {mode}")
        agree(sizes, torch.diff(OFFSETS, append=torch.tensor([len(INDICES)])), says=name)
        if mode == 2:
            agree(places, want_places, says=f"{name}: places")
        assert not failed.any(), name


def bag_backward(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, kind = DTYPES[match["type"]], DTYPES[match["index"]]
    bags = torch.bucketize(torch.arange(len(INDICES)), OFFSETS, right=True) - 1
    sizes = torch.bincount(bags)
    grad = values(name, (len(OFFSETS), FEATURES), dtype, -1, 1)
    samples = values(name, (len(INDICES),), dtype, 0, 1, "samples")
    for mode in (0, 1):
        got = torch.zeros((ROWS, FEATURES), dtype=dtype)
        params = witness.struct(
            name, 7, weight_grad_strides=got.stride(), output_grad_strides=grad.stride(), max_indices_strides=(0, 0),
            use_per_sample_weights=mode == 0, per_sample_weights_stride=1, feature_size=FEATURES, mode=mode,
            padding_idx=-1,
        )  # fmt: skip
        given = [
            grad,
            INDICES.to(kind),
            bags.to(kind),
            sizes.to(kind),
            torch.zeros(4, dtype=kind),
            samples,
            got,
            params,
        ]
        witness.launch(name, given, (len(INDICES) * FEATURES,))
        table = torch.zeros((ROWS, FEATURES), dtype=torch.float64, requires_grad=True)
        weights = wide(samples) if mode == 0 else None
        made = torch.embedding_bag(table, INDICES, OFFSETS, False, mode, False, weights)[0]
        (want,) = torch.autograd.grad(made, table, wide(grad))
        agree(got, want, ulps=1, absolute=_allowed(dtype) / 4, says=f"{name} mode {mode}")


def samples_backward(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, kind = DTYPES[match["type"]], DTYPES[match["index"]]
    bags = torch.bucketize(torch.arange(len(INDICES)), OFFSETS, right=True) - 1
    grad = values(name, (len(OFFSETS), FEATURES), dtype, -1, 1)
    table = values(name, (ROWS, FEATURES), dtype, -1, 1, "table")
    got = torch.zeros(len(INDICES), dtype=dtype)
    params = witness.struct(
        name, 5, output_grad_strides=grad.stride(), weight_strides=table.stride(), per_sample_weights_grad_stride=1,
        feature_size=FEATURES, padding_idx=-1,
    )  # fmt: skip
    witness.launch(name, [grad, table, INDICES.to(kind), bags.to(kind), got, params], (len(INDICES) * FEATURES,))
    want = (wide(table)[INDICES] * wide(grad)[bags]).sum(1)
    agree(got, want, ulps=1, absolute=_allowed(dtype) / 4, says=name)


def mark_unique(witness: Witness, name: str, match: re.Match[str]) -> None:
    flat = INDICES.sort().values
    got, count = torch.zeros(len(flat), dtype=torch.bool), torch.zeros(1, dtype=torch.int32)
    witness.launch(name, [flat, got, count], (len(flat),))
    want = torch.ones(len(flat), dtype=torch.bool)
    want[1:] = flat[1:] != flat[:-1]
    agree(got, want, says=name)
    agree(count, want.sum()[None], says=name)


def prefix_step(witness: Witness, name: str, match: re.Match[str]) -> None:
    x = values(name, (100,), torch.int32, -9, 9)
    got, want = torch.zeros_like(x), wide(x).clone()
    if match["step"]:
        witness.launch(name, [x, got, constant("uint", 8)], (100,))
        want[8:] += wide(x)[:-8]
    else:
        witness.launch(name, [x, got], (100,))
        want = torch.cat((torch.zeros(1, dtype=torch.int64), want[:-1]))
    agree(got, want, says=name)


def coalesce(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Values of equal indices are added; of bool, the sum's truth."""
    dtype = DTYPES[match["type"]]
    flat = INDICES.sort().values
    indices = torch.stack([flat // 3, flat % 3])
    unique, places = flat.unique(return_inverse=True)
    first = torch.ones(len(flat), dtype=torch.bool)
    first[1:] = flat[1:] != flat[:-1]
    x = values(name, (len(flat), FEATURES), dtype, 0, 4)
    got_indices = torch.zeros((2, len(unique)), dtype=torch.int64)
    got = torch.zeros((len(unique), FEATURES), dtype=dtype)
    numbers = [constant("uint", value) for value in (len(flat), FEATURES, 2, len(unique))]
    witness.launch(name, [flat, indices, x, first, places.int(), got_indices, got, *numbers], (len(flat),))
    want = torch.zeros((len(unique), FEATURES), dtype=wide(x).dtype).index_add_(0, places, wide(x))
    agree(got_indices, torch.stack([unique // 3, unique % 3]), says=f"{name}: indices")
    agree(got, (want != 0) if dtype == torch.bool else want, ulps=1, absolute=_allowed(dtype), says=name)


def batch_pointers(witness: Witness, name: str, match: re.Match[str]) -> None:
    batches = INDICES.sort().values
    got = torch.zeros(ROWS + 1, dtype=torch.int64)
    witness.launch(name, [batches, got, constant("uint2", len(batches), ROWS)], (ROWS + 1, 1, 1))
    agree(got, torch.searchsorted(batches, torch.arange(ROWS + 1)), says=name)


def add_product(witness: Witness, name: str, match: re.Match[str]) -> None:
    """alpha * sparse @ dense + beta * t, of coordinates in order."""
    dtype = DTYPES[match["type"]]
    rows, columns = INDICES.sort().values, torch.tensor([0, 2, 1, 0, 1, 2, 3, 0, 1, 2, 0, 3])
    x = values(name, (len(rows),), dtype, -1, 1)
    dense, t = values(name, (4, FEATURES), dtype, -1, 1, "dense"), values(name, (ROWS, FEATURES), dtype, -1, 1, "t")
    got = torch.zeros((ROWS, FEATURES), dtype=dtype)
    numbers = [constant("uint3", ROWS, 4, FEATURES), constant("float2", 2, 3), constant("uint", len(rows))]
    witness.launch(name, [torch.stack([rows, columns]), x, dense, t, got, *numbers], (FEATURES, 1, ROWS), (5, 1, 1))
    matrix = torch.zeros((ROWS, 4), dtype=wide(x).dtype).index_put_((rows, columns), wide(x), accumulate=True)
    want = 2 * matrix @ wide(dense) + 3 * wide(t)
    whole = not dtype.is_floating_point and not dtype.is_complex
    agree(got, want, ulps=1, absolute=0.0 if whole else _allowed(torch.float32), says=name)


def flatten(witness: Witness, name: str, match: re.Match[str]) -> None:
    indices = torch.stack([INDICES // 3, INDICES % 3])
    got = torch.zeros(len(INDICES), dtype=torch.int64)
    buffers = [indices, torch.tensor([3, 1]), got, constant("uint", 2), array("long", indices.stride())]
    witness.launch(name, buffers, (len(INDICES),))
    agree(got, INDICES, says=name)


CASES = (
    Case(rf"embedding_bag_{_TYPED}_(?P<index>int|long)", bag),
    Case(rf"embedding_bag_backward_{_TYPED}_(?P<index>int|long)", bag_backward),
    Case(rf"embedding_bag_per_sample_weights_backward_{_TYPED}_(?P<index>int|long)", samples_backward),
    Case(r"mark_unique_positions_and_count_kernel", mark_unique),
    Case(r"(?P<step>kogge_stone_step)|shift_right_kernel", prefix_step),
    Case(rf"coalesce_with_positions_kernel_{_TYPED}", coalesce),
    Case(r"build_batch_ptr_from_sorted_batches", batch_pointers),
    Case(rf"spmm_addmm_coo_{_TYPED}", add_product),
    Case(r"flatten_indices_kernel", flatten),
)
