# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The second witness of the instantiation table: the preprocessor's text alone."""

import dataclasses

import pytest

from porter.errors import ParseError
from porter.model import Sources
from porter.parse.text_only import text_only_names
from porter.spec import Family

pytest.importorskip("ziglang")
TABLE, FOLD = "mlx/k/scale.metal", "mlx/k/fold.metal"
SCALED = {f"scale_{dtype}_n{n}_{flip}" for n in (8, 16) for dtype in ("f32", "f16") for flip in (0, 1)}


def test_macros(small) -> None:
    assert text_only_names(small(), TABLE) == SCALED
    assert text_only_names(small({TABLE: ("scales( 16 )", "")}), TABLE) == {n for n in SCALED if "_n8_" in n}


def test_every_form(small, fold: Family) -> None:
    assert text_only_names(small(), FOLD) == {row.host_name for row in fold.instantiations()}


@pytest.mark.parametrize(
    "head", ["[[kernel]] void", "[[ kernel, max_total_threads_per_threadgroup(8 * 4) ]]\nvoid", "kernel void"]
)
def test_plain_kernels(small, head: str) -> None:
    sources = small({FOLD: ("[[kernel]] void count", f"{head} count")})
    assert "count" in text_only_names(sources, FOLD)
    template = small({FOLD: ("[[kernel]] void count", f"template <typename T>\n{head} count")})
    assert "count" not in text_only_names(template, FOLD)


def test_bytes_that_are_not_upstreams_are_refused(small) -> None:
    sources = small()
    file = sources.files[TABLE]
    files = {**sources.files, TABLE: dataclasses.replace(file, text=file.text + "\n")}
    with pytest.raises(ParseError, match=r"mlx/k/scale\.metal: the text is not upstream's bytes"):
        text_only_names(dataclasses.replace(sources, files=files), TABLE)


def test_an_error_names_its_place(small) -> None:
    with pytest.raises(ParseError, match=r"scale\.metal:1:10: .*gone\.h") as caught:
        text_only_names(small({TABLE: ("mlx/k/base.h", "gone.h")}), TABLE)
    assert "steel-port-" not in str(caught.value)  # the folder that the preprocessor reads in


def test_all_of_mlx(full_sources: Sources, families: tuple[Family, ...]) -> None:
    count = 0
    for family in families:
        if family.table is not None:
            names = text_only_names(full_sources, family.table)
            assert names == {row.host_name for row in family.instantiations()}, family.name
            count += len(names)
    assert count == 15428  # MLX v0.30.1
