# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Literals without a suffix are float, in templates too."""

from __future__ import annotations

import pytest

from porter.metal.literals import in_single_precision

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize("literal", ["1.0", "1.", ".5", "1e5", "1.5e-3", "0x1p3", "0x1.8p-3", "2E+4"])
def test_a_literal_gets_its_suffix(literal) -> None:
    assert in_single_precision(f"x = {literal};") == f"x = {literal}f;"
    assert in_single_precision(f"f({literal},-{literal})") == f"f({literal}f,-{literal}f)"


@pytest.mark.parametrize(
    "text", ["1.0f", "1.0h", "2.5F", "1", "0x1e5", "v.x1", "a1.5e", '"1.5"', "'.'", "x.s0", "1.0_km", "0b10", "1'000"]
)
def test_what_is_left_alone(text) -> None:
    assert in_single_precision(f"y = {text};") == f"y = {text};"


def test_a_template_computes_in_single_precision(run) -> None:
    source = (
        "template <typename T> T shifted(T x) { return metal::sin(x - 0.785398163397448309615660845819875721); }\n"
        "template <typename T> T third(T x) { return x * 0.1 == x * 0.1f ? T(1) : T(0); }\n"
        "kernel void probe(device float* out [[buffer(0)]]) { out[0] = shifted(out[0]); out[1] = third(3.0f); }\n"
    )
    out = numpy.array([1.0, 0.0], dtype=numpy.float32)
    run(source, "probe", {0: out}, (1,), (1,))
    # One subtraction and a sine that is right to one place of 2**-25 (below 0.25).
    assert abs(out[0] - numpy.sin(1 - numpy.pi / 4)) < 2**-24
    assert out[1] == 1
