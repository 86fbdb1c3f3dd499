# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The comment that heads every ported file: whose it is, under which licence, where it comes from, that it changed."""

from __future__ import annotations

from porter.model import Notice
from porter.parse.requests import origin

UPSTREAM = "https://github.com/ml-explore/mlx"
LICENCE_FILE = "Steel.LICENSE"

# Put together here, so that a licence checker does not take this module's strings for its own notice.
COPYRIGHT_TAG = "SPDX" + "-FileCopyrightText:"
LICENCE_TAG = "SPDX" + "-License-Identifier:"


def licence_file(spdx: str, *, stated: bool) -> str:
    """The file of licence texts that a file under `spdx` points to; those that state MIT are under MLX's own."""
    return f"{LICENCE_FILE}-{spdx.replace(' ', '-')}" if stated and spdx != "MIT" else LICENCE_FILE


def header_comment(path: str, text: str, notice: Notice, revision: str) -> str:
    """The heading of the port of upstream file `path` with text `text`. Copyright lines stand as upstream has them."""
    source = origin(path)
    place = f"{path}, lines 1-{max(1, len(text.splitlines()))}"
    if source != path:
        place = f"{source}, its strings, written out for the requests of our specs"
    lines = [f"{COPYRIGHT_TAG} {line}" for line in notice.copyrights]
    lines += [f"{LICENCE_TAG} {notice.spdx}", ""]
    if not notice.stated:
        lines += ["Upstream's file states no licence of its own and is under that of its repository."]
    lines += [
        f"The licence's text stands beside this file in {licence_file(notice.spdx, stated=notice.stated)}.",
        "Ported by steel-port, which changed it; edit its rules, not this file, and run `steel-port sync`.",
        f"Origin: {UPSTREAM}",
        f"  revision {revision}",
        f"  {place}",
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"
