# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a rewrite rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from porter.model import Edit
from porter.port.context import Context

ORIGIN = "mlx/backend/metal/kernels/steel/example.h"


@dataclass(frozen=True)
class Example:
    """`before` becomes `after` under one rule alone.

    `macros` are `NAME body` pairs that upstream defines elsewhere. `lower` is how the constant `flag`, which reaches
    `kernels`, is lowered.
    """

    before: str
    after: str
    macros: tuple[tuple[str, str], ...] = ()
    lower: str = "template"
    kernels: tuple[str, ...] = ("k",)
    preamble: tuple[str, ...] = ()
    holds_params: bool = False
    path: str = ORIGIN


@dataclass(frozen=True)
class Rule:
    """One rewrite. `edits` is called once per file. `removes`: what its edits cover goes whole, rewritten by none."""

    name: str
    reason: str
    edits: Callable[[Context], Iterator[Edit]]
    example: Example
    removes: bool = False
