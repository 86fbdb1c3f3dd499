# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Both sides line by line, and the audit's page in a headless browser: its views, its filters, and that nothing of an
audited tree is run, loaded or hidden."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from porter.audit.model import Audit, Finding, Lines, Passage, PassedOver, Remark, Verdict
from porter.audit.reading import TreeNotFound
from porter.audit.render import page as page_module
from porter.audit.render.page import page_data, render_page
from porter.audit.render.sides import OTHER, RENAMED, SAME, WRAPPED, Row, rows, side

from .made import FEATURE, FIX, OURS, THEIRS, UPSTREAM, audit, finding

HOSTILE = "</script><img src=x onerror=document.title='run'>\u202e\x1b[31m\u200b[red]"
Look = Callable[..., str]


def made_rows(ours: str, theirs: str) -> list[tuple[int | None, int | None, str]]:
    left, right = side(ours), side(theirs)
    passage = Passage(Lines(1, len(left.lines)), Lines(1, len(right.lines)), len(left.tokens), identical=False)
    return [(row.ours, row.theirs, row.kind) for row in rows(left, right, passage)]


# -- both sides


def test_a_renamed_and_reformatted_passage_stands_beside_its_source() -> None:
    passage = finding().match.passages[0]
    assert rows(side(OURS), side(THEIRS), passage) == [
        Row(3, 2, RENAMED),
        Row(None, 3, WRAPPED),
        Row(None, 4, WRAPPED),
        Row(4, 5, RENAMED),
        Row(5, 6, RENAMED),
        Row(6, 7, SAME),
    ]


def test_lines_that_differ_in_white_space_alone_are_the_same() -> None:
    assert made_rows("int a = 1;\n\treturn a;", "int a=1;\n  return a;") == [(1, 1, SAME), (2, 2, SAME)]


def test_comments_and_blank_lines_of_one_side_stand_alone() -> None:
    ours = "// one\n// two\nint a = f(b, 1);\nreturn a + b;"
    theirs = "int a = f(b, 1);\n\n// three\nreturn a + b;"
    assert made_rows(ours, theirs) == [
        (1, None, OTHER),
        (2, None, OTHER),
        (3, 1, SAME),
        (None, 2, OTHER),
        (None, 3, OTHER),
        (4, 4, SAME),
    ]


def test_a_changed_line_between_shared_ones() -> None:
    shared = "int {0} = first(second, 3) + third[4];"
    before, after = shared.format("a"), shared.format("b")
    ours = f"{before}\nwhile (x) {{ y(); }}\n{after}\nreturn a;"
    theirs = f"{before}\n{after}\nreturn a;"
    assert [row for row in made_rows(ours, theirs) if row[2] != SAME] == [(2, None, OTHER)]


@pytest.mark.parametrize("seed", range(20))
def test_each_line_of_both_sides_stands_in_one_row_in_order(seed: int) -> None:
    import random

    pick = random.Random(seed)
    lines = [f"v{n} = f{n % 7}(x{n}, {n});" + "  // note" * pick.randint(0, 1) for n in range(60)]
    ours = [line for line in lines if pick.random() > 0.1]
    theirs = [re.sub(r"x(\d+)", r"other_\1", line).replace("(", pick.choice(["(", "(\n"])) for line in lines]
    found = made_rows("\n".join(ours), "\n".join(theirs))
    assert [left for left, _, _ in found if left] == list(range(1, len(ours) + 1))
    assert [right for _, right, _ in found if right] == list(range(1, "\n".join(theirs).count("\n") + 2))


def test_upstreams_own_files_of_two_releases(mlx_git: str) -> None:
    """Real code with real changes between: every line stands once, and nearly all are paired."""
    from porter.audit.history import of_clone

    path = "mlx/backend/metal/kernels/steel/gemm/mma.h"
    old, new = (
        next(one.text for one in of_clone(mlx_git, [tag]) if one.path == path) for tag in ("v0.29.0", "v0.31.0")
    )
    found = made_rows(old, new)
    assert [left for left, _, _ in found if left] == list(range(1, old.count("\n") + 2))
    assert [right for _, right, _ in found if right] == list(range(1, new.count("\n") + 2))
    assert sum(kind == SAME for _, _, kind in found) > 0.5 * old.count("\n")


def test_a_text_that_has_become_shorter() -> None:
    passage = Passage(Lines(1, 400), Lines(2, 700), 40, identical=True)
    found = rows(side("int a;"), side(THEIRS), passage)
    assert [row.ours for row in found if row.ours] == [1]
    assert max(row.theirs or 0 for row in found) == THEIRS.count("\n") + 1


def test_long_lists_of_like_rows_are_aligned_quickly() -> None:
    ours = "\n".join(f"row({n}, a, b)" for n in range(4000))
    theirs = "\n".join(f"row({n}, a, c)" if n % 50 else f"// {n}\nmore({n}, x);" for n in range(4000))
    start = time.process_time()
    assert len(made_rows(ours, theirs)) >= 4000
    assert time.process_time() - start < 10


# -- the page's data


def data_of(one: Audit, texts: Callable[[str], str] = lambda path: OURS) -> dict[str, object]:
    return page_data(one, "tree", "2026-11-25", texts, {UPSTREAM.sha256: UPSTREAM}.__getitem__)


def passages(data: dict[str, object]) -> list[dict[str, object]]:
    findings = data["findings"]
    assert isinstance(findings, list)
    return [passage for one in findings for passage in one["passages"]]


def test_a_text_that_is_gone_leaves_one_passage_without_lines() -> None:
    def texts(path: str) -> str:
        if path == "gone.h":
            raise TreeNotFound("is not there any more", where=path)
        return OURS

    gone, there = passages(data_of(audit(finding("gone.h"), finding("there.h")), texts))
    assert (gone["rows"], gone["said"]) == ([], "The lines cannot be shown: gone.h: is not there any more")
    assert len(there["rows"]) == 6
    assert there["said"] == ""


def test_very_long_lines_are_cut_and_say_so() -> None:
    long = OURS.replace("2.0f", "2.0f + " + "x" * 100_000)
    (passage,) = passages(data_of(audit(finding()), lambda _: long))
    lines = [row[3] for row in passage["rows"]]
    assert max(map(len, lines)) < 500
    assert any(line.endswith(" characters more") for line in lines)


def test_the_page_is_bounded_and_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MOST_ROWS", 8)
    first, second, third = passages(data_of(audit(finding("a"), finding("b"), finding("c"))))
    assert (len(first["rows"]), first["said"]) == (6, "")
    assert (len(second["rows"]), second["said"]) == (2, "4 lines more are not carried.")
    assert (third["rows"], third["said"]) == ([], "The page carries 8 lines, and no more; look into the files.")


def test_a_commit_that_is_none_is_no_link() -> None:
    odd = replace(FIX, commit="javascript:alert(1)//")
    (one,) = data_of(audit(finding(changes=(odd, FIX))))["findings"]
    assert [change["url"] for change in one["changes"]] == [
        None,
        f"https://github.com/ml-explore/mlx/commit/{'f' * 40}",
    ]


# -- in the browser

ONE: tuple[Finding, ...] = (
    finding("src/scale.metal", Verdict.NONE, changes=(FIX, FEATURE)),
    finding("src/named.h", Verdict.MENTION_ONLY, reason="line 1 names MLX", found=(("src/named.h", 1),)),
    finding("src/good.h", Verdict.COMPLETE, reason="both are in the file", revisions=("v0.30.1",)),
    finding(f"{HOSTILE}.h", Verdict.WRONG_LICENCE, reason=HOSTILE),
)


@pytest.fixture(scope="module")
def page_text() -> str:
    one = audit(
        *ONE,
        passed_over=(
            PassedOver("x.png", "binary: it holds NUL bytes"),
            PassedOver(HOSTILE, HOSTILE),
            *(PassedOver(f"many/{n}.o", "binary: 9% of it is control characters") for n in range(600)),
        ),
        remarks=(Remark("c.h", "1 place is not UTF-8, read as U+FFFD"),),
    )
    hostile = OURS.replace("// its end", "").replace("value + 1.0f;", f'value + 1.0f; // {HOSTILE} "')
    return render_page(
        one, HOSTILE, "2026-11-25", lambda path: hostile if HOSTILE in path else OURS, lambda digest: UPSTREAM
    )


@pytest.fixture(scope="module")
def looked(look: Look, page_text: str, tmp_path_factory: pytest.TempPathFactory) -> Look:
    own = tmp_path_factory.mktemp("page") / "audit.html"
    own.write_text(page_text, encoding="utf-8")
    return lambda address="", **how: look(address, own, **how)


def test_it_names_no_file_that_a_browser_would_load(page_text: str) -> None:
    assert not re.search(r"<(?:link|img|iframe|script[^>]+src)", page_text)
    assert "default-src 'none'" in page_text
    assert {one for one in page_text if not one.isprintable() and one != "\n"} == set()


def test_the_first_view_names_fixes_findings_and_counts(looked: Look) -> None:
    text = re.sub(r"\s+", " ", looked())
    assert "Upstream fixed these lines since; the fix is not here" in text
    assert "src/scale.metal:4-5 ffffffffffff 2026-05-12 Fix the last row" in text
    assert "Faster scaling" not in text
    assert "4 findings" in text
    assert "src/named.h:3-6 mlx/backend/metal/kernels/twice.metal 64% v0.29.0 to v0.30.6 mention only" in text
    assert "1 place is not UTF-8" in text
    assert "Compared with MLX v0.29.0 to v0.32.1, 10 releases" in text


def test_filters(looked: Look) -> None:
    by_verdict = looked("#/?verdict=mention+only")
    assert "1 of 4 findings" in by_verdict
    assert "src/named.h" in by_verdict
    assert "src/scale.metal" not in by_verdict
    assert "1 of 4 findings" in looked("#/?fixes=1")
    assert "src/good.h" in looked("#/?q=both+GOOD")
    assert "0 of 4 findings" in looked("#/?q=both&verdict=none")


def test_a_finding_shows_both_sides_the_reason_and_the_changes(looked: Look) -> None:
    order = [one.match.path for one in ONE]
    assert order[0] == "src/scale.metal"
    markup = looked("#/finding/0", markup=True)
    assert (
        '<a href="https://github.com/ml-explore/mlx/blob/v0.30.6/mlx/backend/metal/kernels/twice.metal#L2-L7"' in markup
    )
    assert re.search(r'<tr class="same"><td class="at">6</td><td class="code">}</td><td class="at">7</td>', markup)
    assert "<mark>left</mark>" in markup
    text = re.sub(r"\s+", " ", looked("#/finding/0"))
    assert "the file says nothing of where it is from" in text
    assert "4-5 ffffffffffff 2026-05-12 fix Fix the last row" in text
    assert "Faster scaling" in text
    assert "There is no such finding" in looked("#/finding/99")
    assert "There is no such finding" in looked("#/finding/constructor")


def test_what_was_passed_over_is_listed_and_searched(looked: Look) -> None:
    text = looked("#/passed")
    assert "602" in text
    assert "x.png" in text
    assert "show 102 more" in text
    assert "many/599.o" in looked("#/passed?q=599")


def test_hostile_names_and_lines_stay_text(looked: Look) -> None:
    for address in ("", "#/finding/1", "#/passed", "#/?q=%3Cimg%20src"):
        markup = looked(address, markup=True)
        assert "<img" not in markup
        assert "&lt;/script&gt;&lt;img src=x" in markup
        assert not re.search("[\u202e\x1b\u200b]", markup)
        assert "\\u202e\\x1b[31m\\u200b[red]" in markup


def test_an_empty_tree(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    nothing = render_page(Audit(0, 0, (), (), "MLX"), ".", "2026-11-25", lambda _: "", lambda _: UPSTREAM)
    path.write_text(nothing, encoding="utf-8")
    assert "The tree is empty" in look("", path)
