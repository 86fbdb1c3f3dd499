# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring layouts: one wrong field is found, and named with both numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.errors import ProofError
from porter.model import Status
from porter.port.target import load_target
from porter.prove.layouts import FLOAT, SIGNED, Layout, against_library, compare, ported_name, prove_layouts

from .conftest import Minimal

APPLE = {
    "mlx::steel::PairParams": Layout(
        24, (("count", 0, 4, SIGNED), ("stride", 4, 4, SIGNED), ("offset", 8, 8, SIGNED), ("scale", 16, 4, FLOAT))
    )
}


def run(pair: Minimal):
    return prove_layouts(pair.sources, pair.corpus, pair.family, pair.overlay_root, pair.target)


def test_both_compilers_and_upstream_agree(minimal):
    host, upstream = run(minimal)
    assert (host.status, host.cases) == (Status.PROVED, 5)
    assert (upstream.status, upstream.cases) == (Status.PROVED, 5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(
            "int32_t count;\n  int32_t stride;",
            "int32_t stride;\n  int32_t count;",
            "mlx::steel::PairParams.stride at byte 0, 4 in the witness; mlx::steel::PairParams.count at byte 4, 0",
            id="swapped",
        ),
        pytest.param("int32_t stride", "int64_t stride", "PairParams.stride at byte 8, 4 in the witness", id="wider"),
        pytest.param(
            "int64_t offset", "int32_t offset", "PairParams.offset of 4 bytes, 8 in the witness", id="narrower"
        ),
        pytest.param("int32_t stride", "int32_t pitch", "PairParams.pitch is not in the witness", id="another name"),
        pytest.param(
            "float scale;", "float scale;\n  int32_t tail;", "PairParams.tail is not in the witness", id="in padding"
        ),
        pytest.param("  float scale;\n", "", "PairParams.scale is missing", id="lost"),
        pytest.param("float scale", "int32_t scale", "PairParams.scale is a signed integer, a float in", id="kind"),
        pytest.param("int32_t count", "uint32_t count", "PairParams.count is an unsigned integer, a signed", id="sign"),
    ],
)
def test_a_wrong_field_is_named(minimal, old, new, why):
    minimal.mutate("SteelPairParams.h", old, new)
    host, upstream = run(minimal)
    assert host.status is Status.PROVED  # host and kernel read the same wrong header
    assert upstream.status is Status.DIFFERS
    assert why in upstream.why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "int32_t stride;",
            "#ifdef __METAL_VERSION__\n  int32_t stride;\n#else\n  int64_t stride;\n#endif",
            "PairParams.stride at byte 4, 8 in the witness",
        ),
        ("struct PairParams {", "struct alignas(32) PairParams {", ""),
    ],
)
def test_a_header_that_the_host_reads_otherwise_is_found(minimal, old, new, why):
    minimal.mutate("SteelPairParams.h", old, new)
    host, upstream = run(minimal)
    assert host.status is (Status.DIFFERS if why else Status.PROVED)
    assert why in host.why
    assert (upstream.status is Status.DIFFERS) == (not why)


def test_a_struct_that_is_gone_is_an_error(minimal):
    minimal.mutate("SteelPairParams.h", "struct PairParams", "struct OtherParams")
    with pytest.raises(ProofError, match="declares no struct at::native::mps::steel::PairParams"):
        run(minimal)


def test_against_what_a_compiled_kernel_says(families):
    right = dict(APPLE)
    assert compare(families[0], "w", right, APPLE).status is Status.PROVED
    wrong = {
        "mlx::steel::PairParams": Layout(20, (*APPLE["mlx::steel::PairParams"].fields[:3], ("scale", 12, 4, FLOAT)))
    }
    proof = compare(families[0], "w", wrong, APPLE, "steel_pair_float32")
    assert proof.why == (
        "steel_pair_float32: mlx::steel::PairParams.scale at byte 12, 16 in the witness; "
        "mlx::steel::PairParams of 20 bytes, 24 in the witness"
    )
    assert compare(families[0], "w", right, {}).why == "mlx::steel::PairParams is missing"


def test_names_in_the_port():
    assert ported_name("mlx::steel::GEMMParams", load_target()) == "at::native::mps::steel::GEMMParams"


def test_upstream_against_apples_compiled_kernels(root, corpus, families, library):
    proof = against_library(corpus, families[0], root / "generated", load_target(), library)
    assert (proof.status, proof.cases) == (Status.PROVED, 96 * 21)


def test_a_wrong_field_against_apples_compiled_kernels(root, corpus, families, library, tmp_path: Path):
    import shutil

    target = load_target()
    shutil.copytree(root / "generated", tmp_path / "generated")
    folder = tmp_path / "generated" / "pytorch" / target.source_root / target.kernels
    header = next(path for path in folder.glob("*.h") if "struct GEMMAddMMParams {" in path.read_text())
    text = header.read_text()
    assert text.count("float alpha;") == 1
    header.write_text(text.replace("float alpha;", "double alpha;"))
    proof = against_library(corpus, families[0], tmp_path / "generated", target, library)
    assert proof.status is Status.DIFFERS
    assert "mlx::steel::GEMMAddMMParams.alpha of 8 bytes, 4 in the witness" in proof.why
