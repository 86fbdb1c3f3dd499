# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A wrong tile or a wrong row in the emitted host table is found."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from porter.model import Status
from porter.prove.case import Case
from porter.prove.names import emitted_host_table
from porter.prove.selection import prove_selection


@pytest.fixture
def changed(fused: Case, tmp_path: Path):
    """The overlay with one text in its host table replaced by another."""

    def change(old: str, new: str) -> Case:
        shutil.copytree(fused.overlay_root, tmp_path / "generated")
        table = next((tmp_path / "generated").rglob("SteelGemmFusedTable.h"))
        text = table.read_text()
        assert old in text
        table.write_text(text.replace(old, new, 1))
        return dataclasses.replace(fused, overlay_root=tmp_path / "generated")

    return change


def test_the_emitted_selection_is_proved(fused):
    found = prove_selection(fused)
    assert found.status is Status.PROVED
    assert found.cases == 26 * 4 * 2 * 2 * 2 * 3 * 2 * 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return {32, 64, 16, 1, 2};", "return {32, 32, 16, 2, 2};"),
        ("uint64_t(1) << 20", "uint64_t(1) << 21"),
        (") >= (uint64_t(1)", ") > (uint64_t(1)"),
        ("q.K;", "q.K + 1;"),
        ("q.device == 'p'", "q.device == 's'"),
        ("!q.transpose_a && q.transpose_b", "q.transpose_a && q.transpose_b"),
    ],
)
def test_another_selection_differs(changed, old: str, new: str):
    found = prove_selection(changed(old, new))
    assert found.status is Status.DIFFERS
    assert "first: class" in found.why


def test_the_emitted_rows_are_proved(fused):
    found = emitted_host_table(fused)
    assert (found.status, found.cases) == (Status.PROVED, 96)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DType::float16,", "DType::bfloat16,"),
        ("{64, 64, 16, 1, 2}},", "{64, 64, 16, 2, 1}},"),
        ('"half, 64, 64, 16, 2, 2, false', '"half, 64, 64, 16, 2, 2, true'),
    ],
)
def test_another_row_differs(changed, old: str, new: str):
    found = emitted_host_table(changed(old, new))
    assert found.status is Status.DIFFERS
