# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Real upstream, and small sources of our own: two families, `scale` (a header, a table, a tile selection) and `fold`
(bodies in the table, every form of instantiation), and their YAMLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from porter.model import Coverage, Pin, PinnedFile, SourceFile, Sources, sha256
from porter.parse.requests import with_requests
from porter.spec import Family, load_families, load_family, present

REVISION = "v0.30.1"

KERNEL = "mlx/k/scale.h"
PARAMS = "mlx/k/params.h"
BASE = "mlx/k/base.h"
TABLE = "mlx/k/scale.metal"
HOST = "mlx/host.cpp"
FOLD = "mlx/k/fold.metal"

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
    FOLD: """#include "mlx/k/base.h"
constant int width [[function_constant(010)]];
template <int N> struct Shape { int extent[N]; };
[[kernel]] void count(device uint* out, uint at [[thread_position_in_grid]]) {
  out[at] = width;
}
template <typename T, int N, int step = 1>
[[kernel]] void fold(
    const device T* in [[buffer(2)]],
    device T* out,
    const constant Shape<N>& shape,
    uint at [[thread_position_in_grid]]) {
  out[at] = in[at * N] * T(shape.extent[0]);
}
template <typename T = float>
kernel void blank(device T* out [[buffer(0)]]) { out[0] = T(0); }

#define folds(name, type, n) \\
  template [[host_name("fold_" #name "_" #n)]] [[kernel]] void fold<type, n>( \\
      const device type* in [[buffer(2)]], device type* out, const constant Shape<n>& shape, \\
      uint at [[thread_position_in_grid]]);
folds(f32, float, 3) folds(f16, half, 3)
template [[host_name("deduced_" "f32_2")]] [[kernel]] void fold(
    const device float* in [[buffer(2)]], device float* out, const constant Shape<2>& shape,
    uint at [[thread_position_in_grid]]);
template [[host_name("stepped_f32_4")]] [[kernel]] decltype(fold<float, 4, 2>) fold<float, 4, 2>;
instantiate_kernel("blank", blank)
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


Edit = tuple[str, str]


@pytest.fixture
def small() -> Callable[..., Sources]:
    """`small({path: (old, new)}, without=(path,))`: our own sources so edited; each edit (or each of several) must hit
    once."""

    def make(edits: Mapping[str, Edit | list[Edit]] | None = None, without: tuple[str, ...] = ()) -> Sources:
        files = {path: text for path, text in FILES.items() if path not in without}
        for path, change in (edits or {}).items():
            for old, new in [change] if isinstance(change, tuple) else change:
                assert files[path].count(old) == 1, f"{old!r} has to stand in {path} once"
                files[path] = files[path].replace(old, new)
        return _sources(files, Coverage.FULL if TABLE in files else Coverage.HEADERS)

    return make


SCALE_YAML = f"""\
family: scale
title: Scaling
operators: [mul]
restates: {{ copyright: [Nobody], licence: MIT }}
sources:
  kernels: [{KERNEL}]
  preamble:
    - {BASE}
  table: {TABLE}
  host: [{HOST}]
params: ["outer::inner::ScaleParams"]
kernels:
  - names: [scale]
    arguments:
      - {{ name: in, slot: 0, role: input }}
      - {{ name: out, slot: 1, role: output }}
      - {{ name: params, slot: 2, role: params }}
      - {{ name: more, slot: 3, role: input, gate: wide, dummy: out }}
host_names:
  axes:
    n:
      - {{ n: 8 }}
      - {{ n: 16 }}
  tables:
    - kernel: scale
      grammar: "scale_{{dtype}}_n{{n}}_{{bit}}"
      axes:
        n: n
        dtype:
          - {{ dtype: f32, T: float }}
          - {{ dtype: f16, T: half }}
        flip:
          - {{ bit: 0, flip: false }}
          - {{ bit: 1, flip: true }}
      arguments: [T, n, flip]
constants:
  - {{ name: wide, index: 7, lower: template, suffix: wi }}
excluded: []
tiles:
  predicates:
    few: {{ upstream: rows < 10, cpp: "" }}
    flat: {{ upstream: flat, cpp: "" }}
  default: {{ bm: 10, bn: 20, bk: 30, wm: 40, wn: 50 }}
  swizzle_log: 1
  rows:
    - {{ device: xy, when: [few], tile: [1, 2, 30, 40, 50] }}
    - {{ device: xy, when: [not few, flat], tile: [10, 20, 3, 40, 50] }}
    - {{ device: other, when: [], tile: [10, 20, 30, 4, 5] }}
"""

FOLD_YAML = f"""\
family: fold
title: Folding
operators: []
restates: {{ copyright: [Nobody], licence: MIT }}
sources:
  kernels: [{FOLD}]
  preamble: [{BASE}]
  table: {FOLD}
  host: [{HOST}]
params: ["Shape<2>", "Shape<3>"]
kernels:
  - names: [count]
    arguments: [{{ name: out, slot: 0, role: output }}]
  - names: [fold]
    arguments:
      - {{ name: in, slot: 2, role: input }}
      - {{ name: out, slot: 0, role: output }}
      - {{ name: shape, slot: 1, role: shape }}
  - names: [blank]
    arguments: [{{ name: out, slot: 0, role: output }}]
host_names:
  tables:
    - {{ kernel: count, grammar: count, arguments: [] }}
    - kernel: fold
      grammar: "fold_{{name}}_3"
      axes: {{ name: [{{ name: f32, T: float }}, {{ name: f16, T: half }}] }}
      arguments: [T, 3]
    - {{ kernel: fold, grammar: deduced_f32_2, arguments: [float, 2] }}
    - {{ kernel: fold, grammar: stepped_f32_4, arguments: [float, 4, 2] }}
    - {{ kernel: blank, grammar: blank, arguments: [] }}
constants:
  - {{ name: width, index: 8, lower: define, type: int, kernels: [count] }}
excluded: []
samples:
  - {{ kernels: [count], constants: {{ width: 3 }}, of: three }}
evidence:
  - {{ file: {HOST}, lines: [1, 1], sha256: "{sha256(FILES[HOST].partition(chr(10))[0].encode())}", what: three }}
"""


def line_of(text: str, part: str) -> int:
    """The line on which `part` begins, which has to stand in `text` once."""
    assert text.count(part) == 1, f"{part!r} stands there {text.count(part)} times"
    return text[: text.index(part)].count("\n") + 1


Edited = Callable[..., Family]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """`edited(yaml, old, new)`: the family of a YAML after one replacement; `old` has to stand there once."""

    def make(text: str, old: str = "", new: str = "") -> Family:
        assert not old or text.count(old) == 1, f"{old!r} has to stand in the YAML once"
        path = tmp_path / "family.yaml"
        path.write_text(text.replace(old, new) if old else text)
        return load_family(path)

    return make


@pytest.fixture
def scale(edited: Edited) -> Family:
    """The family of our own kernel `scale`."""
    return edited(SCALE_YAML)


@pytest.fixture
def fold(edited: Edited) -> Family:
    """The family whose bodies stand in its table."""
    return edited(FOLD_YAML)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What these tests read is not what a run before them kept. The compilers' and the downloads' cache stays."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("corpus")
    patch.setattr("porter.parse.kept.cache_dir", lambda name: folder)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """MLX's kernel headers, from the registry's wheel; without the rest of the house."""
    from porter.upstream import obtain

    found = obtain(REVISION, None, "wheel", tmp_path_factory.mktemp("wheel") / "upstream_mlx")[0]
    return with_requests(found, load_families())


@pytest.fixture(scope="session")
def families(sources: Sources) -> tuple[Family, ...]:
    """Those that the revision has."""
    return present(load_families(), sources)


@pytest.fixture(scope="session")
def full_sources(mlx_git: str, tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """MLX's full source, from a clone."""
    from porter.upstream import obtain

    found = obtain(REVISION, mlx_git, "git", tmp_path_factory.mktemp("git") / "upstream_mlx")[0]
    return with_requests(found, load_families())
