# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a bill of materials can be made of: the overlay, this repository, a built wheel."""

from __future__ import annotations

import calendar
import email
import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from porter.audit.bom import Bom, BomFile, Origin, licence_of_files, when
from porter.audit.bounded_git import run_git, succeed
from porter.audit.cleanliness import tracked_files
from porter.audit.dependencies import PACKAGE, Dependency, dependencies, is_expression, licence_of, load_rules
from porter.errors import ArchiveError, ToolchainError, TreeError
from porter.port.notice import COPYRIGHT_TAG, LICENCE_TAG, UPSTREAM
from porter.port.origins import joined
from porter.spec import load_yaml, read_text, specs_dir

MAX_MEMBER = 64 << 20
"""Bytes of one file of a wheel; the largest of ours has less than 1 MB."""
_ORIGIN = re.compile(r"^//   (mlx/[A-Za-z0-9_/.-]+), (?:lines|its strings|the )", re.M)


def of_overlay(root: Path) -> Bom:
    """Of the overlay in folder `root` (generated/). Raises what its lock raises, and TreeError where it says nothing
    of where its files come from."""
    from porter.upstream import lock

    if not (root / "LOCK.json").is_file():
        raise TreeError("nothing is generated here", where=str(root), next_step="run `steel-port sync`")
    found = lock.present(root)
    lock.verify(root, found, "report")
    origins = _origins(root)
    files = tuple(
        _overlay_file(path, (root / path).read_bytes(), origins) for path in sorted(found.files) if path != "LOCK.json"
    )
    return Bom(
        "steel-port-overlay",
        found.revision[:12],
        licence_of_files(files),
        f"{UPSTREAM}/tree/{found.revision}",
        when(_date_of(found.revision)),
        files,
    )


def _origins(root: Path) -> dict[str, Origin]:
    """Upstream path -> what provenance/ says of it."""
    out = {}
    for path in sorted((root / "provenance").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))["from"]
        out[data["path"]] = Origin(data["repository"], data["revision"], data["path"], data["sha1"], data["sha256"])
    if not out:
        raise TreeError("the overlay has no provenance/", where=str(root), next_step="run `steel-port sync` again")
    return out


def _overlay_file(path: str, data: bytes, origins: Mapping[str, Origin]) -> BomFile:
    copyrights, licence = read_tags(data)
    named = sorted(set(_ORIGIN.findall(data.decode())))
    comment = ""
    if path.startswith("LICENSES/") or "Steel.LICENSE" in path:
        comment = "A licence text, or what upstream says of its licence."
    elif not licence:  # NOTICE, provenance/: REUSE.toml of the overlay says whose they are
        copyrights, licence = ("2026 The steel-port authors",), "BSD-3-Clause"
    missing = [one for one in named if one not in origins]
    if missing:
        comment = f"Restates values of {', '.join(missing)}."
    made_from = tuple(origins[one] for one in named if one in origins)
    return BomFile.of(path, data, licence, copyrights, origins=made_from, comment=comment)


def _date_of(revision: str) -> int | None:
    """When the release with that commit was made, in seconds since 1970; None for another commit."""
    data, _ = load_yaml(read_text(specs_dir() / "releases.yaml"), "specs/releases.yaml")
    for row in data["releases"]:
        if row["revision"] == revision:
            return calendar.timegm(date.fromisoformat(str(row["date"])).timetuple())
    return None


def of_repository(root: Path) -> Bom:
    """Of the files that git tracks in `root`, by what the reuse tool says of each, and of what they ask pip for.

    The date is that of the last commit. Raises ToolchainError where git or reuse is missing.
    """
    info = _reuse(root)
    files = []
    for path in tracked_files(root):
        data = (root / path).read_bytes()
        copyrights, licence = info.get(path.as_posix()) or read_tags(data)  # reuse passes over its own REUSE.toml
        comment = "" if licence else "A licence text." if data else "Empty."
        files.append(BomFile.of(path.as_posix(), data, licence, copyrights, comment=comment))
    made = succeed(root, run_git(root, "log", "-1", "--format=%ct"), "say when its last commit was made")
    asked = dependencies()
    version = importlib.metadata.version(PACKAGE)
    return Bom(PACKAGE, version, licence_of_files(tuple(files)), "", when(int(made)), tuple(files), asked)


def _reuse(root: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """Path -> copyright lines and SPDX expression, by `reuse lint --json`.

    reuse also takes any text with the word "Copyright" for a notice, in strings of tests too; only tags count here.
    It names them in an order that changes from run to run, so they are sorted.
    """
    done = subprocess.run(
        [sys.executable, "-m", "reuse", "--root", str(root), "lint", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        data: Any = json.loads(done.stdout)
    except ValueError as error:
        raise ToolchainError(
            f"the reuse tool failed: {done.stderr.strip()[-300:]}", next_step="pip install -e '.[dev]'"
        ) from error
    return {
        row["path"]: (
            tuple(
                sorted(
                    {
                        one["value"].removeprefix(COPYRIGHT_TAG).strip()
                        for one in row["copyrights"]
                        if one["value"].startswith(COPYRIGHT_TAG)
                    }
                )
            ),
            joined(sorted(one["value"] for one in row["spdx_expressions"])),
        )
        for row in data["files"]
    }


def of_wheel(path: Path) -> Bom:
    """Of the wheel at `path`: its members, its License-Expression, and what it requires.

    The date is that of its newest member. Raises ArchiveError for a file that is no wheel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            for one in members:
                if one.file_size > MAX_MEMBER:
                    raise ArchiveError(f"{one.filename} has {one.file_size:,} bytes", where=str(path))
            data = {one.filename: archive.read(one) for one in members}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchiveError(f"no wheel: {why}", where=str(path), expected="a file that ends in .whl") from error
    name = next((one for one in data if re.fullmatch(r"[^/]+\.dist-info/METADATA", one)), None)
    if name is None:
        raise ArchiveError("no wheel: it has no METADATA", where=str(path), expected="a file that ends in .whl")
    metadata = email.message_from_bytes(data[name])
    if not metadata["Name"] or not metadata["Version"]:
        raise ArchiveError("no wheel: its METADATA has no Name or no Version", where=str(path))
    declared = metadata["License-Expression"] or ""
    if declared and not is_expression(declared):
        raise ArchiveError(
            f"the License-Expression of its METADATA is none: {declared!r}",
            where=str(path),
            expected="an SPDX expression, as `MIT AND BSD-3-Clause`",
            next_step="correct it where the wheel is built",
        )
    files = tuple(_wheel_file(one, data[one], declared) for one in sorted(data))
    newest = max(_seconds(one) for one in members)
    expression = joined([declared, *sorted({file.licence for file in files})])
    try:
        required = tuple(_required(metadata.get_all("Requires-Dist") or []))
    except ValueError as error:
        raise ArchiveError(f"no wheel: a Requires-Dist of its METADATA is none: {error}", where=str(path)) from error
    return Bom(metadata["Name"], metadata["Version"], expression, "", when(newest), files, required)


def _seconds(member: zipfile.ZipInfo) -> int:
    """Its date in seconds since 1970. A member without one has month and day 0."""
    year, month, day, *time = member.date_time
    return calendar.timegm((year, max(1, month), max(1, day), *time, 0, 0, 0))


def _wheel_file(path: str, data: bytes, declared: str) -> BomFile:
    copyrights, licence = read_tags(data)
    if licence:
        return BomFile.of(path, data, licence, copyrights)
    return BomFile.of(path, data, declared, copyrights, comment="By the wheel's License-Expression.")


def _required(lines: Iterable[str]) -> Iterable[Dependency]:
    """What a wheel asks for without any extra: its version is what it asks for, its licence what is installed says."""
    from packaging.requirements import Requirement

    for text in sorted(lines):
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            licence, says = licence_of(wanted.name, importlib.metadata.metadata(wanted.name), load_rules())
        except importlib.metadata.PackageNotFoundError:
            licence, says = "", "not installed here"
        yield Dependency(wanted.name, str(wanted.specifier), licence, says, ("",), ())


def read_tags(data: bytes) -> tuple[tuple[str, ...], str]:
    """The SPDX tags of the comment that heads a file, whatever its comments look like: copyright lines, expression."""
    copyrights: list[str] = []
    licences: list[str] = []
    for line in data[:8192].decode("utf-8", "replace").splitlines():
        if copyrights and licences and not line.strip():
            break
        for tag, found in ((COPYRIGHT_TAG, copyrights), (LICENCE_TAG, licences)):
            before, present, after = line.partition(tag)
            if present and not re.search(r"[A-Za-z0-9\"']", before):
                found.append(re.sub(r"\s*(?:\*/|-->|#\})\s*$", "", after).strip())
    return tuple(dict.fromkeys(copyrights)), joined(licences)
