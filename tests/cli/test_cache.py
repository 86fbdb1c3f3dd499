# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port cache`."""

from __future__ import annotations

import json

from click.testing import CliRunner

from porter.cli.cache import command
from porter.metal import kernel_cache


def test_info_says_what_is_kept_and_clear_removes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", "1000000")
    kernel_cache.put("a" * 64, bytes(960))
    said = json.loads(CliRunner().invoke(command, ["info", "--json"]).output)
    assert said == {
        "action": "info",
        "folder": str(tmp_path / "kernels"),
        "kernels": 1,
        "bytes": 1000,
        "limit": 1000000,
    }
    assert "removed: 1 compiled kernels, 1000 bytes" in CliRunner().invoke(command, ["clear"]).output
    assert kernel_cache.get("a" * 64) is None
    assert "0 compiled kernels, 0 bytes" in CliRunner().invoke(command, ["info"]).output
