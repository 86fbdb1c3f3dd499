# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Requests for launches of a family's host names, without upstream's source."""

from __future__ import annotations

import dataclasses
from functools import cache

from porter.model import Instantiation
from porter.prove.launch import Request
from porter.spec import Family, load_families


@cache
def family(name: str) -> Family:
    return load_families([name])[0]


@cache
def rows(name: str) -> dict[str, Instantiation]:
    return {row.host_name: row for row in family(name).instantiations()}


def ask(name: str, host_name: str, *, thorough: bool = True, seed: int = 1) -> Request:
    row = rows(name)[host_name]
    return Request(family(name), row, family(name).axes_by_name[host_name], {}, thorough, seed)


def of_kernel(request: Request, kernel: str) -> Request:
    """The same request for a kernel of another name."""
    return dataclasses.replace(request, row=dataclasses.replace(request.row, template=kernel))
