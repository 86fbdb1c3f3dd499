# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What `list` and `show` look at, the corpus of what stands in upstream_mlx/, and how both print tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from porter.model import Corpus, Sources
from porter.spec import Family

UPSTREAM_TREE = "upstream_mlx"


def read_vendored(root: Path, families: tuple[Family, ...]) -> tuple[Sources, Corpus]:
    """The vendored sources, checked against their pin, and what they declare. Nothing is fetched or written.

    Raises TreeError where nothing is vendored yet, and DigestMismatch where a file is not what was vendored.
    """
    from porter.parse.corpus import read_corpus
    from porter.upstream import vendored

    sources = vendored(root / UPSTREAM_TREE)
    return sources, read_corpus(sources, families)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal; in a pipe as wide as its content, so that nothing is cut or folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=10_000)
    console.print(table)
