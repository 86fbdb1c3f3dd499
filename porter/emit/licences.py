# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The licence texts that travel with the ported headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from porter.emit.rendering import render
from porter.model import Port, PortedFile, Sources
from porter.parse.lexer import tokenize
from porter.parse.notices import read_licence, recognise
from porter.port.notice import LICENCE_FILE, UPSTREAM, licence_file

# Licences whose text upstream's files only refer to: https://www.apache.org/licenses/LICENSE-2.0.txt, verbatim.
_TEXTS = Path(__file__).parent / "licences"


def licence_files(port: Port, sources: Sources, folder: str) -> dict[str, str]:
    """Path -> text: MLX's licence, and one file for every other licence that a ported file states."""
    licence = sources.files["LICENSE"].text
    values = {"upstream": UPSTREAM, "revision": port.corpus.pin.revision}
    out = {f"{folder}/{LICENCE_FILE}": render("Licence.j2", values, licence=licence).rstrip("\n") + "\n"}
    of_repository = read_licence("LICENSE", licence)
    for spdx in sorted({file.notice.spdx for file in port.files} - {of_repository}):
        files = sorted((file for file in port.files if file.notice.spdx == spdx), key=lambda file: file.path)
        rows = [
            {"path": PurePosixPath(file.path).name, "source": file.source, "statement": _statement(file, sources)}
            for file in files
        ]
        text = _TEXTS / f"LICENSE-{spdx}.txt"
        values_of = {**values, "spdx": spdx, "files": rows, "text": text.read_text() if text.is_file() else ""}
        out[f"{folder}/{licence_file(spdx, stated=True)}"] = render("LicenceOfFiles.j2", values_of).rstrip("\n") + "\n"
    return out


def _statement(file: PortedFile, sources: Sources) -> str:
    """What the upstream file says of its copyright and licence, verbatim: those runs of comments that state either."""
    runs = list(_runs(sources.files[file.source].text))
    said = [run for run in runs if recognise(run) or any(line in run for line in file.notice.copyrights)]
    return "\n".join(said)


def _runs(text: str) -> Iterator[str]:
    """Comments that one end of a line parts at most, taken together."""
    run: list[str] = []
    lines = 0
    for token in tokenize(text):
        lines = lines + 1 if token.kind == "newline" else lines * (token.kind == "space")
        if run and (lines > 1 or token.kind not in ("comment", "space", "newline")):
            yield "\n".join(run)
            run = []
        if token.kind == "comment":
            run.append(token.text)
    if run:
        yield "\n".join(run)
