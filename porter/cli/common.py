# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What several commands share: the folder they work in, the families, JSON output, the download's progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from porter.model import to_data

Command = Callable[..., Any]
Progress = Callable[[str, int, "int | None"], None]
"""Called with what is being done, how many bytes (or steps) are done, and how many there are, if that is known."""


def root_option(function: Command) -> Command:
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        show_default="the current folder",
        help="The folder that holds upstream_mlx/ and generated/.",
    )(function)


def family_option(function: Command) -> Command:
    return click.option("--family", "families", multiple=True, metavar="NAME", help="Only this family; repeatable.")(
        function
    )


def json_option(function: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def print_json(noun: Any) -> None:
    click.echo(json.dumps(to_data(noun), indent=2, ensure_ascii=False))


@contextmanager
def progress_bar(enabled: bool = True) -> Iterator[Progress]:
    """A progress bar on stderr where that is a terminal; elsewhere nothing is drawn."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not (enabled and console.is_terminal)
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield report
