# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Real upstream, and small sources of our own: a kernel `scale`, its family, a table, a tile selection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from porter.model import Coverage, Pin, PinnedFile, SourceFile, Sources, sha256
from porter.spec import ArgumentRole, Constant, Family, Predicate, TileRow, Tiles, load_families

REVISION = "v0.30.1"

KERNEL = "mlx/k/scale.h"
PARAMS = "mlx/k/params.h"
BASE = "mlx/k/base.h"
TABLE = "mlx/k/scale.metal"
HOST = "mlx/host.cpp"

FILES = {
    "LICENSE": "Permission is hereby granted, free of charge, to any person obtaining a copy\n",
    BASE: """// Copyright 1999 Somebody
#pragma once
#include <metal_stdlib>
#include "params.h"
using namespace metal;
#define TWICE(x) ((x) + \\
                  (x))  // doubled
#define EMPTY
#define instantiate_kernel(label, which, ...) \\
  template [[host_name(label)]] decltype(which<__VA_ARGS__>) which<__VA_ARGS__>;
""",
    PARAMS: """#pragma once
namespace outer { namespace inner {
struct ScaleParams {
  const int rows;
  const int64_t stride;
  float factor;
  short lanes[3];
};
} }
""",
    KERNEL: """using namespace outer::inner;
constant bool wide [[function_constant(7)]];
template <typename T, int N, bool flip = false>
[[kernel, max_total_threads_per_threadgroup(N * 32)]] void scale(
    const device T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    const constant ScaleParams& params [[buffer(2)]],
    const device T* more [[buffer(3), function_constant(wide)]],
    uint at [[thread_position_in_grid]]) {
  out[at] = in[flip ? N - at : at] * T(params.factor) + (wide ? more[at] : T(0));
}
""",
    TABLE: """#include "mlx/k/base.h"
#include "mlx/k/scale.h"
#define scale_of(name, type, n) \\
  instantiate_kernel("scale_" #name "_n" #n "_0", scale, type, n, false) \\
  instantiate_kernel("scale_" #name "_n" #n "_1", scale, type, n, true)
#define scales(n) \\
  scale_of(f32, float, n) scale_of(f16, half, n)

scales(8)
scales( 16 )
""",
    HOST: """// GEMM_TPARAM_MACRO in a comment is no use of it
namespace a { namespace {
#define GEMM_TPARAM_MACRO(device) \\
  if (device == 'x' || device == 'y') { /* small */ \\
    if (rows  <  10) { bm = 1; bn = 2; } \\
    else if (flat) { bk = 3; } \\
  } else { wm = 4; wn = 5; }
} }
void elsewhere() { int bm = 9, bn = 9, bk = 9, wm = 9, wn = 9; GEMM_TPARAM_MACRO('q') name("other_"); }
namespace a::b {
void dispatch(int rows, bool flat) {
  int bm = 10, bn = 20, bk = 30;
  int wm = 40, wn = 50;
  GEMM_TPARAM_MACRO(letter)
  name << "scale_" << bm;
  int swizzle_log = 1;  // swizzle_log = 7
  use(params{/* swizzle_log = */ swizzle_log, other.bm = 3});
}
}
""",
}


def _sources(files: Mapping[str, str], coverage: Coverage) -> Sources:
    data = {path: text.encode() for path, text in files.items()}
    pinned = tuple(PinnedFile(path, len(data[path]), sha256(data[path])) for path in sorted(data))
    read = {path: SourceFile(path, text, sha256(data[path])) for path, text in files.items()}
    return Sources(Pin("0" * 40, None, "test", coverage, pinned), Path("nowhere"), read)


@pytest.fixture
def small() -> Callable[..., Sources]:
    """`small({path: (old, new)}, without=(path,))`: our own sources so edited; each edit must hit once."""

    def make(edits: Mapping[str, tuple[str, str]] | None = None, without: tuple[str, ...] = ()) -> Sources:
        files = {path: text for path, text in FILES.items() if path not in without}
        for path, (old, new) in (edits or {}).items():
            assert files[path].count(old) == 1, f"{old!r} has to stand in {path} once"
            files[path] = files[path].replace(old, new)
        return _sources(files, Coverage.FULL if TABLE in files else Coverage.HEADERS)

    return make


@pytest.fixture
def scale() -> Family:
    """The family of our own kernel."""
    (gemm,) = load_families(["steel_gemm_fused"])
    return dataclasses.replace(
        gemm,
        name="scale",
        path="families/scale.yaml",
        kernel=KERNEL,
        preamble=(BASE,),
        table=TABLE,
        host=HOST,
        template="scale",
        params=("outer::inner::ScaleParams",),
        grammar="scale_{dtype}_n{n}_{bit}",
        axes={
            "n": ({"n": 8}, {"n": 16}),
            "dtype": ({"dtype": "f32", "T": "float"}, {"dtype": "f16", "T": "half"}),
            "flip": ({"bit": 0, "flip": False}, {"bit": 1, "flip": True}),
        },
        template_arguments=("T", "n", "flip"),
        constants=(Constant("wide", 7, "template", "wi"),),
        excluded=(),
        arguments=(
            ArgumentRole("in", 0, "input", None, None),
            ArgumentRole("out", 1, "output", None, None),
            ArgumentRole("params", 2, "params", None, None),
            ArgumentRole("more", 3, "input", "wide", "out"),
        ),
        tiles=Tiles(
            predicates=(Predicate("few", "rows < 10", ""), Predicate("flat", "flat", "")),
            default=(10, 20, 30, 40, 50),
            swizzle_log=1,
            rows=(
                TileRow("xy", ("few",), (1, 2, 30, 40, 50)),
                TileRow("xy", ("not few", "flat"), (10, 20, 3, 40, 50)),
                TileRow("other", (), (10, 20, 30, 4, 5)),
            ),
        ),
        lines={
            "host_names": 1,
            "sources.kernel": 3,
            "sources.preamble": 4,
            "sources.preamble.0": 4,
            "sources.table": 5,
            "template": 6,
            "params.0": 7,
        }
        | {"host_names.axes.n": 8, "host_names.axes.n.1": 10, "constants.0": 11, "arguments.3": 12}
        | {"tiles.predicates": 13, "tiles.rows.1": 14, "tiles.default": 15, "tiles.swizzle_log": 16},
    )


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """MLX's kernel headers, from the registry's wheel; without the rest of the house."""
    from porter.upstream import obtain

    return obtain(REVISION, None, "wheel", tmp_path_factory.mktemp("wheel") / "upstream_mlx")[0]


@pytest.fixture(scope="session")
def full_sources(mlx_git: str, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """MLX's full source, from a clone."""
    from porter.upstream import obtain

    return obtain(REVISION, mlx_git, "git", tmp_path_factory.mktemp("git") / "upstream_mlx")[0]
