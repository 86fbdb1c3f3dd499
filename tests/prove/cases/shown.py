# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Params structs as Apple's compiled kernels show them, for tests that have no source of upstream."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from porter.metal import air
from porter.model import Field, Location, ParamsStruct

HERE = Location("mlx.metallib", 1)


def shown_structs(path: Path, kernels: Mapping[str, str]) -> dict[str, ParamsStruct]:
    """The structs that `kernels` of the library take, by name without namespaces.

    The values are what Apple's compiler does not say of a template: `<2>` of MLXConvParams<2>.
    """
    functions = {one.name: one for one in air.functions(path) if one.name in kernels}
    found = {}
    for name, suffix in kernels.items():
        for argument in air.kernel(air.bitcode(path, functions[name])).arguments:
            if argument.fields:
                struct = argument.type.rpartition("::")[2]
                struct += suffix if struct == "MLXConvParams" else ""
                fields = tuple(
                    Field(
                        one.name,
                        f"{one.type}[{one.array_length}]" if one.array_length else one.type,
                        one.offset,
                        one.size * max(one.array_length, 1),
                        HERE,
                    )
                    for one in argument.fields
                )
                found[struct] = ParamsStruct(struct, fields, argument.size, argument.align, HERE)
    return found
