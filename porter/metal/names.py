# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What to say about a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_SUGGESTED = 3
# Names of kernels share most of their letters, so that difflib's usual 0.6 takes nearly every one for a neighbour; it
# sorts by likeness, and only the first few are shown.
_CUTOFF = 0.6


def nearest(name: str, names: Collection[str]) -> str:
    """The nearest of `names`, the most alike first, as one phrase for an error's `expected`.

    Names that differ in nothing but case come before all others. Where none is alike, a few of `names` are named, and
    how many there are; where there are none at all, it says so.
    """
    if not names:
        return "nothing: there are no kernels"
    folded = [one for one in names if one.casefold() == name.casefold() and one != name]
    alike = [one for one in difflib.get_close_matches(name, names, _SUGGESTED, _CUTOFF) if one not in folded]
    suggested = [*folded, *alike][:_SUGGESTED]
    if suggested:
        return "one like " + ", ".join(suggested)
    first = sorted(names)[:_SUGGESTED]
    rest = len(names) - len(first)
    return "one of " + ", ".join(first) + (f" and {rest} more" if rest else "")
