# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What clang says about Metal source, told in the lines that the user wrote.

clang sees other text than the user wrote (`patches`, the shim's macros, entries), so its own excerpts would show ours.
It is asked for places only, and the excerpts are made here, of the user's text: patches keep every offset. What it says
about the shim's insides is told at the line of the source that led there. `explain` asks once more about the whole
source, as it was before preprocessing, because only there columns are the user's.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import MetalError
from porter.metal import toolchain
from porter.metal.frontend import RUNTIME, SHIM, Mode, compiler_arguments
from porter.metal.patches import patch

PLACES = (
    "-fno-caret-diagnostics",
    "-fdiagnostics-print-source-range-info",
    "-fno-color-diagnostics",
    "-fno-elide-type",
)
"""Arguments with which clang says where, and shows nothing."""

_MAX_ERRORS = 5
_MAX_NOTES = 4
_MAX_SHOWN = 120

# What stands for a word of the language in patched text, and what clang calls the types.
_WORDS = {
    "MSLKER": "kernel",
    "MSL_TGVAR__": "threadgroup",
    "MSL_CON_": "constant",
    "MSL_IHOST": "host_name",
    "tgp_argumen": "threadgroup",
    "_Float16": "half",
}

_MESSAGE = re.compile(
    r"^(?P<file>[^\n]+?):(?P<line>\d+):(?:(?P<column>\d+):)?(?P<ranges>(?:\{[\d:-]+\})+:)? "
    r"(?P<kind>fatal error|error|warning|note): (?P<text>.*)$",
    re.M,
)
_RANGE = re.compile(r"\{(\d+):(\d+)-(\d+):(\d+)\}")

# As the dialect that the shim needs would have it: Metal has neither.
POISON = "#pragma GCC poison double\n"
"""Goes in front of a source, behind the shim's headers, which use the word where the user does not see it."""

_PLAINER = (
    (re.compile("^attempt to use a poisoned identifier$"), "Metal has no type 'double'; 'float' is its widest"),
    (re.compile("^GNU-style inline assembly is disabled$"), "inline assembly is not part of Metal"),
    (
        re.compile("^'([^']*)' file not found$"),
        r"'\1' is not a header of Metal's standard library, and source is compiled by itself",
    ),
)


@dataclass(frozen=True)
class Message:
    """One message of clang. `line` and `column` count from 1, `column` in bytes; it is 0 where it is not known.

    `marked` are (line, first column, last column), the last exclusive; clang counts these lines in what it was given,
    whatever #line says. `notes` are about the same fault.
    """

    file: str
    line: int
    column: int
    kind: str
    text: str
    marked: tuple[tuple[int, int, int], ...] = ()
    notes: tuple[Message, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.kind in ("error", "fatal error")


def messages(output: str) -> tuple[Message, ...]:
    """Errors in what clang wrote, each with its notes."""
    found: list[Message] = []
    for one in map(_message, _MESSAGE.finditer(output)):
        if one.kind != "note":
            found.append(one)
        elif found:
            found[-1] = replace(found[-1], notes=(*found[-1].notes, one))
    return tuple(one for one in found if one.is_error)


def _message(found: re.Match[str]) -> Message:
    line = int(found["line"])
    ranges = [tuple(map(int, one)) for one in _RANGE.findall(found["ranges"] or "")]
    marked = tuple((start, first, last) for start, first, end, last in ranges if start == end)
    text = found["text"]
    for inside, written in _WORDS.items():
        text = re.sub(rf"\b{inside}\b", written, text)
    for pattern, plain in _PLAINER:
        text = pattern.sub(plain, text)
    # "'half' (aka 'half')" once both are called what they are.
    text = re.sub(r"('[^']*') \(aka \1\)", r"\1", text)
    return Message(found["file"], line, int(found["column"] or 0), found["kind"], text, marked)


def explain(source: str, name: str, output: str, target: Sequence[str] = ()) -> MetalError:
    """The error to raise for `source`, called `name`, of which some step of compilation said `output`.

    `target` are the arguments that said what to compile for.
    """
    said = messages(output)
    found = messages(_ask_again(source, name, target))
    lines = {(place.file, place.line) for one in said for place in (one, *one.notes)}
    # What made the step fail goes first: the rest may be about kernels that nobody asked for.
    same = [one for one in found if any((place.file, place.line) in lines for place in (one, *one.notes))]
    chosen = [*same, *(one for one in found if one not in same)]
    chosen = chosen or [replace(one, marked=()) for one in said]
    if not chosen:
        return toolchain.source_error(output, name)
    return _error(chosen, _Source(source, name))


def _ask_again(source: str, name: str, target: Sequence[str]) -> str:
    arguments = [
        "clang",
        *target,
        *toolchain.closed((SHIM, RUNTIME)),
        *compiler_arguments(Mode.RUN),
        *PLACES,
        "-fno-gnu-inline-asm",
        "-fsyntax-only",
        "-",
    ]
    with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".build-") as folder:
        return toolchain.run_zig(arguments, folder=Path(folder), text=numbered(source, name)).stderr


_LINES_BEFORE = 2


def numbered(source: str, name: str) -> str:
    """`source` as clang is given it: patched, and called `name` in what is said about it."""
    return f'{POISON}#line 1 "{name}"\n{patch(source)[0]}\n'


# ---------------------------------------------------------------------------------------------------------------------
# The user's lines


def _error(found: Sequence[Message], source: _Source) -> MetalError:
    first = source.own(found[0])
    told = [f"not valid Metal source: {first.text}", *_excerpt(first, source), *_notes(first, source)]
    # A second fault inside the shim on the way from one call is the first one again.
    others = [one for one in map(source.own, found[1:]) if source.has(one) and source.place(one) != source.place(first)]
    for other in others[: _MAX_ERRORS - 1]:
        told += [f"  {source.place(other)}: {other.text}", *_excerpt(other, source)]
    if len(others) >= _MAX_ERRORS:
        told.append(f"  and {len(others) - _MAX_ERRORS + 1} more")
    return MetalError("\n".join(told), where=source.place(first))


def _notes(message: Message, source: _Source) -> Iterator[str]:
    told: list[str] = []
    for note in message.notes:
        place = f"{source.place(note)}: " if source.has(note) else ""
        if not place and not note.text.startswith("candidate"):
            continue  # about the shim's insides
        line = f"  {place}note: {note.text}"
        if line not in told:
            told.append(line)
            yield line
            yield from _excerpt(note, source)
        if len(told) == _MAX_NOTES:
            return


def _excerpt(message: Message, source: _Source) -> Iterator[str]:
    """The line and the marks below it, as clang shows them."""
    text = source.line(message)
    if text is None:
        return
    number = f"{message.line:5d}"
    if not message.column:
        yield f"{number} | {_printable(text[:_MAX_SHOWN])}"
        return
    column = _characters(text, message.column)
    marks = [" "] * (len(text) + 1)
    for first, last in source.marked(message):
        for position in range(_characters(text, first), min(_characters(text, last), len(text))):
            marks[position] = "~"
    marks[min(column, len(text))] = "^"
    start = max(0, column - _MAX_SHOWN // 2) if len(text) > _MAX_SHOWN else 0
    shown = slice(start, start + _MAX_SHOWN)
    below = "".join("\t" if one == "\t" else mark for one, mark in zip(text + " ", marks, strict=True))
    yield f"{number} | {_printable(text[shown])}"
    yield f"{' ' * len(number)} | {below[shown].rstrip()}"


def _characters(text: str, column: int) -> int:
    """The index in characters of clang's `column` of a line."""
    return len(text.encode()[: column - 1].decode(errors="ignore"))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\t" else "?" for one in text)


class _Source:
    """The user's text, found again by the places that clang names, which follow the text's own #line directives."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._lines: dict[tuple[str, int], str] = {}
        self._given: dict[tuple[str, int], int] = {}  # lines as clang was given them, behind those of `numbered`
        file, number = name, 0
        for given, line in enumerate(re.split(r"\r\n|\n|\r", text), start=_LINES_BEFORE + 1):
            number += 1
            self._lines.setdefault((file, number), line)
            self._given.setdefault((file, number), given)
            marker = re.match(r'\s*#\s*(?:line\s+)?(\d+)(?:\s+"((?:[^"\\]|\\.)*)")?', line)
            if marker:
                number = int(marker[1]) - 1
                file = re.sub(r"\\(.)", r"\1", marker[2]) if marker[2] is not None else file
        self._files = {file for file, _ in self._lines}

    def has(self, message: Message) -> bool:
        return message.file in self._files

    def line(self, message: Message) -> str | None:
        return self._lines.get((message.file, message.line))

    def marked(self, message: Message) -> Iterator[tuple[int, int]]:
        """(first, last) columns that clang marks on the line of `message`."""
        given = self._given.get((message.file, message.line))
        return ((first, last) for line, first, last in message.marked if line == given)

    def place(self, message: Message) -> str:
        """file:line:column, the column in characters, or what is known of it."""
        if not self.has(message):
            return self._name
        text = self.line(message)
        if text is None or not message.column:
            return f"{message.file}:{message.line}"
        return f"{message.file}:{message.line}:{_characters(text, message.column) + 1}"

    def own(self, message: Message) -> Message:
        """`message`, moved to the line of the source that led there where it is about the shim."""
        if self.has(message):
            return message
        led = next((note for note in message.notes if self.has(note)), None)
        if led is None:
            return message
        notes = tuple(note for note in message.notes if note is not led)
        return replace(message, file=led.file, line=led.line, column=led.column, marked=led.marked, notes=notes)
