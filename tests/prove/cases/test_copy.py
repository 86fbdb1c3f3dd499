# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of copies: read from what is bound, they give what is expected, and no number is asked for in vain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.cases import copy, domains
from porter.prove.cases.values import FLOATS, NUMPY, decode

from .asking import ask, of_kernel

pytest.importorskip("mlx.core")

KINDS = [
    "s",
    "sn",
    "s2",
    "v",
    "vn",
    "v2",
    "g1",
    "g1large",
    "g2",
    "g2large",
    "g3",
    "g3large",
    "gn2",
    "gn4large",
    "gg1",
    "gg2large",
    "gg3",
    "ggn2",
    "ggn4large",
    "gg1_dynamic",
    "gg2_dynamic",
    "gg3large_dynamic",
    "ggn2_dynamic",
    "ggn4large_dynamic",
]
DTYPES = [dtype for dtype in NUMPY if dtype != "bool"]


def strided(bound, launch, slot, offset_slot, ndim):
    """The places of a strided buffer's elements, in order."""
    steps = np.asarray(bound[slot])
    shape = np.asarray(bound[2]) if 2 in bound else np.array(launch.threads[:ndim][::-1])
    offset = int(np.asarray(bound[offset_slot])[0]) if offset_slot in bound else 0
    return (np.indices(shape).reshape(shape.size, -1) * steps[:, None]).sum(axis=0) + offset


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_bound_is_what_is_expected(kind):
    request = ask("copy", f"{kind}_copyint16int16")
    for launch in copy.launches(request):
        bound = launch.buffers
        target = np.array(bound[1])
        if kind.startswith("g"):
            source = strided(bound, launch, 3, 6, np.asarray(bound[3]).size)
            places = strided(bound, launch, 4, 7, np.asarray(bound[4]).size) if 4 in bound else np.arange(target.size)
            assert source.min() >= 0
            assert places.min() >= 0
            assert source.max() == np.asarray(bound[0]).size - 1
            assert len(set(places.tolist())) == places.size  # or two threads would write one element
            target[places] = np.asarray(bound[0])[source]
        else:
            assert np.asarray(bound[2]).tolist() == [target.size]
            target[:] = np.asarray(bound[0])
        np.testing.assert_array_equal(target, copy.expected(request, launch)[1])


def test_strided_targets_leave_elements_alone():
    (launch, *_) = copy.launches(ask("copy", "gg2_copyfloat32float32"))
    assert launch.notes["places"].size < np.asarray(launch.buffers[1]).size


def test_only_copies_with_offsets_go_backwards():
    backwards = {
        kind: any(
            (np.asarray(launch.buffers.get(slot, 0)) < 0).any() for launch in copy.launches(request) for slot in (3, 4)
        )
        for kind in ("gg2", "gg2_dynamic", "ggn4large_dynamic")
        for request in [ask("copy", f"{kind}_copyint8int8")]
    }
    assert backwards == {"gg2": False, "gg2_dynamic": True, "ggn4large_dynamic": True}


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", [t for t in DTYPES if "int" in t])
def test_integers_can_hold_what_becomes_of_floats(source, target):
    kind = np.iinfo(NUMPY[target])
    numbers = domains.convertible(np.random.default_rng(1), source, target, 50)
    assert numbers.size == 50
    if source in (*FLOATS, "complex64"):
        for number in np.real(decode(numbers, source)).tolist():
            assert int(kind.min) <= math.trunc(number) <= int(kind.max)


def test_halves_can_hold_what_becomes_of_integers():
    numbers = domains.convertible(np.random.default_rng(1), "uint16", "float16", 50)
    assert 30000 < numbers.max() <= 65504


def test_special_numbers_are_copied():
    (launch, *_) = copy.launches(ask("copy", "v_copyfloat32float16", thorough=False))
    numbers = np.asarray(launch.buffers[0])
    assert np.isnan(numbers).any()
    assert np.isinf(numbers).any()
    assert (np.abs(numbers) > 1e38).any()


def test_no_other_kernel_is_asked_for():
    with pytest.raises(ProofError, match="copy_back is no copy"):
        next(copy.launches(of_kernel(ask("copy", "v_copyint8int8"), "copy_back")))
