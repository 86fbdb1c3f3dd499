# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
import io
from dataclasses import replace

from rich.console import Console

from porter.model import KernelResult, Proof, Ring, Status
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
    assert "code, f, differs: bodies are equal: gemm<[1]> differs" in text
    assert "code: 2 patches" in text
    assert text.rstrip().endswith("1 of 2 claims hold (1 proved), 1 does not.")


def test_brackets_are_not_markup() -> None:
    assert "gemm<[1]>" in printed(DIFFERS)


def kernels(*names: str) -> tuple[KernelResult, ...]:
    return tuple(KernelResult(name, Status.PROVED, 1) for name in names)


MATRIX = (
    replace(PROVED, family="unary", kernels=kernels("a", "b")),
    replace(PROVED, family="unary", claim="another", status=Status.SAMPLED, kernels=kernels("b", "c")),
    replace(DIFFERS, family="unary"),
    replace(PROVED, family="binary", ring=Ring.OUTPUTS, kernels=kernels("d")),
)


def test_several_families_are_a_row_each() -> None:
    rows = [" ".join(line.split()) for line in printed(*MATRIX).splitlines()]
    assert "unary sampled 3 differs (1 of 1 claims) -" in rows
    assert "binary - - proved 1" in rows


def test_the_matrix_says_what_does_not_hold_and_nothing_else() -> None:
    text = printed(*MATRIX)
    assert "code, unary, differs: bodies are equal: gemm<[1]> differs" in text
    assert "2 patches" not in text
    assert text.rstrip().endswith("3 of 4 claims hold (2 proved, 1 sampled), 1 does not.")


def test_every_claim_of_several_families_names_its_family() -> None:
    stream = io.StringIO()
    print_proofs(MATRIX, Console(file=stream, width=120, color_system=None), in_full=True)
    assert "names unary another Apple's library 4,608 sampled" in " ".join(stream.getvalue().split())


def test_a_long_reason_is_cut_and_counted() -> None:
    long = replace(DIFFERS, why="\n".join(f"line {i}" for i in range(40)))
    text = printed(long)
    assert "line 11" in text
    assert "line 12" not in text
    assert "and 28 lines more" in text
