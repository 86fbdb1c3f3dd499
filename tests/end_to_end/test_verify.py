# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The four rings, on the overlay that `sync` writes, through the command that a user types.

Where nothing was proved before (a fresh machine) this takes minutes; what is recalled was proved for the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.prove.code import CLAIM as BODY_CLAIM
from porter.prove.names import WHOLE_CLAIM
from porter.spec import Family

pytest.importorskip("torch", reason="needs the verify extra")
pytest.importorskip("mlx.core", reason="needs the verify extra")


def verify(root: Path, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    command = [sys.executable, "-m", "porter", "verify", "--json", "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr


HOLDS = ("proved", "sampled", "equal after O1")
COMPILED_ONLY = {"arg_reduce", "conv", "fence", "gemv", "layer_norm", "random", "rms_norm", "rope"}


@pytest.fixture(scope="module")
def proofs(root: Path) -> list[dict[str, object]]:
    """A sample of every family, from the wheel: every kernel that its headers hold, every dtype at least once."""
    status, found, errors = verify(root)
    assert [(p["family"], p["claim"], p["why"]) for p in found if p["status"] not in HOLDS] == []
    assert status == 0, errors
    return found


def test_every_family_is_in_every_ring(proofs: list[dict[str, object]], families: tuple[Family, ...]) -> None:
    for ring in ("names", "layouts", "code", "outputs"):
        there = {proof["family"] for proof in proofs if proof["ring"] == ring} - {"all families"}
        compiled_only = COMPILED_ONLY if ring == "code" else set()  # a wheel lacks their bodies
        assert there | compiled_only == {family.name for family in families}, ring


def test_the_tables_are_the_whole_library(proofs: list[dict[str, object]]) -> None:
    (whole,) = [proof for proof in proofs if proof["claim"] == WHOLE_CLAIM]
    assert (whole["status"], whole["cases"]) == ("proved", 14_804)
    assert any("624 NAX names" in str(note) for note in whole["notes"])  # type: ignore[attr-defined]


def test_sampled_values_are_never_called_proved(proofs: list[dict[str, object]]) -> None:
    bodies = [p for p in proofs if p["ring"] == "code" and p["family"] == "fft" and p["claim"] == BODY_CLAIM]
    assert [proof["status"] for proof in bodies] == ["sampled"]


def test_a_second_run_recalls_everything(root: Path, proofs: list[dict[str, object]]) -> None:
    status, again, _ = verify(root)
    assert status == 0
    assert [(p["family"], p["claim"], p["status"], p["cases"]) for p in again] == [
        (p["family"], p["claim"], p["status"], p["cases"]) for p in proofs
    ]
    recalled = [proof for proof in again if any("recalled" in str(note) for note in proof["notes"])]  # type: ignore[attr-defined]
    assert len(again) - len(recalled) == 2  # the second port, and the claim about all families


def test_the_report_of_it_is_one_page(root: Path, proofs: list[dict[str, object]], look: Callable[..., str]) -> None:
    page = root / "generated" / "report" / "index.html"
    text = look("", page)
    assert f"{len(proofs)} of {len(proofs)}" in text
    assert "16,275" in text  # kernels in the tables
    for family in ("binary", "steel_attention", "gemv"):
        assert family in text
    assert "not ported here" in look("#/family/gemv", page)
    kernel = look("#/kernel/binary/vv_Addfloat32", page)
    for said in ("binary_vv", "device", "computes what Apple's compiled kernel computes", "bit for bit"):
        assert said in kernel


def test_what_differs_fails_the_command(tmp_path: Path, root: Path) -> None:
    """The whole command, not only the ring: a swapped slot, with a lock that agrees."""
    from porter.model import sha256
    from porter.upstream.trees import replace_tree

    for tree in ("upstream_mlx", "generated"):
        files = {p.relative_to(root / tree).as_posix(): p.read_bytes() for p in (root / tree).rglob("*") if p.is_file()}
        if tree == "generated":
            path = next(p for p in files if p.endswith("SteelGemmFused.h") and "kernels" in p)
            swapped = (
                files[path].replace(b"A [[buffer(0)]]", b"A [[buffer(8)]]").replace(b"[[buffer(1)]]", b"[[buffer(0)]]")
            )
            files[path] = swapped.replace(b"[[buffer(8)]]", b"[[buffer(1)]]")
            lock = json.loads(files["LOCK.json"])
            lock["files"][path] = sha256(files[path])
            files["LOCK.json"] = json.dumps(lock).encode()
        replace_tree(tmp_path / tree, files)
    status, proofs, _ = verify(tmp_path, "--ring", "code", "--family", "steel_gemm_fused")
    assert status == 1
    assert any(proof["status"] == "differs" and "slot" in str(proof["why"]) for proof in proofs)
