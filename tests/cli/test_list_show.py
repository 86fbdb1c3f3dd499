# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port list` and `steel-port show` on the kernel headers of the registry's wheel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from porter.cli import cli
from porter.errors import SpecError, SteelPortError, TreeError, UsageError
from porter.spec import load_families

KERNELS = "mlx/backend/metal/kernels"
NAME = "steel_gemm_fused_tn_bfloat16_bfloat16_bm32_bn64_bk16_wm1_wn2"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def vendored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from porter.upstream import obtain

    root = tmp_path_factory.mktemp("vendored")
    obtain("v0.30.1", None, "wheel", root / "upstream_mlx")
    return root


@pytest.fixture
def run(vendored: Path) -> Run:
    def call(*words: str, root: Path = vendored) -> Result:
        return CliRunner().invoke(cli, [*words, "--root", str(root)])

    return call


def data(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def error(result: Result, kind: type[SteelPortError]) -> str:
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


GEMM = ("--family", "steel_gemm_fused")


def test_list_kernels(run: Run) -> None:
    rows = data(run("list", "kernels", *GEMM, "--json"))
    assert len(rows) == len({row["host_name"] for row in rows}) == 96
    (row,) = [row for row in rows if row["host_name"] == NAME]
    assert (row["template"], row["family"]) == ("gemm", "steel_gemm_fused")
    assert row["arguments"] == ["bfloat16_t", "32", "64", "16", "1", "2", "true", "false", "float"]
    assert row["origin"]["file"] == "specs/families/steel_gemm_fused.yaml"


def test_list_the_kernels_of_all_families(run: Run) -> None:
    rows = data(run("list", "kernels", "--json"))
    tables = {family.name for family in load_families() if family.table}
    assert len([row for row in rows if row["family"] in tables]) == 15428  # MLX v0.30.1
    assert len(run("list", "kernels").output.splitlines()) == 2 + len(rows)


def test_a_table_in_a_pipe_cuts_nothing(run: Run) -> None:
    lines = run("list", "kernels", *GEMM).output.splitlines()
    assert len(lines) == 2 + 96  # heading, rule, rows
    assert len([line for line in lines if line.startswith(f"{NAME} ")]) == 1
    assert "…" not in "".join(lines)
    assert len({line.index("gemm ", len(NAME)) for line in lines[2:]}) == 1  # columns stand below each other


def test_list_templates_constants_and_params(run: Run) -> None:
    templates = data(run("list", "templates", *GEMM, "--json"))
    assert [(one["name"], one["family"]) for one in templates] == [("gemm", "steel_gemm_fused")]
    constants = {one["name"]: one["index"] for one in data(run("list", "constants", *GEMM, "--json"))}
    assert constants["do_axpby"] == 110
    assert len(constants) == 6
    structs = {one["name"]: one["size"] for one in data(run("list", "params", *GEMM, "--json"))}
    # 8 ints, 3 int64, 3 ints: 32 + 24 + 12, rounded up to 8
    assert structs["mlx::steel::GEMMParams"] == 72


def test_buffers_without_a_slot_are_counted(run: Run) -> None:
    lines = run("list", "templates", "--family", "copy").output.splitlines()
    (row,) = [line for line in lines if line.startswith("copy_v ")]
    assert row.split()[-2] == "3"  # src, dst and the size, which has no [[buffer(n)]]


def test_list_files(run: Run) -> None:
    files = {file["path"]: file for file in data(run("list", "files", *GEMM, "--json"))}
    assert len(files) == 15
    defines = files[f"{KERNELS}/defines.h"]
    assert (defines["notice"]["spdx"], defines["notice"]["stated"]) == ("MIT", False)


def test_list_families_needs_nothing_vendored(run: Run, tmp_path: Path) -> None:
    families = {one["name"]: one for one in data(run("list", "families", "--json", root=tmp_path))}
    assert families.keys() == {family.name for family in load_families()}
    gemm = families["steel_gemm_fused"]
    assert (gemm["kernels"], gemm["templates"], len(gemm["constants"])) == (96, ["gemm"], 6)
    assert gemm["sources"] == [f"{KERNELS}/steel/gemm/kernels/steel_gemm_fused.h"]


@pytest.mark.parametrize("kind", ["templates", "params", "constants", "files", "families"])
def test_every_listing_has_a_table_with_a_row_for_each_noun(run: Run, kind: str) -> None:
    rows = data(run("list", kind, "--json"))
    assert len(run("list", kind).output.splitlines()) == 2 + len(rows)


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        (NAME, "kernel", ["template gemm", "bfloat16_t", "of the family steel_gemm_fused"]),
        ("block_masked_gemm", "template", ["typename out_mask_t", "of the family steel_gemm_masked"]),
        ("block_softmax_float32", "kernel", ["template softmax_single_row", "of the family softmax"]),
        ("mlx::steel::GEMMParams", "params struct", ["72 bytes", "batch_stride_a"]),
        ("GEMMParams", "params struct", ["72 bytes, aligned to 8"]),
        (
            "segments_contiguous",
            "function constant",
            ["function constant bool segments_contiguous", "steel_gemm_segmented.h"],
        ),
        (f"{KERNELS}/defines.h", "file", ["instantiate_kernel", "the file states none"]),
        ("gemm/params.h", "file", ["licence MIT"]),
    ],
)
def test_show(run: Run, name: str, kind: str, parts: list[str]) -> None:
    assert data(run("show", name, "--json"))["kind"] == kind
    shown = run("show", name)
    assert shown.exit_code == 0
    for part in parts:
        assert part in shown.output


def test_show_gives_all_that_are_called_alike(run: Run) -> None:
    found = data(run("show", "gemm", "--json"))
    assert {(one["kind"], one["family"]) for one in found} == {
        ("template", "steel_gemm_fused"),
        ("template", "steel_gemm_fused_nax"),
    }
    shown = run("show", "gemm").output
    assert shown.count("template gemm<typename T, int BM") == 2
    assert "of the family steel_gemm_fused\n" in shown
    assert "of the family steel_gemm_fused_nax\n" in shown
    assert data(run("show", "gemm", *GEMM, "--json"))["family"] == "steel_gemm_fused"


def test_a_constant_gates_arguments_of_its_own_file_only(run: Run) -> None:
    found = data(run("show", "has_mask", "--json"))
    assert len(found) >= 2
    assert {one["kind"] for one in found} == {"function constant"}
    first, *rest = run("show", "has_mask").output.split("\n\n\n")
    gates = [text.partition("gates the arguments ")[2] for text in (first, *rest)]
    assert any("sdpa_vector: " in text and "attention: " not in text for text in gates)
    assert any("attention: mask" in text and "sdpa_vector: " not in text for text in gates)


def test_a_kernel_is_shown_with_the_template_of_its_own_family(run: Run) -> None:
    name = "steel_gemm_fused_nax_nn_float32_float32_bm128_bn128_bk512_wm4_wn4"
    assert "steel_gemm_fused_nax.h:" in run("show", name).output
    assert "steel_gemm_fused.h:" in run("show", NAME).output


def test_show_a_file_holds_its_includes_and_macros(run: Run) -> None:
    shown = data(run("show", "gemm/gemm.h", "--json"))
    assert f"{KERNELS}/steel/gemm/params.h" in [include["path"] for include in shown["includes"]]
    shown = data(run("show", "kernels/defines.h", "--json"))
    (macro,) = [macro for macro in shown["macros"] if macro["name"] == "instantiate_kernel"]
    assert macro["parameters"] == ["name", "func", "..."]


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("GEMMParam", "mlx::steel::GEMMParams"),
        ("has_bach", "has_batch"),
        ("gem", "gemm"),
        ("bf61.h", f"{KERNELS}/bf16.h"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest(run: Run, name: str, suggested: str) -> None:
    message = error(run("show", name), UsageError)
    assert f"nothing is called '{name}' (expected " in message
    assert suggested in message
    assert "steel-port list" in message


def test_an_unknown_name_like_nothing(run: Run) -> None:
    assert error(run("show", "zzzzzz"), UsageError).startswith("nothing is called 'zzzzzz'\n  next:")


def test_an_ambiguous_name(run: Run) -> None:
    message = error(run("show", "utils.h"), UsageError)
    assert f"{KERNELS}/utils.h" in message
    assert f"{KERNELS}/steel/utils.h" in message


def test_before_sync(run: Run, tmp_path: Path) -> None:
    for words in (("list", "kernels"), ("show", "gemm")):
        assert "steel-port sync" in error(run(*words, root=tmp_path), TreeError)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_family(run: Run) -> None:
    error(run("list", "kernels", "--family", "gemms"), SpecError)


def test_an_unknown_kind(run: Run) -> None:
    assert run("list", "kernel").exit_code == 2
