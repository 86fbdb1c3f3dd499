# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The page in a headless browser: every view, the filters, and that it loads nothing and runs nothing of its data."""

from __future__ import annotations

import re
from collections.abc import Callable

from porter.report.page import render

from .conftest import HOSTILE, made_data

Look = Callable[..., str]


def test_it_names_no_file_that_a_browser_would_load() -> None:
    page = render(made_data())
    assert not re.search(r"<(?:link|img|iframe|script[^>]+src)", page)
    assert "default-src 'none'" in page


def test_the_matrix_shows_every_family_and_ring(looked: Look) -> None:
    text = looked()
    assert re.search(r"add\s+2\s+proved\s+2 kernels\s+-\s+-\s+differs\s+2 kernels \(1 of 1 claims\)", text)
    assert re.search(r"scale\s+1\s+proved\s+1 kernels", text)
    assert re.search(r"2 of 3\s+claims hold", text)


def test_what_differs_stands_on_the_first_page(looked: Look) -> None:
    assert "outputs, add: computed" in looked()


def test_a_family_shows_its_kernels_constants_structs_and_tolerances(looked: Look) -> None:
    text = looked("#/family/add")
    for said in (
        "Addition",
        "own/add.metal:4",
        "pytorch/kernels/Add.h",
        "flag",
        "AddParams",
        "one rounding",
        "add_f16",
    ):
        assert said in text


def test_a_kernel_shows_its_arguments_and_its_cases(looked: Look) -> None:
    text = looked("#/kernel/add/add_f32")
    for said in ("add<float>", "typename T", "device", "input", "bit for bit", "n 65: 65 elements equal"):
        assert said in text


def test_search_finds_names_and_operators(looked: Look) -> None:
    assert "1 kernels" in looked("#/?q=mul")
    assert "add_f16" in looked("#/?q=f16")
    assert "add_f32" not in looked("#/?q=f16")


def test_filters_leave_what_they_ask_for(looked: Look) -> None:
    text = looked("#/family/add?status=differs")
    assert "add_f16" in text
    assert "add_f32" not in text
    assert "0 kernels" in looked("#/?ring=names&status=differs")


def test_what_does_not_exist_is_said(looked: Look) -> None:
    assert "No family is called nothing" in looked("#/family/nothing")
    assert "No kernel is called nothing" in looked("#/kernel/add/nothing")


def test_data_is_never_markup(looked: Look) -> None:
    markup = looked("#/kernel/add/add_f16", markup=True)
    assert "<img" not in markup
    assert HOSTILE in looked("#/kernel/add/add_f16")
