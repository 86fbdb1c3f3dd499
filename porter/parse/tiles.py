# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MLX's tile selection, read out of its host code, and the check that a family's YAML selects the same.

Upstream selects in a macro: a chain of `if`s over the device's letter and the problem, whose leaves assign the tile's
five numbers. It is used in the function that dispatches the family's kernels, which also holds the initial values and
the swizzle. `read_tiles` turns the text into a decision tree; `check_tiles` evaluates the tree and the YAML side by
side, for every device class and every truth assignment of the YAML's predicates, so that two spellings of one table
are equal and one changed number is found.

Assignments that no real problem makes true together are compared too: that can only refuse too much.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from porter.errors import ParseError, SpecError
from porter.model import Location, Macro, Sources
from porter.parse.directives import read_macros
from porter.parse.lexer import Token, significant, tokenize
from porter.spec import Family, Tiles

MACRO = "GEMM_TPARAM_MACRO"
NAMES = ("bm", "bn", "bk", "wm", "wn")
OTHER = "other"
"""The device class of every letter that the selection does not name."""

Tile = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Assign:
    """`name = value;`"""

    name: str
    value: int


@dataclass(frozen=True)
class Branch:
    """`if (condition) then else otherwise`.

    `condition` is the text as `fold` gives it. `devices` holds the letters where it is a comparison of
    the device's letter, else it is None.
    """

    condition: str
    devices: str | None
    then: tuple[Assign | Branch, ...]
    otherwise: tuple[Assign | Branch, ...]
    location: Location


@dataclass(frozen=True)
class UpstreamTiles:
    """The selection as upstream writes it: initial values, swizzle, and what is then decided."""

    default: Tile
    swizzle_log: int
    tree: tuple[Assign | Branch, ...]
    location: Location


def read_tiles(sources: Sources, family: Family) -> UpstreamTiles:
    """The tile selection of the family's host code. Raises ParseError (file:line) where it is not of the known form."""
    host = next((path for path in family.hosts if MACRO in sources.files[path].text), family.hosts[0])
    tokens = tokenize(sources.files[host].text)
    macros = [one for one in read_macros(host, tokens) if one.name == MACRO]
    if len(macros) != 1 or len(macros[0].parameters or ()) != 1:
        raise ParseError(
            f"not one macro {MACRO} of one parameter", where=host, expected="MLX's tile selection, as in v0.30.1"
        )
    parser = _Parser(_macro_tokens(tokens, macros[0]), host, (macros[0].parameters or ("",))[0])
    tree = parser.whole()
    body = _dispatch([token for token in significant(tokens) if not token.directive], host, family)
    default = _tile([_only_value(body, name, host) for name in NAMES])
    return UpstreamTiles(default, _only_value(body, "swizzle_log", host), tree, macros[0].location)


def check_tiles(sources: Sources, family: Family) -> None:
    """Compare the YAML's tile selection, where it has one, with upstream's. Raises SpecError with both places for the
    first difference."""
    tiles = family.tiles
    if tiles is None:
        return
    upstream = read_tiles(sources, family)
    _check_conditions(upstream, family, tiles)
    if upstream.default != tiles.default:
        raise _wrong(family, "tiles.default", f"the initial tile is {tiles.default}", upstream, str(upstream.default))
    if upstream.swizzle_log != tiles.swizzle_log:
        what = f"swizzle_log is {tiles.swizzle_log}"
        raise _wrong(family, "tiles.swizzle_log", what, upstream, str(upstream.swizzle_log))
    spelled = {predicate.name: fold(predicate.upstream) for predicate in tiles.predicates}
    for device in _devices(upstream, tiles):
        for values in itertools.product((False, True), repeat=len(spelled)):
            truth = dict(zip(spelled, values, strict=True))
            theirs = evaluate(upstream, device, {spelled[name]: value for name, value in truth.items()})
            ours, row = select(tiles, device, truth)
            if theirs != ours:
                case = ", ".join(name if value else f"not {name}" for name, value in truth.items())
                what = f"device {device} with {case} takes {ours}"
                key = "tiles.default" if row is None else f"tiles.rows.{row}"
                raise _wrong(family, key, what, upstream, str(theirs))


def evaluate(upstream: UpstreamTiles, device: str, truth: Mapping[str, bool]) -> Tile:
    """The tile that upstream's text takes; `truth` gives the value of each folded condition."""
    values = dict(zip(NAMES, upstream.default, strict=True))

    def run(statements: Sequence[Assign | Branch]) -> None:
        for one in statements:
            if isinstance(one, Assign):
                values[one.name] = one.value
            else:
                holds = truth[one.condition] if one.devices is None else device in one.devices
                run(one.then if holds else one.otherwise)

    run(upstream.tree)
    return _tile([values[name] for name in NAMES])


def select(tiles: Tiles, device: str, truth: Mapping[str, bool]) -> tuple[Tile, int | None]:
    """The tile that the YAML takes, and the number of the row that says so (None for the default)."""
    named = {letter for row in tiles.rows if row.device != OTHER for letter in row.device}
    for i, row in enumerate(tiles.rows):
        mine = device not in named if row.device == OTHER else device in row.device
        if mine and all(truth[atom.removeprefix("not ")] != atom.startswith("not ") for atom in row.when):
            return row.tile, i
    return tiles.default, None


def fold(condition: str) -> str:
    """A condition's tokens with one space between them: however it is spaced and commented, it is the same."""
    return _folded(significant(tokenize(condition)))


def _folded(tokens: Sequence[Token]) -> str:
    return " ".join(token.spelling for token in tokens)


def _devices(upstream: UpstreamTiles, tiles: Tiles) -> list[str]:
    """Every letter that either side names, and one that stands for the rest."""
    letters = {letter for branch in _branches(upstream.tree) for letter in branch.devices or ""}
    letters |= {letter for row in tiles.rows if row.device != OTHER for letter in row.device}
    rest = next(letter for letter in "?abcdefghijklmnopqrstuvwxyz" if letter not in letters)
    return [*sorted(letters), rest]


def _branches(statements: Sequence[Assign | Branch]) -> Iterator[Branch]:
    for one in statements:
        if isinstance(one, Branch):
            yield one
            yield from _branches(one.then)
            yield from _branches(one.otherwise)


def _check_conditions(upstream: UpstreamTiles, family: Family, tiles: Tiles) -> None:
    known = {fold(predicate.upstream): predicate.name for predicate in tiles.predicates}
    used = {branch.condition for branch in _branches(upstream.tree) if branch.devices is None}
    for branch in _branches(upstream.tree):
        if branch.devices is None and branch.condition not in known:
            raise SpecError(
                f"no predicate is spelled `{branch.condition}`, as upstream's condition at {branch.location} is",
                where=f"specs/{family.path}:{family.lines.get('tiles.predicates', 1)}",
                expected="; ".join(predicate.upstream for predicate in tiles.predicates),
                next_step="add the predicate to the family's tiles, and rows for it",
            )
    for spelled, name in known.items():
        if spelled not in used:
            raise _wrong(family, f"tiles.predicates.{name}", f"upstream has no condition `{spelled}`", upstream, None)


def _wrong(family: Family, key: str, what: str, upstream: UpstreamTiles, expected: str | None) -> SpecError:
    return SpecError(
        what,
        where=f"specs/{family.path}:{family.lines.get(key, 1)}",
        expected=f"{expected + ', ' if expected else ''}as upstream at {upstream.location}",
        next_step="correct the family's tiles",
    )


def _tile(values: Sequence[int]) -> Tile:
    bm, bn, bk, wm, wn = values
    return bm, bn, bk, wm, wn


# ---------------------------------------------------------------------------------------------------------------------
# Reading the macro


def _macro_tokens(tokens: Sequence[Token], macro: Macro) -> list[Token]:
    """The tokens of a macro's body in the file, so that each knows its line."""
    first = next(i for i, t in enumerate(tokens) if (t.line, t.column) == (macro.location.line, macro.location.column))
    group = list(itertools.takewhile(lambda token: token.directive, tokens[first:]))
    words = significant(group)
    return words[next(i for i, token in enumerate(words) if token.text == ")") + 1 :]


class _Parser:
    """statements := { `if` ( condition ) branch [ `else` branch ] | name `=` number `;` }"""

    def __init__(self, tokens: Sequence[Token], path: str, device: str) -> None:
        self.tokens, self.path, self.device, self.at = tokens, path, device, 0

    def whole(self) -> tuple[Assign | Branch, ...]:
        out = self.statements()
        if self.at < len(self.tokens):
            raise self.fail(self.tokens[self.at], "the end of the macro")
        return out

    def statements(self) -> tuple[Assign | Branch, ...]:
        out: list[Assign | Branch] = []
        while self.at < len(self.tokens) and self.tokens[self.at].text != "}":
            out.append(self.statement())
        return tuple(out)

    def statement(self) -> Assign | Branch:
        word = self.take()
        if word.text == "if":
            condition = self.condition()
            then = self.block()
            otherwise: tuple[Assign | Branch, ...] = ()
            if self.at < len(self.tokens) and self.tokens[self.at].text == "else":
                self.take()
                is_chain = self.at < len(self.tokens) and self.tokens[self.at].text == "if"
                otherwise = (self.statement(),) if is_chain else self.block()
            folded = _folded(condition)
            return Branch(folded, self.letters(condition), then, otherwise, Location(self.path, word.line, word.column))
        if word.text not in NAMES:
            raise self.fail(word, f"one of {', '.join(NAMES)}, or if")
        self.take("=")
        number = self.take()
        if not number.text.isdecimal():
            raise self.fail(number, "a decimal number")
        self.take(";")
        return Assign(word.text, int(number.text))

    def block(self) -> tuple[Assign | Branch, ...]:
        self.take("{")
        inside = self.statements()
        self.take("}")
        return inside

    def condition(self) -> list[Token]:
        self.take("(")
        start, depth = self.at, 1
        while depth:
            depth += {"(": 1, ")": -1}.get(self.take().text, 0)
        return list(self.tokens[start : self.at - 1])

    def letters(self, condition: Sequence[Token]) -> str | None:
        """`d == 'a' || d == 'b'` is `ab`; None for a condition that does not look at the device."""
        words = [token.text for token in condition]
        if self.device not in words:
            return None
        comparisons = [list(group) for bar, group in itertools.groupby(words, lambda word: word == "||") if not bar]
        if not all(len(one) == 3 and one[:2] == [self.device, "=="] and one[2][0] == "'" for one in comparisons):
            raise self.fail(condition[0], f"comparisons of {self.device} with letters, joined by ||")
        return "".join(one[2].strip("'") for one in comparisons)

    def take(self, text: str | None = None) -> Token:
        if self.at >= len(self.tokens):
            raise ParseError(f"{MACRO} ends early", where=f"{self.path}:{self.tokens[-1].line}", expected=text)
        token = self.tokens[self.at]
        if text is not None and token.text != text:
            raise self.fail(token, f"`{text}`")
        self.at += 1
        return token

    def fail(self, token: Token, expected: str) -> ParseError:
        where = f"{self.path}:{token.line}"
        return ParseError(f"{MACRO} has `{token.text}` where it is not understood", where=where, expected=expected)


# ---------------------------------------------------------------------------------------------------------------------
# Reading the function that uses it


def _dispatch(code: Sequence[Token], host: str, family: Family) -> Sequence[Token]:
    """The body of the one function that names the family's kernels and selects their tile by the macro."""
    prefix = '"' + family.tables[0].grammar.partition("{")[0] + '"'
    found = [
        body
        for body in _function_bodies(code)
        if any(token.text == MACRO for token in body) and any(token.text == prefix for token in body)
    ]
    if len(found) != 1:
        raise ParseError(
            f"{len(found)} functions use {MACRO} and the name {prefix}", where=host, expected="one function"
        )
    return found[0]


def _function_bodies(code: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """What stands between the outermost braces that are not a namespace's."""
    depth, start, namespaces = 0, 0, 0
    for i, token in enumerate(code):
        if token.text == "{":
            head = [one.text for one in code[max(0, i - 8) : i]]
            since = head[max((j for j, text in enumerate(head) if text in (";", "}", "{")), default=-1) + 1 :]
            if depth == 0 and "namespace" in since:
                namespaces += 1
                continue
            start = i + 1 if depth == 0 else start
            depth += 1
        elif token.text == "}":
            if depth == 0:
                namespaces -= 1
                continue
            depth -= 1
            if depth == 0:
                yield code[start:i]


_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^=", "++", "--"})


def _only_value(body: Sequence[Token], name: str, path: str) -> int:
    """The number that `name` is given in `body`. Given twice, or a value that is computed, is a ParseError."""
    given = [
        i
        for i in range(1, len(body) - 3)
        if body[i].text == name and body[i + 1].text in _ASSIGNMENTS and body[i - 1].text not in (".", "->", "::")
    ]
    plain = [i for i in given if body[i + 1].text == "=" and body[i + 3].text in (",", ";")]
    if len(given) != 1 or plain != given or not body[given[0] + 2].text.isdecimal():
        line = body[given[-1]].line if given else body[0].line
        raise ParseError(
            f"{name} is not given one plain number, once", where=f"{path}:{line}", expected=f"`{name} = number` once"
        )
    return int(body[given[0] + 2].text)
