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
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, autoescape=True
    )
    packed = zlib.compress(json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(), 9)
    # Ours, not data: nothing of a run stands in them.
    own = {name: Markup((TEMPLATES / f"page.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}  # noqa: S704
    return environment.get_template("page.html.j2").render(
        css=own["css"],
        script=own["js"],
        data=base64.b64encode(packed).decode(),
        revision=data["upstream"]["revision"],
        tag=data["upstream"]["tag"] or "",
    )
