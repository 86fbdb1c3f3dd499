# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The noun Family: what a person decides about some kernels, as parse, port, emit and prove read it.

porter/spec.py makes it from a YAML of specs/families.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from porter.model import Instantiation, Location, Sources

Value = str | int | bool
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Constant:
    """How one function constant is lowered.

    `template` makes it a template parameter of the kernels that read it, and a suffix of their host names; `define`
    makes it a `constexpr` whose value a macro gives when the source is compiled (where helper functions or structs read
    it). `type` is `bool` or `int`. `kernels` are those that it reaches; for the others it does not exist.
    """

    name: str
    index: int
    lower: str
    suffix: str
    type: str
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Exclusion:
    """A combination of constants that the host never asks for, and why. `kernels`: which it concerns; empty for all."""

    constants: Mapping[str, Value]
    reason: str
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Lines of upstream's host code (first and last, from 1) that a person read, and their SHA-256: where they change,
    `what` rests on them has to be thought over."""

    file: str
    lines: tuple[int, int]
    sha256: str
    what: str


@dataclass(frozen=True)
class Sample:
    """Values of all constants of some kernels that upstream's planner yields, and for what (`of`)."""

    kernels: tuple[str, ...]
    constants: Mapping[str, Value]
    of: str


@dataclass(frozen=True)
class ArgumentRole:
    """What one kernel argument means to the host. `dummy` says what is bound where `gate` is false."""

    name: str
    slot: int
    role: str
    gate: str | None
    dummy: str | None


@dataclass(frozen=True)
class Kernel:
    """One kernel (a template, or a plain function) that the family owns, and what its buffers mean.

    `on_demand`: upstream instantiates it at run time only, so no table names it.
    """

    name: str
    arguments: tuple[ArgumentRole, ...]
    on_demand: bool = False


@dataclass(frozen=True)
class Predicate:
    """A condition of the tile table: as upstream writes it, and as the glue evaluates it."""

    name: str
    upstream: str
    cpp: str


@dataclass(frozen=True)
class TileRow:
    """One way through upstream's tile selection. `device`: letters that share it, or `other`. First match wins."""

    device: str
    when: tuple[str, ...]
    tile: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Tiles:
    """MLX's tile selection as values. `tile` and `default` are (bm, bn, bk, wm, wn)."""

    predicates: tuple[Predicate, ...]
    default: tuple[int, int, int, int, int]
    swizzle_log: int
    rows: tuple[TileRow, ...]


@dataclass(frozen=True)
class NameTable:
    """Some host names of one kernel: every combination of the axes.

    `axes` holds rows of columns; `grammar` (a format string) and `arguments` use the columns' names. An argument that
    is no column stands for itself. A plain function has no arguments.
    """

    kernel: str
    grammar: str
    axes: Mapping[str, tuple[Values, ...]]
    arguments: tuple[str, ...]

    def rows(self) -> Iterator[dict[str, Value]]:
        """Every combination of the axes, as the names and values that `grammar` and `arguments` may use."""
        for picked in itertools.product(*self.axes.values()):
            row: dict[str, Value] = {}
            for values in picked:
                row.update(values)
            yield row


@dataclass(frozen=True)
class Request:
    """A kernel whose text upstream's host code formats when it is asked for it.

    `string` is the format string's name in `file`, `values` what stands for its `{0}`, `{1}`, ... in that order.
    """

    host_name: str
    file: str
    string: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Format:
    """How requests of one format string are spelled: `grammar` and `values` use the columns of the axes' rows."""

    string: str
    file: str
    grammar: str
    axes: Mapping[str, tuple[Values, ...]]
    values: tuple[str, ...]
    arguments: tuple[ArgumentRole, ...]

    def rows(self) -> Iterator[dict[str, Value]]:
        """The columns of every request that the YAML names."""
        return NameTable("", self.grammar, self.axes, ()).rows()

    def request(self, row: Values) -> Request:
        """The request with these columns. Raises KeyError for a column that `row` lacks."""
        values = tuple(value.format(**row) for value in self.values)
        return Request(self.grammar.format(**row), self.file, self.string, values)


@dataclass(frozen=True)
class Family:
    """One kernel family. `path` is the YAML file, relative to the specs folder; `digest` is its SHA-256.

    `sources_of_kernels` are the files whose kernels the family owns, in the order in which upstream's `.metal` file
    (`table`) includes them behind `preamble`; where the bodies stand in that file itself it is the only one. `table` is
    None where upstream instantiates at run time only: the tables then are the requests that are proved. `copyright` and
    `licence` are those of the upstream values that the YAML restates. `cases` is the module of porter/prove/cases that
    makes launches; `tolerances` are its bounds. `since` is the first release that has the family, where that is not the
    default one: at a revision that lacks its files it is passed over.
    """

    name: str
    title: str
    path: str
    digest: str
    operators: tuple[str, ...]
    copyright: tuple[str, ...]
    licence: str
    sources_of_kernels: tuple[str, ...]
    preamble: tuple[str, ...]
    table: str | None
    hosts: tuple[str, ...]
    params: tuple[str, ...]
    kernels: tuple[Kernel, ...]
    tables: tuple[NameTable, ...]
    constants: tuple[Constant, ...]
    excluded: tuple[Exclusion, ...]
    samples: tuple[Sample, ...]
    evidence: tuple[Evidence, ...]
    requests: tuple[Request, ...]
    formats: tuple[Format, ...]
    tiles: Tiles | None
    cases: str | None
    tolerances: tuple[Tolerance, ...]
    shapes: tuple[tuple[int, ...], ...]
    lines: Mapping[str, int]
    since: str | None = None

    @property
    def body_in_table(self) -> bool:
        """Whether the kernels stand in upstream's `.metal` file, which no wheel carries."""
        return self.table is not None and self.table in self.sources_of_kernels

    @property
    def kernel_names(self) -> tuple[str, ...]:
        return tuple(kernel.name for kernel in self.kernels)

    def kernel(self, name: str) -> Kernel:
        """Raises KeyError where the family has no kernel of that name."""
        for kernel in self.kernels:
            if kernel.name == name:
                return kernel
        raise KeyError(name)

    def instantiations(self) -> tuple[Instantiation, ...]:
        """The table that the YAML alone yields: host name and template arguments of every instantiation."""
        out = []
        for number, table in enumerate(self.tables):
            where = Location(f"specs/{self.path}", self.lines.get(f"host_names.tables.{number}", 1))
            for row in table.rows():
                arguments = tuple(spell(row.get(name, name)) for name in table.arguments)
                out.append(Instantiation(table.grammar.format(**row), table.kernel, arguments, where, self.name))
        return tuple(out)

    @cached_property
    def axes_by_name(self) -> Mapping[str, Mapping[str, Value]]:
        """Host name -> the values of the YAML's columns that make it."""
        return {table.grammar.format(**row): row for table in self.tables for row in table.rows()}

    def constants_of(self, kernel: str) -> tuple[Constant, ...]:
        """The function constants that reach `kernel`, in the YAML's order."""
        return tuple(constant for constant in self.constants if kernel in constant.kernels)

    def is_sampled(self, kernel: str) -> bool:
        """Whether the values of the kernel's constants are samples: then nothing about them is `proved`."""
        return any(constant.type != "bool" for constant in self.constants_of(kernel))

    def combinations(self, kernel: str) -> tuple[dict[str, Value], ...]:
        """The values of the constants that reach `kernel`, in a fixed order; one empty dict where none does.

        Booleans: every combination that no exclusion rules out. With an integer among them: the YAML's samples.
        """
        if self.is_sampled(kernel):
            return tuple(dict(sample.constants) for sample in self.samples if kernel in sample.kernels)
        names = [constant.name for constant in self.constants_of(kernel)]
        values: Iterator[tuple[Value, ...]] = itertools.product((False, True), repeat=len(names))
        every = (dict(zip(names, one, strict=True)) for one in values)
        rules = [rule for rule in self.excluded if not rule.kernels or kernel in rule.kernels]
        return tuple(c for c in every if not any(matches(rule.constants, c) for rule in rules))

    def suffix(self, kernel: str, combination: Mapping[str, Value]) -> str:
        """The host-name suffix of one combination: `_hb0_os1_ax0_am1_an1_ak0`. A `define` leaves none."""
        lowered = (c for c in self.constants_of(kernel) if c.lower == "template")
        return "".join(f"_{c.suffix}{int(combination[c.name])}" for c in lowered)


@dataclass(frozen=True)
class Tolerance:
    """How far an output of `dtypes` may be from a reference, and why: `because` is the derivation.

    |computed - reference| <= relative * |reference| + absolute, elementwise. `kernels`: which it
    concerns; empty for all.
    """

    dtypes: tuple[str, ...]
    relative: float
    absolute: float
    because: str
    kernels: tuple[str, ...] = ()


def present(families: tuple[Family, ...], sources: Sources) -> tuple[Family, ...]:
    """`families` without those that a later release brought and these sources lack; all of them where none is left, so
    that whoever asks for such a one is told that its files are missing."""
    kept = tuple(f for f in families if f.since is None or any(path in sources.files for path in f.sources_of_kernels))
    return kept or families


def spell(value: Value) -> str:
    """A template argument as C++ spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(partial: Mapping[str, Value], combination: Mapping[str, Value]) -> bool:
    return all(combination[name] == value for name, value in partial.items())


def requested(form: Format, row: Values) -> tuple[Kernel, NameTable, Request]:
    """A kernel that is formatted: a plain function, called by its host name."""
    request = form.request(row)
    name = request.host_name
    return Kernel(name, form.arguments, True), NameTable(name, name, {"request": (row,)}, ()), request
