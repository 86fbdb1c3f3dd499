# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
import io

from rich.console import Console

from porter.model import Proof, Ring, Status
from porter.report.terminal import print_proofs


def printed(*proofs: Proof) -> str:
    stream = io.StringIO()
    print_proofs(proofs, Console(file=stream, width=120, color_system=None))
    return stream.getvalue()


PROVED = Proof(Ring.NAMES, "f", "the table is complete", "Apple's library", Status.PROVED, 4608)
DIFFERS = Proof(Ring.CODE, "f", "bodies are equal", "upstream", Status.DIFFERS, 3, "gemm<[1]> differs", ("2 patches",))


def test_a_row_says_ring_claim_witness_cases_and_result() -> None:
    row = next(line for line in printed(PROVED).splitlines() if line.startswith("names"))
    assert " ".join(row.split()) == "names the table is complete Apple's library 4,608 proved"


def test_what_differs_is_said_whole_and_counted() -> None:
    text = printed(PROVED, DIFFERS)
    assert "code, differs: gemm<[1]> differs" in text
    assert "code: 2 patches" in text
    assert text.rstrip().endswith("1 of 2 claims proved, 1 not.")


def test_brackets_are_not_markup() -> None:
    assert "gemm<[1]>" in printed(DIFFERS)
