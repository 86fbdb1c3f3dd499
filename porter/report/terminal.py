# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The proof table, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from porter.model import Proof, Status

_COLOURS = {
    Status.PROVED: "green",
    Status.SAMPLED: "yellow",
    Status.EQUAL_AFTER_O1: "cyan",
    Status.DIFFERS: "bold red",
    Status.NOT_RUN: "red",
}


def print_proofs(proofs: Sequence[Proof], console: Console | None = None) -> None:
    """One row per claim, then what a reader must know to judge them, then the count."""
    console = console or Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading, justify in (("ring", "left"), ("claim", "left"), ("witness", "left"), ("cases", "right")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    table.add_column("result")
    for proof in proofs:
        result = Text(proof.status.value, style=_COLOURS[proof.status])
        table.add_row(proof.ring.value, Text(proof.claim), Text(proof.witness), f"{proof.cases:,}", result)
    console.print(table)
    for line in dict.fromkeys(f"  {proof.ring.value}: {note}" for proof in proofs for note in proof.notes):
        console.print(Text(line, style="dim"))
    for proof in proofs:
        if proof.why:
            console.print(Text(f"{proof.ring.value}, {proof.status.value}: {proof.why}", style=_COLOURS[proof.status]))
    console.print(summary(proofs))


def summary(proofs: Sequence[Proof]) -> str:
    held = sum(proof.holds for proof in proofs)
    return f"{held} of {len(proofs)} claims proved" + ("." if held == len(proofs) else f", {len(proofs) - held} not.")
