# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of layer_norm and rms_norm and of their gradients: one threadgroup a row.

The kernels of a single row want a thread for every `reads` values of it, in whole simdgroups; the looped ones take any
number of simdgroups. In MLX v0.30.1 (and v0.32.1 still) layer_norm's kernels of a single row fill the rest of a thread's
values with the mean from index `axis_size - reads * thread` on, which is negative for threads beyond the row's end: they
write in front of an array of their own (layer_norm.metal, lines 99-103 and 264-268). What comes of that C++ leaves open (lengths
from 1 to 6401, tried once, gave right results on both sides), so rows here reach into the last thread: then no index is
below zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, scalar, whole_simdgroups
from porter.prove.cases.rows import EQUAL, EXTREME, NAN, ONE_PLUS, ORDINARY, rows
from porter.prove.cases.values import Array, decode, empty, encode
from porter.prove.launch import Launch, Output, Request

EPSILON = 1e-5


def launches(request: Request) -> Iterator[Launch]:
    """A long row and what an ordinary row may not show; `thorough`: limits, strides of the weight, other groups.

    Both values of `has_w` where the kernel asks it.
    """
    rng = request.rng()
    limit, looped = int(request.axes["limit"]), "looped" in request.row.template
    for constants in request.combinations():
        second = NAN if request.row.template.startswith("vjp_") else EQUAL
        if looped:
            cases = [(limit + 5, (ORDINARY, second), MAX_THREADS, 1)]
            more = [(limit + 1000, (NAN, ORDINARY), 736, 2), (997, (ORDINARY, EXTREME), 96, 1)]
        else:
            cases = [(1275, (ORDINARY, second, NAN), 0, 1)]
            more = [(limit, (ORDINARY,), 0, 1), (251, (ORDINARY, ONE_PLUS), 0, 2), (256, (EXTREME,), 0, 0)]
            more += [(1, (ORDINARY,), 0, 1)] if _is_rms(request) else []
        for size, kinds, group, stride in cases + (more if request.thorough else []):
            group = group or whole_simdgroups(math.ceil(size / int(request.axes["reads"])))
            make = _gradient if request.row.template.startswith("vjp_") else _forward
            yield make(request, rng, size, kinds, group, stride if constants.get("has_w", True) else 0, constants)


def _is_rms(request: Request) -> bool:
    return "rms" in request.row.template


def _forward(
    request: Request,
    rng: np.random.Generator,
    size: int,
    kinds: Sequence[str],
    group: int,
    stride: int,
    constants: Mapping[str, bool],
) -> Launch:
    dtype = str(request.axes["dtype"])
    x = rows(rng, kinds, size, dtype)
    names = ("w",) if _is_rms(request) else ("w", "b")
    vectors = {"w": encode(rng.uniform(0.5, 1.5, max(size * stride, 1)), dtype)}
    vectors["b"] = encode(rng.uniform(-1, 1, max(size * stride, 1)), dtype)
    out = 1 + len(names)
    buffers: dict[int, Array | bytes] = {0: x, out: empty(x.shape, dtype), out + 1: scalar(EPSILON, "float32")}
    buffers[out + 2] = scalar(size, "uint32")
    for i, name in enumerate(names):
        buffers[1 + i], buffers[out + 3 + i] = vectors[name], scalar(stride, "uint32")
    return Launch(
        what=f"{len(kinds)} rows of {size}: {', '.join(kinds)}; {group} threads, stride {stride} of the weight",
        buffers=buffers,
        threads=(len(kinds) * group, 1, 1),
        group=(group, 1, 1),
        outputs=(Output(out, dtype),),
        constants=constants,
        notes={"x": x, "stride": stride, "kinds": kinds, **{name: vectors[name] for name in names}},
    )


def _gradient(
    request: Request,
    rng: np.random.Generator,
    size: int,
    kinds: Sequence[str],
    group: int,
    stride: int,
    constants: Mapping[str, bool],
) -> Launch:
    dtype = str(request.axes["dtype"])
    x, g = rows(rng, kinds, size, dtype), rows(rng, [ORDINARY] * len(kinds), size, dtype)
    w = encode(rng.uniform(0.5, 1.5, max(size * stride, 1)), dtype)
    gw = empty(x.shape if constants["has_w"] else (1,), dtype)
    return Launch(
        what=f"{len(kinds)} rows of {size}: {', '.join(kinds)}; {group} threads, stride {stride} of the weight",
        buffers={
            0: x, 1: w, 2: g, 3: empty(x.shape, dtype), 4: gw,
            5: scalar(EPSILON, "float32"), 6: scalar(size, "uint32"), 7: scalar(stride, "uint32"),
        },
        threads=(len(kinds) * group, 1, 1),
        group=(group, 1, 1),
        outputs=(Output(3, dtype), Output(4, dtype)),
        constants=constants,
        notes={"x": x, "g": g, "w": w, "stride": stride, "kinds": kinds},
    )  # fmt: skip


def expected(request: Request, launch: Launch) -> Mapping[int, Array]:
    """In float64, with the mean and its gradient left out for rms_norm. Nothing of rows with extremes: their squares
    overflow float32, and not float64."""
    notes, dtype = launch.notes, str(request.axes["dtype"])
    if EXTREME in notes["kinds"]:
        return {}
    x = decode(notes["x"], dtype)
    size, stride = x.shape[1], notes["stride"]
    w, b = (_vector(decode(notes[name], dtype), size, stride) if name in notes else 0.0 for name in ("w", "b"))
    with np.errstate(invalid="ignore"):
        centred = x if _is_rms(request) else x - x.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
        normal = centred * scale
        if "g" not in notes:
            return {launch.outputs[0].slot: normal * w + b}
        g = decode(notes["g"], dtype)
        inner = w * g
        share = normal * (inner * normal).mean(axis=1, keepdims=True)
        mean = 0.0 if _is_rms(request) else inner.mean(axis=1, keepdims=True)
        gradients = {3: scale * (inner - mean - share)}
    return {**gradients, 4: g * normal} if launch.constants["has_w"] else gradients


def _vector(stored: Array, size: int, stride: int) -> Array:
    """The values that a kernel reads of a weight, one for each column."""
    return np.asarray(stored[:: max(stride, 1)][:size])
