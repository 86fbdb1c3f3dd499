# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A pair of our own: a small kernel library with everything the rings look at, and a port of it written by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from porter.model import (
    Corpus,
    Coverage,
    Field,
    Location,
    ParamsStruct,
    Pin,
    PinnedFile,
    SourceFile,
    Sources,
    sha256,
)
from porter.port.target import Target, load_target
from porter.spec import ArgumentRole, Constant, Family

K = "mlx/backend/metal/kernels/steel"

UPSTREAM = {
    "LICENSE": "Our own test, under our own licence.\n",
    f"{K}/pair/params.h": """#pragma once
namespace mlx {
namespace steel {
struct PairParams {
  const int count;
  const int stride;
  const int64_t offset;
  const float scale;
};
} // namespace steel
} // namespace mlx
""",
    f"{K}/pair/loader.h": """#pragma once
#define PAIR_UNROLL _Pragma("clang loop unroll(full)")
namespace mlx {
namespace steel {
struct Pick {
  float first;
  float get(bool sign) const thread { return sign ? first : -first; }
  float get(bool sign) const device { return sign ? first : -first; }
};
template <typename T, short width>
struct Loader {
  const device T* src;
  threadgroup T* dst;
  const int stride;
  void load(short rows, short columns) const {
    PAIR_UNROLL
    for (short j = 0; j < width; j++) {
      dst[j] = (j < columns && rows > 0) ? src[j * stride + rows] : T(0);
    }
  }
};
template <typename T, short width>
float mix(threadgroup T* left, threadgroup T* right, bool flip) {
  float sum = 0;
  for (short k = 0; k < width; ++k) {
    sum += flip ? float(left[k]) - float(right[k]) : float(right[k]) - float(left[k]);
  }
  return sum;
}
} // namespace steel
} // namespace mlx
""",
    f"{K}/pair/kernels/steel_pair.h": """using namespace mlx::steel;
constant bool flip [[function_constant(3)]];
constant bool with_bias [[function_constant(5)]];
template <typename T, int W>
[[kernel, max_total_threads_per_threadgroup(W * 32)]] void pair(
    const device T* A [[buffer(0)]],
    const device T* B [[buffer(1), function_constant(with_bias)]],
    device T* D [[buffer(2)]],
    const constant PairParams* params [[buffer(3)]],
    uint3 tid [[threadgroup_position_in_grid]]) {
  threadgroup T left[W];
  threadgroup T right[W];
  Loader<T, W> a{A + params->offset, left, params->stride};
  Loader<T, W> b{A, right, params->stride};
  a.load(short(params->count), W);
  b.load(1, short(params->count));
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = mix<T, W>(left, right, flip);
  if (with_bias) {
    sum += float(B[tid.x]);
  }
  D[tid.x] = T(params->scale * sum);
}
""",
}

PORT = {
    "SteelPairParams.h": """#pragma once
#ifndef __METAL_VERSION__
#include <cstdint>
#endif
namespace at {
namespace native {
namespace mps {
namespace steel {
struct PairParams {
  int32_t count;
  int32_t stride;
  int64_t offset;
  float scale;
};
} // namespace steel
} // namespace mps
} // namespace native
} // namespace at
""",
    "SteelPairLoader.h": """#pragma once
namespace at::native::mps::steel {
struct Pick {
  float first;
  float get(bool sign) const thread { return sign ? first : -first; }
  float get(bool sign) const device { return sign ? first : -first; }
};
template <typename T, short width>
struct Loader {
  const device T* src;
  threadgroup T* dst;
  const int stride;
  void load(short rows, short columns) const {
#pragma clang loop unroll(full)
    for (short j = 0; j < width; j++) {
      dst[j] = (j < columns && rows > 0) ? src[j * stride + rows] : T(0);
    }
  }
};
template <typename T, short width>
float mix(threadgroup T* left, threadgroup T* right, bool flip) {
  float sum = 0;
  for (short k = 0; k < width; ++k) {
    sum += flip ? float(left[k]) - float(right[k]) : float(right[k]) - float(left[k]);
  }
  return sum;
}
} // namespace at::native::mps::steel
""",
    "SteelPair.h": """#pragma once
#include <ATen/native/mps/kernels/SteelPairParams.h>
#include <ATen/native/mps/kernels/SteelPairLoader.h>
using namespace metal;
using namespace at::native::mps::steel;
template <typename T, int W, bool flip, bool with_bias>
[[kernel, max_total_threads_per_threadgroup(W * 32)]] void pair(
    const device T* A [[buffer(0)]],
    const device T* B [[buffer(1)]],
    device T* D [[buffer(2)]],
    const constant PairParams* params [[buffer(3)]],
    uint3 tid [[threadgroup_position_in_grid]]) {
  threadgroup T left[W];
  threadgroup T right[W];
  Loader<T, W> a{A + params->offset, left, params->stride};
  Loader<T, W> b{A, right, params->stride};
  a.load(short(params->count), W);
  b.load(1, short(params->count));
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float sum = mix<T, W>(left, right, flip);
  if (with_bias) {
    sum += float(B[tid.x]);
  }
  D[tid.x] = T(params->scale * sum);
}
""",
    "SteelPair.metal": """// Two kernels, each in four combinations.
#ifdef STEEL_PORT_PRECOMPILE
#include <ATen/native/mps/kernels/SteelPair.h>

#define INSTANTIATE_PAIR(host, ...) \\
  template [[host_name(host)]] [[kernel]] decltype(pair<__VA_ARGS__>) pair<__VA_ARGS__>;
#define INSTANTIATE_PAIRS(host, ...) \\
  INSTANTIATE_PAIR(host "_fl0_wb0", __VA_ARGS__, false, false) \\
  INSTANTIATE_PAIR(host "_fl0_wb1", __VA_ARGS__, false, true) \\
  INSTANTIATE_PAIR(host "_fl1_wb0", __VA_ARGS__, true, false) \\
  INSTANTIATE_PAIR(host "_fl1_wb1", __VA_ARGS__, true, true)

INSTANTIATE_PAIRS("steel_pair_float32", float, 4)
INSTANTIATE_PAIRS("steel_pair_float16", half, 8)
#endif // STEEL_PORT_PRECOMPILE
""",
}


@dataclass(frozen=True)
class Minimal:
    """The pair as the rings see it."""

    sources: Sources
    corpus: Corpus
    family: Family
    target: Target
    overlay_root: Path

    def mutate(self, file: str, old: str, new: str) -> None:
        """Replace `old`, which must stand in `file` exactly once, in the port."""
        path = self.overlay_root / "pytorch" / self.target.source_root / self.target.kernels / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))


def make_sources(texts: dict[str, str]) -> Sources:
    files = {path: SourceFile(path, text, sha256(text.encode())) for path, text in texts.items()}
    pinned = tuple(PinnedFile(path, len(text.encode()), sha256(text.encode())) for path, text in sorted(texts.items()))
    return Sources(Pin("0" * 40, None, "dir", Coverage.HEADERS, pinned), Path("unused"), files)


def make_family(template: Family) -> Family:
    """The pair's family; what no ring but outputs reads is left as in `template`."""
    return dataclasses.replace(
        template,
        name="steel_pair",
        kernel=f"{K}/pair/kernels/steel_pair.h",
        preamble=("metal_stdlib_using", f"{K}/pair/params.h", f"{K}/pair/loader.h"),
        table=f"{K}/pair/kernels/steel_pair.metal",
        template="pair",
        params=("mlx::steel::PairParams",),
        grammar="steel_pair_{dtype}",
        axes={"dtype": ({"dtype": "float32", "T": "float", "W": 4}, {"dtype": "float16", "T": "half", "W": 8})},
        template_arguments=("T", "W"),
        constants=(Constant("flip", 3, "template", "fl"), Constant("with_bias", 5, "template", "wb")),
        excluded=(),
        arguments=(
            ArgumentRole("A", 0, "input", None, None),
            ArgumentRole("B", 1, "input", "with_bias", "the output tensor"),
            ArgumentRole("D", 2, "output", None, None),
            ArgumentRole("params", 3, "params", None, None),
        ),
    )


def make_params() -> ParamsStruct:
    where = Location(f"{K}/pair/params.h", 1)
    rows = (("count", "int", 0, 4), ("stride", "int", 4, 4), ("offset", "int64_t", 8, 8), ("scale", "float", 16, 4))
    return ParamsStruct("mlx::steel::PairParams", tuple(Field(*row, where) for row in rows), 24, 8, where)


@pytest.fixture
def minimal(tmp_path: Path, families: tuple[Family, ...]) -> Minimal:
    family = make_family(families[0])
    texts = {**UPSTREAM, "metal_stdlib_using": "#pragma once\nusing namespace metal;\n"}
    sources = make_sources(texts)
    target = load_target()
    kernels = tmp_path / "pytorch" / target.source_root / target.kernels
    kernels.mkdir(parents=True)
    for name, text in PORT.items():
        (kernels / name).write_text(text)
    corpus = Corpus(sources.pin, (), (), (), {}, (), (make_params(),), (), family.instantiations())
    return Minimal(sources, corpus, family, target, tmp_path)


@pytest.fixture
def silent() -> Callable[..., None]:
    return lambda *_: None


@pytest.fixture(scope="session")
def library() -> Path:
    """Apple's compiled library of the pinned release, from the registry's wheel."""
    from porter.upstream.providers.wheel import metallib_of

    return metallib_of("v0.30.1")
