# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which kernels of the library are one family: names that differ in types and numbers only."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping

from .witness import TYPE, Case

SEED = 20260
_TYPE = re.compile(rf"(?:(?<=_)|^)(?:{TYPE}|u?int(?:32|64)_t)(?=_|$)")


def family(name: str) -> str:
    """`add_dense_float_half` is of `add_dense_T`; `radix_count_int_8bit` of `radix_count_T_#bit`."""
    typed = _TYPE.sub("T", name)
    return re.sub(r"\d+", "#", re.sub(r"(?<=_)T(_T)+(?=_|$)", "T", typed))


def families(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The kernels of each family, both in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(family(name), []).append(name)
    return {key: tuple(found[key]) for key in sorted(found)}


def sample(found: Mapping[str, tuple[str, ...]], each: int = 1) -> dict[str, tuple[str, ...]]:
    """`each` kernels of every family (all where it has fewer), the same whatever else there is."""
    return {
        key: tuple(random.Random(f"{SEED} {key}").sample(names, min(each, len(names)))) for key, names in found.items()
    }


def cases_of(cases: Iterable[Case], name: str) -> list[Case]:
    return [case for case in cases if case.match(name)]
