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


def test_list_kernels(run: Run) -> None:
    rows = data(run("list", "kernels", "--json"))
    assert len(rows) == len({row["host_name"] for row in rows}) == 96
    (row,) = [row for row in rows if row["host_name"] == NAME]
    assert row["template"] == "gemm"
    assert row["arguments"] == ["bfloat16_t", "32", "64", "16", "1", "2", "true", "false", "float"]
    assert row["origin"]["file"] == "specs/families/steel_gemm_fused.yaml"


def test_a_table_in_a_pipe_cuts_nothing(run: Run) -> None:
    lines = run("list", "kernels").output.splitlines()
    assert len(lines) == 2 + 96  # heading, rule, rows
    assert len([line for line in lines if line.startswith(f"{NAME} ")]) == 1
    assert "…" not in "".join(lines)


def test_list_templates_constants_and_params(run: Run) -> None:
    assert [one["name"] for one in data(run("list", "templates", "--json"))] == ["gemm"]
    constants = {one["name"]: one["index"] for one in data(run("list", "constants", "--json"))}
    assert constants["do_axpby"] == 110
    assert len(constants) == 6
    structs = {one["name"]: one["size"] for one in data(run("list", "params", "--json"))}
    # 8 ints, 3 int64, 3 ints: 32 + 24 + 12, rounded up to 8
    assert structs["mlx::steel::GEMMParams"] == 72


def test_list_files(run: Run) -> None:
    files = {file["path"]: file for file in data(run("list", "files", "--json"))}
    assert len(files) == 15
    defines = files[f"{KERNELS}/defines.h"]
    assert (defines["notice"]["spdx"], defines["notice"]["stated"]) == ("MIT", False)


def test_list_families_needs_nothing_vendored(run: Run, tmp_path: Path) -> None:
    (family,) = data(run("list", "families", "--json", root=tmp_path))
    assert (family["name"], family["kernels"]) == ("steel_gemm_fused", 96)


@pytest.mark.parametrize("kind", ["kernels", "templates", "params", "constants", "files", "families"])
def test_every_listing_has_a_table_with_a_row_for_each_noun(run: Run, kind: str) -> None:
    rows = data(run("list", kind, "--json"))
    assert len(run("list", kind).output.splitlines()) == 2 + len(rows)


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        (NAME, "kernel", ["template gemm", "bfloat16_t"]),
        ("gemm", "template", ["typename AccumType = float", "use_out_source", "line 30"]),
        ("mlx::steel::GEMMParams", "params struct", ["72 bytes", "batch_stride_a"]),
        ("GEMMParams", "params struct", ["72 bytes, aligned to 8"]),
        ("has_batch", "function constant", ["index 10", "gemm: batch_shape, gemm: batch_strides"]),
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


def test_show_a_file_holds_its_includes_and_macros(run: Run) -> None:
    shown = data(run("show", "gemm.h", "--json"))
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
    error(run("list", "kernels", "--family", "gemv"), SpecError)


def test_an_unknown_kind(run: Run) -> None:
    assert run("list", "kernel").exit_code == 2
