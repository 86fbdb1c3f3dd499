# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained shader source out of some headers and all they include, for compilation at run time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from porter.errors import EmitError

_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*[<"]([^<>"]+)[>"][ \t]*\n""", re.M)
_PRAGMA_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*\n", re.M)

# What shader source may hold is ASCII; these stand in upstream's comments. Another character is an error, not a '?'.
_ASCII = {"\u00a9": "(c)", "\u2013": "-", "\u2014": "-", "\u2019": "'", "\u00d7": "x", "\u2264": "<=", "\u2026": "..."}
_TRANSLATION = str.maketrans(_ASCII)

RAW_STRING_END = ")METAL"


def flatten(roots: str | Sequence[str], headers: Mapping[str, str]) -> str:
    """The text of `roots` with every include that is among `headers` (include path -> text) put in place, once each.

    Includes of anything else (Metal's own headers) stay, the first time they occur. Raises EmitError for a character
    that has no ASCII form here, and for text that would end the raw string that holds the source.
    """
    roots = [roots] if isinstance(roots, str) else roots
    return _ascii(_expand(roots, headers)[0], roots[0])


def included(roots: Sequence[str], headers: Mapping[str, str]) -> tuple[str, ...]:
    """`roots` and everything among `headers` that they include, directly or not, sorted."""
    return tuple(sorted(path for path in _expand(roots, headers)[1] if path in headers))


def _expand(roots: Sequence[str], headers: Mapping[str, str]) -> tuple[str, set[str]]:
    seen: set[str] = set()

    def expand(path: str) -> str:
        seen.add(path)
        return _INCLUDE.sub(replace, _PRAGMA_ONCE.sub("", headers[path]))

    def replace(match: re.Match[str]) -> str:
        path = match[1]
        if path in seen:
            return ""
        if path in headers:
            return expand(path)
        seen.add(path)
        return match[0]

    return "".join(expand(root) for root in roots if root not in seen), seen


def _ascii(source: str, where: str) -> str:
    text = source.translate(_TRANSLATION)
    if text.isascii() and RAW_STRING_END not in text:
        return text
    for number, line in enumerate(text.splitlines(), 1):
        if not line.isascii():
            bad = next(character for character in line if not character.isascii())
            raise EmitError(
                f"{bad!r} has no ASCII form",
                where=f"{where} (flattened):{number}",
                next_step="add it to porter/emit/flatten.py",
            )
        if RAW_STRING_END in line:
            raise EmitError(f"{RAW_STRING_END} would end the string that holds the source", where=f"{where}:{number}")
    raise AssertionError("a line holds what the text holds")
