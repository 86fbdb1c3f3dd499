# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From a symbol of the IR to the rules that edit the function."""

from __future__ import annotations

import pytest

from porter.model import Edit, Location, Notice, Port, PortedFile
from porter.prove.blame import blamer
from porter.prove.symbols import readable, simple_name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("@_ZN3mlx5steel6LoaderIDF16_Li4EE4loadEss", "Loader::load"),
        ("@_Z4gemmIfLi2EEvPKf", "gemm"),
        ("@not_mangled", "not_mangled"),
    ],
)
def test_simple_names(symbol, name):
    assert simple_name(symbol) == name


def test_readable_names():
    assert readable("@_ZN1a1fIiEEvT_") == "void a::f<int>(int)"


def test_the_rules_behind_a_function(minimal, monkeypatch):
    (path,) = minimal.case.family.sources_of_kernels
    text = minimal.case.sources.files[path].text
    start = text.index("with_bias) {")
    edits = (Edit(0, 5, "", "outside"), Edit(start, start + 9, "", "inside"))
    notice = Notice((), "MIT", False, Location(path, 1))
    ported = Port(minimal.case.corpus, (PortedFile(path, "SteelPair.h", text, edits, notice),))
    monkeypatch.setattr("porter.port.port", lambda *_: ported)
    blame = blamer(minimal.case)
    assert blame(["@_Z4pairIfLi2EEvPKf"]) == "; rules that edit there: inside"
    assert blame(["@_ZN3mlx5steel6LoaderIDF16_Li4EE4loadEss"]) == "; no rule edits there"
    assert blame(["@_ZN9something4elseEv"]) == "; no rule edits there"
