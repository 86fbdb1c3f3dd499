# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port audit`: what in a tree is derived from MLX, and whether it says so as it must."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from porter.cli.common import json_option, progress_bar, root_option
from porter.errors import SteelPortError, UsageError

if TYPE_CHECKING:
    from porter.audit.fix import Fixes
    from porter.audit.model import Audit
    from porter.audit.run import Options, Result

FAIL_ON = ("none", "any", "incomplete")
FILE = click.Path(dir_okay=False, path_type=Path)
POSITIVE = click.IntRange(min=1)


@click.command("audit")
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--sarif", type=FILE, metavar="FILE", help="Write SARIF 2.1.0.")
@click.option("--html", type=FILE, metavar="FILE", help="Write a page that shows both sides.")
@click.option(
    "--mlx-source",
    metavar="GIT",
    envvar="STEEL_PORT_MLX_GIT",
    show_envvar=True,
    help="A clone of MLX: all its releases, and what they fixed since.",
)
@click.option("--revision", "revisions", multiple=True, metavar="TAG", help="Only this release; repeatable.")
@click.option("--fix", is_flag=True, help="Write the missing notices into the files of PATH, then audit it again.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="incomplete", show_default=True, help="What gives 1.")
@click.option("--max-bytes", type=POSITIVE, default=8 << 20, show_default=True, help="What is larger is passed over.")
@click.option("--jobs", type=POSITIVE, default=None, help="Processes; by default as many as processors.")
@root_option
@json_option
def command(
    path: Path,
    sarif: Path | None,
    html: Path | None,
    mlx_source: str | None,
    revisions: tuple[str, ...],
    fix: bool,
    fail_on: str,
    max_bytes: int,
    jobs: int | None,
    root: Path,
    as_json: bool,
) -> int:
    """Find what in PATH (a folder or a file) is derived from MLX, and judge its notices.

    Exit status 0: nothing is, or every notice is complete. 1: a notice is not. 2: the audit could not be made.
    """
    with _failures_end_with_2():
        if revisions and mlx_source is None:
            raise UsageError("--revision chooses among the releases of a clone", expected="--mlx-source with it")
        for file in (sarif, html):
            if file is not None and not file.resolve().parent.is_dir():
                raise UsageError("the folder of the file does not exist", where=str(file))

        from porter.audit.run import Options, audit

        options = Options(mlx_source, revisions, root, max_bytes, jobs)
        with progress_bar(not as_json) as progress:
            result = audit(path, options, progress)
            fixes = _fix(path, result) if fix else None
            if fixes is not None and fixes.written:
                result = audit(path, options, progress)
        _write(path, result, options, sarif, html)
        if as_json:
            _print_json(result, fixes)
        else:
            _print(path, result, fixes, sarif, html)
    return status(result.audit, fail_on)


def status(audit: Audit, fail_on: str) -> int:
    """The exit status. `fail_on`: `none` never fails, `any` on a finding, `incomplete` on one without its notice."""
    from porter.audit.model import Verdict

    if fail_on == "any":
        return 1 if audit.findings else 0
    incomplete = any(finding.notice.verdict is not Verdict.COMPLETE for finding in audit.findings)
    return 1 if incomplete and fail_on == "incomplete" else 0


def _fix(path: Path, result: Result) -> Fixes:
    """Write what is missing. Raises FixRefused, with nothing written, where one file is not to be written."""
    from porter.audit.fix import apply_fixes
    from porter.audit.model import Verdict
    from porter.audit.reading import tree_root

    lacking = [one for one in result.audit.findings if one.notice.verdict is not Verdict.COMPLETE]
    return apply_fixes(tree_root(path), lacking, result.upstream)


def _write(path: Path, result: Result, options: Options, sarif: Path | None, html: Path | None) -> None:
    """The files that were asked for."""
    from porter.audit.outputs import write_output

    if sarif is not None:
        from porter.audit.render.sarif import to_sarif

        write_output(sarif, to_sarif(result.audit, _prefix(path)).encode())
    if html is not None:
        write_output(html, _page(path, result, options).encode())


def _print_json(result: Result, fixes: Fixes | None) -> None:
    from porter.audit.render.data import to_json

    click.echo(to_json(result.audit, fixes))


def _print(path: Path, result: Result, fixes: Fixes | None, sarif: Path | None, html: Path | None) -> None:
    from porter.audit.render.text import print_audit, print_fixes

    if fixes is not None:
        print_fixes(fixes)
    print_audit(result.audit, str(path))
    for name, file in (("sarif", sarif), ("page", html)):
        if file is not None:
            click.echo(f"{name}: {file}")


def _page(path: Path, result: Result, options: Options) -> str:
    from porter.audit.model import PassedOver
    from porter.audit.reading import Candidate, TreeNotFound, read_file, tree_root
    from porter.audit.render.page import render_page

    folder = tree_root(path)

    def texts(name: str) -> str:
        read = read_file(folder, Candidate(name, 0), options.max_bytes)
        if isinstance(read, PassedOver):
            raise TreeNotFound(read.reason, where=name)
        return read.text

    made = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return render_page(result.audit, str(path), made, texts, result.upstream)


def _prefix(path: Path) -> str:
    """From the current folder, which in CI is the repository's, to the tree: `csrc/`; nothing where it is no part."""
    from porter.audit.reading import tree_root

    tree, here = tree_root(path).resolve(), Path.cwd().resolve()
    if tree == here or not tree.is_relative_to(here):
        return ""
    return f"{tree.relative_to(here).as_posix()}/"


@contextmanager
def _failures_end_with_2() -> Iterator[None]:
    """An audit that could not be made must not look in CI like one that found something."""
    try:
        yield
    except SteelPortError as error:
        error.exit_status = 2
        raise
    except BrokenPipeError:  # `steel-port audit --json | head`
        raise
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(error.filename or "") or None) from error
