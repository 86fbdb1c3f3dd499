# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The comment that heads every ported file: whose it is, under which licence, where it comes from, that it changed."""

from __future__ import annotations

from porter.model import Notice
from porter.parse.requests import origin
from porter.port.origins import Settled, settle

UPSTREAM = "https://github.com/ml-explore/mlx"
LICENCE_FILE = "Steel.LICENSE"

# Put together here, so that a licence checker does not take this module's strings for its own notice.
COPYRIGHT_TAG = "SPDX" + "-FileCopyrightText:"
LICENCE_TAG = "SPDX" + "-License-Identifier:"


def licence_file(spdx: str, *, stated: bool) -> str:
    """The file of licence texts that a file under `spdx` points to; those that state MIT are under MLX's own."""
    return f"{LICENCE_FILE}-{spdx.replace(' ', '-')}" if stated and spdx != "MIT" else LICENCE_FILE


def header_comment(path: str, text: str, notice: Notice, revision: str) -> str:
    """The heading of the port of upstream file `path` with text `text`.

    Copyright lines stand as upstream has them. What specs/licences.yaml says of the file's other origins is added; the
    comments that name them stay where they stand.
    """
    settled = settle(path, text, notice)
    notice, derived = settled.notice, [one for one in settled.decisions if one.kind == "derived"]
    source = origin(path)
    place = f"{path}, lines 1-{max(1, len(text.splitlines()))}"
    if source != path:
        place = f"{source}, its strings, written out for the requests of our specs"
    lines = [f"{COPYRIGHT_TAG} {line}" for line in notice.copyrights]
    lines += [f"{LICENCE_TAG} {notice.spdx}", ""]
    if not notice.stated:
        lines += ["Upstream's file states no licence of its own and is under that of its repository."]
    for one in derived:
        lines += [f"It names another origin: {one.origin},", f"  {one.address}", f"  under {one.licence}."]
    lines += [
        f"The licence's text stands beside this file in {licence_file(notice.spdx, stated=_has_own(settled))}.",
        "Ported by steel-port, which changed it; edit its rules, not this file, and run `steel-port sync`.",
        f"Origin: {UPSTREAM}",
        f"  revision {revision}",
        f"  {place}",
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"


def _has_own(settled: Settled) -> bool:
    return settled.notice.stated or any(one.licence for one in settled.decisions)


def read_heading(text: str) -> tuple[tuple[str, ...], str]:
    """The copyright lines and the SPDX expression of the comment that heads a file of ours; "" where it has none."""
    copyrights, licence = [], ""
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        tag, _, value = line.removeprefix("//").strip().partition(" ")
        if tag == COPYRIGHT_TAG:
            copyrights.append(value.strip())
        elif tag == LICENCE_TAG:
            licence = value.strip()
    return tuple(copyrights), licence
