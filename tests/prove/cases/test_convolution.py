# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a convolution is, against torch; and Winograd's transforms, against a convolution."""

from __future__ import annotations

import numpy as np
import pytest

from porter.prove.cases.convolution import plain
from porter.prove.cases.winograd import input_transform, output_transform, transform, weight_transform

torch = pytest.importorskip("torch")

CASES = [
    plain(2, 3, 4, (9,), (3,), stride=(2,), padding=(1,), dilation=(2,)),
    plain(2, 4, 6, (5, 6), (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 3), groups=2),
    plain(1, 3, 3, (6, 6), (3, 3), groups=3),
    plain(1, 2, 2, (3, 4, 5), (2, 1, 3), stride=(1, 2, 1), padding=(1, 0, 2)),
]


def numbers(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def channels_first(values):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 1)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what())
def test_it_is_what_torch_computes(case):
    values, weights = numbers(case.in_shape, 1), numbers(case.weight_shape, 2)
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[case.dimensions - 1]
    theirs = convolve(
        channels_first(values),
        channels_first(weights),
        stride=case.stride,
        padding=case.padding,
        dilation=case.dilation,
        groups=case.groups,
    )
    ours = case.exact(values, weights)
    assert ours.shape == case.out_shape
    np.testing.assert_allclose(ours, np.moveaxis(theirs.numpy(), 1, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("stride", "padding", "dilation"), [((2, 3), (1, 0), (1, 2)), ((3, 1), (0, 2), (2, 1))])
def test_a_dilated_input_and_a_flipped_filter_are_a_transposed_convolution(stride, padding, dilation):
    """The gradient of a strided convolution: torch has it, its padding dilation (filter - 1) - ours."""
    filters = (3, 2)
    ours_padding = tuple(d * (f - 1) - p for d, f, p in zip(dilation, filters, padding, strict=True))
    case = plain(2, 3, 4, (4, 5), filters, padding=ours_padding, dilation=dilation, input_dilation=stride, flip=True)
    values, weights = numbers(case.in_shape, 1), numbers(case.weight_shape, 2)
    theirs = torch.conv_transpose2d(
        channels_first(values),
        channels_first(weights).transpose(0, 1),
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    np.testing.assert_allclose(case.exact(values, weights), np.moveaxis(theirs.numpy(), 1, -1), rtol=0, atol=1e-12)


def test_patches_times_weights_are_the_convolution():
    case = CASES[3]
    values, weights = numbers(case.in_shape, 1), numbers(case.weight_shape, 2)
    rows = case.patches(values).reshape(case.batch, -1, 2 * 1 * 3 * case.channels)
    product = rows @ weights.reshape(case.outputs, -1).T
    np.testing.assert_allclose(product.reshape(case.out_shape), case.exact(values, weights), rtol=0, atol=1e-12)


def test_the_transforms_make_a_convolution():
    tile, filters = numbers((8, 8), 3), numbers((3, 3), 4)
    product = transform(weight_transform().T, filters) * transform(input_transform(), tile)
    direct = plain(1, 1, 1, (8, 8), (3, 3)).exact(tile.reshape(1, 8, 8, 1), filters.reshape(1, 3, 3, 1))
    np.testing.assert_allclose(transform(output_transform(), product), direct.reshape(6, 6), rtol=0, atol=1e-11)
