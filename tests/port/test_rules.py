# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every rule's example is its test; what rules refuse is tested here too."""

import pytest

from porter.errors import PortError
from porter.model import Location, Macro, Notice
from porter.port import apply_edits, make_edits
from porter.port.context import Context
from porter.port.rules import RULES, Example, Rule
from porter.port.target import load_target
from porter.spec import Constant

HEADERS = {
    "mlx/backend/metal/kernels/utils.h": "ATen/native/mps/kernels/MlxUtils.h",
    "mlx/backend/metal/kernels/steel/defines.h": None,
}


def context(example: Example) -> Context:
    return Context(
        path=example.path,
        text=example.before,
        target=load_target(),
        notice=Notice(("Copyright © 2023 Example",), "MIT", True, Location(example.path, 1)),
        revision="0" * 40,
        headers=HEADERS,
        macros={name: Macro(name, None, body, Location("defines.h", 1)) for name, body in example.macros},
        constants=(Constant("flag", 7, "template", "fl"),),
        kernel=example.kernel,
        preamble=example.preamble,
        holds_params=example.holds_params,
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_example(rule: Rule) -> None:
    c = context(rule.example)
    assert apply_edits(c, list(rule.edits(c))) == rule.example.after


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_why(rule: Rule) -> None:
    assert rule.reason.endswith(".")
    assert all(edit.rule == rule.name for edit in rule.edits(context(rule.example)))


def test_rule_names_are_distinct() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def apply(text: str, **fields: object) -> str:
    c = context(Example(text, "", **fields))
    return apply_edits(c, make_edits(c))


def test_names_in_strings_and_comments_stay() -> None:
    text = '#pragma once\nconst char* s = "mlx::steel complex64_t"; // complex64_t\n'
    assert apply(text).endswith(text)


def test_two_rules_on_one_token_are_an_error() -> None:
    with pytest.raises(PortError, match=r"example\.h:2: rules instantiate-kernel and type-alias both claim"):
        apply("#pragma once\n#define instantiate_kernel(n) bfloat16_t n;\n")


def test_an_unknown_include_names_file_and_line() -> None:
    with pytest.raises(PortError, match=r"example\.h:3: includes mlx/nowhere\.h") as caught:
        apply('#pragma once\n\n#include "mlx/nowhere.h"\n')
    assert caught.value.next_step


def test_a_function_constant_outside_the_kernel_is_an_error() -> None:
    with pytest.raises(PortError, match=r"example\.h:2: function constant flag is used outside"):
        apply("#pragma once\nbool f() { return flag; }\n")


def test_a_missing_kernel_template_is_an_error() -> None:
    with pytest.raises(PortError, match="no kernel template is called k"):
        apply("template <typename T>\nvoid k(T x) {\n}\n", kernel="k")


def test_unbalanced_brackets_are_an_error() -> None:
    with pytest.raises(PortError, match=r"example\.h:1: nothing closes '\{'"):
        apply("namespace mlx { int x;\n")


def test_a_conditional_definition_goes_whole() -> None:
    text = "#if defined A\n#define MTL_CONST constant\n#else\n#define MTL_CONST\n#endif\nstatic MTL_CONST int x = 1;\n"
    assert apply(text, macros=(("MTL_CONST", "constant"),)).endswith("static constant int x = 1;\n")


def test_a_conditional_that_holds_more_stays() -> None:
    text = "#pragma once\n#if A\n#define MTL_CONST constant\nint y;\n#endif\n"
    assert "#if A\nint y;\n#endif\n" in apply(text, macros=(("MTL_CONST", "constant"),))


def test_a_pragma_macro_inside_a_macro_stays_an_operator() -> None:
    text = "#pragma once\n#define LOOP STEEL_PRAGMA_UNROLL for (;;)\n"
    assert apply(text, macros=(("STEEL_PRAGMA_UNROLL", '_Pragma("x")'),)).endswith(
        '#define LOOP _Pragma("x") for (;;)\n'
    )


def test_nested_default_arguments_do_not_end_the_parameter_list() -> None:
    text = (
        "#pragma once\ntemplate <typename T, int N = (1 > 0), typename U = a<b<T>>>\n"
        "[[kernel]] void k(device T* x [[buffer(0)]]) {}\n"
    )
    assert "typename U = a<b<T>>,\n    bool flag>" in apply(text, kernel="k")
