# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What moves elements about: triangles, diagonals, concatenation, cross products, interpolation, windows, columns."""

from __future__ import annotations

import re
from typing import Any

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, array, constant, narrow, strided, values, wide

_TYPED = rf"(?P<type>{TYPE})"


def _real(dtype: torch.dtype) -> torch.dtype:
    return {torch.complex64: torch.float32, torch.complex32: torch.float16}.get(dtype, dtype)


def _eps(dtype: torch.dtype) -> float:
    return torch.finfo(_real(dtype)).eps if dtype.is_floating_point or dtype.is_complex else 0.0


def _slots(numbers: Any) -> list[int]:
    return [*numbers, *[0] * (16 - len(numbers))]


def triangle(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Sizes and strides stand innermost dimension first."""
    dtype = DTYPES[match["type"]]
    for diagonal in (0, -2, 3):
        x = strided(values(name, (3, 5, 7), dtype, 1, 9))
        want = getattr(torch, match["what"])(wide(x), diagonal)
        got = x if match["in_place"] else strided(torch.zeros_like(x))
        kind = match["index"]
        strides = [array(kind, list(reversed(one.stride()))) for one in ((got,) if match["in_place"] else (got, x))]
        numbers = [array("uint", [7, 5, 3]), constant("int2", diagonal, 3)]
        witness.launch(
            name, [x, *strides, *numbers] if match["in_place"] else [got, x, *strides, *numbers], (7, 5, 3), (7, 5, 1)
        )
        agree(got, want, says=name)


def eye(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    got = torch.zeros((5, 7, 2), dtype=dtype)[..., 0]
    if match["diagonal"]:
        witness.launch(name, [got, constant("long", got.stride(0) + got.stride(1))], (5,))
    else:
        got.fill_(1)
        witness.launch(name, [got, *(constant("long", stride) for stride in got.stride())], (7, 5), (7, 5))
    agree(got, torch.eye(5, 7), says=name)


def cross(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Each part is a difference of two products: within two units of the larger."""
    dtype = DTYPES[match["type"]]
    x, y = (values(name, (5, 3, 7), dtype, -3, 3, salt) for salt in "xy")
    got = torch.zeros_like(x)
    want = torch.linalg.cross(wide(x), wide(y), dim=1)
    want = want if dtype.is_floating_point or dtype.is_complex else wide(narrow(want, dtype))
    if match["form"] == "dense":
        witness.launch(name, [got, x, y, constant("uint", 7)], (35,))
    else:
        x, y, got = strided(x), strided(y), strided(got)
        strides = [array("long", one.stride()) for one in (got, x, y)]
        buffers = [got, x, y, array("long", [5, 7]), *strides, constant("uint", 3), constant("uint", 1)]
        witness.launch(name, buffers, (35,))
    agree(got, want, absolute=4 * 4 * 9 * _eps(dtype), says=name)


def concatenate(witness: Witness, name: str, match: re.Match[str]) -> None:
    """One operand written to its place in the result, and converted."""
    dtype, result = DTYPES[match["type"]], DTYPES[match["result"]]
    x = strided(values(name, (3, 4, 5), dtype, 0, 9))
    got = torch.zeros((3, 9, 5), dtype=result)
    shared = witness.struct(
        name, 2, ndim=3, cat_dim=1, output_strides=_slots(got.stride()), output_sizes=_slots(got.shape)
    )
    own = witness.struct(
        name, 3, cat_dim_offset=2, input_element_offset=0, input_strides=_slots(x.stride()), input_sizes=_slots(x.shape)
    )
    witness.launch(name, [x, got, shared, own], (x.numel(),))
    want = torch.zeros((3, 9, 5), dtype=wide(got).dtype)
    taken = wide(x)
    if not taken.is_complex() or want.is_complex():
        want[:, 2:6] = wide(
            narrow(
                taken.trunc()
                if not result.is_floating_point
                and not result.is_complex
                and not taken.is_complex()
                and taken.is_floating_point()
                else taken,
                result,
            )
        )
    agree(got, want, says=name)


def lerp(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype = DTYPES[match["type"]]
    whole = not dtype.is_floating_point and not dtype.is_complex
    a, b = (values(name, (3, 5, 7), dtype, -2, 2, salt) for salt in "ab")
    weight = values(name, (3, 5, 7), dtype, 0, 1, "weight")
    got = torch.zeros_like(a)
    if match["scalar"]:
        weight = weight[0, 0, :1].clone()
        witness.launch(name, [got, a, b, weight], (105,))
    elif match["form"] == "dense":
        witness.launch(name, [got, a, b, weight], (105,))
    else:
        a, b, weight, got = strided(a), strided(b), strided(weight), strided(got)
        size = got.element_size()
        strides = [array("long", [stride * size for stride in reversed(one.stride())]) for one in (got, a, b, weight)]
        if match["form"] == "strided_3d":
            witness.launch(name, [got, a, b, weight, *strides], (7, 5, 3), (7, 5, 1))
        else:
            buffers = [got, a, b, weight, array("long", [7, 5, 3]), *strides, constant("uint", 3)]
            witness.launch(name, buffers, (105,))
    want = wide(a) + wide(weight) * (wide(b) - wide(a))
    agree(got, want, ulps=2, absolute=0.0 if whole else 8 * 4 * _eps(dtype), says=name)


def offsets(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Of every element of an iteration, the offsets in one or three operands."""
    count, kind = (1, "uint") if not match["bits"] else (3, {"32": "uint", "64": "ulong"}[match["bits"]])
    shape, strides = [7, 5, 3], [[4, 28, 140], [8, 0, 56], [12, 84, 4]]
    room = 4 if count == 3 else 1  # uint3 takes four places in memory
    got = torch.zeros((105, room), dtype=DTYPES[kind])
    if count == 1:  # slowest first
        shape, strides = shape[::-1], [strides[0][::-1]]
    flat = [strides[i][d] for d in range(3) for i in range(count)]
    witness.launch(name, [array("uint", flat), got, array("uint", shape), constant("uint", 3)], (105,))
    place = torch.arange(105)
    positions = torch.stack([place % 7, place // 7 % 5, place // 35], 1)
    if count == 1:
        positions = positions.flip(1)
    for i in range(count):
        agree(got[:, i], positions @ torch.tensor(strides[i]), says=name)


def unfold_backward(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, size, step = DTYPES[match["type"]], 4, 2
    shape, dim = (3, 11, 5), 1
    windows = (shape[dim] - size) // step + 1
    grad = values(name, (3, windows, 5, size), dtype, -1, 1)
    got = torch.zeros(shape, dtype=dtype)
    buffers = [grad, got, array("long", grad.stride()), array("long", shape), array("long", got.stride())]
    witness.launch(name, [*buffers, constant("uint4", dim, size, step, 3)], (got.numel(),))
    want = torch.ops.aten.unfold_backward(wide(grad), list(shape), dim, size, step)
    agree(got, want, ulps=1, absolute=4 * 2 * _eps(dtype), says=name)


def columns(witness: Witness, name: str, match: re.Match[str]) -> None:
    """The patches of images as columns (im2col)."""
    dtype = DTYPES[match["type"]]
    x = values(name, (2, 3, 8, 7), dtype, -9, 9)
    kernel, dilation, padding, stride = (3, 2), (1, 2), (1, 2), (2, 1)
    fold = {"dilation": dilation, "padding": padding, "stride": stride}
    source = wide(x).double() if not x.is_complex() else wide(x)
    want = torch.nn.functional.unfold(source, kernel, **fold)
    high, across = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip((8, 7), padding, dilation, kernel, stride, strict=True)
    )
    got = torch.zeros(tuple(want.shape), dtype=dtype)
    kind = "uint4" if match["bits"] == "32" else "ulong4"
    size = "int4" if match["bits"] == "32" else "long4"
    numbers = [
        constant("uint4", *reversed(kernel), *reversed(dilation)),
        constant("int4", *reversed(padding), *reversed(stride)),
        constant(kind, *reversed(x.stride())), constant(kind, *reversed(got.stride()), across),
        constant(size, *reversed(x.shape)),
    ]  # fmt: skip
    witness.launch(name, [x, got, *numbers], (high * across, 3, 2), (8, 1, 1))
    agree(got, want, says=name)


def images(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Columns added up to images (col2im)."""
    dtype = DTYPES[match["type"]]
    kernel, dilation, padding, stride = (3, 2), (1, 2), (1, 2), (2, 1)
    fold = {"dilation": dilation, "padding": padding, "stride": stride}
    high, across = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip((8, 7), padding, dilation, kernel, stride, strict=True)
    )
    x = values(name, (2, 18, high * across), dtype, -1, 1)
    got = torch.zeros((2, 3, 8, 7), dtype=dtype)
    kind = "uint" if match["bits"] == "32" else "ulong"
    two = [constant("uint2", *pair) for pair in ((8, 7), kernel, padding, stride, dilation, (high, across))]
    numbers = [constant(kind, x.stride(0)), constant("uint", 3), *two, constant(kind, got.stride(0))]
    kinds = {one.slot: one.type for one in witness.described(name).arguments if one.slot is not None}
    numbers.append(constant(kinds[11], x.stride(1), x.stride(2)))
    witness.launch(name, [x, got, *numbers], (7, 8, 6), (7, 1, 1))
    agree(
        got,
        torch.nn.functional.fold(wide(x) if x.is_complex() else wide(x).double(), (8, 7), kernel, **fold),
        ulps=1,
        absolute=6 * 6 * _eps(dtype),
        says=name,
    )


def triangle_indices(witness: Witness, name: str, match: re.Match[str]) -> None:
    """Rows and columns of the elements of a triangle: a trapezoid of rows that grow, and rows that are whole."""
    rows, columns_, offset = 6, 4, 1
    want = getattr(torch, f"{match['what']}_indices")(rows, columns_, offset)
    kind = DTYPES[match["type"]]
    got = torch.zeros(tuple(want.shape), dtype=kind)
    total = want.shape[1]
    if match["what"] == "tril":
        first = min(columns_, 1 + offset)
        growing = columns_ - first + 1
        trapezoid = (first + columns_) * growing // 2
        numbers = [0, first, columns_, trapezoid, total]
    else:
        first = columns_ - max(0, offset)
        numbers = [max(0, offset), first, columns_, 0, total]
    witness.launch(name, [got, *(constant("long", value) for value in numbers)], (total,))
    agree(got, want, says=name)


CASES = (
    Case(rf"(?P<what>tril|triu)_(?P<in_place>inplace_)?(?P<index>int|long)_{_TYPED}", triangle),
    Case(rf"(?P<what>tril|triu)_indices_{_TYPED}", triangle_indices),
    Case(rf"eye_(?P<diagonal>diag_)?{_TYPED}", eye),
    Case(rf"cross_(?P<form>dense|strided)_{_TYPED}", cross),
    Case(rf"cat_int(32|64)_t_{_TYPED}_(?P<result>{TYPE})", concatenate),
    Case(rf"lerp_tensor_(?P<scalar>)(?P<form>dense|strided_3d|strided)_{_TYPED}", lerp),
    Case(rf"lerp_tensor_(?P<scalar>scalar_weight)(?P<form>)_{_TYPED}", lerp),
    Case(r"kernel_index_offsets?(_(?P<bits>32|64))?", offsets),
    Case(rf"unfold_backward_{_TYPED}", unfold_backward),
    Case(rf"im2col_{_TYPED}_u(?P<bits>\d+)", columns),
    Case(rf"col2im_kernel_{_TYPED}_u(?P<bits>\d+)", images),
)
