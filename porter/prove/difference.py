# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Where two kernels whose digests differ really differ, and whether the optimiser makes them equal.

From the two kernels downwards: where two functions have the same text but for the functions they mention, those are
compared in turn; where the texts differ, this pair is where the difference is. Each such pair is optimised alone. If
all pairs of a kernel become equal so, the kernel is equal after O1, since everything else in it was equal before. If
one does not, the two kernels are optimised whole, for a difference may cross a function's border.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from porter.prove.ir import Module
from porter.prove.optimise import ROOT, function_alone, kernel_whole, optimised

_SHOWN_LINES = 12
_LOCAL = re.compile(r"%\d+|^\d+(?=:)")


@dataclass(frozen=True)
class Pair:
    """Two symbols that ought to be one: upstream's and the port's, by their names in the IR."""

    upstream: str
    port: str


@dataclass(frozen=True)
class Verdict:
    """What came of one kernel that differs unoptimised. `functions` are those of upstream where the difference is."""

    key: str
    equal_after_o1: bool
    functions: tuple[str, ...]
    shown: str
    size: int


@dataclass
class Comparison:
    """Two modules and what was found about pairs of their functions so far."""

    upstream: Module
    port: Module
    _alone: dict[Pair, bool] = field(default_factory=dict)
    _examined: bool = False

    def verdicts(self, roots: Mapping[str, Pair]) -> tuple[Verdict, ...]:
        """A verdict for each key of `roots`, whose digests differ. Smallest kernels first."""
        found = []
        for key, pair in sorted(roots.items(), key=lambda item: len(self.upstream.source(item[1].upstream))):
            found.append(self._verdict(key, pair))
        return tuple(found)

    def _verdict(self, key: str, root: Pair) -> Verdict:
        places = self.places(root)
        names = tuple(dict.fromkeys(place.upstream for place in places))
        smallest = min(places, key=lambda place: len(self.upstream.masked(place.upstream)[0]))
        size = len(self.upstream.masked(smallest.upstream)[0])
        if all(self.equal_alone(place) for place in places):
            return Verdict(key, True, names, "", size)
        # One kernel whole is enough to know that there is a difference; only if it is none are the others examined.
        if not self._examined and self.equal_whole(root):
            return Verdict(key, True, names, "", size)
        self._examined = True
        wrong = [place for place in places if not self.equal_alone(place)]
        smallest = min(wrong, key=lambda place: len(self.upstream.masked(place.upstream)[0]))
        return Verdict(key, False, names, self.show(smallest), size)

    def places(self, root: Pair) -> tuple[Pair, ...]:
        """The pairs of functions below `root` whose own texts differ."""
        found: dict[Pair, None] = {}
        seen: set[Pair] = set()
        pending = [root]
        while pending:
            pair = pending.pop()
            if pair in seen or self.same(pair):
                continue
            seen.add(pair)
            below = self._below(pair)
            if below is None or all(self.same(other) for other in below):
                found[pair] = None  # the texts differ, or which of two like variables is meant
            else:
                pending += below
        return tuple(found)

    def same(self, pair: Pair) -> bool:
        leaves = self.upstream.is_leaf(pair.upstream), self.port.is_leaf(pair.port)
        if any(leaves):
            return all(leaves) and pair.upstream == pair.port
        return self.upstream.digest(pair.upstream) == self.port.digest(pair.port)

    def _below(self, pair: Pair) -> list[Pair] | None:
        """The pairs of symbols that a pair with like text mentions; None where the texts differ."""
        if self.upstream.is_leaf(pair.upstream) or self.port.is_leaf(pair.port):
            return None
        mine, my_names = self.upstream.masked(pair.upstream)
        theirs, their_names = self.port.masked(pair.port)
        if mine != theirs:
            return None
        return [Pair(a, b) for a, b in zip(my_names, their_names, strict=True)]

    # -- after the optimiser

    def equal_alone(self, pair: Pair) -> bool:
        """Whether the two functions are equal after O1 with everything that they mention left opaque."""
        if pair not in self._alone:
            self._alone[pair] = False  # while it is being looked at, so that recursion proves nothing
            self._alone[pair] = self._equal_alone(pair)
        return self._alone[pair]

    def _equal_alone(self, pair: Pair) -> bool:
        if not (self.upstream.is_defined_function(pair.upstream) and self.port.is_defined_function(pair.port)):
            return False
        named = self._shared_names(pair)
        if named is None:
            return False
        mine, theirs, assumed = named
        left = optimised(function_alone(self.upstream, pair.upstream, mine))
        right = optimised(function_alone(self.port, pair.port, theirs))
        if left.digest(ROOT) != right.digest(ROOT):
            return False
        return all(self.equal_alone(place) for other in assumed for place in self.places(other))

    def _shared_names(self, pair: Pair) -> tuple[dict[str, str], dict[str, str], list[Pair]] | None:
        """One name for each symbol that means the same on both sides; pairs that are assumed to. None where unclear."""
        mine, theirs = self._named(self.upstream, pair.upstream), self._named(self.port, pair.port)
        if mine is None or theirs is None:
            return None
        ours = {name: symbol for symbol, name in mine.items()}  # two functions with one digest are one function
        others = {name: symbol for symbol, name in theirs.items()}
        alone = [name for name in ours if name not in others]
        other_alone = [name for name in others if name not in ours]
        if len(alone) != len(other_alone):
            return None
        assumed = []
        for number, (a, b) in enumerate(zip(alone, other_alone, strict=True)):
            assumed.append(Pair(ours[a], others[b]))
            mine[ours[a]] = theirs[others[b]] = f"@assumed_{number}"
        return mine, theirs, assumed

    def _named(self, module: Module, name: str) -> dict[str, str] | None:
        """Symbols that `name` mentions -> a name made of their digests; None where two could be confused.

        A variable that one function alone mentions (a function's threadgroup memory) is that function's own affair, and
        the order of first mention tells two of them apart. Any other variable could be one that a caller means too.
        """
        out: dict[str, str] = {}
        for symbol in module.references(name):
            if module.is_leaf(symbol):  # it keeps its own name
                continue
            variables = [variable for variable in module.free(symbol) if not module.is_constant(variable)]
            if any(len(module.users(variable)) > 1 for variable in variables):
                return None
            digest = module.digest(symbol)[:32]
            order = sum(other.startswith(f"@same_{digest}_") for other in out.values())
            if order and module.symbols[symbol].is_function and variables:
                return None
            out[symbol] = f"@same_{digest}_{order if not module.symbols[symbol].is_function else 0}"
        return out

    def equal_whole(self, root: Pair) -> bool:
        """Whether the two kernels, with everything they reach, are equal after O1."""
        if not (self.upstream.is_defined_function(root.upstream) and self.port.is_defined_function(root.port)):
            return False  # a table of initialisers, which is no function
        left = optimised(kernel_whole(self.upstream, root.upstream))
        right = optimised(kernel_whole(self.port, root.port))
        return left.digest(ROOT) == right.digest(ROOT)

    def show(self, pair: Pair) -> str:
        """A short unified diff of the two functions under canonical names."""
        return shown_difference(self._lines(self.upstream, pair.upstream), self._lines(self.port, pair.port))

    def _lines(self, module: Module, name: str) -> list[str]:
        return [name] if module.is_leaf(name) else module.masked(name)[0].splitlines()


def shown_difference(mine: list[str], theirs: list[str]) -> str:
    """The lines that differ. The numbers of values are not looked at where they can be: one more moves all others."""
    plain, other_plain = ([_LOCAL.sub("%", line) for line in lines] for lines in (mine, theirs))
    out = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, plain, other_plain, autojunk=False).get_opcodes():
        if tag != "equal":
            out += [f"- {line.strip()}" for line in mine[a:b]] + [f"+ {line.strip()}" for line in theirs[c:d]]
    if mine == theirs:
        return "the same text, but another of two like variables is meant"
    if not out:  # only which value is used differs
        out = [
            f"{sign} {line.strip()}"
            for a, b in zip(mine, theirs, strict=True)
            if a != b
            for sign, line in (("-", a), ("+", b))
        ]
    rest = len(out) - _SHOWN_LINES
    return "\n".join(out[:_SHOWN_LINES] + ([f"... {rest} more lines"] if rest > 0 else []))


def smallest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict whose difference stands in the smallest function; keys decide between equals."""
    return min(verdicts, key=lambda verdict: (verdict.size, verdict.key))
