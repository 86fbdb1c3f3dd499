# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a person decides, read from `specs/`.

YAML is loaded safely, checked against a JSON schema, and turned into frozen nouns; whatever is wrong with it is a
`SpecError` that names file and line. `Family` is the noun that parse, port, emit and prove all read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.errors import SpecError
from porter.model import Instantiation, Location, sha256

Values = Mapping[str, "str | int | bool"]

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
    """How one function constant is lowered: `template` makes it a template parameter and a host-name suffix."""

    name: str
    index: int
    lower: str
    suffix: str


@dataclass(frozen=True)
class Exclusion:
    """A combination of constants that the host never asks for, and why."""

    constants: Mapping[str, bool]
    reason: str


@dataclass(frozen=True)
class ArgumentRole:
    """What one kernel argument means to the host. `dummy` says what is bound where `gate` is false."""

    name: str
    slot: int
    role: str
    gate: str | None
    dummy: str | None


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
class Family:
    """One kernel family. `path` is the YAML file, relative to the specs folder; `digest` is its SHA-256.

    `copyright` and `licence` are those of the upstream values that the YAML restates.
    """

    name: str
    title: str
    path: str
    digest: str
    operators: tuple[str, ...]
    copyright: tuple[str, ...]
    licence: str
    kernel: str
    preamble: tuple[str, ...]
    table: str
    host: str
    template: str
    params: tuple[str, ...]
    grammar: str
    axes: Mapping[str, tuple[Values, ...]]
    template_arguments: tuple[str, ...]
    constants: tuple[Constant, ...]
    excluded: tuple[Exclusion, ...]
    arguments: tuple[ArgumentRole, ...]
    tiles: Tiles
    shapes: tuple[tuple[int, int, int], ...]
    lines: Mapping[str, int]

    def rows(self) -> Iterator[dict[str, str | int | bool]]:
        """Every combination of the axes, as the names and values that `grammar` and `arguments` may use."""
        for picked in itertools.product(*self.axes.values()):
            row: dict[str, str | int | bool] = {}
            for values in picked:
                row.update(values)
            yield row

    def instantiations(self) -> tuple[Instantiation, ...]:
        """The table that the YAML alone yields: host name and template arguments of every instantiation."""
        where = Location(f"specs/{self.path}", self.lines["host_names"])
        out = []
        for row in self.rows():
            arguments = tuple(spell(row.get(name, name)) for name in self.template_arguments)
            out.append(Instantiation(self.grammar.format(**row), self.template, arguments, where))
        return tuple(out)

    def combinations(self) -> tuple[dict[str, bool], ...]:
        """Every combination of the boolean constants that no exclusion rules out, in a fixed order."""
        names = [constant.name for constant in self.constants]
        every = (
            dict(zip(names, values, strict=True)) for values in itertools.product((False, True), repeat=len(names))
        )
        return tuple(c for c in every if not any(matches(rule.constants, c) for rule in self.excluded))

    def suffix(self, combination: Mapping[str, bool]) -> str:
        """The host-name suffix of one combination: `_hb0_os1_ax0_am1_an1_ak0`."""
        return "".join(f"_{c.suffix}{int(combination[c.name])}" for c in self.constants)


def spell(value: str | int | bool) -> str:
    """A template argument as C++ spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(partial: Mapping[str, bool], combination: Mapping[str, bool]) -> bool:
    return all(combination[name] == value for name, value in partial.items())


def load_family(path: Path) -> Family:
    """Read and check one family. Raises SpecError with file and line for anything that is wrong."""
    specs = specs_dir()
    name = path.relative_to(specs).as_posix() if path.is_relative_to(specs) else path.name
    text = read_text(path)
    data, lines = load_yaml(text, f"specs/{name}")
    validate(data, lines, specs / "family.schema.json", f"specs/{name}")
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
    tiles, names = data["tiles"], data["host_names"]
    order = ("bm", "bn", "bk", "wm", "wn")
    return Family(
        name=data["family"],
        title=data["title"],
        path=name,
        digest=sha256(text.encode()),
        operators=tuple(data["operators"]),
        copyright=tuple(data["restates"]["copyright"]),
        licence=data["restates"]["licence"],
        kernel=data["sources"]["kernel"],
        preamble=tuple(data["sources"]["preamble"]),
        table=data["sources"]["table"],
        host=data["sources"]["host"],
        template=data["template"],
        params=tuple(data["params"]),
        grammar=names["grammar"],
        axes={axis: tuple(rows) for axis, rows in names["axes"].items()},
        template_arguments=tuple(names["arguments"]),
        constants=tuple(Constant(**row) for row in data["constants"]),
        excluded=tuple(Exclusion(row["constants"], row["reason"]) for row in data["excluded"]),
        arguments=tuple(
            ArgumentRole(r["name"], r["slot"], r["role"], r.get("gate"), r.get("dummy")) for r in data["arguments"]
        ),
        tiles=Tiles(
            predicates=tuple(Predicate(key, p["upstream"], p["cpp"]) for key, p in tiles["predicates"].items()),
            default=_tile(tiles["default"][key] for key in order),
            swizzle_log=tiles["swizzle_log"],
            rows=tuple(TileRow(r["device"], tuple(r["when"]), _tile(r["tile"])) for r in tiles["rows"]),
        ),
        shapes=tuple((m, n, k) for m, n, k in data["outputs"]["shapes"]),
        lines=lines,
    )


def _tile(values: Iterable[int]) -> tuple[int, int, int, int, int]:
    bm, bn, bk, wm, wn = values
    return bm, bn, bk, wm, wn


def _check(family: Family, lines: Mapping[str, int]) -> None:
    """What a schema cannot say: names that refer to other names."""

    def fail(path: str, what: str, expected: str) -> None:
        raise SpecError(what, where=f"specs/{family.path}:{lines.get(path, 1)}", expected=expected)

    constants = [constant.name for constant in family.constants]
    for i, rule in enumerate(family.excluded):
        for name in rule.constants:
            if name not in constants:
                fail(
                    f"excluded.{i}",
                    f"excluded names the constant {name!r}, which the family lacks",
                    ", ".join(constants),
                )
    for i, argument in enumerate(family.arguments):
        if argument.gate is not None and argument.gate not in constants:
            fail(f"arguments.{i}", f"argument {argument.name} is gated by {argument.gate!r}", ", ".join(constants))
    predicates = [predicate.name for predicate in family.tiles.predicates]
    for i, row in enumerate(family.tiles.rows):
        for atom in row.when:
            if atom.removeprefix("not ") not in predicates:
                fail(f"tiles.rows.{i}", f"no predicate is called {atom!r}", ", ".join(predicates))
    columns = set(next(family.rows()))
    try:
        family.grammar.format(**dict.fromkeys(columns, ""))
    except (KeyError, IndexError, ValueError) as error:
        fail("host_names.grammar", f"the grammar uses {error}", ", ".join(sorted(columns)))
