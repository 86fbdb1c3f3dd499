# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Pin -> Sources: get one revision of MLX, and hold every byte of it to the digests that PIN.yaml records.

`obtain` is the whole room. It uses what stands in the folder where that is the asked revision, and otherwise fetches,
checks, and puts the new tree in the old one's place in one step.

What PIN.yaml says, and what is here, are two things. PIN.yaml (kept in git) is a record of a revision: the digest of
every file that has been seen of it. It grows when a full source is seen where only a wheel was before; it is never cut
down, and its bytes do not change when another provider brings the same files. HERE.json (not kept in git) says who
filled this folder, and with how much. So on a fresh clone whose PIN.yaml was made from a full source, a user who has
only the wheel gets the headers, each held to the recorded digest, and git sees no change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from porter.errors import DigestMismatch, TreeError, UpstreamError
from porter.model import Pin, SourceFile, Sources, sha256
from porter.upstream.fetching import NO_METAL, PROVIDERS, SOURCE_VARIABLE, Request, describe, fetch
from porter.upstream.pin import (
    HERE,
    PIN,
    check_bytes,
    here_text,
    merged,
    missing_files,
    present,
    read_here,
    read_pin,
    to_yaml,
    verify_tree,
)
from porter.upstream.selection import carried_by
from porter.upstream.trees import list_files, recover, replace_tree

if TYPE_CHECKING:
    from porter.upstream.providers import Progress

__all__ = ["NO_METAL", "PROVIDERS", "SOURCE_VARIABLE", "default_revision", "obtain", "vendored"]


def default_revision() -> str:
    """The tag that is ported where nobody says otherwise and no PIN.yaml does (`specs/releases.yaml`)."""
    from porter.upstream.resolve import load_releases

    return load_releases().default


def obtain(
    rev: str | None = None,
    source: str | None = None,
    provider: str = "auto",
    root: Path = Path("upstream_mlx"),
    *,
    progress: Progress | None = None,
    offline: bool = False,
) -> tuple[Sources, str]:
    """The vendored sources of `rev` in the folder `root`, and one line that says what was taken, and why.

    `rev`: a tag, a full sha or the beginning of one; None for the revision of PIN.yaml, or the default where there is
    none. `source`: a clone, its address, or a folder (`--mlx-source`). `provider`: one of `PROVIDERS`. `auto` keeps
    what stands in `root`, else tries the cache, the configured clone (`SOURCE_VARIABLE`), GitHub and the wheel, in
    this order; with a `source` given by hand it is that source or an error. `offline`: no network.

    What stood in `root` stands there still after any error. Raises UnknownRevision, AmbiguousRevision, NetworkError,
    ArchiveError, DigestMismatch (also where a file in `root` was changed by hand), TreeError, ToolchainError,
    UsageError, and UpstreamError for a malformed PIN.yaml.
    """
    recover(root)
    record = read_pin(root / PIN) if (root / PIN).exists() else None
    rev = rev or (record.revision if record else default_revision())
    request = Request.make(rev, source, provider, offline, progress)
    revision = request.resolve(record)
    if record is not None and record.revision == revision.sha:
        standing = _standing(root, record)
        if standing is not None and request.is_met_by(standing.pin):
            return standing, f"MLX {revision}: kept what stands in {root.name}, {describe(standing.pin)}"
    _check_unaltered(root, record)
    fetched = fetch(request, revision)
    same = record if record is not None and record.revision == revision.sha else None
    return _establish(root, same, fetched.pin, fetched.files), f"MLX {revision}: {fetched.sentence}"


def vendored(root: Path) -> Sources:
    """What stands in `root`, verified, whoever brought it. Nothing is fetched and nothing is written.

    Raises TreeError where nothing is vendored there, DigestMismatch and UpstreamError as `obtain` does.
    """
    record = read_pin(root / PIN) if (root / PIN).exists() else None
    standing = _standing(root, record) if record is not None else None
    if standing is None:
        raise TreeError("no MLX is vendored here yet", where=str(root), next_step="run `steel-port sync`")
    return standing


def _standing(root: Path, record: Pin) -> Sources | None:
    """What stands in `root`, verified; None where it is not all there (a fresh clone has PIN.yaml alone)."""
    here = read_here(root, record)
    if here is None or missing_files(root, here):
        return None
    return _sources(root, here, record, verify_tree(root, here))


def _establish(root: Path, record: Pin | None, pin: Pin, files: dict[str, bytes]) -> Sources:
    """Hold the fetched `files` to the record of their revision, if there is one, and put them into `root`."""
    if record is not None:
        known = present(record, pin.provider, pin.coverage)
        step = f"use another provider; if you trust this one more than the record, delete {root / PIN} and run again"
        held = {path: data for path, data in files.items() if carried_by(path, record.coverage)}
        check_bytes(known, held, f"{pin.provider}, {pin.revision[:12]}", step)
    whole = merged(record, pin)
    sources = _sources(root, present(whole, pin.provider, pin.coverage), whole, files)
    # A record that says nothing new keeps its bytes, whoever wrote them: git must see no change.
    text = (root / PIN).read_bytes() if whole is record else to_yaml(whole).encode()
    replace_tree(root, {PIN: text, HERE: here_text(pin.provider, pin.coverage).encode(), **files})
    return sources


def _sources(root: Path, here: Pin, record: Pin, files: dict[str, bytes]) -> Sources:
    read = {}
    for file in here.files:
        try:
            read[file.path] = SourceFile(file.path, files[file.path].decode("utf-8"), file.sha256)
        except UnicodeDecodeError as error:
            raise UpstreamError(f"the file is not UTF-8: {error}", where=str(root / file.path)) from error
    return Sources(here, root, read, record)


def _check_unaltered(root: Path, record: Pin | None) -> None:
    """Raise DigestMismatch where replacing `root` would lose something a person put there."""
    here = read_here(root, record) if record is not None else None
    digests = {file.path: file.sha256 for file in here.files} if here else {}
    for path in sorted(set(list_files(root)) - {PIN, HERE}):
        place = root / path
        if place.is_symlink() or path not in digests or sha256(place.read_bytes()) != digests[path]:
            what = "the file was changed since it was vendored" if path in digests else "not a file that was vendored"
            raise DigestMismatch(
                f"{what}, and fetching would overwrite it",
                where=str(place),
                expected=f"sha256 {digests[path]}" if path in digests else None,
                next_step=f"move it elsewhere or delete it, and run again (all of {root} but {PIN} can be deleted)",
            )
