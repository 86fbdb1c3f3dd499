# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether a derived passage carries the notice that the licence of its source asks for.

What is owed is read from upstream's own file, never assumed: most of MLX is MIT, not all of it. MIT asks that "the
above copyright notice and this permission notice shall be included in all copies or substantial portions";
BSD-2-Clause asks the same of its list of conditions; Apache-2.0 asks in its section 4 for a copy of the licence (a), a
statement that the file was changed (b) and the copyright notices (c). So a notice is complete where

- every holder's copyright line stands in the file, in a remark that is about the passage (years may differ; words
  such as "for Apple silicon" in somebody else's line name no holder), and
- the licence's whole text stands in the file; or the file names the licence and the tree has its text, with that
  holder's copyright or with nobody's; or the nearest licence files above the file have the text with that holder's.

A remark is about a passage where it stands at the head or the end of the file (or of the string that the passage is
in), within `ADJACENT` lines before it, or says its lines. A wrong licence is named only by such a remark; the owed one,
anywhere.
No judgement here is legal advice; the table in tests/audit/test_judge.py shows each decision by an example.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from porter.audit.model import Lines, Match, NoticeJudgement, UpstreamFile, Verdict
from porter.audit.notice_text import Remark, remarks
from porter.audit.notice_words import (
    RESERVED,
    Grant,
    Line,
    copyrights,
    file_names,
    grants,
    mentions,
    named,
    states_change,
)
from porter.audit.tree_licences import LicenceFile, TreeLicences
from porter.parse.lexer import tokenize
from porter.parse.notices import read_notice

# MLX's LICENSE, the same at every tag from v0.0.2 to v0.32.1: for files that say nothing of their own.
DEFAULT_LICENCE = "MIT"
DEFAULT_COPYRIGHT = "Copyright © 2023 Apple Inc."

ADJACENT = 5
"""Lines between a remark and the passage after it that it is about: a template head or a comment of the port's may
part them."""

_COMPANY = re.compile(r"[,\s]+(?:inc|incorporated|corporation|corp|company|co|ltd|limited|llc|gmbh)\.?$", re.I)
_BEFORE_NO_HOLDER = "".join(rf"(?<!\b{word} )" for word in ("for", "on", "to", "in", "with", "from", "like"))
_AFTER_A_HOLDER = (
    "inc|incorporated|corporation|corp|computer|company|co|ltd|limited|llc|gmbh|and|or|all|under|licensed|released|"
    "contributors|authors"
)
_AFTER_NO_HOLDER = rf"(?!['\u2019]s\b|-\w| (?!(?:{_AFTER_A_HOLDER})\b)[^\W\d_])"
_NOT_NAME = re.compile(r"(?:copyright|©|\(c\)|@|\b(?:19|20)\d\d\b(?:\s*[-,]\s*(?:\d\d){1,2}\b)*|[:,\s])+", re.I)
_SAYS_LINES = re.compile(r"\blines?\s+((?:\d+(?:\s*(?:-|\u2013|to|through|\.\.)\s*\d+)?(?:\s*(?:,|and|&)\s*)*)+)", re.I)
_RANGE = re.compile(r"(\d+)(?:\s*(?:-|\u2013|to|through|\.\.)\s*(\d+))?", re.I)
_SNIPPET_BEGIN, _SNIPPET_END = "SPDX" + "-SnippetBegin", "SPDX" + "-SnippetEnd"


@dataclass(frozen=True)
class Owed:
    """What a copy of an upstream file owes: `licences` (SPDX), `copyrights` verbatim. `of_repository`: the file states
    no copyright itself, so both are those of MLX's LICENSE."""

    licences: tuple[str, ...]
    copyrights: tuple[str, ...]
    of_repository: bool

    @property
    def holders(self) -> tuple[str, ...]:
        return tuple(self.names)

    @property
    def names(self) -> dict[str, str]:
        """Holder -> name, as upstream writes it."""
        return {holder(line): _name(line) for line in self.copyrights}


def owed(upstream: UpstreamFile) -> Owed:
    """Raises ParseError where upstream's file speaks of a licence in words that porter/parse/notices.py lacks."""
    notice = read_notice(upstream.path, tokenize(upstream.text), DEFAULT_LICENCE)
    licences = tuple(one for one in re.findall(r"[\w.+-]+", notice.spdx) if one not in ("AND", "OR", "WITH"))
    return Owed(licences, notice.copyrights or (DEFAULT_COPYRIGHT,), not notice.copyrights)


def holder(copyright_line: str) -> str:
    """The word by which a holder is known in any spelling of the line: a company's name without its form, a person's
    last name."""
    name = _name(copyright_line).rstrip(".")
    company = _COMPANY.sub("", name)
    return (company if company != name else name.split()[-1] if name else name).lower()


def _name(copyright_line: str) -> str:
    return _NOT_NAME.sub(" ", copyright_line).strip()


def _holds(name: str, copyright_line: str) -> bool:
    """Whether the line names `name`, as `holder` gives it, as a holder, and not what the work is for or runs on:
    "Copyright 2024 Somebody. For Apple silicon"."""
    said = " ".join(copyright_line.split())
    return bool(re.search(rf"{_BEFORE_NO_HOLDER}\b{re.escape(name)}\b{_AFTER_NO_HOLDER}", said, re.I))


def judge(tree: TreeLicences, path: str, text: str, match: Match, upstream: UpstreamFile) -> NoticeJudgement:
    """How the notice of `match`, found in the tree's file `path` with text `text`, stands to what `upstream` asks for.

    Raises ParseError as `owed` does.
    """
    return _Case(tree, path, text, match, owed(upstream)).judged()


class _Said:
    """What a file says, whatever it is asked about: read once for all that it has from upstream."""

    def __init__(self, path: str, text: str) -> None:
        self.remarks = remarks(path, text)
        self.lines = [line for one in self.remarks for line in one.lines]
        self.copyrights = list(copyrights(self.lines))
        self.mentions = tuple((path, number) for number in mentions(self.lines))
        self.grants = grants(self.lines)
        self.named = _named(path, self.lines)
        self.file_names = list(file_names(self.lines))


@functools.lru_cache(maxsize=8)
def _said(path: str, text: str) -> _Said:
    return _Said(path, text)


def _named(path: str, lines: Sequence[Line]) -> dict[str, tuple[str, int]]:
    """Licences that the lines name or give the text of, and where."""
    given = {grant.spdx: (path, grant.line) for grant in grants(lines)}
    out = given | {spdx: (path, number) for spdx, number in named(lines).items()}
    return out if out.keys() == {RESERVED} else {spdx: at for spdx, at in out.items() if spdx != RESERVED}


class _Case:
    """What is known of one match while it is judged."""

    def __init__(self, tree: TreeLicences, path: str, text: str, match: Match, due: Owed) -> None:
        self.tree, self.path, self.due = tree, path, due
        self.said = _said(path, text)
        self.beside = tree.neighbour(path)
        self.about = [line for one in about_passages(self.said.remarks, match) for line in one.lines]
        self.held = self._holders(copyrights(self.about)) | self._holders(copyrights(self.beside), f"{path}.license")
        self.elsewhere = self._holders(self.said.copyrights)
        self.named = {**_named(f"{path}.license", self.beside), **self.said.named}
        self.files = self._files(self.said.file_names)

    def judged(self) -> NoticeJudgement:
        wrong = self._wrong()
        if wrong is not None:
            return wrong
        missing = [one for one in self.due.holders if one not in self.held]
        if not missing:
            return self._permission()
        if len(missing) < len(self.due.holders):
            reason = f"the copyright of {self._names(self.held)} is stated, that of {self._names(missing)} is not"
            return self._say(Verdict.NO_PERMISSION_TEXT, reason)
        return self._without_copyright()

    # What the file says ----------------------------------------------------------------------------------------------

    def _holders(self, lines: Iterable[Line], path: str | None = None) -> dict[str, tuple[str, int]]:
        """Of those copyright lines, the holders that are owed, and where each stands."""
        out: dict[str, tuple[str, int]] = {}
        for number, words in lines:
            for one in self.due.holders:
                if _holds(one, words):
                    out.setdefault(one, (path or self.path, number))
        return out

    def _files(self, names: Iterable[tuple[int, str]]) -> list[tuple[LicenceFile, tuple[str, int]]]:
        """Licence files that the file points to, and where it does. One that the tree lacks is left out."""
        found = [(self.tree.resolve(self.path, name), number) for number, name in names]
        return [(file, (self.path, number)) for file, number in found if file is not None]

    def _names(self, holders: Iterable[str]) -> str:
        return _and(self.due.names[one] for one in holders)

    def _is_named(self, spdx: str) -> bool:
        """By its name, by the family's name (BSD), or by pointing to a file that has its text."""
        if spdx in self.named or (spdx.startswith("BSD-") and "BSD" in self.named):
            return True
        return any(grant.spdx == spdx for file, _ in self.files for grant in file.grants)

    # The verdicts ----------------------------------------------------------------------------------------------------

    def _wrong(self) -> NoticeJudgement | None:
        """A licence is named for the passage, by name or by the file pointed to, and what is owed is nowhere named.

        What a remark elsewhere in the file names is about other lines, as in a file with parts from many.
        """
        unnamed = [spdx for spdx in self.due.licences if not self._is_named(spdx)]
        others = {spdx: at for file, at in self._files(file_names(self.about)) for spdx in file.named}
        others |= {**_named(f"{self.path}.license", self.beside), **_named(self.path, self.about)}
        others = {spdx: at for spdx, at in others.items() if spdx not in self.due.licences}
        if not unnamed or not others:
            return None
        reason = f"names {_and(others)}; the source is under {_and(unnamed)}, which is not named"
        return self._say(Verdict.WRONG_LICENCE, reason, others.values())

    def _permission(self) -> NoticeJudgement:
        """Every holder is named. Is each licence's text there?"""
        places = {spdx: self._text_of(spdx) for spdx in self.due.licences}
        lacking = [spdx for spdx, place in places.items() if place is None]
        at = [place for place in places.values() if place is not None]
        if lacking:
            return self._say(Verdict.NO_PERMISSION_TEXT, self._why_lacking(lacking), at)
        where = _and(dict.fromkeys(f"{place}:{line}" for place, line in at))
        return self._say(Verdict.COMPLETE, f"copyright of {self._names(self.held)}; {_and(places)} at {where}", at)

    def _without_copyright(self) -> NoticeJudgement:
        """No copyright line is about the passage. Upstream's file may have none either."""
        if self.due.of_repository and self._is_kept_with_licence():
            reason = "upstream's file states no copyright itself, and a licence file above this one has MLX's notice"
            return self._say(Verdict.COMPLETE, reason, [self._above(one) for one in self.due.licences])
        holders = self._names(self.due.holders)
        if self.elsewhere:
            reason = (
                f"a copyright line of {holders} stands in the file, but neither at its head or end nor at the passage, "
                "and it does not say which lines it is about"
            )
            return self._say(Verdict.MENTION_ONLY, reason, self.elsewhere.values())
        if self.said.mentions:
            return self._say(Verdict.MENTION_ONLY, f"MLX is mentioned, and no copyright line of {holders} is there")
        reason = f"neither a copyright line of {holders} nor MLX's name is in a comment of the file"
        return self._say(Verdict.NONE, reason, [at for spdx, at in self.named.items() if spdx in self.due.licences])

    def _why_lacking(self, lacking: Sequence[str]) -> str:
        said = f"copyright of {self._names(self.held)}; the text of {_and(lacking)} is neither in the file"
        if any(self._is_named(spdx) for spdx in lacking):
            return f"{said} nor, with that copyright or with nobody's, in the tree, though the file names it"
        return f"{said} nor named there, and no licence file above it in what was audited has it with that copyright"

    # Where a licence's text is ---------------------------------------------------------------------------------------

    def _text_of(self, spdx: str) -> tuple[str, int] | None:
        """(path, line) of the licence's whole text where it counts, in the file or in the tree; None without one."""
        for path, given in ((self.path, self.said.grants), (f"{self.path}.license", grants(self.beside))):
            for grant in given:
                if grant.spdx == spdx:
                    return path, grant.line
        return self._named_text(spdx) if self._is_named(spdx) else self._above(spdx)

    def _named_text(self, spdx: str) -> tuple[str, int] | None:
        """In a file pointed to or above, with the holders' copyright or nobody's; anywhere with the holders'."""
        pointed = [file for file, _ in self.files]
        return (
            self._find(spdx, pointed, general=True)
            or self._find(spdx, self.tree.above(self.path), general=True)
            or self._find(spdx, self.tree.everywhere(), general=False)
        )

    def _above(self, spdx: str) -> tuple[str, int] | None:
        return self._find(spdx, self.tree.above(self.path), general=False)

    def _is_kept_with_licence(self) -> bool:
        return all(self._above(spdx) for spdx in self.due.licences)

    def _find(self, spdx: str, files: Iterable[LicenceFile], *, general: bool) -> tuple[str, int] | None:
        for file in files:
            for grant in file.grants:
                if grant.spdx == spdx and self._fits(grant, general):
                    return file.path, grant.line
        return None

    def _fits(self, grant: Grant, general: bool) -> bool:
        """Apache-2.0's text is nobody's: its copyright lines stand in the notice, not in the licence."""
        if general and (not grant.copyrights or grant.spdx == "Apache-2.0"):
            return True
        return len(self._holders(grant.copyrights)) == len(self.due.holders)

    # The answer ------------------------------------------------------------------------------------------------------

    def _say(self, verdict: Verdict, reason: str, more: Iterable[tuple[str, int] | None] = ()) -> NoticeJudgement:
        if verdict is Verdict.COMPLETE and "Apache-2.0" in self.due.licences and not states_change(self.said.lines):
            reason += "; Apache-2.0, section 4 (b), also asks to state that the file was changed, which it does not"
        known = (at for spdx, at in self.named.items() if self.held and spdx in self.due.licences)
        places = {*self.held.values(), *self.said.mentions, *known, *(at for at in more if at is not None)}
        return NoticeJudgement(verdict, f"{reason}.", tuple(sorted(places)))


def about_passages(said: Sequence[Remark], match: Match) -> list[Remark]:
    """The remarks that are about the match's passages: see the head of this module."""
    snippets = _snippets(said)
    return [one for one in said if any(_is_about(one, passage.lines, snippets) for passage in match.passages)]


def _is_about(remark: Remark, passage: Lines, snippets: Sequence[Lines]) -> bool:
    if (remark.at_head or remark.at_end) and (remark.within is None or _meet(remark.within, passage)):
        return True
    span = remark.span
    if _meet(Lines(span.first, span.last + ADJACENT), passage):
        return True
    if any(_meet(span, one) and _meet(one, passage) for one in snippets):
        return True
    return any(_meet(one, passage) for one in lines_said(remark))


def lines_said(remark: Remark) -> list[Lines]:
    """The ranges of lines that a remark speaks of."""
    words = " ".join(words for _, words in remark.lines)
    ranges = [found for said in _SAYS_LINES.findall(words) for found in _RANGE.findall(said)]
    pairs = ((int(first), int(last or first)) for first, last in ranges)
    return [Lines(first, last) for first, last in pairs if 1 <= first <= last]


def _snippets(said: Sequence[Remark]) -> list[Lines]:
    """Ranges that REUSE's snippet tags mark."""
    out, begun = [], None
    for number, words in (line for one in said for line in one.lines):
        if _SNIPPET_BEGIN in words:
            begun = number
        elif _SNIPPET_END in words and begun is not None:
            out.append(Lines(begun, number))
            begun = None
    return out


def _meet(one: Lines, other: Lines) -> bool:
    return one.first <= other.last and other.first <= one.last


def _and(words: Iterable[str]) -> str:
    return ", ".join(words)
