# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The page: one HTML file that loads nothing. Its data is JSON, deflated, in base64; a script of ours draws it.

Whatever comes from upstream's text reaches the document as text nodes only, never as markup.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def render(data: dict[str, Any]) -> str:
    """The whole page."""
    upstream = data["upstream"]
    values = {"revision": upstream["revision"], "tag": upstream["tag"] or ""}
    return self_contained(TEMPLATES, "page", data, (), **values)


def self_contained(folder: Path, name: str, data: Any, css: tuple[Path, ...], **values: str) -> str:
    """The page `NAME.html.j2` of `folder` with the house's style and script, those of `css`, NAME.js, and `data`."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, autoescape=True
    )

    def own(*paths: Path) -> Markup:  # ours, not data: nothing of a run stands in them
        return Markup("".join(path.read_text(encoding="utf-8") for path in paths))  # noqa: S704

    packed = zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)
    return environment.get_template(f"{name}.html.j2").render(
        css=own(TEMPLATES / "page.css", *css),
        script=own(TEMPLATES / "house.js", folder / f"{name}.js"),
        data=base64.b64encode(packed).decode(),
        **values,
    )
