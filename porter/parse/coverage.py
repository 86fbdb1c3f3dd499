# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the families together own every kernel and every table of upstream."""

from __future__ import annotations

import re
from collections.abc import Sequence

from porter.errors import SpecError
from porter.model import Sources
from porter.parse.corpus import file_facts
from porter.parse.wrong import wrong
from porter.spec import Family
from porter.upstream.selection import KERNELS, ON_DEMAND

_SHOWN = 12


def check_coverage(sources: Sources, families: Sequence[Family]) -> None:
    """Every file under upstream's kernels folder that defines a kernel, and every `.metal` file there, has to be one
    family's, and no other's. Only for all families of specs/ together.

    Raises SpecError that lists what nobody owns, with file and line, or names the YAML's line of the second owner.
    """
    _once(families)
    facts = file_facts(sources)
    owned = {path for family in families for path in family.sources_of_kernels}
    tables = {family.table for family in families}
    loose = []
    for path in sorted(sources.files):
        if not path.startswith(f"{KERNELS}/") or not path.endswith((".h", ".metal")):
            continue
        if path not in owned:
            loose += [f"{one.name} ({one.location.file}:{one.location.line})" for one in facts[path].kernels]
        if path.endswith(".metal") and path not in tables:
            loose.append(f"the table {path}")
    loose += _unasked(sources, families)
    if loose:
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        raise SpecError(
            f"no family owns {', '.join(loose[:_SHOWN])}{more}",
            where="specs/families",
            expected="a family whose sources.kernels, sources.table or formats name it",
            next_step="write a family, or name the file in one",
        )


def _unasked(sources: Sources, families: Sequence[Family]) -> list[str]:
    """The kernels that upstream's host makes of strings, and that no family requests."""
    asked = {(request.file, request.string) for family in families for request in family.requests}
    return [
        f"the string {found[1]} ({path}:{sources.files[path].text.count(chr(10), 0, found.start()) + 1})"
        for path in ON_DEMAND
        if path in sources.files
        for found in _STRING.finditer(sources.files[path].text)
        if re.search(r"\[\[kernel\]\]\s*void\b", found[2]) and (path, found[1]) not in asked
    ]


_STRING = re.compile(r'std::string_view\s+(\w+)\s*=\s*R"\((.*?)\)"', re.S)


def _once(families: Sequence[Family]) -> None:
    owner: dict[str, Family] = {}
    for family in families:
        named = [(f"sources.kernels.{i}", path) for i, path in enumerate(family.sources_of_kernels)]
        if family.table is not None and not family.body_in_table:
            named.append(("sources.table", family.table))
        for key, path in named:
            if path in owner:
                what = f"{path} is also the family {owner[path].name}'s"
                raise wrong(family, key, what, "each file in one family; kernels that families share stand in one")
            owner[path] = family
