# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The port's kernels against what a compiled kernel says of itself."""

from __future__ import annotations

import dataclasses

import pytest

from porter.metal.air import CompiledArgument, CompiledConstant, CompiledKernel
from porter.model import Status
from porter.prove.compiled_interface import prove_compiled_interface

from .conftest import Minimal


def buffer(name: str, slot: int, type_: str, space: int, access: str, size: int, gate: str | None = None):
    return CompiledArgument(slot, "buffer", name, type_, slot, access, space, size, size, gate, ())


def pair(type_: str, size: int, limit: int) -> CompiledKernel:
    return CompiledKernel(
        f"steel_pair_{type_}",
        (
            buffer("A", 0, type_, 1, "read", size),
            buffer("B", 1, type_, 1, "read", size, "with_bias"),
            buffer("D", 2, type_, 1, "read_write", size),
            buffer("params", 3, "mlx::steel::PairParams", 2, "read", 24),
            CompiledArgument(4, "threadgroup_position_in_grid", "tid", "uint3", None, None, None, None, None, None, ()),
        ),
        (CompiledConstant("flip", "bool", 3), CompiledConstant("with_bias", "bool", 5)),
        limit,
    )


COMPILED = {
    "steel_pair_float32": dataclasses.replace(pair("float", 4, 128), name="steel_pair_float32"),
    "steel_pair_float16": dataclasses.replace(pair("half", 2, 256), name="steel_pair_float16"),
}

TABLE, ROW = "SteelPair.metal", '"steel_pair_float16", half, 8'


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("porter.prove.compiled_interface.compiled_kernels", lambda case: COMPILED)


def test_the_port_is_what_was_compiled(minimal):
    proof = prove_compiled_interface(minimal.case)
    assert (proof.status, proof.why, proof.cases) == (Status.PROVED, "", 14)
    assert [one.host_name for one in proof.kernels] == ["steel_pair_float16", "steel_pair_float32"]


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        (TABLE, ROW, ROW.replace("half", "bfloat"), "A: type bfloat, compiled half"),
        (TABLE, ROW, ROW.replace("8", "4"), "thread limit 128, compiled 256"),
        ("SteelPair.h", "A [[buffer(0)]]", "A [[buffer(6)]]", "argument A: slot 6, compiled 0"),
        ("SteelPair.h", "const device T* A", "const constant T* A", "argument A: address space 2, compiled 1"),
        ("SteelPair.h", "const device T* A", "device T* A", "argument A: read only False, compiled True"),
        ("SteelPair.h", "W * 32", "W * 64", "steel_pair_float16: thread limit 512, compiled 256"),
        ("SteelPair.h", ", max_total_threads_per_threadgroup(W * 32)", "", "thread limit None, compiled 256"),
        ("SteelPair.h", "uint3 tid", "uint2 tid", "argument tid: type uint2, compiled uint3"),
        ("SteelPair.h", "const device T* B", "const device int* B", "argument B: type int, compiled half"),
        ("SteelPairParams.h", "  float scale;", "  float scale[4];", "argument params: size 32, compiled 24"),
    ],
)  # fmt: skip
def test_what_differs_is_found(minimal: Minimal, file, old, new, why):
    minimal.mutate(file, old, new)
    proof = prove_compiled_interface(minimal.case)
    assert proof.status is Status.DIFFERS
    assert why in proof.why


def test_a_gate_that_upstream_lacks_is_found(minimal):
    path = minimal.case.family.sources_of_kernels[0]
    case = minimal.with_upstream(path, "[[buffer(1), function_constant(with_bias)]]", "[[buffer(1)]]")
    assert "argument B: gate None, compiled with_bias" in prove_compiled_interface(case).why


def test_a_constant_that_the_yaml_does_not_give_to_the_kernel_is_found(minimal):
    constants = tuple(
        dataclasses.replace(one, kernels=()) if one.name == "flip" else one for one in minimal.case.family.constants
    )
    minimal.mutate("SteelPair.metal", 'INSTANTIATE_PAIR(host "_fl0_wb0"', 'INSTANTIATE_PAIR(host "_wb0"')
    proof = prove_compiled_interface(minimal.with_family(constants=constants))
    assert "the bool constant flip (3) reaches it, not so in specs/families/steel_pair.yaml" in proof.why
