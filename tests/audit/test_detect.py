# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The detector on texts of our own, which stand for upstream here; upstream's own are in audit_quality."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from porter.audit.detect import TELLING_IDENTICAL, find  # noqa: E402
from porter.audit.fingerprints import GRAM, SHORTEST, gram_hashes, winnow  # noqa: E402
from porter.audit.history import of_sources  # noqa: E402
from porter.audit.index import Index, index_of, keep, load  # noqa: E402
from porter.audit.model import UpstreamFile  # noqa: E402
from porter.audit.tokens import tokens_of  # noqa: E402
from porter.model import Sources, sha256  # noqa: E402

TAGS = ("v1", "v2", "v3")

ADDING = """
template <typename Element, int Width>
struct Adder {
  static constexpr int kHalf = Width / 2;
  thread Element* cells;
  void fold(const device Element* from, int stride, int limit) {
    for (int row = 0; row < Width; row++) {
      const int place = row * stride + kHalf;
      if (place >= limit) {
        break;
      }
      cells[row] = cells[row] + from[place] - Element(3);
      from += stride ^ row;
    }
  }
  Element total() const {
    Element sum = cells[0];
    for (int row = 1; row < Width; ++row) {
      sum = sum * cells[row] + Element(row);
    }
    return sum;
  }
};
"""

CLOCK = """
inline uint tick(thread uint4& state, uint salt, bool wrap) {
  uint carry = state.x & 0xff51u;
  state.y = (state.y << 13) | (carry >> 19);
  switch (salt % 3) {
    case 0: state.z ^= carry; break;
    case 1: state.w -= state.y * 5u; break;
    default: state.x += wrap ? salt : ~salt; break;
  }
  while (carry > salt) {
    carry = carry / 7 + state.w;
  }
  return state.x + state.y * carry;
}
"""


def upstream(path: str, text: str, *tags: str) -> UpstreamFile:
    return UpstreamFile(path, sha256(text.encode()), tags, text)


@pytest.fixture(scope="module")
def index() -> Index:
    older = ADDING.replace("stride ^ row", "stride")
    files = [
        upstream("k/adding.h", older, "v1"),
        upstream("k/adding.h", ADDING, "v2", "v3"),
        upstream("k/clock.h", CLOCK, "v3"),
    ]
    return index_of(files, TAGS)


def renamed(text: str) -> str:
    names = dict.fromkeys(re.findall(r"\b(?!0x)[A-Za-z]\w*\b", text))
    keep = set(
        """template typename int struct static constexpr thread void const device for if break return inline uint bool
        switch case default while uint4""".split()  # noqa: SIM905
    )
    new = {name: f"q{place}_{name[::-1]}" for place, name in enumerate(names) if name not in keep}
    return re.sub(r"\b[A-Za-z]\w*\b", lambda found: new.get(found[0], found[0]), text)


def on_one_line(text: str) -> str:
    return " ".join(text.split()) + "\n"


@pytest.mark.parametrize("change", [str, renamed, on_one_line, lambda text: on_one_line(renamed(text))])
def test_a_copy_is_found_renamed_and_laid_out_anew(index: Index, change) -> None:
    (match,) = find("mine.h", change(ADDING), index)
    assert (match.upstream, match.revisions) == ("k/adding.h", ("v2", "v3"))
    assert match.share > 0.95


def test_the_lines_of_both_sides(index: Index) -> None:
    text = "int before;\n" * 10 + ADDING + "int after;\n" * 5
    (match,) = find("mine.h", text, index)
    (passage,) = match.passages
    assert (passage.lines.first, passage.lines.last) == (12, 10 + len(ADDING.splitlines()))
    assert (passage.upstream_lines.first, passage.upstream_lines.last) == (2, len(ADDING.splitlines()))
    assert passage.identical


def test_the_release_is_that_which_holds_the_lines(index: Index) -> None:
    (match,) = find("mine.h", renamed(ADDING.replace("stride ^ row", "stride")), index)
    assert match.revisions == ("v1",)
    part = ADDING[ADDING.index("  Element total") :]  # the same in both versions
    (match,) = find("mine.h", part, index)
    assert match.revisions == TAGS


def test_where_two_files_were_put_together_both_are_named(index: Index) -> None:
    text = CLOCK + "\nint own(int a) { return a; }\n" + ADDING
    found = {match.upstream: match for match in find("mine.h", text, index)}
    assert found.keys() == {"k/adding.h", "k/clock.h"}
    assert found["k/clock.h"].revisions == ("v3",)


@pytest.mark.parametrize(
    "wrap",
    [
        'const char* source = R"metal(\n{}\n)metal";\n',
        'SOURCE = """\n{}\n"""\n',
        "/* before */ {} // after\n",
    ],
    ids=["raw string", "Python", "between comments"],
)
def test_code_is_code_wherever_it_stands(index: Index, wrap: str) -> None:
    (match,) = find("mine.py", wrap.replace("{}", ADDING), index)
    assert match.upstream == "k/adding.h"


def test_code_in_quoted_lines(index: Index) -> None:
    quoted = "".join(f'  "{line}\\n"\n' for line in CLOCK.strip().splitlines())
    (match,) = find("mine.cpp", f"static const char* kSource =\n{quoted};\n", index)
    assert match.upstream == "k/clock.h"


@pytest.mark.parametrize(
    "write", [json.dumps, repr, lambda text: json.dumps({"source": text.splitlines(True)}, indent=1)]
)
def test_code_in_one_string(index: Index, write) -> None:
    """As JSON, as Python, and as a notebook's cell writes it."""
    commented = ADDING.replace("int row = 0;", "int row = 0; // from the first").replace("break;", "break;  // done")
    matches = find("mine.json", write(commented), index)
    assert [match.upstream for match in matches] == ["k/adding.h"]
    assert matches[0].share > 0.8


def test_comments_of_python_are_no_code(index: Index) -> None:
    text = "# Some words of mine\n# and more about this file\n" + f'SOURCE = """{ADDING}"""\n'
    (match,) = find("mine.py", text, index)
    assert match.share > 0.95


def test_the_file_named_is_that_of_the_newest_release(tmp_path: Path) -> None:
    """Code that moved: an old version of one file, a new one of another."""
    index = index_of([upstream("k/old.h", ADDING, "v1"), upstream("k/new.h", ADDING + CLOCK, "v2", "v3")], TAGS)
    (match,) = find("mine.h", renamed(ADDING), index)
    assert (match.upstream, match.revisions) == ("k/new.h", TAGS)


def test_comments_and_line_ends_do_not_matter(index: Index) -> None:
    commented = "\r\n".join(f"{line} // was {number} \"'" for number, line in enumerate(ADDING.splitlines()))
    (match,) = find("mine.h", commented.replace("Width / 2", "Width /* the whole\n width */ / 2"), index)
    assert match.revisions == ("v2", "v3")


OTHER = """
template <typename T> T clamp_to(T value, T low, T high) { return value < low ? low : value > high ? high : value; }
kernel void scale(device float* out [[buffer(0)]], const device float* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = 2.0f * in[i];
}
"""  # noqa: E501


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "x",
        OTHER,
        "#include <metal_stdlib>\nusing namespace metal;\n" * 40,
        "#define N 3\n" * 100,
        "{\n" * 5000,
    ],
)
def test_other_code_is_not_found(index: Index, text: str) -> None:
    assert find("mine.h", text, index) == []


def test_a_list_of_like_rows_says_nothing() -> None:
    rows = "".join(f"void f{n}(const float& a{n}, const float& b{n}, const float& c{n});\n" for n in range(60))
    others = "".join(f"int g{n}(const float& x{n}, const float& y{n}, const float& z{n});\n" for n in range(60))
    assert find("mine.h", others, index_of([upstream("k/list.h", rows, "v1")], ("v1",))) == []


def test_winnowing_keeps_its_promise() -> None:
    """A shared run of SHORTEST tokens shares a fingerprint, wherever it stands (Schleimer et al., section 3)."""
    rng = np.random.default_rng(7)
    words = [f"{'+-*/%&|^<>='[n % 11]}{n}" for n in range(400)]
    for _ in range(50):
        shared = " ".join(rng.choice(words, SHORTEST))
        sets = []
        for _ in range(2):
            text = " ".join([*rng.choice(words, rng.integers(1, 90)), shared, *rng.choice(words, rng.integers(1, 90))])
            hashes = gram_hashes(tokens_of(text))
            sets.append(set(hashes[winnow(hashes)].tolist()))
        assert sets[0] & sets[1]


def test_hashes_are_blind_to_names_alone() -> None:
    def one(text: str) -> int:
        (value,) = gram_hashes(tokens_of(text))
        return int(value)

    text = "a = b + c ; b = a * 2 ; return a ; f ( c )}"
    assert len(tokens_of(text)) == GRAM
    assert one(text) == one("x = y + z ; y = x * 2 ; return x ; g ( z )}")
    assert one(text) != one("x = y + z ; x = y * 2 ; return x ; g ( z )}")
    assert one(text) != one("x = y + z ; y = x * 3 ; return x ; g ( z )}")
    assert one(text) != one("x = y - z ; y = x * 2 ; return x ; g ( z )}")


def test_tokens_have_the_lines_that_they_stand_on() -> None:
    tokens = tokens_of("a\n/* b\n\n */ c // d\n\n#include <e>\nf 1.5e-3f\n")
    assert tokens.lines.tolist() == [1, 4, 7, 7]
    assert tokens.back.tolist() == [0, 0, 0, -1]
    assert tokens_of("a b a a").back.tolist() == [0, 0, 2, 1]


def test_an_index_on_disk_is_the_same(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    again = load(keep(index, "a" * 32))
    assert find("mine.h", ADDING, again) == find("mine.h", ADDING, index)
    assert again.by_digest(sha256(CLOCK.encode())) == upstream("k/clock.h", CLOCK, "v3")
    assert again.sentence == index.sentence


def test_each_upstream_file_is_found_in_itself(sources: Sources) -> None:
    """Every file of the pin that says enough is found as itself, whole."""
    files = of_sources(sources)
    index = index_of(files, files[0].tags)
    wrong = []
    for file in files:
        matches = find("mine.h", file.text, index)
        if len(tokens_of(file.text)) > 2 * TELLING_IDENTICAL and (not matches or matches[0].share < 0.9):
            wrong.append((file.path, matches[:1]))
    assert not wrong, textwrap.shorten(str(wrong), 2000)
