# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names: a value that is missing from the YAML, and a kernel that is missing from a table, are found."""

from __future__ import annotations

import dataclasses

import pytest

from porter.model import Ring, Status
from porter.port.target import load_target
from porter.prove.names import against_library, against_text, emitted_host_table, emitted_metal, prefix

from .conftest import Minimal


def test_the_prefix_is_the_grammar_up_to_its_first_value(families):
    assert prefix(families[0]) == "steel_gemm_fused_"


def test_all_96_names_are_in_apples_library(sources, corpus, families, library):
    proof = against_library(sources, corpus, families[0], library)
    assert (proof.ring, proof.status, proof.cases) == (Ring.NAMES, Status.PROVED, 96)


@pytest.mark.parametrize(("axis", "kernels"), [("dtype", 24), ("tile", 16), ("transpose", 24)])
def test_a_value_taken_out_of_the_yaml_is_missed(sources, corpus, families, library, axis, kernels):
    axes = {**families[0].axes, axis: families[0].axes[axis][1:]}
    family = dataclasses.replace(families[0], axes=axes)
    table = dataclasses.replace(corpus, instantiations=family.instantiations())
    proof = against_library(sources, table, family, library)
    assert (proof.status, proof.cases) == (Status.DIFFERS, 96)
    assert proof.why.startswith(f"{kernels} missing: steel_gemm_fused_")


def test_a_value_that_upstream_lacks_is_extra(sources, corpus, families, library):
    axes = {**families[0].axes, "dtype": ({"dtype": "float64", "T": "double"}, *families[0].axes["dtype"])}
    family = dataclasses.replace(families[0], axes=axes)
    table = dataclasses.replace(corpus, instantiations=family.instantiations())
    assert against_library(sources, table, family, library).why.startswith(
        "24 extra: steel_gemm_fused_nn_float64_float64_"
    )


def test_without_upstreams_metal_file_the_text_is_no_witness(sources, corpus, families, library):
    assert families[0].table not in sources.files
    assert against_text(sources, corpus, families[0]) is None
    notes = against_library(sources, corpus, families[0], library).notes
    assert notes[1].startswith("the table is that of specs/families/steel_gemm_fused.yaml: ")


def test_all_96_names_are_what_the_preprocessor_alone_finds(mlx_git, families, tmp_path):
    from porter.parse.corpus import read_corpus
    from porter.upstream import obtain

    sources, _ = obtain("v0.30.1", mlx_git, "git", tmp_path / "upstream", progress=lambda *_: None)
    proof = against_text(sources, read_corpus(sources, families), families[0])
    assert proof is not None
    assert (proof.status, proof.cases) == (Status.PROVED, 96)


def test_the_emitted_tables_hold_every_combination_once(root, corpus, families):
    arguments = (corpus, families[0], root / "generated", load_target())
    assert emitted_metal(*arguments).cases == 96 * 48
    assert emitted_metal(*arguments).status is Status.PROVED
    assert (emitted_host_table(*arguments).status, emitted_host_table(*arguments).cases) == (Status.PROVED, 96)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('INSTANTIATE_PAIRS("steel_pair_float16", half, 8)\n', "", "4 missing: steel_pair_float16_fl0_wb0, "),
        ('"_fl1_wb1"', '"_fl1_wb0"', "2 missing: steel_pair_float16_fl1_wb1, steel_pair_float32_fl1_wb1; 2 twice: "),
        (
            'INSTANTIATE_PAIRS("steel_pair_float16"',
            'INSTANTIATE_PAIRS("steel_pair_f16"',
            "4 extra: steel_pair_f16_fl0_wb0, ",
        ),
    ],
)
def test_an_emitted_table_that_is_wrong(minimal: Minimal, old, new, why):
    minimal.mutate("SteelPair.metal", old, new)
    proof = emitted_metal(minimal.corpus, minimal.family, minimal.overlay_root, minimal.target)
    assert proof.status is Status.DIFFERS
    assert why in proof.why
