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
    return text[: text.index(part)].count("\n") + 1


def test_gemm_has_96_host_names_and_48_combinations() -> None:
    (family,) = load_families(["steel_gemm_fused"])
    # 4 dtypes x 6 tiles x 4 transposes; 2^6 combinations less the 2^4 that set do_axpby without use_out_source
    assert len({row.host_name for row in family.instantiations()}) == 4 * 6 * 4
    assert len(family.combinations()) == 2**6 - 2**4


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
            r"argument batch_shape is gated by 'batch'",
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
    with pytest.raises(SpecError, match="no family is called 'gemv'"):
        load_families(["gemv"])
