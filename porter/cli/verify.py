# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port verify`: the rings of proof, on what stands in generated/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from porter.cli.common import family_option, json_option, print_json, progress_bar, root_option
from porter.errors import UsageError
from porter.model import Ring, Status

if TYPE_CHECKING:
    from porter.prove.case import Case
    from porter.walk import Request


@click.command("verify")
@click.option(
    "--ring", "rings", type=click.Choice([r.value for r in Ring]), multiple=True, help="Only this ring; repeatable."
)
@click.option("--target", default="pytorch-2.13", show_default=True, help="The PyTorch release, see specs/targets/.")
@click.option("--all", "everything", is_flag=True, help="Every kernel in the rings code and outputs, not a sample.")
@click.option("--fresh", is_flag=True, help="Recall nothing that was proved before.")
@click.option("--claims", "in_full", is_flag=True, help="Print every claim with its notes, not only the table.")
@click.option("--mutate", type=click.IntRange(min=1), metavar="N", help="Make N mutants and see which ring finds each.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of --mutate.")
@family_option
@root_option
@json_option
def command(
    rings: tuple[str, ...],
    target: str,
    everything: bool,
    fresh: bool,
    in_full: bool,
    mutate: int | None,
    seed: int,
    families: tuple[str, ...],
    root: Path,
    as_json: bool,
) -> int:
    """Run the rings of proof, and write generated/report/index.html. Exit status 0 only where every claim holds."""
    from porter.report import write_report
    from porter.walk import Request, prove

    request = Request(root, None, None, "auto", families, target)
    wanted = [Ring(ring) for ring in rings] or None
    if mutate is not None:
        if rings or everything:
            raise UsageError(
                "--mutate runs every ring on what each mutant touches", expected="--mutate without --ring and --all"
            )
        return _mutate(request, mutate, seed, as_json)
    with progress_bar(not as_json) as progress:
        proved = prove(request, wanted, progress, fresh=fresh, everything=everything)
        page = write_report(proved) if wanted is None and not families else None
    if as_json:
        print_json(proved.proofs)
    else:
        from porter.report.terminal import print_proofs

        print_proofs(proved.proofs, in_full=in_full or len(proved.families) == 1)
        if page is not None:
            click.echo(f"report: {page}")
    return 0 if proved.holds else 1


def _mutate(request: Request, count: int, seed: int, as_json: bool) -> int:
    """Show mutants to the rings. Exit status 0 only where none was missed."""
    from porter.prove.mutate import mutate
    from porter.walk import JOBS, cases_of

    with progress_bar(not as_json) as progress:
        report = mutate(cases_of(request, progress), count, seed, progress, jobs=JOBS, outputs=outputs_differ)
    if as_json:
        print_json(report)
    else:
        click.echo(report.to_text())
    return 1 if report.misses else 0


def outputs_differ(case: Case) -> str:
    """What the outputs ring finds in a sample of one family's overlay; nothing where it finds nothing."""
    from porter.prove.outputs import prove_outputs

    return "; ".join(proof.why for proof in prove_outputs(case) if proof.status is Status.DIFFERS)
