# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The body half of the code ring: every change of meaning is found, and none but a change is reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from porter.errors import DigestMismatch, ProofError
from porter.model import SourceFile, Sources, Status
from porter.prove.code import prove_bodies

from .conftest import Minimal, make_sources

Silent = Callable[..., None]


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path_factory.mktemp("cache")))


def run(pair: Minimal, silent: Silent):
    return prove_bodies(pair.sources, pair.corpus, pair.family, pair.overlay_root, pair.target, 1, silent)


def test_a_rename_proves_every_kernel(minimal, silent):
    proof = run(minimal, silent)
    assert (proof.status, proof.cases, proof.why) == (Status.PROVED, 8, "")
    assert "address space twin 1" in proof.notes[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "count"),
    [
        pytest.param("SteelPairLoader.h", "j < columns", "j <= columns", 8, id="< becomes <="),
        pytest.param("SteelPairLoader.h", "k < width", "k < width - 1", 8, id="off by one"),
        pytest.param("SteelPairLoader.h", "j * stride + rows", "rows * stride + j", 8, id="wrong transpose"),
        pytest.param("SteelPair.h", "(left, right, flip)", "(right, left, flip)", 8, id="swapped fragments"),
        pytest.param(
            "SteelPair.h", "  threadgroup_barrier(mem_flags::mem_threadgroup);\n", "", 8, id="dropped barrier"
        ),
        pytest.param("SteelPair.h", "mem_flags::mem_threadgroup", "mem_flags::mem_device", 8, id="weaker barrier"),
        pytest.param("SteelPair.h", "threadgroup T right[W]", "threadgroup T right[W + 1]", 8, id="larger tile"),
        pytest.param("SteelPair.h", "b{A, right,", "b{A, left,", 8, id="one tile for two"),
        pytest.param("SteelPair.h", "if (with_bias)", "if (flip)", 4, id="another constant"),
        pytest.param("SteelPairParams.h", "  float scale;\n", "  int32_t gap;\n  float scale;\n", 8, id="moved field"),
        pytest.param("SteelPair.metal", "half, 8", "half, 4", 4, id="wrong template argument"),
    ],
)
def test_a_change_of_meaning_differs(minimal, silent, file, old, new, count):
    minimal.mutate(file, old, new)
    proof = run(minimal, silent)
    assert proof.status is Status.DIFFERS
    assert proof.cases == 8
    assert proof.why.startswith(f"{count} of 8 kernels; smallest: steel_pair_float")


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        pytest.param(
            "SteelPair.h", "A + params->offset", "params->offset + A", "pair", id="commuted addition in the kernel"
        ),
        pytest.param(
            "SteelPairLoader.h",
            "j * stride + rows",
            "rows + j * stride",
            "Loader::load",
            id="commuted addition below it",
        ),
        pytest.param(
            "SteelPairLoader.h", "for (short j = 0", "for (int j = 0", "Loader::load", id="wider loop variable"
        ),
    ],
)
def test_what_the_optimiser_makes_equal_says_so(minimal, silent, file, old, new, place):
    minimal.mutate(file, old, new)
    proof = run(minimal, silent)
    assert proof.status is Status.EQUAL_AFTER_O1
    assert proof.cases == 8
    assert proof.why == f"8 of 8 kernels, which differ before O1 in {place}"


def test_a_lost_unroll_pragma_is_no_rename(minimal, silent):
    minimal.mutate("SteelPairLoader.h", "#pragma clang loop unroll(full)\n", "")
    assert run(minimal, silent).status is not Status.PROVED


def test_spelling_alone_is_equal(minimal, silent):
    minimal.mutate(
        "SteelPairLoader.h", "short rows, short columns) const", "short rows, short columns) const /* as is */"
    )
    minimal.mutate("SteelPair.h", "  float sum = mix", "\n\n  float sum =\n      mix")
    assert run(minimal, silent).status is Status.PROVED


def test_the_smallest_difference_is_shown(minimal, silent):
    minimal.mutate("SteelPairLoader.h", "j < columns", "j <= columns")
    why = run(minimal, silent).why
    assert "- " in why
    assert "icmp slt" in why
    assert "icmp sle" in why
    assert "in Loader::load\n" in why


def test_upstream_must_be_the_pinned_bytes(minimal, silent):
    path = minimal.family.kernel
    changed = SourceFile(path, minimal.sources.files[path].text + "\n", minimal.sources.files[path].sha256)
    sources = Sources(minimal.sources.pin, minimal.sources.root, {**minimal.sources.files, path: changed})
    with pytest.raises(DigestMismatch, match=r"steel_pair\.h"):
        prove_bodies(sources, minimal.corpus, minimal.family, minimal.overlay_root, minimal.target, 1, silent)


def test_upstream_that_means_something_else_inside_a_namespace_is_refused(minimal, silent):
    texts = {path: file.text for path, file in minimal.sources.files.items()}
    kernel = minimal.family.kernel
    loader = next(path for path in texts if path.endswith("loader.h"))
    # Two overloads at global scope; in a namespace the kernel header's own would hide the loader's.
    texts[loader] += "inline float weigh(float x) { return x; }\n"
    texts[kernel] = "inline int weigh(int x) { return x; }\n" + texts[kernel].replace(
        "T(params", "T(weigh(1.5f) * params"
    )
    sources = make_sources(texts)
    with pytest.raises(ProofError, match="another kernel when upstream's header stands in a namespace"):
        prove_bodies(sources, minimal.corpus, minimal.family, minimal.overlay_root, minimal.target, 1, silent)


def test_a_kernel_that_is_not_emitted_is_named(minimal, silent):
    minimal.mutate("SteelPair.metal", 'INSTANTIATE_PAIRS("steel_pair_float16", half, 8)\n', "")
    with pytest.raises(ProofError, match="steel_pair_float16_fl0_wb0"):
        run(minimal, silent)


def test_a_second_run_compiles_nothing(minimal, silent, monkeypatch):
    first = run(minimal, silent)
    monkeypatch.setattr("porter.prove.code.compare", lambda task: pytest.fail("compiled again"))
    assert run(minimal, silent) == first
