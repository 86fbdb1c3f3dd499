# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The notice that a derived passage lacks, as a comment of the file's language, and where in the file it goes.

Copyright lines stand as upstream has them. The text of MIT is the library's (notice_words.py), because MLX's files
leave theirs to its LICENSE; a file under another licence brings its own words. The notice goes to the head of the file,
which is outside of every string: what stands in a string is the program's, and PyTorch's shader source must be ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from porter.audit.judge import owed
from porter.audit.model import Lines, Match, UpstreamFile
from porter.audit.notice_text import Remark, remarks
from porter.audit.notice_words import Line, copyrights, licence_text, named
from porter.errors import SteelPortError

UPSTREAM = "https://github.com/ml-explore/mlx"

# Mark, and the suffixes (or whole names) of the files whose comments begin with it.
_MARKS = {
    "//": ".c .cc .cl .comp .cpp .cs .cu .cuh .cxx .dart .frag .geom .glsl .go .h .hh .hip .hlsl .hpp .hxx .inc .inl "
    ".ipp .java .js .kt .m .metal .mm .rs .scala .slang .swift .tpp .ts .vert .wgsl .zig",
    "#": ".bash .bzl .cmake .jl .mojo .nix .pl .pxd .py .pyi .pyx .r .rb .sh .tcl .toml .yaml .yml "
    "CMakeLists.txt Makefile",
    "--": ".adb .ads .hs .lua .sql .vhd",
    ";": ".clj .el .lisp .scm",
    "!": ".f03 .f08 .f90 .f95",
}
_MARK_OF = {name.lower(): mark for mark, names in _MARKS.items() for name in re.findall(r"\S+", names)}

# Lines that must stay the first ones: what starts the file, or tells tools how to read it.
_FIRST_LINES = re.compile(
    rb"#!(?!\[).*|[ \t\f]*#.*?coding[:=].*|\W*-\*-.*-\*-\W*|\W*(?:vim?|ex):.*|//\s*swift-tools-version.*", re.I
)
_MOST_FIRST_LINES = 2


class NoComment(SteelPortError):
    """It is not known how a comment is written in this file, or its encoding cannot hold the notice."""


@dataclass(frozen=True)
class Derived:
    """One match, the upstream file, and the release that it is said to come from."""

    match: Match
    upstream: UpstreamFile
    revision: str


def missing_notice(match: Match, upstream: UpstreamFile, revision: str) -> str:
    """The comment to put at the head of `match.path`, with an empty line after it.

    The lines that it states are those that the passages have once it stands there. Raises NoComment where the language
    is not known, ParseError as judge.owed does.
    """
    return notice_for([Derived(match, upstream, revision)])


def notice_for(parts: Sequence[Derived]) -> str:
    """As `missing_notice`, for everything that one file has from upstream. Parts that owe the same words share them."""
    mark = comment_mark(parts[0].match.path)
    height = sum(1 for _ in _lines(parts, 0)) + 1
    lines = (f"{mark} {line}".rstrip() for line in _lines(parts, height))
    return "".join(f"{line}\n" for line in lines) + "\n"


def comment_mark(path: str) -> str:
    pure = PurePosixPath(path)
    mark = _MARK_OF.get(pure.name.lower()) or _MARK_OF.get(pure.suffix.lower())
    if mark is None:
        raise NoComment(
            "it is not known how a comment is written in such a file",
            where=path,
            next_step=f"write the notice to {pure.name}.license beside it, as REUSE does",
        )
    return mark


def _lines(parts: Sequence[Derived], shift: int) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[Derived]] = {}
    for part in parts:
        groups.setdefault(tuple(_owed_words(part.upstream)), []).append(part)
    for index, (words, members) in enumerate(groups.items()):
        if index:
            yield ""
        for part in members:
            yield from _origin(part, shift)
        yield from ("", *words)


def _origin(part: Derived, shift: int) -> Iterator[str]:
    """What was derived from what: our lines, upstream's, the revision, and that it was changed if it was."""
    passages = part.match.passages
    ours = ", ".join(str(Lines(one.lines.first + shift, one.lines.last + shift)) for one in passages)
    changed = "were changed" if any(not one.identical for one in passages) else "are a part of it"
    yield f"{'Line' if len(passages) == 1 and len(passages[0].lines) == 1 else 'Lines'} {ours} of this file"
    yield f"come from MLX, {part.upstream.path} at {part.revision}, and {changed}:"
    for one in passages:
        theirs = one.upstream_lines
        yield f"{UPSTREAM}/blob/{part.revision}/{part.upstream.path}#L{theirs.first}-L{theirs.last}"


def _owed_words(upstream: UpstreamFile) -> list[str]:
    """Copyright lines verbatim, and the licence in upstream's words, or MIT's text where upstream leaves it to its
    LICENSE."""
    due = owed(upstream)
    own = list(_own_notice(upstream))
    if own and set(due.licences) != {"MIT"}:
        return own
    body = licence_text("MIT").partition("[fullname]")[2].strip("\n").split("\n")
    return [*due.copyrights, "", "MIT License", "", *body]


def _own_notice(upstream: UpstreamFile) -> Iterator[str]:
    """The words of upstream's comments, as empty lines part them, that state a copyright or name a licence."""
    paragraphs = (one for remark in remarks(upstream.path, upstream.text) for one in _paragraphs(remark))
    stated = [one for one in paragraphs if any(True for _ in copyrights(one)) or named(one)]
    for index, lines in enumerate(stated):
        yield from ([""] if index else [])
        yield from (words for _, words in lines)


def _paragraphs(remark: Remark) -> Iterator[list[Line]]:
    run: list[Line] = []
    for line in remark.lines:
        if run and line[0] > run[-1][0] + 1:
            yield run
            run = []
        run.append(line)
    yield run


# ---------------------------------------------------------------------------------------------------------------------
# Into the file


def insert(path: str, data: bytes, notice: str) -> bytes:
    """The file `data` with the notice at its head: after a byte order mark and what must stay first, with the file's
    ends of line. Raises NoComment where the file's encoding cannot hold it."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    newline = line_end(data)
    lines = data[start:].split(newline)
    kept = 0
    while kept < min(_MOST_FIRST_LINES, len(lines)) and _FIRST_LINES.fullmatch(lines[kept]):
        kept += 1
    head = newline.join(lines[:kept]) + newline if kept else b""
    rest = newline.join(lines[kept:])
    return data[:start] + head + _encoded(path, data, notice).replace(b"\n", newline) + rest


def line_end(data: bytes) -> bytes:
    """How the file ends its first line; a line feed where it has one line."""
    at = data.find(b"\n")
    if at < 0:
        return b"\r" if b"\r" in data else b"\n"
    return b"\r\n" if data[:at].endswith(b"\r") else b"\n"


def _encoded(path: str, data: bytes, notice: str) -> bytes:
    """In UTF-8; where the file is none, in ASCII with (c) for the sign, which every encoding of source code extends."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return notice.replace("©", "(c)").encode("ascii")
        except UnicodeEncodeError as error:
            raise NoComment(
                "the notice has letters that the file's encoding may not have",
                where=path,
                expected="UTF-8",
                next_step="convert the file to UTF-8",
            ) from error
    return notice.encode()
