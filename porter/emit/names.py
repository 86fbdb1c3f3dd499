# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What things are called in the overlay: files, namespaces, kernels, template arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from porter.errors import EmitError
from porter.model import Instantiation, KernelTemplate
from porter.port.constants import defined
from porter.port.target import KERNELS_ROOT, Target, camel_case
from porter.spec import Family, Value, spell

Templates = Mapping[str, KernelTemplate]
"""A family's kernels by name."""


def overlay_name(family: Family) -> str:
    """`SteelGemmFused`: what the overlay's files of a family are called."""
    return camel_case(family.table or f"{KERNELS_ROOT}/{family.name}.metal").removesuffix(".metal")


def namespace(family: Family, target: Target) -> str:
    """Where the family's host tables stand: `at::native::mps::steel::attention`, `at::native::mps::mlx::softmax`."""
    root = "::".join(target.namespaces["mlx"])
    if family.name.startswith("steel_"):
        return f"{root}::steel::{family.name.removeprefix('steel_')}"
    return f"{root}::mlx::{family.name}"


def guard(family: Family) -> str:
    """The macro that asks for the family's kernels in a metallib. Where macros give constants their values it is the
    family's own, since one library holds one value of each."""
    return f"STEEL_PORT_PRECOMPILE_{family.name.upper()}" if defined(family) else "STEEL_PORT_PRECOMPILE"


def ported_argument(argument: str, target: Target) -> str:
    """A template argument under the target's names: `bfloat16_t` becomes `bfloat`, in `ArgMin<bfloat16_t>` too."""
    return _replaced(argument, {**target.aliases, **target.renames})


def instantiation(host_name: str, kernel: str, arguments: Sequence[str]) -> str:
    """The line that instantiates a kernel. Empty for a plain function (no arguments), which its definition makes."""
    if not arguments:
        return ""
    function = f"{kernel}<{', '.join(arguments)}>"
    return f'template [[host_name("{host_name}")]] [[kernel]] decltype({function}) {function};\n'


def full_arguments(family: Family, row: Instantiation, templates: Templates) -> tuple[str, ...]:
    """The row's template arguments, upstream's names. Where the kernel gets constants as parameters too, which stand
    behind the others, arguments that the row leaves to their defaults are written out.

    Raises EmitError where the row leaves out an argument that has no default.
    """
    if not any(constant.lower == "template" for constant in family.constants_of(row.template)):
        return row.arguments
    parameters = templates[row.template].parameters
    out = dict(zip((parameter.name for parameter in parameters), row.arguments, strict=False))
    for parameter in parameters[len(row.arguments) :]:
        if parameter.default is None:
            raise EmitError(
                f"{row.host_name} leaves the template argument {parameter.name} of {row.template} open",
                where=str(row.origin),
                expected="an argument, or a default in upstream's template",
                next_step=f"compare specs/{family.path} with upstream's table",
            )
        out[parameter.name] = _replaced(parameter.default, out)
    return tuple(out.values())


def _replaced(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda word: names.get(word[0], word[0]), text)


def constant_values(family: Family, kernel: str, combination: Mapping[str, Value]) -> tuple[str, ...]:
    """The template arguments that one combination of the constants becomes, in the order of the parameters."""
    return tuple(spell(combination[c.name]) for c in family.constants_of(kernel) if c.lower == "template")


def template_combinations(family: Family, kernel: str) -> tuple[Mapping[str, Value], ...]:
    """The combinations of the kernel's constants that differ in a template argument: what a table instantiates.

    One, which says nothing, where no constant becomes a template argument.
    """
    if not any(constant.lower == "template" for constant in family.constants_of(kernel)):
        return ({},)
    by_suffix = {family.suffix(kernel, combination): combination for combination in family.combinations(kernel)}
    return tuple(by_suffix.values())


def ported_host_names(
    family: Family, rows: Iterable[Instantiation], templates: Templates
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Ported host name -> (upstream host name, template arguments with the constants' values behind them).

    Arguments have upstream's names. Combinations that differ in macros only share a host name.
    """
    out = {}
    for row in rows:
        arguments = full_arguments(family, row, templates)
        for combination in template_combinations(family, row.template):
            values = constant_values(family, row.template, combination)
            out[row.host_name + family.suffix(row.template, combination)] = (row.host_name, arguments + values)
    return out
