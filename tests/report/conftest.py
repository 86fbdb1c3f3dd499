# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A page about two families of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from porter.report.page import render

HOSTILE = "</script><img src=x onerror=alert(1)>"


def made_data() -> dict[str, Any]:
    """Two families, three kernels, one of which differs; one string that would like to be markup."""
    strings = ["", "add", "scale", "float", "own/add.metal", "bit for bit", "n 65: 65 elements equal", HOSTILE, "n 3"]
    family = {
        "operators": ["add"], "origin": "source", "origin_why": "", "sources": ["own/add.metal"], "table": "",
        "constants": [["flag", 3, "bool", "template", "fl", "add"]], "excluded": [], "samples": [],
        "tolerances": [["float32", 1e-6, 0.0, "one rounding"]],
        "kernels": [{
            "name": "add", "parameters": ["typename T"], "limit": "", "file": "own/add.metal", "line": 4,
            "ported": "pytorch/kernels/Add.h", "combinations": 2,
            "arguments": [["a", "T", "device", "buffer", 0, "", "input", ""]],
        }],
        "params": [["AddParams", 8, [["n", "int", 0, 4]]]],
    }  # fmt: skip
    rows = [["add_f32", 1, 1, 3, 0, 4, 9], ["add_f16", 1, 1, 3, 0, 4, 10], ["scale_f32", 2, 2, 3, 0, 4, 11]]
    claim = {"notes": ["a note"], "witness": "Apple's compiled library", "cases": 3}
    return {
        "upstream": {"url": "https://example.invalid/mlx", "revision": "c" * 40, "tag": "v0", "coverage": "full"},
        "target": "pytorch-2.13",
        "made": "2026-11-25",
        "rings": ["names", "layouts", "code", "outputs"],
        "statuses": ["proved", "sampled", "equal after O1", "differs", "not run"],
        "families": [
            {**family, "name": "add", "title": "Addition"},
            {**family, "name": "scale", "title": "Scaling", "operators": ["mul"], "kernels": []},
        ],
        "matrix": [["add", [0, 2, 1, 1], None, None, [3, 2, 1, 0]], ["scale", [0, 1, 1, 1], None, None, None]],
        "rows": rows,
        "claims": [
            {**claim, "ring": 0, "family": "add", "claim": "named", "status": 0, "why": "",
             "results": [[0, 0, 1, 0, 0, []], [1, 0, 1, 0, 0, []]]},
            {**claim, "ring": 3, "family": "add", "claim": "computed", "status": 3, "why": HOSTILE,
             "results": [[0, 0, 1, 0, 5, [6]], [1, 3, 1, 7, 5, [8]]]},
            {**claim, "ring": 0, "family": "scale", "claim": "named", "status": 0, "why": "",
             "results": [[2, 0, 1, 0, 0, []]]},
        ],
        "strings": strings,
    }  # fmt: skip


@pytest.fixture(scope="session")
def looked(look: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """looked(address): the text of the made page's document at that address."""
    own = tmp_path_factory.mktemp("page") / "index.html"
    own.write_text(render(made_data()), encoding="utf-8")
    return lambda address="", **how: look(address, own, **how)
