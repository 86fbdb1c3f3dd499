# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring layouts: one wrong field is found, and named with both numbers."""

from __future__ import annotations

import pytest

from porter.errors import ProofError
from porter.metal.air import CompiledArgument, CompiledKernel, StructField
from porter.model import Status
from porter.port.target import load_target
from porter.prove.layouts import (
    FLOAT,
    NONE_CLAIM,
    SIGNED,
    Layout,
    against_library,
    against_upstream,
    clang_layouts,
    ported_name,
    prove_layouts,
)
from porter.prove.sides import Side

from .conftest import Minimal


def run(pair: Minimal):
    return prove_layouts(pair.case)


def test_both_compilers_and_upstream_agree(minimal):
    host, upstream = run(minimal)
    assert (host.status, host.cases) == (Status.PROVED, 5)
    assert (upstream.status, upstream.cases) == (Status.PROVED, 5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        pytest.param(
            "int32_t count;\n  int32_t stride;",
            "int32_t stride;\n  int32_t count;",
            "mlx::steel::PairParams.stride at byte 0, 4 in the witness; mlx::steel::PairParams.count at byte 4, 0",
            id="swapped",
        ),
        pytest.param("int32_t stride", "int64_t stride", "PairParams.stride at byte 8, 4 in the witness", id="wider"),
        pytest.param(
            "int64_t offset", "int32_t offset", "PairParams.offset of 4 bytes, 8 in the witness", id="narrower"
        ),
        pytest.param("int32_t stride", "int32_t pitch", "PairParams.pitch is not in the witness", id="another name"),
        pytest.param(
            "float scale;", "float scale;\n  int32_t tail;", "PairParams.tail is not in the witness", id="in padding"
        ),
        pytest.param("  float scale;\n", "", "PairParams.scale is missing", id="lost"),
        pytest.param("float scale", "int32_t scale", "PairParams.scale is a signed integer, a float in", id="kind"),
        pytest.param("int32_t count", "uint32_t count", "PairParams.count is an unsigned integer, a signed", id="sign"),
    ],
)
def test_a_wrong_field_is_named(minimal, old, new, why):
    minimal.mutate("SteelPairParams.h", old, new)
    host, upstream = run(minimal)
    assert host.status is Status.PROVED  # host and kernel read the same wrong header
    assert upstream.status is Status.DIFFERS
    assert why in upstream.why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "int32_t stride;",
            "#ifdef __METAL_VERSION__\n  int32_t stride;\n#else\n  int64_t stride;\n#endif",
            "PairParams.stride at byte 4, 8 in the witness",
        ),
        ("struct PairParams {", "struct alignas(32) PairParams {", ""),
    ],
)
def test_a_header_that_the_host_reads_otherwise_is_found(minimal, old, new, why):
    minimal.mutate("SteelPairParams.h", old, new)
    host, upstream = run(minimal)
    assert host.status is (Status.DIFFERS if why else Status.PROVED)
    assert why in host.why
    assert (upstream.status is Status.DIFFERS) == (not why)


def test_a_struct_that_is_gone_is_an_error(minimal):
    minimal.mutate("SteelPairParams.h", "struct PairParams", "struct OtherParams")
    with pytest.raises(ProofError, match="port does not declare at::native::mps::steel::PairParams"):
        run(minimal)


def params(name: str = "mlx::steel::PairParams", size: int = 24, scale: int = 16, space: int = 2) -> CompiledArgument:
    rows = (("count", "int", 0, 4), ("stride", "int", 4, 4), ("offset", "long", 8, 8), ("scale", "float", scale, 4))
    fields = tuple(StructField(field, kind, offset, width, 0) for field, kind, offset, width in rows)
    return CompiledArgument(3, "buffer", "params", name, 3, "read", space, size, 8, None, fields)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch):
    def give(*arguments: CompiledArgument) -> None:
        kernels = {name: CompiledKernel(name, arguments, (), None) for name in ("steel_pair_float32",)}
        monkeypatch.setattr("porter.prove.layouts.compiled_kernels", lambda case: kernels)

    return give


def test_against_what_a_compiled_kernel_says(minimal, compiled):
    compiled(params())
    proof = against_library(minimal.case)
    assert (proof.status, proof.cases) == (Status.PROVED, 6)
    assert [(one.host_name, one.status) for one in proof.kernels] == [("steel_pair_float32", Status.PROVED)]


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        (
            params(scale=12, size=20),
            "PairParams.scale at byte 16, 12 in the witness; mlx::steel::PairParams of 24 bytes",
        ),
        (
            params("mlx::steel::OtherParams"),
            "argument params points to the struct mlx::steel::OtherParams, which the family does not own; "
            "add it to params in specs/families/steel_pair.yaml",
        ),
        (params(space=1), "no compiled kernel takes mlx::steel::PairParams; take it out of params in specs/"),
    ],
)
def test_what_a_compiled_kernel_takes_otherwise_is_found(minimal, compiled, argument, why):
    compiled(argument)
    proof = against_library(minimal.case)
    assert proof.status is Status.DIFFERS
    assert why in proof.why


def test_a_family_without_structs_says_so(plain, compiled, monkeypatch):
    kernels = {"ramp": CompiledKernel("ramp", (), (), None)}
    monkeypatch.setattr("porter.prove.layouts.compiled_kernels", lambda case: kernels)
    proof = against_library(plain.case)
    assert (proof.status, proof.claim) == (Status.PROVED, NONE_CLAIM)
    assert against_upstream(plain.case).status is Status.PROVED


def test_a_struct_that_no_yaml_owns_is_seen_without_a_library(minimal):
    proof = against_upstream(minimal.with_family(params=()))
    assert proof.status is Status.DIFFERS
    assert "pair: argument params points to PairParams; add it to params in specs/" in proof.why


def test_class_templates_are_laid_out_by_their_arguments():
    text = "template <int N> struct Shape { int dims[N]; float x; };"
    side = Side("upstream", {"shape.h": text}, '#include "shape.h"\n')
    found, files = clang_layouts(side, {"Shape<2>": "Shape<2>", "Shape<3>": "Shape<3>"})
    assert found["Shape<2>"] == Layout(12, (("dims", 0, 8, SIGNED), ("x", 8, 4, FLOAT)))
    assert found["Shape<3>"].size == 16
    assert files["Shape<2>"] == "shape.h"


def test_names_in_the_port():
    assert ported_name("mlx::steel::GEMMParams", load_target()) == "at::native::mps::steel::GEMMParams"
