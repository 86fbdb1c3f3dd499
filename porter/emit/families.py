# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The files that every family has: its instantiations, its host table, its source for compilation at run time.

They are written as they shall stand: a table of thousands of rows is nothing for clang-format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from porter.emit.flatten import flatten, included
from porter.emit.licences import flattened_heading
from porter.emit.names import (
    Templates,
    constant_values,
    full_arguments,
    guard,
    namespace,
    overlay_name,
    ported_argument,
    template_combinations,
)
from porter.emit.rendering import heading, render
from porter.model import Instantiation, Port
from porter.port.constants import macro_name, macros
from porter.port.target import Target
from porter.spec import Constant, Family


@dataclass(frozen=True)
class FamilyFiles:
    """What is emitted of one family.

    `sources` are those of its sources of kernels that were ported: a wheel lacks some. `kernels` and `operations` are
    the folders, from the overlay's root.
    """

    port: Port
    family: Family
    target: Target
    sources: tuple[str, ...]
    kernels: str
    operations: str

    @cached_property
    def rows(self) -> list[Instantiation]:
        """By name, so that the order in which a provider lets us find them leaves no trace."""
        rows = (row for row in self.port.corpus.instantiations if row.family == self.family.name)
        return sorted((row for row in rows if row.template in self.templates), key=lambda row: row.host_name)

    @cached_property
    def templates(self) -> Templates:
        return {one.name: one for one in self.port.corpus.templates if one.family == self.family.name}

    @property
    def restated(self) -> tuple[str, ...]:
        """Which of upstream's values the tables hold."""
        return (f"{self.family.table}, the instantiations",) if self.family.table and self.rows else ()

    def values(self) -> dict[str, Any]:
        """What every template may use."""
        return {
            "name": overlay_name(self.family),
            "title": self.family.title,
            "namespace": namespace(self.family, self.target),
            "macros": macros(self.family),
            "guard": guard(self.family),
            "headers": [self.target.header(path) for path in self.sources],
        }

    def instantiations(self) -> tuple[str, str]:
        """kernels/<Name>.metal: its path and text."""
        plain = [name for name in self._names if not self.templates[name].parameters]
        kernels = self._kernels(without=plain)
        count = len(plain) + sum(len(k["rows"]) * max(len(k["combinations"]), 1) for k in kernels)
        text = render(
            "FamilyInstantiations.metal.j2",
            self.values(),
            heading=heading(self.port.corpus.pin.revision, self.family, self.restated),
            plain=plain,
            kernels=kernels,
            count=count,
        )
        return f"{self.kernels}/{overlay_name(self.family)}.metal", text

    def table(self) -> tuple[str, str]:
        """operations/<Name>Table.h: its path and text."""
        rows = [(_quoted(row.host_name), _quoted(row.template), _quoted(self.arguments(row))) for row in self.rows]
        text = render(
            "FamilyTable.h.j2",
            self.values(),
            heading=heading(self.port.corpus.pin.revision, self.family, self.restated),
            rows=rows,
            constants=[_constant(constant) for constant in self.family.constants],
        )
        return f"{self.operations}/{overlay_name(self.family)}Table.h", text

    def source(self, headers: Mapping[str, str]) -> tuple[str, str]:
        """operations/<Name>Source.h: its path and text. `headers`: include path -> text, formatted."""
        roots = self.values()["headers"]
        used = included(roots, headers)
        text = render(
            "Source.h.j2",
            self.values(),
            heading=flattened_heading([headers[path] for path in used], self.port.corpus.pin.revision),
            source=flatten(roots, headers),
        )
        return f"{self.operations}/{overlay_name(self.family)}Source.h", text

    def arguments(self, row: Instantiation) -> str:
        """The row's template arguments as the emitted tables have them."""
        full = full_arguments(self.family, row, self.templates)
        return ", ".join(ported_argument(argument, self.target) for argument in full)

    @property
    def _names(self) -> list[str]:
        """The kernels that are at hand, in the YAML's order."""
        return [name for name in self.family.kernel_names if name in self.templates]

    def _kernels(self, without: list[str]) -> list[dict[str, Any]]:
        rows: dict[str, list[Instantiation]] = {name: [] for name in self._names if name not in without}
        for row in self.rows:
            if row.template in rows:
                rows[row.template].append(row)
        return [self._kernel(name, of_kernel) for name, of_kernel in rows.items()]

    def _kernel(self, name: str, rows: list[Instantiation]) -> dict[str, Any]:
        constants = [c.name for c in self.family.constants_of(name) if c.lower == "template"]
        combinations = template_combinations(self.family, name) if constants else ()
        return {
            "name": name,
            "macro": f"INSTANTIATE_{name.upper()}",
            "rows": [{"host_name": row.host_name, "arguments": self.arguments(row)} for row in rows],
            "constants": constants,
            "combinations": [
                {"suffix": self.family.suffix(name, c), "arguments": constant_values(self.family, name, c)}
                for c in combinations
            ],
        }


def _constant(constant: Constant) -> tuple[str, ...]:
    macro = macro_name(constant.name) if constant.lower == "define" else ""
    is_bool = "true" if constant.type == "bool" else "false"
    fields = (constant.name, constant.suffix, macro)
    return (*map(_quoted, fields), is_bool, _quoted(",".join(constant.kernels)))


def _quoted(text: str) -> str:
    return f'"{text}"'
