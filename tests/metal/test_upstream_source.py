# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MLX's kernels from source, its text untouched: all of them are understood, and the NAX GEMM of Metal 4 runs."""

from __future__ import annotations

import functools
import re
import struct
import subprocess
from pathlib import PurePosixPath

import numpy as np
import pytest

from porter.metal import Library
from porter.metal.compiler import _ir, _understand
from porter.metal.entries import with_entries

KERNELS = "mlx/backend/metal/kernels"


@functools.cache
def text_of(clone: str, tag: str, path: str) -> str | None:
    command = ["git", "-C", clone, "show", f"{tag}:{path}"]
    result = subprocess.run(command, capture_output=True, check=False)
    return result.stdout.decode() if result.returncode == 0 else None


def self_contained(clone: str, tag: str, path: str) -> str:
    """The text of a file with what it includes in place, each file once, as MLX's own run-time compilation does it."""
    seen: set[str] = set()

    def expanded(name: str) -> str:
        lines = []
        for line in (text_of(clone, tag, name) or "").splitlines():
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if found is None:
                lines.append("" if line.startswith("#pragma once") else line)
                continue
            # As the compiler's include path has them; before v0.29.4 bf16.h was one of several.
            beside = PurePosixPath(name).parent
            places = (found[1], str(beside / found[1]), f"{KERNELS}/metal_3_1/{found[1]}")
            place = next(place for place in places if text_of(clone, tag, place) is not None)
            if place not in seen:
                seen.add(place)
                lines.append(expanded(place))
        return "\n".join(lines)

    return expanded(path)


def metal_files(clone: str, tag: str) -> list[str]:
    command = ["git", "-C", clone, "ls-tree", "-r", "--name-only", tag, KERNELS]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return [path for path in listed if path.endswith(".metal")]


def entries_of(source: str):
    """The source with entries for all of its kernels. Every function constant gets a value."""
    preprocessed, kernels = _understand(source)
    declared = re.findall(r"MSL_FUNCTION_CONSTANT (\w+) (\w+)", preprocessed)
    return with_entries(preprocessed, kernels, None, {name: kind == "bool" or 3 for kind, name in declared})


# Kernels that the instantiations of a release name; of v0.30.1, 14,804 are in Apple's library and 624 are NAX.
@pytest.mark.parametrize(("tag", "count"), [("v0.29.0", 14494), ("v0.30.1", 15428), ("v0.32.1", 17034)])
def test_every_kernel_has_an_entry(mlx_git, tag, count):
    found = 0
    for path in metal_files(mlx_git, tag):
        _, entries = entries_of(self_contained(mlx_git, tag, path))
        assert all(entry.bound for entry in entries), path
        found += len(entries)
    assert found == count


# Every NAX kernel, and of each other way of writing kernels a file of the newest release.
NAX = r"\w+_nax"


@pytest.mark.parametrize(
    ("tag", "stems"),
    [("v0.30.1", NAX), ("v0.32.1", rf"{NAX}|arange|conv|fence|fft|random|scan|sort|steel_attention|steel_gemm_masked")],
)
def test_kernels_compile(mlx_git, tag, stems):
    paths = [path for path in metal_files(mlx_git, tag) if re.search(rf"/(?:{stems})\.metal$", path)]
    assert sum("_nax" in path for path in paths) >= 4
    for path in paths:
        source = self_contained(mlx_git, tag, path)
        text, entries = entries_of(source)
        assert _ir(source, text).count("define hidden void @msl_entry_") == len(entries), path


# ---------------------------------------------------------------------------------------------------------------------
# The NAX GEMM

TILE = 64


def params(m, n, k, lda, ldb):
    """GEMMParams of MLX's steel/gemm/params.h: eight int, three long, three int."""
    tiles = [-(-n // TILE), -(-m // TILE)]
    return struct.pack("<8i3q3i4x", m, n, k, lda, ldb, n, *tiles, 0, 0, 0, 0, k // 256, 0)


def as_stored(kind, values):
    """`values` rounded to the type, as float64, and as they lie in memory."""
    if kind == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
        kept = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        return (kept.astype(np.uint32) << 16).view(np.float32).astype(np.float64), kept
    array = values.astype(kind)
    return array.astype(np.float64), array


def as_read(kind, array):
    return ((array.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat16" else array).astype(np.float64)


# Half a unit in the last place of 1.
HALF_ULP = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@pytest.mark.parametrize("tag", ["v0.30.1", "v0.32.1"])
@pytest.mark.parametrize("kind", list(HALF_ULP))
@pytest.mark.parametrize(
    ("transposition", "m", "n", "k"), [("nn", 64, 64, 512), ("nt", 100, 70, 300), ("tn", 40, 65, 33)]
)
def test_the_nax_gemm(mlx_git, tag, kind, transposition, m, n, k):
    """Whole tiles; tiles cut on all three sides, with whole steps of K before; and no whole step of K at all."""
    source = self_contained(mlx_git, tag, f"{KERNELS}/steel/gemm/kernels/steel_gemm_fused_nax.metal")
    constants = {10: False, 100: False, 110: False, 200: m % TILE == 0, 201: n % TILE == 0, 202: k % 256 == 0}
    kernel = Library(source, constants=constants)[
        f"steel_gemm_fused_nax_{transposition}_{kind}_{kind}_bm64_bn64_bk256_wm2_wn2"
    ]
    rng = np.random.default_rng(m + n + k)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a, stored_a = as_stored(kind, a if transposition[0] == "n" else np.ascontiguousarray(a.T))
    b, stored_b = as_stored(kind, b if transposition[1] == "n" else np.ascontiguousarray(b.T))
    result = np.zeros((m, n), stored_a.dtype)
    buffers = {0: stored_a, 1: stored_b, 3: result, 4: params(m, n, k, a.shape[1], b.shape[1])}
    groups = (-(-n // TILE), -(-m // TILE))
    kernel(buffers, (groups[0] * 128, groups[1]), (128, 1))
    a, b = (a if transposition[0] == "n" else a.T), (b if transposition[1] == "n" else b.T)
    exact = a @ b
    # k fused steps of float, each rounding by half an ULP of a partial sum, which |a||b| bounds, and one rounding to
    # the result's type. Sums are started anew for each step of K and added, which is no more roundings than k.
    bound = 2 * k * 2.0**-24 * (np.abs(a) @ np.abs(b)) + HALF_ULP[kind] * np.abs(exact) * 1.01 + 2.0**-24
    assert (np.abs(as_read(kind, result) - exact) <= bound).all()


# ---------------------------------------------------------------------------------------------------------------------
# The NAX attention


def attention_params(heads, queries, keys, scale, depth=64, block=(64, 32)):
    """AttnParams of MLX's steel/attn/params.h: one batch, all query heads on one key head, rows next to each other."""
    blocks = [-(-queries // block[0]), -(-keys // block[1]), queries // block[0], keys // block[1]]
    rest = [queries - blocks[2] * block[0], keys - blocks[3] * block[1]]
    of_queries, of_keys = (0, queries * depth, depth), (0, 0, depth)
    numbers = [1, heads, depth, queries, keys, heads, scale, *blocks, *rest, keys - queries]
    return struct.pack("<6if7i12q", *numbers, *of_queries, *of_keys, *of_keys, *of_queries)


@pytest.mark.parametrize("tag", ["v0.30.1", "v0.32.1"])
@pytest.mark.parametrize(("queries", "keys", "masked"), [(64, 64, False), (90, 70, True)])
def test_the_nax_attention(mlx_git, tag, queries, keys, masked):
    """Two heads. Whole blocks without a mask, and cut ones of queries and keys with a mask of bool."""
    heads, depth, scale = 2, 64, 0.125
    source = self_contained(mlx_git, tag, f"{KERNELS}/steel/attn/kernels/steel_attention_nax.metal")
    constants = {200: queries % 64 == 0, 201: keys % 32 == 0, 300: masked, 301: False, 302: False}
    library = Library(source, constants=constants)
    kernel = library["steel_attention_float32_bq64_bk32_bd64_wm4_wn1_maskbool_"]
    rng = np.random.default_rng(queries)
    q = rng.standard_normal((heads, queries, depth)).astype(np.float32)
    k, v = (rng.standard_normal((keys, depth)).astype(np.float32) for _ in range(2))
    mask = rng.integers(0, 2, (heads, queries, keys)).astype(bool)
    mask[:, :, 0] = True
    out = np.zeros_like(q)
    buffers = {0: q, 1: k, 2: v, 3: out, 4: attention_params(heads, queries, keys, scale)}
    if masked:
        buffers |= {5: struct.pack("<3q", 0, queries * keys, keys), 6: mask}
    kernel(buffers, (-(-queries // 64) * 128, heads), (128, 1))
    scores = scale * (q.astype(np.float64) @ k.T)
    weights = np.exp(scores - scores.max(-1, keepdims=True)) * (mask if masked else 1)
    exact = weights / weights.sum(-1, keepdims=True) @ v
    # A score is depth fused steps, then scaled twice (once by log2 e) and subtracted from the largest; so is that. An
    # error of a score is the same relative error of its weight, to which exp2 (two ULP), the sum over the keys and the
    # product with v (a step each) and rescaling for every block of keys add. Both weights and their sum have it.
    score = (depth + 8) * 2.0**-24 * scale * (np.abs(q) @ np.abs(k).T).max()
    bound = 2 * (2 * score + (keys + 16) * 2.0**-23) * np.abs(v).max()
    assert bound < 1e-3
    assert (np.abs(out - exact) <= bound).all()
