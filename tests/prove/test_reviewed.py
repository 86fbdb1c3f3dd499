# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Edits that a reviewer made to the overlay and that no ring saw then."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from porter.errors import ProofError
from porter.model import Ring, Status, sha256
from porter.prove.case import Case
from porter.prove.findings import Finding, conclude
from porter.prove.flattened import prove_flattened
from porter.prove.names import emitted_metal
from porter.walk import Request, prove


@pytest.fixture
def edited(fused: Case, tmp_path: Path):
    """The case with an overlay whose one text is replaced, with a lock that agrees."""

    def edit(name: str, old: str, new: str) -> Case:
        root = fused.overlay_root.parent
        for tree in ("generated", "upstream_mlx"):
            shutil.copytree(root / tree, tmp_path / tree)
        path = next((tmp_path / "generated").rglob(name))
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        place = tmp_path / "generated" / "LOCK.json"
        lock = json.loads(place.read_text())
        lock["files"][path.relative_to(tmp_path / "generated").as_posix()] = sha256(path.read_bytes())
        place.write_text(json.dumps(lock))
        return dataclasses.replace(fused, overlay_root=tmp_path / "generated")

    return edit


INCLUDE = "#include <ATen/native/mps/kernels/SteelGemmFused.h>\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (INCLUDE, f"#define threadgroup_barrier(flags)\n{INCLUDE}"),
        (INCLUDE, ""),
        (INCLUDE, f"{INCLUDE}#include <ATen/native/mps/kernels/SteelGemm.h>\n"),
        (INCLUDE, f"{INCLUDE}#pragma METAL fp math_mode(fast)\n"),
        ("#endif // STEEL_PORT_PRECOMPILE", "#else\nint x;\n#endif // STEEL_PORT_PRECOMPILE"),
        ("#ifdef STEEL_PORT_PRECOMPILE", "int x;\n#ifdef STEEL_PORT_PRECOMPILE"),
        ("[[kernel]]", ""),
    ],
)
def test_the_table_holds_nothing_but_the_table(edited, old: str, new: str) -> None:
    case = edited("SteelGemmFused.metal", old, new)
    with pytest.raises(ProofError, match="the table"):
        emitted_metal(case)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('R"METAL(', '"#pragma METAL fp math_mode(fast)\\n" R"METAL('),
        ("#include <metal_simdgroup_matrix>\n", ""),
        ("ii < kElemsPerFrag", "ii <= kElemsPerFrag"),
    ],
)
def test_the_run_time_source_is_compared_as_the_host_has_it(edited, old: str, new: str) -> None:
    assert prove_flattened(edited("SteelGemmFusedSource.h", old, new)).status is Status.DIFFERS


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("MlxComplex.h", "-x.imag", "x.imag"),  # no kernel calls it
        ("SteelGemmFused.cpp", "M % tile.bm == 0", "false"),  # the slow path computes the same
        ("SteelGemmFusedTable.h", "kSwizzleLog = 0", "kSwizzleLog = 2"),
    ],
)
def test_an_edit_that_no_kernel_shows_is_found(edited, name: str, old: str, new: str) -> None:
    root = edited(name, old, new).overlay_root.parent
    proofs = prove(Request(root, families=("steel_gemm_fused",)), [Ring.NAMES], lambda *_: None).proofs
    assert any(name in proof.why for proof in proofs if proof.status is Status.DIFFERS)


def test_the_smallest_wrong_case_is_told(minimal) -> None:
    findings = [Finding(10, 0.5, "fine"), Finding(9, 3.0, "larger"), Finding(4, float("inf"), "smallest")]
    proof = conclude(minimal.case, "a claim", "a witness", findings)
    assert proof.status is Status.DIFFERS
    assert proof.why.startswith("2 of 3 cases; smallest: smallest")


def test_no_case_is_no_proof(minimal) -> None:
    with pytest.raises(ValueError, match=r"empty|nothing was compared"):
        conclude(minimal.case, "a claim", "a witness", [])
