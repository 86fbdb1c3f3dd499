# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port list`: what the vendored sources declare, one kind of noun at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from porter.cli.common import family_option, json_option, print_json, root_option
from porter.model import Corpus, KernelTemplate, Notice, Sources
from porter.spec import Family, load_families


@dataclass(frozen=True)
class Listing:
    """How one kind is listed: the nouns, and each noun's row."""

    columns: tuple[str, ...]
    nouns: Callable[[Sources, Corpus], Sequence[Any]]
    row: Callable[[Any], Sequence[object]]


@dataclass(frozen=True)
class ListedFile:
    """One file of the corpus, as `list files` shows it."""

    path: str
    lines: int
    sha256: str
    notice: Notice


def listed_files(sources: Sources, corpus: Corpus) -> tuple[ListedFile, ...]:
    return tuple(
        ListedFile(path, sources.files[path].text.count("\n"), sources.files[path].sha256, corpus.notices[path])
        for path in corpus.files
    )


def spelled_parameters(template: KernelTemplate) -> str:
    """`typename T, int BM, typename AccumType = float`."""
    return ", ".join(
        f"{one.kind} {one.name}" + (f" = {one.default}" if one.default else "") for one in template.parameters
    )


LISTINGS = {
    "kernels": Listing(
        ("host name", "family", "template", "arguments", "from"),
        lambda sources, corpus: corpus.instantiations,
        lambda row: (
            row.host_name,
            row.family,
            row.template,
            ", ".join(row.arguments),
            f"{row.origin.file}:{row.origin.line}",
        ),
    ),
    "templates": Listing(
        ("template", "family", "parameters", "buffers", "threads at most", "where"),
        lambda sources, corpus: corpus.templates,
        lambda one: (
            one.name,
            one.family,
            spelled_parameters(one),
            sum(argument.slot is not None and argument.attribute != "threadgroup" for argument in one.arguments),
            one.thread_limit or "",
            one.location,
        ),
    ),
    "params": Listing(
        ("struct", "fields", "bytes", "alignment", "where"),
        lambda sources, corpus: corpus.params,
        lambda struct: (struct.name, len(struct.fields), struct.size, struct.align, struct.location),
    ),
    "constants": Listing(
        ("constant", "type", "index", "where"),
        lambda sources, corpus: corpus.constants,
        lambda constant: (constant.name, constant.type, constant.index, constant.location),
    ),
    "files": Listing(
        ("file", "lines", "licence", "stated in the file", "copyright"),
        listed_files,
        lambda file: (
            file.path,
            file.lines,
            file.notice.spdx,
            "yes" if file.notice.stated else "no",
            "; ".join(file.notice.copyrights),
        ),
    ),
}
FAMILIES = "families"


@click.command("list")
@click.argument("kind", type=click.Choice([*LISTINGS, FAMILIES]))
@family_option
@root_option
@json_option
def command(kind: str, families: tuple[str, ...], root: Path, as_json: bool) -> None:
    """List the kernels, templates, params structs, function constants or files of what is vendored, or the families."""
    from porter.cli.vendored import print_table, read_vendored

    chosen = load_families(families or None)
    if kind == FAMILIES:
        _list_families(chosen, as_json)
        return
    listing = LISTINGS[kind]
    nouns = listing.nouns(*read_vendored(root, chosen))
    if as_json:
        print_json(nouns)
    else:
        print_table(listing.columns, [listing.row(noun) for noun in nouns])


def _list_families(families: tuple[Family, ...], as_json: bool) -> None:
    """The families of specs/; what is vendored does not matter."""
    from porter.cli.vendored import print_table

    if as_json:
        print_json(
            [
                {
                    "name": family.name,
                    "title": family.title,
                    "operators": family.operators,
                    "kernels": len(family.instantiations()),
                    "templates": family.kernel_names,
                    "constants": [constant.name for constant in family.constants],
                    "sources": family.sources_of_kernels,
                    "spec": f"specs/{family.path}",
                }
                for family in families
            ]
        )
        return
    columns = ("family", "title", "operators", "templates", "kernels", "spec")
    print_table(
        columns,
        [
            (f.name, f.title, ", ".join(f.operators), len(f.kernels), len(f.instantiations()), f"specs/{f.path}")
            for f in families
        ],
    )
