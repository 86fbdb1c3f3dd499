# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of ranges, random bits and fences."""

from __future__ import annotations

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.cases import arange, fence, random_bits

from .asking import ask, of_kernel

mx = pytest.importorskip("mlx.core")

# Known answers of Random123 for threefry2x32 with 20 rounds: counter, key, result.
ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "answer"), ANSWERS)
def test_threefry_gives_the_published_answers(counter, key, answer):
    first, second = (np.array([one], np.uint32) for one in counter)
    found = random_bits.threefry(np.array(key, np.uint32), first, second)
    assert tuple(int(one[0]) for one in found) == answer


def test_random_words_are_those_that_mlx_splits_a_key_into():
    key = mx.random.key(17)
    theirs = np.array(mx.random.split(key, 7)).reshape(-1)
    np.testing.assert_array_equal(random_bits.random_words(np.array(key), 14), theirs)


def test_keys_lie_anywhere_and_less_than_a_word_has_room():
    whats = []
    for name in ("rbits", "rbitsc"):
        for launch in random_bits.launches(ask("random", name)):
            size, keys = launch.notes["size"], launch.notes["keys"]
            assert np.asarray(launch.buffers[1]).size == max(4, size) if len(keys) == 1 else size * len(keys)
            assert size >= 4 or len(keys) == 1
            assert launch.threads == (len(keys), (size + 7) // 8, 1)
            found = random_bits.expected(ask("random", name), launch)[1]
            assert found.count() == size * len(keys)
            whats.append(launch.what)
    assert any("transposed" in what for what in whats)
    assert any("every second" in what for what in whats)


def test_a_range_wraps_and_rounds():
    launches = {launch.what: launch for launch in arange.launches(ask("arange", "arangeuint8"))}
    launch = launches["past the largest number, size 33"]
    found = arange.expected(ask("arange", "arangeuint8"), launch)[2]
    assert found.tolist()[:6] == [245, 248, 251, 254, 1, 4]
    halves = [launch.what for launch in arange.launches(ask("arange", "arangefloat16"))]
    assert "up to infinity, size 33" in halves
    assert "one number, size 1" in halves


def test_signed_64_bit_ranges_do_not_overflow():
    for launch in arange.launches(ask("arange", "arangeint64")):
        start, step = (int(np.asarray(launch.buffers[slot])[0]) for slot in (0, 1))
        assert abs(start + step * launch.threads[0]) < 2**63


def test_a_fence_is_only_waited_for_where_it_is_there():
    for launch in fence.launches(ask("fence", "fence_wait")):
        assert np.asarray(launch.buffers[0])[0] >= np.asarray(launch.buffers[1])[0]
        assert launch.threads == launch.group == (1, 1, 1)


def test_whole_groups_of_a_fence_have_threads_without_a_word():
    (launch, *_) = fence.launches(ask("fence", "input_coherent"))
    assert launch.threads[0] % 1024 == 0
    assert launch.threads[0] > np.asarray(launch.buffers[1])[0]


@pytest.mark.parametrize(
    ("module", "name", "host_name"), [(fence, "fence", "fence_wait"), (random_bits, "random", "rbits")]
)
def test_no_other_kernel_is_asked_for(module, name, host_name):
    with pytest.raises(ProofError, match="other"):
        next(module.launches(of_kernel(ask(name, host_name), "other")))
