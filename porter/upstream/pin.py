# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PIN.yaml: which MLX, and the digest of every byte of it that we use. HERE.json: what of that is on this machine.

PIN.yaml is tracked by git. It lists every file that was ever verified for its revision, the ones of the full source too
where a full source has been seen. HERE.json is not tracked; it says which provider filled this tree and how much of the
record that is. So a record made from a clone stays true, and its file unchanged, for a user who has only the wheel:
their tree holds the files that the wheel carries, each with the digest that PIN.yaml records.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from porter.errors import DigestMismatch, SpecError, UpstreamError
from porter.model import Coverage, Pin, PinnedFile, sha256
from porter.spec import load_yaml
from porter.upstream.selection import carried_by
from porter.upstream.trees import list_files

PIN = "PIN.yaml"
HERE = "HERE.json"

_HEAD = """\
# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
#
# Written by `steel-port sync`: the revision of github.com/ml-explore/mlx that is ported, and for every file of it that
# is used its size in bytes and its SHA-256. The files themselves are fetched, never kept in git.
"""

_PROVIDERS = ("github", "git", "wheel", "dir")
_KEYS = ("revision", "tag", "provider", "coverage", "files")
_RESTORE = "restore the file (git checkout), or delete it and run `steel-port sync` again"


def make_pin(revision: str, tag: str | None, provider: str, coverage: Coverage, files: Mapping[str, bytes]) -> Pin:
    """The pin of these bytes. Raises UpstreamError where MLX's LICENSE is not among them."""
    if "LICENSE" not in files:
        raise UpstreamError(
            "MLX's LICENSE is missing from what was fetched, and nothing of MLX may be kept without it",
            where=f"{provider}, {revision[:12]}",
            next_step="use another provider",
        )
    pinned = tuple(PinnedFile(path, len(files[path]), sha256(files[path])) for path in sorted(files))
    return Pin(revision, tag, provider, coverage, pinned)


def present(record: Pin, provider: str, coverage: Coverage) -> Pin:
    """The part of `record` that a tree of `coverage`, filled by `provider`, holds."""
    files = tuple(file for file in record.files if carried_by(file.path, coverage))
    return dataclasses.replace(record, provider=provider, coverage=coverage, files=files)


def merged(record: Pin | None, pin: Pin) -> Pin:
    """What PIN.yaml is to say after `pin` was seen, and held to `record`: the wider of the two, the record if equal."""
    if record is None or (record.coverage is Coverage.HEADERS and pin.coverage is Coverage.FULL):
        return pin
    return record


def to_yaml(pin: Pin) -> str:
    """The text of PIN.yaml: one line a file, so that a diff of two revisions can be read.

    Digests are quoted: YAML would read one of decimal digits alone as a number.
    """
    lines = [
        f'revision: "{pin.revision}"',
        f"tag: {json.dumps(pin.tag)}",
        f"provider: {pin.provider}",
        f"coverage: {pin.coverage.value}",
        "files:",
        *(f"  {json.dumps(file.path)}: [{file.size}, {json.dumps(file.sha256)}]" for file in pin.files),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def write(path: Path, pin: Pin) -> None:
    """Write PIN.yaml alone, atomically. Raises TreeError where that cannot be done."""
    from porter.cache import write_atomically

    write_atomically(path, to_yaml(pin).encode())


def read_pin(path: Path) -> Pin:
    """Read PIN.yaml as if a stranger had written it.

    Raises UpstreamError with file and line for whatever is wrong with it, and for a file that cannot be read.
    """
    where = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UpstreamError(f"the pin cannot be read: {error}", where=where, next_step=_RESTORE) from error
    try:
        data, lines = load_yaml(text, where)
    except SpecError as error:
        raise UpstreamError(error.what, where=error.where, next_step=_RESTORE) from error
    return _Reader(where, lines).pin(data)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Turns plain data into a Pin; knows the line of everything it reads."""

    where: str
    lines: Mapping[str, int]

    def pin(self, data: Any) -> Pin:
        if not isinstance(data, dict):
            raise self.wrong("", "the pin is not a mapping", f"the keys {', '.join(_KEYS)}")
        for key in data:
            if key not in _KEYS:
                raise self.wrong(str(key), f"unknown key {key!r}", ", ".join(_KEYS))
        for key in _KEYS:
            if key not in data:
                raise self.wrong("", f"the key {key!r} is missing", None)
        if not isinstance(data["revision"], str):
            raise self.wrong("revision", "the revision is not a text", "a full commit id in quotes")
        if not (data["tag"] is None or isinstance(data["tag"], str)):
            raise self.wrong("tag", "the tag is not a text", "a tag or null")
        if data["provider"] not in _PROVIDERS:
            raise self.wrong("provider", f"unknown provider {data['provider']!r}", ", ".join(_PROVIDERS))
        try:
            coverage = Coverage(data["coverage"])
        except ValueError as error:
            expected = ", ".join(item.value for item in Coverage)
            raise self.wrong("coverage", f"unknown coverage {data['coverage']!r}", expected) from error
        files = self.files(data["files"], coverage)
        try:
            return Pin(data["revision"], data["tag"], data["provider"], coverage, files)
        except ValueError as error:
            key = "revision" if "commit" in str(error) else "files"
            raise self.wrong(key, str(error), None) from error

    def files(self, rows: Any, coverage: Coverage) -> tuple[PinnedFile, ...]:
        if not isinstance(rows, dict):
            raise self.wrong("files", "the files are not a mapping", "path: [size, sha256]")
        out = []
        for path, row in rows.items():
            key = f"files.{path}"
            if not (isinstance(path, str) and isinstance(row, list) and [type(item) for item in row] == [int, str]):
                raise self.wrong(key, f"the entry of {path!r} is malformed", "path: [size, sha256]")
            if not carried_by(path, coverage):
                raise self.wrong(key, f"{path} cannot stand in a pin of coverage {coverage.value}", None)
            try:
                out.append(PinnedFile(path, row[0], row[1]))
            except ValueError as error:
                raise self.wrong(key, str(error), None) from error
        return tuple(out)

    def wrong(self, key: str, what: str, expected: str | None) -> UpstreamError:
        line = self.lines.get(key, 1)
        return UpstreamError(what, where=f"{self.where}:{line}", expected=expected, next_step=_RESTORE)


# ---------------------------------------------------------------------------------------------------------------------
# HERE.json


def here_text(provider: str, coverage: Coverage) -> str:
    """The text of HERE.json."""
    return json.dumps({"coverage": coverage.value, "provider": provider}, sort_keys=True) + "\n"


def read_here(root: Path, record: Pin) -> Pin | None:
    """The part of `record` that HERE.json says is in `root`; None where there is no HERE.json (a fresh clone).

    Raises UpstreamError for a HERE.json that is not ours.
    """
    path = root / HERE
    try:
        data = json.loads(path.read_bytes())
        return present(record, {name: name for name in _PROVIDERS}[data["provider"]], Coverage(data["coverage"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UpstreamError(
            f"the note on what is vendored here cannot be read: {error}",
            where=str(path),
            next_step="delete it and run `steel-port sync` again",
        ) from error


# ---------------------------------------------------------------------------------------------------------------------
# The bytes against the pin


def check_bytes(pin: Pin, files: Mapping[str, bytes], where: str, next_step: str) -> None:
    """Raise DigestMismatch unless `files` are exactly the files of `pin`, byte for byte."""
    for path in sorted({file.path for file in pin.files}.symmetric_difference(files)):
        if path in files:
            raise DigestMismatch("a file that the pin does not name", where=f"{where}: {path}", next_step=next_step)
        raise DigestMismatch("a file that the pin names is missing", where=f"{where}: {path}", next_step=next_step)
    for file in pin.files:
        found = sha256(files[file.path])
        if found != file.sha256:
            raise DigestMismatch(
                f"the bytes differ from the pin: found sha256 {found}, {len(files[file.path])} bytes",
                where=f"{where}: {file.path}",
                expected=f"sha256 {file.sha256}, {file.size} bytes",
                next_step=next_step,
            )


def missing_files(root: Path, pin: Pin) -> list[str]:
    """The files of `pin` that are absent from `root`."""
    return [file.path for file in pin.files if not (root / file.path).exists()]


def verify_tree(root: Path, pin: Pin) -> dict[str, bytes]:
    """The bytes of every file of `pin` in `root`, after checking that nothing is altered, missing or extra.

    PIN.yaml and HERE.json themselves are not counted. Raises DigestMismatch naming the file, what was expected and
    what was found; UpstreamError where a file cannot be read.
    """
    step = (
        "move what you want to keep elsewhere, delete everything in this folder but PIN.yaml, "
        "and run `steel-port sync` again"
    )
    found = set(list_files(root)) - {PIN, HERE}
    extra = sorted(found - {file.path for file in pin.files})
    if extra:
        raise DigestMismatch("a file that the pin does not name", where=str(root / extra[0]), next_step=step)
    files: dict[str, bytes] = {}
    for file in pin.files:
        path = root / file.path
        if path.is_symlink():
            raise DigestMismatch("a link stands where a file should", where=str(path), next_step=step)
        try:
            if path.stat().st_size <= file.size:  # a file that grew is read no further than it takes to see that
                files[file.path] = path.read_bytes()
            else:
                with path.open("rb") as stream:
                    files[file.path] = stream.read(file.size + 1)
        except FileNotFoundError:
            continue  # check_bytes names it
        except OSError as error:
            raise UpstreamError(f"cannot be read: {error.strerror}", where=str(path), next_step=step) from error
    check_bytes(pin, files, str(root), step)
    return files
