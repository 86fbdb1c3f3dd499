# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What is done to upstream's code to hide where it comes from, with the origin of every line kept.

A text is a list of `Row`s. Every transform keeps the sequence of tokens, a renaming aside, and `reformat` checks that.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import clang_format

from porter.errors import ToolchainError

from .tokens import Token, comments, tokens

STYLES = ("LLVM", "Google", "Chromium", "Mozilla", "WebKit", "Microsoft", "GNU")
_BRACES = ("Attach", "Linux", "Mozilla", "Stroustrup", "Allman", "Whitesmiths", "GNU", "WebKit")
_TIMEOUT = 120  # seconds; the largest file of upstream takes about two


@dataclass(frozen=True)
class Row:
    """A line. `source` numbers the upstream file that it comes from, None for a line of the target's own.

    `lines` are the numbers of upstream's lines. `mixed` says that own and derived code share the line.
    """

    text: str
    source: int | None = None
    lines: tuple[int, ...] = ()
    mixed: bool = False


def own(text: str) -> list[Row]:
    return [Row(line) for line in text.rstrip("\n").split("\n")]


def derived(text: str, source: int, first: int) -> list[Row]:
    """Lines of upstream, the first of which is its line `first`."""
    return [Row(line, source, (first + number,)) for number, line in enumerate(text.rstrip("\n").split("\n"))]


def joined(rows: Sequence[Row]) -> str:
    return "".join(row.text + "\n" for row in rows)


def with_texts(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows with other texts, line by line."""
    lines = text.removesuffix("\n").split("\n")
    return [Row(line, row.source, row.lines, row.mixed) for row, line in zip(rows, lines, strict=True)]


# Names --------------------------------------------------------------------------------------------------------------

_STEMS = (  # noqa: SIM905
    "acc arr base bin blk bound buf cell chunk col count cur delta depth dim dst edge elem ext feat frag gap grid head "
    "idx inner item jump key lane left len lim load mark mat mid node num off outer pack pad part pos prev quant rank "
    "ratio rem res right row run seg shift slot span src stage step store stride sub tail tile total unit val wave wid"
).split()


def renaming(text: str, renamable: Callable[[Token], bool], random: Random) -> dict[str, str]:
    """A new name for every name in `text` that may be renamed: one style of names for a whole file."""
    found = tokens(text)
    taken = {token.text for token in found}
    style = random.choice((_snake, _camel, _short))
    names: dict[str, str] = {}
    for token in found:
        if token.text in names or not renamable(token):
            continue
        new = style(random)
        while new in taken:
            new += random.choice("abcdefghk0123456789")
        taken.add(new)
        names[token.text] = new.upper() if token.text.isupper() and new.upper() not in taken else new
        taken.add(names[token.text])
    return names


def _snake(random: Random) -> str:
    return "_".join(random.choices(_STEMS, k=random.randint(1, 3)))


def _camel(random: Random) -> str:
    return "".join(stem.capitalize() for stem in random.choices(_STEMS, k=random.randint(1, 3)))


def _short(random: Random) -> str:
    return "".join(random.choices("abcdefghklmnpqrst", k=random.randint(2, 4))) + "q"


def renamed(text: str, names: Mapping[str, str]) -> str:
    """`text` with its names replaced, and upstream's own includes named differently."""
    out, place = [], 0
    for token in tokens(text):
        out.append(text[place : token.start])
        old = text[token.start : token.end]
        if token.kind == "word":
            old = names.get(token.text, token.text)
        elif token.kind == "include" and "mlx/" in old:
            old = re.sub(r"mlx/[^\">]*/", "lib/", old)
        out.append(old)
        place = token.end
    return "".join([*out, text[place:]])


# Layout -------------------------------------------------------------------------------------------------------------


def random_style(random: Random) -> str:
    """A style for clang-format that moves white space and line ends only."""
    keys = {
        "BasedOnStyle": random.choice(STYLES),
        "Standard": "c++20",
        "ColumnLimit": random.choice((0, 72, 80, 90, 100, 120, 140)),
        "IndentWidth": random.choice((2, 3, 4, 8)),
        "UseTab": random.choice(("Never", "Never", "Always")),
        "BreakBeforeBraces": random.choice(_BRACES),
        "BinPackArguments": random.choice(("true", "false")),
        "BinPackParameters": random.choice(("true", "false")),
        "AllowShortFunctionsOnASingleLine": random.choice(("None", "Inline", "All")),
        "AllowShortIfStatementsOnASingleLine": random.choice(("Never", "AllIfsAndElse")),
        "AllowShortLoopsOnASingleLine": random.choice(("true", "false")),
        "AlignAfterOpenBracket": random.choice(("true", "false")),
        "PointerAlignment": random.choice(("Left", "Right", "Middle")),
        "NamespaceIndentation": random.choice(("None", "All")),
        "SortIncludes": "Never",
        "SortUsingDeclarations": "Never",
        "BreakStringLiterals": "false",
        "FixNamespaceComments": "false",
        "InsertBraces": "false",
        "RemoveBracesLLVM": "false",
        "RemoveSemicolon": "false",
        "MaxEmptyLinesToKeep": random.choice((1, 2)),
    }
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def reformat(rows: Sequence[Row], style: str) -> list[Row]:
    """The rows laid out anew; the origin of each line is that of the tokens that begin in it.

    Raises ToolchainError where clang-format fails, ValueError where it changed a token.
    """
    before = joined(rows)
    command = [str(Path(clang_format.__file__).parent / "data" / "bin" / "clang-format"), f"--style={style}"]
    command.append("--assume-filename=x.cpp")
    try:
        done = subprocess.run(command, input=before.encode(), capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"clang-format cannot be run: {error}", next_step="reinstall steel-port") from error
    if done.returncode:
        raise ToolchainError(f"clang-format failed: {done.stderr.decode().strip()[:300]}")
    after = done.stdout.decode()
    old, new = tokens(before), tokens(after)
    if [token.text for token in old] != [token.text for token in new]:
        raise ValueError("clang-format changed a token")
    origins: dict[int, list[Row]] = {}
    for was, now in zip(old, new, strict=True):
        origins.setdefault(now.line, []).append(rows[was.line - 1])
    lines = after.removesuffix("\n").split("\n")
    return [_merged(line, origins.get(number, [])) for number, line in enumerate(lines, 1)]


def _merged(text: str, origins: Sequence[Row]) -> Row:
    sources = {row.source for row in origins}
    if len(sources) != 1:
        return Row(text, mixed=bool(sources))
    lines = tuple(sorted({line for row in origins for line in row.lines}))
    return Row(text, sources.pop(), lines, any(row.mixed for row in origins))


# Comments -----------------------------------------------------------------------------------------------------------

_TRANSLATED = {
    "the": "der", "a": "ein", "of": "von", "to": "zu", "and": "und", "is": "ist", "in": "in", "for": "für",
    "if": "wenn", "not": "nicht", "load": "laden", "store": "speichern", "row": "Zeile", "rows": "Zeilen",
    "column": "Spalte", "columns": "Spalten", "block": "Block", "thread": "Faden", "threads": "Fäden",
    "size": "Größe", "index": "Index", "loop": "Schleife", "each": "jeder", "value": "Wert", "values": "Werte",
    "with": "mit", "from": "aus", "on": "auf", "compute": "berechnen", "next": "nächste", "first": "erste",
    "last": "letzte", "matrix": "Matrix", "pointer": "Zeiger", "offset": "Versatz", "write": "schreiben",
    "read": "lesen", "result": "Ergebnis", "output": "Ausgabe", "input": "Eingabe", "and/or": "und/oder",
}  # fmt: skip
_FOREIGN = (
    "и это 列 行 块 計算 を の valeur ligne avec pour chaque bloc colonne registro fila bucle 然后 读取 если".split()  # noqa: SIM905
)
_OTHER = "here we take next part keep this carefully then work around edge finish partial sums see above note".split()  # noqa: SIM905
COMMENT_MODES = ("kept", "removed", "changed", "translated")


def recomment(text: str, mode: str, random: Random) -> str:
    """`text` with its comments `kept`, `removed`, `changed` (other words) or `translated`; line ends stay."""
    if mode == "kept":
        return text
    out, place = [], 0
    for start, end in comments(text):
        out.append(text[place:start])
        comment = text[start:end]
        if mode == "removed":
            out.append(re.sub(r"[^\n\\]|\\(?!\n)", "", comment) if "\n" in comment else _blank(comment))
        else:
            out.append(re.sub(r"[A-Za-z]+", lambda word: _replaced(word.group(), mode, random), comment))
        place = end
    return "".join([*out, text[place:]])


def _blank(comment: str) -> str:
    return "" if comment.startswith("//") else " "


def _replaced(word: str, mode: str, random: Random) -> str:
    if mode == "changed":
        return random.choice(_OTHER)
    return _TRANSLATED.get(word.lower()) or random.choice(_FOREIGN)


def without_blank(rows: Sequence[Row]) -> list[Row]:
    """Without the lines that hold nothing but white space."""
    return [row for row in rows if row.text.strip()]


_NOTICE_WORDS = re.compile(r"copyright|©|licen[cs]e|spdx|permission|apple|\bmlx\b|ml-explore|redistribut", re.I)


def without_notices(text: str) -> str:
    """`text` without the comments that speak of rights or of MLX; line ends stay.

    A run of `//` lines is one comment.
    """
    spans: list[tuple[int, int]] = []
    for start, end in comments(text):
        between = text[spans[-1][1] : start] if spans else None
        if between is not None and text.startswith("//", start) and re.fullmatch(r"\n[ \t]*", between):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    out, place = [], 0
    for start, end in spans:
        if _NOTICE_WORDS.search(text, start, end):
            out += [text[place:start], re.sub(r"[^\n]", "", text[start:end]) or " "]
            place = end
    return "".join([*out, text[place:]])
