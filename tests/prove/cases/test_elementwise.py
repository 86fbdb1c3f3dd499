# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of elementwise kernels: what is bound is what is expected, special numbers are there, undefined ones not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.case import sampled
from porter.prove.cases import elementwise
from porter.prove.cases.values import NUMPY

from .asking import ask, family, of_kernel, rows

pytest.importorskip("mlx.core")
pytest.importorskip("torch")

FAMILIES = ("unary", "binary", "binary_two", "ternary")
BINARY = ["ss", "sv", "vs", "vv", "svn", "vsn", "vvn", "sv2", "vs2", "vv2", "g1", "g2large", "g3", "gn2"]
TERNARY = ["v", "vn", "v2", "vs", "vsn", "sv", "svn", "sv2", "g1", "g2", "g3large", "gn2", "gn4large"]
FORMS = [
    ("unary", "v_Negativeint16int16"),
    ("unary", "vn_Negativeint16int16"),
    ("unary", "v2_Negativeint16int16"),
    ("unary", "gn1_Negativeint16int16"),
    ("unary", "gn4large_Negativeint16int16"),
    *(
        ("binary", f"{form}_Subtractuint32")
        for form in ["ss", "sv", "vs", "vv", "svn", "vsn", "vvn", "sv2", "vs2", "vv2", "g1", "g2large", "g3", "gn2"]
    ),
    *(
        ("ternary", f"{form}_Selectfloat32")
        for form in ["v", "vn", "v2", "vs", "vsn", "sv", "svn", "sv2", "g1", "g2", "g3large", "gn2", "gn4large"]
    ),
]
OPERATIONS = {"Negative": lambda x: -x, "Subtract": lambda x, y: x - y, "Select": lambda a, b, c: np.where(a, b, c)}


def replayed(request, launch, inputs):
    """The result, read from what is bound alone: sizes, shape, strides and grid, as the kernel would."""
    bound, first = launch.buffers, inputs + len(launch.outputs)
    operands = [np.asarray(bound[slot]) for slot in range(inputs)]
    template = request.row.template
    size = np.asarray(bound[inputs]).size
    if "_g" in template:
        if template.endswith("_g"):
            shape, strides = np.asarray(bound[first]), [np.asarray(bound[first + 1 + i]) for i in range(inputs)]
            assert np.asarray(bound[first + 1 + inputs]).tolist() == [shape.size]
            assert launch.threads[0] == math.ceil(shape[-1] / elementwise.shape_of(request).each)
        else:
            strides = [np.asarray(bound[first + i]) for i in range(inputs)]
            shape = np.array(launch.threads[: strides[0].size][::-1])
        assert launch.threads[1:] == (shape[-2] if shape.size > 1 else 1, math.prod(shape[:-2].tolist()))
        places = np.indices(shape).reshape(shape.size, -1)
        operands = [one[(places * step[:, None]).sum(axis=0)] for one, step in zip(operands, strides, strict=True)]
    else:
        each = elementwise.shape_of(request).each
        assert math.prod(launch.threads) * each >= size
        assert each > 1 or math.prod(launch.threads) == size  # such a kernel does not look at the size
        if first in bound:
            assert np.asarray(bound[first]).tolist() == [size]
        operands = [one if one.size == size else np.repeat(one, size) for one in operands]
    return OPERATIONS[str(request.axes["op"])](*operands)


@pytest.mark.parametrize(("name", "host_name"), FORMS)
def test_what_is_bound_is_what_is_expected(name, host_name):
    request = ask(name, host_name)
    inputs = {"unary": 1, "binary": 2, "ternary": 3}[name]
    launches = list(elementwise.launches(request))
    assert len(launches) >= 3
    for launch in launches:
        found = elementwise.expected(request, launch)
        np.testing.assert_array_equal(replayed(request, launch, inputs), found[launch.outputs[0].slot])


@pytest.mark.parametrize("name", FAMILIES)
def test_each_kernel_and_dtype_has_launches(name):
    """Small ones, of groups that Metal allows; a plain request has one, the first of the thorough ones."""
    for row in sampled(family(name), tuple(rows(name).values())):
        many, few = (
            list(elementwise.launches(ask(name, row.host_name, thorough=thorough))) for thorough in (True, False)
        )
        assert len(few) == 1, row.host_name
        assert len(many) >= 3, row.host_name
        assert few[0].what == many[0].what
        for launch in many:
            assert 0 < math.prod(launch.threads) <= 300
            assert math.prod(launch.group) <= 1024
            kernel = family(name).kernel(row.template)
            assert sorted(launch.buffers) == sorted(argument.slot for argument in kernel.arguments)
            assert {one.slot for one in launch.outputs} == {a.slot for a in kernel.arguments if a.role == "output"}


def test_the_same_seed_makes_the_same_launch():
    one, again, other = (
        next(elementwise.launches(ask("binary", "vv_Addfloat32", seed=seed))).buffers[0] for seed in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize(("host_name", "each"), [("vn_Absuint8uint8", 8), ("v2_Absfloat32float32", 2)])
def test_sizes_leave_a_rest(host_name, each):
    sizes = [launch.buffers[1].size for launch in elementwise.launches(ask("unary", host_name))]
    assert any(size % each for size in sizes)
    assert min(sizes) <= 3


def test_special_numbers_are_among_the_operands():
    (launch, *_) = elementwise.launches(ask("unary", "v_Roundfloat32float32", thorough=False))
    numbers = launch.buffers[0]
    assert np.isnan(numbers).any()
    assert {math.inf, -math.inf, 0.5, 2.5, -2.5} <= set(numbers.tolist())
    assert ((np.abs(numbers) < 2.0**-126) & (numbers != 0)).any()
    assert (np.signbit(numbers) & (numbers == 0)).any()


def test_special_numbers_meet_each_other():
    (launch, *_) = elementwise.launches(ask("binary", "vv_Maximumint8", thorough=False))
    pairs = set(zip(launch.buffers[0].tolist(), launch.buffers[1].tolist(), strict=True))
    assert {(-128, 127), (127, -128), (-128, -128), (0, -1)} <= pairs


@pytest.mark.parametrize("dtype", [t for t in NUMPY if "int" in t])
def test_nothing_undefined_is_asked_of_integers(dtype):
    """In the arithmetic of C++: what is narrower than int is made int, and int and wider must not overflow."""
    kind = np.iinfo(NUMPY[dtype])
    signed = kind.min < 0 or kind.bits < 32
    bits = max(kind.bits, 32)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    exact = {"Add": lambda x, y: x + y, "Subtract": lambda x, y: x - y, "Multiply": lambda x, y: x * y}
    for op in (*exact, "Divide", "Remainder", "LeftShift", "RightShift", "Power"):
        for launch in elementwise.launches(ask("binary", f"vv_{op}{dtype}")):
            for x, y in zip(*(launch.buffers[slot].tolist() for slot in (0, 1)), strict=True):
                if op in exact and signed:
                    assert low <= exact[op](x, y) <= high
                if op in ("Divide", "Remainder"):
                    assert y != 0
                    assert not (kind.min < 0 and (x, y) == (low, -1))
                if op in ("LeftShift", "RightShift"):
                    assert 0 <= y < kind.bits
                if op == "LeftShift" and signed:
                    assert 0 <= x << y <= high


def test_no_other_kernel_is_asked_for():
    with pytest.raises(ProofError, match="steel_gemm is no elementwise kernel"):
        next(elementwise.launches(of_kernel(ask("unary", "v_Absint8int8"), "steel_gemm")))
