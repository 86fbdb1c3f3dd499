# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a person decides, read from `specs/`.

YAML is loaded safely, checked against a JSON schema, and turned into frozen nouns; whatever is wrong with it is a
`SpecError` that names file and line. `Family` is the noun that parse, port, emit and prove all read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from porter.errors import SpecError
from porter.model import Instantiation, Location, sha256

Value = str | int | bool
Values = Mapping[str, Value]

MAX_DEPTH = 32  # of YAML; our deepest file nests 5 deep


def specs_dir() -> Path:
    """The folder of the specs: beside the package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).resolve().parent
    for candidate in (here.parent / "specs", here / "_specs"):
        if (candidate / "family.schema.json").is_file():
            return candidate
    raise SpecError("the specs folder is missing", where=str(here), next_step="reinstall steel-port")


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
    makes launches; `tolerances` are its bounds.
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


def spell(value: Value) -> str:
    """A template argument as C++ spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(partial: Mapping[str, Value], combination: Mapping[str, Value]) -> bool:
    return all(combination[name] == value for name, value in partial.items())


def load_family(path: Path) -> Family:
    """Read and check one family. Raises SpecError with file and line for anything that is wrong."""
    specs = specs_dir()
    name = path.relative_to(specs).as_posix() if path.is_relative_to(specs) else path.name
    text = read_text(path)
    data, lines = _validated(text, specs / "family.schema.json", f"specs/{name}")
    family = _family(data, lines, name, text)
    _check(family, lines)
    return family


def load_families(names: Iterable[str] | None = None) -> tuple[Family, ...]:
    """The families called `names`, or every one. Raises SpecError for a name that does not exist."""
    folder = specs_dir() / "families"
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise SpecError(
                f"no family is called {name!r}", expected=", ".join(known), next_step="steel-port list families"
            )
    return tuple(load_family(known[name]) for name in wanted)


def _validated(text: str, schema: Path, where: str) -> tuple[Any, dict[str, int]]:
    """`load_yaml` and `validate`, or what they said of the same bytes before: dozens of families take a second.

    Only what was valid is kept. What cannot be read back is read anew.
    """
    from porter.cache import cache_dir, write_atomically

    code = Path(__file__).read_bytes() + schema.read_bytes()
    place = cache_dir("specs") / f"{sha256(code + where.encode() + text.encode())}.json"
    try:
        kept = json.loads(place.read_text())
        return kept["data"], kept["lines"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    data, lines = load_yaml(text, where)
    validate(data, lines, schema, where)
    write_atomically(place, json.dumps({"data": data, "lines": lines}).encode())
    return data, lines


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {error}", where=str(path)) from error


def load_yaml(text: str, where: str) -> tuple[Any, dict[str, int]]:
    """The data of a YAML text, and the line of every key by its dotted path (`constants.0.name`).

    Plain data only. Aliases are refused: a few lines of them unfold to any size, and our files need none.
    Raises SpecError, its place `where` and a line, for anything that is not that.
    """
    import yaml

    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML has it, is some five times faster
    lines: dict[str, int] = {}

    def walk(node: yaml.Node, path: str) -> None:
        lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise SpecError("a key that is not plain text", where=f"{where}:{line}")
                if key.value in seen:
                    raise SpecError(f"key {key.value!r} stands twice", where=f"{where}:{line}")
                seen.add(key.value)
                child = f"{path}.{key.value}" if path else key.value
                walk(value, child)
                lines[child] = line
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, f"{path}.{index}" if path else str(index))

    try:
        _check_structure(text, where, safe)
        node = yaml.compose(text, Loader=safe)
        if node is None:
            raise SpecError("the file is empty", where=f"{where}:1")
        walk(node, "")
        return yaml.load(text, Loader=safe), lines  # noqa: S506 (`safe` is one of the two safe loaders)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise SpecError(f"not YAML: {getattr(error, 'problem', error)}", where=f"{where}:{line}") from error
    except ValueError as error:  # a date such as 2025-99-99
        raise SpecError(f"not YAML: {error}", where=f"{where}:1") from error


def _check_structure(text: str, where: str, safe: Any) -> None:
    """Refuse aliases, and nesting that would overflow the stack of libyaml's recursive composer."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=safe):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise SpecError("an alias (*name), which is not allowed here", where=f"{where}:{line}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} deep", where=f"{where}:{line}")


def validate(data: Any, lines: Mapping[str, int], schema_path: Path, where: str) -> None:
    """Check `data` against a JSON schema; the first violation becomes a SpecError with file and line."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(schema_path.read_text()))
    error = min(validator.iter_errors(data), key=lambda e: list(map(str, e.absolute_path)), default=None)
    if error is not None:
        path = ".".join(map(str, error.absolute_path))
        raise SpecError(f"{path or 'the file'}: {error.message}", where=f"{where}:{lines.get(path, 1)}")


def _family(data: Any, lines: dict[str, int], name: str, text: str) -> Family:
    sources, outputs = data["sources"], data.get("outputs", {})
    formats = _formats(data)
    requests = [requested(form, row) for form in formats for row in form.rows()]
    kernels = (*_kernels(data["kernels"]), *(kernel for kernel, _, _ in requests))
    every = tuple(kernel.name for kernel in kernels)
    return Family(
        name=data["family"],
        title=data["title"],
        path=name,
        digest=sha256(text.encode()),
        operators=tuple(data["operators"]),
        copyright=tuple(data["restates"]["copyright"]),
        licence=data["restates"]["licence"],
        sources_of_kernels=tuple(sources["kernels"]),
        preamble=tuple(sources["preamble"]),
        table=sources.get("table"),
        hosts=tuple(sources["host"]),
        params=tuple(data["params"]),
        kernels=kernels,
        tables=(*_tables(data["host_names"]), *(table for _, table, _ in requests)),
        constants=tuple(
            Constant(
                row["name"],
                row["index"],
                row["lower"],
                row.get("suffix", ""),
                row.get("type", "bool"),
                tuple(row.get("kernels", every)),
            )
            for row in data["constants"]
        ),
        excluded=tuple(
            Exclusion(row["constants"], row["reason"], tuple(row.get("kernels", ()))) for row in data["excluded"]
        ),
        samples=tuple(
            Sample(tuple(row.get("kernels", every)), row["constants"], row["of"]) for row in data.get("samples", ())
        ),
        evidence=tuple(
            Evidence(row["file"], (row["lines"][0], row["lines"][1]), row["sha256"], row["what"])
            for row in data.get("evidence", ())
        ),
        requests=tuple(request for _, _, request in requests),
        formats=formats,
        tiles=_tiles(data["tiles"]) if "tiles" in data else None,
        cases=outputs.get("cases"),
        tolerances=tuple(
            Tolerance(
                tuple(row["dtypes"]),
                float(row["relative"]),
                float(row["absolute"]),
                row["because"],
                tuple(row.get("kernels", ())),
            )
            for row in outputs.get("tolerances", ())
        ),
        shapes=tuple(tuple(shape) for shape in outputs.get("shapes", ())),
        lines=lines,
    )


def _kernels(rows: Any) -> tuple[Kernel, ...]:
    """One noun for each name: kernels with like arguments share a row of the YAML."""
    out = []
    for row in rows:
        arguments = _roles(row["arguments"])
        out += [Kernel(name, arguments, row.get("on_demand", False)) for name in row["names"]]
    return tuple(out)


def _tables(data: Any) -> tuple[NameTable, ...]:
    shared = {axis: tuple(rows) for axis, rows in data.get("axes", {}).items()}
    return tuple(
        NameTable(
            kernel=row["kernel"],
            grammar=row["grammar"],
            # An axis is its rows, or the name of a shared one; a name that is none is found out by `_check`.
            axes={
                axis: shared.get(rows, ()) if isinstance(rows, str) else tuple(rows)
                for axis, rows in row.get("axes", {}).items()
            },
            arguments=tuple(str(spell(argument)) for argument in row["arguments"]),
        )
        for row in data["tables"]
    )


def _formats(data: Any) -> tuple[Format, ...]:
    shared = {axis: tuple(rows) for axis, rows in data["host_names"].get("axes", {}).items()}
    return tuple(
        Format(
            string=form["string"],
            file=form["file"],
            grammar=form["grammar"],
            axes={a: shared.get(r, ()) if isinstance(r, str) else tuple(r) for a, r in form["axes"].items()},
            values=tuple(form["values"]),
            arguments=_roles(form["arguments"]),
        )
        for form in data.get("formats", ())
    )


def requested(form: Format, row: Values) -> tuple[Kernel, NameTable, Request]:
    """A kernel that is formatted: a plain function, called by its host name."""
    request = form.request(row)
    name = request.host_name
    return Kernel(name, form.arguments, True), NameTable(name, name, {"request": (row,)}, ()), request


def _roles(rows: Any) -> tuple[ArgumentRole, ...]:
    return tuple(ArgumentRole(r["name"], r["slot"], r["role"], r.get("gate"), r.get("dummy")) for r in rows)


def _tiles(tiles: Any) -> Tiles:
    order = ("bm", "bn", "bk", "wm", "wn")
    return Tiles(
        predicates=tuple(Predicate(key, p["upstream"], p["cpp"]) for key, p in tiles["predicates"].items()),
        default=_tile(tiles["default"][key] for key in order),
        swizzle_log=tiles["swizzle_log"],
        rows=tuple(TileRow(r["device"], tuple(r["when"]), _tile(r["tile"])) for r in tiles["rows"]),
    )


def _tile(values: Iterable[int]) -> tuple[int, int, int, int, int]:
    bm, bn, bk, wm, wn = values
    return bm, bn, bk, wm, wn


def _check(family: Family, lines: Mapping[str, int]) -> None:
    """What a schema cannot say: names that refer to other names. Raises SpecError."""

    def fail(path: str, what: str, expected: str) -> None:
        raise SpecError(what, where=f"specs/{family.path}:{lines.get(path, 1)}", expected=expected)

    _check_kernels(family, fail)
    _check_constants(family, fail)
    _check_tables(family, fail)
    if family.tiles is not None:
        predicates = [predicate.name for predicate in family.tiles.predicates]
        for i, row in enumerate(family.tiles.rows):
            for atom in row.when:
                if atom.removeprefix("not ") not in predicates:
                    fail(f"tiles.rows.{i}", f"no predicate is called {atom!r}", ", ".join(predicates))


Fail = Callable[[str, str, str], None]


def _check_kernels(family: Family, fail: Fail) -> None:
    names = family.kernel_names
    for name in names:
        if names.count(name) > 1:
            fail("kernels", f"the kernel {name} stands twice", "each name once")
    for kernel in family.kernels:
        gates = [constant.name for constant in family.constants_of(kernel.name)]
        for argument in kernel.arguments:
            if argument.gate is not None and argument.gate not in gates:
                fail(
                    "kernels",
                    f"argument {argument.name} of {kernel.name} is gated by {argument.gate!r}",
                    ", ".join(gates),
                )
    references = [("constants", i, row.kernels) for i, row in enumerate(family.constants)]
    references += [("excluded", i, row.kernels) for i, row in enumerate(family.excluded)]
    references += [("samples", i, row.kernels) for i, row in enumerate(family.samples)]
    references += [("outputs.tolerances", i, row.kernels) for i, row in enumerate(family.tolerances)]
    references += [("host_names.tables", i, (row.kernel,)) for i, row in enumerate(family.tables)]
    for section, i, mentioned in references:
        for name in mentioned:
            if name not in names:
                fail(f"{section}.{i}", f"no kernel of the family is called {name!r}", ", ".join(names))


def _check_constants(family: Family, fail: Fail) -> None:
    constants = {constant.name: constant for constant in family.constants}
    for i, constant in enumerate(family.constants):
        if (constant.lower == "template") != bool(constant.suffix):
            fail(
                f"constants.{i}",
                f"{constant.name} is lowered by {constant.lower}",
                "a suffix for template, and none for define",
            )
        if constant.lower == "template" and constant.type != "bool":
            fail(f"constants.{i}", f"{constant.name} is an {constant.type}", "lower: define")
    if (family.excluded or family.samples) and not family.evidence:
        section = "excluded" if family.excluded else "samples"
        fail(section, f"nothing says which host code {section} rests on", "evidence: file, lines, sha256, what")
    for i, rule in enumerate(family.excluded):
        for name in rule.constants:
            if name not in constants:
                fail(
                    f"excluded.{i}",
                    f"excluded names the constant {name!r}, which the family lacks",
                    ", ".join(constants),
                )
    for i, sample in enumerate(family.samples):
        for kernel in sample.kernels:
            wanted = [constant.name for constant in family.constants_of(kernel)]
            if sorted(sample.constants) != sorted(wanted):
                fail(f"samples.{i}", f"the sample does not set just the constants of {kernel}", ", ".join(wanted))


def _check_tables(family: Family, fail: Fail) -> None:
    seen: set[str] = set()
    for i, table in enumerate(family.tables):
        for axis, rows in table.axes.items():
            if not rows:
                fail(f"host_names.tables.{i}", f"the axis {axis} has no rows", "rows, or the name of a shared axis")
        columns = set(next(table.rows()))
        try:
            table.grammar.format(**dict.fromkeys(columns, ""))
        except (KeyError, IndexError, ValueError) as error:
            fail(f"host_names.tables.{i}.grammar", f"the grammar uses {error}", ", ".join(sorted(columns)))
        for row in table.rows():
            name = table.grammar.format(**row)
            if name in seen:
                fail(f"host_names.tables.{i}", f"the host name {name} stands twice", "each host name once")
            seen.add(name)
