# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cumulative sums, products, extrema: in one pass, in blocks with carries, and with look-back among threadgroups.

Accumulated in float (integers exactly): element n of a sum is within n * eps * sum(|x|) of the exact one, of a product
within n * eps of it (Higham, 3.1 and 4.2), and then rounded.
"""

from __future__ import annotations

import math
import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, values, wide

EPS = torch.finfo(torch.float32).eps
SIMD = 32
_TYPES = rf"(?P<type>{TYPE})(_(?P<result>{TYPE}))?"
_OPERATION = "(?P<operation>cumsum|cumprod|logcumsumexp)"


class Scan:
    """The operand [outer, axis, inner], scanned along the axis."""

    def __init__(self, name: str, match: re.Match[str], outer: int, axis: int, inner: int) -> None:
        self.name, self.operation = name, match["operation"]
        self.dtype = DTYPES[match["type"]]
        self.result = DTYPES[match["result"] or match["type"]]
        whole = not self.dtype.is_floating_point and not self.dtype.is_complex
        low, high = {
            "cumsum": (-2.0, 2.0),
            "cumprod": (-1.0, 2.0) if whole else (0.9, 1.1),
            "logcumsumexp": (-2.0, 2.0),
        }[self.operation]
        if self.operation == "cumprod" and self.dtype.is_complex:
            low, high = -0.8, 0.8
        self.x = values(name, (outer, axis, inner), self.dtype, low, high)
        self.outer, self.axis, self.inner = outer, axis, inner
        self.out = torch.zeros((outer, axis, inner), dtype=self.result)
        # Sums of blocks are kept in the accumulator's type.
        self.sums = torch.float32 if self.result in (torch.float16, torch.bfloat16) else self.result
        self.reads = 4 if torch.empty(0, dtype=self.sums).element_size() <= 4 else 2

    def want(self) -> torch.Tensor:
        return getattr(torch, self.operation)(wide(self.x), dim=1)

    def check(self) -> None:
        count = torch.arange(1, self.axis + 1, dtype=torch.float64)[None, :, None]
        x, want = wide(self.x), self.want()
        if self.operation == "cumsum":
            size = x.abs().double().cumsum(1)
        elif self.operation == "cumprod":
            size = 4 * want.abs().double() + (x.abs().cumprod(1) * 4 if x.is_complex() else 0)
        else:  # each step: an exp and a log1p, 4 units in the last place each (MSL specification, table 8.2)
            size = 16 * (1 + want.abs())
        # Complex halves are accumulated as such. The branch of a complex logarithm is open: e to its power is compared.
        eps = torch.finfo(torch.float16).eps if self.dtype == torch.complex32 else EPS
        if self.operation == "logcumsumexp" and self.dtype.is_complex:
            out, want = wide(self.out).exp(), want.exp()
            size = size * (1 + want.abs())
            agree(out, want, absolute=count * eps * size, says=self.name)
        else:
            agree(
                self.out,
                want,
                ulps=8 if self.dtype == torch.complex32 else 1,
                absolute=count * eps * size,
                says=self.name,
            )

    def totals(self, block: int) -> torch.Tensor:
        """The total of each block along the axis, [outer, inner, blocks], exact to the last place."""
        fold = torch.sum if self.operation == "cumsum" else torch.prod
        parts = [fold(part, dim=1) for part in wide(self.x).split(block, dim=1)]
        return torch.stack(parts, -1)

    def totals_agree(self, got: torch.Tensor, want: torch.Tensor, block: int) -> None:
        size = wide(self.x).abs().double().sum(1).max() if self.operation == "cumsum" else 4 * want.abs().double()
        agree(got, want, ulps=1, absolute=block * EPS * size, says=self.name)


def innermost(witness: Witness, name: str, match: re.Match[str]) -> None:
    for axis in (1, 333, 4 * 1024 + 9):
        scan = Scan(name, match, 3, axis, 1)
        group = min(-(-axis // (scan.reads * SIMD)) * SIMD, 1024)
        witness.launch(name, [scan.x, scan.out, constant("ulong", axis)], (group, 3, 1), (group, 1, 1))
        scan.check()


def outer(witness: Witness, name: str, match: re.Match[str]) -> None:
    scan = Scan(name, match, 2, 75, 37)
    group = 32 // scan.reads * SIMD
    numbers = [constant("ulong", value) for value in (scan.axis, scan.inner, 2)]
    witness.launch(name, [scan.x, scan.out, *numbers], (group, scan.outer * 2, 1), (group, 1, 1))
    scan.check()


def transposed(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Reads [axis, columns], writes [columns, axis]."""
    scan = Scan(name, match, 41, 75, 1)
    group = 32 // scan.reads * SIMD
    numbers = [constant("ulong", value) for value in (scan.axis, 41, 2)]
    witness.launch(name, [scan.x[..., 0].t().contiguous(), scan.out, *numbers], (group, 2, 1), (group, 1, 1))
    scan.check()


def tiny(witness: Witness, name: str, match: re.Match[str]) -> None:
    scan = Scan(name, match, 301, 13, 1)
    rows = 2048 // scan.axis
    numbers = [constant("uint", value) for value in (scan.axis, scan.outer, rows)]
    witness.launch(name, [scan.x, scan.out, *numbers], (256 * math.ceil(scan.outer / rows),), (256,))
    scan.check()


def blocks(witness: Witness, name: str, match: re.Match[str]) -> None:
    scan = Scan(name, match, 2, 1500, 1)
    block = 700
    totals = scan.totals(block)[:, 0]
    count = totals.shape[-1]
    sums = torch.zeros_like(totals, dtype=scan.sums) if match["what"] == "reduce" else totals.to(scan.sums)
    numbers = [constant("ulong", value) for value in (scan.axis, block, count)]
    buffers = [scan.x, sums, *numbers] if match["what"] == "reduce" else [scan.x, scan.out, sums, *numbers]
    witness.launch(name, buffers, (256 * count, scan.outer, 1), (256, 1, 1))
    if match["what"] == "reduce":
        scan.totals_agree(sums, totals, block)
    else:
        scan.check()


def vector_blocks(witness: Witness, name: str, match: re.Match[str]) -> None:
    vector, group = int(match["vector"]), 64
    scan = Scan(name, match, 2, 0, vector)
    block = group * scan.reads
    scan = Scan(name, match, 2, 2 * block + 5, vector)
    totals = scan.totals(block).transpose(1, 2).contiguous()  # [outer, blocks, vector]
    count = totals.shape[1]
    sums = torch.zeros_like(totals, dtype=scan.sums) if match["what"] == "reduce" else totals.to(scan.sums)
    numbers = [constant("ulong", value) for value in (scan.axis, block, count, scan.outer)]
    buffers = [scan.x, sums, *numbers] if match["what"] == "reduce" else [scan.x, scan.out, sums, *numbers]
    witness.launch(name, buffers, (group, scan.outer * count, 1), (group, 1, 1))
    if match["what"] == "reduce":
        scan.totals_agree(sums, totals, block)
    else:
        scan.check()


def strided_blocks(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Tiles of `width` columns; the carry takes the scan of the blocks' totals."""
    width, block = int(match["width"]), 64
    scan = Scan(name, match, 2, 150, width + 3)
    across = math.ceil(scan.inner / width)
    totals = scan.totals(block)
    count = totals.shape[-1]
    through = getattr(torch, scan.operation)(totals, -1)
    sums = (torch.zeros_like(totals) if match["what"] == "reduce" else through).to(scan.sums)
    numbers = [constant("ulong", value) for value in (scan.axis, scan.inner, across, block, count, scan.outer)]
    group = width // scan.reads * SIMD
    buffers = [scan.x, sums, *numbers] if match["what"] == "reduce" else [scan.x, scan.out, sums, *numbers]
    witness.launch(name, buffers, (group, scan.outer * across * count, 1), (group, 1, 1))
    if match["what"] == "reduce":
        scan.totals_agree(sums, totals, block)
    else:
        scan.check()


def block_sums(witness: Witness, name: str, match: re.Match[str]) -> None:
    """In place, each row: the scan of the totals of its blocks."""
    dtype = DTYPES[match["type"]]
    kept = torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
    whole = not kept.is_floating_point
    totals = values(name, (3, 300), kept, -1.0 if whole else 0.9, 1.0 if whole else 1.1)
    got, want = totals.clone(), getattr(torch, match["operation"])(wide(totals), -1)
    witness.launch(name, [got, constant("ulong", 300)], (256, 3, 1), (256, 1, 1))
    size = wide(totals).abs().double().cumsum(-1) if match["operation"] == "cumsum" else 4 * want.abs().double()
    agree(got, want, absolute=300 * EPS * size, says=name)


def decoupled(witness: Witness, name: str, match: re.Match[str]) -> None:
    """A threadgroup waits for what the ones before it have published."""
    group = 256
    scan = Scan(name, match, 2, 2 * group * 16 + 77, 1)
    tiles = math.ceil(scan.axis / (group * 16))
    counter = torch.zeros(1, dtype=torch.int32)
    empty = [torch.full((scan.outer * tiles,), -1, dtype=torch.int32) for _ in range(2)]
    numbers = [constant("uint", scan.axis), constant("uint", tiles)]
    witness.launch(name, [scan.x, scan.out, counter, *empty, *numbers], (group * scan.outer * tiles,), (group,))
    scan.check()


def strided_decoupled(witness: Witness, name: str, match: re.Match[str]) -> None:
    vector, reads = int(match["vector"]), int(match["reads"])
    group = 768 if vector <= 2 else 512
    scan = Scan(name, match, 2, group * reads + 77, vector)
    tiles = math.ceil(scan.axis / (group * reads))
    total = scan.outer * tiles
    counter, status = torch.zeros(1, dtype=torch.int32), torch.zeros(total, dtype=torch.int32)
    kept = [torch.zeros(total * vector, dtype=torch.int32) for _ in range(2)]
    numbers = [constant("uint", scan.axis), constant("uint", tiles)]
    witness.launch(name, [scan.x, scan.out, counter, status, *kept, *numbers], (group * total,), (group,))
    scan.check()


def extremum(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Values and places; of equal ones, the last place, as on the CPU."""
    dtype = DTYPES[match["type"]]
    reads = 4 if torch.empty(0, dtype=dtype).element_size() <= 4 else 2
    shape = (3, 333, 1) if match["where"] == "innermost" else (2, 75, 37)
    x = values(name, shape, dtype, -9, 9)
    got, places = torch.zeros_like(x), torch.zeros(shape, dtype=torch.int64)
    if match["where"] == "innermost":
        group = -(-shape[1] // (reads * SIMD)) * SIMD
        numbers, threads = [constant("ulong", shape[1])], (group, shape[0], 1)
    else:
        group = 32 // reads * SIMD
        numbers, threads = [constant("ulong", value) for value in (75, 37, 2)], (group, 2 * 2, 1)
    witness.launch(name, [x, got, places, *numbers], threads, (group, 1, 1))
    want, want_places = getattr(torch, match["operation"])(x, dim=1)
    agree(got, want, says=name)
    agree(places, want_places, says=f"{name}: places")


_WHAT = "(?P<what>reduce|carry)"
CASES = (
    Case(rf"{_OPERATION}_innermost_{_TYPES}", innermost),
    Case(rf"{_OPERATION}_outer_{_TYPES}", outer),
    Case(rf"{_OPERATION}_innermost_transposed_{_TYPES}", transposed),
    Case(rf"{_OPERATION}_tiny_innermost_{_TYPES}", tiny),
    Case(rf"{_OPERATION}_block_{_WHAT}_{_TYPES}", blocks),
    Case(rf"{_OPERATION}_vec_block_{_WHAT}_(?P<vector>\d+)_{_TYPES}", vector_blocks),
    Case(rf"{_OPERATION}_strided_block_{_WHAT}_(?P<width>\d+)_{_TYPES}", strided_blocks),
    Case(rf"{_OPERATION}_scan_block_sums_{_TYPES}", block_sums),
    Case(rf"{_OPERATION}_contig_decoupled_{_TYPES}", decoupled),
    Case(rf"{_OPERATION}_strided_decoupled_(?P<vector>\d+)_(?P<reads>\d+)_{_TYPES}", strided_decoupled),
    Case(rf"(?P<operation>cummax|cummin)_(?P<where>innermost|outer)_(?P<type>{TYPE})", extremum),
)
