# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A family's kernels as Metal source that `porter.metal` can run: the port's, as the overlay has it, or upstream's own.

Many kernels share one text, so that one run of the compiler makes a whole chunk of them: `text` gives it and the values
of function constants that go with it, `host_name` what a kernel is called in it. Upstream's side serves who writes a
generator before there is a port, and tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from porter.emit.flatten import flatten
from porter.errors import ProofError
from porter.model import Instantiation, Sources, sha256
from porter.spec import Family, Value

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Text:
    """Self-contained Metal source that instantiates kernels, and the values of the function constants that it has."""

    source: str
    constants: tuple[tuple[str, Value], ...] = ()


class Runnable(Protocol):
    """One side's source. `digest` covers everything that its texts can be made of."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def text(self, kernel: str, combination: Values) -> Text:
        """The source that has all instantiations of `kernel` for these values of the family's constants."""

    def host_name(self, row: Instantiation, combination: Values) -> str:
        """What the kernel of `row` is called there."""


@dataclass(frozen=True)
class UpstreamSource:
    """Upstream's files as they stand, function constants and all."""

    family: Family
    base: str
    lines: str
    name: str = "upstream's source"

    @classmethod
    def of(cls, sources: Sources, family: Family, rows: Iterable[Instantiation]) -> UpstreamSource:
        """From upstream's own table where it is at hand, else from the headers and `rows`.

        Raises ProofError where the sources lack the kernels' bodies.
        """
        # `flatten` wants lines that end.
        texts = {path: f"{file.text.rstrip()}\n" for path, file in sources.files.items()}
        if family.table in texts:
            return cls(family, flatten(str(family.table), texts), "")
        missing = [path for path in family.sources_of_kernels if path not in texts]
        if missing:
            raise ProofError("the sources lack the kernels' bodies", where=missing[0])
        main = "".join(f'#include "{path}"\n' for path in (*family.preamble, *family.sources_of_kernels))
        lines = "".join(instantiation(row.host_name, row.template, row.arguments) for row in rows if row.arguments)
        return cls(family, flatten("main", {**texts, "main": main}), lines)

    @cached_property
    def digest(self) -> str:
        return sha256(f"{self.base}\0{self.lines}".encode())

    def text(self, kernel: str, combination: Values) -> Text:
        return Text(self.base + self.lines, tuple(sorted(combination.items())))

    def host_name(self, row: Instantiation, combination: Values) -> str:
        return row.host_name


def instantiation(host_name: str, template: str, arguments: Iterable[str]) -> str:
    """An explicit instantiation with a host name, as a line of Metal."""
    kernel = f"{template}<{', '.join(arguments)}>"
    return f'template [[host_name("{host_name}")]] [[kernel]] decltype({kernel}) {kernel};\n'
