# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A convolution as its kernels see it, and what it is by definition.

Tensors lie channels last: input N x spatial x C, weights O x filter x C / groups, output N x spatial x O.

    out[n, p, o] = sum over q, c of in[n, (p stride - padding + q dilation) / input dilation, c] w[o, q, c]

where the division leaves no rest and stays within the input. `flip` takes the filter's element at q from its end.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from porter.prove.cases.arguments import row_strides
from porter.prove.cases.values import Array
from porter.prove.launch import Request

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """One convolution; all spatial sizes in the order of the dimensions."""

    batch: int
    channels: int
    outputs: int
    size: Sizes
    filter: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    input_dilation: Sizes
    groups: int = 1
    flip: bool = False

    @property
    def dimensions(self) -> int:
        return len(self.size)

    @property
    def out_size(self) -> Sizes:
        """The spatial size of the output."""
        every = zip(self.size, self.filter, self.stride, self.padding, self.dilation, self.input_dilation, strict=True)
        return tuple(
            (1 + (i - 1) * between + 2 * pad - (1 + (f - 1) * apart)) // step + 1
            for i, f, step, pad, apart, between in every
        )

    @property
    def in_shape(self) -> Sizes:
        return self.batch, *self.size, self.channels

    @property
    def weight_shape(self) -> Sizes:
        return self.outputs, *self.filter, self.channels // self.groups

    @property
    def out_shape(self) -> Sizes:
        return self.batch, *self.out_size, self.outputs

    def struct(self, request: Request) -> bytes:
        """MLXConvParams of as many dimensions."""
        return request.struct(
            f"MLXConvParams<{self.dimensions}>",
            N=self.batch,
            C=self.channels,
            O=self.outputs,
            iS=self.size,
            wS=self.filter,
            oS=self.out_size,
            str=self.stride,
            pad=self.padding,
            kdil=self.dilation,
            idil=self.input_dilation,
            in_strides=row_strides(self.in_shape),
            wt_strides=row_strides(self.weight_shape),
            out_strides=row_strides(self.out_shape),
            groups=self.groups,
            flip=self.flip,
        )

    def what(self) -> str:
        """For a person: everything that is not the least."""
        parts = [f"input {'x'.join(map(str, self.in_shape))}, filter {'x'.join(map(str, self.weight_shape))}"]
        words = ("stride", "padding", "dilation", "input_dilation")
        for word, least in zip(words, (1, 0, 1, 1), strict=True):
            values = getattr(self, word)
            if any(value != least for value in values):
                parts.append(f"{word.replace('_', ' ')} {'x'.join(map(str, values))}")
        parts += [f"{self.groups} groups"] if self.groups > 1 else []
        return ", ".join(parts + (["flipped"] if self.flip else []))

    def patches(self, values: Array) -> Array:
        """What each output position sees of the input: (N, positions, filter elements, C), 0 outside of it."""
        positions = list(itertools.product(*map(range, self.out_size)))
        elements = list(itertools.product(*map(range, self.filter)))
        out = np.zeros((self.batch, len(positions), len(elements), self.channels), values.dtype)
        for j, element in enumerate(elements):
            at = [f - 1 - e for f, e in zip(self.filter, element, strict=True)] if self.flip else element
            for i, position in enumerate(positions):
                place = self._place(position, at)
                if place is not None:
                    where: tuple[Any, ...] = (slice(None), *place)
                    out[:, i, j] = values[where]
        return out

    def _place(self, position: Sizes, element: Sizes | list[int]) -> Sizes | None:
        """Where in the input one filter element falls for one output position; None outside of it."""
        place = []
        for d in range(self.dimensions):
            dilated = position[d] * self.stride[d] - self.padding[d] + element[d] * self.dilation[d]
            whole, rest = divmod(dilated, self.input_dilation[d])
            if rest or not 0 <= whole < self.size[d]:
                return None
            place.append(whole)
        return tuple(place)

    def exact(self, values: Array, weights: Array) -> Array:
        """The convolution in float64, shape `out_shape`."""
        patches = self.patches(values)
        n, positions = patches.shape[:2]
        filters = math.prod(self.filter)
        grouped = patches.reshape(n, positions, filters, self.groups, -1)
        by_group = weights.reshape(self.groups, -1, filters, self.channels // self.groups)
        with np.errstate(all="ignore"):
            out = np.einsum("npfgc,gofc->npgo", grouped, by_group)
        return np.asarray(out.reshape(self.out_shape))


def plain(batch: int, channels: int, outputs: int, size: Sizes, filters: Sizes, **given: Sizes | int) -> Convolution:
    """A convolution with strides and dilations of one and no padding, but for what is `given`."""
    ones, zeros = (1,) * len(size), (0,) * len(size)
    values = {"stride": ones, "padding": zeros, "dilation": ones, "input_dilation": ones, **given}
    return Convolution(batch, channels, outputs, size, filters, **values)  # type: ignore[arg-type]
