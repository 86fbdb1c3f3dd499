# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The proofs, for a terminal: family by ring in short, or claim by claim."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from porter.model import Proof, Ring, Status
from porter.report.matrix import Cell, cell, families_of, gravest

_COLOURS = {
    Status.PROVED: "green",
    Status.SAMPLED: "yellow",
    Status.EQUAL_AFTER_O1: "cyan",
    Status.DIFFERS: "bold red",
    Status.NOT_RUN: "red",
}
_LONGEST_WHY = 12  # lines of one reason; the page has it whole


def print_proofs(proofs: Sequence[Proof], console: Console | None = None, *, in_full: bool = False) -> None:
    """The table, then whatever does not hold, then the count.

    One family, or `in_full`: a row for each claim, and what a reader must know to judge it. Else a row for each family.
    """
    console = console or _console()
    if in_full or len(families_of(proofs)) == 1:
        console.print(_claims(proofs))
        for line in dict.fromkeys(f"  {proof.ring.value}: {note}" for proof in proofs for note in proof.notes):
            console.print(Text(line, style="dim"))
        _print_reasons([proof for proof in proofs if proof.why], console)
    else:
        console.print(_matrix(proofs))
        _print_reasons([proof for proof in proofs if proof.why and not proof.holds], console)
    console.print(summary(proofs))


def _console() -> Console:
    """As wide as the terminal; in a pipe as wide as its content, so that nothing is cut or folded."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=400)


def _claims(proofs: Sequence[Proof]) -> Table:
    several = len(families_of(proofs)) > 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("ring", *(["family"] if several else []), "claim", "witness"):
        table.add_column(heading)
    table.add_column("cases", justify="right")
    table.add_column("result")
    for proof in proofs:
        family = [proof.family] if several else []
        result = Text(proof.status.value, style=_COLOURS[proof.status])
        table.add_row(proof.ring.value, *family, Text(proof.claim), Text(proof.witness), f"{proof.cases:,}", result)
    return table


def _matrix(proofs: Sequence[Proof]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    rings = [ring for ring in Ring if any(proof.ring is ring for proof in proofs)]
    table.add_column("family", no_wrap=True)
    for ring in rings:
        table.add_column(ring.value)
    for family in families_of(proofs):
        table.add_row(family, *(_shown(cell(proofs, family, ring)) for ring in rings))
    return table


def _shown(one: Cell | None) -> Text:
    """`proved 4,122`: the gravest status, and how many kernels were looked at; `differs 3 (1 of 4 claims)`."""
    if one is None:
        return Text("-", style="dim")
    count = f" {one.kernels:,}" if one.kernels else ""
    unheld = f" ({one.claims - one.held} of {one.claims} claims)" if one.held < one.claims else ""
    return Text.assemble((one.status.value, _COLOURS[one.status]), (f"{count}{unheld}", "dim"))


def _print_reasons(proofs: Sequence[Proof], console: Console) -> None:
    for proof in proofs:
        lines = proof.why.splitlines()
        shown = "\n".join(lines[:_LONGEST_WHY])
        rest = f"\n  and {len(lines) - _LONGEST_WHY} lines more" if len(lines) > _LONGEST_WHY else ""
        heading = f"{proof.ring.value}, {proof.family}, {proof.status.value}: {proof.claim}: "
        console.print(Text(f"{heading}{shown}{rest}", style=_COLOURS[proof.status]))


def summary(proofs: Sequence[Proof]) -> str:
    """`118 of 120 claims hold (96 proved, 22 sampled), 2 do not.`"""
    held = [proof for proof in proofs if proof.holds]
    counts = {status: sum(proof.status is status for proof in held) for status in Status}
    kinds = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    if not proofs:
        return "Nothing was examined."
    if len(held) == len(proofs) and gravest(proof.status for proof in proofs) is Status.PROVED:
        return f"{len(held)} of {len(proofs)} claims proved."
    rest = len(proofs) - len(held)
    ending = f", {rest} {'does' if rest == 1 else 'do'} not." if rest else "."
    return f"{len(held)} of {len(proofs)} claims hold{f' ({kinds})' if kinds else ''}{ending}"
