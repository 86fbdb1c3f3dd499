# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The four rings, on the overlay that `sync` writes, through the command that a user types.

Where nothing was proved before (a fresh machine) this takes minutes; what is recalled was proved for the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from porter.spec import Family

pytest.importorskip("torch", reason="needs the verify extra")
pytest.importorskip("mlx.core", reason="needs the verify extra")


def verify(root: Path, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    command = [sys.executable, "-m", "porter", "verify", "--json", "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr


HOLDS = ("proved", "sampled", "equal after O1")
COMPILED_ONLY = {"arg_reduce", "conv", "fence", "gemv", "layer_norm", "random", "rms_norm", "rope"}
"""Families whose bodies stand in .metal files, which a wheel lacks: Apple's compiled kernels stand for them."""


@pytest.fixture(scope="module")
def proofs(root: Path) -> list[dict[str, object]]:
    """All families in all rings, from the wheel: of the rings code and outputs a sample that `verify` chooses."""
    status, found, errors = verify(root)
    assert [(p["family"], p["claim"], p["why"]) for p in found if p["status"] not in HOLDS] == []
    assert status == 0, errors
    return found


def test_every_family_is_in_every_ring_that_has_its_source(
    proofs: list[dict[str, object]], families: tuple[Family, ...]
) -> None:
    lacking = {"code": COMPILED_ONLY, "layouts": {"conv"}}  # its structs are read with its kernels' sources
    for ring in ("names", "layouts", "code", "outputs"):
        there = {proof["family"] for proof in proofs if proof["ring"] == ring} - {"all families"}
        assert there == {family.name for family in families} - lacking.get(ring, set()), ring


def test_a_second_run_recalls_everything_but_the_second_port_and_the_count(
    root: Path, proofs: list[dict[str, object]]
) -> None:
    status, again, _ = verify(root)
    assert status == 0
    assert [(p["family"], p["claim"], p["status"], p["cases"]) for p in again] == [
        (p["family"], p["claim"], p["status"], p["cases"]) for p in proofs
    ]
    fresh = [p["claim"] for p in again if not any("recalled" in str(note) for note in p["notes"])]  # type: ignore[attr-defined]
    assert fresh == [
        "generated/ is what the rules make of the pin",
        "the tables of all families name every kernel, and no other",
    ]


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
