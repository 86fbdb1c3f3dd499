# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An error of a family's YAML, with file and line."""

from __future__ import annotations

import itertools

from porter.errors import SpecError
from porter.spec import Family


def wrong(family: Family, key: str, what: str, expected: str | None = None) -> SpecError:
    """A SpecError at the line of `key` (`constants.0`), or of the nearest key around it that the YAML has."""
    while key not in family.lines and "." in key:
        key = key.rpartition(".")[0]
    where = f"specs/{family.path}:{family.lines.get(key, 1)}"
    return SpecError(what, where=where, expected=expected, next_step="correct the family's YAML")


def kernel_key(family: Family, name: str) -> str:
    """The key of a kernel's name in the YAML: `kernels.2.names.0`. Rows share their arguments among names; kernels that
    upstream formats stand under `formats`."""
    wanted = family.kernel_names.index(name)
    for row in itertools.count():
        candidates = (f"kernels.{row}.names.{i}" for i in itertools.count())
        names = list(itertools.takewhile(family.lines.__contains__, candidates))
        if wanted < len(names):
            return names[wanted]
        if not names:
            break
        wanted -= len(names)
    return "formats" if family.requests else "kernels"
