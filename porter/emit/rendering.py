# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Templates and headings of the files that are ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porter.port.notice import COPYRIGHT_TAG, LICENCE_FILE, LICENCE_TAG, UPSTREAM
from porter.spec import Family

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, values: Mapping[str, Any], **more: Any) -> str:
    return _environment().get_template(template).render(values, **more)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    # What is rendered is C++, not HTML; nothing in it comes from a user.
    return jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )


def heading(revision: str, family: Family, restated: Iterable[str]) -> str:
    """The comment that heads a file of ours; `restated` names the upstream places whose values it holds."""
    places = list(restated)
    lines = [f"{COPYRIGHT_TAG} 2026 The steel-port authors"]
    lines += [f"{COPYRIGHT_TAG} {line}" for line in family.copyright if places]
    lines += [f"{LICENCE_TAG} BSD-3-Clause{f' AND {family.licence}' if places else ''}", ""]
    lines += ["Made by steel-port; edit its templates and specs, not this file, and run `steel-port sync`."]
    if places:
        lines += [f"Restates values of {UPSTREAM}", f"  revision {revision}"]
        lines += [f"  {place}" for place in places]
        lines += [
            f"whose licence stands in kernels/{LICENCE_FILE}. The rows of the tables are those values; every other"
        ]
        lines += ["line is steel-port's."]
    return "\n".join(f"// {line}".rstrip() for line in lines)
