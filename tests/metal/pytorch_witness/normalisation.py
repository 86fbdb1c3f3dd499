# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Layer, group and RMS normalisation and their gradients.

Means and variances are sums of n terms in float; the variance as the difference of mean squares loses what the square
of the mean is larger by (below 4 here): results, of order one, are within 16 * n * eps before they are rounded;
gradients are sums of n such terms.
"""

from __future__ import annotations

import re

import torch

from .witness import DTYPES, TYPE, Case, Witness, agree, constant, values, wide

EPS = torch.finfo(torch.float32).eps
EPSILON = 1e-5
_TYPED = rf"(?P<type>{TYPE})"


def layer_norm(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, rows = DTYPES[match["type"]], 3
    columns = 5003 if match["form"] == "looped" else 337
    x = values(name, (rows, columns), dtype, -1, 3)
    weight, bias = values(name, (columns,), dtype, 0.5, 1.5, "weight"), values(name, (columns,), dtype, -1, 1, "bias")
    got, mean, rstd = torch.zeros_like(x), torch.zeros(rows, dtype=dtype), torch.zeros(rows, dtype=dtype)
    group = 1024 if match["form"] == "looped" else -(-columns // 128) * 32
    for use in (0, 1):
        numbers = [constant("uint", columns), constant("float", EPSILON), constant("int", use), constant("int", use)]
        witness.launch(name, [x, got, mean, rstd, *numbers, weight, bias], (rows * group,), (group,))
        given = (wide(weight), wide(bias)) if use else (None, None)
        want, want_mean, want_rstd = torch.native_layer_norm(wide(x), (columns,), *given, EPSILON)
        for one, other in ((got, want), (mean, want_mean[:, 0]), (rstd, want_rstd[:, 0])):
            agree(one, other, ulps=1, absolute=16 * columns * EPS, says=name)


def rms_norm(witness: Witness, name: str, match: re.Match[str]) -> None:
    dtype, rows = DTYPES[match["type"]], 3
    columns = 5003 if match["looped"] else 337
    x, weight = values(name, (rows, columns), dtype, -2, 2), values(name, (columns,), dtype, 0.5, 1.5, "weight")
    got = torch.zeros_like(x)
    group = 1024 if match["looped"] else -(-columns // 128) * 32
    numbers = [constant("float", EPSILON), constant("uint", columns), constant("uint", 1)]
    witness.launch(name, [x, weight, got, *numbers], (rows * group,), (group,))
    want = torch.nn.functional.rms_norm(wide(x), (columns,), wide(weight), EPSILON)
    # The normalised number is rounded to the type before it is scaled.
    agree(got, want, ulps=2, absolute=columns * EPS, says=name)


N, C, GROUPS, PIXELS = 2, 6, 3, 35


def _params(witness: Witness, name: str) -> bytes:
    return witness.struct(
        name, 6, HxW=PIXELS, num_groups=GROUPS, channels_per_group=C // GROUPS,
        elements_per_group=C // GROUPS * PIXELS, C=C, N_times_HxW=N * PIXELS, eps=EPSILON,
    )  # fmt: skip


class Group:
    def __init__(self, name: str, match: re.Match[str]) -> None:
        dtype, self.statistics = DTYPES[match["type"]], DTYPES[match["statistics"]]
        self.x = values(name, (N, C, PIXELS), dtype, -1, 3)
        self.grad = values(name, (N, C, PIXELS), dtype, -1, 1, "grad")
        grouped = wide(self.x).reshape(N * GROUPS, -1)
        self.mean = grouped.mean(1).to(self.statistics)
        self.rstd = (grouped.var(1, correction=0) + EPSILON).rsqrt().to(self.statistics)

    def backward(self, weight: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        gamma = torch.ones(C, dtype=torch.float64) if weight is None else wide(weight)
        return torch.ops.aten.native_group_norm_backward(
            wide(self.grad), wide(self.x), wide(self.mean).reshape(N, GROUPS), wide(self.rstd).reshape(N, GROUPS),
            gamma,
            N, C, PIXELS, GROUPS, [True, True, True],
        )  # fmt: skip


def _affine(name: str, kind: str, salt: str) -> torch.Tensor | None:
    return None if kind == "void" else values(name, (C,), DTYPES[kind], 0.5, 1.5, salt)


def group_norm(witness: Witness, name: str, match: re.Match[str]) -> None:
    one = Group(name, match)
    gamma, beta = _affine(name, match["gamma"], "gamma"), _affine(name, match["beta"], "beta")
    got, mean, rstd = torch.zeros_like(one.x), torch.zeros_like(one.mean), torch.zeros_like(one.rstd)
    nothing = torch.zeros(1)
    affine = [nothing if given is None else given for given in (gamma, beta)]
    witness.launch(name, [got, mean, rstd, one.x, *affine, _params(witness, name)], (N * GROUPS * 1024,), (1024,))
    wides = [None if given is None else wide(given) for given in (gamma, beta)]
    want, want_mean, want_rstd = torch.native_group_norm(wide(one.x), *wides, N, C, PIXELS, GROUPS, EPSILON)
    for a, b in ((got, want), (mean, want_mean.flatten()), (rstd, want_rstd.flatten())):
        agree(a, b, ulps=1, absolute=16 * PIXELS * C // GROUPS * EPS, says=name)


def group_norm_backward_x(witness: Witness, name: str, match: re.Match[str]) -> None:
    one, gamma = Group(name, match), _affine(name, match["gamma"], "gamma")
    got = torch.zeros_like(one.x)
    buffers = [got, one.grad, one.x, one.mean, one.rstd, torch.zeros(1) if gamma is None else gamma]
    witness.launch(name, [*buffers, _params(witness, name)], (N * GROUPS * 1024,), (1024,))
    agree(got, one.backward(gamma)[0], ulps=1, absolute=64 * PIXELS * C // GROUPS * EPS, says=name)


def group_norm_backward_affine(witness: Witness, name: str, match: re.Match[str]) -> None:
    one, dtype = Group(name, match), DTYPES[match["gamma"]]
    got = [torch.zeros(C, dtype=dtype) for _ in range(2)]
    buffers = [*got, one.grad, one.x, one.mean, one.rstd, _params(witness, name)]
    witness.launch(name, buffers, (C * 1024,), (1024,))
    for a, b in zip(got, one.backward(torch.ones(C))[1:], strict=True):
        agree(a, b, ulps=1, absolute=4 * (N * PIXELS) ** 2 * EPS, says=name)


_INDEX = r"uint(32|64)_t"
_STATISTICS = rf"{_TYPED}_(?P<statistics>{TYPE})"
CASES = (
    Case(rf"layer_norm_(?P<form>looped|single_row)_{_TYPED}", layer_norm),
    Case(rf"rms_norm_(?P<looped>looped_)?{_TYPED}", rms_norm),
    Case(rf"group_norm_{_STATISTICS}_(?P<gamma>{TYPE}|void)_(?P<beta>{TYPE}|void)_{_INDEX}", group_norm),
    Case(rf"group_norm_backward_x_{_STATISTICS}_(?P<gamma>{TYPE}|void)_{_INDEX}", group_norm_backward_x),
    Case(rf"group_norm_backward_affine_{_STATISTICS}_(?P<gamma>{TYPE})_{_INDEX}", group_norm_backward_affine),
)
