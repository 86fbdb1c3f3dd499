# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The bill of materials of a tree: each file, whose it is, what it is under and what it was made from.

The nouns that both formats (SPDX 2.3, CycloneDX 1.6) are written from. Two runs over the same bytes give the same
nouns: the date is that of what is described, and every identifier is a digest.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone

from porter.audit.dependencies import Dependency
from porter.errors import UsageError
from porter.model import check_relative, sha256
from porter.port.origins import joined

TOOL = "steel-port"


@dataclass(frozen=True)
class Origin:
    """An upstream file: repository, commit, path and digests of its bytes."""

    repository: str
    revision: str
    path: str
    sha1: str
    sha256: str

    @property
    def address(self) -> str:
        return f"{self.repository}/blob/{self.revision}/{self.path}"


@dataclass(frozen=True)
class BomFile:
    """One file. `licence` is an SPDX expression, empty where nobody says; `origins` are what it was made from."""

    path: str
    sha1: str
    sha256: str
    licence: str
    copyrights: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    comment: str = ""

    def __post_init__(self) -> None:
        check_relative(self.path)

    @classmethod
    def of(cls, path: str, data: bytes, licence: str, copyrights: tuple[str, ...], **more: object) -> BomFile:
        sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        return cls(path, sha1, sha256(data), licence, copyrights, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Bom:
    """`created` is when what is described was made, UTC; `dependencies` are what it asks pip for."""

    name: str
    version: str
    licence: str
    address: str
    created: datetime
    files: tuple[BomFile, ...]
    dependencies: tuple[Dependency, ...] = field(default=())

    def __post_init__(self) -> None:
        paths = [file.path for file in self.files]
        if not paths or paths != sorted(set(paths)):
            raise ValueError("a bill of materials names each file once, in order, and there is one")

    @property
    def digest(self) -> str:
        """SHA-256 over all that is described: what the document's identifiers are made of."""
        lines = [self.name, self.version, self.licence, self.created.isoformat()]
        lines += [f"{file!r}" for file in self.files]
        lines += [f"{one.name} {one.version} {one.licence}" for one in self.dependencies]
        return sha256("\n".join(lines).encode())

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Every upstream file once, by path."""
        found = {origin.path: origin for file in self.files for origin in file.origins}
        return tuple(found[path] for path in sorted(found))


def licence_of_files(files: tuple[BomFile, ...]) -> str:
    """The expression of what holds for some file at least, ours first."""
    return joined(["BSD-3-Clause", *sorted({file.licence for file in files if file.licence})])


def when(seconds: int | None) -> datetime:
    """`$SOURCE_DATE_EPOCH`, or `seconds` since 1970 (UTC), as reproducible-builds.org has it.

    Raises UsageError where neither is known, or the variable is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None and seconds is None:
        raise UsageError(
            "the date of what is described is not known", next_step="set SOURCE_DATE_EPOCH to seconds since 1970"
        )
    try:
        return datetime.fromtimestamp(int(text) if text is not None else seconds or 0, timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"SOURCE_DATE_EPOCH is no date: {text!r}", expected="seconds since 1970") from error
