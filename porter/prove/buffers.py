# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Running one launch on one kernel in memory of its own, and what the kernel left there.

Every buffer is a copy with GUARD_BYTES of a pattern behind it, so that what is written past an end is seen, and so is
what is written into an input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from porter.metal.kernel import Kernel
from porter.prove.launch import GUARD_BYTES, Array, Launch

_GUARD = 0x30
"""Behind buffer n stand bytes of the value _GUARD + n: another one for each, so that a kernel which copies too much is
seen, and none of them makes a NaN or an infinity of any dtype."""

DUMMY_BYTES = 256
"""What is bound where the port has an argument that upstream's gate leaves out: zeros, of which nothing may change."""


@dataclass(frozen=True)
class Ran:
    """What one side left: the bytes of every buffer by slot, and what it did that no kernel may do."""

    memory: Mapping[int, Array]
    trespasses: tuple[str, ...]


def run(kernel: Kernel, launch: Launch, dummies: Collection[int] = ()) -> Ran:
    """Run `launch`, which need not bind the slots `dummies`. Raises MetalError where the kernel refuses it or fails."""
    before = {slot: _bytes(value) for slot, value in launch.buffers.items()}
    for argument in kernel.arguments:
        if argument.address_space != "threadgroup" and argument.slot in dummies and argument.slot not in before:
            before[argument.slot] = np.zeros(max(DUMMY_BYTES, argument.size), np.uint8)
    guarded = {slot: _guarded(data, slot) for slot, data in before.items()}
    kernel(guarded, launch.threads, launch.group, dict(launch.threadgroup_memory))
    memory = {slot: guarded[slot][: data.size] for slot, data in before.items()}
    written = {output.slot for output in launch.outputs}
    trespasses = []
    for slot, data in before.items():
        behind = np.flatnonzero(guarded[slot][data.size :] != _GUARD + slot)
        if behind.size:
            trespasses.append(f"writes byte {int(behind[0])} behind buffer {slot} ({data.size} bytes)")
        if slot not in written:
            changed = np.flatnonzero(memory[slot] != data)
            if changed.size:
                trespasses.append(f"writes byte {int(changed[0])} of buffer {slot}, which is no output of the case")
    return Ran(memory, tuple(trespasses))


def _bytes(value: Array | bytes) -> Array:
    if isinstance(value, bytes):
        return np.asarray(np.frombuffer(value, np.uint8))
    data: Array = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return data


def _guarded(data: Array, slot: int) -> Array:
    return np.concatenate([data, np.full(GUARD_BYTES, _GUARD + slot, np.uint8)])
