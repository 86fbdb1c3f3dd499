# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the corpus holds, of small sources of our own and of MLX."""

import dataclasses
import re
from pathlib import Path

import pytest

from porter.errors import ParseError, SpecError
from porter.model import Corpus, FunctionConstant, Include, Location, Macro, Sources, TemplateParameter
from porter.parse import corpus as reading
from porter.parse import kept
from porter.parse.corpus import closure, read_corpus, read_parts, unit_of
from porter.parse.coverage import check_coverage
from porter.parse.part import Part
from porter.spec import Family

from .conftest import FOLD_YAML, SCALE_YAML, Edited

KERNEL, PARAMS, BASE, TABLE = "mlx/k/scale.h", "mlx/k/params.h", "mlx/k/base.h", "mlx/k/scale.metal"
FOLD = "mlx/k/fold.metal"
KERNELS = "mlx/backend/metal/kernels"
GEMM = f"{KERNELS}/steel/gemm"

SIZES = {"int": 4, "int64_t": 8, "float": 4}
"""Bytes of the types in MLX's params structs; each is aligned to its size (Metal Shading Language 4, table 2.1)."""


def laid_out(fields: list[tuple[str, str]]) -> tuple[list[tuple[str, int, int]], int, int]:
    """(name, offset, size) of each field, then size and alignment of the struct, by the layout rules of C."""
    out, end = [], 0
    for kind, name in fields:
        offset = -(-end // SIZES[kind]) * SIZES[kind]
        out.append((name, offset, SIZES[kind]))
        end = offset + SIZES[kind]
    align = max(SIZES[kind] for kind, _ in fields)
    return out, -(-end // align) * align, align


# ---------------------------------------------------------------------------------------------------------------------
# Our own source


def test_the_files_are_the_closure_and_no_more(small, scale: Family) -> None:
    corpus = read_corpus(small(), (scale,))
    assert corpus.files == (BASE, PARAMS, KERNEL, TABLE)
    assert closure([KERNEL], small()) == (KERNEL,)
    assert Include("params.h", False, Location(BASE, 4)) in corpus.includes
    assert corpus.notices[BASE].copyrights == ("Copyright 1999 Somebody",)
    assert corpus.notices[KERNEL].copyrights == ()


def test_macros_of_all_files_in_order(small, scale: Family) -> None:
    macros = read_corpus(small(), (scale,)).macros
    names = [(macro.location.file, macro.name) for macro in macros]
    assert names == [
        (BASE, "TWICE"),
        (BASE, "EMPTY"),
        (BASE, "instantiate_kernel"),
        (TABLE, "scale_of"),
        (TABLE, "scales"),
    ]
    assert macros[0] == Macro("TWICE", ("x",), "((x) + (x))", Location(BASE, 6))


def test_the_kernel_template(small, scale: Family) -> None:
    (template,) = read_corpus(small(), (scale,)).templates
    assert template.parameters == (
        TemplateParameter("typename", "T", None),
        TemplateParameter("int", "N", None),
        TemplateParameter("bool", "flip", "false"),
    )
    assert "".join((template.thread_limit or "").split()) == "N*32"
    assert (template.location, template.end) == (Location(KERNEL, 3, 1), Location(KERNEL, 11, 2))
    seen = [(a.name, a.type, a.address_space, a.is_const, a.attribute, a.slot, a.gate) for a in template.arguments]
    assert seen == [
        ("in", "T", "device", True, "buffer", 0, None),
        ("out", "T", "device", False, "buffer", 1, None),
        ("params", "ScaleParams", "constant", True, "buffer", 2, None),
        ("more", "T", "device", True, "buffer", 3, "wide"),
        ("at", "uint", None, False, "thread_position_in_grid", None, None),
    ]
    assert [a.location.line for a in template.arguments] == [5, 6, 7, 8, 9]


def test_function_constants(small, scale: Family) -> None:
    assert read_corpus(small(), (scale,)).constants == (FunctionConstant("wide", "bool", 7, Location(KERNEL, 2, 15)),)


def test_a_params_struct(small, scale: Family) -> None:
    (struct,) = read_corpus(small(), (scale,)).params
    assert (struct.name, struct.location.line) == ("outer::inner::ScaleParams", 3)
    # int at 0, int64 aligned to 8, float behind it, three shorts; rounded up to 8
    assert [(f.name, f.type, f.offset, f.size, f.location.line) for f in struct.fields] == [
        ("rows", "int", 0, 4, 4),
        ("stride", "int64_t", 8, 8, 5),
        ("factor", "float", 16, 4, 6),
        ("lanes", "short[3]", 20, 6, 7),
    ]
    assert (struct.size, struct.align) == (32, 8)


def test_a_kernel_knows_its_family(small, scale: Family, fold: Family) -> None:
    corpus = read_corpus(small(), (scale, fold))
    assert {(one.name, one.family) for one in corpus.templates} == {
        ("scale", "scale"),
        ("count", "fold"),
        ("fold", "fold"),
        ("blank", "fold"),
    }
    assert {row.family for row in corpus.instantiations if row.host_name.startswith("scale_")} == {"scale"}
    assert {row.family for row in corpus.instantiations if not row.host_name.startswith("scale_")} == {"fold"}
    assert len(corpus.instantiations) == 8 + 6


def test_two_families_that_share_headers_do_not_repeat_them(small, scale: Family, fold: Family) -> None:
    alone = [read_corpus(small(), (family,)) for family in (scale, fold)]
    both = read_corpus(small(), (scale, fold))
    assert both.files == tuple(sorted({*alone[0].files, *alone[1].files}))
    assert set(both.macros) == {*alone[0].macros, *alone[1].macros}
    assert len(both.macros) == len(set(both.macros))
    assert [struct.name for struct in both.params] == ["Shape<2>", "Shape<3>", "outer::inner::ScaleParams"]


def test_a_host_name_of_two_families_is_refused(small, scale: Family) -> None:
    again = dataclasses.replace(scale, name="again")
    with pytest.raises(ValueError, match="stand in the table twice"):
        read_corpus(small(without=(TABLE, FOLD)), (scale, again))


def test_two_constants_of_one_name_are_two(small, scale: Family, fold: Family, edited: Edited) -> None:
    sources = small({FOLD: [("constant int width", "constant int wide"), ("= width", "= wide")]})
    other = edited(FOLD_YAML.replace("width", "wide"))
    found = [(one.name, one.index, one.location.file) for one in read_corpus(sources, (scale, other)).constants]
    assert found == [("wide", 8, FOLD), ("wide", 7, KERNEL)]


def test_a_buffer_without_a_slot_takes_the_lowest_that_is_free(small, fold: Family) -> None:
    (template,) = [one for one in read_corpus(small(), (fold,)).templates if one.name == "fold"]
    assert [(one.name, one.slot, one.attribute) for one in template.arguments] == [
        ("in", 2, "buffer"),
        ("out", 0, None),
        ("shape", 1, None),
        ("at", None, "thread_position_in_grid"),
    ]


def test_an_index_is_read_as_c_reads_it(small, fold: Family) -> None:
    assert read_corpus(small(), (fold,)).constants == (FunctionConstant("width", "int", 8, Location(FOLD, 2, 14)),)


def test_a_specialisation_of_a_params_template(small, fold: Family) -> None:
    two, three = [one for one in read_corpus(small(), (fold,)).params if one.location.file == FOLD]
    assert [(one.name, one.size, one.align) for one in (two, three)] == [("Shape<2>", 8, 4), ("Shape<3>", 12, 4)]
    assert [(f.name, f.type, f.offset, f.size) for f in three.fields] == [("extent", "int[3]", 0, 12)]
    assert three.location.line == 3


def test_an_overload_that_nothing_instantiates_is_no_kernel(small, scale: Family) -> None:
    dead = "template <typename T> [[kernel]] void scale(device T* out [[buffer(0)]]) {}\nconstant bool wide"
    sources = small({KERNEL: ("constant bool wide", dead)})
    (template,) = read_corpus(sources, (scale,)).templates
    assert len(template.parameters) == 3


def test_overloads_that_cannot_be_told_apart_are_refused(small, scale: Family) -> None:
    other = (
        "template <typename T, int N, bool f> [[kernel]] void scale(device T* out [[buffer(0)]]) {}\nconstant bool wide"
    )
    with pytest.raises(ParseError, match=r"scale\.h:.*a second kernel is called scale"):
        read_corpus(small({KERNEL: ("constant bool wide", other)}, without=(TABLE, FOLD)), (scale,))


def test_a_family_whose_bodies_no_wheel_carries_has_its_table_from_the_yaml(small, fold: Family) -> None:
    corpus = read_corpus(small(without=(TABLE, FOLD)), (fold,))
    assert (corpus.templates, corpus.constants) == ((), ())
    assert {row.host_name for row in corpus.instantiations} == {row.host_name for row in fold.instantiations()}


# ---------------------------------------------------------------------------------------------------------------------
# What was read before


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The families whose units libclang reads from here on; nothing is kept yet."""
    seen: list[str] = []
    read = reading.read_part

    def counted(unit):
        seen.append(unit.family)
        return read(unit)

    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(reading, "read_part", counted)
    monkeypatch.setattr(kept, "cache_dir", lambda name: folder)
    return seen


def test_nothing_is_read_twice(small, scale: Family, fold: Family, readings: list[str]) -> None:
    first = read_corpus(small(), (scale, fold), jobs=1)
    assert readings == ["scale", "fold"]
    assert read_corpus(small(), (scale, fold), jobs=1) == first
    assert readings == ["scale", "fold"]


@pytest.mark.parametrize(
    ("edit", "again"),
    [
        ({KERNEL: ("out[at] = in", "out[at] = -in")}, ["scale"]),  # only scale includes it
        ({FOLD: ("= width", "= -width")}, ["fold"]),
        ({BASE: ("// doubled", "// twice")}, ["scale", "fold"]),
    ],
)
def test_a_changed_file_is_read_again_with_what_includes_it(
    small, scale: Family, fold: Family, readings: list[str], edit: dict[str, tuple[str, str]], again: list[str]
) -> None:
    read_corpus(small(), (scale, fold), jobs=1)
    readings.clear()
    read_corpus(small(edit), (scale, fold), jobs=1)
    assert readings == again


def test_a_yaml_is_checked_although_nothing_is_read(small, scale: Family, edited: Edited, readings: list[str]) -> None:
    read_corpus(small(), (scale,), jobs=1)
    with pytest.raises(SpecError, match="slot: 1 and no gate"):
        read_corpus(small(), (edited(SCALE_YAML, "name: out, slot: 1", "name: out, slot: 9"),), jobs=1)
    assert readings == ["scale"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"kernels": []}', "null", '"x"', "cut"])
def test_what_is_damaged_is_read_anew(small, scale: Family, readings: list[str], damage: str) -> None:
    expected = read_corpus(small(), (scale,), jobs=1)
    for path in kept.cache_dir("corpus").glob("*.json"):
        text = path.read_text()
        path.write_text(text[: len(text) // 2] if damage == "cut" else damage)
    readings.clear()
    assert read_corpus(small(), (scale,), jobs=1) == expected
    assert readings == ["scale"]


def test_a_noun_that_breaks_its_own_rules_is_read_anew(small, scale: Family, readings: list[str]) -> None:
    read_corpus(small(), (scale,), jobs=1)
    path = kept.cache_dir("corpus") / f"{kept.key_of_unit(unit_of(scale, small()))}.json"
    assert path.read_text().count('"slot":1,') == 1
    path.write_text(path.read_text().replace('"slot":1,', '"slot":0,'))  # two buffers in one slot
    assert kept.recall(path.stem, Part) is None


def test_what_is_kept_is_bounded(small, scale: Family, fold: Family, readings: list[str]) -> None:
    read_corpus(small(), (scale, fold), jobs=1)
    before = sum(path.stat().st_size for path in kept.cache_dir("corpus").iterdir())
    kept.prune(before)
    assert sum(path.stat().st_size for path in kept.cache_dir("corpus").iterdir()) == before
    kept.prune(before - 1)
    assert 0 < sum(path.stat().st_size for path in kept.cache_dir("corpus").iterdir()) <= before // 2


def test_processes_read_what_one_reads(small, scale: Family, fold: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "recall", lambda key, kind: None)
    assert read_parts(small(), (scale, fold), jobs=2) == read_parts(small(), (scale, fold), jobs=1)


def test_an_error_of_another_process_keeps_its_place(small, scale: Family, fold: Family) -> None:
    with pytest.raises(ParseError) as caught:
        read_parts(small({FOLD: ("Shape<N>& shape", "Shap<N>& shape")}), (scale, fold), jobs=2)
    assert caught.value.where == f"{FOLD}:11"


# ---------------------------------------------------------------------------------------------------------------------
# MLX's fused GEMM, from the wheel


def test_gemm_kernel_arguments(corpus: Corpus) -> None:
    (template,) = [one for one in corpus.templates if (one.name, one.family) == ("gemm", "steel_gemm_fused")]
    bound = [(a.name, a.slot, a.gate, a.address_space) for a in template.arguments if a.attribute == "buffer"]
    assert bound == [
        ("A", 0, None, "device"),
        ("B", 1, None, "device"),
        ("C", 2, "use_out_source", "device"),
        ("D", 3, None, "device"),
        ("params", 4, None, "constant"),
        ("addmm_params", 5, "use_out_source", "constant"),
        ("batch_shape", 6, "has_batch", "constant"),
        ("batch_strides", 7, "has_batch", "constant"),
    ]
    assert [a.attribute for a in template.arguments[8:]] == [
        "thread_index_in_simdgroup",
        "simdgroup_index_in_threadgroup",
        "threadgroup_position_in_grid",
        "thread_position_in_threadgroup",
    ]
    assert [a.name for a in template.arguments if a.slot is not None and not a.is_const] == ["D"]
    assert "".join((template.thread_limit or "").split()) == "WM*WN*32"
    assert [p.kind for p in template.parameters] == ["typename", *["int"] * 5, "bool", "bool", "typename"]


def test_gemm_function_constants(corpus: Corpus) -> None:
    constants = [one for one in corpus.constants if one.location.file.endswith("/steel_gemm_fused.h")]
    assert {one.name: one.index for one in constants} == {
        "has_batch": 10,
        "use_out_source": 100,
        "do_axpby": 110,
        "align_M": 200,
        "align_N": 201,
        "align_K": 202,
    }
    assert {one.type for one in constants} == {"bool"}


@pytest.mark.parametrize("name", ["GEMMParams", "GEMMAddMMParams", "GEMMSpiltKParams"])
def test_gemm_params_are_laid_out_as_c_lays_them_out(corpus: Corpus, sources: Sources, name: str) -> None:
    text = sources.files[f"{GEMM}/params.h"].text
    body = re.search(rf"struct {name} {{(.*?)}};", text, re.S)
    assert body
    fields = re.findall(r"const (\w+) (\w+);", body[1])
    assert len(fields) == body[1].count(";") > 4
    expected, size, align = laid_out(fields)
    (struct,) = [one for one in corpus.params if one.name == f"mlx::steel::{name}"]
    assert [(f.name, f.offset, f.size) for f in struct.fields] == expected
    assert [(f.type, f.name) for f in struct.fields] == fields
    assert (struct.size, struct.align) == (size, align)


def test_every_location_is_where_the_name_stands(corpus: Corpus, sources: Sources) -> None:
    named = [*corpus.constants, *corpus.params, *(a for t in corpus.templates for a in t.arguments if a.name)]
    named += [field for struct in corpus.params for field in struct.fields]
    assert len(named) > 1000
    lines = {path: sources.files[path].text.split("\n") for path in corpus.files}
    for noun in named:
        line = lines[noun.location.file][noun.location.line - 1]
        assert line[noun.location.column - 1 :].startswith(noun.name.rpartition(":")[2].partition("<")[0])


def test_a_kernel_begins_and_ends_where_its_text_does(corpus: Corpus, sources: Sources) -> None:
    lines = {path: sources.files[path].text.split("\n") for path in corpus.files}
    for one in corpus.templates:
        text = lines[one.location.file]
        assert text[one.location.line - 1][one.location.column - 1 :].startswith(("template", "[[", "kernel"))
        assert text[one.end.line - 1][: one.end.column - 1].endswith("}")
        body = "\n".join(text[one.location.line - 1 : one.end.line])
        assert body.count("{") == body.count("}") > 0


def test_the_wheel_gives_the_table_of_the_yaml(corpus: Corpus, families: tuple[Family, ...]) -> None:
    yaml = {row for family in families for row in family.instantiations()}
    assert set(corpus.instantiations) == yaml
    assert not [path for path in corpus.files if path.endswith(".metal")]
    described = {(f.name, kernel) for f in families if not f.body_in_table for kernel in f.kernel_names}
    assert {(one.family, one.name) for one in corpus.templates} == described


def test_the_full_source_says_the_same_as_the_wheel(
    corpus: Corpus, full_sources: Sources, families: tuple[Family, ...]
) -> None:
    full = read_corpus(full_sources, families)
    tables = {family.table for family in families if family.table}
    assert {path for path in set(full.files) - set(corpus.files) if path not in tables} <= {f"{KERNELS}/reduce.h"}
    for mine, theirs in (
        (full.templates, corpus.templates),
        (full.params, corpus.params),
        (full.constants, corpus.constants),
    ):
        assert [one for one in mine if not one.location.file.endswith(".metal")] == list(theirs)
    spelled = [
        {(row.family, row.host_name, row.template, row.arguments) for row in one.instantiations}
        for one in (full, corpus)
    ]
    assert spelled[0] == spelled[1]
    upstream = [row for row in full.instantiations if row.origin.file in tables]
    assert len(upstream) == 15428  # MLX v0.30.1: 14,804 in Apple's compiled library and 624 that need macOS 26.2


def test_the_full_source_is_owned_whole(full_sources: Sources, families: tuple[Family, ...]) -> None:
    check_coverage(full_sources, families)
