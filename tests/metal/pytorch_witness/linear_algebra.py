# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Matrix products (plain, batched, quantized weights), Cholesky's blocks, Householder reflections, pivots.

An inner product of k terms in float is within k * eps * sum(|a| |b|) of the exact one (Higham, 3.1). The factorisations
are of well conditioned matrices (diagonally dominant), whose backward error n * eps * |A| bounds the forward one by
their condition, which is below 100.
"""

from __future__ import annotations

import math
import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, strided, values, wide

EPS = torch.finfo(torch.float32).eps
TILE = 16
M, K, N, BATCH = 21, 37, 19, 3
_TYPE = rf"(?P<type>{TYPE})"


def _number(dtype: torch.dtype, value: float) -> list[float]:
    return [value, 0.0] if dtype.is_complex else [value]


def _scalars(name: str, slot: int, witness: Witness, dtype: torch.dtype, numbers: list[float]) -> bytes:
    (argument,) = (one for one in witness.described(name).arguments if one.slot == slot)
    kind = argument.fields[0].type
    return b"".join(constant(kind, *_number(dtype, one)) for one in numbers)


def _two(name: str, dtype: torch.dtype, *batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = values(name, (*batch, M, K), dtype, -3, 3), values(name, (*batch, K, N), dtype, -3, 3, "b")
    return strided(a), strided(b)


def _product(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The product and the bound on what the order of its sums may make."""
    size = wide(a).abs().double() @ wide(b).abs().double()
    return wide(a) @ wide(b), 4 * a.shape[-1] * EPS * size


def product(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    a, b = _two(name, dtype)
    got, bias = strided(torch.zeros((M, N), dtype=dtype)), strided(values(name, (M, N), dtype, -3, 3, "bias"))
    want, allowed = _product(a, b)
    matrices, buffers = [a, b, got], [a, b, got]
    if match["add"]:
        matrices.append(bias)
        buffers += [bias, _scalars(name, 4, witness, dtype, [2, 3])]
        want, allowed = 2 * want + 3 * wide(bias), 4 * allowed
    buffers.append(b"".join(constant("ulong2", *one.stride()) for one in matrices))
    buffers.append(constant("uint3", M, K, N))
    witness.launch(name, buffers, (math.ceil(N / TILE) * TILE, math.ceil(M / TILE) * TILE), (TILE, TILE))
    agree(got, want, ulps=1, absolute=allowed, says=name)


def batched(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Strides stand innermost first, of every matrix."""
    dtype = DTYPES[match["type"]]
    a, b = _two(name, dtype, BATCH)
    summed = match["what"] == "addbmm"
    shape = (M, N) if summed else (BATCH, M, N)
    got, bias = strided(torch.zeros(shape, dtype=dtype)), strided(values(name, shape, dtype, -3, 3, "bias"))
    want, allowed = _product(a, b)
    if summed:
        want, allowed = want.sum(0), allowed.sum(0) * 2
    matrices, buffers = [a, b, got], [a, b, got]
    if match["what"] != "bmm":
        matrices.append(bias)
        buffers += [bias, _scalars(name, 4, witness, dtype, [2, 3])]
        want, allowed = 2 * want + 3 * wide(bias), 4 * allowed
    strides = [[*reversed(one.stride()), 0][:3] for one in matrices]
    buffers.append(array("ulong", [one for three in strides for one in three]))
    buffers.append(constant("uint4", M, K, N, BATCH))
    threads = (math.ceil(N / TILE) * TILE, math.ceil(M / TILE) * TILE, 1 if summed else BATCH)
    witness.launch(name, buffers, threads, (TILE, TILE, 1))
    agree(got, want, ulps=1, absolute=allowed, says=name)


def int4(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Weights of four bits, offset by 8, with a scale and a zero of each group along k."""
    dtype, group = DTYPES[match["type"]], int(match["group"])
    m, k, n = 3, 512, 8
    a = values(name, (m, k), dtype, -1, 1)
    w = values(name, (n, k), torch.int32, 0, 15, "w")
    scales = values(name, (k // group, n, 2), dtype, 0.5, 1.5, "scales")
    packed = (w[:, 0::2] | (w[:, 1::2] << 4)).to(torch.uint8)
    got = torch.zeros((m, n), dtype=dtype)
    witness.launch(name, [a, packed, scales, got, constant("uint3", m, k, n)], (n // 4 * 32, 1, m), (32, 1, 1))
    scale, zero = (wide(scales[..., i]).repeat_interleave(group, 0).t() for i in (0, 1))
    real = (w.double() - 8) * scale + zero
    want, allowed = _product(a, real.t())
    # Scales, and zeros less 8 scales, are rounded to the type.
    spread = torch.finfo(dtype).eps * (wide(a).abs() @ (16 * scale.abs() + zero.abs()).t())
    agree(got, want, ulps=1, absolute=16 * allowed + spread, says=name)


def pack_int4(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Each int holds eight values, the first in the lowest bits of its highest byte... as torch packs on the CPU."""
    n, words = 8, 16
    bytes_in = values(name, (n, 4 * words), torch.uint8, 0, 255)
    got = torch.zeros_like(bytes_in)
    witness.launch(name, [bytes_in.view(torch.int32), got, constant("uint2", n, words)], (n, words), (8, 8))
    swapped = ((bytes_in.to(torch.int64) & 15) << 4) | (bytes_in.to(torch.int64) >> 4)
    agree(got, swapped, says=name)


def int8(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, large = DTYPES[match["type"]], match["what"] == "large_m_int8pack_mm"
    m, k, n = (41, 96, 96) if large else (3, 96, 13)
    a, w = values(name, (m, k), dtype, -1, 1), values(name, (n, k), torch.int8, -127, 127, "w")
    scales, got = values(name, (n,), dtype, 0.01, 0.02, "scales"), torch.zeros((m, n), dtype=dtype)
    if large:
        threads, group, memory = (math.ceil(m / 32) * 128, math.ceil(n / 64), 1), (128, 1, 1), 12288
    else:
        threads, group, memory = (math.ceil(n / 8) * 64, m, 1), (64, 1, 1), 32
    buffers = [a, w, scales, got, constant("uint3", m, k, n)]
    witness.launch(name, buffers, threads, group, {0: memory})
    want, allowed = _product(a, w.t().double())
    want, allowed = want * wide(scales), 4 * allowed * wide(scales)
    if large:
        # PyTorch's kernel reads what other lanes and simdgroups wrote with no barrier between: sure is what simdgroup 0
        # wrote itself, 16 of 32 rows and 32 of 64 columns, but for its last tile (docs/pytorch-witness.md).
        row, column = torch.arange(m)[:, None] % 32, torch.arange(n) % 64
        sure = (row < 16) & (column < 32) & ((row < 8) | (column < 24))
        got, want, allowed = got[sure], want[sure], allowed[sure]
    agree(got, want, ulps=1, absolute=allowed, says=name)


def cholesky(witness: Witness, name: str, match: re.Match[str]) -> None:
    """One step of the blocked factorisation of two matrices, from what the steps before it leave; upper is by rows."""
    what, upper = match["what"], match["where"] == "U"
    size, block, batch = 83, 32, 2
    half = wide(values(name, (batch, size, size), torch.float32, -1, 1))
    full = half @ half.mT + size * torch.eye(size, dtype=torch.float64)
    factor = torch.linalg.cholesky(full)
    rest = full.clone()  # after the first k = 0 steps, in the lower triangle
    first, behind = slice(0, block), slice(block, size)
    if what != "factorDiagonalBlock":
        rest[:, first, first] = factor[:, first, first]
    if what == "applySYRK":
        rest[:, behind, first] = factor[:, behind, first]
    want = rest.clone()
    if what == "factorDiagonalBlock":
        want[:, first, first] = factor[:, first, first]
    elif what == "applyTRSM":
        want[:, behind, first] = factor[:, behind, first]
    else:
        want[:, behind, behind] -= factor[:, behind, first] @ factor[:, behind, first].mT
    # In memory: upper has element (r, c) of the lower factor at row r, lower at column r.
    got = (rest if upper else rest.mT).float().contiguous()
    info = torch.zeros(batch, dtype=torch.int32)
    numbers = [constant("uint", value) for value in (size, block, 0)]
    blocks = math.ceil(size / block)
    pairs = {"factorDiagonalBlock": 1, "applyTRSM": blocks - 1, "applySYRK": (blocks - 1) * blocks // 2}[what]
    witness.launch(name, dict(enumerate([got, info, *numbers])), (32 * batch, 8 * pairs, 1), (32, 8, 1))
    result = wide(got if upper else got.mT).tril()
    lower = want.tril()
    if what == "factorDiagonalBlock":
        result, lower = result[:, first, first], lower[:, first, first]
    # Condition below 10: eigenvalues between size and size + 4 * size / 3.
    agree(
        result, lower, absolute=10 * size * EPS * full.abs().amax().sqrt(), says=name
    ) if what != "applySYRK" else agree(result, lower, absolute=size * EPS * full.abs().amax(), says=name)
    assert not info.any(), name


def pivots(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Row exchanges one after the other, as LAPACK records them (from 1), applied to the identity."""
    result, dtype = DTYPES[match["result"]], DTYPES[match["type"]]
    batch, count, size = 3, 5, 7
    swaps = torch.stack([values(name, (batch,), torch.int64, i + 1, size, str(i)) for i in range(count)], 1).to(dtype)
    got = torch.arange(size, dtype=result).repeat(batch, 1)
    params = witness.struct(name, 2, perm_batch_stride=size, pivots_batch_stride=count, dim_size=count)
    witness.launch(name, [got, swaps, params], (batch,))
    want = torch.arange(size).repeat(batch, 1)
    for row in range(batch):
        for i, swap in enumerate(swaps[row].tolist()):
            want[row, [i, swap - 1]] = want[row, [swap - 1, i]]
    agree(got, want, says=name)


def orthogonal(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Q is orthogonal, R upper triangular, and their product the matrix: within m * eps of it (Higham, 19.3)."""
    batch, m, n = 2, 13, 9
    a = values(name, (batch, m, n), torch.float32, -1, 1)
    q, r, work = torch.zeros((batch, m, m)), torch.zeros((batch, m, n)), torch.zeros((batch, m))
    info = torch.zeros(1, dtype=torch.int32)
    params = witness.struct(name, 4, m=m, n=n)
    witness.launch(name, [a.clone(), q, r, info, params, work], (1024 * batch,), (1024,))
    allowed = 8 * m * n * EPS
    assert (wide(q).mT @ wide(q) - torch.eye(m)).abs().max() <= allowed, name
    assert (wide(r).tril(-1)).abs().max() <= allowed, name
    assert (wide(q) @ wide(r) - wide(a)).abs().max() <= 4 * allowed, name
    assert not info.any(), name


CASES = (
    Case(r"linalg_qr_householder_float", orthogonal),
    Case(rf"(?P<add>add)mm_{_TYPE}", product),
    Case(rf"(?P<add>)matmul_{_TYPE}", product),
    Case(rf"naive_(?P<what>bmm|baddbmm|addbmm)_{_TYPE}", batched),
    Case(rf"int4pack_mm_(?P<group>\d+)_{_TYPE}", int4),
    Case(r"weight_to_int4pack", pack_int4),
    Case(rf"(?P<what>int8pack_mv|large_m_int8pack_mm)_{_TYPE}", int8),
    Case(r"(?P<what>factorDiagonalBlock|applyTRSM|applySYRK)(?P<where>[UL])", cholesky),
    Case(rf"unpack_pivots_(?P<result>{TYPE})_{_TYPE}", pivots),
)
