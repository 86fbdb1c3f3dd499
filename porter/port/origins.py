# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What was decided of upstream files whose comments name another origin.

A comment that says "based on" or gives an address does not say under which licence that origin is. No rule can know;
a person decides, once for each such comment, in `specs/licences.yaml`, and gives the reason. Until then the file
`needs a person`, and no overlay is made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from porter.errors import EmitError
from porter.model import Notice, sha256
from porter.parse.notices import NamedOrigin, named_origins
from porter.parse.requests import origin as strings_origin
from porter.spec import load_yaml, read_text, specs_dir, validate

SPEC = "licences.yaml"
NO_OWN_COPYRIGHT = "as MLX's LICENSE states it, for this file states none of its own"


@dataclass(frozen=True)
class Decision:
    """What holds for the comments of `file` whose digests are `says`.

    `licence` is an SPDX expression, `text` names the file of porter/emit/licences/ that holds the origin's own notice;
    both are empty for a mere reference, from which nothing was copied. `line` is that of the decision in the YAML.
    """

    file: str
    says: tuple[str, ...]
    kind: str
    origin: str
    address: str
    licence: str
    copyright: tuple[str, ...]
    text: str
    reason: str
    decided_by: str
    date: str
    lawyer: bool
    line: int


@dataclass(frozen=True)
class Settled:
    """A file's notice with what was decided of it. `undecided` are comments that need a person."""

    notice: Notice
    decisions: tuple[Decision, ...]
    undecided: tuple[NamedOrigin, ...]


def load_decisions(path: Path | None = None) -> tuple[Decision, ...]:
    """The decisions of `specs/licences.yaml`. Raises SpecError with file and line for anything that is wrong."""
    specs = specs_dir()
    path = path or specs / SPEC
    where = f"specs/{path.name}"
    data, lines = load_yaml(read_text(path), where)
    validate(data, lines, specs / "licences.schema.json", where)
    return tuple(
        Decision(
            row["file"],
            tuple(row["says"]),
            row["kind"],
            row["origin"],
            row["address"],
            row.get("licence", ""),
            tuple(row.get("copyright", ())),
            row.get("text", ""),
            " ".join(row["reason"].split()),
            row["decided_by"],
            row["date"],
            row["lawyer"],
            lines.get(f"decisions.{i}", 1),
        )
        for i, row in enumerate(data["decisions"])
    )


@cache
def decisions() -> tuple[Decision, ...]:
    return load_decisions()


def digest() -> str:
    """SHA-256 of what is decided: a changed decision makes the overlay anew."""
    return sha256((specs_dir() / SPEC).read_bytes())


def settle(path: str, text: str, notice: Notice, decided: Iterable[Decision] | None = None) -> Settled:
    """What upstream file `path` with text `text` is under, by its own words (`notice`) and by what was decided."""
    if not notice.copyrights and not notice.stated:
        notice = dataclasses.replace(notice, copyrights=(NO_OWN_COPYRIGHT,))
    named = named_origins(text)
    if not named:
        return Settled(notice, (), ())
    decided = decisions() if decided is None else decided
    mine = [one for one in decided if one.file == strings_origin(path)]
    found = tuple(one for one in mine if any(origin.digest in one.says for origin in named))
    known = {digest for one in mine for digest in one.says}
    undecided = tuple(origin for origin in named if origin.digest not in known)
    copyrights = (*notice.copyrights, *(line for one in found for line in one.copyright))
    spdx = joined([notice.spdx, *(one.licence for one in found)])
    return Settled(
        dataclasses.replace(notice, copyrights=tuple(dict.fromkeys(copyrights)), spdx=spdx), found, undecided
    )


def joined(expressions: Iterable[str]) -> str:
    """One SPDX expression of which all of `expressions` hold (our own know no OR), each licence once.

    >>> joined(["MIT", "", "BSD-3-Clause AND MIT"])
    'MIT AND BSD-3-Clause'
    """
    parts = [part for expression in expressions if expression for part in expression.split(" AND ")]
    return " AND ".join(dict.fromkeys(parts))


def refuse_undecided(path: str, settled: Settled) -> None:
    """Raise EmitError (file:line) where the file's origin or licence is not settled."""
    if not settled.undecided:
        return
    first = settled.undecided[0]
    raise EmitError(
        f"needs a person: the comment names another origin ({first.words!r}) and not its licence",
        where=f"{path}:{first.line}",
        expected=f"a decision in specs/{SPEC}",
        next_step=f"read lines {first.first}-{first.last} and their origin, then record file: {path}, "
        f"says: [{first.digest}], kind (derived or reference), origin, address, licence, copyright and reason there",
    )
