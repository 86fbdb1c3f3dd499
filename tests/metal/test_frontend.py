# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading Metal source: what kernels declare, where they stand, and what is said about source that is wrong."""

from __future__ import annotations

import pytest

from porter.errors import ParseError
from porter.metal.frontend import declared_kernels, parse, relative_path

HEADER = """\
#pragma once
// © in a comment: two bytes, one character
namespace lib {
struct Params {
  const int n;
  const float scale;
};
}  // namespace lib
"""

KERNELS = """\
#include "lib/params.h"
using namespace metal;
constant bool scaled [[function_constant(7)]];
namespace lib {
template <typename T, int N, bool flip = false>
[[kernel, max_total_threads_per_threadgroup(N * 32)]] void scale(
    const device T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    constant Params& params [[buffer(2)]],
    const constant int64_t* strides [[buffer(9), function_constant(scaled)]],
    threadgroup T* scratch [[threadgroup(1)]],
    uint3 where [[thread_position_in_grid]],
    ushort lane [[thread_index_in_simdgroup]]) {
  out[where.x] = T(in[where.x] * params.scale);
}
}  // namespace lib
void not_a_kernel(device float* x) { x[0] = 1; }
kernel void only_declared(device float* x [[buffer(0)]]);
[[host_name("plain_f32")]] kernel void plain(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] = 1.0;
}
"""
FILES = {"lib/params.h": HEADER, "lib/kernels.metal": KERNELS}
MAIN = '#include "lib/kernels.metal"\n'


@pytest.fixture(scope="module")
def kernels():
    return declared_kernels(parse(MAIN, FILES))


def test_kernels_are_those_with_a_body(kernels):
    assert [(one.name, one.qualified_name, one.host_name) for one in kernels] == [
        ("scale", "lib::scale", None),
        ("plain", "plain", "plain_f32"),
    ]


def test_template_parameters_and_thread_limit(kernels):
    assert [(one.kind, one.name, one.default) for one in kernels[0].parameters] == [
        ("typename", "T", None),
        ("int", "N", None),
        ("bool", "flip", "false"),
    ]
    assert kernels[0].thread_limit == "N * 32"
    assert kernels[1].parameters == ()
    assert kernels[1].thread_limit is None


def test_arguments(kernels):
    rows = [
        (one.name, one.type, one.address_space, one.is_const, one.is_reference, one.attribute, one.slot, one.gate)
        for one in kernels[0].arguments
    ]
    assert rows == [
        ("in", "T", "device", True, False, "buffer", 0, None),
        ("out", "T", "device", False, False, "buffer", 1, None),
        ("params", "Params", "constant", True, True, "buffer", 2, None),
        ("strides", "int64_t", "constant", True, False, "buffer", 9, "scaled"),
        ("scratch", "T", "threadgroup", False, False, "threadgroup", 1, None),
        ("where", "uint3", None, False, False, "thread_position_in_grid", None, None),
        ("lane", "ushort", None, False, False, "thread_index_in_simdgroup", None, None),
    ]


def test_places_are_those_of_the_text_that_was_given(kernels):
    scale = kernels[0]
    text = FILES[scale.file]
    lines = text.splitlines()
    assert text[scale.start : scale.end].startswith("template <typename T, int N")
    assert text[scale.start : scale.end].endswith("params.scale);\n}")
    assert lines[scale.line - 1][scale.column - 1 :].startswith("scale(")
    for argument in scale.arguments:
        assert lines[argument.line - 1][argument.column - 1 :].startswith(argument.name)


def test_offsets_count_characters_not_bytes():
    text = "// ©©©\nkernel void f(device float* x [[buffer(0)]]) { x[0] = 1; }\n"
    (kernel,) = declared_kernels(parse('#include "f.metal"\n', {"f.metal": text}))
    assert text[kernel.start : kernel.end] == text.splitlines()[1]


def test_without_bodies_the_same_kernels_are_found(kernels):
    found = declared_kernels(parse(MAIN, FILES, skip_bodies=True))
    assert [(one.name, one.arguments) for one in found] == [(one.name, one.arguments) for one in kernels]


def test_an_error_names_file_and_line():
    with pytest.raises(ParseError, match="unknown type name 'Missing'") as caught:
        parse('#include "a/b.metal"\n', {"a/b.metal": "\n\nvoid f(Missing x) {}\n"})
    assert caught.value.where == "a/b.metal:3"


def test_a_missing_include_is_an_error():
    with pytest.raises(ParseError, match=r"missing\.h") as caught:
        parse('#include "missing.h"\n', {})
    assert caught.value.where == "main.metal.cpp:1"


def test_paths_are_relative_to_the_virtual_root():
    assert relative_path("/msl/a/b.h") == "a/b.h"
    with pytest.raises(ValueError, match="msl"):
        relative_path("/usr/include/stdio.h")
