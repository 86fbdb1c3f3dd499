# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The packages that steel-port asks for, directly or not, and under which licence each is.

Read from the metadata of what is installed (PyPA's core metadata 2.4: License-Expression, License, Classifier), so the
answer is about the versions that run here. What the metadata leaves open is decided in `specs/dependencies.yaml`.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from porter.errors import ToolchainError
from porter.spec import load_yaml, read_text, specs_dir, validate

PACKAGE = "steel-port"
DEVELOPMENT = frozenset({"verify", "dev"})
"""The groups of pyproject.toml whose packages only run on a developer's machine."""
SPEC = "dependencies.yaml"


@dataclass(frozen=True)
class Rules:
    """What `specs/dependencies.yaml` says: licence -> where it is allowed, names -> SPDX, pattern -> licence."""

    licences: Mapping[str, str]
    names: Mapping[str, str]
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Dependency:
    """One installed package. `licence` is an SPDX expression, empty where it is not known from `says`.

    `groups` are those of pyproject.toml that lead to it (`""` is what everyone gets), `requires` the names of the
    packages that it leads to itself.
    """

    name: str
    version: str
    licence: str
    says: str
    groups: tuple[str, ...]
    requires: tuple[str, ...]


class Metadata(Protocol):
    """Of `importlib.metadata`'s message: all values of a field, None where it has none."""

    def get_all(self, name: str, failobj: None = None) -> list[str] | None: ...


@cache
def load_rules() -> Rules:
    """Raises SpecError with file and line for a table that is wrong."""
    specs = specs_dir()
    data, lines = load_yaml(read_text(specs / SPEC), f"specs/{SPEC}")
    validate(data, lines, specs / "dependencies.schema.json", f"specs/{SPEC}")
    return Rules(
        {name: row["allowed"] for name, row in data["licences"].items()},
        data["names"],
        {name: row["licence"] for name, row in data["packages"].items()},
    )


def dependencies(rules: Rules | None = None) -> tuple[Dependency, ...]:
    """Every package of every group, sorted by name. Raises ToolchainError for one that is not installed."""
    rules = rules or load_rules()
    root = _distribution(PACKAGE)
    extras = root.metadata.get_all("Provides-Extra") or []
    groups: dict[str, set[str]] = {}
    requires: dict[str, set[str]] = {}
    for group in ("", *extras):
        for parent, name in _walk(group):
            groups.setdefault(name, set()).add(group)
            requires.setdefault(parent, set()).add(name)
    found = []
    for name in sorted(groups):
        metadata = _distribution(name).metadata
        licence, says = licence_of(name, metadata, rules)
        version = metadata["Version"]
        found.append(
            Dependency(name, version, licence, says, tuple(sorted(groups[name])), tuple(sorted(requires.get(name, ()))))
        )
    return tuple(found)


def _walk(group: str) -> Iterator[tuple[str, str]]:
    """(parent, name) of every package that `group` leads to; of the group `""`, what is asked for without any."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    waiting: list[tuple[str, tuple[str, ...]]] = [(PACKAGE, (group,) if group else ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        parent, extras = waiting.pop()
        if (parent, extras) in seen:
            continue
        seen.add((parent, extras))
        for text in _distribution(parent).requires or []:
            wanted = Requirement(text)
            only_extra = wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
            if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": e}) for e in (*extras, "")):
                continue
            if parent == PACKAGE and group and not only_extra:
                continue
            name = canonicalize_name(wanted.name)
            if name != PACKAGE:
                yield parent, name
            waiting.append((name, tuple(sorted(wanted.extras))))


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise ToolchainError(
            f"the package {name} is not installed, so its licence cannot be read",
            next_step="pip install -e '.[verify,dev]' in the project folder",
        ) from error


def licence_of(name: str, metadata: Metadata, rules: Rules) -> tuple[str, str]:
    """The SPDX expression of a package ("" where its metadata and the table leave it open), and what it says itself."""
    fields = _fields(metadata)
    says = "; ".join(dict.fromkeys(fields)) or "nothing"
    for pattern, licence in rules.packages.items():
        if fnmatch.fnmatchcase(name, pattern):
            return licence, says
    for field in fields:
        spdx = rules.names.get(field, field)
        if is_expression(spdx):
            return spdx, says
    return "", says


def _fields(metadata: Metadata) -> list[str]:
    """License-Expression first, then License, then the classifiers, one after the other."""
    read = metadata.get_all
    fields = [*(read("License-Expression") or []), *(read("License") or [])]
    classifiers = [value for value in read("Classifier") or [] if value.startswith("License ::")]
    fields += [value.rpartition(" :: ")[2] for value in classifiers]
    return [field.strip().splitlines()[0] for field in fields if field.strip() and field.strip() != "UNKNOWN"]


@cache
def licensing() -> Any:
    """The parser of SPDX expressions, with SPDX's list of licences; made once, for it takes 0.1 s."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@cache
def is_expression(text: str) -> bool:
    """Whether it is an SPDX expression of licences that SPDX lists."""
    return bool(text) and not licensing().validate(text).errors


def refused(dependency: Dependency, rules: Rules) -> str | None:
    """Why a package may not be asked for where it is, or None. Raises nothing: what is unknown is refused."""
    if not dependency.licence:
        return f"its licence is not known: the metadata says {dependency.says}"
    development = set(dependency.groups) <= DEVELOPMENT
    if _allowed(dependency.licence, rules, development):
        return None
    where = "in development" if development else "for everyone"
    return f"{dependency.licence} is not among what specs/{SPEC} allows {where}"


def _allowed(expression: str, rules: Rules, development: bool) -> bool:
    """AND: all parts allowed; OR: one of them is enough; WITH: the licence and its exception are."""
    places = ("everywhere", "development") if development else ("everywhere",)
    good = {licence for licence, place in rules.licences.items() if place in places}
    if expression in rules.licences:  # a LicenseRef, which the parser does not know
        return expression in good
    return _holds(licensing().parse(expression), good)


def _holds(tree: Any, good: set[str]) -> bool:
    match type(tree).__name__:
        case "AND":
            return all(_holds(one, good) for one in tree.args)
        case "OR":
            return any(_holds(one, good) for one in tree.args)
        case "LicenseWithExceptionSymbol":
            return {tree.license_symbol.key, tree.exception_symbol.key} <= good
    return tree.key in good
