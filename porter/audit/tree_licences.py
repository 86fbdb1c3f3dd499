# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The licence files of a tree, and what each says."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from porter.audit.model import PassedOver
from porter.audit.notice_words import Grant, Line, grants, named
from porter.audit.reading import decode

_NAME = re.compile(
    r"(?:un)?licen[cs]es?(?:[.\-_ ].*)?|.+[.\-_ ]licen[cs]es?(?:[.\-_].*)?|copying(?:[.\-_].*)?"
    r"|notices?(?:[.\-_].*)?|acknowledge?ments?(?:\..*)?"
    r"|(?:third[-_]?party[-_ ]?)(?:notices?|licen[cs]es?)(?:[-_ ]?\w+)?(?:\..*)?",
    re.I,
)
_CODE = re.compile(r"\.(?:c|cc|cpp|cu|cuh|h|hpp|m|metal|mm|py|pyi|rs|go|swift|js|ts|java|sh|json|ya?ml|toml)$", re.I)
_LARGEST = 8 * 1024 * 1024  # bytes of one licence file
_NOT_ENTERED = frozenset((".git", ".hg", ".svn"))


@dataclass(frozen=True)
class LicenceFile:
    """One licence file: the whole permission texts it gives, with their copyright lines, and the licences it names."""

    path: str
    grants: tuple[Grant, ...]
    named: tuple[str, ...]

    @classmethod
    def from_text(cls, path: str, text: str) -> LicenceFile:
        lines = list(enumerate(text.split("\n"), start=1))
        return cls(path, grants(lines), tuple(named(lines)))


class TreeLicences:
    """The licence files of a tree by path. Each is read when it is first asked for, and once."""

    def __init__(self, paths: Iterable[str], read: Callable[[str], str]) -> None:
        """Those of `paths` that are licence files count; `read` gives the text of one."""
        self.paths = tuple(sorted(path for path in paths if is_licence_file(path)))
        self._read = read
        self._kept: dict[str, LicenceFile] = {}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> TreeLicences:
        return cls(texts, texts.__getitem__)

    @classmethod
    def read(cls, root: Path) -> TreeLicences:
        """Of the folder `root`; of a file `root`, those beside it.

        Links are not followed and what is no plain file is not opened. A licence file that cannot be read, or is
        larger than 8 MiB, says nothing: the audit lists it among what was passed over.
        """
        folder = root if root.is_dir() else root.parent
        paths = [path.relative_to(folder).as_posix() for path in _licence_paths(folder, deep=root.is_dir())]
        return cls(paths, lambda path: _read(folder / path))

    def with_texts(self, texts: Mapping[str, str]) -> TreeLicences:
        """The tree as it would be with these files too."""
        return TreeLicences((*self.paths, *texts), lambda path: texts[path] if path in texts else self._read(path))

    def file(self, path: str) -> LicenceFile:
        if path not in self._kept:
            self._kept[path] = LicenceFile.from_text(path, self._read(path))
        return self._kept[path]

    def neighbour(self, path: str) -> tuple[Line, ...]:
        """What the file `path`.license says of `path`, which is REUSE's way for files that take no comment."""
        if f"{path}.license" not in self.paths:
            return ()
        return tuple(enumerate(self._read(f"{path}.license").split("\n"), start=1))

    def above(self, path: str) -> Iterator[LicenceFile]:
        """Licence files in the folder of `path` and the folders above it, nearest first; a LICENSES folder counts as
        part of the folder that it stands in."""
        for folder in PurePosixPath(path).parents:
            yield from map(self.file, self._by_folder.get(folder, ()))

    def everywhere(self) -> Iterator[LicenceFile]:
        return map(self.file, (path for path in self.paths if not path.endswith(".license")))

    def resolve(self, path: str, name: str) -> LicenceFile | None:
        """The licence file that `name`, written in the file `path`, means: beside it, above it, or, where it is the
        only one of that name, anywhere."""
        candidates = self._by_name.get(_plain(PurePosixPath(name).name), ())
        for folder in PurePosixPath(path).parents:
            meant = _plain((folder / name).as_posix())
            for candidate in candidates:
                if _plain(candidate) == meant:
                    return self.file(candidate)
        return self.file(candidates[0]) if len(candidates) == 1 else None

    @functools.cached_property
    def _by_folder(self) -> Mapping[PurePosixPath, list[str]]:
        out: dict[PurePosixPath, list[str]] = {}
        for path in self.paths:
            folder = PurePosixPath(path).parent
            if not path.endswith(".license"):
                out.setdefault(folder.parent if folder.name.upper() == "LICENSES" else folder, []).append(path)
        return out

    @functools.cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        out: dict[str, list[str]] = {}
        for path in self.paths:
            out.setdefault(_plain(PurePosixPath(path).name), []).append(path)
        return out


def is_licence_file(path: str) -> bool:
    """Whether a file is one by its name, or by the folder LICENSES that it stands in."""
    pure = PurePosixPath(path)
    if pure.suffix == ".license" or (pure.parent.name == "LICENSES"):
        return True
    return bool(_NAME.fullmatch(pure.name)) and not _CODE.search(pure.name)


def _plain(path: str) -> str:
    """Lower case, with no `..` and none of the suffixes that a licence file has or has not."""
    path = os.path.normpath(path).lower()
    return path.removesuffix(".txt").removesuffix(".md")


def _licence_paths(folder: Path, *, deep: bool) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, followlinks=False):
        entered = (one for one in folders if one not in _NOT_ENTERED)
        folders[:] = sorted(one for one in entered if deep or one.upper() == "LICENSES")
        yield from _plain_files(Path(here), names)


def _plain_files(here: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in sorted(names):
        path = here / name
        if is_licence_file(f"{here.name}/{name}") and path.is_file() and not path.is_symlink():
            yield path


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            return ""
        read = decode(path.name, path.read_bytes())
    except OSError:
        return ""
    return "" if isinstance(read, PassedOver) else read.text
