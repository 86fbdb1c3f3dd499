# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The scoring, on detectors of which one knows what they score; and the labels of PyTorch's headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.audit.model import Lines, Match, Passage, Verdict

from .cases import Case, DerivedLine, Origin
from .labelled import LABELS, LabelError, include_folder, labelled, lines_of
from .score import confusion, pooled, score, wilson

TEXT = "".join(f"int line{number};\n" for number in range(1, 11))
ORIGIN = Origin("k/a.h", "v2", frozenset({"k/a.h", "k/b.h"}), ("v1", "v2"))
CASE = Case(
    "kind", 0, {"t.h": TEXT}, "t.h", {n: DerivedLine(0, (n,)) for n in range(3, 8)}, frozenset({7}), (ORIGIN,),
    Verdict.NONE,
)  # fmt: skip
CLEAN = Case("kind", 1, {"t.h": TEXT}, "t.h", {}, frozenset(), (), None)


def match(upstream: str, first: int, last: int, *tags: str) -> Match:
    return Match("t.h", upstream, "0", (Passage(Lines(first, last), Lines(1, last), 9, True),), 0.5, tags)


def test_a_perfect_detector() -> None:
    found = score("kind", [CASE], lambda *_: [match("k/b.h", 3, 7, "v2", "v1")])
    assert (found.recall.hits, found.recall.total) == (4, 4), "line 7 is neutral"
    assert (found.precision.hits, found.precision.total) == (4, 4)
    assert (found.found.hits, found.file.hits, found.tags.hits) == (1, 1, 1)
    assert not found.wrong


def test_too_much_is_claimed() -> None:
    found = score("kind", [CASE, CLEAN], lambda *_: [match("k/a.h", 1, 10, "v1", "v2")])
    assert (found.precision.hits, found.precision.total) == (4, 9 + 10)
    assert (found.clean.hits, found.clean.total) == (0, 1)
    assert (found.recall.hits, found.recall.total) == (4, 4)


def test_the_wrong_file_is_no_recall() -> None:
    found = score("kind", [CASE], lambda *_: [match("k/other.h", 3, 6, "v1", "v2")])
    assert (found.recall.hits, found.found.hits, found.file.hits) == (0, 0, 0)
    assert (found.precision.hits, found.precision.total) == (4, 4), "the lines are derived all the same"
    assert found.file.total == 1


@pytest.mark.parametrize(("last", "hits"), [(3, 0), (4, 1)])
def test_found_is_half_of_the_lines(last: int, hits: int) -> None:
    found = score("kind", [CASE], lambda *_: [match("k/a.h", 3, last, "v1", "v2")])
    assert found.found.hits == hits
    assert found.file.total == hits
    assert found.recall.hits == last - 2


@pytest.mark.parametrize("tags", [("v1",), ("v1", "v2", "v3"), ()])
def test_tags_are_right_when_they_are_the_same_set(tags: tuple[str, ...]) -> None:
    found = score("kind", [CASE], lambda *_: [match("k/a.h", 3, 6, *tags)])
    assert (found.tags.hits, found.tags.total) == (0, 1)


def test_nothing_found() -> None:
    found = score("kind", [CASE, CLEAN], lambda *_: [])
    assert (found.recall.hits, found.recall.total) == (0, 4)
    assert found.precision.total == 0
    assert str(found.precision) == "-"
    assert (found.clean.hits, found.clean.total) == (1, 1)
    assert pooled([found]).total == 0


def test_wilson_is_as_published() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, and 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_confusion_counts_cases_with_a_match_and_an_answer() -> None:
    found = confusion([CASE, CLEAN], lambda *_: [match("k/a.h", 3, 6)], lambda *_: Verdict.MENTION_ONLY)
    assert found == {(Verdict.NONE, Verdict.MENTION_ONLY): 1}
    assert not confusion([CASE], lambda *_: [], lambda *_: Verdict.NONE)


# The labels --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def include() -> Path:
    folder = include_folder()
    if folder is None:
        pytest.skip("torch is not installed")
    return folder


def test_lines_of() -> None:
    assert lines_of("3-5 9") == {3, 4, 5, 9}


def test_every_metal_header_of_torch_is_labelled(include: Path) -> None:
    cases = {case.target: case for case in labelled(include)}
    there = [*include.glob("c10/metal/*.h"), *include.glob("ATen/native/mps/kernels/*.h")]
    assert {path.relative_to(include).as_posix() for path in there} <= cases.keys()
    assert sum(bool(case.truth) for case in cases.values()) == 5
    for case in cases.values():
        assert max([*case.truth, *case.neutral]) <= case.text.count("\n")
        assert case.code_lines, case.target


def test_no_line_has_two_labels(include: Path) -> None:
    import yaml

    for name, label in yaml.safe_load(LABELS.read_text("utf-8"))["files"].items():
        seen: set[int] = set()
        for one in label["ranges"]:
            assert one["kind"] in ("derived", "unsettled")
            assert one["reason"]
            lines = lines_of(one["lines"])
            assert not lines & seen, (name, sorted(lines & seen))
            seen |= lines


def test_a_changed_header_is_refused(tmp_path: Path, include: Path) -> None:
    target = tmp_path / "ATen/native/mps/Copy.h"
    target.parent.mkdir(parents=True)
    target.write_bytes((include / "ATen/native/mps/Copy.h").read_bytes() + b"\n")
    with pytest.raises(LabelError, match="not the file that was labelled"):
        list(labelled(tmp_path))
