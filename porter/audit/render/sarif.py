# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An audit as SARIF 2.1.0 (OASIS, errata 01), for GitHub code scanning and whatever else reads it.

Written as plain data and held to the standard's own schema by the tests: `sarif-om` has had no release since 2019, and
`sarif-pydantic` is a model of pydantic for what is five kinds of object here.

What GitHub makes of a file is narrower than the standard, and decides three things. It shows every result as an alert,
whatever its `kind`, so findings with a complete notice are rules without results. It refuses a result without a
location. It matches alerts of two runs by `partialFingerprints`, which here hold still when code moves within its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from porter.audit.model import Audit, Change, Finding, Lines, Verdict
from porter.audit.render.shown import (
    VERDICTS,
    in_order,
    path_uri,
    printable,
    ranges,
    revision_range,
    upstream_url,
)
from porter.model import sha256

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {
    Verdict.NONE: "error",
    Verdict.WRONG_LICENCE: "error",
    Verdict.MENTION_ONLY: "warning",
    Verdict.NO_PERMISSION_TEXT: "warning",
    Verdict.COMPLETE: "none",
}
_STALE = "stale"
_MOST_RELATED = 90  # GitHub takes 100 locations of a result
_LONGEST = 1000  # characters of a message's part


def to_sarif(audit: Audit, prefix: str = "") -> str:
    """The log, ASCII. `prefix` leads from the repository's root to the audited tree: `csrc/`, or nothing."""
    run = {
        "tool": {"driver": _driver()},
        "automationDetails": {"id": f"steel-port-audit/{path_uri(prefix)}"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(audit, prefix)],
        "results": list(_results(audit, prefix)),
        "properties": {"files": audit.files, "lines": audit.lines, "comparedWith": printable(audit.compared_with)},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True)


def rule_id(verdict: Verdict) -> str:
    """`notice/mention-only`."""
    return f"notice/{verdict.value.replace(' ', '-')}"


_RULES = [*map(rule_id, VERDICTS), _STALE]


def _driver() -> dict[str, Any]:
    rules = [
        _rule(rule_id(verdict), _LEVELS[verdict], f"Derived from MLX: {means}") for verdict, means in VERDICTS.items()
    ]
    rules.append(_rule(_STALE, "warning", "Derived from MLX: upstream has changed these lines since"))
    return {"name": "steel-port", "semanticVersion": version("steel-port"), "rules": rules}


def _rule(name: str, level: str, means: str) -> dict[str, Any]:
    advice = {
        _STALE: "Port the lines again from a release that has the change, or decide that it does not concern you.",
        rule_id(Verdict.COMPLETE): "Nothing is to be done.",
    }
    help_text = advice.get(
        name, "State the source's copyright line and the text of its licence in the file: `steel-port audit --fix`."
    )
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in re.split(r"\W", name)),
        "shortDescription": {"text": f"Derived from MLX: {means}."},
        "fullDescription": {"text": f"Derived from MLX: {means}. {help_text}"},
        "help": {"text": help_text, "markdown": help_text},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["licence" if name != _STALE else "maintainability"], "precision": "high"},
    }


def _results(audit: Audit, prefix: str) -> Iterator[dict[str, Any]]:
    for finding in in_order(audit.findings):
        if finding.notice.verdict is not Verdict.COMPLETE:
            yield _notice_result(finding, prefix)
        fixes = [change for change in finding.changes if change.is_fix]
        for change in fixes:
            yield _fix_result(finding, change, prefix)
        if others := [change for change in finding.changes if not change.is_fix]:
            yield _changes_result(finding, others, prefix)


def _notice_result(finding: Finding, prefix: str) -> dict[str, Any]:
    match, verdict = finding.match, finding.notice.verdict
    passages = ranges(one.lines for one in match.passages)
    said = (
        f"Lines {passages} are derived from {_plain(match.upstream)} of MLX ({revision_range(match.revisions)}). "
        f"Notice: {verdict.value}. {_plain(finding.notice.reason)}"
    )
    related = list(_related(finding, prefix))
    if len(related) > _MOST_RELATED:
        said += f" Of {len(related)} related places {_MOST_RELATED} are listed."
    return {
        **_result(rule_id(verdict), _LEVELS[verdict], said, match.path, match.passages[0].lines, prefix),
        "relatedLocations": [{"id": number, **one} for number, one in enumerate(related[:_MOST_RELATED], 1)],
        "partialFingerprints": _fingerprint("notice", match.path, match.upstream, prefix=prefix),
        "properties": {"share": round(match.share, 4), "tokens": match.tokens, "revisions": list(match.revisions)},
    }


def _fix_result(finding: Finding, change: Change, prefix: str) -> dict[str, Any]:
    match = finding.match
    said = (
        f"Upstream fixed these lines in {_plain(change.commit[:12])} ({_plain(change.date[:10])}): "
        f"{_plain(change.subject)}. The code here is that of {revision_range(match.revisions)}."
    )
    key = _fingerprint(_STALE, match.path, match.upstream, change.commit, prefix=prefix)
    return {
        **_result(_STALE, "warning", said, match.path, _first(finding, change.lines), prefix),
        "partialFingerprints": key,
    }


def _changes_result(finding: Finding, changes: list[Change], prefix: str) -> dict[str, Any]:
    """Changes that are no fixes are one note: there may be hundreds, and each alone asks for nothing."""
    commits = ", ".join(_plain(change.commit[:12]) for change in changes[:10])
    more = f" and {len(changes) - 10} more" if len(changes) > 10 else ""
    said = f"Upstream has changed these lines since {revision_range(finding.match.revisions)}: {commits}{more}."
    lines = _first(finding, [one for change in changes for one in change.lines])
    return {
        **_result(_STALE, "note", said, finding.match.path, lines, prefix),
        "partialFingerprints": _fingerprint(_STALE, finding.match.path, finding.match.upstream, prefix=prefix),
    }


def _result(rule: str, level: str, said: str, path: str, lines: Lines, prefix: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "ruleIndex": _RULES.index(rule),
        "level": level,
        "message": {"text": said},
        "locations": [_location(path, lines, prefix)],
    }


def _related(finding: Finding, prefix: str) -> Iterator[dict[str, Any]]:
    match = finding.match
    for passage in match.passages:
        here = _location(match.path, passage.lines, prefix)
        yield {**here, "message": {"text": f"{passage.tokens} tokens derived, {_names(passage.identical)}"}}
        if url := upstream_url(match.upstream, match.revisions):
            there = {"artifactLocation": {"uri": url}, "region": _region(passage.upstream_lines)}
            yield {"physicalLocation": there, "message": {"text": f"upstream at {_plain(match.revisions[-1])}"}}
    for path, line in finding.notice.found:
        yield {**_location(path, Lines(line, line), prefix), "message": {"text": "what the notice says"}}


def _names(identical: bool) -> str:
    return "names as upstream's" if identical else "names changed"


def _invocation(audit: Audit, prefix: str) -> dict[str, Any]:
    passed = [_notification(prefix + one.path, f"passed over: {one.reason}") for one in audit.passed_over]
    remarks = [_notification(prefix + one.path, f"read with a remark: {one.remark}") for one in audit.remarks]
    return {"executionSuccessful": True, "toolExecutionNotifications": passed + remarks}


def _notification(path: str, said: str) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": path_uri(path), "uriBaseId": "%SRCROOT%"}}}
    return {"level": "note", "message": {"text": _plain(said)}, "locations": [place]}


def _location(path: str, lines: Lines, prefix: str) -> dict[str, Any]:
    artifact = {"uri": path_uri(prefix + path), "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": _region(lines)}}


def _region(lines: Lines) -> dict[str, int]:
    return {"startLine": lines.first, "endLine": lines.last}


def _first(finding: Finding, lines: Iterable[Lines]) -> Lines:
    return min(lines, default=finding.match.passages[0].lines)


def _fingerprint(*parts: str, prefix: str) -> dict[str, str]:
    """Of what a finding is, not of where in its file it stands."""
    return {"steelPortAudit/v1": sha256("\0".join((prefix, *parts)).encode("utf-8", "surrogateescape"))}


def _plain(text: str) -> str:
    """Text of a message: nothing in it is a link (SARIF 2.1.0, 3.11.6) or moves what is around it."""
    shown = printable(text)[:_LONGEST]
    return re.sub(r"([\\\[\]])", r"\\\1", shown)
