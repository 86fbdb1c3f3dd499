# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Vendored trees in the cache: one folder a commit and provider, with a PIN.yaml of its own that it must match."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import UpstreamError
from porter.model import Pin
from porter.upstream.pin import PIN, read_pin, to_yaml, verify_tree
from porter.upstream.resolve import Revision
from porter.upstream.trees import replace_tree

ORDER = ("git", "github", "wheel")
"""Full sources first. What a `dir` holds is not named by its commit, so it is not kept."""


def keep(pin: Pin, files: dict[str, bytes]) -> None:
    """Remember a fetched tree. Raises TreeError where the cache cannot be written."""
    if pin.provider in ORDER:
        replace_tree(_folder(pin.revision, pin.provider), {PIN: to_yaml(pin).encode(), **files})


def look(revision: Revision, providers: tuple[str, ...] = ORDER) -> tuple[Pin, dict[str, bytes]] | None:
    """The first tree of `revision` that the cache has, verified; a damaged one is thrown away as if it had not been."""
    for provider in providers:
        folder = _folder(revision.sha, provider)
        if not folder.is_dir():
            continue
        with contextlib.suppress(UpstreamError):
            pin = read_pin(folder / PIN)
            if (pin.revision, pin.provider) == (revision.sha, provider):
                return pin, verify_tree(folder, pin)
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _folder(sha: str, provider: str) -> Path:
    return cache_dir("mlx") / f"{sha}-{provider}"
