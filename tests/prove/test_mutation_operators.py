# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Every mutation operator does to its example what it says."""

from __future__ import annotations

import pytest

from porter.prove.mutation_operators import OPERATORS, Operator, mutated, names
from porter.prove.mutation_text import Text


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_an_operator_makes_its_example(operator: Operator):
    before, after = operator.example
    first = next(operator.sites(Text(before)))
    assert mutated(before, first) == after


def test_names_are_distinct():
    assert len(set(names())) == len(OPERATORS) == 42


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_every_change_changes_something(operator: Operator):
    text = Text(
        "struct P { int32_t a; float b; };\n"
        "template <typename T, int N>\n[[kernel]] void k("
        "const device T* x [[buffer(0)]], constant P& p [[buffer(1)]],\n"
        "    uint i [[thread_position_in_grid]], uint j [[threads_per_grid]]) {\n"
        "  threadgroup T tile[N];\n  for (int n = 0; n < N && n != p.a; ++n) {\n    tile[n] = x[i * 4 + n];\n  }\n"
        "  threadgroup_barrier(mem_flags::mem_threadgroup);\n  if (i > j) { y[i] = min(i, j) + 2.5f; }\n}\n"
    )
    for change in operator.sites(text):
        assert mutated(text.text, change) != text.text


def test_template_brackets_are_no_comparisons():
    text = Text("void f(int a) { g<int, 4>(a); Pair<a> b; }\n")
    assert not [c for o in OPERATORS if o.name == "boundary" for c in o.sites(text)]


def test_declarations_are_no_statements_to_lose():
    text = Text("void f(int a) { int b = a; T* c = &a; Pair<int> d = a; b = 2; }\n")
    (change,) = next(o for o in OPERATORS if o.name == "statement").sites(text)
    assert text.text[change.start : change.end] == "b = 2;"
