# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of Hadamard transforms: the matrix, and sums that every dtype holds."""

from __future__ import annotations

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.cases import hadamard
from porter.prove.cases.values import decode

from .asking import ask, of_kernel, rows

# H of 4 by Sylvester's construction, written down.
FOUR = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


def test_the_transform_is_the_matrix():
    values = np.random.default_rng(1).standard_normal((3, 4, 5))
    np.testing.assert_allclose(hadamard.transform(values), np.einsum("ij,bjs->bis", FOUR, values), atol=1e-14)


def test_it_is_what_mlx_makes_of_a_row():
    mx = pytest.importorskip("mlx.core")
    values = np.random.default_rng(1).standard_normal((3, 512))
    theirs = np.array(mx.hadamard_transform(mx.array(values.astype(np.float32)), scale=1.0))
    np.testing.assert_allclose(hadamard.transform(values[:, :, None])[:, :, 0], theirs, atol=1e-4)


@pytest.mark.parametrize("host_name", ["n2hadamard_2_float16", "n2hadamard_8192_bfloat16", "n1hadamard_16384_float32"])
def test_sums_are_whole_or_small(host_name):
    request = ask("hadamard", host_name)
    whole, rounding, special = hadamard.launches(request)
    dtype = str(request.axes["dtype"])
    sums = []
    for launch in (whole, rounding):
        values = decode(np.asarray(launch.buffers[0]), dtype).reshape(launch.notes["shape"])
        sums.append(np.abs(values).sum(axis=1).max())
    assert 2 <= sums[0] <= 256
    assert sums[1] <= 1
    found = hadamard.expected(request, special)[1]
    assert np.isnan(found[0]).all()
    assert np.isnan(found[2]).any()
    assert np.isinf(found[1]).all()


def test_threads_are_those_of_the_lengths():
    (launch,) = hadamard.launches(ask("hadamard", "n1hadamard_32768_float32", thorough=False))
    assert launch.threads == (128 // 16, 2, 256)
    assert launch.group == (128 // 16, 1, 1)
    assert np.asarray(launch.buffers[0]).size == 2 * 32768


def test_every_length_is_once_in_the_tables():
    assert len(rows("hadamard")) == 3 * (13 + 2 * 2)


def test_the_other_kernel_has_no_cases():
    with pytest.raises(ProofError, match="hadamard_m is no transform of a power of two"):
        next(hadamard.launches(of_kernel(ask("hadamard", "n2hadamard_4_float16"), "hadamard_m")))
