# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From a symbol of the IR to the rules that edit the function."""

from __future__ import annotations

import pytest

from porter.port.target import load_target
from porter.prove.blame import blamer
from porter.prove.symbols import readable, simple_name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("@_ZN3mlx5steel6LoaderIDF16_Li4EE4loadEss", "Loader::load"),
        ("@_ZN13combination_74gemmIfLi2EEEvPKf", "gemm"),
        ("@not_mangled", "not_mangled"),
    ],
)
def test_simple_names(symbol, name):
    assert simple_name(symbol) == name


def test_readable_names():
    assert readable("@_ZN1a1fIiEEvT_") == "void a::f<int>(int)"


def test_the_rules_behind_a_function(sources, corpus, families):
    blame = blamer(sources, corpus, families, load_target())
    kernel = blame(["@_ZN13combination_74gemmIfLi2EEEvPKf"])
    assert "function-constants" in kernel
    assert blame(["@_ZN9something4elseEv"]) == "; no rule edits there"
