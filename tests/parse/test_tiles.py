# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The tile selection: read out of host code, and held against the YAML's values."""

import dataclasses
import itertools
import re

import pytest

from porter.errors import ParseError, SpecError
from porter.model import Sources
from porter.parse.tiles import MACRO, NAMES, check_tiles, evaluate, fold, read_tiles, select
from porter.spec import Family, Predicate, TileRow, Tiles, load_families

from .conftest import SCALE_YAML, line_of

HOST = "mlx/host.cpp"
FEW, FLAT = "rows < 10", "flat"
ROW, DEFAULT = line_of(SCALE_YAML, "    - { device: xy, when: [not few, flat]"), line_of(SCALE_YAML, "  default:")
SWIZZLE, PREDICATES = line_of(SCALE_YAML, "  swizzle_log:"), line_of(SCALE_YAML, "  predicates:")


def changed(sources: Sources, path: str, start: int, end: int, text: str) -> Sources:
    """`sources` with the characters [start, end) of one file replaced, in memory."""
    file = sources.files[path]
    edited = dataclasses.replace(file, text=file.text[:start] + text + file.text[end:])
    return dataclasses.replace(sources, files={**sources.files, path: edited})


def test_reading_our_own_selection(small, scale: Family) -> None:
    upstream = read_tiles(small(), scale)
    assert (upstream.default, upstream.swizzle_log, upstream.location.line) == ((10, 20, 30, 40, 50), 1, 3)
    first, second = {FEW: True, FLAT: True}, {FEW: False, FLAT: True}
    assert evaluate(upstream, "x", first) == evaluate(upstream, "y", first) == (1, 2, 30, 40, 50)
    assert evaluate(upstream, "x", second) == (10, 20, 3, 40, 50)
    assert evaluate(upstream, "x", {FEW: False, FLAT: False}) == (10, 20, 30, 40, 50)
    assert evaluate(upstream, "z", first) == (10, 20, 30, 4, 5)


def test_the_branch_knows_its_place(small, scale: Family) -> None:
    (branch,) = read_tiles(small(), scale).tree
    (inner,) = branch.then
    assert (branch.devices, branch.location.line, branch.location.column) == ("xy", 4, 3)
    assert (inner.condition, inner.devices, inner.location.line, inner.location.column) == (FEW, None, 5, 5)


def test_our_own_yaml_agrees(small, scale: Family) -> None:
    check_tiles(small(), scale)


def test_the_first_row_that_matches_wins() -> None:
    rows = (TileRow("a", ("p",), (1,) * 5), TileRow("a", (), (2,) * 5), TileRow("other", ("not p",), (3,) * 5))
    tiles = Tiles((Predicate("p", "p", ""),), (9,) * 5, 0, rows)
    found = {(d, p): select(tiles, d, {"p": p}) for d in "ab" for p in (False, True)}
    assert found == {
        ("a", True): ((1,) * 5, 0),
        ("a", False): ((2,) * 5, 1),
        ("b", False): ((3,) * 5, 2),
        ("b", True): ((9,) * 5, None),
    }


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a  <\n b /* c */", "a < b"),
        ("(unsigned long) x >= 1ul<<20", "( unsigned long ) x >= 1ul << 20"),
        ("a + +b", "a + + b"),
        ("!p\\\n && q", "! p && q"),
    ],
)
def test_a_condition_is_folded_to_its_tokens(condition: str, expected: str) -> None:
    assert fold(condition) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "bn = 2; }",
            "bn = 3; }",
            r"device x with few, not flat takes \(1, 2, 30, 40, 50\) \(expected \(1, 3, 30, 40, 50\)",
        ),
        (
            "bk = 3; }",
            "bk = 8; }",
            rf"family\.yaml:{ROW}: device x with not few, flat takes .*, as upstream at mlx/host\.cpp:3:1",
        ),
        ("wm = 4; wn = 5;", "wm = 4; wn = 6;", r"device \? with .* takes \(10, 20, 30, 4, 5\)"),
        ("device == 'y'", "device == 'z'", r"device y with"),
        (
            "int bm = 10, bn = 20,",
            "int bm = 10, bn = 21,",
            rf"family\.yaml:{DEFAULT}: the initial tile .*expected \(10, 21, 30, 40, 50\)",
        ),
        (
            "swizzle_log = 1;",
            "swizzle_log = 2;",
            rf"family\.yaml:{SWIZZLE}: swizzle_log is 1 \(expected 2, as upstream",
        ),
        (
            "rows  <  10",
            "rows < 11",
            rf"family\.yaml:{PREDICATES}: no predicate is spelled `rows < 11`, as upstream's .* at mlx/host\.cpp:5:5",
        ),
        ("else if (flat) { bk = 3; }", "", r"upstream has no condition `flat`"),
    ],
)
def test_a_selection_that_differs(small, scale: Family, old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_tiles(small({HOST: (old, new)}), scale)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("#define GEMM_TPARAM_MACRO(device)", "#define OTHER(device)", r"mlx/host\.cpp: not one macro"),
        ("bk = 3;", "bk = three;", r"mlx/host\.cpp:6: .*`three`.*expected a decimal number"),
        ("bk = 3;", "depth = 3;", r"mlx/host\.cpp:6: .*`depth`"),
        ("bk = 3;", "bk += 3;", r"mlx/host\.cpp:6: .*`\+=`"),
        ("wn = 5; }", "wn = 5;", r"mlx/host\.cpp:7: .*ends early"),
        ("wn = 5; }", "wn = 5; } }", r"mlx/host\.cpp:7: .*expected the end of the macro"),
        ("device == 'y'", "device != 'y'", r"mlx/host\.cpp:4: .*comparisons of device with letters"),
        ("device == 'x' ||", "device == 'x' &&", r"mlx/host\.cpp:4: .*comparisons of device with letters"),
        ('name << "scale_"', 'name << "scale"', r"mlx/host\.cpp: 0 functions use"),
        ('name("other_")', 'name("scale_")', r"mlx/host\.cpp: 2 functions use"),
        (
            "swizzle_log = 1;",
            "swizzle_log = rows > 6 ? 3 : 0;",
            r"mlx/host\.cpp:16: swizzle_log is not given one plain",
        ),
        ("int swizzle_log = 1;", "int swizzle_log = 1; bm /= 2;", r"mlx/host\.cpp:16: bm is not given one plain"),
    ],
)
def test_a_selection_that_is_not_understood(small, scale: Family, old: str, new: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        read_tiles(small({HOST: (old, new)}), scale)


# ---------------------------------------------------------------------------------------------------------------------
# MLX's own


@pytest.fixture(scope="module")
def gemm() -> Family:
    return load_families(["steel_gemm_fused"])[0]


def test_upstream_selects_as_the_yaml_says(full_sources: Sources, gemm: Family) -> None:
    check_tiles(full_sources, gemm)
    upstream = read_tiles(full_sources, gemm)
    # a few cases by hand from MLX v0.30.1, matmul.cpp
    conditions = [fold(p.upstream) for p in gemm.tiles.predicates]
    nothing = dict.fromkeys(conditions, False)
    nt = {**nothing, next(fold(p.upstream) for p in gemm.tiles.predicates if p.name == "nt"): True}
    assert evaluate(upstream, "s", nothing) == (64, 64, 16, 2, 2)
    assert evaluate(upstream, "g", nt) == (64, 32, 32, 2, 2)
    assert evaluate(upstream, "d", nt) == (32, 64, 16, 1, 2)


def test_one_changed_number_upstream_is_found(full_sources: Sources, gemm: Family) -> None:
    text = full_sources.files[gemm.hosts[0]].text
    start = text.index(f"#define {MACRO}")
    end = re.compile(r"[^\\]\n").search(text, start).start()
    numbers = list(re.finditer(r"= (\d+);", text[start:end]))
    assert len(numbers) >= 5 * 10  # five values in each of ten leaves or more
    for number in numbers:
        value = int(number[1]) * 2
        with pytest.raises(SpecError, match=r"matmul\.cpp:\d+:\d+"):
            check_tiles(
                changed(full_sources, gemm.hosts[0], start + number.start(1), start + number.end(1), str(value)), gemm
            )


def test_one_changed_number_in_the_yaml_is_found(full_sources: Sources, gemm: Family) -> None:
    tiles = gemm.tiles
    for i, column in itertools.product(range(len(tiles.rows)), range(len(NAMES))):
        tile = list(tiles.rows[i].tile)
        tile[column] += 1
        rows = [*tiles.rows]
        rows[i] = dataclasses.replace(rows[i], tile=tuple(tile))
        wrong = dataclasses.replace(gemm, tiles=dataclasses.replace(tiles, rows=tuple(rows)))
        with pytest.raises(SpecError) as caught:
            check_tiles(full_sources, wrong)
        assert caught.value.where == f"specs/{gemm.path}:{gemm.lines[f'tiles.rows.{i}']}"
