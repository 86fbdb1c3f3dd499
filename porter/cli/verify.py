# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port verify`: the rings of proof, on what stands in generated/."""

from __future__ import annotations

from pathlib import Path

import click

from porter.cli.common import family_option, json_option, print_json, progress_bar, root_option
from porter.model import Ring


@click.command("verify")
@click.option(
    "--ring", "rings", type=click.Choice([r.value for r in Ring]), multiple=True, help="Only this ring; repeatable."
)
@click.option("--target", default="pytorch-2.13", show_default=True, help="The PyTorch release, see specs/targets/.")
@click.option("--fresh", is_flag=True, help="Recall nothing that was proved before.")
@family_option
@root_option
@json_option
def command(
    rings: tuple[str, ...], target: str, fresh: bool, families: tuple[str, ...], root: Path, as_json: bool
) -> int:
    """Run the rings of proof. Exit status 0 only where every claim is proved."""
    from porter.walk import Request, prove

    request = Request(root, None, None, "auto", families, target)
    with progress_bar(not as_json) as progress:
        proofs = prove(request, [Ring(ring) for ring in rings] or None, progress, fresh=fresh)
    if as_json:
        print_json(proofs)
    else:
        from porter.report.terminal import print_proofs

        print_proofs(proofs)
    return 0 if proofs and all(proof.holds for proof in proofs) else 1
