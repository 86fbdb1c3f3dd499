# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a comparison with Apple's compiled kernel means, read off the operations that its bitcode calls.

The bitcode decides every bit of what consists of loads, stores, integers, conversions and written-out arithmetic. It
does not say whether `llvm.fmuladd` is fused (on both sides here it is a product, then a sum: porter/metal/air_text.py),
nor what an operation computes inside: in which order lanes or the terms of an 8 x 8 product are summed, how a
transcendental function rounds, which operand min and max return beside a NaN, what a float out of an integer's range
becomes. A kernel that calls such an operation may differ, within the family's tolerance, and the claim says so. What is
not known here to be decided counts as hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

EXACT = "bit for bit"
CALLS = "though it calls"
FUSED = "under one policy for fused multiply-add: product, then sum"

_FUSED = re.compile(r"llvm\.fmuladd\.")
_INTEGER = r"[su]\.(?:v\d+)?i\d+"
# Operations whose every result bit the operands decide (Metal Shading Language Specification 3.2, sections 6 and 8).
_DECIDED = re.compile(
    # LLVM's own on memory and integers
    r"llvm\.(?:lifetime|mem(?:cpy|set|move)|assume|[su](?:min|max)|[su](?:add|sub)\.sat|fsh[lr]|ct(?:lz|tz|pop)|bswap"
    r"|bitreverse|abs|[su](?:add|sub|mul)\.with\.overflow)\..*|llvm\.assume"
    # what lanes and threads are, and how they wait
    r"|air\.(?:wg|simdgroup)\.barrier|air\.is_uniform\..*|air\.get_\w+\..*|air\.normalize_function_constant_predicate\..*"
    r"|air\.atomic\.fence|air\.(?:load|store)\..*|air\.simd_(?:any|all|ballot)(?:\..*)?"
    # moves among lanes
    r"|air\.(?:simd|quad)_(?:shuffle|broadcast)\w*\..*"
    # integers
    rf"|air\.(?:min|max|clamp|abs|absdiff|add_sat|sub_sat|mul_hi)\.{_INTEGER}|air\.(?:clz|ctz|popcount|reverse_bits)\..*"
    rf"|air\.(?:simd|quad)_(?:prefix_(?:in|ex)clusive_)?(?:sum|product|min|max|and|or|xor)\.{_INTEGER}"
    # conversions to floats (to nearest, ties to even), and tests of a float
    r"|air\.convert\.f\..*|air\.convert\.u\.i1\..*|air\.(?:is\w+|signbit)\..*"
    # floats: one operand's bits, or one rounding
    r"|air\.(?:fabs|floor|ceil|trunc|rint|round|copysign|fma)\.(?:v\d+)?(?:f|bf)\d+"
)
_SUFFIX = re.compile(r"\.(?:[su]\.)?(?:v\d+)?(?:f|bf|i)\d+.*$")


@dataclass(frozen=True)
class Basis:
    """`hidden`: the operations that hide an order or a rounding, without their types. `fused`: fmuladd is called."""

    hidden: tuple[str, ...]
    fused: bool

    def said(self, within: bool) -> str:
        """The claim's words. `within`: bits differed, and the tolerance covered it."""
        called = ", ".join(self.hidden)
        exact = f"{EXACT}, {CALLS} {called}" if called else EXACT
        said = f"within the tolerance: {called}" if within else exact
        return f"{said}; {FUSED}" if self.fused else said


def classify(externals: Iterable[str]) -> Basis:
    """From the functions that a kernel's bitcode declares and does not define."""
    hidden, fused = set(), False
    for name in externals:
        if _FUSED.match(name):
            fused = True
        elif not _DECIDED.fullmatch(name):
            hidden.add(_SUFFIX.sub("", name).replace("air.convert", "air.convert of a float to an integer"))
    return Basis(tuple(sorted(hidden)), fused)
