# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The licences of an overlay, computed from the files that are in it.

Beside the ported headers, because those travel on alone: MLX's licence, and one file for each other set of licences,
with what upstream says verbatim. At the overlay's root: `LICENSES/` (one text for each SPDX identifier), `NOTICE` and
`REUSE.toml`. A file whose origin nobody has settled is an error (porter/port/origins.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from porter.emit.provenance import provenance_files
from porter.emit.rendering import render
from porter.errors import EmitError
from porter.model import Port, PortedFile, Sources
from porter.parse.lexer import Token
from porter.parse.notices import comment_runs_of, named_origins, read_licence, recognise
from porter.port.notice import COPYRIGHT_TAG, LICENCE_FILE, LICENCE_TAG, UPSTREAM, licence_file, read_heading
from porter.port.origins import Settled, joined, refuse_undecided, settle

OUR_LICENCE = "BSD-3-Clause"
OUR_COPYRIGHT = "2026 The steel-port authors"

# Licence texts as the SPDX list has them, and notices of origins verbatim: what specs/licences.yaml calls `text`.
_TEXTS = Path(__file__).parent / "licences"


@dataclass(frozen=True)
class LicensedFile:
    """A ported file, what it is under, and what its upstream file says of that, verbatim."""

    file: PortedFile
    settled: Settled
    statement: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.file.path).name

    @property
    def spdx(self) -> str:
        return self.settled.notice.spdx


def licence_files(port: Port, sources: Sources, folder: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Path -> text of every licence, notice and provenance file. `texts` are the formatted files, by overlay path.

    Raises EmitError (file:line) for a file that needs a person, for a notice that a rule took away, and for a licence
    whose text is not at hand.
    """
    licence = sources.files["LICENSE"].text
    values = {"upstream": UPSTREAM, "revision": port.corpus.pin.revision}
    of_repository = read_licence("LICENSE", licence)
    files = [_licensed(file, sources) for file in sorted(port.files, key=lambda file: file.path)]
    others = [one for one in files if one.spdx != of_repository]
    out = {f"{folder}/{LICENCE_FILE}": _rendered("Licence.j2", values, licence=licence)}
    for spdx in sorted({one.spdx for one in others}):
        group = [one for one in others if one.spdx == spdx]
        text = _rendered("LicenceOfFiles.j2", values, spdx=spdx, files=group, texts=_texts_of(group, licence))
        out[f"{folder}/{licence_file(spdx, stated=True)}"] = text
    expression = joined([OUR_LICENCE, of_repository, *sorted({one.spdx for one in others})])
    for spdx in expression.split(" AND "):
        out[f"LICENSES/{spdx}.txt"] = _text(spdx, licence)
    holder = next((line.strip() for line in licence.splitlines() if line.lower().startswith("copyright")), "")
    notice = {"expression": expression, "of_repository": of_repository, "holder": holder, "ours": OUR_LICENCE}
    out["NOTICE"] = _rendered("LicenceNotice.j2", {**values, **notice}, files=others)
    tags = {"copyright_tag": COPYRIGHT_TAG.rstrip(":"), "licence_tag": LICENCE_TAG.rstrip(":")}
    out["REUSE.toml"] = _rendered("LicenceReuse.j2", tags, copyright=OUR_COPYRIGHT, ours=OUR_LICENCE)
    return out | provenance_files([(one.file, one.settled) for one in files], sources, texts)


def flattened_heading(headers: Iterable[str], revision: str) -> str:
    """The comment that heads a file of ours whose one string holds `headers`: whose and under what they all are."""
    read = [read_heading(text) for text in headers]
    copyrights = sorted({line for lines, _ in read for line in lines})
    licences = joined([OUR_LICENCE, *sorted({licence for _, licence in read})])
    lines = [f"{COPYRIGHT_TAG} {line}" for line in (OUR_COPYRIGHT, *copyrights)]
    lines += [f"{LICENCE_TAG} {licences}", ""]
    lines += [
        f"The string holds ported headers of {UPSTREAM}, revision {revision},",
        "each headed by its own notice; made by steel-port, which changed them. The lines outside of the string are",
        f"steel-port's ({OUR_LICENCE}). The licences' texts stand in the files {LICENCE_FILE}* beside the headers.",
    ]
    return "\n".join(f"// {line}".rstrip() for line in lines)


def _licensed(file: PortedFile, sources: Sources) -> LicensedFile:
    text = sources.files[file.source].text
    settled = settle(file.source, text, file.notice)
    refuse_undecided(file.source, settled)
    runs = list(_speaking(text, file.notice.copyrights))
    for token in (token for run in runs for token in run):
        if token.text.rstrip() not in file.text:
            raise EmitError(
                "a rule took away a notice, which must stay verbatim",
                where=f"{file.source}:{token.line}",
                next_step="correct the rule in porter/port/rules/",
            )
    return LicensedFile(file, settled, "\n".join(token.text for run in runs for token in run))


def _speaking(text: str, copyrights: Iterable[str]) -> Iterable[tuple[Token, ...]]:
    """Those runs of comments that state copyright, a licence or another origin."""
    origins = {origin.first for origin in named_origins(text)}
    for run in comment_runs_of(text):
        said = "\n".join(token.text for token in run)
        if recognise(said) or any(line in said for line in copyrights) or run[0].line in origins:
            yield run


def _texts_of(group: Iterable[LicensedFile], licence: str) -> list[tuple[str, str]]:
    """The texts that go with files of one expression: (title, text). An origin's own notice comes before the text of
    its licence."""
    notices = {one.text: one.origin for file in group for one in file.settled.decisions if one.text}
    identifiers = {spdx for file in group for spdx in file.spdx.split(" AND ")}
    own = [(f"The notice of {origin}", _text(name, licence)) for name, origin in sorted(notices.items())]
    rest = sorted(identifiers - set(notices))
    return own + [(f"The text of {spdx}", _text(spdx, licence)) for spdx in rest]


def _text(name: str, licence: str) -> str:
    """The licence text or notice called `name`; that of MLX's own licence is what stands in its LICENSE."""
    path = _TEXTS / f"LICENSE-{name}.txt"
    if name == read_licence("LICENSE", licence):
        return licence.rstrip("\n") + "\n"
    if not path.is_file():
        raise EmitError(
            f"the text of {name} is not at hand", where=str(path), next_step="put it there, as spdx.org/licenses has it"
        )
    return path.read_text(encoding="utf-8").rstrip("\n") + "\n"


def _rendered(template: str, values: Mapping[str, object], **more: object) -> str:
    return render(template, values, **more).rstrip("\n") + "\n"
