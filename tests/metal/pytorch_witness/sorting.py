# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sorting: blocks in threadgroup memory, merging of blocks, least significant digit first; selection; binary search.

Bits decide. Where elements are equal and the sort is not stable, the order of the indices is open: they are checked to
be those of the values.
"""

from __future__ import annotations

import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, generator, values, wide

ROWS = 2
# Elements of a thread (c10::metal::ILP_PER_THREAD; radix kernels of 8-bit types take 8).
EACH = 4
_SUFFIX = rf"(?P<type>{TYPE})_tptg(?P<group>\d+)(?P<short>_u16)?(?P<stable>_stable)?"


def _index_type(match: re.Match[str]) -> torch.dtype:
    return torch.uint16 if match["short"] else torch.uint32


def _keys(name: str, dtype: torch.dtype, size: int) -> torch.Tensor:
    high = 100.0 if dtype not in (torch.uint8, torch.uint16, torch.uint32, torch.uint64) else 200.0
    return values(name, (ROWS, size), dtype, -100.0 if dtype.is_signed else 0.0, high)


def _sorted(keys: torch.Tensor, descending: bool) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.sort(wide(keys), dim=-1, descending=descending, stable=True)


def _agree(
    name: str, keys: torch.Tensor, got: torch.Tensor, indices: torch.Tensor, *, descending: bool, stable: bool,
    offset: int = 0, count: int | None = None,
) -> None:  # fmt: skip
    want, order = _sorted(keys, descending)
    count = keys.shape[1] if count is None else count
    agree(got, want[:, offset : offset + count], says=name)
    agree(
        torch.gather(wide(keys), 1, indices.to(torch.int64)), want[:, offset : offset + count], says=f"{name}: indices"
    )
    if stable:
        agree(indices.to(torch.int64), order[:, offset : offset + count], says=f"{name}: order")


def sort_block(witness: Witness, name: str, match: re.Match[str]) -> None:
    group, dtype = int(match["group"]), DTYPES[match["type"]]
    size = group * EACH - 5
    keys = _keys(name, dtype, size)
    for descending in (False, True):
        count = 7 if match["topk"] else size
        got, indices = torch.zeros((ROWS, count), dtype=dtype), torch.zeros((ROWS, count), dtype=torch.int64)
        buffers = [keys, got, indices, constant("int", size), array("long", [1, size]), constant("bool", descending)]
        offset = 3 if match["topk"] else 0
        if match["topk"]:
            buffers.append(array("int", [offset, count]))
        witness.launch(name, buffers, (group, ROWS, 1), (group, 1, 1))
        stable = bool(match["stable"])
        _agree(name, keys, got, indices, descending=descending, stable=stable, offset=offset, count=count)


def sort_blocks(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Each block of the row sorted by itself; of `fkey`, the integers that order as the numbers do."""
    group, dtype = int(match["group"]), DTYPES[match["type"]]
    block = group * EACH
    size = block + block // 2 + 1
    keys = _keys(name, dtype, size)
    got = torch.zeros((ROWS, size), dtype=_ordered(keys, False).dtype if match["key"] else dtype)
    indices = torch.zeros((ROWS, size), dtype=_index_type(match))
    buffers = [keys, got, indices, constant("int", size), array("long", [1, size]), constant("bool", True)]
    witness.launch(name, buffers, (2 * group, ROWS, 1), (group, 1, 1))
    for start in (0, block):
        part = slice(start, min(start + block, size))
        there = _ordered(keys, True)[:, part] if match["key"] else keys[:, part]
        local = indices[:, part].to(torch.int64) - start
        _agree(name, there, got[:, part], local, descending=not match["key"], stable=bool(match["stable"]))


def _ordered(keys: torch.Tensor, descending: bool) -> torch.Tensor:
    """Unsigned integers in the order of floats: sign flipped of what is positive, all bits of what is negative."""
    bits, unsigned = {2: (torch.int16, torch.uint16), 4: (torch.int32, torch.uint32)}[keys.element_size()]
    top, mask = 1 << (8 * keys.element_size() - 1), (1 << (8 * keys.element_size())) - 1
    raw = keys.view(bits).to(torch.int64) & mask
    made = torch.where(raw >= top, ~raw & mask, raw | top)
    return ((~made & mask) if descending else made).to(unsigned)


def merge(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Two sorted runs, of a block each (the second is shorter), into one; `final` writes long indices and numbers."""
    group, dtype = int(match["group"]), DTYPES[match["type"]]
    block = group * EACH
    size = block + block // 2 + 1
    keys, descending = _keys(name, dtype, size), True
    taken = _ordered(keys, descending) if match["key"] else keys
    runs = torch.zeros((ROWS, size), dtype=taken.dtype)
    order = torch.zeros((ROWS, size), dtype=_index_type(match))
    for start in (0, block):
        part = slice(start, min(start + block, size))
        run, index = torch.sort(wide(taken[:, part]), dim=-1, descending=not match["key"], stable=True)
        runs[:, part], order[:, part] = run.to(taken.dtype), (index + start).to(order.dtype)
    count, offset = (9, 4) if match["topk"] else (size, 0)
    got = torch.zeros((ROWS, count), dtype=dtype)
    indices = torch.zeros((ROWS, count), dtype=torch.int64 if match["final"] else order.dtype)
    buffers = [runs, order, got, indices, constant("int3", size, 2, 2), constant("bool", descending)]
    if match["topk"]:
        buffers.append(array("int", [offset, count]))
    witness.launch(name, buffers, (2 * group, ROWS, 1), (group, 1, 1))
    # Stable runs merge into a stable whole.
    _agree(name, keys, got, indices, descending=descending, stable=True, offset=offset, count=count)


_RADIX = rf"(?P<type>{TYPE})_(?P<bits>\d+)bit(?P<group>_tptg512)?"


class Radix:
    """One pass over the keys, whose digit is the lowest, in two rows of several blocks."""

    def __init__(self, name: str, match: re.Match[str]) -> None:
        self.dtype, self.bits = DTYPES[match["type"]], int(match["bits"])
        self.element = torch.empty(0, dtype=self.dtype).element_size()
        self.group = 1024 if self.element == 2 and not match["group"] else 512
        self.block = self.group * (8 if self.element == 1 else EACH)
        self.size = self.block + self.block // 3 + 1
        self.blocks = 2
        self.keys = _keys(name, self.dtype, self.size)
        # The bits that order as the keys do.
        if self.dtype.is_floating_point:
            ordered = _ordered(self.keys, False).to(torch.int64)
        else:
            ordered = wide(self.keys) - (torch.iinfo(self.dtype).min if self.dtype != torch.bool else 0)
        self.digits = ordered & ((1 << self.bits) - 1)
        self.counts = torch.zeros((ROWS, 1 << self.bits, self.blocks), dtype=torch.int64)
        for row in range(ROWS):
            for block in range(self.blocks):
                part = self.digits[row, block * self.block : (block + 1) * self.block]
                self.counts[row, :, block] = torch.bincount(part, minlength=1 << self.bits)
        flat = self.counts.flatten(1)
        self.offsets = flat.cumsum(1) - flat

    @property
    def dims(self) -> bytes:
        return constant("int3", self.size, self.blocks, 0)


def radix_count(witness: Witness, name: str, match: re.Match[str]) -> None:
    one = Radix(name, match)
    got = torch.zeros((ROWS, (1 << one.bits) * one.blocks), dtype=torch.uint32)
    groups = 1 if match["scan"] else one.blocks
    witness.launch(
        name, [one.keys, got, one.dims, constant("bool", False)], (groups * one.group, ROWS, 1), (one.group, 1, 1)
    )
    agree(got, one.offsets if match["scan"] else one.counts.flatten(1), says=name)


def radix_scan(witness: Witness, name: str, match: re.Match[str]) -> None:
    counts = torch.randint(0, 9, (ROWS, 700), generator=generator(name))
    got = counts.to(torch.uint32)
    witness.launch(name, [got, constant("int", 700)], (1024, ROWS, 1), (1024, 1, 1))
    agree(got, counts.cumsum(1) - counts, says=name)


def radix_scatter(witness: Witness, name: str, match: re.Match[str]) -> None:
    """A stable sort by the digit; `fused` takes counts, not offsets; `topk` keeps some ranks of the last pass."""
    one = Radix(name, match)
    order = torch.sort(one.digits, dim=1, stable=True).indices
    offset, count = (5, 11) if match["topk"] else (0, one.size)
    short = torch.uint16 if match["short"] else torch.uint32
    got = torch.zeros((ROWS, count), dtype=one.dtype)
    indices = torch.zeros((ROWS, count), dtype=torch.int64 if match["final"] else short)
    offsets = (one.counts.flatten(1) if match["fused"] else one.offsets).to(torch.uint32)
    before = torch.zeros((ROWS, one.size), dtype=short)
    buffers = [one.keys, before, got, indices, offsets, one.dims, array("bool", [False, True])]
    if match["topk"]:
        buffers.append(array("int", [offset, count]))
    witness.launch(name, buffers, (one.blocks * one.group, ROWS, 1), (one.group, 1, 1))
    kept = order[:, offset : offset + count]
    agree(indices.to(torch.int64), kept, says=f"{name}: indices")
    agree(got, torch.gather(wide(one.keys), 1, kept), says=name)


def searchsorted(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, result = DTYPES[match["type"]], DTYPES[match["result"]]
    edges = _keys(name, dtype, 37)
    order = torch.sort(wide(edges), dim=1, stable=True).indices
    wanted = values(name, (ROWS, 23), dtype, -90.0 if dtype.is_signed else 0.0, 100.0, "wanted")
    bound = edges if match["sorter"] else torch.gather(wide(edges), 1, order).to(dtype)
    for right in (False, True):
        got = torch.zeros((ROWS, 23), dtype=result)
        numbers = [constant("long", value) for value in (23, 37, wanted.numel(), right, 0)]
        buffers = [wanted, bound, got, *numbers]
        if match["sorter"]:
            buffers.append(order.contiguous())
        witness.launch(name, buffers, (64, 1), (64, 1))
        sorter = order if match["sorter"] else None
        want = torch.searchsorted(wide(bound), wide(wanted), right=right, sorter=sorter)
        agree(got, want, says=f"{name} right={right}")


CASES = (
    Case(rf"sort_block_(?P<topk>topk_)?{_SUFFIX}", sort_block),
    Case(rf"mb_sort_block_(?P<key>fkey_)?{_SUFFIX}", sort_blocks),
    Case(rf"mb_merge_(?P<final>final_)?(?P<topk>topk_)?(?P<key>fkey_)?{_SUFFIX}", merge),
    Case(rf"radix_count_(?P<scan>scan_)?{_RADIX}(_mb4)?", radix_count),
    Case("radix_scan", radix_scan),
    Case(rf"radix_scatter_(?P<fused>fused_)?(?P<final>final_)?(?P<topk>topk_)?{_RADIX}(?P<short>_u16)?", radix_scatter),
    Case(rf"searchsorted_(?P<type>{TYPE})_(?P<result>int|long)(?P<sorter>_sorter)?", searchsorted),
)
