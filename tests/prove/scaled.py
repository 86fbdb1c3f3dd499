# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A family of two small kernels of our own: its compiled library, written as AIR by hand, its port, its generator."""

from __future__ import annotations

import importlib.machinery
import types
from pathlib import Path
from typing import Any

import numpy as np

from porter.model import Field, Location, ParamsStruct
from porter.prove.compare_kernels import Job
from porter.prove.launch import Launch, Output
from porter.prove.runnable import PortSource
from porter.spec import ArgumentRole, Family, Kernel, NameTable, Tolerance
from tests.metal.metallib_writer import Function, bitcode, library

from .conftest import make_family

AIR = """
target datalayout = "e-p:64:64:64-i64:64:64"
{declared}define void @{name}(ptr addrspace(1) %0, ptr addrspace(1) %1, ptr addrspace(2) %2, i32 %3) {{
  %5 = zext i32 %3 to i64
  %6 = getelementptr inbounds {type}, ptr addrspace(1) %0, i64 %5
  %7 = load {type}, ptr addrspace(1) %6, align 4
  %8 = load i32, ptr addrspace(2) %2, align 4
{body}
  %11 = getelementptr inbounds {type}, ptr addrspace(1) %1, i64 %5
  store {type} %10, ptr addrspace(1) %11, align 4
  ret void
}}
!air.kernel = !{{!0}}
!air.version = !{{!10}}
!0 = !{{ptr @{name}, !1, !2}}
!1 = !{{}}
!2 = !{{!20, !21, !22, !23}}
!6 = !{{i32 0, i32 4, i32 0, !"int", !"step"}}
!10 = !{{i32 2, i32 7, i32 0}}
!20 = !{{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1,
  !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"{word}",
  !"air.arg_name", !"in"}}
!21 = !{{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 1,
  !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"{word}",
  !"air.arg_name", !"out"}}
!22 = !{{i32 2, !"air.buffer", !"air.location_index", i32 2, i32 1, !"air.read", !"air.address_space", i32 2,
  !"air.struct_type_info", !6, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4,
  !"air.arg_type_name", !"Step", !"air.arg_name", !"p"}}
!23 = !{{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}}
"""
INTEGER = AIR.format(
    name="scale_int32",
    type="i32",
    word="int",
    declared="",
    body="  %9 = mul i32 %7, 3\n  %10 = add i32 %9, %8",
)
FLOAT = AIR.format(
    name="scale_float32",
    type="float",
    word="float",
    declared="declare float @air.exp.f32(float)\n",
    body="  %9 = sitofp i32 %8 to float\n  %e = call float @air.exp.f32(float %7)\n  %10 = fadd float %e, %9",
)

PORT = {
    "MlxScale.h": """#pragma once
#include <metal_stdlib>
using namespace metal;
struct Step {
  int step;
};
inline int turned(int x) { return x * 3; }
inline float turned(float x) { return exp(x); }
template <typename T>
[[kernel]] void scale(
    const device T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    const constant Step& p [[buffer(2)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = turned(in[i]) + T(p.step);
}
""",
    "MlxScale.metal": """#ifdef STEEL_PORT_PRECOMPILE
#include <ATen/native/mps/kernels/MlxScale.h>
#define INSTANTIATE_SCALE(host, ...) \\
  template [[host_name(host)]] [[kernel]] decltype(scale<__VA_ARGS__>) scale<__VA_ARGS__>;
INSTANTIATE_SCALE("scale_float32", float)
INSTANTIATE_SCALE("scale_int32", int)
#endif // STEEL_PORT_PRECOMPILE
""",
}
UPSTREAM = {"LICENSE": "Ours.\n", "mlx/backend/metal/kernels/scale.h": PORT["MlxScale.h"]}

_ROLES = (
    ArgumentRole("in", 0, "input", None, None),
    ArgumentRole("out", 1, "output", None, None),
    ArgumentRole("p", 2, "params", None, None),
)
FAMILY: Family = make_family(
    "scale",
    sources_of_kernels=("mlx/backend/metal/kernels/scale.h",),
    table="mlx/backend/metal/kernels/scale.metal",
    kernels=(Kernel("scale", _ROLES),),
    tables=(
        NameTable(
            "scale",
            "scale_{dtype}",
            {"dtype": ({"dtype": "float32", "T": "float"}, {"dtype": "int32", "T": "int"})},
            ("T",),
        ),
    ),
    cases="scaled_of_a_test",
    tolerances=(Tolerance(("float32",), 1e-6, 1e-6, "a unit in the last place of exp, and the sum's rounding"),),
)
_WHERE = Location("mlx/backend/metal/kernels/scale.h", 4)
STRUCTS = {"Step": ParamsStruct("Step", (Field("step", "int", 0, 4, _WHERE),), 4, 4, _WHERE)}


def generator(**changes: Any) -> types.ModuleType:
    """The family's generator; `changes` replace its functions."""
    name = "porter.prove.cases.scaled_of_a_test"
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=__file__)

    def launches(request: Any) -> Any:
        dtype = np.float32 if request.row.host_name.endswith("float32") else np.int32
        for size in (70, 5):
            values = (request.rng().standard_normal(size) * 4).astype(dtype)
            out = np.full(size, -7, dtype)
            step = request.struct("Step", step=2)
            yield Launch(
                f"n {size}", {0: values, 1: out, 2: step}, (size, 1, 1), (32, 1, 1), (Output(1, dtype.__name__),)
            )

    def expected(request: Any, launch: Any) -> Any:
        values = launch.buffers[0]
        if values.dtype == np.int32:
            return {1: values * 3 + 2}
        return {1: np.exp(values.astype(np.float64)) + 2}

    module.__dict__.update(launches=launches, expected=expected, WITNESS="numpy, float64")
    module.__dict__.update(changes)
    return module


def write_library(folder: Path, integer: str = INTEGER, floating: str = FLOAT) -> Path:
    """The compiled library of the two kernels."""
    path = folder / "scale.metallib"
    functions = [Function("scale_float32", bitcode(floating)), Function("scale_int32", bitcode(integer))]
    path.write_bytes(library(functions))
    return path


def port_source(port: dict[str, str] | None = None) -> PortSource:
    """The port's text, without an overlay on disk."""
    text = (port or PORT)["MlxScale.h"].replace("#pragma once\n", "")
    return PortSource(FAMILY, text, {row.host_name: row for row in FAMILY.instantiations()})


def job(folder: Path, port: dict[str, str] | None = None, **changes: Any) -> Job:
    """The two kernels to compare; `changes` replace fields."""
    rows = tuple(sorted(FAMILY.instantiations(), key=lambda row: row.host_name))
    fields: dict[str, Any] = {
        "family": FAMILY,
        "rows": rows,
        "thorough": frozenset(),
        "structs": STRUCTS,
        "library": write_library(folder),
        "source": port_source(port),
    }
    return Job(**{**fields, **changes})
