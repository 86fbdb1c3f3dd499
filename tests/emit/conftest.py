# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Small families of our own, ported and emitted without a compiler: what the overlay of any family looks like."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from porter.emit import emit
from porter.model import (
    Corpus,
    Coverage,
    Instantiation,
    KernelTemplate,
    Location,
    Notice,
    Overlay,
    Pin,
    PinnedFile,
    SourceFile,
    Sources,
    TemplateParameter,
    sha256,
)
from porter.port import port
from porter.port.target import load_target
from porter.spec import Constant, Exclusion, Family, Kernel

K = "mlx/backend/metal/kernels/"
LICENSE = "Permission is hereby granted, free of charge, to any person obtaining a copy\n"

FILES = {
    "LICENSE": LICENSE,
    K + "base.h": "// Copyright 1999 Somebody ©\n#pragma once\n#include <metal_stdlib>\ntypedef bfloat bfloat16_t;\n",
    K + "scale.h": "constant bool flag [[function_constant(7)]];\nconstant bool other [[function_constant(8)]];\n"
    "template <typename T, int N = 4, typename U = pair<T, N>>\n[[kernel]] void scale(device T* x [[buffer(0)]]) {\n"
    "  if (flag && other) x[0] = T(0);\n}\ntemplate <typename T>\n[[kernel]] void shift(device T* x) {\n}\n",
    K + "turn.metal": '#include "mlx/backend/metal/kernels/base.h"\nconstant int steps_ [[function_constant(3)]];\n'
    "int twice() {\n  return 2 * steps_;\n}\n"
    "[[kernel]] void turn(device int* x [[buffer(0)]]) {\n  x[0] = twice();\n}\n"
    "template <typename T>\n[[kernel]] void twist(device T* x [[buffer(0)]]) {\n  x[0] = T(twice());\n}\n"
    '#define twists(t) instantiate_kernel("twist_" #t, twist, t)\ntwists(float)\n',
}


def family(name: str, sources: tuple[str, ...], **fields: Any) -> Family:
    values: dict[str, Any] = {
        "name": name,
        "title": f"The family {name}",
        "path": f"families/{name}.yaml",
        "digest": "0" * 64,
        "operators": (),
        "copyright": ("Copyright 1999 Somebody",),
        "licence": "MIT",
        "sources_of_kernels": tuple(K + path for path in sources),
        "preamble": (K + "base.h",),
        "table": K + f"{name}.metal",
        "tiles": None,
        "cases": None,
        "lines": {},
    }
    empty: dict[str, Any] = {field.name: () for field in dataclasses.fields(Family)}
    return Family(**{**empty, **values, **fields})


SCALE = family(
    "scale",
    ("scale.h",),
    kernels=(Kernel("scale", ()), Kernel("shift", ()), Kernel("later", (), on_demand=True)),
    constants=(
        Constant("flag", 7, "template", "fl", "bool", ("scale",)),
        Constant("other", 8, "template", "ot", "bool", ("scale",)),
    ),
    excluded=(Exclusion({"flag": True, "other": False}, "nobody asks for it"),),
)
TURN = family(
    "turn",
    ("turn.metal",),
    kernels=(Kernel("turn", ()), Kernel("twist", ())),
    constants=(Constant("steps_", 3, "define", "", "int", ("turn", "twist")),),
)
FAMILIES = (SCALE, TURN)

_T = TemplateParameter("typename", "T", None)
_N = TemplateParameter("int", "N", "4")
_U = TemplateParameter("typename", "U", "pair<T, N>")


def _template(name: str, owner: str, *parameters: TemplateParameter) -> KernelTemplate:
    place = Location(K + f"{owner}.h", 1)
    return KernelTemplate(name, parameters, (), None, place, place, owner)


TEMPLATES = (
    _template("scale", "scale", _T, _N, _U),
    _template("shift", "scale", _T),
    _template("later", "scale", _T),
    _template("turn", "turn"),
    _template("twist", "turn", _T),
)


def _row(name: str, kernel: str, owner: str, *arguments: str) -> Instantiation:
    return Instantiation(name, kernel, arguments, Location(K + f"{owner}.metal", 9), owner)


ROWS = (
    _row("scale_f32", "scale", "scale", "float"),
    _row("scale_bf16", "scale", "scale", "bfloat16_t", "8"),
    _row("shift_c64", "shift", "scale", "complex64_t"),
    _row("turn", "turn", "turn"),
    _row("twist_float", "twist", "turn", "float"),
)


def sources_of(files: dict[str, str]) -> Sources:
    pinned = tuple(PinnedFile(path, len(text.encode()), sha256(text.encode())) for path, text in sorted(files.items()))
    pin = Pin("0" * 40, None, "test", Coverage.FULL, pinned)
    return Sources(pin, Path(), {p: SourceFile(p, text, sha256(text.encode())) for p, text in files.items()})


def overlay_of(files: dict[str, str], families: tuple[Family, ...] = FAMILIES) -> Overlay:
    sources = sources_of(files)
    paths = tuple(sorted(path for path in files if path.startswith(K)))
    notices = {path: Notice(("Copyright 1999 Somebody",), "MIT", False, Location(path, 1)) for path in paths}
    corpus = Corpus(sources.pin, paths, (), (), notices, TEMPLATES, (), (), ROWS)
    target = load_target()
    return emit(port(corpus, sources, families, target), sources, families, target)


@pytest.fixture(scope="session")
def overlay() -> dict[str, str]:
    """Path below pytorch/aten/src/ATen/native/mps -> text."""
    prefix = "pytorch/aten/src/ATen/native/mps/"
    return {file.path.removeprefix(prefix): file.text for file in overlay_of(FILES).files}
