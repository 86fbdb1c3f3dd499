# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One kernel on demand: a source of its own, for a request that no table has to name.

As upstream makes kernels at run time: a host name and template arguments for a template, or the columns of a format
string. The request goes the same way as everything else (parse, the rules, the checks of the family's YAML).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from porter.emit import ROOT, emit
from porter.emit.flatten import flatten
from porter.emit.names import constant_values, full_arguments, instantiation, ported_argument
from porter.errors import UsageError
from porter.model import Instantiation, Location, Sources
from porter.parse.corpus import read_corpus
from porter.parse.requests import requested_path, with_requests
from porter.port import port
from porter.port.constants import definitions
from porter.port.target import Target
from porter.spec import Family, Format, Value, requested

_ASKED = Location("a request", 1)


def kernel_source(
    sources: Sources, family: Family, target: Target, row: Instantiation, constants: Mapping[str, Value]
) -> str:
    """Self-contained Metal source of one kernel, its function constants at `constants`.

    `sources` are those of `with_requests`. Raises UsageError where the constants' values are no combination that
    upstream's host asks for, SteelPortError where a step of the port fails.
    """
    combinations = family.combinations(row.template)
    if dict(constants) not in combinations:
        raise UsageError(
            f"{row.host_name} is not asked for with {_listed(constants) or 'no constants'}",
            expected=" or ".join(_listed(one) for one in combinations[:4]) or "no constants",
            next_step="give each with --constant NAME=VALUE; `steel-port list constants` shows them",
        )
    corpus = read_corpus(sources, (family,))
    templates = {one.name: one for one in corpus.templates if one.family == family.name}
    overlay = emit(port(corpus, sources, (family,), target), sources, (family,), target)
    root = f"{ROOT}/{target.source_root}/"
    headers = {file.path.removeprefix(root): file.text for file in overlay.files if file.path.endswith(".h")}
    roots = [target.header(path) for path in family.sources_of_kernels if target.header(path) in headers]
    arguments = full_arguments(family, row, templates) + constant_values(family, row.template, constants)
    line = instantiation(
        row.host_name + family.suffix(row.template, constants),
        row.template,
        [ported_argument(argument, target) for argument in arguments],
    )
    return definitions(family, row.template, constants) + flatten(roots, headers) + line


def row_of_template(
    sources: Sources, family: Family, kernel: str, host_name: str, arguments: tuple[str, ...]
) -> tuple[Sources, Family, Instantiation]:
    """The instantiation of a template under a host name of the caller's, and what to make it of."""
    sources, family = _without_requests(sources, family)
    return sources, family, Instantiation(host_name, kernel, arguments, _ASKED, family.name)


def row_of_format(
    sources: Sources, family: Family, form: Format, columns: Mapping[str, Value]
) -> tuple[Sources, Family, Instantiation]:
    """A kernel that upstream's host formats, and what to make it of.

    Columns that are not given are those of the first request of the YAML that agrees with what is given. Raises
    UsageError for a column that the string does not have.
    """
    rows = list(form.rows())
    unknown = set(columns) - set(rows[0])
    if unknown:
        raise UsageError(f"{form.string} has no column {sorted(unknown)[0]!r}", expected=", ".join(rows[0]))
    agreeing = max(rows, key=lambda row: sum(str(row[name]) == str(value) for name, value in columns.items()))
    kernel, table, request = requested(form, {**agreeing, **columns})
    path = requested_path(form.file)
    sources, family = _without_requests(sources, family)
    family = dataclasses.replace(
        family,
        kernels=(*family.kernels, kernel),
        tables=(*family.tables, table),
        requests=(request,),
        formats=(form,),
        sources_of_kernels=(*family.sources_of_kernels, path),
    )
    return with_requests(sources, (family,)), family, Instantiation(kernel.name, kernel.name, (), _ASKED, family.name)


def _without_requests(sources: Sources, family: Family) -> tuple[Sources, Family]:
    """Both as if the family asked for no kernel that is formatted."""
    asked = {request.host_name for request in family.requests}
    gone = {requested_path(form.file) for form in family.formats}
    family = dataclasses.replace(
        family,
        kernels=tuple(kernel for kernel in family.kernels if kernel.name not in asked),
        tables=tuple(table for table in family.tables if table.kernel not in asked),
        requests=(),
        formats=(),
        sources_of_kernels=tuple(path for path in family.sources_of_kernels if path not in gone),
    )
    for path in gone:
        sources = _without(sources, path)
    return sources, family


def _without(sources: Sources, path: str) -> Sources:
    """`sources` before the requests were written out."""
    pin = dataclasses.replace(sources.pin, files=tuple(file for file in sources.pin.files if file.path != path))
    files = {name: file for name, file in sources.files.items() if name != path}
    recorded = sources.recorded
    if recorded is not None:
        recorded = dataclasses.replace(recorded, files=tuple(f for f in recorded.files if f.path != path))
    return dataclasses.replace(sources, pin=pin, files=files, recorded=recorded)


def _listed(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in values.items())
