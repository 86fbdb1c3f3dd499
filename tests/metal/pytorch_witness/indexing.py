# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Gathering, scattering, filling, selecting and putting by index. Bits decide, but where floats are added atomically:
n of them, in any order and of the type, are within n * eps * sum(|x|)."""

from __future__ import annotations

import re
from typing import Any

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, narrow, strided, values, wide

OUTER, ROWS, INNER, PICKS = 3, 7, 5, 4
DIM = 1
_BITS = {"8": torch.int8, "16": torch.int16, "32": torch.int32, "64": torch.int64}
_TYPED = rf"(?P<type>{TYPE})"
_INDEX = "(?P<index>int|long)"


def _long(*numbers: int) -> list[bytes]:
    return [constant("long", number) for number in numbers]


def errors(witness: Witness, name: str) -> torch.Tensor:
    """Room for what kernels report; its first number counts."""
    (one,) = (one for one in witness.described(name).arguments if one.type == "c10::metal::ErrorMessages")
    return torch.zeros((one.size or 0) // 4, dtype=torch.int32)


def _value(dtype: torch.dtype, number: float) -> torch.Tensor:
    return narrow(torch.tensor([number], dtype=torch.float64), dtype)


def _strided_arguments(sizes: torch.Size, *tensors: torch.Tensor) -> list[bytes]:
    return [array("long", sizes), *(array("long", one.stride()) for one in tensors)]


def gather(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, index_type = DTYPES[match["type"]], DTYPES[match["index"]]
    x = values(name, (OUTER, ROWS, INNER), dtype, -9, 9)
    index = values(name, (OUTER, PICKS, INNER), index_type, 0, ROWS - 1, "index")
    got = torch.zeros(tuple(index.shape), dtype=dtype)
    failed = errors(witness, name)
    if match["form"] == "dense":
        buffers: list[Any] = [got, x, index, *_long(INNER, PICKS, ROWS, 0), failed]
    else:
        x, index, got = strided(x), strided(index), strided(got)
        shape = _strided_arguments(index.shape, got, x, index)
        buffers = [got, x, index, *shape, constant("uint3", 3, DIM, 0), *_long(ROWS, 0), failed]
    witness.launch(name, buffers, (index.numel(),))
    agree(got, torch.gather(wide(x), DIM, index.to(torch.int64)), says=name)
    assert not failed.any(), name


def scatter(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, index_type, operation = DTYPES[match["type"]], DTYPES[match["index"]], match["operation"]
    low, high = (1.0, 2.0) if operation == "prod" else (-9.0, 9.0)
    got = values(name, (OUTER, ROWS, INNER), dtype, low, high)
    source = values(name, (OUTER, PICKS, INNER), dtype, low, high, "source")
    one_each = torch.stack(
        [torch.randperm(ROWS, generator=torch.Generator().manual_seed(i))[:PICKS] for i in range(15)]
    )
    unique = one_each.reshape(OUTER, INNER, PICKS).mT.contiguous().to(index_type)
    index = unique if operation == "set" else values(name, (OUTER, PICKS, INNER), index_type, 0, ROWS - 1, "index")
    failed = errors(witness, name)
    before = wide(got).clone()
    # Signed 64-bit extrema go by unsigned atomics: the host flips the sign before and after.
    flips = dtype == torch.int64 and operation in ("amax", "amin")
    if flips:
        got ^= torch.iinfo(torch.int64).min
    if match["value"]:
        source = _value(dtype, 1).expand(OUTER, PICKS, INNER)
    if match["form"] == "dense":
        given = source.flatten()[:1].clone() if match["value"] else source
        buffers: list[Any] = [got, given, index, *_long(INNER, PICKS, ROWS, 0), failed]
    else:
        source, index, result = strided(source), strided(index), strided(got)
        shape = _strided_arguments(index.shape, result, source, index)
        buffers = [result, source, index, *shape, constant("uint3", 3, DIM, 0), *_long(ROWS, 0), failed]
        got = result
    witness.launch(name, buffers, (index.numel(),))
    if flips:
        got = got ^ torch.iinfo(torch.int64).min
    where, x = index.to(torch.int64), wide(source)
    if operation == "set":
        want = before.scatter(DIM, where, x)
    elif operation == "add":
        want = before.scatter_add(DIM, where, x)
    else:
        want = before.scatter_reduce(DIM, where, x, operation)
    if not dtype.is_floating_point and not dtype.is_complex:
        want = wide(narrow(want, dtype))
    inexact = operation in ("add", "prod")
    real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)
    eps = torch.finfo(real).eps if inexact and (dtype.is_floating_point or dtype.is_complex) else 0.0
    size = (before.abs() + 0.0).scatter_add(DIM, where, x.abs() + 0.0) if operation == "add" else want.abs()
    agree(got, want, absolute=(PICKS + 1) * eps * size.double() if eps else 0.0, says=name)
    assert not failed.any(), name


def flip_sign(witness: Witness, name: str, match: re.Match[str]) -> None:
    got = values(name, (41,), torch.int64, -9, 9)
    want = got ^ torch.iinfo(torch.int64).min
    witness.launch(name, [got, *_long(0)], (41,))
    agree(got, want, says=name)


def index_copy(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, index_type = DTYPES[match["type"]], DTYPES[match["index"]]
    got = values(name, (OUTER, ROWS, INNER), dtype, -9, 9)
    source = values(name, (OUTER, PICKS, INNER), dtype, -9, 9, "source")
    index = torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))[:PICKS].to(index_type)
    want = wide(got).index_copy(DIM, index.to(torch.int64), wide(source))
    if match["form"] == "dense":
        witness.launch(name, [got, source, index, *_long(ROWS, INNER, PICKS)], (INNER, PICKS, OUTER), (5, 4, 3))
    else:
        got, source = strided(got), strided(source)
        rest = [array("long", [one[0], one[2]]) for one in (got.shape, got.stride(), source.stride())]
        buffers = [got, source, index, *_long(ROWS, got.stride(DIM), source.stride(DIM)), *rest, constant("uint", 2)]
        witness.launch(name, [*buffers, *_long(OUTER * INNER, 1)], (OUTER * INNER * PICKS,))
    agree(got, want, says=name)


def index_fill(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    got = values(name, (OUTER, ROWS, INNER), dtype, -9, 9)
    index = torch.tensor([5, 0, -3, 5])
    value = _value(dtype, 1)
    want = wide(got).index_fill(DIM, index, 1)
    if match["form"] == "strided":
        got = strided(got)
    sizes, strides = array("long", got.shape), array("long", got.stride())
    rest = [array("long", [one[0], one[2]]) for one in (got.shape, got.stride())]
    if match["mask"]:
        mask = torch.zeros(ROWS, dtype=torch.bool)
        mask[index] = True
        if match["form"] == "dense":
            numbers = [constant("uint", ROWS), constant("uint", INNER)]
            witness.launch(name, [got, mask, value, *numbers], (INNER, ROWS, OUTER), (5, 7, 3))
        else:
            numbers = [sizes, strides, constant("uint", DIM), constant("uint", 3)]
            witness.launch(name, [got, mask, value, *numbers], (got.numel(),))
    else:
        numbers = _long(ROWS, got.stride(DIM))
        if match["form"] == "dense":
            numbers += _long(OUTER * INNER)
        else:
            numbers += [*rest, constant("uint", 2), *_long(OUTER * INNER, 1)]
        witness.launch(name, [got, index, value, *numbers], (OUTER * INNER * 4,))
    agree(got, want, says=name)


def mask(witness: Witness, name: str, match: re.Match[str]) -> None:
    got = torch.ones(ROWS, dtype=torch.bool) if match["what"] == "zero" else torch.zeros(ROWS, dtype=torch.bool)
    want = torch.zeros(ROWS, dtype=torch.bool)
    if match["what"] == "zero":
        witness.launch(name, [got], (ROWS,))
    else:
        index = torch.tensor([5, 0, -3, 5])
        witness.launch(name, [got, index, *_long(ROWS, 1)], (4,))
        want[index] = True
    agree(got, want, says=name)


def by_pointers(witness: Witness, name: str, match: re.Match[str]) -> None:
    """x[:, i, j] for selecting, and the same as a target: indices are tensors whose addresses the kernel takes."""
    operation = match["operation"]
    dtype = _BITS[match["bits"]] if match["bits"] else DTYPES[match["type"]]
    size = torch.empty(0, dtype=dtype).element_size()
    low, high = (0.0, 1.0) if dtype == torch.bool else (-9.0, 9.0)
    x = strided(values(name, (OUTER, ROWS, INNER), dtype, low, high))
    repeats = operation == "put_accumulate"
    first = torch.tensor([5, 0, -3, 5] if repeats else [5, 0, -3, 6])
    second = torch.tensor([1, -1, 2, 1])
    picked = values(name, (OUTER, 4), dtype, low, high, "picked")
    address = torch.tensor([first.data_ptr(), second.data_ptr()])
    # The iterator's dimensions, innermost first: picks, then what is not indexed; strides in bytes.
    plain = [0, x.stride(0) * size]
    dense = [size, 4 * size]
    sizes, index_strides = array("long", [4, OUTER]), array("long", [8, 0])
    failed = errors(witness, name)
    limits = [array("long", x.shape[1:]), array("long", [stride * size for stride in x.stride()[1:]])]
    counts = constant("uint4", 2, 2, 4 * OUTER, 0)
    whole = (slice(None), first, second)
    if operation == "select":
        got, want = picked, wide(x)[whole]
        buffers = [
            picked,
            x,
            address,
            sizes,
            array("long", dense),
            array("long", plain),
            index_strides,
            *limits,
            counts,
            failed,
        ]
    else:
        want = wide(x).clone()
        if repeats:
            want.index_put_((torch.arange(OUTER)[:, None], first, second), wide(picked), accumulate=True)
        else:
            want[whole] = wide(picked)
        got = x
        buffers = [
            x,
            picked,
            address,
            sizes,
            array("long", plain),
            array("long", dense),
            index_strides,
            *limits,
            counts,
            failed,
        ]
    witness.launch(name, buffers, (1,) if operation == "put_serial" else (4 * OUTER,))
    if not dtype.is_floating_point and not dtype.is_complex:
        want = wide(narrow(want, dtype))
    real = {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)
    inexact = repeats and (dtype.is_floating_point or dtype.is_complex)
    agree(got, want, absolute=3 * torch.finfo(real).eps * 40 if inexact else 0.0, says=name)
    assert not failed.any(), name


def index_reduce(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, index_type, operation = DTYPES[match["type"]], DTYPES[match["index"]], match["operation"]
    low, high = (1.0, 2.0) if operation == "prod" else (0.0, 9.0)
    got = strided(values(name, (OUTER, ROWS, INNER), dtype, low, high))
    source = strided(values(name, (OUTER, PICKS, INNER), dtype, low, high, "source"))
    index = torch.tensor([5, 0, 3, 5]).to(index_type)

    def slots(numbers: Any) -> list[int]:
        return [*numbers, *[0] * (16 - len(numbers))]

    params = witness.struct(
        name, 3, ndim=3, reduce_dim=DIM, self_strides=slots(got.stride()), self_sizes=slots(got.shape),
        source_strides=slots(source.stride()), source_sizes=slots(source.shape), index_stride=1,
    )  # fmt: skip
    where = index.to(torch.int64)[None, :, None].expand(OUTER, PICKS, INNER)
    # The kernel of the mean adds; the division is the host's.
    reduce = {"mean": "sum"}.get(operation, operation)
    want = wide(got).scatter_reduce(DIM, where, wide(source), reduce)
    want = want if dtype.is_floating_point else wide(narrow(want, dtype))
    # Atomics on types of less than 32 bits go by words: the storage's end must be there.
    witness.launch(name, [got, index, source, params], (source.numel(),))
    eps = torch.finfo(dtype).eps if dtype.is_floating_point and operation in ("mean", "prod") else 0.0
    agree(got, want, absolute=3 * eps * want.abs().double() if eps else 0.0, says=name)


def fill(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    got, value = torch.zeros((3, 5, 7), dtype=dtype), _value(dtype, 1)
    if match["form"] == "dense":
        witness.launch(name, [got, value, constant("uint", got.numel())], (got.numel(),))
    else:
        got = strided(got)
        strides = array("long", [stride * got.element_size() for stride in got.stride()])
        shape = [array("long", got.shape), strides, constant("uint", 3)]
        witness.launch(name, [got, value, *shape], (35, 3), (35, 3))
    agree(got, torch.ones(3, 5, 7), says=name)


def masked_fill(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = _BITS[match["bits"]]
    got, value = values(name, (3, 5, 7), dtype, -9, 9), torch.tensor([99], dtype=dtype)
    shape = (7,) if match["form"] == "broadcast" else (3, 5, 7)
    wanted = values(name, shape, torch.bool, 0, 1, "mask")
    want = wide(got).masked_fill(wanted, 99)
    if match["form"] == "dense":
        buffers: list[Any] = [got, wanted, value]
    elif match["form"] == "broadcast":
        buffers = [got, wanted, value, constant("uint", 7)]
    else:
        got, wanted = strided(got), strided(wanted)
        shape_of = _strided_arguments(got.shape, got, wanted)
        buffers = [got, wanted, value, *shape_of, torch.tensor([3], dtype=torch.int32)]
    witness.launch(name, buffers, (105,))
    agree(got, want, says=name)


CASES = (
    Case(rf"gather_(?P<form>dense|strided)_{_TYPED}_{_INDEX}", gather),
    Case(
        rf"scatter_(?P<operation>add|amax|amin|prod|set)_(?P<form>dense|strided)(?P<value>_value)?_{_TYPED}_{_INDEX}",
        scatter,
    ),
    Case(rf"scatter_(?P<operation>set)(?P<form>)(?P<value>)_{_TYPED}_{_INDEX}", scatter),
    Case(r"scatter_signbit_xor_long", flip_sign),
    Case(rf"index_copy_(?P<form>dense|strided)_{_TYPED}_{_INDEX}_\d+", index_copy),
    Case(rf"index_fill_(?P<form>dense|strided)(?P<mask>_from_mask)?_{_TYPED}", index_fill),
    Case(r"index_fill_(?P<what>set|zero)_mask", mask),
    Case(r"index_(?P<operation>select|put|put_serial)_(?P<bits>\d+)bit(?P<type>)", by_pointers),
    Case(rf"index_(?P<operation>put_accumulate)_(?P<bits>){_TYPED}", by_pointers),
    Case(rf"index_reduce_(?P<operation>amax|amin|mean|prod)_{_TYPED}_{_INDEX}", index_reduce),
    Case(rf"fill_scalar_(?P<form>dense|strided)_{_TYPED}", fill),
    Case(r"masked_fill_scalar_(?P<form>dense|strided|broadcast)_(?P<bits>\d+)bit", masked_fill),
)
