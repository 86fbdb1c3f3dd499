# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""LOCK.json: the SHA-256 of every generated file, and what they were generated from.

It holds nothing that differs between two machines: no time, no path of a machine, sorted keys. Two people who sync one
revision compare one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.errors import DigestMismatch, UpstreamError
from porter.model import check_relative, sha256
from porter.upstream.trees import list_files

LOCK = "LOCK.json"
FORMAT = 1
"""Of LOCK.json itself; a lock of another format is not read."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_AGAIN = "run `steel-port sync` to generate it again"


@dataclass(frozen=True)
class Lock:
    """`revision`: the commit of MLX. `pin`: `Sources.pin_digest`, the digest of what PIN.yaml records. `rules`: names
    everything else that decides the bytes (steel-port's version, digests of the specs), in the words of the caller.
    `files`: path below the generated folder -> sha256."""

    revision: str
    pin: str
    rules: str
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        if not _SHA1.fullmatch(self.revision):
            raise ValueError(f"not a full commit id: {self.revision!r}")
        for digest in (self.pin, *self.files.values()):
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"not a sha256: {digest!r}")
        for path in self.files:
            if check_relative(path) == LOCK:
                raise ValueError("the lock cannot lock itself")

    @classmethod
    def of(cls, revision: str, pin: str, rules: str, files: Mapping[str, bytes]) -> Lock:
        """The lock of generated `files` (a LOCK.json among them is passed over)."""
        return cls(revision, pin, rules, {path: sha256(files[path]) for path in sorted(files) if path != LOCK})

    def to_json(self) -> str:
        data = {
            "files": dict(self.files),
            "format": FORMAT,
            "pin": self.pin,
            "revision": self.revision,
            "rules": self.rules,
        }
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def write(path: Path, lock: Lock) -> None:
    """Write LOCK.json alone, atomically. (`replace_tree` writes it together with the files it locks.)

    Raises TreeError where the folder cannot be written.
    """
    from porter.cache import write_atomically

    write_atomically(path, lock.to_json().encode())


def read(path: Path) -> Lock:
    """Read LOCK.json as if a stranger had written it.

    Raises UpstreamError, with the line where there is one, for a file that is missing or not a lock.
    """
    try:
        data = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise UpstreamError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}", next_step=_AGAIN) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UpstreamError(f"the lock cannot be read: {error}", where=str(path), next_step=_AGAIN) from error
    expected = {"files": dict, "format": int, "pin": str, "revision": str, "rules": str}
    if not isinstance(data, dict) or {key: type(value) for key, value in data.items()} != expected:
        raise UpstreamError("not a lock", where=str(path), expected=f"the keys {', '.join(expected)}", next_step=_AGAIN)
    if data["format"] != FORMAT:
        raise UpstreamError(
            f"a lock of format {data['format']}", where=str(path), expected=str(FORMAT), next_step=_AGAIN
        )
    if not all(isinstance(digest, str) for digest in data["files"].values()):
        raise UpstreamError("a digest that is not a text", where=str(path), next_step=_AGAIN)
    try:
        return Lock(data["revision"], data["pin"], data["rules"], data["files"])
    except ValueError as error:
        raise UpstreamError(f"not a lock: {error}", where=str(path), next_step=_AGAIN) from error


HERE = "HERE.json"
"""Beside a lock that names more than stands here: the paths that do, as PIN.yaml and upstream_mlx/HERE.json have it."""


def present(root: Path) -> Lock:
    """The lock of what stands in `root`: LOCK.json, cut down to the paths of HERE.json where there is one.

    Raises UpstreamError for a file that is missing or not what it should be.
    """
    whole = read(root / LOCK)
    try:
        paths = json.loads((root / HERE).read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return whole
    except (OSError, ValueError, RecursionError) as error:
        raise UpstreamError(f"cannot be read: {error}", where=str(root / HERE), next_step=_AGAIN) from error
    if not isinstance(paths, list) or not set(map(str, paths)) <= set(whole.files):
        raise UpstreamError(f"not a list of paths that {LOCK} names", where=str(root / HERE), next_step=_AGAIN)
    return Lock(whole.revision, whole.pin, whole.rules, {path: whole.files[path] for path in map(str, paths)})


def verify(root: Path, lock: Lock, beside: str = "") -> None:
    """Check that `root` holds exactly the locked files. Raises DigestMismatch naming the first that is not right."""
    found = set(list_files(root, beside)) - {LOCK, HERE}
    for path in sorted(found.symmetric_difference(lock.files)):
        what = "not a file that the lock names" if path in found else "a file that the lock names is missing"
        raise DigestMismatch(what, where=str(root / path), next_step=_AGAIN)
    for path, expected in lock.files.items():
        place = root / path
        if place.is_symlink():
            raise DigestMismatch("a link stands where a file should", where=str(place), next_step=_AGAIN)
        try:
            digest = sha256(place.read_bytes())
        except OSError as error:
            raise UpstreamError(f"cannot be read: {error.strerror}", where=str(place), next_step=_AGAIN) from error
        if digest != expected:
            raise DigestMismatch(
                f"the file was changed since it was generated: found sha256 {digest}",
                where=str(place),
                expected=f"sha256 {expected}",
                next_step=_AGAIN,
            )


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        twin = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"the key {twin!r} stands twice")
    return data
