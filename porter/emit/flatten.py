# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained shader source out of a header and all it includes, for compilation at run time."""

from __future__ import annotations

import re
from collections.abc import Mapping

from porter.errors import EmitError

_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*[<"]([^<>"]+)[>"][ \t]*\n""", re.M)
_PRAGMA_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*\n", re.M)

# What shader source may hold is ASCII; these stand in upstream's comments. Another character is an error, not a '?'.
_ASCII = {"\u00a9": "(c)", "\u2013": "-", "\u2014": "-", "\u2019": "'", "\u00d7": "x", "\u2264": "<=", "\u2026": "..."}

RAW_STRING_END = ")METAL"


def flatten(header: str, headers: Mapping[str, str]) -> str:
    """The text of `header` with every include that is among `headers` (include path -> text) put in place, once each.

    Includes of anything else (Metal's own headers) stay, the first time they occur. Raises EmitError for a character
    that has no ASCII form here, and for text that would end the raw string that holds the source.
    """
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

    text = "".join(_ASCII.get(character, character) for character in expand(header))
    for number, line in enumerate(text.splitlines(), 1):
        if not line.isascii():
            bad = next(character for character in line if not character.isascii())
            raise EmitError(
                f"{bad!r} has no ASCII form",
                where=f"{header} (flattened):{number}",
                next_step="add it to porter/emit/flatten.py",
            )
        if RAW_STRING_END in line:
            raise EmitError(f"{RAW_STRING_END} would end the string that holds the source", where=f"{header}:{number}")
    return text
