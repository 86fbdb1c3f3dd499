# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Entries: which kernel an instantiation is of, what the host binds, and the values of function constants."""

from __future__ import annotations

import pytest

from porter.errors import MetalError
from porter.metal.compiler import _understand
from porter.metal.entries import host_names, with_entries
from porter.metal.function_constants import unset, with_values
from porter.metal.instantiations import instantiations, kernel_of

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"


def entries_of(source, wanted=None, constants=None):
    preprocessed, kernels = _understand(HEADER + source)
    return with_entries(preprocessed, kernels, wanted, constants)[1]


# ---------------------------------------------------------------------------------------------------------------------
# Instantiations

FORMS = """
template <typename T, int N = 1> [[kernel]] void f(device T* x, constant int& n, uint i [[thread_position_in_grid]]) {
  x[i] = N;
}
template [[host_name("a")]] [[kernel]] decltype(f<float>) f<float>;
template [[host_name("b" "c")]] kernel void f<int, (2 > 1)>(device int* x, constant int&, uint);
template
    [[host_name("d")]] [[kernel]] void f<half, 3>(device half* x [[buffer(0)]], constant int& n [[buffer(1)]],
                                                  uint i [[thread_position_in_grid]]);
template [[host_name("e")]] [[kernel]] void ::f(device uchar*, constant int& n, uint);
template [[host_name("g")]] [[kernel]] void f<metal::vec<float, 2>, 1>(device float2*, constant int&, uint);
"""


def test_the_forms_in_which_an_instantiation_is_written():
    preprocessed, kernels = _understand(HEADER + FORMS)
    assert host_names(preprocessed, kernels) == ("a", "bc", "d", "e", "g")
    rows = [(one.host_name, one.callee, one.arguments is None) for one in instantiations(preprocessed)]
    assert rows == [
        ("a", "f<float>", True),
        ("bc", "f<int, (2 > 1)>", False),
        ("d", "f<half, 3>", False),
        ("e", "::f", False),
        ("g", "f<metal::vec<float, 2>, 1>", False),
    ]
    for one in entries_of(FORMS):
        assert [(argument.name, argument.slot) for argument in one.bound] == [("x", 0), ("n", 1)], one.host_name


NAMESPACES = """
namespace a { template <typename T> kernel void f(device T* x) { x[0] = 1; }
  template [[host_name("in_a")]] [[kernel]] decltype(f<int>) f<int>;
  namespace inner { kernel void g(device int* g) { g[0] = 5; } }
  template [[host_name("again_in_a")]] [[kernel]] decltype(f<half>) f<half>; }
namespace b { template <typename T> kernel void f(device T* y, device T* z) { y[0] = 2; } }
namespace c { constant char opening = '{', closing[] = "}}"; }
namespace { kernel void hidden(device int* h) { h[0] = 3; } }
template <typename T> kernel void f(device T* outside) { outside[0] = 4; }
template [[host_name("of_b")]] kernel void b::f<int>(device int*, device int*);
template [[host_name("of_a")]] kernel void :: a :: f<short>(device short*);
template [[host_name("of_none")]] kernel void f<int>(device int*);
"""


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("in_a", "x"),
        ("again_in_a", "x"),
        ("g", "g"),
        ("of_b", "y"),
        ("of_a", "x"),
        ("of_none", "outside"),
        ("hidden", "h"),
    ],
)
def test_kernels_of_one_name_are_told_apart_by_namespace(name, first):
    assert entries_of(NAMESPACES, [name])[0].bound[0].name == first


OVERLOADS = """
template <typename T, int N> kernel void f(device T* numbers) { numbers[0] = N; }
template <typename T, typename U, int N = 2> kernel void f(device T* types) { types[0] = U(N); }
template <typename T, int N> kernel void f(device T* two, device T* arguments) { two[0] = N; }
template [[host_name("numbers")]] kernel void f<int, 3>(device int*);
template [[host_name("types")]] kernel void f<int, half>(device int*);
template [[host_name("two")]] kernel void f<int, 3>(device int*, device int*);
"""


@pytest.mark.parametrize("name", ["numbers", "types", "two"])
def test_overloads_are_told_apart_by_their_arguments(name):
    assert entries_of(OVERLOADS, [name])[0].bound[0].name == name


def test_an_instantiation_that_may_be_of_several_kernels_is_an_error():
    source = (
        "struct Mine {};\n"
        "template <typename T, typename U> kernel void f(device T* x) { x[0] = 1; }\n"
        "template <typename T, int N> kernel void f(device T* x) { x[0] = N; }\n"
        'template [[host_name("which")]] kernel void f<int, Mine>(device int*);\n'
    )
    preprocessed, kernels = _understand(HEADER + source)
    with pytest.raises(
        MetalError, match=r"which instantiates f<int, Mine>, which may be several kernels: f .*:4.*, f .*:5"
    ):
        kernel_of(instantiations(preprocessed)[0], kernels)


# ---------------------------------------------------------------------------------------------------------------------
# What the host binds


def bound(source, **options):
    (entry,) = entries_of(source, ["f"], **options)
    return [(one.name, one.attribute, one.slot, one.address_space) for one in entry.bound]


def test_arguments_without_an_index_take_the_lowest_free_one():
    source = (
        "struct P { int n; };\n"
        "kernel void f(device float* a, constant P& p, device float* b [[buffer(1)]], threadgroup float* s,\n"
        "              constant int2 c[2], uint i [[thread_position_in_grid]], threadgroup int* t [[threadgroup(0)]],\n"
        "              device int* d [[buffer(30)]]) { a[i] = b[i]; }\n"
    )
    assert bound(source) == [
        ("a", "buffer", 0, "device"),
        ("p", "buffer", 2, "constant"),
        ("b", "buffer", 1, "device"),
        ("c", "buffer", 3, "constant"),
        ("d", "buffer", 30, "device"),
        ("s", "threadgroup", 1, "threadgroup"),
        ("t", "threadgroup", 0, "threadgroup"),
    ]


GATED = """
constant bool first [[function_constant(1)]];
constant bool second [[function_constant(2)]];
constant bool third [[function_constant(3)]];
constant bool derived = first && !(second || !is_function_constant_defined(third));
kernel void f(device int* always [[buffer(0)]], device int* a [[buffer(1), function_constant(first)]],
              constant int& b [[buffer(2), function_constant(derived)]], uint i [[thread_position_in_grid]]) {
  always[i] = 1;
  if (first) always[i] += a[i];
  if (derived) always[i] += b;
}
"""


@pytest.mark.parametrize(
    ("constants", "names"),
    [
        ({1: True, 2: False, 3: True}, ["always", "a", "b"]),
        ({"first": True, "second": True, 3: False}, ["always", "a"]),
        ({1: True, 2: False}, ["always", "a"]),
        ({1: False, "second": False, 3: False}, ["always"]),
    ],
)
def test_an_argument_whose_gate_is_false_is_not_bound(constants, names):
    assert [row[0] for row in bound(GATED, constants=constants)] == names


def test_a_gate_without_a_value_is_an_error():
    with pytest.raises(MetalError, match="its argument a is gated by the function constant first, which has no") as one:
        bound(GATED)
    assert one.value.where == "source.metal:8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("device int* x [[buffer(N)]]", r"argument x has an index of \[\[buffer\]\] that is not a number"),
        ("device int* x, float y", "argument y has no attribute"),
        ("device int* x, uint y [[amplification_id]]", "argument y has"),
    ],
)
def test_arguments_that_cannot_be_given(arguments, message):
    source = f"constant constexpr int N = 3;\nkernel void f({arguments}) {{ x[0] = 1; }}\n"
    with pytest.raises(MetalError, match=message):
        entries_of(source)


# ---------------------------------------------------------------------------------------------------------------------
# Values of function constants


def declared(kind, value):
    text = f"MSL_FUNCTION_CONSTANT {kind} c [[msl::function_constant(5)]];"
    return with_values(text, {5: value})[0].split("; static")[0]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("bool", True, "static const bool c = true"),
        ("bool", 0, "static const bool c = false"),
        ("short", -32768, "static const short c = short(-32768)"),
        ("ulong", 2**64 - 1, "static const ulong c = ulong(18446744073709551615)"),
        ("long", -(2**63), "static const long c = long(-9223372036854775807l - 1)"),
        ("float", 0.1, "static const float c = float(0x1.999999999999ap-4f)"),
        ("half", float("-inf"), "static const half c = half(-__builtin_inff())"),
        ("float", float("nan"), 'static const float c = float(__builtin_nanf(""))'),
        ("metal::uint2", (1, 2), "static const metal::uint2 c = metal::uint2(uint(1), uint(2))"),
        ("vec<bool, 3>", True, "static const vec<bool, 3> c = vec<bool, 3>(true, true, true)"),
    ],
)
def test_the_initialiser_of_a_value(kind, value, text):
    assert declared(kind, value) == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("bool", 2, "c cannot be 2"),
        ("uchar", 256, r"c cannot be 256 .*0\.\.255"),
        ("uint", -1, "c cannot be -1"),
        ("int", 1.5, r"c cannot be 1\.5"),
        ("float", "1", "c cannot be '1'"),
        ("float2", (1, 2, 3), "c has 3 values .*2"),
        ("Mine", 1, "c has the type Mine"),
    ],
)
def test_values_that_a_type_does_not_take(kind, value, message):
    with pytest.raises(MetalError, match=message):
        declared(kind, value)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({9: True}, r"no function constant 9 \(expected one of: c \(5\)\)"),
        ({"d": True}, "no function constant 'd'"),
        ({"c": True, 5: True}, "c is given a value by its name and by its index 5"),
    ],
)
def test_constants_that_are_not_there(constants, message):
    with pytest.raises(MetalError, match=message):
        with_values("MSL_FUNCTION_CONSTANT bool c [[msl::function_constant(05)]];", constants)


def test_a_constant_without_a_value_is_a_symbol_that_says_which_and_where():
    text = '# 1 "source.metal"\n\n\nMSL_FUNCTION_CONSTANT half c [[msl::function_constant(0x10)]];\n'
    made = with_values(text, None)[0]
    symbol = made.split('__asm__("')[1].split('"')[0]
    error = unset(symbol)
    assert error is not None
    assert error.where == "source.metal:3"
    assert "needs the function constant c, which has no value" in error.what
    assert "16" in (error.expected or "")
    assert unset("sinf") is None


def test_what_is_defined_is_asked_of_a_function_constant():
    text = "MSL_FUNCTION_CONSTANT bool c [[msl::function_constant(5)]]; bool q = is_function_constant_defined(::c);"
    assert "bool q = ::msl_defined_c;" in with_values(text, {5: False})[0]
    with pytest.raises(MetalError, match="asks for d, which is no function constant"):
        with_values(text.replace("::c", "d"), None)
