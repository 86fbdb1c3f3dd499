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
        constants=(Constant("flag", 7, example.lower, "fl", "bool", example.kernels),),
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


def rewritten(example: Example, name: str) -> str:
    """What one rule alone makes of an example."""
    rule = next(rule for rule in RULES if rule.name == name)
    return apply_edits(c := context(example), list(rule.edits(c)))


def apply(text: str, **fields: object) -> str:
    c = context(Example(text, "", **fields))
    return apply_edits(c, make_edits(c))


def test_names_in_strings_and_comments_stay() -> None:
    text = '#pragma once\nconst char* s = "mlx::steel complex64_t"; // complex64_t\n'
    assert apply(text).endswith(text)


def test_two_rules_on_one_token_are_an_error() -> None:
    with pytest.raises(PortError, match=r"example\.h:2: rules expand-macros and type-alias both claim"):
        apply("#pragma once\nbfloat16_t x;\n", macros=(("bfloat16_t", "bfloat"),))


def test_what_goes_whole_is_rewritten_by_no_rule() -> None:
    text = "#pragma once\nint x;\n#define make(n, t) instantiate_kernel(n, k, t)\nmake(a, bfloat16_t)\nint y;\n"
    assert apply(text).endswith("#pragma once\nint x;\nint y;\n")


def test_an_unknown_include_names_file_and_line() -> None:
    with pytest.raises(PortError, match=r"example\.h:3: includes mlx/nowhere\.h") as caught:
        apply('#pragma once\n\n#include "mlx/nowhere.h"\n')
    assert caught.value.next_step


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
