# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The nouns of an audit: what was read, what of it is derived from MLX, and how its notice is to be judged.

Lines count from 1, and both ends of a range belong to it. Paths are POSIX paths relative to the tree they stand in.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Lines:
    """Lines `first` to `last` of a file."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last:
            raise ValueError(f"not a range of lines: {self.first}-{self.last}")

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.last > self.first else str(self.first)

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class UpstreamFile:
    """One version of one file of MLX. `tags` are those releases that hold just these bytes, oldest first."""

    path: str
    sha256: str
    tags: tuple[str, ...]
    text: str = field(repr=False)


class Verdict(enum.Enum):
    """How the notice of a derived passage stands to what the licence of its source asks for."""

    COMPLETE = "complete"
    NO_PERMISSION_TEXT = "copyright without permission text"
    MENTION_ONLY = "mention only"
    WRONG_LICENCE = "wrong licence named"
    NONE = "none"


@dataclass(frozen=True)
class Passage:
    """A run of lines that is a run of upstream's, names and layout aside.

    `tokens` of the file's are shared. `identical` says that the names are upstream's too.
    """

    lines: Lines
    upstream_lines: Lines
    tokens: int
    identical: bool


@dataclass(frozen=True)
class Match:
    """What one file has from one upstream file.

    `share` is the part, 0 to 1, of the file's code tokens that stand in passages. `revisions` are the tags whose files
    hold all of the passages, oldest first; `upstream` names the file at the newest of them, `digest` its bytes.
    """

    path: str
    upstream: str
    digest: str
    passages: tuple[Passage, ...]
    share: float
    revisions: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.passages or list(self.passages) != sorted(self.passages, key=lambda one: one.lines):
            raise ValueError(f"{self.path}: a match has passages, in the order of their lines")

    @property
    def tokens(self) -> int:
        return sum(passage.tokens for passage in self.passages)


@dataclass(frozen=True)
class NoticeJudgement:
    """`verdict`, `reason` in a sentence, and where in the tree each word that counts was found: (path, line)."""

    verdict: Verdict
    reason: str
    found: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Change:
    """A commit of upstream that changed derived lines after `Match.revisions`; `lines` are the audited file's."""

    commit: str
    date: str
    subject: str
    is_fix: bool
    lines: tuple[Lines, ...]


@dataclass(frozen=True)
class Finding:
    match: Match
    notice: NoticeJudgement
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class PassedOver:
    """A file that was not read as code, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """A file that was read, but not as it stands, and how: bytes that are not UTF-8, say."""

    path: str
    remark: str


@dataclass(frozen=True)
class Audit:
    """`compared_with` says which revisions of MLX the index holds, as `v0.29.0 to v0.32.1, 41 tags`."""

    files: int
    lines: int
    findings: tuple[Finding, ...]
    passed_over: tuple[PassedOver, ...]
    compared_with: str
    seconds: Mapping[str, float] = field(default_factory=dict, repr=False)
    remarks: tuple[Remark, ...] = ()
