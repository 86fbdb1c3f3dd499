# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A family's kernels as Metal source that `porter.metal` can run: the port's, as the overlay has it, or upstream's own.

Many kernels share one text, so that one run of the compiler makes a whole chunk of them. Upstream's side serves who
writes a generator before there is a port, and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from porter.emit.flatten import flatten
from porter.errors import ProofError
from porter.model import Instantiation, Sources, sha256
from porter.port.constants import definitions
from porter.spec import Family, Value

if TYPE_CHECKING:
    from porter.prove.case import Case

Values = Mapping[str, Value]
_MAIN = "main"


@dataclass(frozen=True)
class Text:
    """Metal source, and the values of the function constants that it has."""

    source: str
    constants: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Wanted:
    """One kernel: the text that declares it, what instantiates it there (nothing where the text does), its name."""

    text: Text
    line: str
    host_name: str


class Runnable(Protocol):
    """One side's source. `digest` covers everything that its texts can be made of."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def wanted(self, row: Instantiation, combination: Values) -> Wanted:
        """The kernel of `row` for these values of the family's constants. Raises ProofError where it is not there."""


@dataclass(frozen=True)
class PortSource:
    """The port: the overlay's headers in one text, behind the macros that its constants want, and its own table.

    `emitted`: the overlay's instantiations by host name, read from its .metal file.
    """

    family: Family
    base: str
    emitted: Mapping[str, Instantiation]
    name: str = "the port"

    @classmethod
    def of(cls, case: Case) -> PortSource:
        """From what stands in the overlay. Raises ProofError or EmitError where it lacks a file."""
        from porter.emit import flattened
        from porter.prove.sides import emitted_instantiations

        emitted = {row.host_name: row for row in emitted_instantiations(case)}
        return cls(case.family, flattened(case.overlay_root, case.target, case.family), emitted)

    @cached_property
    def digest(self) -> str:
        rows = [f"{row.host_name} {row.template} {row.arguments}" for row in self.emitted.values()]
        return sha256("\n".join([self.base, *sorted(rows)]).encode())

    def wanted(self, row: Instantiation, combination: Values) -> Wanted:
        name = row.host_name + self.family.suffix(row.template, combination)
        if name not in self.emitted:
            raise ProofError(f"the overlay has no kernel {name}", next_step="run `steel-port sync`")
        ported = self.emitted[name]
        text = Text(definitions(self.family, row.template, combination) + self.base)
        return Wanted(text, instantiation(name, ported) if ported.arguments else "", name)


@dataclass(frozen=True)
class UpstreamSource:
    """Upstream's files as they stand, function constants and all. `has_table`: the text instantiates its kernels."""

    family: Family
    base: str
    has_table: bool
    name: str = "upstream's source"

    @classmethod
    def of(cls, sources: Sources, family: Family) -> UpstreamSource:
        """With upstream's own table where it is at hand, else the headers.

        Raises ProofError where the sources lack the kernels' bodies.
        """
        # `flatten` wants lines that end.
        texts = {path: f"{file.text.rstrip()}\n" for path, file in sources.files.items()}
        if family.table in texts:
            return cls(family, flatten(str(family.table), texts), True)
        missing = [path for path in family.sources_of_kernels if path not in texts]
        if missing:
            raise ProofError("the sources lack the kernels' bodies", where=missing[0])
        main = "".join(f'#include "{path}"\n' for path in (*family.preamble, *family.sources_of_kernels))
        return cls(family, flatten(_MAIN, {**texts, _MAIN: main}), False)

    @cached_property
    def digest(self) -> str:
        return sha256(self.base.encode())

    def wanted(self, row: Instantiation, combination: Values) -> Wanted:
        line = "" if self.has_table or not row.arguments else instantiation(row.host_name, row)
        return Wanted(Text(self.base, tuple(sorted(combination.items()))), line, row.host_name)


def instantiation(host_name: str, row: Instantiation) -> str:
    """An explicit instantiation with a host name, as a line of Metal."""
    kernel = f"{row.template}<{', '.join(row.arguments)}>"
    return f'template [[host_name("{host_name}")]] [[kernel]] decltype({kernel}) {kernel};\n'
