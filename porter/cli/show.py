# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port show NAME`: a kernel, template, params struct, function constant or file, in full.

Two families may call a template or a constant alike, and a plain kernel is its own template: then all are shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from porter.cli.common import family_option, json_option, print_json, root_option
from porter.cli.list import ListedFile, listed_files, spelled_parameters
from porter.errors import UsageError
from porter.model import Corpus, FunctionConstant, Instantiation, KernelTemplate, ParamsStruct, Sources, to_data
from porter.spec import load_families

Noun = Instantiation | KernelTemplate | ParamsStruct | FunctionConstant | ListedFile
_KINDS = {
    Instantiation: "kernel",
    KernelTemplate: "template",
    ParamsStruct: "params struct",
    FunctionConstant: "function constant",
    ListedFile: "file",
}
_SUGGESTED = 3


@click.command("show")
@click.argument("name")
@family_option
@root_option
@json_option
def command(name: str, families: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Show NAME: a kernel's host name, a template, params struct, function constant or file (or its last part)."""
    from porter.cli.vendored import read_vendored

    sources, corpus = read_vendored(root, load_families(families or None))
    nouns = find(name, sources, corpus)
    if as_json:
        data = [{"kind": _KINDS[type(noun)], **to_data(noun), **_beside(noun, corpus)} for noun in nouns]
        print_json(data if len(data) > 1 else data[0])
        return
    for i, noun in enumerate(nouns):
        if i:
            click.echo("\n")
        _print(noun, corpus)


def find(name: str, sources: Sources, corpus: Corpus) -> tuple[Noun, ...]:
    """The nouns called `name`: exactly, or by the last part of one qualified name or path.

    Raises UsageError with the closest names where there is none, and with the full names where `name` is the last part
    of several.
    """
    named: list[tuple[str, Noun]] = [
        *((row.host_name, row) for row in corpus.instantiations),
        *((template.name, template) for template in corpus.templates),
        *((struct.name, struct) for struct in corpus.params),
        *((constant.name, constant) for constant in corpus.constants),
        *((file.path, file) for file in listed_files(sources, corpus)),
    ]
    exact = tuple(noun for full, noun in named if full == name)
    if exact:
        return exact
    found = [pair for pair in named if pair[0].endswith((f"::{name}", f"/{name}"))]
    if not found:
        raise UsageError(
            f"nothing is called {name!r}",
            expected=_closest(name, (full for full, _ in named)),
            next_step="see `steel-port list kernels`, or templates, params, constants, files",
        )
    if len(found) > 1:
        raise UsageError(
            f"{name!r} is not one thing",
            expected=" or ".join(full for full, _ in found),
            next_step="give the full name",
        )
    return (found[0][1],)


def _closest(name: str, candidates: Iterable[str]) -> str | None:
    """The names most like `name`; a qualified name or a path may be meant by its last part."""
    by_key: dict[str, str] = {}
    for full in candidates:
        by_key.setdefault(full.lower(), full)
        by_key.setdefault(full.replace("::", "/").rpartition("/")[2].lower(), full)
    close = difflib.get_close_matches(name.lower(), by_key, n=_SUGGESTED, cutoff=0.5)
    return " or ".join(dict.fromkeys(by_key[key] for key in close)) or None


def _beside(noun: Noun, corpus: Corpus) -> dict[str, Any]:
    """What belongs to a noun and stands in others: a file's includes and macros."""
    if not isinstance(noun, ListedFile):
        return {}
    return {
        "includes": to_data([one for one in corpus.includes if one.location.file == noun.path]),
        "macros": to_data([one for one in corpus.macros if one.location.file == noun.path]),
    }


def _print(noun: Noun, corpus: Corpus) -> None:
    from porter.cli.vendored import print_table

    if isinstance(noun, Instantiation):
        _print_kernel(noun, corpus)
    elif isinstance(noun, KernelTemplate):
        parameters = f"<{spelled_parameters(noun)}>" if noun.parameters else ""
        click.echo(f"template {noun.name}{parameters}\n  of the family {noun.family}")
        click.echo(f"  at {noun.location}, to line {noun.end.line}")
        click.echo(f"  max_total_threads_per_threadgroup: {noun.thread_limit or 'not stated'}\n")
        print_table(
            ("argument", "type", "address space", "attribute", "slot", "only if", "where"),
            [
                (
                    one.name,
                    f"const {one.type}" if one.is_const else one.type,
                    one.address_space or "",
                    one.attribute or "",
                    "" if one.slot is None else one.slot,
                    one.gate or "",
                    f"line {one.location.line}",
                )
                for one in noun.arguments
            ],
        )
    elif isinstance(noun, ParamsStruct):
        click.echo(f"struct {noun.name}: {noun.size} bytes, aligned to {noun.align}\n  at {noun.location}\n")
        rows = [(f.offset, f.size, f.type, f.name, f"line {f.location.line}") for f in noun.fields]
        print_table(("offset", "bytes", "type", "field", "where"), rows)
    elif isinstance(noun, FunctionConstant):
        click.echo(f"function constant {noun.type} {noun.name}, index {noun.index}\n  at {noun.location}")
        here = [one for one in corpus.templates if one.location.file == noun.location.file]
        gated = [f"{t.name}: {a.name}" for t in here for a in t.arguments if a.gate == noun.name]
        if gated:
            click.echo(f"  gates the arguments {', '.join(gated)}")
    else:
        _print_file(noun, corpus)


def _print_kernel(kernel: Instantiation, corpus: Corpus) -> None:
    from porter.cli.vendored import print_table

    click.echo(f"kernel {kernel.host_name}\n  of the family {kernel.family}, from {kernel.origin}\n")
    template = next(
        (one for one in corpus.templates if (one.family, one.name) == (kernel.family, kernel.template)), None
    )
    names = [one.name for one in template.parameters] if template else []
    names += [""] * (len(kernel.arguments) - len(names))
    click.echo(f"template {kernel.template}" + (f", at {template.location}\n" if template else "\n"))
    if kernel.arguments:
        print_table(("parameter", "argument"), list(zip(names, kernel.arguments, strict=False)))


def _print_file(file: ListedFile, corpus: Corpus) -> None:
    from porter.cli.vendored import print_table

    notice, beside = file.notice, _beside(file, corpus)
    stated = "as the file states" if notice.stated else "upstream's LICENSE; the file states none"
    click.echo(f"file {file.path}: {file.lines} lines\n  sha256 {file.sha256}\n  licence {notice.spdx} ({stated})")
    for line in notice.copyrights:
        click.echo(f"  {line}")
    click.echo()
    rows = [("include", one["path"], f"line {one['location']['line']}") for one in beside["includes"]]
    rows += [("macro", one["name"], f"line {one['location']['line']}") for one in beside["macros"]]
    if rows:
        print_table(("holds", "name", "where"), rows)
