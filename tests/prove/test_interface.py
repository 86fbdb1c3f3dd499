# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The interface half of the code ring: what the IR is blind to."""

from __future__ import annotations

import dataclasses

import pytest

from porter.model import Status
from porter.prove.functions import Loop, loops_of, marks_of, spaces_of
from porter.prove.interface import hidden_overloads, prove_interface
from porter.prove.sides import port_side

from .conftest import Minimal


def run(pair: Minimal):
    return prove_interface(pair.case)


def test_a_rename_is_proved_and_says_what_became_of_gates(minimal):
    proof = run(minimal)
    assert (proof.status, proof.why) == (Status.PROVED, "")
    assert "B lost its gate with_bias: where that is false it is bound to the output tensor" in proof.notes
    assert proof.notes[0] == (
        "compared: 8 host names, 1 kernels with 5 arguments and their thread limits, "
        "address spaces, attributes and const in 4 functions, "
        "2 loops (1 with a pragma), overload groups that the shim hides: 1"
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        pytest.param(
            "SteelPair.h", "A [[buffer(0)]]", "A [[buffer(7)]]", "argument A: slot 7, upstream's is 0", id="slot"
        ),
        pytest.param(
            "SteelPair.h",
            "const device T* A [[buffer(0)]],\n    const device T* B [[buffer(1)]]",
            "const device T* B [[buffer(0)]],\n    const device T* A [[buffer(1)]]",
            "argument A: name B, upstream's is A; pair: argument B: name A, upstream's is B",
            id="swapped arguments",
        ),
        pytest.param(
            "SteelPair.h",
            "const device T* B",
            "const constant T* B",
            "argument B: address space constant, upstream's is device",
            id="address space",
        ),
        pytest.param("SteelPair.h", "const device T* B", "device T* B", "argument B: const False", id="const"),
        pytest.param(
            "SteelPair.h", "uint3 tid [[", "uint2 tid [[", "argument tid: type uint2, upstream's is uint3", id="type"
        ),
        pytest.param(
            "SteelPair.h",
            "threadgroup_position_in_grid",
            "thread_position_in_grid",
            "attribute thread_position_in_grid, upstream's is threadgroup_position_in_grid",
            id="attribute",
        ),
        pytest.param(
            "SteelPair.h",
            ", max_total_threads_per_threadgroup(W * 32)",
            "",
            "thread limit none, upstream's is W * 32",
            id="limit",
        ),
        pytest.param(
            "SteelPair.h", "(W * 32)", "(W * 16)", "thread limit W * 16, upstream's is W * 32", id="other limit"
        ),
        pytest.param(
            "SteelPairLoader.h",
            "#pragma clang loop unroll(full)\n",
            "",
            "Loader::load, loop 1: for at depth 1 with no pragma, upstream's is for at depth 1 with pragma clang loop",
            id="lost pragma",
        ),
        pytest.param(
            "SteelPairLoader.h",
            "  for (short k",
            "#pragma clang loop unroll(full)\n  for (short k",
            "steel::mix, loop 1: for at depth 1 with pragma clang loop unroll(full), upstream's is for",
            id="added pragma",
        ),
        pytest.param(
            "SteelPairLoader.h",
            "  const device T* src;",
            "  const threadgroup T* src;",
            "outside of functions, address space 2: threadgroup, upstream's is device",
            id="field's address space",
        ),
        pytest.param(
            "SteelPairLoader.h",
            "threadgroup T* right, bool",
            "device T* right, bool",
            "steel::mix, address space 2: device, upstream's is threadgroup",
            id="function's address space",
        ),
        pytest.param(
            "SteelPairLoader.h",
            "float get(bool sign) const device { return sign ? first : -first; }",
            "float get(bool sign) const device { return sign ? -first : first; }",
            "hidden from the compiler on one side only: float get ( bool sign )",
            id="hidden overload",
        ),
        pytest.param(
            "SteelPair.h",
            "B [[buffer(1)]]",
            "B [[buffer(1), function_constant(flip)]]",
            "argument B: gate flip, upstream's is None",
            id="gate that should have gone",
        ),
        pytest.param(
            "SteelPair.h",
            "bool flip, bool with_bias>",
            "bool with_bias, bool flip>",
            "template parameter",
            id="parameter order",
        ),
        pytest.param(
            "SteelPair.metal",
            '"_fl0_wb1", __VA_ARGS__, false, true',
            '"_fl0_wb1", __VA_ARGS__, true, false',
            "steel_pair_float32_fl0_wb1 has the arguments float, 4, true, false, upstream's are float, 4, false, true",
            id="host name",
        ),
        pytest.param(
            "SteelPairLoader.h",
            "namespace at::native::mps::steel {\n",
            "#pragma pack(1)\nnamespace at::native::mps::steel {\n",
            "pragma pack(1), upstream's is clang loop unroll(full)",
            id="stray pragma",
        ),
    ],
)
def test_what_the_ir_cannot_show_is_found(minimal, file, old, new, why):
    minimal.mutate(file, old, new)
    proof = run(minimal)
    assert proof.status is Status.DIFFERS
    assert why in proof.why


def test_a_gate_that_the_family_does_not_state_is_found(minimal):
    (kernel,) = minimal.case.family.kernels
    roles = tuple(dataclasses.replace(role, gate=None) for role in kernel.arguments)
    proof = prove_interface(minimal.with_family(kernels=(dataclasses.replace(kernel, arguments=roles),)))
    assert proof.status is Status.DIFFERS
    assert "argument B is gated by with_bias, by None in specs/" in proof.why


def test_what_is_wrong_with_a_kernel_is_told_of_each_of_its_host_names(minimal):
    minimal.mutate("SteelPair.h", "A [[buffer(0)]]", "A [[buffer(7)]]")
    found = run(minimal).kernels
    assert [(one.host_name, one.status) for one in found] == [
        ("steel_pair_float16", Status.DIFFERS),
        ("steel_pair_float32", Status.DIFFERS),
    ]
    assert found[0].why == "pair: argument A: slot 7, upstream's is 0"


def test_plain_kernels_and_bodies_in_a_table(plain):
    proof = run(plain)
    assert (proof.status, proof.why) == (Status.PROVED, "")
    assert proof.notes[0].startswith("compared: 3 host names, 2 kernels with 6 arguments")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "device float* out [[buffer(1)]]",
            "device float* out [[buffer(2)]]",
            "ramp: argument out: slot 2, upstream's is 1",
        ),
        (
            "constexpr constant bool negate",
            "constexpr device bool negate",
            "outside of functions, address space 1: device, upstream's is missing",
        ),
        (
            "float turned(float x)",
            "float turned(thread float x)",
            "turned, address space 1: thread, upstream's is missing",
        ),
        (
            "template <typename T>\n[[kernel]] void shift(",
            "template <typename T, int N>\n[[kernel]] void shift(",
            "shift: ",
        ),
    ],
)
def test_what_differs_in_them_is_found(plain, old, new, why):
    plain.mutate("MlxRamp.h", old, new)
    proof = run(plain)
    assert proof.status is Status.DIFFERS
    assert why in proof.why


def test_loops_of_a_function():
    body = """void f() {
      #pragma clang loop unroll(full)
      for (int i = 0; i < 2; ++i) { while (i) { --i; } }
      do { g("for"); } while (false);
    }"""
    assert list(loops_of(body)) == [
        Loop("for", 1, "clang loop unroll(full)"),
        Loop("while", 2, ""),
        Loop("do", 1, ""),
    ]


def test_spaces_in_strings_and_attributes_are_none():
    assert spaces_of('thread int x; f("device"); [[threadgroup(0)]] constant') == ("thread", "constant")


def test_marks_are_attributes_without_gates_and_every_const():
    text = """[[kernel, max_total_threads_per_threadgroup(N * 32)]] void f(
      const device T* a [[buffer(0)]], device T* b [[buffer(1), function_constant(flag)]],
      uint i [[ thread_position_in_grid ]], const constant int& n [[function_constant(flag)]]) { g("const"); }"""
    assert marks_of(text) == (
        "[[kernel,max_total_threads_per_threadgroup(N*32)]]",
        "const",
        "[[buffer(0)]]",
        "[[buffer(1)]]",
        "[[thread_position_in_grid]]",
        "const",
    )


def test_every_hidden_overload_is_looked_at(minimal):
    side = port_side(minimal.case)
    assert hidden_overloads(side, str) == {"float get ( bool sign ) const device { return sign ? first : - first ; }"}
