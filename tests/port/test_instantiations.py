# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the rule takes out of a `.metal` file that holds bodies, and what it leaves."""

import pytest

from porter.errors import PortError
from porter.port.rules.rule import Example
from tests.port.test_rules import rewritten


def left(text: str) -> str:
    return rewritten(Example(text, ""), "instantiations")


def test_macros_that_call_a_macro_that_instantiates() -> None:
    macros = "#define one(n) instantiate_kernel(#n, k, n)\n#define two(n) one(n) one(n##2)\n"
    text = macros + "int x;\ntwo(a)\ntwo(b);\nint y;\n"
    assert left(text) == "int x;\nint y;\n"


def test_a_macro_that_writes_the_instantiation_out() -> None:
    text = "#define make(n) \\\n  template [[host_name(#n)]] [[kernel]] void k<n>(device n* x);\nmake(int)\nint y;\n"
    assert left(text) == "int y;\n"


def test_macros_that_instantiate_no_kernel_stay() -> None:
    text = "#define instantiate_limit(t) \\\n  template <> struct Limits<t> {};\ninstantiate_limit(int);\n"
    assert left(text) == text


def test_explicit_instantiations_of_other_templates_stay() -> None:
    assert left("template struct Limits<int>;\n") == "template struct Limits<int>;\n"


def test_plain_kernels_and_templates_stay() -> None:
    text = (
        "[[kernel]] void f(device int* x [[buffer(0)]]) {}\n"
        "template <typename T>\n[[kernel]] void k(device T* x [[buffer(0)]]) {}\n"
    )
    assert left(text) == text


def test_the_formatter_is_not_left_off() -> None:
    text = (
        "int x;\n\n// clang-format off\n#define make(n) \\\n  instantiate_kernel(#n, k, n) // clang-format on\n\n"
        "// clang-format off\nmake(a)\nmake(b) // clang-format on\n"
    )
    assert left(text) == "int x;\n\n"


def test_the_formatter_stays_off_around_what_stays() -> None:
    text = "// clang-format off\ntemplate <int A,   int B> // clang-format on\nvoid f();\ninstantiate_kernel(a, b)\n"
    assert left(text) == "// clang-format off\ntemplate <int A,   int B> // clang-format on\nvoid f();\n"


def test_comments_on_what_goes_go_and_others_stay() -> None:
    text = "// A section.\n\n// These go.\n#define make(n) instantiate_kernel(#n, k, n)\n/* stays */\nint y;\n"
    assert left(text) == "// A section.\n\n/* stays */\nint y;\n"


def test_an_instantiation_that_does_not_end() -> None:
    with pytest.raises(PortError, match=r"example\.h:2: nothing ends this explicit instantiation"):
        left('int x;\ntemplate [[host_name("a")]] [[kernel]] void k<int>(device int* x)\n')
