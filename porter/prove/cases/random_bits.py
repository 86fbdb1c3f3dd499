# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Cases of random bits: from each key of two 32-bit words, so many bytes.

Arguments: keys (slot 0), bytes (1), whether the number of words a key makes is odd (2), bytes a key (3); `rbits`, whose
keys may lie anywhere, also has the number of dimensions of the keys (4), their shape (5) and strides (6), of which the
last dimension is the key's two words. The grid is (keys, half the words of a key, rounded up): thread (k, i) hashes the
pair (i, i + rows) with key k; the first word of the result is word i of the key's bytes, the second one word i + rows.

Where a key makes less than a word (1 to 3 bytes), the kernel writes all four bytes of it: past the end of the last
key's bytes, and into those of the next key, while another thread writes those. So such sizes are asked of one key only,
with four bytes of room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from porter.errors import ProofError
from porter.prove.cases import strides
from porter.prove.cases.strides import Layout
from porter.prove.cases.values import empty
from porter.prove.launch import Array, Launch, Output, Request

WITNESS = "Threefry as published (numpy)"

# Keys and bytes a key: even and odd numbers of words, with and without a rest of bytes behind them.
CASES: Sequence[tuple[tuple[int, ...], int]] = (
    ((5,), 26),
    ((5,), 40),
    ((2, 3), 12),
    ((1,), 1),
    ((1,), 3),
    ((3,), 4),
    ((33,), 5),
)


def launches(request: Request) -> Iterator[Launch]:
    name, rng = request.row.template, request.rng()
    if name not in ("rbitsc", "rbits"):
        raise ProofError(f"{name} makes no random bits", where=request.row.host_name)
    for number, (keys, size) in enumerate(CASES):
        shape = (*keys, 2)
        layout = strides.contiguous(shape)
        if name == "rbits":
            layout = (strides.transposed, strides.stepped)[number % 2](shape)
        if number == 0 or request.thorough:
            yield _launch(name, rng, layout, size)


def _launch(name: str, rng: np.random.Generator, layout: Layout, size: int) -> Launch:
    memory = rng.integers(0, 2**32, layout.elements, np.uint32)
    keys = memory[layout.places()].reshape(-1, 2)
    words = -(-size // 4)
    buffers: dict[int, Array | bytes] = {
        0: memory,
        1: empty(max(size, 4) if len(keys) == 1 else size * len(keys), "uint8"),
        2: np.array([words % 2], np.bool_),
        3: np.array([size], np.uint32),
    }
    if name == "rbits":
        buffers[4] = np.array([len(layout.shape)], np.int32)
        buffers[5], buffers[6] = np.array(layout.shape, np.int32), np.array(layout.strides, np.int64)
    grid, group = strides.box((words // 2 + words % 2, len(keys)))
    what = f"{len(keys)} keys, {layout.name}, {size} bytes each"
    return Launch(what, buffers, grid, group, (Output(1, "uint8"),), notes={"keys": keys, "size": size})


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """The bytes of every key; what is behind less than a word is left open."""
    size, keys = launch.notes["size"], launch.notes["keys"]
    words = -(-size // 4)
    rows = [random_words(key, words).view(np.uint8)[:size] for key in keys]
    found = np.zeros(np.asarray(launch.buffers[1]).shape, np.uint8)
    found[: size * len(rows)] = np.concatenate(rows)
    return {1: np.ma.masked_array(found, np.arange(found.size) >= size * len(rows))}


def random_words(key: Array, words: int) -> Array:
    """So many words of a key: the first words of the hashed pairs, then the second ones.

    Of an odd number, the last first word comes of a pair whose second counter is 0, and its second word is left out.
    """
    rows = words // 2 + words % 2
    first = np.arange(rows, dtype=np.uint32)
    second = first + np.uint32(rows)
    if words % 2:
        second[-1] = 0
    return np.concatenate(threefry(key, first, second))[:words]


def threefry(key: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Threefry-2x32 of 20 rounds on pairs of counters.

    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011; rotations and parity are those
    of its implementation, Random123.
    """
    rotations, parity = ((13, 15, 26, 6), (17, 29, 16, 24)), np.uint32(0x1BD11BDA)
    keys = np.array([key[0], key[1], key[0] ^ key[1] ^ parity], np.uint32)
    x, y = first + keys[0], second + keys[1]
    for block in range(5):
        for distance in rotations[block % 2]:
            x = x + y
            y = ((y << np.uint32(distance)) | (y >> np.uint32(32 - distance))) ^ x
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x, y
