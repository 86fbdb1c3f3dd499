# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Quantized matrices for generators: codes packed as MLX packs them, scales and biases of groups, what they mean.

A row of codes is one string of bits, the first code in the lowest bits, read as bytes and, four of them, as uint32
(little endian). A group of codes shares a scale. `affine`: w = scale q + bias, both of the matrix's dtype. `mxfp4`,
`mxfp8`: w = scale e, the scale a power of two held in one byte (E8M0), e a float of 4 (E2M1) or 8 bits (E4M3); `nvfp4`:
groups of 16, the scale an E4M3. The formats: OCP Microscaling Formats (MX) Specification 1.0.

In an *exact* group every w has few significant bits: scales are powers of two, and biases whole multiples of them. A
product of such weights with `grid` numbers rounds nothing until it is stored, in whatever order it is summed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from porter.prove.cases.values import Array, encode

GRID_UNIT = 2.0**-4
GRID_LIMIT = 15
"""Grid numbers are k GRID_UNIT, |k| <= GRID_LIMIT: eight of them have a sum of at most 7 bits, exact in bfloat16."""


@dataclass(frozen=True)
class Weights:
    """A stack of quantized matrices, rows along the last axis but one.

    `packed` (..., rows, words) uint32; `scales` and `biases` (..., rows, groups) as stored (scales are uint8, and there
    are no biases, but for affine); `exact` (rows, groups): which groups are exact, in all matrices alike.
    """

    mode: str
    group_size: int
    bits: int
    dtype: str
    packed: Array
    scales: Array
    biases: Array | None
    exact: Array

    def __getitem__(self, index: Any) -> Weights:
        """The matrices that `index` picks of the stack."""
        biases = None if self.biases is None else self.biases[index]
        return replace(self, packed=self.packed[index], scales=self.scales[index], biases=biases)

    def numbers(self) -> Array:
        """The matrices in float64, (..., rows, columns), from MLX's own dequantisation on the CPU."""
        import mlx.core as mx

        kind = self.dtype if self.mode == "affine" else "uint8"
        held = [(self.packed, "uint32"), (self.scales, kind)]
        held += [] if self.biases is None else [(self.biases, kind)]
        count = self.scales.size
        with mx.stream(mx.Device(mx.cpu, 0)):
            packed, scales, *biases = (_mlx(as_one_row(stored, count), dtype) for stored, dtype in held)
            bias = biases[0] if biases else None
            whole = mx.dequantize(packed, scales, bias, group_size=self.group_size, bits=self.bits, mode=self.mode)
            numbers = np.array(whole.astype(mx.float32)).astype(np.float64)
        shape = (*self.scales.shape[:-1], self.scales.shape[-1] * self.group_size)
        return np.asarray(numbers[0, : count * self.group_size].reshape(shape))


def as_one_row(stored: Array, groups: int) -> Array:
    """(1, 8 n): all groups in one row, and zeros up to a multiple of 8 groups (MLX dequantizes no odd few of them)."""
    rows = stored.reshape(groups, -1)
    whole = np.zeros((-(-groups // 8) * 8, rows.shape[1]), rows.dtype)
    whole[:groups] = rows
    return whole.reshape(1, -1)


def _mlx(stored: Array, dtype: str) -> Any:
    import mlx.core as mx

    return mx.array(stored).view(mx.bfloat16) if dtype == "bfloat16" else mx.array(stored)


def pack(codes: Array, bits: int) -> Array:
    """Codes (..., n) of `bits` bits -> uint32 words (..., n bits / 32); n bits is a multiple of 32."""
    planes = (codes[..., None].astype(np.uint16) >> np.arange(bits, dtype=np.uint16)) & 1
    string = planes.reshape(*codes.shape[:-1], codes.shape[-1] * bits).astype(np.uint8)
    return np.packbits(string, axis=-1, bitorder="little").view("<u4")


def weights(
    rng: np.random.Generator, stack: tuple[int, ...], exact: Array, mode: str, group_size: int, bits: int, dtype: str
) -> Weights:
    """A stack of matrices with random codes. `exact` (rows, groups) says which groups are to be exact."""
    rows, groups = exact.shape
    codes = rng.integers(0, 1 << bits, (*stack, rows, groups * group_size))
    if mode == "mxfp8":  # without NaN, which is another case
        codes[(codes & 0x7F) == 0x7F] = 0x7E
    shape = (*stack, rows, groups)
    biases = None
    if mode == "affine":
        step = np.exp2(-bits - rng.integers(0, 2, shape)) * rng.choice([-1.0, 1.0], shape)
        ordinary = rng.standard_normal((2, *shape)) * 2.0**-bits
        zero = rng.integers(0, 1 << bits, shape)
        scales = encode(np.where(exact, step, ordinary[0]), dtype)
        biases = encode(np.where(exact, -step * zero, ordinary[1] * 2 ** (bits - 1)), dtype)
    elif mode == "nvfp4":  # E4M3 of 2^-2 .. 2^0, and any finite one of moderate size
        powers = (rng.integers(5, 8, shape) << 3).astype(np.uint8)
        scales = np.where(exact, powers, rng.integers(0x18, 0x48, shape)).astype(np.uint8)
    else:  # E8M0 of 2^-3 .. 2^0, and of 2^-9 .. 2^7
        scales = np.where(exact, rng.integers(124, 128, shape), rng.integers(118, 135, shape)).astype(np.uint8)
    return Weights(mode, group_size, bits, dtype, pack(codes, bits), scales, biases, exact)


def grid(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Grid numbers in float64."""
    return rng.integers(-GRID_LIMIT, GRID_LIMIT + 1, shape) * GRID_UNIT
