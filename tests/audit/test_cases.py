# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The generator of cases: what it says is derived is, what it says is not is not, and it says the same every time."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from porter.audit.model import Verdict

from . import frozen, negatives
from .cases import EXCERPTS, HELD_OUT_SEED, KINDS, NEGATIVES, TUNING_SEED, Case, Generator
from .history import History, Version, history_of, history_of_tree
from .notices import notice
from .pieces import chunks, excerpt, flattened
from .tokens import comments, idiom_lines, tokens
from .transforms import derived, joined, own, random_style, recomment, reformat, renamed, renaming, without_notices
from .truth import Truth, significant

OURS = """\
// Copyright 2026 Nobody
// and more
#include <metal_stdlib>
#pragma once
using namespace metal;

/* a block
   of words */
template <typename T>
struct Adder {
  T total = 0; // the sum
  void add(thread const T* values, int count) {
    for (int i = 0; i < count; ++i) {
      total += values[i] * T(2);
    }
  }
};

inline float third(float x, float y, float z) {
  float inner = x * y;
  if (inner > z) {
    inner = z;
  }
  inner += 1.0e-5f;
  inner *= inner;
  return inner / z;
}
"""
LICENCE = "Some Licence\n\nCopyright © 2000 Somebody\n\nPermission is granted.\n"


def words(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


@pytest.fixture(scope="module")
def small() -> Generator:
    """A history of ours of three releases: `twice` and `other` hold the same function."""
    other = "".join(f"int f{n}(int a) {{\n  return a * {n};\n}}\n\n" for n in range(30))
    newer = OURS.replace("1.0e-5f", "2.0e-5f")
    swapped = OURS.replace("inner > z", "z > inner")
    versions = (
        Version("mlx/backend/metal/kernels/adder.h", ("v0.1.0",), OURS),
        Version("mlx/backend/metal/kernels/adder.h", ("v0.2.0",), newer),
        Version("mlx/backend/metal/kernels/adder.h", ("v0.10.0",), swapped),
        Version("mlx/backend/metal/kernels/many.metal", ("v0.1.0", "v0.2.0"), other),
        Version("mlx/backend/metal/kernels/twice.h", ("v0.10.0",), other + OURS.replace("inner", "within")),
    )
    return Generator(History(("v0.1.0", "v0.2.0", "v0.10.0"), versions, LICENCE))


@pytest.fixture(scope="module")
def generator(mlx_git: str) -> Generator:
    return Generator(history_of(mlx_git))


# The tokenizer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a >> b >= c", ["a", ">", ">", "b", ">", "=", "c"]),
        ("x = 1.5e-3f + .5h - 0x1Fu", ["x", "=", "1.5e-3f", "+", ".5h", "-", "0x1Fu"]),
        ("a // b\\\n c\nd /* e */ f", ["a", "d", "f"]),
        ("#define A \\\n  b", ["#", "define", "A", "b"]),
        ('# include  "a/b.h"', ['#include"a/b.h"']),
        ('R"x(a "b c)x" d', ['R"(', "a", '"', "b", "c", ')"', "d"]),
        ("'\\'' \"a\\\"b\" u", ["'\\''", '"a\\"b"', "u"]),
        ("p->q... ## [[r]]", ["p", "->", "q", "...", "##", "[", "[", "r", "]", "]"]),
        ("#error don't", ["#", "error", "don", "'", "t"]),
        ("1'000 + a", ["1'000", "+", "a"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_tokens_know_their_lines_and_offsets() -> None:
    found = tokens(OURS)
    assert all(OURS[token.start : token.end].split() for token in found)
    lines = OURS.split("\n")
    assert all(token.text.split()[0][:1] in lines[token.line - 1] for token in found)
    assert [token.line for token in found if token.text == "third"] == [lines.index(lines[18]) + 1]


def test_every_character_of_upstream_is_read(generator: Generator) -> None:
    """What stands between tokens and comments is white space; so nothing was passed over."""
    for version in generator.history.versions[::25]:
        text, place = version.text, 0
        spans = sorted([(t.start, t.end) for t in tokens(text)] + comments(text))
        for start, end in spans:
            assert not text[place:start].replace("\\\n", "").strip(), (version.path, place)
            place = end
        assert not text[place:].strip()


def test_idiom_lines() -> None:
    text = (
        "#include <a>\n#define N 4\n#define F(x) \\\n  x + 1\nusing namespace metal;\n}\n} else {\nint a;\n"
        'instantiate_all(\n    "a",\n    int)\nint b;\nnamespace x {\n#pragma unroll\n// c\n'
    )
    code, idioms = idiom_lines(text)
    assert code == frozenset(range(1, 15))
    assert code - idioms == {3, 4, 8, 12}


# Truth -------------------------------------------------------------------------------------------------------------


def test_who_holds_a_piece(small: Generator) -> None:
    held = small.truth.held(["  float inner = x * y;\n  if (inner > z) {"], renamed=False)
    assert held.tags == ("v0.1.0", "v0.2.0")
    assert held.paths == {"mlx/backend/metal/kernels/adder.h"}
    held = small.truth.held(["  float inner = x * y;\n  if (inner > z) {"], renamed=True)
    assert held.tags == ("v0.1.0", "v0.2.0", "v0.10.0")
    assert held.paths == {"mlx/backend/metal/kernels/adder.h", "mlx/backend/metal/kernels/twice.h"}


def test_a_renaming_is_one_to_one(small: Generator) -> None:
    assert not small.truth.held(["float inner = x * y; if (inner > inner)"], renamed=True).tags
    assert not small.truth.held(["total += values[values] * T(2);"], renamed=True).tags
    assert small.truth.held(["sum += what[k] * E(2);".replace("what", "vals")], renamed=True).tags == ()
    assert not small.truth.held(["half inner = x * y;"], renamed=True).tags, "a type that MSL has is not renamed"


def test_all_pieces_are_asked_of_one_file(small: Generator) -> None:
    pieces = ["total += values[i] * T(2);", "inner += 1.0e-5f;"]
    assert small.truth.held(pieces, renamed=False).tags == ("v0.1.0", "v0.10.0")
    pieces.append("if (inner > z)")
    assert small.truth.held(pieces, renamed=False).tags == ("v0.1.0",)
    pieces.append("return a * 7;")
    assert not small.truth.held(pieces, renamed=False).tags, "the other file of the same tag holds that"


def test_comments_and_includes_do_not_matter_to_the_truth() -> None:
    assert [t.text for t in significant("#pragma once\n#include <a>\nint /* b */ c;")] == ["int", "c", ";"]


def test_truth_agrees_with_a_plain_search(generator: Generator) -> None:
    """Without the strings of characters: tokens compared as lists, on one excerpt."""
    case = generator.case(TUNING_SEED, "excerpt-20", 3)
    origin = case.origins[0]
    version = generator.tree(origin.tag)[origin.path]
    lines = sorted(line for one in case.truth.values() for line in one.lines)
    piece = [t.text for t in significant(version.text) if lines[0] <= t.line <= lines[-1]]
    holders = [v for v in generator.history.versions if _stands_in(piece, [t.text for t in significant(v.text)])]
    assert {v.path for v in holders} == origin.paths
    assert {tag for v in holders for tag in v.tags} == set(origin.tags)


def _stands_in(piece: list[str], whole: list[str]) -> bool:
    starts = (n for n, word in enumerate(whole) if word == piece[0])
    return any(whole[n : n + len(piece)] == piece for n in starts)


# Transforms ---------------------------------------------------------------------------------------------------------


def test_renaming_keeps_the_structure(small: Generator) -> None:
    names = renaming(OURS, small.truth.renamable, Random("a"))
    text = renamed(OURS, names)
    assert {"Adder", "total", "third", "inner", "T"} <= names.keys()
    assert not {"float", "template", "thread", "metal", "x", "y"} & names.keys()
    assert len(set(names.values())) == len(names)
    old, new = tokens(OURS), tokens(text)
    assert [t.kind for t in old] == [t.kind for t in new]
    assert [names.get(t.text, t.text) for t in old] == [t.text for t in new]
    assert text.count("\n") == OURS.count("\n")


@pytest.mark.parametrize("number", range(6))
def test_reformatting_moves_white_space_only(number: int) -> None:
    rows = [*own("int mine;"), *derived(OURS, 0, 1), *own("int too;")]
    new = reformat(rows, random_style(Random(f"style {number}")))
    assert words(joined(new)) == words(joined(rows))
    for row in new:
        if row.source is not None:
            theirs = {word for line in row.lines for word in words(OURS.split("\n")[line - 1])}
            assert set(words(row.text)) <= theirs | {"*/"}
    assert {line for row in new for line in row.lines} == idiom_lines(OURS)[0]


@pytest.mark.parametrize("mode", ["removed", "changed", "translated"])
def test_comments_change_and_code_does_not(mode: str) -> None:
    text = recomment(OURS, mode, Random("b"))
    assert words(text) == words(OURS)
    assert text.count("\n") == OURS.count("\n")
    assert "the sum" not in text
    assert "block" not in text
    assert bool(comments(text)) == (mode != "removed")


def test_notices_are_taken_off_and_nothing_else() -> None:
    text = without_notices(OURS)
    assert "Nobody" not in text
    assert "and more" not in text
    assert "the sum" in text
    assert text.count("\n") == OURS.count("\n")
    assert words(text) == words(OURS)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_notices_are_worth_what_they_say(verdict: Verdict) -> None:
    for number in range(20):
        made = notice(verdict, LICENCE, Random(str(number)))
        everything = "\n".join([*made.lines, *made.files.values()])
        has_copyright = "© 2000 Somebody" in everything
        assert has_copyright == (verdict in (Verdict.COMPLETE, Verdict.NO_PERMISSION_TEXT))
        assert ("Permission is granted." in everything) == (verdict is Verdict.COMPLETE)
        assert bool(made.lines) == (verdict is not Verdict.NONE)
        assert ("mlx" in everything.lower()) or verdict is not Verdict.MENTION_ONLY


# Pieces ------------------------------------------------------------------------------------------------------------


def test_excerpts_hold_so_many_lines_of_code() -> None:
    lines = OURS.split("\n")
    for number in range(40):
        found = excerpt(OURS, 8, Random(str(number)))
        if found is not None:
            first, text = found
            assert text == "\n".join(lines[first - 1 : first - 1 + text.count("\n")]) + "\n"
            assert len(idiom_lines(text)[0]) == 8
    assert excerpt(OURS, 40, Random("x")) is None


def test_an_excerpt_of_idioms_is_not_chosen() -> None:
    assert all(excerpt("#include <a>\n" * 5 + "int a;\n", 6, Random(str(n))) is None for n in range(5))


def test_chunks_are_functions_and_classes() -> None:
    starts = [first for first, _ in chunks(OURS)]
    assert starts == [7, 19]
    split = OURS.replace("a block\n", "a block\n\n")
    assert [first for first, _ in chunks(split)] == [7, 20], "an empty line in a comment parts nothing"


def test_flattening_enters_each_header_once_where_it_is_included() -> None:
    texts = {
        "a/m.metal": '#include "a/h.h"\n#include "k.h"\nint m;\n',
        "a/h.h": '#pragma once\n#include "a/k.h"\nint h;\n',
        "a/k.h": "#pragma once\nint k;\n",
    }
    assert [(path, first, text.strip()) for path, first, text in flattened("a/m.metal", texts)] == [
        ("a/k.h", 2, "int k;"), ("a/h.h", 3, "int h;"), ("a/m.metal", 3, "int m;"),
    ]  # fmt: skip


# Cases -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_of_upstream_tells_the_truth(generator: Generator, kind: str) -> None:
    for case in generator.cases(TUNING_SEED, kind, 3):
        assert case.neutral.isdisjoint(case.code_lines)
        assert bool(case.derived()) == (kind not in NEGATIVES)
        for origin in case.origins:
            assert origin.tag in origin.tags
            assert origin.path in origin.paths
            assert list(origin.tags) == sorted(origin.tags, key=generator.history.tags.index)
        _check_lines(case, generator)


def _check_lines(case: Case, generator: Generator) -> None:
    """Each derived line holds tokens of the kinds, marks and numbers of the upstream lines that it is said to be."""
    lines = case.text.split("\n")
    for line, one in case.truth.items():
        origin = case.origins[one.origin]
        theirs = generator.tree(origin.tag)[origin.path].text.split("\n")
        wanted = {t.text for n in one.lines for t in tokens(theirs[n - 1]) if t.kind in ("number", "mark")}
        got = {t.text for t in tokens(lines[line - 1]) if t.kind in ("number", "mark")}
        assert got <= wanted | {"/", "*", '"', "'"}, (case.kind, case.number, line)


def test_excerpts_have_the_length_they_are_called_by(generator: Generator) -> None:
    for kind in EXCERPTS:
        case = generator.case(TUNING_SEED, kind, 1)
        theirs = {line for one in case.truth.values() for line in one.lines}
        assert abs(len(theirs) - int(kind.split("-")[1])) <= 2, kind


def test_two_runs_give_the_same_bytes(generator: Generator) -> None:
    again = Generator(generator.history, generator.truth)
    for kind in KINDS:
        assert generator.case(TUNING_SEED, kind, 2) == again.case(TUNING_SEED, kind, 2)
        if kind in NEGATIVES:
            continue
        assert generator.case(TUNING_SEED, kind, 2).text != again.case(HELD_OUT_SEED, kind, 2).text


def test_nothing_in_a_negative_is_derived(small: Generator) -> None:
    for kind in NEGATIVES:
        if kind == "other-headers" and not negatives.headers():
            pytest.skip("neither torch nor numpy is installed")
        for case in small.cases(TUNING_SEED, kind, 20):
            assert not case.truth
            assert not case.origins
            assert case.code_lines


def test_templates_are_filled(small: Generator) -> None:
    for number in range(30):
        for language in ("metal", "cuda", "host"):
            text = negatives.own_file(language, Random(f"{number}"), 4)
            assert not set("$\1") & set(text)
            assert "<|" not in text
            assert "|>" not in text
            assert "%T%" not in text


def test_held_out_headers_are_not_those_of_tuning(small: Generator) -> None:
    if not negatives.headers():
        pytest.skip("neither torch nor numpy is installed")
    half = len(negatives.headers()) // 2
    tuning = {small.case(TUNING_SEED, "other-headers", number).target for number in range(half)}
    held = {small.case(HELD_OUT_SEED, "other-headers", number).target for number in range(half)}
    assert len(tuning) == len(held) == half
    assert not tuning & held


def test_one_revision_from_a_vendored_tree(root: Path) -> None:
    history = history_of_tree(root / "upstream_mlx", "v0.30.1")
    case = Generator(history, Truth(history)).case(TUNING_SEED, "renamed-50", 0)
    assert case.origins[0].tags == ("v0.30.1",)


def test_the_generator_is_as_it_was_frozen() -> None:
    now, then = frozen.digests(), frozen.recorded()
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    assert not changed, (
        f"{', '.join(changed)} changed since the generator was frozen. The detector was tuned on what it made: undo "
        "the change, or freeze anew with `.venv/bin/python -m tests.audit.frozen 'the reason'` and run "
        "`tools/bench audit_quality` for both seeds again, for every figure measured before counts no more."
    )
