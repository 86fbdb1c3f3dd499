# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port bom`: the bill of materials of the overlay, of this repository, or of a built wheel."""

from __future__ import annotations

from pathlib import Path

import click

from porter.cli.common import root_option
from porter.errors import ToolchainError, UsageError


@click.command("bom")
@click.argument("subject", type=click.Choice(["overlay", "repository", "wheel"]), default="overlay")
@click.argument("wheel", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--format", "form", type=click.Choice(["spdx", "cyclonedx"]), default="spdx", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, help="A file, not standard output."
)
@root_option
def command(subject: str, wheel: Path | None, form: str, output: Path | None, root: Path) -> None:
    """Print the bill of materials as SPDX 2.3 or CycloneDX 1.6 JSON, validated by the libraries of both.

    SUBJECT is `overlay` (generated/), `repository` (what git tracks here) or `wheel`, which takes the path of one. The
    date in it is that of the release, the commit or the wheel, or $SOURCE_DATE_EPOCH: the same bytes give the
    same bill.
    """
    if (subject == "wheel") != (wheel is not None):
        raise UsageError("a wheel is named for `wheel` and for nothing else", expected="steel-port bom wheel FILE.whl")
    try:
        text = _text(subject, wheel, form, root)
    except ModuleNotFoundError as error:
        raise ToolchainError(f"{error.name} is not installed", next_step="pip install 'steel-port[bom]'") from error
    if output is None:
        click.echo(text, nl=False)
        return
    from porter.audit.outputs import write_output

    write_output(output, text.encode())


def _text(subject: str, wheel: Path | None, form: str, root: Path) -> str:
    from porter.audit.bom_cyclonedx import to_cyclonedx
    from porter.audit.bom_sources import of_overlay, of_repository, of_wheel
    from porter.audit.bom_spdx import to_spdx

    if wheel is not None:
        bom = of_wheel(wheel)
    else:
        bom = of_overlay(root / "generated") if subject == "overlay" else of_repository(root)
    return to_spdx(bom) if form == "spdx" else to_cyclonedx(bom)
