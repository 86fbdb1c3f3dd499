# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a person decides, read from `specs/`.

YAML is loaded safely, checked against a JSON schema, and turned into frozen nouns; whatever is wrong with it is a
`SpecError` that names file and line. `Family` is the noun that parse, port, emit and prove all read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from porter.errors import SpecError
from porter.family import (
    ArgumentRole,
    Constant,
    Evidence,
    Exclusion,
    Family,
    Format,
    Kernel,
    NameTable,
    Predicate,
    Request,
    Sample,
    TileRow,
    Tiles,
    Tolerance,
    Value,
    Values,
    matches,
    present,
    requested,
    spell,
)
from porter.model import sha256

__all__ = [
    "ArgumentRole",
    "Constant",
    "Evidence",
    "Exclusion",
    "Family",
    "Format",
    "Kernel",
    "NameTable",
    "Predicate",
    "Request",
    "Sample",
    "TileRow",
    "Tiles",
    "Tolerance",
    "Value",
    "Values",
    "load_families",
    "load_family",
    "load_yaml",
    "matches",
    "present",
    "read_text",
    "requested",
    "specs_dir",
    "spell",
    "validate",
]

MAX_DEPTH = 32  # of YAML; our deepest file nests 5 deep


def specs_dir() -> Path:
    """The folder of the specs: beside the package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).resolve().parent
    for candidate in (here.parent / "specs", here / "_specs"):
        if (candidate / "family.schema.json").is_file():
            return candidate
    raise SpecError("the specs folder is missing", where=str(here), next_step="reinstall steel-port")


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
        since=data.get("since"),
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
