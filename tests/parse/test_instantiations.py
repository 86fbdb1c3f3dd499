# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The instantiation table: from macros, from the YAML, from text alone; and what a wrong YAML is told."""

import dataclasses
from pathlib import Path

import pytest

from porter.errors import ParseError, SpecError
from porter.model import Instantiation, Location, Sources
from porter.parse.check import check_table
from porter.parse.corpus import read_corpus
from porter.parse.instantiations import split_arguments, text_only_names
from porter.spec import Family, load_families, load_family, specs_dir

TABLE = "mlx/k/scale.metal"
GEMM = (specs_dir() / "families" / "steel_gemm_fused.yaml").read_text()


def edited(tmp_path: Path, old: str, new: str) -> tuple[Family, int]:
    """The GEMM's YAML after one replacement, and the line it begins on."""
    assert GEMM.count(old) == 1
    path = tmp_path / "family.yaml"
    path.write_text(GEMM.replace(old, new))
    return load_family(path), GEMM[: GEMM.index(old)].count("\n") + 1


@pytest.fixture(scope="module")
def rows() -> tuple[Instantiation, ...]:
    """What upstream's macros make, here from the untouched YAML; the next test holds the two against each other."""
    (family,) = load_families(["steel_gemm_fused"])
    return tuple(dataclasses.replace(row, origin=Location("t.metal", 9)) for row in family.instantiations())


def test_the_macros_of_upstream_make_the_table_of_the_yaml(full_sources: Sources, families: tuple[Family, ...]) -> None:
    (gemm,) = families
    made = read_corpus(full_sources, families).instantiations
    assert len(made) == 96
    # in the same order too, so that both ways write the same overlay
    assert [(r.host_name, r.template, r.arguments) for r in made] == [
        (r.host_name, r.template, r.arguments) for r in gemm.instantiations()
    ]
    text = full_sources.files[gemm.table].text.split("\n")
    for row in made:
        dtype = row.host_name.removeprefix("steel_gemm_fused_").split("_")[1]
        assert row.origin.file == gemm.table
        assert f"({dtype}," in text[row.origin.line - 1]


def test_the_text_alone_gives_the_same_names(full_sources: Sources, families: tuple[Family, ...]) -> None:
    pytest.importorskip("ziglang")
    (gemm,) = families
    assert text_only_names(full_sources, gemm.table) == {row.host_name for row in gemm.instantiations()}


def test_macros_are_expanded_and_know_the_outermost_call(small, scale: Family) -> None:
    table = read_corpus(small(), (scale,)).instantiations
    assert [row.host_name for row in table] == [
        f"scale_{dtype}_n{n}_{flip}" for n in (8, 16) for dtype in ("f32", "f16") for flip in (0, 1)
    ]
    assert table[3] == Instantiation("scale_f16_n8_1", "scale", ("half", "8", "true"), Location(TABLE, 9))
    assert table[4] == Instantiation("scale_f32_n16_0", "scale", ("float", "16", "false"), Location(TABLE, 10))


def test_the_second_witness_on_our_own_source(small, scale: Family) -> None:
    pytest.importorskip("ziglang")
    expected = {f"scale_{dtype}_n{n}_{flip}" for n in (8, 16) for dtype in ("f32", "f16") for flip in (0, 1)}
    assert text_only_names(small(), TABLE) == expected
    assert text_only_names(small({TABLE: ("scales( 16 )", "")}), TABLE) == {n for n in expected if "_n8_" in n}


def test_the_second_witness_refuses_bytes_that_are_not_upstreams(small) -> None:
    sources = small()
    file = sources.files[TABLE]
    files = {**sources.files, TABLE: dataclasses.replace(file, text=file.text + "\n")}
    with pytest.raises(ParseError, match=r"mlx/k/scale\.metal: the text is not upstream's bytes"):
        text_only_names(dataclasses.replace(sources, files=files), TABLE)


def test_the_second_witness_names_the_place_of_an_error(small) -> None:
    pytest.importorskip("ziglang")
    with pytest.raises(ParseError, match=r"scale\.metal:1:10: .*gone\.h"):
        text_only_names(small({TABLE: ("mlx/k/base.h", "gone.h")}), TABLE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scales(8)", "scales(many)", r"mlx/k/scale\.metal:9: not valid Metal source"),
        ("scales(8)", 'template [[host_name("x")]] void f();', r"mlx/k/scale\.metal:9: a kernel is named without"),
        ("scales(8)\nscales( 16 )", "", r"mlx/k/scale\.metal:1: the file instantiates no kernel"),
    ],
)
def test_a_table_that_is_not_understood(small, scale: Family, old: str, new: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        read_corpus(small({TABLE: (old, new)}), (scale,))


def test_a_table_that_includes_something_else_first(small, scale: Family) -> None:
    sources = small({TABLE: ('#include "mlx/k/base.h"\n', '#include "mlx/k/base.h"\n#include "mlx/k/params.h"\n')})
    with pytest.raises(SpecError, match=r"scale\.yaml:4: mlx/k/scale\.metal includes other files"):
        read_corpus(sources, (scale,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half, 64, true", ("half", "64", "true")),
        ("vec<int, 2>, f(1, 2), array<vec<T, 4>, 2>", ("vec<int, 2>", "f(1, 2)", "array<vec<T, 4>, 2>")),
        ("", ()),
    ],
)
def test_template_arguments_are_split_at_their_own_commas(text: str, expected: tuple[str, ...]) -> None:
    assert split_arguments(text) == expected


# ---------------------------------------------------------------------------------------------------------------------
# A YAML that is wrong


def test_the_untouched_yaml_agrees(rows: tuple[Instantiation, ...], families: tuple[Family, ...]) -> None:
    check_table(rows, families[0])


TILE = "      - { bm: 32, bn: 64, bk: 16, wm: 1, wn: 2 }\n"


@pytest.mark.parametrize(
    ("old", "new", "line_after", "message"),
    [
        # a value taken out: the axis that lacks it, and the value
        (
            TILE,
            "",
            "    tile:",
            r"lacks 16 kernels .* a row \{ bm: 32, bn: 64, bk: 16, wm: 1, wn: 2 \} of the axis tile",
        ),
        ("      - { dtype: float32, T: float }\n", "", "    dtype:", r"lacks 24 kernels .*\{ dtype: float32 \}"),
        # a value that upstream has not: its own line
        (
            TILE,
            TILE.replace("wn: 2", "wn: 4"),
            TILE,
            r"yields 16 kernels that upstream lacks, such as .*bm32_bn64_bk16_wm1_wn4",
        ),
        (TILE, TILE + TILE.replace("bk: 16", "bk: 32"), None, r"yields 16 kernels .*bm32_bn64_bk32_wm1_wn2"),
        # the name is right and what it stands for is not
        (
            "T: bfloat16_t",
            "T: half",
            "      - { dtype: bfloat16",
            r"is gemm<half, .*expected <bfloat16_t, .*at t\.metal:9:1",
        ),
        ("transpose_a, transpose_b, float]", "transpose_b, transpose_a, float]", "  arguments: [T", r"is gemm<half"),
        ("transpose_b, float]", "transpose_b]", "  arguments: [T", r"is gemm<half"),
        ('"steel_gemm_fused_{', '"steel_gemm_{', "  grammar:", r"yields 96 kernels that upstream lacks"),
        ("template: gemm", "template: gem", "template: gemm", r"upstream instantiates gemm"),
    ],
)
def test_a_wrong_yaml_is_told_where(
    tmp_path: Path, rows: tuple[Instantiation, ...], old: str, new: str, line_after: str | None, message: str
) -> None:
    family, line = edited(tmp_path, old, new)
    # an added row stands behind the one it was made from
    expected = line + 1 if line_after is None else GEMM[: GEMM.index(line_after)].count("\n") + 1
    with pytest.raises(SpecError, match=message) as caught:
        check_table(rows, family)
    assert caught.value.where == f"specs/family.yaml:{expected}"


def test_a_value_taken_out_of_the_yaml_takes_its_names_out_of_the_wheels_table(
    tmp_path: Path, sources: Sources
) -> None:
    family, _ = edited(tmp_path, TILE, "")
    table = read_corpus(sources, (family,)).instantiations
    assert len(table) == 80
    assert not [row for row in table if "bm32_bn64" in row.host_name]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("index: 110,", "index: 111,", r"do_axpby has index 111 \(expected bool with index 110"),
        (
            "{ name: align_K, index: 202, lower: template, suffix: ak }",
            "",
            r"the function constant align_K at .* is not lowered",
        ),
        ("name: D, slot: 3", "name: E, slot: 3", r"gemm has no buffer E"),
        ("name: D, slot: 3", "name: D, slot: 8", r"D has slot 8 and gate None \(expected slot 3 and gate None"),
        (
            "slot: 6, role: shape, gate: has_batch",
            "slot: 6, role: shape, gate: align_M",
            r"gate align_M \(expected slot 6 and gate has_batch",
        ),
        ("  - { name: D, slot: 3, role: output }\n", "", r"the buffer D at .* is not described"),
        ("template: gemm", "template: gem", r"steel_gemm_fused\.h defines no kernel gem\n"),
        ("bn, bk, wm, wn, transpose_a, transpose_b, float]", "bn, bk, wm, wn]", r"takes other template parameters"),
    ],
)
def test_a_yaml_that_describes_another_interface(
    tmp_path: Path, sources: Sources, old: str, new: str, message: str
) -> None:
    if not new:
        old, new = (old, "") if old.endswith("\n") else (f"  - {old}\n", "")
    family, line = edited(tmp_path, old, new)
    with pytest.raises(SpecError, match=message) as caught:
        read_corpus(sources, (family,))
    where = (caught.value.where or "").rpartition(":")
    assert where[0] == "specs/family.yaml"
    # what is gone has no line: the list that lacks it is named
    key = "constants:" if "align_K" in old else "arguments:" if not new else None
    assert int(where[2]) == (line if key is None else [x.startswith(key) for x in GEMM.split("\n")].index(True) + 1)
