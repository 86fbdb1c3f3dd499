# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the corpus holds, of a small source of our own and of MLX's fused GEMM."""

import dataclasses
import re

import pytest

from porter.errors import ParseError, SpecError
from porter.model import Corpus, FunctionConstant, Include, Location, Macro, Sources, TemplateParameter
from porter.parse.corpus import closure, read_corpus
from porter.spec import Family

KERNEL, PARAMS, BASE, TABLE = "mlx/k/scale.h", "mlx/k/params.h", "mlx/k/base.h", "mlx/k/scale.metal"
GEMM = "mlx/backend/metal/kernels/steel/gemm"

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


def test_two_families_that_share_headers_do_not_repeat_them(small, scale: Family) -> None:
    again = dataclasses.replace(scale, name="again")
    sources = small(without=(TABLE,))
    alone = read_corpus(sources, (scale,))
    with pytest.raises(ValueError, match="stand in the table twice"):
        read_corpus(sources, (scale, dataclasses.replace(again, lines={**scale.lines, "host_names": 99})))
    both = read_corpus(sources, (scale, dataclasses.replace(again, grammar="again_{dtype}_n{n}_{bit}")))
    assert (both.templates, both.params, both.constants) == (alone.templates, alone.params, alone.constants)
    assert len(both.instantiations) == 2 * len(alone.instantiations)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ((KERNEL,), r"specs/families/scale\.yaml:3: upstream has no file mlx/k/scale\.h"),
        ((BASE,), r"specs/families/scale\.yaml:4: upstream has no file mlx/k/base\.h"),
        ((PARAMS,), r"mlx/k/base\.h:4: .*'params\.h' file not found"),
    ],
)
def test_a_file_that_is_missing(small, scale: Family, without: tuple[str, ...], message: str) -> None:
    with pytest.raises((SpecError, ParseError)) as caught:
        read_corpus(small(without=without), (scale,))
    assert re.search(message, str(caught.value))


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (
            KERNEL,
            "out [[buffer(1)]]",
            "out [[buffer(0)]]",
            r"mlx/k/scale\.h:4: kernel scale binds one buffer slot twice",
        ),
        (KERNEL, "out[at] =", "out[at =", r"mlx/k/scale\.h:10: not valid Metal source"),
        (KERNEL, "ScaleParams&", "ScalePrams&", r"mlx/k/scale\.h:7: not valid Metal source.*ScalePrams"),
        (KERNEL, "function_constant(7)", "function_constant(seven)", r"mlx/k/scale\.h:2:15: .*index 'seven'"),
        (PARAMS, "float factor", "int factor : 3", r"mlx/k/params\.h:6:7: .*factor has no layout in whole bytes"),
        (
            PARAMS,
            "struct ScaleParams {",
            "struct A {}; struct ScaleParams : A {",
            r"params\.h:3:21: .*has a base class",
        ),
        (PARAMS, "struct ScaleParams {", "struct ScaleParam {", r"scale\.h:7: not valid Metal source"),
    ],
)
def test_a_source_that_cannot_be_understood(small, scale: Family, path: str, old: str, new: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_corpus(small({path: (old, new)}), (scale,))
    assert re.search(message, str(caught.value).split("\n  next")[0], re.S)


def test_a_params_struct_that_upstream_lacks(small, scale: Family) -> None:
    family = dataclasses.replace(scale, params=("outer::ScaleParams",))
    with pytest.raises(SpecError, match=r"scale\.yaml:7: upstream defines no struct outer::ScaleParams"):
        read_corpus(small(), (family,))


# ---------------------------------------------------------------------------------------------------------------------
# MLX's fused GEMM, from the wheel


def test_gemm_kernel_arguments(corpus: Corpus) -> None:
    (template,) = [one for one in corpus.templates if one.name == "gemm"]
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
    assert {one.name: one.index for one in corpus.constants} == {
        "has_batch": 10,
        "use_out_source": 100,
        "do_axpby": 110,
        "align_M": 200,
        "align_N": 201,
        "align_K": 202,
    }
    assert {one.type for one in corpus.constants} == {"bool"}


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
    named = [*corpus.constants, *corpus.params, *(a for t in corpus.templates for a in t.arguments)]
    named += [field for struct in corpus.params for field in struct.fields]
    assert len(named) > 40
    for noun in named:
        line = sources.files[noun.location.file].text.split("\n")[noun.location.line - 1]
        assert line[noun.location.column - 1 :].startswith(noun.name.rpartition(":")[2])


def test_the_wheel_gives_the_table_of_the_yaml(corpus: Corpus, families: tuple[Family, ...]) -> None:
    (gemm,) = families
    assert corpus.instantiations == gemm.instantiations()
    assert not [path for path in corpus.files if path.endswith(".metal")]


def test_the_full_source_says_the_same_as_the_wheel(
    corpus: Corpus, full_sources: Sources, families: tuple[Family, ...]
) -> None:
    full = read_corpus(full_sources, families)
    assert set(full.files) - set(corpus.files) == {families[0].table}
    assert (full.templates, full.params, full.constants) == (corpus.templates, corpus.params, corpus.constants)
