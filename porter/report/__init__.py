# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Proof -> what a person reads: a table in the terminal, JSON, and a page that needs nothing but a browser."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from porter.walk import Proved

PAGE = "report/index.html"
"""The page's place in generated/."""


def write_report(proved: Proved) -> Path:
    """Write generated/report/index.html; its path. Raises TreeError where it cannot be written."""
    from porter.cache import write_atomically
    from porter.report.data import page_data
    from porter.report.page import render

    path = proved.overlay_root / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    made = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    write_atomically(path, render(page_data(proved, made)).encode())
    return path
