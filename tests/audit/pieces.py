# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of an upstream file: excerpts of so many lines of code, whole functions, and files with headers written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from .tokens import comments, idiom_lines, tokens

MOSTLY = 0.6  # of an excerpt's lines of code are to be more than an idiom (`tokens.idiom_lines`)


def excerpt(text: str, wanted: int, random: Random) -> tuple[int, str] | None:
    """(first line, text) of a place in `text` with `wanted` lines of code, or None where the place chosen does not do.

    Lines that hold only comments or nothing come along and do not count. A place does not do where fewer than `MOSTLY`
    of the lines are more than an idiom, where it begins or ends inside a macro's definition or a comment.
    """
    code, idioms = idiom_lines(text)
    numbers = sorted(code)
    if len(numbers) < wanted:
        return None
    start = random.randrange(len(numbers) - wanted + 1)
    chosen = numbers[start : start + wanted]
    if sum(line not in idioms for line in chosen) < MOSTLY * wanted:
        return None
    lines = text.split("\n")
    first, last = chosen[0], chosen[-1]
    if lines[last - 1].rstrip().endswith("\\") or (first > 1 and lines[first - 2].rstrip().endswith("\\")):
        return None
    cut = "\n".join(lines[first - 1 : last]) + "\n"
    whole = [token.text for token in tokens(text) if first <= token.line <= last]
    return (first, cut) if [token.text for token in tokens(cut)] == whole else None


def gaps(text: str) -> list[int]:
    """The indices of the empty lines that stand neither in a comment nor after a line that ends with a backslash."""
    starts, place = [], 0
    lines = text.split("\n")[:-1]
    for line in lines:
        starts.append(place)
        place += len(line) + 1
    inside = comments(text)
    return [
        number
        for number, line in enumerate(lines)
        if not line.strip()
        and not any(start < starts[number] < end for start, end in inside)
        and not (number and lines[number - 1].rstrip().endswith("\\"))
    ]


def chunks(text: str) -> list[tuple[int, str]]:
    """(first line, text) of each function or class that stands by itself between empty lines, 8 to 150 lines long."""
    bounds = {number + 1 for number in gaps(text)} & _outside(text)
    code, idioms = idiom_lines(text)
    lines = text.split("\n")
    found, start = [], 1
    for number in range(1, len(lines) + 2):
        if number <= len(lines) and number not in bounds:
            continue
        taken = range(start, number)
        held = [line for line in taken if line in code]
        chunk = "\n".join(lines[start - 1 : number - 1]) + "\n"
        good = sum(line not in idioms for line in held) >= MOSTLY * len(held)
        if 8 <= len(held) <= 150 and good and _balanced(chunk):
            found.append((start, chunk))
        start = number + 1
    return found


def _outside(text: str) -> set[int]:
    """The lines that begin outside all braces but those of namespaces."""
    starts: list[str] = []
    depth_at: dict[int, int] = {}
    before: list[str] = []
    for token in tokens(text):
        depth_at.setdefault(token.line, starts.count("other"))
        if token.text == "{":
            starts.append(
                "namespace" if "namespace" in before[-6:] or 'extern "C"' in " ".join(before[-2:]) else "other"
            )
        elif token.text == "}" and starts:
            starts.pop()
        before = [] if token.text in ("{", "}", ";") else [*before[-6:], token.text]
    outside, depth = set(), 0
    for line in range(text.count("\n") + 2, 0, -1):
        depth = depth_at.get(line, depth)
        if depth == 0:
            outside.add(line)
    return outside


def _balanced(chunk: str) -> bool:
    words = [token.text for token in tokens(chunk)]
    opened = words.count("{")
    ifs = sum(words[place] == "#" and words[place + 1].startswith("if") for place in range(len(words) - 1))
    ends = sum(words[place : place + 2] == ["#", "endif"] for place in range(len(words)))
    return opened > 0 and opened == words.count("}") and words.count("(") == words.count(")") and ifs == ends


_INCLUDE = re.compile(r'[ \t]*#[ \t]*include[ \t]*"([^"]+)"')
_ONCE = re.compile(r"[ \t]*#[ \t]*pragma[ \t]+once\b")


def flattened(path: str, texts: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """(path, first line, text) of the parts of `path` with its includes of `texts` written in, each file once.

    The lines of those includes and `#pragma once` are left out, parts without code too.
    """
    parts: list[tuple[str, int, str]] = []
    seen: set[str] = set()

    def enter(one: str) -> None:
        seen.add(one)
        lines, start = texts[one].split("\n"), 0
        for number, line in enumerate(lines):
            included = _INCLUDE.match(line)
            target = _resolved(included[1], one, texts) if included else None
            if target is None and not _ONCE.match(line):
                continue
            parts.append((one, start + 1, "\n".join(lines[start:number])))
            start = number + 1
            if target is not None and target not in seen:
                enter(target)
        parts.append((one, start + 1, "\n".join(lines[start:])))

    enter(path)
    return [(one, first, text) for one, first, text in parts if any(token.kind != "include" for token in tokens(text))]


def _resolved(name: str, within: str, texts: Mapping[str, str]) -> str | None:
    beside = f"{within.rsplit('/', 1)[0]}/{name}"
    return next((path for path in (name, beside) if path in texts), None)
