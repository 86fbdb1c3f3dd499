# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`python -m porter.parse.check_family NAME... [--root DIR]`: everything in which families' YAMLs and upstream differ.

`steel-port sync` stops at the first difference; who writes a YAML wants all of them.
"""

from __future__ import annotations

from pathlib import Path

import click

from porter.errors import SteelPortError
from porter.model import Sources
from porter.spec import load_families


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), default=Path(), show_default=True)
def main(names: tuple[str, ...], root: Path) -> None:
    """Compare families with what stands in DIR/upstream_mlx; the exit status says whether all agree."""
    from porter.upstream import vendored

    try:
        upstream = vendored(root / "upstream_mlx")
    except SteelPortError as error:
        raise click.ClickException(str(error)) from error
    found: list[SteelPortError] = []
    for name in names:
        try:
            found += _compare(name, upstream)
        except SteelPortError as error:
            found.append(error)
    for one in found:
        click.echo(f"\n{one}")
    raise SystemExit(1 if found else 0)


def _compare(name: str, upstream: Sources) -> list[SteelPortError]:
    from porter.parse.check import problems
    from porter.parse.corpus import file_facts, read_parts
    from porter.parse.part import owned
    from porter.parse.requests import with_requests

    (family,) = load_families([name])
    sources = with_requests(upstream, (family,))
    (part,) = read_parts(sources, (family,), jobs=1)
    wrong = problems(family, part, sources, file_facts(sources))
    rows = len(part.instantiations) or len(family.instantiations())
    click.echo(f"{name}: {len(owned(family, part))} kernels, {rows} host names, {len(wrong)} problems")
    return [*wrong]


if __name__ == "__main__":
    main()
