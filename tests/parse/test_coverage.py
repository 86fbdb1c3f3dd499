# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every kernel and every table of upstream is one family's, and no other's."""

import dataclasses

import pytest

from porter.errors import SpecError
from porter.model import PinnedFile, SourceFile, Sources, sha256
from porter.parse.corpus import file_facts
from porter.parse.coverage import check_coverage
from porter.spec import Family, Request
from porter.upstream.selection import KERNELS, ON_DEMAND

from .conftest import FOLD_YAML, SCALE_YAML, Edited, line_of

LOOSE, TABLE, STRINGS = f"{KERNELS}/loose.h", f"{KERNELS}/loose.metal", ON_DEMAND[-1]
TEXTS = {
    LOOSE: """\
template <typename T> [[kernel, max_total_threads_per_threadgroup(32)]] void first(device T* x [[buffer(0)]]) {}
kernel void
second(device float* x) { if (x) {} }
// [[kernel]] void third() {}
#define fourth [[kernel]] void fifth() {}
[[kernel]] void sixth(device float* x);
template [[host_name("first")]] [[kernel]] decltype(first<float>) first<float>;
void seventh(int kernel) {}
""",
    TABLE: "// nothing\n",
    STRINGS: 'constexpr std::string_view words = R"(\n[[kernel]] void words{0}() {{}}\n)";\n'
    'constexpr std::string_view helpers = R"(\nvoid helpers{0}() {{}}\n)";\n',
}


def more(sources: Sources, *paths: str) -> Sources:
    """`sources` and those of TEXTS."""
    new = {path: SourceFile(path, TEXTS[path], sha256(TEXTS[path].encode())) for path in paths}
    pinned = [PinnedFile(one.path, len(one.text), one.sha256) for one in new.values()]
    files = tuple(sorted((*sources.pin.files, *pinned), key=lambda one: one.path))
    return dataclasses.replace(
        sources, pin=dataclasses.replace(sources.pin, files=files), files={**sources.files, **new}
    )


def test_what_a_file_defines_by_its_text_alone(small) -> None:
    facts = file_facts(more(small(), LOOSE))
    assert [(one.name, one.location.line, one.location.column) for one in facts[LOOSE].kernels] == [
        ("first", 1, 78),
        ("second", 3, 1),
    ]
    assert [one.name for one in facts["mlx/k/fold.metal"].kernels] == ["count", "fold", "blank"]


def test_all_is_owned(small, scale: Family, fold: Family) -> None:
    check_coverage(small(), (scale, fold))
    owner = dataclasses.replace(scale, sources_of_kernels=(*scale.sources_of_kernels, LOOSE))
    table = dataclasses.replace(fold, name="loose", table=TABLE, sources_of_kernels=())
    asked = dataclasses.replace(table, requests=(Request("words1", STRINGS, "words", ("1",)),))
    check_coverage(more(small(), *TEXTS), (owner, fold, asked))


def test_kernels_that_nobody_owns_are_listed(small, scale: Family, fold: Family) -> None:
    with pytest.raises(SpecError) as caught:
        check_coverage(more(small(), *TEXTS), (scale, fold))
    assert caught.value.what == (
        f"no family owns first ({LOOSE}:1), second ({LOOSE}:3), the table {TABLE}, the string words ({STRINGS}:1)"
    )
    assert caught.value.where == "specs/families"


@pytest.mark.parametrize(
    ("yaml", "old", "new", "at"),
    [
        (SCALE_YAML, "kernels: [mlx/k/scale.h]", "kernels: [mlx/k/scale.h, mlx/k/fold.metal]", "  kernels: [mlx"),
        (SCALE_YAML, "table: mlx/k/scale.metal", "table: mlx/k/fold.metal", "  table:"),
    ],
)
def test_a_second_owner_is_named(small, fold: Family, edited: Edited, yaml: str, old: str, new: str, at: str) -> None:
    with pytest.raises(SpecError, match=r"mlx/k/fold\.metal is also the family fold's") as caught:
        check_coverage(small(), (fold, edited(yaml, old, new)))
    assert caught.value.where == f"specs/family.yaml:{line_of(yaml.replace(old, new), at)}"


def test_the_fold_yaml_owns_its_table_once(small, edited: Edited) -> None:
    check_coverage(small(), (edited(FOLD_YAML),))
