# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a function constant that is lowered to a macro (`lower: define` in a family's YAML).

Upstream's `constant bool has_w [[function_constant(20)]];` is `constexpr constant bool has_w = STEEL_PORT_HAS_W;` in
the port. Whoever compiles the source defines the macros: `definitions` says how.
"""

from __future__ import annotations

from collections.abc import Mapping

from porter.spec import Constant, Family, Value

PREFIX = "STEEL_PORT_"


def macro_name(name: str) -> str:
    """The macro that gives the constant `name` its value.

    >>> macro_name("elems_per_thread_")
    'STEEL_PORT_ELEMS_PER_THREAD'
    """
    return PREFIX + name.rstrip("_").upper()


def defined(family: Family) -> tuple[Constant, ...]:
    """The family's constants that macros give their values, in the YAML's order."""
    return tuple(constant for constant in family.constants if constant.lower == "define")


def macros(family: Family) -> tuple[str, ...]:
    """The macros that the family's source expects, in the YAML's order."""
    return tuple(macro_name(constant.name) for constant in defined(family))


def definitions(family: Family, kernel: str, combination: Mapping[str, Value]) -> str:
    """The `#define` lines for one combination of `kernel`: one for each macro that the family's source expects.

    A constant that does not reach the kernel is false or 0: it has to have a value, and nothing reads it.
    """
    reaching = {constant.name for constant in family.constants_of(kernel)}
    lines = []
    for constant in defined(family):
        value = combination[constant.name] if constant.name in reaching else 0
        spelled = str(bool(value)).lower() if constant.type == "bool" else str(value)
        lines.append(f"#define {macro_name(constant.name)} {spelled}\n")
    return "".join(lines)
