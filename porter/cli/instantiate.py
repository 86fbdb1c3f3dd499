# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port instantiate NAME`: the ported Metal source of one kernel, for compilation at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from porter.cli.common import family_option, root_option
from porter.errors import UsageError
from porter.model import Instantiation, Sources
from porter.spec import Family, Value, load_families


@click.command("instantiate")
@click.argument("name")
@click.option("--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="A template argument; repeatable.")
@click.option("--constant", "constants", multiple=True, metavar="NAME=VALUE", help="A function constant; repeatable.")
@click.option("--host-name", default=None, help="What the kernel is called (default: NAME).")
@click.option("--target", default="pytorch-2.13", show_default=True, help="The PyTorch release, see specs/targets/.")
@family_option
@root_option
def command(
    name: str,
    arguments: tuple[str, ...],
    constants: tuple[str, ...],
    host_name: str | None,
    target: str,
    families: tuple[str, ...],
    root: Path,
) -> None:
    """Print the ported source of one kernel, self-contained.

    NAME is a host name of upstream, a kernel template (its arguments by the names of the template's parameters), or a
    format string that upstream's host code fills (`gather_kernels`; its columns as the family's YAML names them).
    """
    from porter.emit.on_demand import kernel_source
    from porter.parse.requests import with_requests
    from porter.port.target import load_target
    from porter.upstream import vendored

    chosen = load_families(families or None)
    sources = with_requests(vendored(root / "upstream_mlx"), chosen)
    sources, family, row = _asked(name, _pairs(arguments), host_name, sources, chosen)
    given = {key: _value(value) for key, value in _pairs(constants).items()}
    if not given and len(family.combinations(row.template)) == 1:
        given = family.combinations(row.template)[0]
    click.echo(kernel_source(sources, family, load_target(target), row, given), nl=False)


def _asked(
    name: str, arguments: Mapping[str, str], host_name: str | None, sources: Sources, families: Iterable[Family]
) -> tuple[Sources, Family, Instantiation]:
    from porter.emit.on_demand import row_of_format, row_of_template

    for family in families:
        for row in family.instantiations():
            if row.host_name == name:
                if arguments:
                    raise UsageError(f"{name} is a host name, whose arguments are known", expected="no --argument")
                return sources, family, row
        for form in family.formats:
            if form.string == name:
                return row_of_format(sources, family, form, arguments)
        if name in family.kernel_names:
            values = _in_order(name, family, arguments, sources)
            return row_of_template(sources, family, name, host_name or name, values)
    raise UsageError(
        f"nothing is called {name!r}",
        expected="a host name, a kernel template, or a format string",
        next_step="see `steel-port list kernels` and `steel-port list templates`",
    )


def _in_order(name: str, family: Family, arguments: Mapping[str, str], sources: Sources) -> tuple[str, ...]:
    """The template's arguments in the order of its parameters; those with a default may be left out at the end."""
    from porter.parse.corpus import read_corpus

    template = next(one for one in read_corpus(sources, (family,)).templates if one.name == name)
    parameters = [parameter.name for parameter in template.parameters]
    unknown = [key for key in arguments if key not in parameters]
    missing = [p.name for p in template.parameters if p.default is None and p.name not in arguments]
    if unknown or missing:
        what = f"no parameter {unknown[0]!r}" if unknown else f"needs {', '.join(missing)}"
        raise UsageError(f"{name}: {what}", expected=", ".join(f"{p.kind} {p.name}" for p in template.parameters))
    last = max(index for index, parameter in enumerate(parameters) if parameter in arguments)
    values = [arguments.get(p.name, p.default or "") for p in template.parameters[: last + 1]]
    return tuple(values)


def _pairs(given: Iterable[str]) -> dict[str, str]:
    out = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not separator or not key:
            raise UsageError(f"{one!r} is not NAME=VALUE", expected="such as T=float")
        out[key] = value
    return out


def _value(text: str) -> Value:
    return text == "true" if text in ("true", "false") else int(text) if text.lstrip("-").isdigit() else text
