# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the host names that a family's YAML yields are those that upstream's macros make, with the same arguments.

A difference is reported at the line of the axis value, or of the axis, that alone explains it; where none does, at the
table of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from porter.errors import SpecError
from porter.model import Instantiation
from porter.parse.instantiations import normalised
from porter.parse.wrong import wrong
from porter.spec import Family, NameTable, Value, Values

_SHOWN = 4
Row = Mapping[str, Value]


def table_problems(rows: Iterable[Instantiation], family: Family) -> Iterator[SpecError]:
    """Compare upstream's rows with those that the YAML yields."""
    upstream = {row.host_name: row for row in rows}
    ours = {row.host_name: row for row in family.instantiations()}
    missing = [row for name, row in upstream.items() if name not in ours]
    for i, table in enumerate(family.tables):
        yield from _extra(family, i, table, upstream, missing)
    for kernel in dict.fromkeys(row.template for row in missing):
        yield _missing(family, kernel, [row for row in missing if row.template == kernel])
    for i, table in enumerate(family.tables):
        yield from _different(family, i, table, upstream, ours)


def _extra(
    family: Family, number: int, table: NameTable, upstream: Mapping[str, Instantiation], missing: list[Instantiation]
) -> Iterator[SpecError]:
    axes_of = {table.grammar.format(**row): row for row in table.rows()}
    extra = [name for name in axes_of if name not in upstream]
    if not extra:
        return
    what = f"this table yields {_listed(extra)}, which upstream lacks"
    like = [row for row in missing if row.template == table.kernel] or missing
    expected = f"such as {like[0].host_name}, as at {like[0].origin}" if like else "a table without them"
    gone = set(extra)
    for axis, values in table.axes.items():
        for i, value in enumerate(values):
            yielded = [name for name, row in axes_of.items() if _agrees(row, value)]
            if len(extra) < len(axes_of) and yielded and set(yielded) <= gone:
                yield wrong(family, _axis_key(family, number, axis, i), what, expected)
                return
    yield wrong(family, f"host_names.tables.{number}.grammar", what, expected)


def _missing(family: Family, kernel: str, missing: list[Instantiation]) -> SpecError:
    first = missing[0]
    what = f"the YAML lacks {_listed([row.host_name for row in missing])} of {kernel}, as upstream at {first.origin}"
    tables = [(i, table) for i, table in enumerate(family.tables) if table.kernel == kernel]
    for i, table in tables:
        for axis in table.axes:
            lacking = _lacking(table, axis, first.host_name)
            if lacking:
                value = ", ".join(f"{column}: {text}" for column, text in lacking.items())
                return wrong(family, _axis_key(family, i, axis, None), what, f"a row {{ {value} }} of the axis {axis}")
    key = f"host_names.tables.{tables[-1][0]}" if tables else "host_names.tables"
    arguments = f"with arguments [{', '.join(first.arguments)}] for {first.host_name}"
    return wrong(family, key, what, f"a table of kernel: {kernel} {arguments}")


def _lacking(table: NameTable, axis: str, host_name: str) -> dict[str, str]:
    """The columns' texts that would make `axis` yield `host_name`; empty where no value of that axis alone would."""
    columns = table.axes[axis][0]
    for row in table.rows():
        pattern, seen = "", set()
        for literal, column in re.findall(r"([^{]*)(?:\{(\w+)\})?", table.grammar):
            pattern += re.escape(literal)
            if column in columns:
                pattern += f"(?P={column})" if column in seen else f"(?P<{column}>.+?)"
                seen.add(column)
            elif column:
                pattern += re.escape(str(row[column]))
        found = re.fullmatch(pattern, host_name)
        if found:
            return found.groupdict()
    return {}


def _different(
    family: Family,
    number: int,
    table: NameTable,
    upstream: Mapping[str, Instantiation],
    ours: Mapping[str, Instantiation],
) -> Iterator[SpecError]:
    """Rows of one name that stand for something else: the first of this table, and how many there are."""
    axes_of = {table.grammar.format(**row): row for row in table.rows()}
    names = [name for name in axes_of if name in upstream]
    other = [name for name in names if upstream[name].template != table.kernel]
    if other:
        theirs = upstream[other[0]]
        what = f"upstream instantiates {theirs.template} for {_listed(other)}, at {theirs.origin}"
        yield wrong(family, f"host_names.tables.{number}.kernel", what, f"kernel: {theirs.template}")
        return
    differing = [name for name in names if _spelled(upstream[name]) != _spelled(ours[name])]
    if differing:
        first = differing[0]
        yield _arguments(family, number, table, upstream[first], ours[first].arguments, axes_of[first], len(differing))


def _arguments(
    family: Family,
    number: int,
    table: NameTable,
    theirs: Instantiation,
    mine: tuple[str, ...],
    axes: Row,
    count: int,
) -> SpecError:
    what = f"{theirs.host_name} is {table.kernel}<{', '.join(mine)}>" + (f", and {count - 1} more" if count > 1 else "")
    expected = f"<{', '.join(theirs.arguments)}>, as upstream at {theirs.origin}"
    if len(mine) == len(theirs.arguments) and sorted(mine) != sorted(theirs.arguments):
        column = next(
            name
            for name, text, right in zip(table.arguments, mine, theirs.arguments, strict=True)
            if normalised(text) != normalised(right)
        )
        for axis, values in table.axes.items():
            for i, value in enumerate(values):
                if column in value and _agrees(axes, value):
                    return wrong(family, _axis_key(family, number, axis, i), what, expected)
    return wrong(family, f"host_names.tables.{number}.arguments", what, expected)


def _spelled(row: Instantiation) -> tuple[str, ...]:
    return tuple(map(normalised, row.arguments))


def _agrees(row: Row, value: Values) -> bool:
    return all(row[column] == cell for column, cell in value.items())


def _axis_key(family: Family, number: int, axis: str, row: int | None) -> str:
    """Where the axis stands: in the table, or among the shared ones (which a table may call otherwise)."""
    inline, shared = f"host_names.tables.{number}.axes.{axis}", f"host_names.axes.{axis}"
    home = inline if f"{inline}.0" in family.lines or f"{shared}.0" not in family.lines else shared
    return home if row is None else f"{home}.{row}"


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return f"{len(names)} host names ({', '.join(names[:_SHOWN])}{more})"
