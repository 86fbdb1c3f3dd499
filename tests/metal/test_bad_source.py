# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Source that is wrong: what is said, at which place, and which line is shown. And what source cannot reach."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

from porter.errors import SteelPortError
from porter.metal import Library
from porter.metal.diagnostics import messages
from porter.metal.execution import compile_unit
from porter.metal.kernel_unit import KernelUnit
from porter.metal.names import nearest
from porter.metal.source_checks import MAX_SOURCE_BYTES, check_assembly

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
ARGUMENTS = "device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]"


def kernel(body: str, arguments: str = ARGUMENTS, before: str = "") -> str:
    """A kernel k whose body begins on line 4 where nothing is `before` it."""
    return f"{HEADER}{before}kernel void k({arguments}) {{\n{body}\n}}\n"


def error_of(source: str, name: str = "k") -> SteelPortError:
    with pytest.raises(SteelPortError) as caught:
        _compile(Library(source), name)
    return caught.value


def _compile(library: Library, name: str) -> None:
    library.names()
    library[name]


# Words that only the shim knows; no user can do anything with them.
_INSIDE = re.compile(r"\b(?:MSL\w+|msl_\w+|_Float16|tgp_argumen)\b|/msl/|/runtime/")


@pytest.mark.parametrize(
    ("source", "where", "what", "shown"),
    [
        (kernel("  x[i] = 1"), "4:11", "expected ';' after expression", "  x[i] = 1\n          ^"),
        (
            kernel("", "device flaot* x [[buffer(0)]]"),
            "3:22",
            "unknown type name 'flaot'",
            "kernel void k(device flaot* x [[buffer(0)]]) {\n                     ^",
        ),
        (
            kernel("  x[i] = pow(x[i]) * 2;"),
            "4:10",
            "no matching function for call to 'pow'.*requires 2 arguments, but 1 was provided",
            "  x[i] = pow(x[i]) * 2;\n         ^",
        ),
        (kernel("  double y = x[i];"), "4:3", "Metal has no type 'double'", "  double y = x[i];\n  ^"),
        (
            kernel("", "device double* x [[buffer(0)]]"),
            "3:22",
            "Metal has no type 'double'",
            "kernel void k(device double* x [[buffer(0)]]) {\n                     ^",
        ),
        # Patched words: what is shown is what was written.
        (
            kernel("  threadgroup float tile[4]; tile[0] = nought;"),
            "4:40",
            "undeclared identifier 'nought'",
            "  threadgroup float tile[4]; tile[0] = nought;\n                                       ^",
        ),
        (
            kernel("  x[i] = y;", ARGUMENTS + ", threadgroup float* t [[threadgroup(0)]]"),
            "4:10",
            "undeclared identifier 'y'",
            "  x[i] = y;\n         ^",
        ),
        # Columns are characters, whatever stands before.
        (
            kernel("\t/* © ☃ */ x[i] = y;"),
            "4:19",
            "undeclared identifier 'y'",
            "\t/* © ☃ */ x[i] = y;\n\t                 ^",
        ),
        (kernel("  x[i] = (1 + ;"), "4:15", "expected expression", "  x[i] = (1 + ;\n              ^"),
        (kernel("#error stop here"), "4:2", "stop here", "#error stop here\n ^"),
        (kernel("/* never closed"), "4:1", "unterminated /\\* comment", "/* never closed\n^"),
        (
            kernel("  half4 h = half3(1);"),
            "4:9",
            "no viable conversion from 'vec<half, 3>' to 'vec<half, 4>'",
            "  half4 h = half3(1);\n        ^   ~~~~~~~~",
        ),
    ],
)
def test_the_users_line_and_column_and_the_line_itself(source, where, what, shown):
    error = error_of(source)
    assert error.where == f"source.metal:{where}"
    assert re.search(what, error.what, re.S)
    bars = re.sub(r"^ *\d* \| ", "", error.what, flags=re.M)
    assert shown in bars
    assert not _INSIDE.search(error.what), error.what


def test_an_error_in_a_macro_names_its_use_and_its_definition():
    error = error_of(kernel("\tSET(\n1);", before="#define SET(v) x[0] = v + missing\n"))
    assert error.where == "source.metal:5:2"
    assert "source.metal:3:27: note: expanded from macro 'SET'" in error.what
    assert "    3 | #define SET(v) x[0] = v + missing\n      |                           ^" in error.what


def test_an_error_in_a_template_names_the_instantiation():
    source = kernel("  x[i] = first(x[i]);", before="template <typename T> T first(T a) { return a.front; }\n")
    error = error_of(source)
    assert error.where == "source.metal:3:46"
    assert "source.metal:5:10: note: in instantiation of function template specialization 'first<float>'" in error.what


def test_an_error_inside_the_library_is_told_where_the_source_led_there():
    error = error_of(kernel("  int a = 1;\n  x[i] = as_type<float>(short(a));"))
    assert error.where == "source.metal:5:10"
    assert "  x[i] = as_type<float>(short(a));" in error.what
    assert not _INSIDE.search(error.what), error.what


def test_an_instantiated_kernel_is_told_at_its_own_line():
    source = (
        HEADER
        + "template <typename T>\n[[kernel]] void k(device T* x [[buffer(0)]]) {\n  x[0] = x[0].missing;\n}\n"
        + 'template [[host_name("k_f32")]] [[kernel]] decltype(k<float>) k<float>;\n'
    )
    error = error_of(source, "k_f32")
    assert error.where == "source.metal:5:14"
    assert "    5 |   x[0] = x[0].missing;\n" in error.what


def test_line_markers_are_followed():
    source = (
        '#line 100 "steel/gemm.h"\nstatic float tile() {\n  return bar;\n}\n# 7 "a \\"b\\".metal"\n\n\n'
        + "kernel void k(device float* x [[buffer(0)]]) {\n  x[0] = tile() + baz;\n}\n"
    )
    error = error_of(source)
    assert error.where == "steel/gemm.h:101:10"
    assert "  101 |   return bar;\n" in error.what
    assert 'a "b".metal:10:19: use of undeclared identifier' in error.what
    assert "   10 |   x[0] = tile() + baz;\n" in error.what


def test_only_the_first_errors_are_told_and_the_rest_counted():
    error = error_of(kernel("\n".join(f"  x[i] = missing_{n};" for n in range(12))))
    assert error.where == "source.metal:4:10"
    assert [f"missing_{n}" in error.what for n in range(6)] == [True] * 5 + [False]
    assert "and 7 more" in error.what


def test_an_endless_line_is_shown_around_the_error():
    error = error_of(kernel("  " + "x[i] = 1; " * 100 + "x[i] = bad; " + "x[i] = 1; " * 100))
    (shown, marks) = error.what.splitlines()[1:3]
    assert len(shown) <= 8 + 120
    assert shown[marks.index("^") :].startswith("bad;")


def test_control_characters_do_not_reach_the_terminal():
    error = error_of(kernel("  \x1b[31m x[i] = 1;"))
    assert "\x1b" not in str(error)
    assert "?[31m x[i] = 1;" in error.what


# ---------------------------------------------------------------------------------------------------------------------
# What C++ allows and Metal does not


@pytest.mark.parametrize(
    ("source", "where", "what"),
    [
        (HEADER + "kernel int k(device int* x [[buffer(0)]]) { return x[0]; }\n", "3:8", "kernel k returns int"),
        (HEADER + "[[kernel]] float4 k(device int* x [[buffer(0)]]) { return 1; }\n", "3:12", "k returns float4"),
        (
            HEADER + "kernel device float* k(device float* x [[buffer(0)]]) { return x; }\n",
            "3:8",
            "returns device float",
        ),
        (kernel("", "float* x [[buffer(0)]]"), "3:22", "argument x .* without an address space: float\\* x"),
        (
            kernel("", "device float* x [[buffer(0)]], int& n [[buffer(1)]]"),
            "3:51",
            "argument n .* without an address space",
        ),
        (
            kernel("", "device float* x [[buffer(0)]], uint i [[thread_positon_in_grid]]"),
            "3:51",
            "thread_positon_in_grid.* which is no attribute .* thread_position_in_grid",
        ),
        (
            kernel("", "device float* x [[buffer(3)]], device float* y [[buffer(3)]]"),
            "3:29",
            r"argument x has \[\[buffer\(3\)\]\], as argument y has",
        ),
        (kernel("", "device float* x [[buffer(31)]]"), "3:29", r"\[\[buffer\(31\)\]\]; there are 0 to 30"),
        (kernel("", "device float* x [[buffer(-1)]]"), "3:29", r"\[\[buffer\(-1\)\]\]; there are 0 to 30"),
        (kernel('  asm("nop");'), "4:6", "inline assembly is not part of Metal"),
        (kernel('  __asm__ volatile("nop" ::: "memory");'), "4:\\d+", "inline assembly is not part of Metal"),
        (kernel("", before='asm(".globl x");\n'), "3:1", "inline assembly is not part of Metal"),
        (
            kernel("  x[i] = deep<0>();", before="template <int n> float deep() { return deep<n + 1>(); }\n"),
            "3:40",
            "recursive template instantiation exceeded maximum depth",
        ),
    ],
)
def test_what_metal_forbids(source, where, what):
    error = error_of(source)
    assert re.fullmatch(rf"source\.metal:{where}", error.where)
    assert re.search(what, error.what, re.S), error.what


def test_one_host_name_for_two_kernels():
    body = "(device float* x [[buffer(0)]]) { x[0] = 1; }\n"
    error = error_of(f'{HEADER}kernel void k{body}[[host_name("k")]] kernel void other{body}')
    assert re.search("host name.* k", error.what)


def test_arguments_may_share_a_slot_where_function_constants_choose_between_them():
    constant = "constant bool on [[function_constant(0)]];\nconstant bool off = !on;\n"
    arguments = (
        "device float* x [[buffer(0), function_constant(on)]], device int* y [[buffer(0), function_constant(off)]]"
    )
    assert Library(kernel("", arguments, constant)).names() == ("k",)


def test_a_word_in_a_comment_or_a_string_or_a_branch_not_taken_is_no_type():
    library = Library(kernel("  x[i] = 1; // double\n#if 0\n  double y;\n#endif\n  /* asm() */"))
    assert library.names() == ("k",)
    assert library["k"] is not None


def test_functions_may_call_themselves():
    """Kernels may since Metal 2.4, and PyTorch's c10/metal/special_math.h does."""
    before = (
        "float fact(int n) { return n < 2 ? 1 : n * fact(n - 1); }\n"
        "bool odd(int n);\nbool even(int n) { return n == 0 ? true : odd(n - 1); }\n"
        "bool odd(int n) { return n == 0 ? false : even(n - 1); }\n"
    )
    out = np.zeros(8, np.float32)
    Library(kernel("  x[i] = fact(i) + (even(i) ? 0.5 : 0.25);", before=before))["k"]({0: out}, (8,), (8,))
    assert out.tolist() == [math.factorial(n) + (0.25 if n % 2 else 0.5) for n in range(8)]


@pytest.mark.parametrize(
    "ir",
    [
        'module asm ".incbin \\22/etc/passwd\\22"\n',
        'define void @f() {\n  call void asm sideeffect "nop", ""()\n  ret void\n}\n',
        'define i32 @f() {\n  %1 = tail call i32 asm "nop", "=r"() #3\n  ret i32 %1\n}\n',
    ],
)
def test_assembly_is_refused_from_whatever_loader(ir):
    with pytest.raises(SteelPortError, match="inline assembly is not part of Metal"):
        compile_unit(KernelUnit("some.metallib", ir, ()))
    check_assembly(ir.replace("asm", "awsm"), "some.metallib")


# ---------------------------------------------------------------------------------------------------------------------
# Text that is no source


@pytest.mark.parametrize("source", ["", "\n", HEADER, "// nothing\n"])
def test_source_without_kernels_is_a_library_without_kernels(source):
    assert Library(source).names() == ()
    with pytest.raises(SteelPortError, match="no kernel"):
        Library(source)["k"]


def test_what_is_no_text_is_said_with_its_place():
    assert error_of(kernel("  x[i]\0 = 1;")).where == "source.metal:4:7"
    assert "NUL" in error_of(kernel("  x[i]\0 = 1;")).what
    assert error_of("// a\n// \udc80\n").where == "source.metal:2:4"


def test_huge_source_is_refused_before_any_compiler_sees_it():
    before = time.monotonic()
    error = error_of("/" * (MAX_SOURCE_BYTES + 1))
    assert f"{MAX_SOURCE_BYTES + 1} bytes" in error.what
    assert time.monotonic() - before < 2


def test_macros_that_multiply_without_end_are_stopped():
    doubling = "".join(f"#define A{n + 1} {f'A{n} ' * 8}\n" for n in range(16))
    error = error_of(f"#define A0 x x x x\n{doubling}A16\n")
    assert "wrote more than 128 MiB" in error.what


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (kernel("x[i] = " + "(" * 100_000 + "1" + ")" * 100_000 + ";"), "brackets nest too deep"),
        ("namespace a {\n" * 20_000 + "}\n" * 20_000, "brackets nest too deep"),
        ("constant int x = " + "- " * 200_000 + "1;\n", "an expression is too long"),
        (
            "#define M0 - - - - - - - -\n"
            + "".join(f"#define M{n + 1} {f'M{n} ' * 8}\n" for n in range(5))
            + "constant int x = M5 1;\n",
            "an expression is too long",
        ),
    ],
)
def test_nesting_that_no_parser_survives_is_an_error_and_no_crash(source, what):
    """libclang reads the source in this process: its stack is ours."""
    assert re.search(what, error_of(source).what)


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_other_ends_of_lines(ends):
    error = error_of(kernel("  x[i] = y;").replace("\n", ends))
    assert error.where == "source.metal:4:10"
    assert "    4 |   x[i] = y;\n" in error.what


# ---------------------------------------------------------------------------------------------------------------------
# What source cannot reach


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "secret.h"
    path.write_text("int the_secret_word;\n")
    return path


def reaches(path: Path) -> list[str]:
    relative = "../" * 12 + str(path).lstrip("/")
    return [
        f'#include "{path}"',
        f"#include <{path}>",
        f'#include "{relative}"',
        f'#define WHERE "{path}"\n#include WHERE',
        f'#include_next "{path}"',
        f'#import "{path}"',
        f'#pragma GCC dependency "{path}"',
        f'constant unsigned char d[] = {{\n#embed "{path}"\n}};',
        "#include <iostream>",
        "#include <stdio.h>",
        "#include __FILE__",
    ]


@pytest.mark.parametrize("number", range(11))
def test_no_file_of_this_machine_is_read(secret, number):
    text = reaches(secret)[number]
    error = error_of(f"{HEADER}{text}\n{kernel('')}")
    assert "is not a header of Metal's standard library" in error.what
    assert error.where.startswith("source.metal:")
    assert "the_secret_word" not in str(error)


def test_no_file_of_this_machine_is_seen(secret):
    relative = "../" * 12 + str(secret).lstrip("/")
    tests = [f'__has_include("{secret}")', f'__has_include("{relative}")', "__has_include(<stdio.h>)"]
    text = "".join(f"#if {test}\n#error seen\n#endif\n" for test in tests)
    assert Library(HEADER + text + kernel("")).names() == ("k",)


def test_the_environment_adds_no_folders(secret, monkeypatch):
    for name in ("CPATH", "CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH"):
        monkeypatch.setenv(name, str(secret.parent))
    assert "is not a header" in error_of('#include "secret.h"\n').what


def test_the_working_folder_adds_no_files(secret, monkeypatch):
    monkeypatch.chdir(secret.parent)
    assert "is not a header" in error_of('#include "secret.h"\n').what
    assert list(Path.cwd().iterdir()) == [secret]  # and nothing is left in it


# ---------------------------------------------------------------------------------------------------------------------
# The parts


def test_messages_are_read_with_their_notes():
    found = messages(
        "In file included from <built-in>:1:\n"
        "source.metal:7:10:{7:10-7:13}{7:20-7:22}: error: no matching function for call to 'MSLKER'\n"
        "/shim/metal_math:14:1: note: candidate function not viable\n"
        "source.metal:1:2: warning: not told\n"
        "source.metal:9:1: fatal error: '_Float16' (aka 'half')\n"
    )
    assert [(one.line, one.column, one.text) for one in found] == [
        (7, 10, "no matching function for call to 'kernel'"),
        (9, 1, "'half'"),
    ]
    assert found[0].marked == ((7, 10, 13), (7, 20, 22))
    assert [note.text for note in found[0].notes] == ["candidate function not viable"]


@pytest.mark.parametrize(
    ("name", "names", "said"),
    [
        ("x", [], "nothing: there are no kernels"),
        ("gemm_f32", ["gemm_f16", "gemv_f32", "sum"], "one like gem"),
        ("ADD", ["add", "ADx", "other"], "one like add, ADx"),
        ("zzzz", ["d", "c", "b", "a"], "one of a, b, c and 1 more"),
        ("zzzz", ["b", "a"], "one of a, b"),
    ],
)
def test_the_nearest_names(name, names, said):
    assert nearest(name, names).startswith(said)
