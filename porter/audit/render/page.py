# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An audit as one HTML file that loads nothing: findings, both sides line by line, and what was passed over.

Built as the report of the proofs is (porter/report/page.py): the data is JSON, deflated, in base64; a script of ours
draws it. Whatever an audited tree holds reaches the document as text nodes only, never as markup, after `printable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from porter.audit.model import Audit, Change, Finding, Match, Passage, UpstreamFile
from porter.audit.render.shown import (
    REPOSITORY,
    VERDICTS,
    derived_lines,
    in_order,
    is_empty,
    printable,
    ranges,
    revision_range,
    upstream_url,
)
from porter.audit.render.sides import Side, rows, side
from porter.errors import SteelPortError
from porter.report.page import self_contained

TEMPLATES = Path(__file__).parent / "templates"
MOST_ROWS = 200_000
"""Rows of all passages that a page carries; a browser still opens that. Past it a passage says where to look."""
_MOST_ROWS_OF_ONE = 5_000
_LONGEST_LINE = 400  # characters

_CLASSES = ("differs", "notrun", "sampled", "equal", "proved")  # of porter/report/templates/page.css, as VERDICTS

Texts = Callable[[str], str]
Upstream = Callable[[str], UpstreamFile]


def render_page(audit: Audit, where: str, made: str, texts: Texts, upstream: Upstream) -> str:
    """The whole page. `where` is what the user called the tree, `made` the day.

    `texts(path)` is a file of the tree as it was audited, `upstream(digest)` an upstream file. What they raise on
    purpose, or the system refuses, leaves one passage without its lines, and the page says why.
    """
    data = page_data(audit, where, made, texts, upstream)
    return self_contained(TEMPLATES, "audit", data, (TEMPLATES / "audit.css",), where=data["where"])


def page_data(audit: Audit, where: str, made: str, texts: Texts, upstream: Upstream) -> dict[str, Any]:
    """What the script draws, as plain data; every string is printable."""
    sides = _Sides(texts, upstream)
    return {
        "where": printable(where),
        "made": made,
        "empty": is_empty(audit),
        "compared": printable(audit.compared_with),
        "files": audit.files,
        "lines": audit.lines,
        "derived": derived_lines(audit.findings),
        "verdicts": [
            [verdict.value, kind, means] for (verdict, means), kind in zip(VERDICTS.items(), _CLASSES, strict=True)
        ],
        "findings": [_finding(one, sides) for one in in_order(audit.findings)],
        "passed": [[printable(one.path), printable(one.reason)] for one in audit.passed_over],
        "remarks": [[printable(one.path), printable(one.remark)] for one in audit.remarks],
    }


class _Sides:
    """Both texts of a match, read once, and how many rows the page may still take."""

    def __init__(self, texts: Texts, upstream: Upstream) -> None:
        self.ours = lru_cache(maxsize=64)(lambda path: side(texts(path)))
        self.theirs = lru_cache(maxsize=64)(lambda digest: side(upstream(digest).text))
        self.left = MOST_ROWS

    def rows(self, match: Match, passage: Passage) -> tuple[list[list[Any]], str]:
        """The rows of a passage, and what is to be said of them."""
        if not self.left:
            return [], f"The page carries {MOST_ROWS:,} lines, and no more; look into the files."
        try:
            ours, theirs = self.ours(match.path), self.theirs(match.digest)
        except (SteelPortError, OSError, KeyError) as error:
            return [], printable(f"The lines cannot be shown: {error}", keep="\n")
        found = rows(ours, theirs, passage)
        shown = found[: min(self.left, _MOST_ROWS_OF_ONE)]
        self.left -= len(shown)
        rest = f"{len(found) - len(shown):,} lines more are not carried." if len(found) > len(shown) else ""
        return [
            [row.ours, row.theirs, row.kind, _line(ours, row.ours), _line(theirs, row.theirs)] for row in shown
        ], rest


def _line(text: Side, number: int | None) -> str:
    if number is None:
        return ""
    shown = printable(text.lines[number - 1], keep="\t")
    if len(shown) <= _LONGEST_LINE:
        return shown
    return f"{shown[:_LONGEST_LINE]} ... {len(shown) - _LONGEST_LINE:,} characters more"


def _finding(finding: Finding, sides: _Sides) -> dict[str, Any]:
    match = finding.match
    return {
        "path": printable(match.path),
        "lines": ranges(one.lines for one in match.passages),
        "upstream": printable(match.upstream),
        "url": upstream_url(match.upstream, match.revisions),
        "share": round(match.share, 4),
        "tokens": match.tokens,
        "revisions": printable(revision_range(match.revisions)),
        "tags": [printable(tag) for tag in match.revisions],
        "verdict": list(VERDICTS).index(finding.notice.verdict),
        "reason": printable(finding.notice.reason),
        "found": [[printable(path), line] for path, line in finding.notice.found],
        "changes": [_change(one) for one in finding.changes],
        "passages": list(_passages(match, sides)),
    }


def _passages(match: Match, sides: _Sides) -> Iterator[dict[str, Any]]:
    for passage in match.passages:
        shown, said = sides.rows(match, passage)
        yield {
            "lines": str(passage.lines),
            "upstream": str(passage.upstream_lines),
            "url": upstream_url(match.upstream, match.revisions, passage.upstream_lines),
            "tokens": passage.tokens,
            "identical": passage.identical,
            "rows": shown,
            "said": said,
        }


def _change(change: Change) -> dict[str, Any]:
    known = re.fullmatch(r"[0-9a-f]{7,64}", change.commit)
    return {
        "commit": printable(change.commit)[:12],
        "url": f"{REPOSITORY}/commit/{change.commit}" if known else None,
        "date": printable(change.date)[:10],
        "subject": printable(change.subject),
        "fix": change.is_fix,
        "lines": ranges(change.lines),
    }
