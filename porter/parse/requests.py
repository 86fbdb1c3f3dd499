# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels that stand upstream as format strings of host code, written out for the requests of the YAMLs.

Upstream's host formats the string when a kernel is first asked for (with the `fmt` library, whose `{0}` and `{{` mean
what Python's `str.format` says of them). What comes out is one header for each file of strings, beside the vendored
ones: the later rooms read it, port it and prove it as any other. Its text is made of pinned bytes and of nothing else
but the values that the YAML gives.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from porter.errors import ParseError, SpecError
from porter.model import PinnedFile, SourceFile, Sources, sha256
from porter.spec import Family, Request
from porter.upstream.selection import KERNELS

_STRING = r'constexpr\s+std::string_view\s+{name}\s*=\s*R"\((.*?)\)"\s*;'
_FIRST_COMMENT = re.compile(r"\A(?://[^\n]*\n)+")
_SUFFIX = "_requests.h"


def requested_path(file: str) -> str:
    """Where the written-out kernels of a file of strings stand: `mlx/backend/metal/kernels/jit/indexing_requests.h`."""
    folder, _, name = file.rpartition("/")
    return f"{KERNELS}/{folder.rpartition('/')[2]}/{name.removesuffix('.h')}{_SUFFIX}"


def origin(path: str) -> str:
    """The upstream file that `path` was made from: itself but for what `requested_path` names."""
    if not path.endswith(_SUFFIX):
        return path
    inner = path.removeprefix(f"{KERNELS}/").removesuffix(_SUFFIX)
    return f"{KERNELS.rpartition('/')[0]}/{inner}.h"


def with_requests(sources: Sources, families: Iterable[Family]) -> Sources:
    """`sources` with the written-out kernels of `families` as one file more for each file of strings.

    Raises SpecError, with the YAML's line, where upstream has no such string or takes another number of values.
    """
    texts: dict[str, str] = {}
    for family in families:
        for request in family.requests:
            if request.file in sources.files:
                path = requested_path(request.file)
                texts[path] = texts.get(path, _heading(sources, request)) + formatted(sources, request, family)
    made = {path: SourceFile(path, text, sha256(text.encode())) for path, text in texts.items()}
    pinned = tuple(PinnedFile(one.path, len(one.text.encode()), one.sha256) for one in made.values())
    recorded = sources.recorded
    if recorded is not None:
        recorded = dataclasses.replace(recorded, files=_sorted((*recorded.files, *pinned)))
    pin = dataclasses.replace(sources.pin, files=_sorted((*sources.pin.files, *pinned)))
    return dataclasses.replace(sources, pin=pin, recorded=recorded, files={**sources.files, **made})


def formatted(sources: Sources, request: Request, family: Family) -> str:
    """The kernel's text."""
    text = sources.files[request.file].text
    found = re.search(_STRING.format(name=re.escape(request.string)), text, re.S)
    where = f"specs/{family.path}:{family.lines.get('formats', 1)}"
    if found is None:
        raise SpecError(f"{request.file} has no string {request.string}", where=where, next_step="correct the formats")
    wanted = {int(number) for number in re.findall(r"(?<!\{)\{(\d+)\}", found[1])}
    if wanted != set(range(len(request.values))):
        raise SpecError(
            f"{request.string} is given {len(request.values)} values", where=where, expected=str(len(wanted))
        )
    try:
        return found[1].format(*request.values)
    except (IndexError, KeyError, ValueError) as error:
        raise ParseError(f"{request.string} is no format string: {error}", where=request.file) from error


def _heading(sources: Sources, request: Request) -> str:
    comment = _FIRST_COMMENT.match(sources.files[request.file].text)
    return f"{comment[0] if comment else ''}\n#pragma once\n"


def _sorted(files: Iterable[PinnedFile]) -> tuple[PinnedFile, ...]:
    return tuple(sorted(files, key=lambda file: file.path))
