# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What `list` and `show` look at, the corpus of what stands in upstream_mlx/, and how both print tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from porter.model import Corpus, Sources
from porter.spec import Family, present

UPSTREAM_TREE = "upstream_mlx"
_GAP = "   "


def read_vendored(root: Path, families: tuple[Family, ...]) -> tuple[Sources, Corpus]:
    """The vendored sources, checked against their pin, and what they declare. Nothing is fetched or written.

    Raises TreeError where nothing is vendored yet, and DigestMismatch where a file is not what was vendored.
    """
    from porter.parse.corpus import read_corpus
    from porter.parse.requests import with_requests
    from porter.upstream import vendored

    sources = with_requests(vendored(root / UPSTREAM_TREE), families)
    return sources, read_corpus(sources, present(families, sources))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal; in a pipe as wide as its content, so that nothing is cut or folded."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        click.echo("\n".join(_lines(columns, cells)))  # rich takes 4 s for the 15,428 kernels of v0.30.1
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in cells:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(table)


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Heading, rule and rows, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    yield line(columns)
    yield "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    yield from map(line, rows)
