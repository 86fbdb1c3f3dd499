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

pytest.importorskip("torch", reason="needs the verify extra")
pytest.importorskip("mlx.core", reason="needs the verify extra")


def verify(root: Path, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    command = [sys.executable, "-m", "porter", "verify", "--json", "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr


def test_every_claim_of_every_ring_is_proved(root: Path) -> None:
    status, proofs, errors = verify(root)
    assert [(proof["claim"], proof["why"]) for proof in proofs if proof["status"] != "proved"] == []
    assert status == 0, errors
    cases = {
        ring: [proof["cases"] for proof in proofs if proof["ring"] == ring] for ring in ("names", "layouts", "code")
    }
    assert 96 in cases["names"]  # 4 dtypes x 6 tiles x 4 transposes, as Apple's library has them
    assert 96 * 48 in cases["names"]  # each with every combination of the constants
    assert 96 * 48 in cases["code"]
    # 14 + 5 fields of the two structs, and their sizes
    assert min(cases["layouts"]) == 14 + 5 + 2
    assert sum(proof["ring"] == "outputs" for proof in proofs) >= 6


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
    status, proofs, _ = verify(tmp_path, "--ring", "code")
    assert status == 1
    assert any(proof["status"] == "differs" and "slot" in str(proof["why"]) for proof in proofs)
