# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the host code that a family's exclusions and samples rest on is what a person read."""

from __future__ import annotations

from porter.errors import SpecError
from porter.model import Sources, sha256
from porter.spec import Evidence, Family


def check_evidence(sources: Sources, family: Family) -> None:
    """Compare the lines that the YAML names with their digests, where the full source is at hand.

    Another revision may have the same lines at another place of the file.
    Raises SpecError, with the YAML's line, where upstream has other lines there.
    """
    for number, evidence in enumerate(family.evidence):
        if evidence.file not in sources.files:
            continue
        text = sources.files[evidence.file].text
        found = digest_of(text, evidence)
        if found != evidence.sha256 and not _stands_elsewhere(text, evidence):
            first, last = evidence.lines
            raise SpecError(
                f"{evidence.file}, lines {first} to {last}, are not what was read",
                where=f"specs/{family.path}:{family.lines.get(f'evidence.{number}', 1)}",
                expected=f"sha256 {evidence.sha256}, found {found}",
                next_step=f"read them again ({evidence.what} rests on them), then write the lines and the digest found",
            )


def digest_of(text: str, evidence: Evidence) -> str:
    """The SHA-256 of the lines, each without the white space around it."""
    first, last = evidence.lines
    return _digest([line.strip() for line in text.splitlines()[first - 1 : last]])


def _stands_elsewhere(text: str, evidence: Evidence) -> bool:
    lines = [line.strip() for line in text.splitlines()]
    first, last = evidence.lines
    count = last - first + 1
    return any(_digest(lines[at : at + count]) == evidence.sha256 for at in range(len(lines) - count + 1))


def _digest(lines: list[str]) -> str:
    return sha256("\n".join(lines).encode())
