# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What libtorch's semantics cost, by name, so that an experiment can do without."""

from __future__ import annotations

from collections.abc import Collection

# The order is that of `Stock` in native/semantics.h.
COSTS = {
    "serial_queue": "off: command blocks of several threads run at once, and may be nested",
    "sticky_bindings": "off: startEncoding begins with nothing bound",
    "shared_encoder": "off: each startEncoding has an encoder of its own, until the command block ends",
    "unlocked_lookups": "off: lookups of kernels exclude each other; whoever looks up must not hold the GIL",
    "bytes_limit": "off: an argument by value may be larger than 4096 bytes",
    "ascii_source": "off: shader source may hold any UTF-8",
}


def bits(off: Collection[str]) -> int:
    """What native code takes for these names. Raises ValueError for a name that is not in COSTS."""
    names = list(COSTS)
    unknown = sorted(set(off) - set(names))
    if unknown:
        raise ValueError(f"unknown stock semantics {', '.join(unknown)}; there are {', '.join(names)}")
    return sum(1 << names.index(name) for name in set(off))
