# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What all renderings share: the order and the words, and that nothing a tree holds can act on who looks at it.

File names and lines of an audited tree are anybody's. `printable` makes of them text that moves no cursor, reverses no
reading order and hides nothing; each renderer then escapes for its own format.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from porter.audit.model import Audit, Finding, Lines, Verdict

REPOSITORY = "https://github.com/ml-explore/mlx"

VERDICTS: Mapping[Verdict, str] = {
    Verdict.NONE: "no word of where the code is from",
    Verdict.WRONG_LICENCE: "a licence is named, and it is not the source's",
    Verdict.MENTION_ONLY: "the source is named, its copyright and licence are not",
    Verdict.NO_PERMISSION_TEXT: "the copyright line is there, the licence text is not",
    Verdict.COMPLETE: "copyright line and licence text are there",
}
"""Gravest first, and what each means in a line."""

_LONGEST_REASONS = 8
_UNDECODED = re.compile(r"[\udc80-\udcff]")


def printable(text: str, keep: str = "") -> str:
    """`text` with every character that is not shown as itself written out: `\\x1b`, `\\u202e`. `keep` stays as it is.

    Bytes of a file name that are not UTF-8 (surrogates, see os.fsdecode) are written `\\xNN`.
    """
    if text.isprintable():
        return text
    return "".join(one if one in keep or one.isprintable() else _written_out(one) for one in text)


def _written_out(character: str) -> str:
    code = ord(character)
    if _UNDECODED.match(character):
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Gravest verdict first; then by path, and by how much is derived."""
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    return sorted(findings, key=lambda one: (order[one.notice.verdict], one.match.path, -one.match.tokens))


def lacking_fixes(findings: Iterable[Finding]) -> list[Finding]:
    """Those for which upstream has a fix of the same lines."""
    return [one for one in in_order(findings) if any(change.is_fix for change in one.changes)]


def verdict_counts(audit: Audit) -> dict[Verdict, int]:
    """How many findings have each verdict, gravest first, those without any left out."""
    counts = Counter(finding.notice.verdict for finding in audit.findings)
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def revision_range(revisions: Sequence[str]) -> str:
    """`v0.29.0 to v0.30.6`: the oldest and the newest of the releases that hold all passages."""
    if not revisions:
        return "no one release"
    return revisions[0] if len(revisions) == 1 else f"{revisions[0]} to {revisions[-1]}"


def ranges(some: Iterable[Lines], most: int = 4) -> str:
    """`12-40, 55, 70-81 and 3 more`. Ranges that touch or overlap are one."""
    joined: list[Lines] = []
    for one in sorted(some):
        if joined and one.first <= joined[-1].last + 1:
            joined[-1] = Lines(joined[-1].first, max(joined[-1].last, one.last))
        else:
            joined.append(one)
    more = f" and {len(joined) - most} more" if len(joined) > most else ""
    return ", ".join(map(str, joined[:most])) + more


def derived_lines(findings: Iterable[Finding]) -> int:
    """How many lines stand in a passage of at least one finding."""
    found: dict[str, set[int]] = {}
    for finding in findings:
        for passage in finding.match.passages:
            found.setdefault(finding.match.path, set()).update(range(passage.lines.first, passage.lines.last + 1))
    return sum(map(len, found.values()))


def upstream_url(path: str, revisions: Sequence[str], lines: Lines | None = None) -> str | None:
    """Where upstream's lines stand at the newest of `revisions`; None where no release holds them all."""
    if not revisions:
        return None
    where = f"{REPOSITORY}/blob/{urllib.parse.quote(revisions[-1])}/{urllib.parse.quote(path)}"
    return f"{where}#L{lines.first}-L{lines.last}" if lines else where


def path_uri(path: str) -> str:
    """A relative URI reference of a path of the tree, byte for byte."""
    return urllib.parse.quote(os.fsencode(path))


def reasons(audit: Audit) -> str:
    """`binary: 3; a symbolic link, not followed: 2`: why files were passed over, the commonest first."""
    counts = Counter(re.split(r"[:;]", one.reason)[0] for one in audit.passed_over).most_common()
    more = f"; {len(counts) - _LONGEST_REASONS} more reasons" if len(counts) > _LONGEST_REASONS else ""
    return "; ".join(f"{printable(reason)}: {count:,}" for reason, count in counts[:_LONGEST_REASONS]) + more


def counted(count: int, one: str, many: str) -> str:
    """`1 file`, `1,200 files`."""
    return f"{count:,} {one if count == 1 else many}"


def is_empty(audit: Audit) -> bool:
    """Whether there was nothing to read, nor to pass over."""
    return not (audit.files or audit.passed_over)
