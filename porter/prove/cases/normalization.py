# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of layer_norm and rms_norm and of their gradients: one threadgroup a row.

The kernels of a single row want a thread for every `reads` values of it, in whole simdgroups; the looped ones take any
number of simdgroups. In MLX v0.30.1 (v0.32.1 still) layer_norm's kernels of a single row fill the rest of a thread's
values with the mean from index `axis_size - reads * thread` on, below zero for threads beyond the row's end: they
write in front of an array of their own (layer_norm.metal, lines 99-103 and 264-268). What comes of that C++ leaves open
(lengths from 1 to 6401, tried once, gave right results on both sides), so rows here reach into the last thread: then no
index is below zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, only, scalar, whole_simdgroups
from porter.prove.cases.rows import EQUAL, EXTREME, NAN, ONE_PLUS, ORDINARY, rows
from porter.prove.cases.values import Array, decode, empty, encode
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

EPSILON = 1e-5
KERNELS = tuple(
    f"{vjp}{name}_{way}" for vjp in ("", "vjp_") for name in ("layer_norm", "rms") for way in ("single_row", "looped")
)
WITNESS = "numpy, float64"


@dataclass(frozen=True)
class _Case:
    """`group`: threads; 0 for what the row needs. `stride`: of the weight; `bias_stride`: of the bias."""

    size: int
    kinds: tuple[str, ...]
    group: int = 0
    stride: int = 1
    bias_stride: int = 1

    def __str__(self) -> str:
        return (
            f"{len(self.kinds)} rows of {self.size}: {', '.join(self.kinds)}; "
            f"{self.group} threads, strides {self.stride} and {self.bias_stride} of weight and bias"
        )


def launches(request: Request) -> Iterator[Launch]:
    """A long row and what an ordinary row may not show; `thorough`: limits, strides of the weight, other groups.

    Both values of `has_w` where the kernel asks it.
    """
    only(request, KERNELS)
    rng = request.rng()
    gradient = request.row.template.startswith("vjp_")
    for constants in request.combinations():
        for case in _cases(request, EQUAL if not gradient else NAN):
            threads = case.group or whole_simdgroups(math.ceil(case.size / int(request.axes["reads"])))
            stride = case.stride if constants.get("has_w", True) else 0
            make = _gradient if gradient else _forward
            yield make(request, rng, replace(case, group=threads, stride=stride), constants)


def _cases(request: Request, second: str) -> list[_Case]:
    limit = int(request.axes["limit"])
    if "looped" in request.row.template:
        cases = [_Case(limit + 5, (ORDINARY, second), MAX_THREADS)]
        more = [_Case(limit + 1000, (NAN, ORDINARY), 736, 2, 3), _Case(997, (ORDINARY, EXTREME), 96)]
    else:
        cases = [_Case(1275, (ORDINARY, second, ONE_PLUS))]
        more = [_Case(limit, (ORDINARY,)), _Case(251, (ORDINARY, NAN), 0, 2, 0), _Case(256, (EXTREME,), 0, 0)]
        more += [_Case(1, (ORDINARY,))] if _is_rms(request) else []
    return cases + (more if request.thorough else [])


def _is_rms(request: Request) -> bool:
    return "rms" in request.row.template


def _forward(request: Request, rng: np.random.Generator, case: _Case, constants: Mapping[str, Value]) -> Launch:
    dtype = str(request.axes["dtype"])
    x = rows(rng, case.kinds, case.size, dtype)
    strides = {"w": case.stride} if _is_rms(request) else {"w": case.stride, "b": case.bias_stride}
    lengths = {name: max(case.size * stride, 1) for name, stride in strides.items()}
    vectors = {"w": encode(rng.uniform(0.5, 1.5, lengths["w"]), dtype)}
    if "b" in lengths:
        vectors["b"] = encode(rng.uniform(-1, 1, lengths["b"]), dtype)
    out = 1 + len(vectors)
    buffers: dict[int, Array | bytes] = {0: x, out: empty(x.shape, dtype), out + 1: scalar(EPSILON, "float32")}
    buffers[out + 2] = scalar(case.size, "uint32")
    for i, (name, vector) in enumerate(vectors.items()):
        buffers[1 + i], buffers[out + 3 + i] = vector, scalar(strides[name], "uint32")
    return Launch(
        what=str(case),
        buffers=buffers,
        threads=(len(case.kinds) * case.group, 1, 1),
        group=(case.group, 1, 1),
        outputs=(Output(out, dtype),),
        constants=constants,
        notes={"x": x, "case": case, **vectors},
    )


def _gradient(request: Request, rng: np.random.Generator, case: _Case, constants: Mapping[str, Value]) -> Launch:
    dtype = str(request.axes["dtype"])
    x, g = rows(rng, case.kinds, case.size, dtype), rows(rng, [ORDINARY] * len(case.kinds), case.size, dtype)
    w = encode(rng.uniform(0.5, 1.5, max(case.size * case.stride, 1)), dtype)
    gw = empty(x.shape if constants["has_w"] else (1,), dtype)
    buffers: dict[int, Array | bytes] = {0: x, 1: w, 2: g, 3: empty(x.shape, dtype), 4: gw}
    buffers |= {5: scalar(EPSILON, "float32"), 6: scalar(case.size, "uint32"), 7: scalar(case.stride, "uint32")}
    return Launch(
        what=str(case),
        buffers=buffers,
        threads=(len(case.kinds) * case.group, 1, 1),
        group=(case.group, 1, 1),
        outputs=(Output(3, dtype), Output(4, dtype)),
        constants=constants,
        notes={"x": x, "g": g, "w": w, "case": case},
    )


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """In float64, with the mean and its gradient left out for rms_norm. Nothing of rows with extremes: their squares
    overflow float32, and not float64."""
    notes, dtype, case = launch.notes, str(request.axes["dtype"]), launch.notes["case"]
    if EXTREME in case.kinds:
        return None
    x = decode(notes["x"], dtype)
    w = _vector(decode(notes["w"], dtype), case.stride, case.size)
    b = _vector(decode(notes["b"], dtype), case.bias_stride, case.size) if "b" in notes else 0.0
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
    untouched = decode(np.asarray(launch.buffers[4]), dtype)
    return {3: scale * (inner - mean - share), 4: g * normal if launch.constants["has_w"] else untouched}


def _vector(stored: Array, stride: int, size: int) -> Array:
    """The values that a kernel reads of a weight or a bias, one for each of `size` columns, or one for all."""
    return np.asarray(stored[:: max(stride, 1)][:size])
