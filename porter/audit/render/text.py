# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An audit for a terminal, and in a pipe the same without colours, nothing cut: fixes that the tree lacks, the findings
as a table, what was passed over, the counts, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from porter.audit.model import Audit, Change, Finding, Verdict
from porter.audit.render.shown import (
    VERDICTS,
    counted,
    derived_lines,
    in_order,
    is_empty,
    lacking_fixes,
    printable,
    ranges,
    reasons,
    revision_range,
    verdict_counts,
)

if TYPE_CHECKING:
    from porter.audit.fix import Fixes

_COLOURS = {
    Verdict.COMPLETE: "green",
    Verdict.NO_PERMISSION_TEXT: "yellow",
    Verdict.MENTION_ONLY: "yellow",
    Verdict.WRONG_LICENCE: "bold red",
    Verdict.NONE: "red",
}
_LONGEST = 200  # characters of a name, a subject or a reason; JSON has them whole
_MOST_REMARKS = 5


def print_audit(audit: Audit, where: str, console: Console | None = None) -> None:
    """`where` is what the user called the tree."""
    console = console or _console()
    if is_empty(audit):
        console.print(Text(f"{_cut(where)}: the tree is empty: it holds no file."))
        return
    if fixes := lacking_fixes(audit.findings):
        console.print(Text("Upstream fixed these lines since; the fix is not here:", style="bold"))
        for finding in fixes:
            for change in finding.changes:
                if change.is_fix:
                    console.print(_fix(finding, change))
        console.print()
    if audit.findings:
        console.print(_table(audit))
        console.print()
    for line in _ends(audit, where):
        console.print(Text(line))


def print_fixes(fixes: Fixes, console: Console | None = None) -> None:
    """What `--fix` wrote, and what it leaves to a person."""
    console = console or _console()
    for path in fixes.written:
        console.print(Text(f"Written: {_cut(path)}", style="green"))
    for path, why in fixes.needs_a_person:
        console.print(Text(f"Needs a person: {_cut(path)}: {_cut(why)}", style="red"))
    if not fixes.written:
        console.print(Text("No notice was missing; nothing was written."))
    console.print()


def _console() -> Console:
    """As wide as the terminal; in a pipe as wide as its content, so that nothing is cut or folded."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=4096)


def _fix(finding: Finding, change: Change) -> Text:
    where = f"  {_cut(finding.match.path)}:{ranges(change.lines)}"
    return Text.assemble((where, "red"), f"  {change.commit[:12]} {change.date[:10]}  {_cut(change.subject)}")


def _table(audit: Audit) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("file:lines", overflow="fold")
    table.add_column("upstream", overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("revisions")
    table.add_column("notice")
    for finding in in_order(audit.findings):
        match = finding.match
        table.add_row(
            Text(f"{_cut(match.path)}:{ranges(one.lines for one in match.passages)}"),
            Text(f"{_cut(match.upstream)}:{ranges(one.upstream_lines for one in match.passages)}"),
            f"{match.share:.0%}",
            Text(printable(revision_range(match.revisions))),
            Text(finding.notice.verdict.value, style=_COLOURS[finding.notice.verdict]),
        )
    return table


def _ends(audit: Audit, where: str) -> Iterator[str]:
    if audit.passed_over:
        files = counted(len(audit.passed_over), "file or folder", "files or folders")
        yield f"Passed over: {files} ({_cut(reasons(audit))}). --json and --html name each."
    for one in audit.remarks[:_MOST_REMARKS]:
        yield f"Read with a remark: {_cut(one.path)}: {_cut(one.remark)}"
    if len(audit.remarks) > _MOST_REMARKS:
        yield f"Read with a remark: {len(audit.remarks) - _MOST_REMARKS:,} files more."
    read = f"{counted(audit.files, 'file', 'files')}, {counted(audit.lines, 'line', 'lines')}"
    yield f"Read: {read}. Compared with: {printable(audit.compared_with)}."
    yield summary(audit)
    yield from _next(audit, where)


def summary(audit: Audit) -> str:
    """`Derived from MLX: 120 lines in 2 files, 3 findings: 1 none, 2 complete.`"""
    if not audit.findings:
        return "Derived from MLX: nothing was found." if audit.files else "No file was read; see what was passed over."
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in verdict_counts(audit).items())
    files = counted(len({finding.match.path for finding in audit.findings}), "file", "files")
    lines = counted(derived_lines(audit.findings), "line", "lines")
    return f"Derived from MLX: {lines} in {files}, {counted(len(audit.findings), 'finding', 'findings')}: {counts}."


def _next(audit: Audit, where: str) -> Iterator[str]:
    """What the reader can do, each in a line."""
    found = verdict_counts(audit)
    named = shlex.quote(_cut(where))
    for verdict in found:
        if verdict is not Verdict.COMPLETE:
            yield f"  {verdict.value}: {VERDICTS[verdict]}."
    if Verdict.WRONG_LICENCE in found:
        yield "next: a wrong licence is for a person to settle; --fix adds what is missing and leaves it standing."
    if any(verdict is not Verdict.COMPLETE for verdict in found):
        yield f"next: steel-port audit {named} --fix writes the missing notices; --html FILE shows both sides."
    if lacking_fixes(audit.findings):
        yield "next: port the lines above again from a release that has the fix."


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown):,} characters)"
