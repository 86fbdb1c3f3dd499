# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether a family's YAML says what upstream says. Every difference is a SpecError with the YAML's file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from porter.errors import SpecError
from porter.model import FunctionConstant, Instantiation, KernelTemplate
from porter.spec import Family, Values

Row = Mapping[str, "str | int | bool"]


def _wrong(family: Family, key: str, what: str, expected: str | None = None) -> SpecError:
    while key not in family.lines and "." in key:
        key = key.rpartition(".")[0]
    where = f"specs/{family.path}:{family.lines.get(key, 1)}"
    return SpecError(what, where=where, expected=expected, next_step="correct the family's YAML")


# ---------------------------------------------------------------------------------------------------------------------
# The instantiation table


def check_table(rows: Iterable[Instantiation], family: Family) -> None:
    """Compare upstream's rows with those that the family's YAML yields.

    Raises SpecError that names the line of the axis value, or of the axis, that is wrong; where no single value
    explains the difference, that of the grammar or of the list of arguments.
    """
    upstream = {row.host_name: row for row in rows}
    ours = {row.host_name: row for row in family.instantiations()}
    axes_of = {family.grammar.format(**row): row for row in family.rows()}
    extra = [name for name in ours if name not in upstream]
    missing = [row for name, row in upstream.items() if name not in ours]
    if extra:
        raise _extra(family, extra, axes_of, missing)
    if missing:
        raise _missing(family, missing)
    for name, row in upstream.items():
        if row.template != family.template:
            raise _wrong(
                family, "template", f"upstream instantiates {row.template} for {name} at {row.origin}", row.template
            )
        if row.arguments != ours[name].arguments:
            raise _different(family, row, ours[name], axes_of[name])


def _extra(family: Family, extra: list[str], axes_of: Mapping[str, Row], missing: list[Instantiation]) -> SpecError:
    what = f"the YAML yields {len(extra)} kernels that upstream lacks, such as {extra[0]}"
    expected = f"such as {missing[0].host_name}, at {missing[0].origin}" if missing else None
    for axis, values in family.axes.items():
        for i, value in enumerate(values):
            yielded = [name for name, row in axes_of.items() if _agrees(row, value)]
            if len(extra) < len(axes_of) and yielded and set(yielded) <= set(extra):
                return _wrong(family, f"host_names.axes.{axis}.{i}", what, expected)
    return _wrong(family, "host_names.grammar", what, expected)


def _missing(family: Family, missing: list[Instantiation]) -> SpecError:
    first = missing[0]
    what = f"the YAML lacks {len(missing)} kernels that upstream makes, such as {first.host_name} at {first.origin}"
    for axis in family.axes:
        lacking = _lacking(family, axis, first.host_name)
        if lacking:
            value = ", ".join(f"{column}: {text}" for column, text in lacking.items())
            return _wrong(family, f"host_names.axes.{axis}", what, f"a row {{ {value} }} of the axis {axis}")
    return _wrong(family, "host_names.grammar", what)


def _lacking(family: Family, axis: str, host_name: str) -> dict[str, str]:
    """The columns' texts that would make `axis` yield `host_name`; empty where no value of that axis alone would."""
    columns = family.axes[axis][0]
    for row in family.rows():
        pattern, seen = "", set()
        for literal, column in re.findall(r"([^{]*)(?:\{(\w+)\})?", family.grammar):
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


def _different(family: Family, upstream: Instantiation, ours: Instantiation, axes: Row) -> SpecError:
    what = f"{ours.host_name} is {ours.template}<{', '.join(ours.arguments)}>"
    expected = f"<{', '.join(upstream.arguments)}>, as upstream at {upstream.origin}"
    reordered = sorted(ours.arguments) == sorted(upstream.arguments)
    for column, mine, theirs in zip(family.template_arguments, ours.arguments, upstream.arguments, strict=False):
        if mine != theirs and not reordered:
            for axis, values in family.axes.items():
                for i, value in enumerate(values):
                    if column in value and _agrees(axes, value):
                        return _wrong(family, f"host_names.axes.{axis}.{i}", what, expected)
            break
    return _wrong(family, "host_names.arguments", what, expected)


def _agrees(row: Row, value: Values) -> bool:
    return all(row[column] == cell for column, cell in value.items())


# ---------------------------------------------------------------------------------------------------------------------
# The kernel's interface


def check_interface(templates: Iterable[KernelTemplate], constants: Iterable[FunctionConstant], family: Family) -> None:
    """Compare template, function constants and argument slots with the family's YAML. Raises SpecError."""
    template = next((one for one in templates if one.name == family.template), None)
    if template is None:
        raise _wrong(family, "template", f"{family.kernel} defines no kernel {family.template}")
    _check_constants({one.name: one for one in constants}, family)
    _check_arguments(template, family)
    required = [one for one in template.parameters if one.default is None]
    if not len(required) <= len(family.template_arguments) <= len(template.parameters):
        expected = ", ".join(f"{one.kind} {one.name}" for one in template.parameters)
        raise _wrong(family, "host_names.arguments", f"{template.name} takes other template parameters", expected)


def _check_constants(upstream: Mapping[str, FunctionConstant], family: Family) -> None:
    for i, constant in enumerate(family.constants):
        theirs = upstream.get(constant.name)
        if theirs is None:
            raise _wrong(
                family, f"constants.{i}", f"upstream has no function constant {constant.name}", ", ".join(upstream)
            )
        if theirs.index != constant.index or theirs.type != "bool":
            what = f"{constant.name} has index {constant.index}"
            raise _wrong(
                family, f"constants.{i}", what, f"{theirs.type} with index {theirs.index}, as at {theirs.location}"
            )
    for name, theirs in upstream.items():
        if name not in {constant.name for constant in family.constants}:
            raise _wrong(family, "constants", f"the function constant {name} at {theirs.location} is not lowered")


def _check_arguments(template: KernelTemplate, family: Family) -> None:
    upstream = {one.name: one for one in template.arguments if one.slot is not None and one.attribute == "buffer"}
    for i, argument in enumerate(family.arguments):
        theirs = upstream.get(argument.name)
        if theirs is None:
            raise _wrong(
                family, f"arguments.{i}", f"{template.name} has no buffer {argument.name}", ", ".join(upstream)
            )
        if (theirs.slot, theirs.gate) != (argument.slot, argument.gate):
            what = f"{argument.name} has slot {argument.slot} and gate {argument.gate}"
            expected = f"slot {theirs.slot} and gate {theirs.gate}, as at {theirs.location}"
            raise _wrong(family, f"arguments.{i}", what, expected)
    for name, theirs in upstream.items():
        if name not in {argument.name for argument in family.arguments}:
            raise _wrong(family, "arguments", f"the buffer {name} at {theirs.location} is not described")
