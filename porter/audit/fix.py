# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Writing the notices that an audit found missing, into a tree that is the user's own.

Nothing is written before every file has been looked at: one that may not be written stops all, with the reason. What
stands in a file is kept; a wrong licence is not taken out, because only a person knows whose it is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from porter.audit.bounded_git import run_git
from porter.audit.judge import judge, lines_said, owed
from porter.audit.model import Finding, Lines, Match, NoticeJudgement, UpstreamFile, Verdict
from porter.audit.notice_text import remarks
from porter.audit.notice_words import licence_text
from porter.audit.notice_writing import Derived, insert, missing_notice, notice_for
from porter.audit.tree_licences import TreeLicences
from porter.cache import write_atomically
from porter.errors import SteelPortError
from porter.model import check_relative

__all__ = ["FixRefused", "Fixes", "apply_fixes", "missing_notice"]

_NOT_OURS = frozenset(("site-packages", "dist-packages", "node_modules", ".git", ".hg", ".svn"))

# Too long for a comment, and no file of MLX's brings it: it goes beside the others of the tree, as REUSE has it.
_BESIDE = frozenset(("Apache-2.0",))


class FixRefused(SteelPortError):
    """A file that lacks a notice may not be written; nothing was."""


@dataclass(frozen=True)
class Fixes:
    """Paths `written` (licence texts of the tree among them), those that had all they owe already, and what a person
    must decide: (path, why)."""

    written: tuple[str, ...]
    complete: tuple[str, ...]
    needs_a_person: tuple[tuple[str, str], ...]


def apply_fixes(root: Path, findings: Iterable[Finding], upstream: Callable[[str], UpstreamFile]) -> Fixes:
    """Write the missing notices of `findings` into the tree `root`; `upstream` gives an upstream file by its digest.

    Files are judged again first, so a second run changes nothing. Raises FixRefused, before anything is written, where
    a file is a link, not writable, outside of `root`, part of an installed package or of a repository's own files, or
    has changes that git could not bring back; NoComment where the file's language is not known.
    """
    by_path: dict[str, list[Match]] = {}
    for finding in findings:
        by_path.setdefault(finding.match.path, []).append(finding.match)
    files = {path: _File.read(root, path, matches, upstream) for path, matches in sorted(by_path.items())}
    before = TreeLicences.read(root)
    texts = _texts_beside(root, before, files.values())
    tree = before.with_texts(texts)
    lacking = {path: file for path, file in files.items() if file.lacking(tree)}
    _check_all(root, list(lacking))
    new = {path: file.mended(tree) for path, file in lacking.items()}
    _write(root, {**{path: file.data for path, file in new.items()}, **{path: texts[path].encode() for path in texts}})
    return Fixes(
        written=(*new, *texts),
        complete=tuple(path for path in files if path not in lacking),
        needs_a_person=tuple(_for_a_person(lacking, new, tree)),
    )


@dataclass(frozen=True)
class _File:
    path: str
    data: bytes
    parts: tuple[Derived, ...]

    @classmethod
    def read(cls, root: Path, path: str, matches: Sequence[Match], upstream: Callable[[str], UpstreamFile]) -> _File:
        _check_place(root, path)
        try:
            data = (root / path).read_bytes()
        except OSError as error:
            raise _refused(root, path, f"cannot be read: {error.strerror}", "make it readable") from error
        files = [(match, upstream(match.digest)) for match in matches]
        return cls(path, data, tuple(Derived(match, file, _revision(match, file)) for match, file in files))

    @property
    def text(self) -> str:
        text = self.data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
        return text if "\n" in text else text.replace("\r", "\n")

    def judged(self, tree: TreeLicences) -> list[tuple[Derived, NoticeJudgement]]:
        return [(part, judge(tree, self.path, self.text, part.match, part.upstream)) for part in self.parts]

    def lacking(self, tree: TreeLicences) -> list[Derived]:
        return [part for part, found in self.judged(tree) if found.verdict is not Verdict.COMPLETE]

    def mended(self, tree: TreeLicences) -> _File:
        """With the notice; its matches stand as many lines further down."""
        notice = notice_for(self.lacking(tree))
        height = notice.count("\n")
        parts = tuple(replace(part, match=_moved(part.match, height)) for part in self.parts)
        return _File(self.path, insert(self.path, self.data, notice), parts)


def _revision(match: Match, upstream: UpstreamFile) -> str:
    """The newest of the match's releases at which this very file stands, so that the lines that are named are there."""
    held = [tag for tag in match.revisions if tag in upstream.tags]
    return (held or upstream.tags or match.revisions or ("main",))[-1]


def _moved(match: Match, by: int) -> Match:
    passages = (replace(one, lines=Lines(one.lines.first + by, one.lines.last + by)) for one in match.passages)
    return replace(match, passages=tuple(passages))


def _for_a_person(old: Mapping[str, _File], new: Mapping[str, _File], tree: TreeLicences) -> Iterator[tuple[str, str]]:
    """Files that named a wrong licence, which stands there still; whose own notices speak of lines, which moved; and
    those that are not complete for all that."""
    for path, file in old.items():
        wrong = [found.reason for _, found in file.judged(tree) if found.verdict is Verdict.WRONG_LICENCE]
        moved = [one.span.first for one in remarks(path, file.text) if lines_said(one)]
        left = [found.reason for _, found in new[path].judged(tree) if found.verdict is not Verdict.COMPLETE]
        height = new[path].text.count("\n") - file.text.count("\n")
        yield from ((path, f"the old notice stands still: {reason}") for reason in dict.fromkeys(wrong))
        for line in moved:
            yield path, f"the remark at line {line + height} speaks of lines, which now stand {height} further down"
        yield from ((path, reason) for reason in dict.fromkeys(left))


def _texts_beside(root: Path, tree: TreeLicences, files: Iterable[_File]) -> dict[str, str]:
    """Licence files that the tree is to get, where no file above the derived one has the text."""
    out = {}
    for file in files:
        for spdx in {spdx for part in file.lacking(tree) for spdx in owed(part.upstream).licences} & _BESIDE:
            known = (grant.spdx for one in tree.above(file.path) for grant in one.grants)
            path = f"LICENSES/{spdx}.txt"
            if spdx not in known and path not in out:
                _check_new(root, path)
                out[path] = licence_text(spdx)
    return out


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(exist_ok=True)
        write_atomically(target, data)


# ---------------------------------------------------------------------------------------------------------------------
# What may be written


def _refused(root: Path, path: str, why: str, next_step: str) -> FixRefused:
    return FixRefused(f"the notice is not written, and no other: {why}", where=str(root / path), next_step=next_step)


def _check_all(root: Path, paths: Sequence[str]) -> None:
    for path in paths:
        _check_writable(root, path)
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        by_folder.setdefault(str(PurePosixPath(path).parent), []).append(path)
    for folder, inside in by_folder.items():
        _check_committed(root, folder, inside)


def _check_place(root: Path, path: str) -> None:
    """The file stands in the tree, not beside it, and no link leads to it."""
    try:
        check_relative(path)
    except ValueError as error:
        raise _refused(root, path, "it is outside of the tree", "audit the folder that holds it") from error
    if _NOT_OURS & {*root.resolve().parts, *PurePosixPath(path).parts}:
        raise _refused(root, path, "it belongs to an installed package or a repository", "mend the package's source")
    for one in (root / path, *(root / parent for parent in PurePosixPath(path).parents if str(parent) != ".")):
        if one.is_symlink():
            raise _refused(root, path, f"{one.name} is a link", "audit the folder that it leads to")


def _check_writable(root: Path, path: str) -> None:
    target = root / path
    status = target.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _refused(root, path, "it is no plain file", "leave it out of the audit")
    if status.st_nlink > 1:
        raise _refused(root, path, "it is a hard link: writing it would part the two", "copy it")
    may = status.st_mode & 0o222 and os.access(target, os.W_OK) and os.access(target.parent, os.W_OK)
    if not may:
        raise _refused(root, path, "it is not writable", "chmod u+w it, if it is yours to change")


def _check_new(root: Path, path: str) -> None:
    if (root / path).parent.is_symlink() or (root / path).is_symlink() or (root / path).exists():
        raise _refused(root, path, "something else stands there", "put the licence's text there by hand")


def _check_committed(root: Path, folder: str, paths: Sequence[str]) -> None:
    """In a git work tree, each file is as the last commit has it, so that git can undo what we write.

    Bytes are compared with the stored blobs here: `git status` would run the filters that the settings name.
    """
    place = (root / folder).resolve()
    if not any((one / ".git").exists() for one in (place, *place.parents)):
        return
    names = [PurePosixPath(path).name for path in paths]
    told = run_git(place, "ls-tree", "-z", "HEAD", "--", *names)
    if told.status != 0 and "HEAD" not in told.complaint:
        raise _refused(root, folder, f"git cannot tell what is committed: {told.complaint}", "see `git status` there")
    rows = [row.split("\t", 1) for row in told.output.decode("utf-8", "surrogateescape").split("\0")[:-1]]
    stored = {name: facts.split()[2] for facts, name in rows}
    for path, name in zip(paths, names, strict=True):
        if stored.get(name) is None:
            raise _refused(root, path, "it is not committed, so git could not undo it", "commit it first")
        if stored[name] not in _blob_ids((root / path).read_bytes(), len(stored[name])):
            raise _refused(root, path, "it has uncommitted changes", "commit or stash them first")


def _blob_ids(data: bytes, length: int) -> set[str]:
    """Git's names for the bytes, as they are and with line feeds (`core.autocrlf`), in SHA-1 or SHA-256."""
    make = hashlib.sha256 if length == 64 else hashlib.sha1
    return {make(b"blob %d\0" % len(one) + one).hexdigest() for one in (data, data.replace(b"\r\n", b"\n"))}
