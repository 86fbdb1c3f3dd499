# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Two small kernel libraries of our own with everything the rings look at, and ports of them written by hand.

`minimal`: a template in a header, two params fields of each kind, constants lowered to template parameters. `plain`: a
template and a plain kernel in a `.metal` file, constants lowered to macros, an integer among them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from porter.metal.frontend import parse
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
from porter.parse.declarations import kernel_templates
from porter.port.target import load_target
from porter.prove.case import Case
from porter.spec import ArgumentRole, Constant, Family, Kernel, NameTable, Sample

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


M = "mlx/backend/metal/kernels"

PLAIN_UPSTREAM = {
    "LICENSE": "Our own test, under our own licence.\n",
    f"{M}/ramp.metal": """constant bool negate [[function_constant(7)]];
constant int steps_ [[function_constant(9)]];
float turned(float x) { return negate ? -x : x; }
[[kernel]] void ramp(
    const device float* in [[buffer(0)]],
    device float* out [[buffer(1)]],
    uint i [[thread_position_in_grid]]) {
  float x = in[i];
  for (int step = 0; step < steps_; ++step) {
    x += turned(in[i + step]);
  }
  out[i] = x;
}
template <typename T>
[[kernel]] void shift(
    const device T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = T(turned(float(in[i])));
}
#define instantiate_shift(name, type) \\
  template [[host_name("shift_" #name)]] [[kernel]] decltype(shift<type>) shift<type>;
instantiate_shift(float32, float)
instantiate_shift(float16, half)
""",
}

PLAIN_PORT = {
    "MlxRamp.h": """#pragma once
using namespace metal;
constexpr constant bool negate = STEEL_PORT_NEGATE;
constexpr constant int steps_ = STEEL_PORT_STEPS;
float turned(float x) { return negate ? -x : x; }
[[kernel]] void ramp(
    const device float* in [[buffer(0)]],
    device float* out [[buffer(1)]],
    uint i [[thread_position_in_grid]]) {
  float x = in[i];
  for (int step = 0; step < steps_; ++step) {
    x += turned(in[i + step]);
  }
  out[i] = x;
}
template <typename T>
[[kernel]] void shift(
    const device T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = T(turned(float(in[i])));
}
""",
    "MlxRamp.metal": """#ifdef STEEL_PORT_PRECOMPILE_RAMP
#include <ATen/native/mps/kernels/MlxRamp.h>

#define INSTANTIATE_SHIFT(host, ...) \\
  template [[host_name(host)]] [[kernel]] decltype(shift<__VA_ARGS__>) shift<__VA_ARGS__>;
INSTANTIATE_SHIFT("shift_float32", float)
INSTANTIATE_SHIFT("shift_float16", half)
#endif // STEEL_PORT_PRECOMPILE_RAMP
""",
}


@dataclass(frozen=True)
class Minimal:
    """A library of our own as the rings see it."""

    case: Case

    def mutate(self, file: str, old: str, new: str) -> None:
        """Replace `old`, which must stand in `file` exactly once, in the port."""
        path = self.kernels / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))

    @property
    def kernels(self) -> Path:
        target = self.case.target
        return self.case.overlay_root / "pytorch" / target.source_root / target.kernels

    def with_upstream(self, path: str, old: str, new: str) -> Case:
        """The case with another upstream, whose pin agrees with it."""
        texts = {name: file.text for name, file in self.case.sources.files.items()}
        assert texts[path].count(old) == 1
        texts[path] = texts[path].replace(old, new)
        return dataclasses.replace(self.case, sources=make_sources(texts))

    def with_family(self, **changes: object) -> Case:
        return dataclasses.replace(self.case, family=dataclasses.replace(self.case.family, **changes))


def make_sources(texts: dict[str, str]) -> Sources:
    files = {path: SourceFile(path, text, sha256(text.encode())) for path, text in texts.items()}
    pinned = tuple(PinnedFile(path, len(text.encode()), sha256(text.encode())) for path, text in sorted(texts.items()))
    return Sources(Pin("0" * 40, None, "dir", Coverage.HEADERS, pinned), Path("unused"), files)


def make_family(name: str, **fields: object) -> Family:
    """A family that has nothing but `fields`."""
    empty: dict[str, object] = {
        **{field.name: () for field in dataclasses.fields(Family)},
        "name": name,
        "title": name,
        "path": f"families/{name}.yaml",
        "digest": "0" * 64,
        "operators": (),
        "copyright": (),
        "licence": "MIT",
        "preamble": (),
        "table": None,
        "hosts": (),
        "params": (),
        "constants": (),
        "excluded": (),
        "samples": (),
        "requests": (),
        "formats": (),
        "tiles": None,
        "cases": None,
        "tolerances": (),
        "shapes": (),
        "lines": {},
    }
    return Family(**{**empty, **fields})


PAIR = make_family(
    "steel_pair",
    sources_of_kernels=(f"{K}/pair/kernels/steel_pair.h",),
    preamble=("metal_stdlib_using", f"{K}/pair/params.h", f"{K}/pair/loader.h"),
    table=f"{K}/pair/kernels/steel_pair.metal",
    params=("mlx::steel::PairParams",),
    kernels=(
        Kernel(
            "pair",
            (
                ArgumentRole("A", 0, "input", None, None),
                ArgumentRole("B", 1, "input", "with_bias", "the output tensor"),
                ArgumentRole("D", 2, "output", None, None),
                ArgumentRole("params", 3, "params", None, None),
            ),
        ),
    ),
    tables=(
        NameTable(
            "pair",
            "steel_pair_{dtype}",
            {"dtype": ({"dtype": "float32", "T": "float", "W": 4}, {"dtype": "float16", "T": "half", "W": 8})},
            ("T", "W"),
        ),
    ),
    constants=(
        Constant("flip", 3, "template", "fl", "bool", ("pair",)),
        Constant("with_bias", 5, "template", "wb", "bool", ("pair",)),
    ),
)

_IN_AND_OUT = (ArgumentRole("in", 0, "input", None, None), ArgumentRole("out", 1, "output", None, None))

RAMP = make_family(
    "ramp",
    sources_of_kernels=(f"{M}/ramp.metal",),
    table=f"{M}/ramp.metal",
    kernels=(Kernel("ramp", _IN_AND_OUT), Kernel("shift", _IN_AND_OUT)),
    tables=(
        NameTable("ramp", "ramp", {}, ()),
        NameTable(
            "shift",
            "shift_{dtype}",
            {"dtype": ({"dtype": "float32", "T": "float"}, {"dtype": "float16", "T": "half"})},
            ("T",),
        ),
    ),
    constants=(
        Constant("negate", 7, "define", "", "bool", ("ramp", "shift")),
        Constant("steps_", 9, "define", "", "int", ("ramp",)),
    ),
    samples=(
        Sample(("ramp",), {"negate": False, "steps_": 3}, "a ramp of 3"),
        Sample(("ramp",), {"negate": True, "steps_": 5}, "a ramp of 5, turned"),
    ),
)


def make_params() -> ParamsStruct:
    where = Location(f"{K}/pair/params.h", 1)
    rows = (("count", "int", 0, 4), ("stride", "int", 4, 4), ("offset", "int64_t", 8, 8), ("scale", "float", 16, 4))
    return ParamsStruct("mlx::steel::PairParams", tuple(Field(*row, where) for row in rows), 24, 8, where)


def make_case(folder: Path, family: Family, upstream: dict[str, str], port: dict[str, str]) -> Minimal:
    sources, target = make_sources(upstream), load_target()
    main = "".join(f'#include "{path}"\n' for path in (*family.preamble, *family.sources_of_kernels))
    unit = parse(main, upstream, skip_bodies=True)
    params = (make_params(),) if family.params else ()
    templates = kernel_templates(unit, upstream, family.name)
    corpus = Corpus(sources.pin, (), (), (), {}, templates, params, (), family.instantiations())
    made = Minimal(Case(sources, corpus, (family,), family, folder, target, 1, lambda *_: None))
    made.kernels.mkdir(parents=True)
    for name, text in port.items():
        (made.kernels / name).write_text(text)
    return made


@pytest.fixture
def minimal(tmp_path: Path) -> Minimal:
    return make_case(tmp_path, PAIR, {**UPSTREAM, "metal_stdlib_using": "#pragma once\nusing namespace metal;\n"}, PORT)


@pytest.fixture
def plain(tmp_path: Path) -> Minimal:
    return make_case(tmp_path / "plain", RAMP, PLAIN_UPSTREAM, PLAIN_PORT)


@pytest.fixture
def silent() -> Callable[..., None]:
    return lambda *_: None


@pytest.fixture(scope="session")
def library() -> Path:
    """Apple's compiled library of the pinned release, from the registry's wheel."""
    from porter.upstream.providers.wheel import metallib_of

    return metallib_of("v0.30.1")


@pytest.fixture(scope="session")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """MLX's fused GEMM, ported from the registry's wheel alone by the code under test."""
    from porter.parse.corpus import read_corpus
    from porter.spec import load_families
    from porter.walk import Request, synchronise

    root = tmp_path_factory.mktemp("fused")
    families = load_families(["steel_gemm_fused"])
    made = synchronise(Request(root, "v0.30.1", None, "wheel", ("steel_gemm_fused",)), lambda *_: None)
    corpus = read_corpus(made.sources, families)
    return Case(made.sources, corpus, families, families[0], root / "generated", load_target(), 1, lambda *_: None)
