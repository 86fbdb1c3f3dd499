# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Patches: each example, their invariants, and the ways libraries write the same construct."""

from __future__ import annotations

import pytest

from porter.metal.patches import PATCHES, patch


@pytest.mark.parametrize("rule", PATCHES, ids=lambda rule: rule.name)
def test_example(rule):
    patched, applied = patch(rule.example_before)
    assert patched == rule.example_after
    assert [one.name for one in applied] == [rule.name]
    assert applied[0].changed == sum(a != b for a, b in zip(rule.example_before, patched, strict=True))


@pytest.mark.parametrize("rule", PATCHES, ids=lambda rule: rule.name)
def test_nothing_is_patched_in_comments_and_strings(rule):
    for text in (f"/* {rule.example_before.replace('*/', '')} */", f"// {rule.example_before}"):
        assert patch(text) == (text, ())


def test_lines_and_bytes_stay():
    text = "// naïve © comment\nkernel void f(device float* x [[buffer(0)]]) {\n  threadgroup float s[8];\n}\n"
    patched, applied = patch(text)
    assert len(patched.encode()) == len(text.encode())
    assert patched.count("\n") == text.count("\n")
    assert [(one.name, one.line) for one in applied] == [("kernel keyword", 2), ("threadgroup variable", 3)]


@pytest.mark.parametrize(
    "declaration",
    [
        "threadgroup float s[8];",
        "threadgroup T s[Config<T, 4>::size][2];",
        "threadgroup typename Tile::value_type s[Tile::rows * (Tile::columns + pad)];",
        "threadgroup metal::vec<float, 4> s[8];",
        "threadgroup float a[8], b;",
        "threadgroup uint count;",
        "threadgroup float4 s[1] = {0};",
    ],
)
def test_threadgroup_variables(declaration):
    text = f"void f() {{\n  {declaration}\n}}\n"
    assert patch(text)[0] == text.replace("threadgroup", "MSL_TGVAR__", 1)


@pytest.mark.parametrize(
    "statement",
    [
        "threadgroup float* s = base;",
        "const threadgroup float* s = base + 4;",
        "threadgroup float& s = base[0];",
        "threadgroup_barrier(mem_flags::mem_threadgroup);",
        "float x = *(threadgroup float*)base;",
    ],
)
def test_pointers_to_threadgroup_memory_are_no_variables(statement):
    text = f"void f(threadgroup float* base) {{\n  {statement}\n}}\n"
    assert patch(text) == (text, ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("constant int width [[function_constant(0)]];", "MSL_CON_ int width [[function_constant(0)]];"),
        ("SHORT_CONST bool on [[function_constant(3)]];", "MSL_CON_    bool on [[function_constant(3)]];"),
        ("constant metal::uint4 v [[function_constant(1)]];", "MSL_CON_ metal::uint4 v [[function_constant(1)]];"),
        (
            "namespace n { constant int a [[function_constant(0)]]; constant int b [[function_constant(1)]]; }",
            "namespace n { MSL_CON_ int a [[function_constant(0)]]; MSL_CON_ int b [[function_constant(1)]]; }",
        ),
        # An argument that a function constant gates is no function constant.
        (
            "void f(constant int* n [[buffer(0), function_constant(on)]]);",
            "void f(constant int* n [[buffer(0), function_constant(on)]]);",
        ),
    ],
)
def test_function_constants(before, after):
    assert patch(before)[0] == after


def test_attributes_of_arguments_and_no_other_words():
    text = "void f(uint grid_size [[grid_size]], uint i [[ thread_position_in_grid ]]) { threads_per_grid(i); }"
    after = "void f(uint grid_size [[Grid_size]], uint i [[ Thread_position_in_grid ]]) { threads_per_grid(i); }"
    assert patch(text)[0] == after


def test_instantiations_written_by_a_macro():
    text = (
        "#define instantiate(name, func, ...) \\\n"
        "  template [[host_name(              \\\n"
        "      name)]] [[kernel]] decltype(func<__VA_ARGS__>) func<__VA_ARGS__>;\n"
    )
    patched, applied = patch(text)
    assert [one.name for one in applied] == ["host name"]
    assert len(patched) == len(text)
    assert "[[" not in patched
    assert patched.count("\\\n") == 2
    assert patched.split()[-2:] == ["decltype(func<__VA_ARGS__>)", "func<__VA_ARGS__>;"]


def test_twins_need_one_scope_and_one_signature():
    text = (
        "struct A { int get() const thread { return x; } int x; };\n"
        "struct B { int get() const thread { return x; } int x; };\n"
        "int f(device float* p) { return 1; }\n"
        "int f(device int* p) { return 2; }\n"
    )
    assert patch(text) == (text, ())


def test_twins_of_functions_and_specialisations():
    text = (
        "template <class T> struct element {};\n"
        "template <class T> struct element<device T*> { using type = T; };\n"
        "template <class T> struct element<threadgroup T*> { using type = T; };\n"
        "template <class T> struct element<constant T*> { using type = T; };\n"
        "inline void add(device float& a, float b) { a += b; }\n"
        "inline void add(threadgroup float& a, float b) { a += b; }\n"
    )
    lines = patch(text)[0].splitlines()
    # `constant` is const, so the fourth line is another specialisation; the third and the last repeat others.
    assert [bool(line.strip()) for line in lines] == [True, True, False, True, True, False]


def test_twins_of_constructors_with_initialisers():
    text = (
        "struct C {\n"
        "  constexpr C() : x{0}, y(0) {}\n"
        "  constexpr C() threadgroup : x{0}, y(0) {}\n"
        "  template <class T> constexpr C(T v) thread : x{v}, y(0) {}\n"
        "  template <class T> constexpr C(T v) constant : x{v}, y(0) {}\n"
        "  float x, y;\n"
        "};\n"
    )
    lines = patch(text)[0].splitlines()
    assert [bool(line.strip()) for line in lines] == [True, True, False, True, False, True, True]


def test_a_host_name_right_behind_template_stays_a_word_of_its_own():
    patched, _ = patch('template[[host_name("f")]] kernel void f<float>(device float* x [[buffer(0)]]);')
    assert patched.startswith('template MSL_IHOST ("f")')
