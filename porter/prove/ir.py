# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""LLVM IR under canonical names: two functions have one digest exactly when they differ in names alone.

The digest of a function covers its own text and, through their digests, everything it refers to. In its text
- local values need nothing: the compiler was told to number them, and the numbers follow the order of the text;
- a struct type stands as its structure, an attribute group and a metadata node (an unroll pragma) as its content;
- a function or variable that is only declared keeps its name, for the name is all there is;
- a function that is defined stands as its digest;
- a variable that is defined stands as the digest of its initialiser **and** as a number, since two variables of like
  content are two variables. So a function's digest is abstracted over the variables it reaches (`free`), numbered in
  the order of first mention, and a call says which of the caller's variables the callee's numbers mean;
- functions that call each other in a ring are written out one after the other, from the one that is asked for.

Linkage, comdats, preemption and `unnamed_addr` are left out: they place a symbol and do not change what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from porter.errors import ProofError
from porter.model import sha256

_SYMBOL = r'@(?:"[^"]*"|[-\w$.]+)'
_TYPE = r'%(?:"[^"]*"|[A-Za-z$._-][-\w$.]*)'
# A symbol, a named type or value, a label, a metadata node, an attribute group, a comment; a string is left alone.
_TOKENS = r"({symbol})|({value})|^({label})(?=:)|!(\d+)\b|#(\d+)\b|( *;[^\n]*)" '|"[^"]*"'
_NAMED_LABEL = r'"[^"]*"|[A-Za-z$._-][-\w$.]*'
_TOKEN = re.compile(_TOKENS.format(symbol=_SYMBOL, value=_TYPE, label=_NAMED_LABEL), re.M)
_TOKEN_RENUMBERED = re.compile(
    _TOKENS.format(symbol=_SYMBOL, value=_TYPE + r"|%\d+\b", label=_NAMED_LABEL + r"|\d+"), re.M
)
# The same for text without named labels, in one group whose alternatives each begin with one letter: the regular
# expression engine then skips from one such letter to the next, and `split` needs no call of ours for a token.
_PLAIN_TOKEN = re.compile(rf'({_SYMBOL}|{_TYPE}|!\d+\b|#\d+\b|;[^\n]*|"[^"]*")')
_NAMED_LABELS = re.compile(rf"^(?:{_NAMED_LABEL}):", re.M)
_SYMBOLS = re.compile(rf'"[^"]*"|({_SYMBOL})')
_SYMBOL_OR_STRING = re.compile(rf'{_SYMBOL}|"[^"]*"')
_TYPES = re.compile(rf'"[^"]*"|({_TYPE})')
_LINKAGE = re.compile(
    r"\b(?:private|internal|available_externally|linkonce_odr|linkonce|weak_odr|weak|common|dso_local|dso_preemptable"
    r"|hidden|protected|local_unnamed_addr|unnamed_addr) | (?:local_)?unnamed_addr\b"
    r"|,? comdat(?:\(\$(?:\"[^\"]*\"|[^)]*)\))?"
)
# Attributes that say which machine is meant: the same words for both sides, from the same arguments, and long.
_MACHINE = re.compile(r' ?"(?:target-cpu|target-features|tune-cpu)"="[^"]*"')
_LINE = re.compile(
    rf"^(?:(?P<define>define [^\n]*?(?P<function>{_SYMBOL})\()|(?P<declare>declare [^\n]*?(?P<declared>{_SYMBOL})\()"
    rf"|(?P<variable>{_SYMBOL}) = (?P<value>[^\n]*)|(?P<type>{_TYPE}) = type (?P<structure>[^\n]*)"
    r"|attributes #(?P<group>\d+) = \{(?P<attributes>[^\n]*)\}|!(?P<node>\d+) = (?P<metadata>[^\n]*))",
    re.M,
)
_DECLARED_VARIABLE = re.compile(r"(?:dso_local |dso_preemptable )*(?:external|extern_weak)\b")


@dataclass(frozen=True)
class Symbol:
    """One function or variable: where its text stands in the module, and whether it is only declared."""

    name: str
    start: int
    end: int
    is_function: bool
    is_declaration: bool


class Module:
    """One module's text. Digests are computed when asked for, and kept.

    `renumber`: number local values anew, in the order of the text. The compiler has done so; the optimiser has not.
    """

    def __init__(self, text: str, *, renumber: bool = False) -> None:
        self.text = text
        self._token = _TOKEN_RENUMBERED if renumber else _TOKEN
        self.symbols: dict[str, Symbol] = {}
        self._types: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._metadata: dict[str, str] = {}
        self._resolved: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._free: dict[str, tuple[str, ...]] = {}
        self._users: dict[str, frozenset[str]] | None = None
        self._words: dict[str, str] = {}
        self._plain = not renumber and _NAMED_LABELS.search(text) is None
        self._read()

    def _read(self) -> None:
        position = 0
        while (line := _LINE.search(self.text, position)) is not None:
            start, end = line.start(), self.text.find("\n", line.start())
            end = len(self.text) if end < 0 else end
            if line["define"]:
                end = self.text.find("\n}", start) + 2
                if end == 1:
                    raise ProofError("the compiler's output ends inside a function", where=line["function"])
                self._add(line["function"], start, end, True, False)
            elif line["declare"]:
                self._add(line["declared"], start, end, True, True)
            elif line["variable"]:
                declared = _DECLARED_VARIABLE.match(line["value"]) is not None
                self._add(line["variable"], start, end, False, declared)
            elif line["type"]:
                self._types[line["type"]] = line["structure"]
            elif line["group"]:
                self._attributes[line["group"]] = _MACHINE.sub("", line["attributes"]).strip()
            elif line["node"]:
                self._metadata[line["node"]] = line["metadata"]
            position = end

    def _add(self, name: str, start: int, end: int, is_function: bool, is_declaration: bool) -> None:
        self.symbols[name] = Symbol(name, start, end, is_function, is_declaration)

    # -- the graph

    def source(self, name: str) -> str:
        """The text of a symbol as the compiler wrote it."""
        symbol = self.symbols[name]
        return self.text[symbol.start : symbol.end]

    def references(self, name: str) -> tuple[str, ...]:
        """The symbols that `name`'s text mentions, itself left out, in order of first mention."""
        symbol = self.symbols[name]
        found = dict.fromkeys(_SYMBOL_OR_STRING.findall(self.text, symbol.start, symbol.end))
        return tuple(other for other in found if other[0] == "@" and other != name and not other.startswith("@llvm."))

    def is_leaf(self, name: str) -> bool:
        """Whether the name is all there is: a symbol that is only declared."""
        symbol = self.symbols.get(name)
        return symbol is None or symbol.is_declaration

    def is_defined_function(self, name: str) -> bool:
        return not self.is_leaf(name) and self.symbols[name].is_function

    def reachable(self, root: str) -> tuple[str, ...]:
        """`root` and every symbol that it leads to, in order of first mention."""
        seen = {root: None}
        pending = [root]
        while pending:
            name = pending.pop()
            for other in () if self.is_leaf(name) else self.references(name):
                if other not in seen:
                    seen[other] = None
                    pending.append(other)
        return tuple(seen)

    def pointee(self, variable: str) -> str:
        """The symbol that the initialiser of `variable` (a table entry of ours) names."""
        names = self.references(variable)
        if len(names) != 1:
            raise ProofError(f"{variable} names {len(names)} symbols", expected="one function")
        return names[0]

    def users(self, variable: str) -> frozenset[str]:
        """The definitions that mention `variable`."""
        if self._users is None:
            users: dict[str, set[str]] = {}
            for symbol in self.symbols.values():
                for name in () if symbol.is_declaration else self.references(symbol.name):
                    users.setdefault(name, set()).add(symbol.name)
            self._users = {name: frozenset(found) for name, found in users.items()}
        return self._users.get(variable, frozenset())

    def is_constant(self, name: str) -> bool:
        """Whether a variable is never written."""
        return re.match(r"\S+ = (?:[\w()]+ )*constant ", self.parts(name)[0]) is not None

    def free(self, name: str) -> tuple[str, ...]:
        """The variables defined here that `name` leads to, in order of first mention; a variable leads to itself."""
        self.digest(name)
        return self._free[name]

    # -- digests

    def digest(self, name: str) -> str:
        """The digest of a symbol under canonical names."""
        if name not in self._digests:
            for ring in self._rings(name):
                for member in ring:
                    text, free = self._canonical(member, frozenset(ring))
                    self._digests[member] = sha256(text.encode())
                    self._free[member] = free
        return self._digests[name]

    def canonical(self, name: str) -> str:
        """The text that the digest of `name` covers, for a person to read."""
        self.digest(name)
        ring = next(ring for ring in self._rings(name, again=True) if name in ring)
        return self._canonical(name, frozenset(ring))[0]

    def masked(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The canonical text with every symbol as a mere number, and the symbols those numbers stand for."""
        numbers: dict[str, int] = {}

        def number(symbol: str) -> str:
            return symbol if symbol.startswith("@llvm.") else f"@{numbers.setdefault(symbol, len(numbers))}"

        return self._rewrite(name, number), tuple(numbers)

    def _canonical(self, name: str, ring: frozenset[str]) -> tuple[str, tuple[str, ...]]:
        """The text of `name`, and of its ring in order of first mention, and the variables that it reaches."""
        free: dict[str, int] = {}
        members = {name: 0}
        if not self.symbols[name].is_function:
            free[name] = 0

        def mention(symbol: str) -> str:
            if symbol in ring and self.symbols[symbol].is_function:
                return f"@ring{members.setdefault(symbol, len(members))}"
            if symbol in ring:  # a variable whose initialiser leads back to itself
                members.setdefault(symbol, len(members))
                return f"@own{free.setdefault(symbol, len(free))}"
            if self.is_leaf(symbol):
                return symbol
            numbers = [str(free.setdefault(variable, len(free))) for variable in self._free[symbol]]
            return f"@{self._digests[symbol][:32]}({','.join(numbers)})"

        texts, written = [], 0
        while written < len(members):
            texts.append(self._rewrite(list(members)[written], mention))
            written += 1
        return "\n".join(texts), tuple(free)

    def _rewrite(self, name: str, mention: Callable[[str], str]) -> str:
        head, body = self.parts(name)
        after = "(" if self.symbols[name].is_function else ""
        head = head.replace(name + after, "@" + after, 1)
        if self._plain and (text := self._substitute_plain(head + body, mention)) is not None:
            return text
        # The compiler numbers values, but the optimiser names those that it makes after others.
        values: dict[str, str] = {}
        return self._substitute(head, mention, values) + self._substitute(body, mention, values)

    def parts(self, name: str) -> tuple[str, str]:
        """The first line of a definition, without what only places it, and the rest."""
        symbol = self.symbols[name]
        end = self.text.find("\n", symbol.start, symbol.end) if symbol.is_function else -1
        end = symbol.end if end < 0 else end
        return _LINKAGE.sub("", self.text[symbol.start : end]), self.text[end : symbol.end]

    # -- cutting out

    def rename(self, text: str, names: Mapping[str, str]) -> str:
        """`text` of this module with symbols renamed."""
        return _SYMBOLS.sub(lambda token: names.get(token[1], token[1]) if token[1] else token[0], text)

    def type_lines(self) -> list[str]:
        return [f"{name} = type {structure}" for name, structure in self._types.items()]

    def tail_lines(self) -> list[str]:
        """Attribute groups and metadata nodes, which functions refer to."""
        groups = [f"attributes #{number} = {{ {content} }}" for number, content in self._attributes.items()]
        return groups + [f"!{number} = {content}" for number, content in self._metadata.items()]

    def _substitute_plain(self, text: str, mention: Callable[[str], str]) -> str | None:
        """As `_substitute`, for text whose local values are all numbered; None where one has a name after all.

        Each distinct token is looked at once, in the order of first mention, and most of them once a module.
        """
        pieces = _PLAIN_TOKEN.split(text)
        tokens = pieces[1::2]
        words: dict[str, str] = {}
        for token in dict.fromkeys(tokens):
            if token[0] == "@":
                words[token] = token if token.startswith("@llvm.") or len(token) == 1 else mention(token)
            elif (word := self._words.get(token)) is not None:
                words[token] = word
            elif token[0] == "%" and token not in self._types:
                return None
            else:
                words[token] = self._words[token] = self._word(token)
        for number, token in enumerate(tokens):
            if token[0] == ";":  # a comment: how many spaces stand before it depends on the label
                pieces[2 * number] = pieces[2 * number].rstrip(" ")
        pieces[1::2] = map(words.__getitem__, tokens)
        return "".join(pieces)

    def _word(self, token: str) -> str:
        """What stands for a token that is no symbol: the same in every function of the module."""
        if token[0] == "%":
            return self._structure(token)
        if token[0] == "!":
            return "!" + self._node(token[1:])
        if token[0] == "#":
            return "#{" + self._attributes.get(token[1:], "") + "}"
        return "" if token[0] == ";" else token

    def _substitute(self, text: str, mention: Callable[[str], str], values: dict[str, str]) -> str:
        def replaced(token: re.Match[str]) -> str:
            kind = token.lastindex
            if kind == 1:
                return token[1] if token[1].startswith("@llvm.") or token[1] == "@" else mention(token[1])
            if kind == 2:
                if token[2] in self._types:
                    return self._structure(token[2])
                return "%" + values.setdefault(token[2][1:], f"value{len(values)}")
            if kind == 3:
                return values.setdefault(token[3], f"value{len(values)}")
            if kind == 4:
                return "!" + self._node(token[4])
            if kind == 5:
                return "#{" + self._attributes.get(token[5], "") + "}"
            return "" if kind == 6 else token[0]

        return self._token.sub(replaced, text)

    def _structure(self, name: str) -> str:
        """The digest of a struct type's structure (which never contains itself: pointers have no pointee type)."""
        if name not in self._resolved:
            text = _TYPES.sub(lambda token: self._structure(token[1]) if token[1] else token[0], self._types[name])
            self._resolved[name] = "%" + sha256(text.encode())[:16]
        return self._resolved[name]

    def _node(self, number: str, within: tuple[str, ...] = ()) -> str:
        """The content of a metadata node, written out. A loop's node names itself first, to be distinct."""
        if number in within:
            return f"out{len(within) - within.index(number)}"
        body = self._metadata.get(number, number)
        inner = (*within, number)
        return re.sub(rf'"[^"]*"|!(\d+)\b|{_SYMBOL}', lambda t: "!" + self._node(t[1], inner) if t[1] else t[0], body)

    def _rings(self, root: str, again: bool = False) -> Iterator[tuple[str, ...]]:
        """Strongly connected sets of definitions that `root` reaches, callees before callers (Tarjan, 1972)."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        on_stack: set[str] = set()
        work: list[tuple[str, Iterator[str]]] = []

        def enter(name: str) -> None:
            index[name] = low[name] = len(index)
            stack.append(name)
            on_stack.add(name)
            work.append((name, iter(self.references(name))))

        def skip(name: str) -> bool:
            return self.is_leaf(name) or (not again and name in self._digests)

        if not skip(root):
            enter(root)
        while work:
            name, rest = work[-1]
            for other in rest:
                if skip(other):
                    continue
                if other not in index:
                    enter(other)
                    break
                if other in on_stack:
                    low[name] = min(low[name], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    ring = stack[stack.index(name) :]
                    del stack[stack.index(name) :]
                    on_stack.difference_update(ring)
                    yield tuple(ring)
