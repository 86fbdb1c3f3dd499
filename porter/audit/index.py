# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The index of MLX's code: fingerprints of every version of every file, kept on disk and mapped into memory.

A fingerprint leads to the paths in one of whose versions it stands; which versions hold a run of tokens is then seen
by comparing with each. That keeps the index small: versions of one file mostly hold the same.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from porter.audit.fingerprints import GRAM, gram_hashes, winnow
from porter.audit.model import UpstreamFile
from porter.audit.tokens import Array, Tokens, tokens_of
from porter.cache import cache_dir
from porter.model import sha256

_ARRAYS = ("words", "lines", "grams", "starts", "hashes", "owners", "examples", "texts", "text_starts")
_CODE = ("tokens.py", "fingerprints.py", "index.py")
_KEPT = 4  # indices; the oldest go


@dataclass(frozen=True)
class Version:
    """One version of one file: its number in the index, and which tags (a bit each) hold it."""

    number: int
    path: int
    sha256: str
    tags: int


@dataclass(frozen=True)
class Index:
    """`tags`, oldest first. `words`, `lines` (uint32) and `grams` (uint64, the hash of the run that begins there, 0 if
    none does) are of the tokens of all versions, one after another, each from its `starts` (int64) on.

    Of each fingerprint: `hashes` (uint64, ascending), `owners` (uint16, the path) and `examples` (int64, a token where
    it stands, in the newest version that has it). `texts` are the versions' texts, packed, from `text_starts` on."""

    tags: tuple[str, ...]
    paths: tuple[str, ...]
    versions: tuple[Version, ...]
    words: Array = field(repr=False)
    lines: Array = field(repr=False)
    grams: Array = field(repr=False)
    starts: Array = field(repr=False)
    hashes: Array = field(repr=False)
    owners: Array = field(repr=False)
    examples: Array = field(repr=False)
    texts: Array = field(repr=False)
    text_starts: Array = field(repr=False)

    @cached_property
    def of_path(self) -> tuple[tuple[Version, ...], ...]:
        """The versions of each path, that of the newest release first."""
        out: list[list[Version]] = [[] for _ in self.paths]
        for version in self.versions:
            out[version.path].append(version)
        return tuple(tuple(sorted(some, key=lambda one: -one.tags)) for some in out)

    def look(self, version: Version) -> tuple[Tokens, Array]:
        """The tokens of a version, and the hashes of all their runs."""
        found: tuple[Tokens, Array] = self._looked_at(version.number)  # type: ignore[attr-defined]
        return found

    def _look(self, number: int) -> tuple[Tokens, Array]:
        start, end = self.starts[number], self.starts[number + 1]
        tokens = Tokens(np.asarray(self.words[start:end]), np.asarray(self.lines[start:end]))
        return tokens, np.asarray(self.grams[start : max(start, end - GRAM + 1)])

    def __post_init__(self) -> None:
        object.__setattr__(self, "_looked_at", lru_cache(maxsize=4096)(self._look))  # of this process alone

    def text(self, version: Version) -> str:
        part = self.texts[self.text_starts[version.number] : self.text_starts[version.number + 1]]
        return zlib.decompress(part.tobytes()).decode("utf-8", "surrogatepass")

    def upstream_file(self, version: Version) -> UpstreamFile:
        return UpstreamFile(self.paths[version.path], version.sha256, self.tags_of(version.tags), self.text(version))

    def by_digest(self, digest: str) -> UpstreamFile:
        """The version with these bytes. Raises KeyError where there is none."""
        return self.upstream_file(self._versions_by_digest[digest])

    @cached_property
    def _versions_by_digest(self) -> dict[str, Version]:
        return {version.sha256: version for version in self.versions}

    def tags_of(self, bits: int) -> tuple[str, ...]:
        return tuple(tag for place, tag in enumerate(self.tags) if bits >> place & 1)

    @property
    def sentence(self) -> str:
        """Which revisions of MLX it holds."""
        if len(self.tags) == 1:
            return f"MLX {self.tags[0]}, {len(self.paths)} files"
        many = f"{len(self.tags)} releases, {len(self.versions):,} versions of {len(self.paths)} files"
        return f"MLX {self.tags[0]} to {self.tags[-1]}, {many}"


def index_of(files: Sequence[UpstreamFile], tags: Sequence[str]) -> Index:
    """The index of these versions of files. `tags` are all tags that they name, oldest first."""
    paths = tuple(sorted({file.path for file in files}))
    place = {path: number for number, path in enumerate(paths)}
    bit = {tag: 1 << number for number, tag in enumerate(tags)}
    versions = tuple(
        Version(number, place[file.path], file.sha256, sum(bit[tag] for tag in file.tags))
        for number, file in enumerate(files)
    )
    all_tokens = [tokens_of(file.text) for file in files]
    all_hashes = [gram_hashes(tokens) for tokens in all_tokens]
    starts = _starts([len(tokens) for tokens in all_tokens])
    packed = [zlib.compress(file.text.encode("utf-8", "surrogatepass"), 1) for file in files]
    return Index(
        tuple(tags),
        paths,
        versions,
        words=np.concatenate([tokens.words for tokens in all_tokens]),
        lines=np.concatenate([tokens.lines for tokens in all_tokens]),
        grams=np.concatenate(
            [
                np.pad(hashes, (0, len(tokens) - len(hashes)))
                for hashes, tokens in zip(all_hashes, all_tokens, strict=True)
            ]
        ),
        starts=starts,
        texts=np.frombuffer(b"".join(packed), np.uint8),
        text_starts=_starts([len(one) for one in packed]),
        **_fingerprints(versions, all_hashes, starts),
    )


def _fingerprints(versions: Sequence[Version], all_hashes: Sequence[Array], starts: Array) -> dict[str, Array]:
    """Each (hash, path) once, at the newest version that has it."""
    newest_first = sorted(versions, key=lambda one: -one.tags)
    marks = [winnow(all_hashes[one.number]) for one in newest_first]
    counts = [len(some) for some in marks]
    hashes = np.concatenate([all_hashes[one.number][at] for one, at in zip(newest_first, marks, strict=True)])
    owners = np.repeat(np.array([one.path for one in newest_first], np.uint16), counts)
    places = np.concatenate([at + starts[one.number] for one, at in zip(newest_first, marks, strict=True)])
    order = np.lexsort((owners, hashes))  # stable: of the same hash and path the newest stays first
    hashes, owners, places = hashes[order], owners[order], places[order]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return {"hashes": hashes[first], "owners": owners[first], "examples": places[first]}


def _starts(lengths: Sequence[int]) -> Array:
    return np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)


# ---------------------------------------------------------------------------------------------------------------------
# On disk


def index_key(what: str) -> str:
    """The name of an index in the cache: `what` says which bytes of upstream it is of; our own code counts too."""
    code = [(Path(__file__).parent / name).read_bytes() for name in _CODE]
    return sha256(b"\n".join([what.encode(), *code]))[:32]


def kept_index(key: str) -> Path | None:
    """The folder of the index in the cache, where it is whole."""
    folder = cache_dir("audit") / key
    return folder if (folder / "index.json").is_file() else None


def keep(index: Index, key: str) -> Path:
    """Write an index into the cache, whole or not at all."""
    base = cache_dir("audit")
    with tempfile.TemporaryDirectory(dir=base, prefix=".new-") as name:
        new = Path(name) / "index"
        new.mkdir()
        for array in _ARRAYS:
            np.save(new / f"{array}.npy", getattr(index, array), allow_pickle=False)
        rows = [[one.path, one.sha256, f"{one.tags:x}"] for one in index.versions]
        (new / "index.json").write_text(json.dumps({"tags": index.tags, "paths": index.paths, "versions": rows}))
        folder = base / key
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)
    known = sorted((one for one in base.iterdir() if not one.name.startswith(".")), key=lambda one: one.stat().st_mtime)
    for old in known[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def load(folder: Path) -> Index:
    """The index that `keep` wrote; its arrays are mapped, not read."""
    said = json.loads((folder / "index.json").read_text())
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    versions = tuple(
        Version(number, path, digest, int(tags, 16)) for number, (path, digest, tags) in enumerate(said["versions"])
    )
    return Index(tuple(said["tags"]), tuple(said["paths"]), versions, **arrays)
