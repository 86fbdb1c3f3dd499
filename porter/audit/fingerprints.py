# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Fingerprints of code by winnowing (Schleimer, Wilkerson, Aiken: Winnowing, SIGMOD 2003), blind to renaming.

Every run of GRAM tokens has a hash. In it a name counts as how far back in that run it stood last (Baker,
Parameterized Pattern Matching, 1996): `a = a + b` and `x = x + y` hash alike, `a = b + a` does not. Of each WINDOW
neighbouring hashes the least one is kept, so that a shared run of GRAM + WINDOW - 1 tokens always shares one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from porter.audit.tokens import Array, Tokens, tokens_of

GRAM = 20
WINDOW = 13
SHORTEST = GRAM + WINDOW - 1
"""A run of so many tokens that both sides share is always found; a shorter one may be."""

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


@dataclass(frozen=True)
class Text:
    """A text as it is compared: `hashes` (uint64), one for the run that begins at each token; `marks` (int64), the
    positions of those that are its fingerprints."""

    tokens: Tokens
    hashes: Array
    marks: Array


def fingerprinted(text: str) -> Text:
    tokens = tokens_of(text)
    hashes = gram_hashes(tokens)
    return Text(tokens, hashes, winnow(hashes))


def gram_hashes(tokens: Tokens) -> Array:
    """(uint64, n - GRAM + 1): the hash of the run that begins at each token; none for a text of fewer."""
    count = len(tokens) - GRAM + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    words = _mixed(tokens.words.astype(np.uint64) << np.uint64(8))
    back = tokens.back
    names = _mixed(np.arange(GRAM, dtype=np.uint64) + np.uint64(1))  # by distance; at 0 stands a name that is new
    is_name = back >= 0
    near = np.where(is_name & (back < GRAM), back, 0)
    words[is_name] = names[near[is_name]]
    new = names[0]
    total = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(GRAM):
            part = words[offset : offset + count]
            outside = near[offset : offset + count] > offset
            total *= _ODD
            total += np.where(outside, new, part)
    return _mixed(total)


def winnow(hashes: Array) -> Array:
    """The positions (int64, ascending) of the hashes that are the least of some WINDOW neighbours, the last such."""
    count = len(hashes) - WINDOW + 1
    if count <= 0:
        return np.array([int(np.argmin(hashes))]) if len(hashes) else np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(hashes, WINDOW)
    return np.unique(np.argmin(windows, axis=1) + np.arange(count))


def _mixed(values: Array) -> Array:
    """Every bit of each value spread over all 64 (the finaliser of SplitMix64: Steele, Lea, Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: Array = values ^ (values >> np.uint64(31))
    return out
