# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Host code that a YAML's exclusions rest on: where it changed, a person looks again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from porter.errors import SpecError
from porter.model import SourceFile, Sources, sha256
from porter.parse.evidence import check_evidence, digest_of
from porter.spec import Evidence, Family, load_families, load_family, specs_dir

HOST = "one\n  const bool first = a;\n  const bool second = first && b;\nlast\n"
EVIDENCE = Evidence(
    "LICENSE", (2, 3), sha256(b"const bool first = a;\nconst bool second = first && b;"), "an exclusion"
)


@pytest.fixture
def family() -> Family:
    (loaded,) = load_families(["arange"])
    return dataclasses.replace(loaded, evidence=(EVIDENCE,), lines={**loaded.lines, "evidence.0": 7})


def with_host(sources: Sources, text: str) -> Sources:
    return dataclasses.replace(sources, files={**sources.files, "LICENSE": SourceFile("LICENSE", text, "0" * 64)})


def test_what_was_read_agrees(sources: Sources, family: Family) -> None:
    check_evidence(with_host(sources, HOST), family)


def test_the_same_lines_may_stand_elsewhere(sources: Sources, family: Family) -> None:
    """Another revision of MLX has more lines before them."""
    check_evidence(with_host(sources, "a line more\n" + HOST), family)


def test_white_space_around_a_line_is_not_code(sources: Sources, family: Family) -> None:
    check_evidence(with_host(sources, HOST.replace("  const", "\tconst")), family)


@pytest.mark.parametrize("changed", [HOST.replace("&&", "||"), "a line more\n" + HOST.replace("&&", "||"), "one\n"])
def test_other_lines_are_an_error_that_says_what_to_do(sources: Sources, family: Family, changed: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_evidence(with_host(sources, changed), family)
    said = str(caught.value)
    assert "specs/families/arange.yaml:7" in said
    assert "lines 2 to 3" in said
    assert digest_of(changed, EVIDENCE) in said


def test_a_file_that_is_not_at_hand_is_not_looked_at(sources: Sources, family: Family) -> None:
    absent = dataclasses.replace(EVIDENCE, file="mlx/backend/metal/matmul.cpp")
    check_evidence(sources, dataclasses.replace(family, evidence=(absent,)))


def test_an_exclusion_without_evidence_is_an_error(tmp_path: Path) -> None:
    text = (specs_dir() / "families" / "steel_gemm_fused.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("evidence:") and "sha256:" not in line]
    path = tmp_path / "changed.yaml"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(SpecError, match="which host code excluded rests on"):
        load_family(path)
