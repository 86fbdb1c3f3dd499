# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`python -m porter.prove.try_family NAME [--names GLOB] [--side upstream] ...`: for who writes a generator of cases.

Runs a family's cases kernel by kernel and prints what came of each, in this process, with nothing recalled. `upstream`
is upstream's own source instead of the port, so that a generator can be written before a family is ported; `none` holds
Apple's compiled kernels to what the generator expects.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path

import click

from porter.errors import SteelPortError
from porter.prove.compare_kernels import Job, compare
from porter.prove.outcome import Found, Outcome
from porter.spec import load_families

_AT_ONCE = 16


@click.command()
@click.argument("name")
@click.option("--names", default="*", help="Only host names that match.")
@click.option("--side", type=click.Choice(["port", "upstream", "none"]), default="port", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Every host name, not one of each kernel and type.")
@click.option("--quick", is_flag=True, help="Ask for no thorough cases.")
@click.option("--limit", type=int, default=1 << 20, help="So many kernels at most.")
@click.option("--details", is_flag=True, help="A line for each case.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path(), show_default=True)
def main(
    name: str, names: str, side: str, everything: bool, quick: bool, limit: int, details: bool, root: Path
) -> None:
    """Try the generator of the family NAME on what stands in DIR; the exit status says whether all is well."""
    try:
        jobs = _jobs(name, side, everything, root)
    except SteelPortError as error:
        raise click.ClickException(str(error)) from error
    wrong = tried = 0
    for job in jobs:
        rows = [row for row in job.rows if fnmatch.fnmatchcase(row.host_name, names)][: limit - tried]
        for at in range(0, len(rows), _AT_ONCE):
            thorough = frozenset() if quick else job.thorough
            part = dataclasses.replace(job, rows=tuple(rows[at : at + _AT_ONCE]), thorough=thorough)
            wrong += sum(_print(outcome, details) for outcome in compare(part))
        tried += len(rows)
    click.echo(f"{tried} kernels, {wrong} comparisons failed")
    raise SystemExit(1 if wrong or not tried else 0)


def _jobs(name: str, side: str, everything: bool, root: Path) -> tuple[Job, ...]:
    from porter.parse.corpus import read_corpus
    from porter.parse.requests import with_requests
    from porter.port.target import load_target
    from porter.prove.case import Case
    from porter.prove.outputs import jobs_of, make_jobs
    from porter.prove.runnable import UpstreamSource
    from porter.upstream import vendored

    families = load_families([name])
    sources = with_requests(vendored(root / "upstream_mlx"), families)
    corpus = read_corpus(sources, families, 1)
    overlay, target = root / "generated", load_target()
    case = Case(sources, corpus, families, families[0], overlay, target, 1, lambda *_: None, False, everything)
    if side == "port":
        return make_jobs(case)
    source = UpstreamSource.of(sources, families[0]) if side == "upstream" else None
    return jobs_of(case, source)


def _print(outcome: Outcome, details: bool) -> int:
    """One line for each comparison; how many of them failed."""
    compared: list[tuple[str, Found]] = []
    compared += [("Apple", outcome.apple)] if outcome.apple else []
    compared += [("expected", outcome.expected)] if outcome.expected else []
    for who, found in compared:
        what = found.basis if found.status == "equal" else found.why
        worst = f" ({found.worst:.2g} of the tolerance)" if found.worst else ""
        click.echo(f"{outcome.host_name}: {who}: {found.status}, {found.cases} cases {what}{worst}")
        for line in found.details if details else ():
            click.echo(f"    {line}")
    return sum(found.status != "equal" for _, found in compared)


if __name__ == "__main__":
    main()
