# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port sync`: the whole way, from a revision to the proof table."""

from __future__ import annotations

from pathlib import Path

import click

from porter.cli.common import family_option, json_option, print_json, progress_bar, root_option

PROVIDERS = ("auto", "github", "git", "wheel", "dir")


@click.command("sync")
@click.option("--mlx-rev", "revision", metavar="REV", default=None, help="A tag, or a full or short commit id.")
@click.option("--mlx-source", "source", metavar="PATH-OR-URL", default=None, help="A git clone, bare mirror or folder.")
@click.option("--provider", type=click.Choice(PROVIDERS), default="auto", show_default=True)
@click.option("--target", default="pytorch-2.13", show_default=True, help="The PyTorch release, see specs/targets/.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="End with the rings of proof.")
@family_option
@root_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    revision: str | None,
    source: str | None,
    provider: str,
    target: str,
    verify: bool,
    families: tuple[str, ...],
    root: Path,
    as_json: bool,
) -> int:
    """Vendor one MLX revision, port its kernels into generated/, and prove the port.

    Exit status 0 means: written (or unchanged), and every claim of every ring is proved.
    """
    from porter.report import write_report
    from porter.walk import Request, prove, synchronise

    request = Request(root, revision, source, provider, families, target)
    with progress_bar(not as_json) as progress:
        result = synchronise(request, progress)
        if not as_json:
            click.echo(result.sentence)
            click.echo(result.summary)
        proved = prove(request, None, progress, result) if verify else None
        page = write_report(proved) if proved is not None and not families else None
    proofs = proved.proofs if proved is not None else ()
    if as_json:
        print_json({"revision": result.revision, "changed": result.changed, "files": result.files, "proofs": proofs})
    elif verify:
        from porter.report.terminal import print_proofs

        print_proofs(proofs)
        if page is not None:
            click.echo(f"report: {page}")
    return 0 if all(proof.holds for proof in proofs) else 1
