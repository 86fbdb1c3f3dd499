# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import dataclasses

import pytest

from porter.errors import ProofError
from porter.prove.sides import (
    emitted_instantiations,
    parse_instantiations,
    port_side,
    tokens,
    upstream_side,
    without_foreign_includes,
)

from .conftest import make_sources


def test_instantiations_are_read_through_macros_of_the_file():
    text = """
    #include <ours/kernel.h>
    #define MAKE(n, ...) template [[host_name(n "_x")]] [[kernel]] decltype(f<__VA_ARGS__>) f<__VA_ARGS__>;
    MAKE("a", float, 4)
    MAKE("b", Pair<int, 2>, -1);
    """
    found = parse_instantiations(text, "t.metal")
    assert [(row.host_name, row.template, row.arguments) for row in found] == [
        ("a_x", "f", ("float", "4")),
        ("b_x", "f", ("Pair<int, 2>", "-1")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "template <> void f<float>() {}",
        "#define unused\nusing namespace other;",
        'template [[host_name("a")]] [[kernel]] decltype(f<float>) f<half>;',
        'template [[host_name("a")]] [[kernel]] decltype(f<float>) g<float>;',
        "constant int x = 3;",
    ],
)
def test_a_table_may_hold_nothing_but_instantiations(line):
    with pytest.raises(ProofError):
        parse_instantiations(line + "\n", "t.metal")


def test_sides_hold_what_the_kernel_includes_and_no_more(minimal):
    upstream = upstream_side(minimal.case)
    assert set(upstream.files) == {*minimal.case.family.preamble, *minimal.case.family.sources_of_kernels}
    port = port_side(minimal.case)
    names = {path.rpartition("/")[2] for path in port.files}
    assert names == {"SteelPair.h", "SteelPairParams.h", "SteelPairLoader.h"}
    assert upstream.patch_note() == (
        "shim patches to upstream: 6 (address space twin 1, attribute name 1, function constant 2, "
        "threadgroup variable 2)"
    )


def test_foreign_includes_go():
    text = '#include <metal_math>\n  # include "ours.h" // why\nint x;\n'
    assert without_foreign_includes(text, {"ours.h": ""}) == '\n  # include "ours.h" // why\nint x;\n'


def test_tokens_ignore_spacing_alone():
    assert tokens('a ::b+= 1.5e-3f ;"c  d"') == ["a", "::", "b", "+", "=", "1.5e-3f", ";", '"c  d"']


def test_plain_kernels_are_emitted_by_their_headers(plain):
    found = {(row.host_name, row.template, row.arguments) for row in emitted_instantiations(plain.case)}
    assert found == {
        ("ramp", "ramp", ()),
        ("shift_float32", "shift", ("float",)),
        ("shift_float16", "shift", ("half",)),
    }


def test_the_port_is_read_with_every_macro_defined(plain):
    assert port_side(plain.case).main == (
        "#define STEEL_PORT_NEGATE false\n#define STEEL_PORT_STEPS 3\n#include <ATen/native/mps/kernels/MlxRamp.h>\n"
    )


def test_a_body_that_did_not_come_is_named(plain):
    sources = make_sources({"LICENSE": "none"})
    with pytest.raises(ProofError, match=r"ramp\.metal did not come with this source"):
        upstream_side(dataclasses.replace(plain.case, sources=sources))
