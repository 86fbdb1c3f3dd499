# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a wrong YAML says, with file and line."""

from pathlib import Path

import pytest

from porter.errors import SpecError
from porter.spec import load_families, load_family, specs_dir

GEMM = (specs_dir() / "families" / "steel_gemm_fused.yaml").read_text()


def load(tmp_path: Path, old: str, new: str):
    assert GEMM.count(old) >= 1
    path = tmp_path / "family.yaml"
    path.write_text(GEMM.replace(old, new, 1))
    return load_family(path)


def line_of(text: str, part: str) -> int:
    assert part in text
    return text[: text.index(part)].count("\n") + 1


def test_gemm_has_96_host_names_and_48_combinations() -> None:
    (family,) = load_families(["steel_gemm_fused"])
    # 4 dtypes x 6 tiles x 4 transposes; 2^6 combinations less the 2^4 that set do_axpby without use_out_source
    assert len({row.host_name for row in family.instantiations()}) == 4 * 6 * 4
    assert len(family.combinations("gemm")) == 2**6 - 2**4


SMALL = """\
family: small
title: Small
operators: []
restates: { copyright: [Nobody], licence: MIT }
sources: { kernels: [mlx/k/a.metal], preamble: [], table: mlx/k/a.metal, host: [] }
params: []
kernels:
  - names: [one, two]
    arguments: [{ name: x, slot: 0, role: input, gate: wide, dummy: y }, { name: y, slot: 1, role: output }]
  - names: [plain]
    arguments: []
    on_demand: true
host_names:
  axes:
    dtype: [{ dtype: f32, T: float }, { dtype: f16, T: half }]
  tables:
    - kernel: one
      grammar: "one_{dtype}_{n}"
      axes: { dtype: dtype, n: [{ n: 1 }, { n: 2 }] }
      arguments: [T, n, true, -1]
    - { kernel: two, grammar: "two_{dtype}", axes: { dtype: dtype }, arguments: [T] }
    - { kernel: one, grammar: one_more, arguments: [int, 3, false, 0] }
constants:
  - { name: wide, index: 1, lower: template, suffix: wi, kernels: [one, two] }
  - { name: tall, index: 2, lower: define, kernels: [one] }
  - { name: deep, index: 3, lower: define, type: int, kernels: [two] }
evidence:
  - file: mlx/host.cpp
    lines: [1, 2]
    sha256: "0000000000000000000000000000000000000000000000000000000000000000"
    what: the exclusion
excluded:
  - { constants: { tall: true, wide: false }, reason: never, kernels: [one] }
samples:
  - { kernels: [two], constants: { wide: true, deep: 4 }, of: four }
  - { kernels: [two], constants: { wide: false, deep: 8 }, of: eight }
outputs:
  cases: small
  tolerances:
    - { dtypes: [float32], relative: 1.0e-6, absolute: 0, because: a rounding of both operations, kernels: [one] }
"""


def load_small(tmp_path: Path, old: str = "", new: str = ""):
    assert not old or SMALL.count(old) == 1
    path = tmp_path / "small.yaml"
    path.write_text(SMALL.replace(old, new) if old else SMALL)
    return load_family(path)


def test_several_tables_share_an_axis(tmp_path: Path) -> None:
    rows = {row.host_name: (row.template, row.arguments) for row in load_small(tmp_path).instantiations()}
    assert rows == {
        "one_f32_1": ("one", ("float", "1", "true", "-1")),
        "one_f32_2": ("one", ("float", "2", "true", "-1")),
        "one_f16_1": ("one", ("half", "1", "true", "-1")),
        "one_f16_2": ("one", ("half", "2", "true", "-1")),
        "two_f32": ("two", ("float",)),
        "two_f16": ("two", ("half",)),
        "one_more": ("one", ("int", "3", "false", "0")),
    }


def test_a_row_knows_its_family_and_its_tables_line(tmp_path: Path) -> None:
    rows = {row.host_name: row for row in load_small(tmp_path).instantiations()}
    assert {row.family for row in rows.values()} == {"small"}
    assert rows["two_f32"].origin.line == line_of(SMALL, "    - { kernel: two")
    assert rows["one_f16_2"].origin.line == line_of(SMALL, "    - kernel: one")


def test_the_columns_of_a_row_are_there_for_cases(tmp_path: Path) -> None:
    assert load_small(tmp_path).axes_by_name["one_f16_2"] == {"dtype": "f16", "T": "half", "n": 2}


def test_each_kernel_has_its_own_constants(tmp_path: Path) -> None:
    family = load_small(tmp_path)
    assert [one.name for one in family.constants_of("one")] == ["wide", "tall"]
    assert family.combinations("one") == (
        {"wide": False, "tall": False},
        {"wide": True, "tall": False},
        {"wide": True, "tall": True},
    )
    assert family.combinations("plain") == ({},)
    assert not family.is_sampled("one")


def test_an_integer_takes_its_samples_and_no_more(tmp_path: Path) -> None:
    family = load_small(tmp_path)
    assert family.is_sampled("two")
    assert family.combinations("two") == ({"wide": True, "deep": 4}, {"wide": False, "deep": 8})


def test_only_template_parameters_leave_a_suffix(tmp_path: Path) -> None:
    family = load_small(tmp_path)
    assert [family.suffix("one", one) for one in family.combinations("one")] == ["_wi0", "_wi1", "_wi1"]
    assert family.suffix("plain", {}) == ""


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (
            "names: [plain]",
            "names: [one]",
            "kernels:\n  - names: [one, two]",
            "the kernel one stands twice (expected each name once)",
        ),
        (
            "gate: wide",
            "gate: tall",
            "kernels:\n  - names: [one, two]",
            "argument x of two is gated by 'tall' (expected wide, deep)",
        ),
        ("gate: wide, dummy: y", "gate: wide", "    arguments: [{ name: x", "'dummy' is a dependency of 'gate'"),
        (
            "kernels: [one, two] }",
            "kernels: [one, two, three] }",
            "  - { name: wide",
            "no kernel of the family is called 'three'",
        ),
        (
            "reason: never, kernels: [one] }",
            "reason: never, kernels: [three] }",
            "  - { constants",
            "no kernel of the family is called 'three' (expected one, two, plain)",
        ),
        (
            "- { kernel: two, grammar",
            "- { kernel: three, grammar",
            "    - { kernel: three",
            "no kernel of the family is called 'three'",
        ),
        (
            "both operations, kernels: [one] }",
            "both operations, kernels: [three] }",
            "    - { dtypes",
            "no kernel of the family is called 'three'",
        ),
        (
            "lower: template, suffix: wi,",
            "lower: template,",
            "  - { name: wide",
            "wide is lowered by template (expected a suffix for template, and none for define)",
        ),
        (
            "lower: define, kernels: [one] }",
            "lower: define, suffix: ta, kernels: [one] }",
            "  - { name: tall",
            "tall is lowered by define (expected a suffix",
        ),
        (
            "lower: define, type: int,",
            "lower: template, suffix: de, type: int,",
            "  - { name: deep",
            "deep is an int (expected lower: define)",
        ),
        (
            "tall: true, wide: false",
            "tall: true, gone: false",
            "  - { constants",
            "excluded names the constant 'gone', which the family lacks",
        ),
        (
            "{ wide: true, deep: 4 }",
            "{ deep: 4 }",
            "  - { kernels: [two], constants: { deep",
            "the sample does not set just the constants of two (expected wide, deep)",
        ),
        (
            "{ wide: true, deep: 4 }",
            "{ wide: true, deep: 4, tall: true }",
            "  - { kernels: [two], constants: { wide: true",
            "the sample does not set just the constants of two",
        ),
        (
            'grammar: "two_{dtype}", axes: { dtype: dtype }',
            'grammar: "two_{dtype}", axes: { dtype: type }',
            "    - { kernel: two",
            "the axis dtype has no rows (expected rows, or the name of a shared axis)",
        ),
        (
            'grammar: "two_{dtype}"',
            'grammar: "two_{type}"',
            "    - { kernel: two",
            "the grammar uses 'type' (expected T, dtype)",
        ),
        (
            "grammar: one_more",
            "grammar: two_f32",
            "    - { kernel: one, grammar: two",
            "the host name two_f32 stands twice (expected each host name once)",
        ),
        (
            "because: a rounding of both operations",
            "because: small",
            "    - { dtypes",
            "'small' is too short",
        ),
        ("role: output", "role: result", "    arguments: [{ name: x", "'result' is not one of"),
    ],
)
def test_a_small_yaml_that_is_wrong(tmp_path: Path, old: str, new: str, at: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_small(tmp_path, old, new)
    assert message in f"{caught.value.what} (expected {caught.value.expected})"
    assert caught.value.where == f"specs/small.yaml:{line_of(SMALL.replace(old, new), at)}"


@pytest.mark.parametrize("section", ["excluded", "samples"])
def test_what_rests_on_host_code_says_on_which(tmp_path: Path, section: str) -> None:
    text = SMALL[: SMALL.index("evidence:")] + SMALL[SMALL.index("excluded:") :]
    if section == "samples":
        text = text.replace(
            "excluded:\n  - { constants: { tall: true, wide: false }, reason: never, kernels: [one] }\n",
            "excluded: []\n",
        )
    path = tmp_path / "small.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=f"nothing says which host code {section} rests on") as caught:
        load_family(path)
    assert caught.value.where == f"specs/small.yaml:{line_of(text, section + ':')}"


def test_a_row_spells_its_template_arguments_as_c_plus_plus() -> None:
    (family,) = load_families(["steel_gemm_fused"])
    rows = {row.host_name: row.arguments for row in family.instantiations()}
    expected = ("bfloat16_t", "32", "64", "16", "1", "2", "true", "false", "float")
    assert rows["steel_gemm_fused_tn_bfloat16_bfloat16_bm32_bn64_bk16_wm1_wn2"] == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family: steel_gemm_fused", "family: steel gemm", r"family\.yaml:\d+: family: 'steel gemm' does not match"),
        ("title:", "titel:", r"family\.yaml:\d+: the file: Additional properties are not allowed"),
        ("index: 110", "index: -1", r"constants\.2\.index: -1 is less than the minimum"),
        ("use_out_source: false }", "nothing: false }", r"excluded names the constant 'nothing'"),
        (
            "gate: has_batch, dummy: one int32",
            "gate: batch, dummy: one int32",
            r"argument batch_shape of gemm is gated by 'batch'",
        ),
        ("when: [complex64]", "when: [complex32]", r"no predicate is called 'complex32'"),
        ("_bm{bm}", "_bm{rows}", r"the grammar uses 'rows'"),
        ("title: Steel", "family: twice\ntitle: Steel", r"key 'family' stands twice"),
        ("operators: [mm,", "operators: [mm, {", r"not YAML"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load(tmp_path, old, new)
    assert caught.value.where is not None
    assert caught.value.where.startswith("specs/family.yaml:")


def test_the_line_is_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, "index: 110", "index: -1")
    assert caught.value.where == f"specs/family.yaml:{line_of(GEMM, 'index: 110')}"


def test_an_unsafe_tag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not YAML"):
        load(tmp_path, "title: Steel GEMM, fused", "title: !!python/object/apply:os.getcwd []")


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "family.yaml"
    path.write_text("")
    with pytest.raises(SpecError, match="the file is empty"):
        load_family(path)


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"no family is called 'gemms' \(expected .*steel_gemm_fused"):
        load_families(["gemms"])
