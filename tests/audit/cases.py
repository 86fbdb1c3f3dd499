# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Trees with known truth: what in them is MLX's, from where, since when, and what their notice is worth.

A case is made from `(seed, kind, number)` alone, so any of them can be made again by itself, and two runs give the same
bytes. Kinds are listed in `KINDS`; docs/audit-quality.md describes them. The generator is frozen: tests/audit/FROZEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random

from porter.audit.model import Verdict
from porter.errors import ToolchainError

from . import negatives
from .history import History, Version
from .notices import OTHER_LICENCE, Notice, as_comment, notice
from .pieces import chunks, excerpt, flattened, gaps
from .tokens import idiom_lines
from .transforms import (
    COMMENT_MODES,
    Row,
    derived,
    joined,
    own,
    random_style,
    recomment,
    reformat,
    renamed,
    renaming,
    with_texts,
    without_blank,
    without_notices,
)
from .truth import Truth

TUNING_SEED = 20260317
HELD_OUT_SEED = 771_946_206  # for the final figures only: nobody looks at its cases while tuning

_STYLES_TRIED = 8
EXCERPT_LINES = (20, 50, 200)
EXCERPTS = tuple(f"{way}-{lines}" for way in ("excerpt", "renamed") for lines in EXCERPT_LINES)
WHOLE = ("verbatim", "comments", "renamed-whole", "mixed", "flat-file", "flat-raw-string", "flat-python")
NEGATIVES = ("own-kernels", "other-headers")
KINDS = (*EXCERPTS, *WHOLE, *NEGATIVES)


@dataclass(frozen=True)
class Origin:
    """An upstream file that a case has code from: `path` at `tag`.

    `paths` are all upstream paths that hold that code at some tag (each is a right answer), `tags` those tags, oldest
    first.
    """

    path: str
    tag: str
    paths: frozenset[str]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class DerivedLine:
    """`origin` is an index of `Case.origins`; `lines` are the numbers of that file's lines at its `tag`."""

    origin: int
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """`tree` maps paths to texts. Line numbers are of `tree[target]` and count from 1.

    `truth` holds the derived lines. `neutral` lines (no code, a common idiom, or own and derived code on one line) are
    asked of nobody. `notice` is the verdict on the derived code, None where there is none or its source carries
    other licences than upstream's own.
    """

    kind: str
    number: int
    tree: Mapping[str, str]
    target: str
    truth: Mapping[int, DerivedLine]
    neutral: frozenset[int]
    origins: tuple[Origin, ...]
    notice: Verdict | None

    @property
    def text(self) -> str:
        return self.tree[self.target]

    @cached_property
    def code_lines(self) -> frozenset[int]:
        return frozenset(range(1, self.text.count("\n") + 1)) - self.neutral

    def derived(self, origin: int | None = None) -> frozenset[int]:
        """The derived lines that count, of one origin or of all."""
        lines = (line for line, one in self.truth.items() if origin is None or one.origin == origin)
        return frozenset(lines) - self.neutral


@dataclass(frozen=True)
class _Made:
    """The lines of a target, and for each source: the version, its tag, and the pieces of it that were taken."""

    rows: list[Row]
    sources: Sequence[tuple[Version, str, tuple[str, ...]]]
    suffix: str
    renamed: bool = False


class Generator:
    """Cases from a history of upstream. Reading it into `truth` takes some seconds, so one instance serves all."""

    def __init__(self, history: History, truth: Truth | None = None) -> None:
        self.history = history
        self.truth = truth or Truth(history)
        self._trees = {tag: sorted(history.at(tag).items()) for tag in history.tags}

    def cases(self, seed: int, kind: str, count: int) -> Iterator[Case]:
        return (self.case(seed, kind, number) for number in range(count))

    def case(self, seed: int, kind: str, number: int) -> Case:
        random = Random(f"{seed}/{kind}/{number}")
        if kind in NEGATIVES:
            return _negative(kind, seed, number)
        maker = _MAKERS[kind]
        while True:
            made = maker(self, random)
            if made is not None:
                return self._finished(kind, number, made, random)

    # Choosing ---------------------------------------------------------------------------------------------------------

    def pick(self, random: Random, wanted: Callable[[str], bool] = lambda _: True) -> tuple[Version, str]:
        """A file of a random release, each line as likely as another."""
        tag = random.choice(self.history.tags)
        files = [version for path, version in self._trees[tag] if wanted(path)]
        weights = list(accumulate(version.text.count("\n") for version in files))
        return random.choices(files, cum_weights=weights)[0], tag

    def tree(self, tag: str) -> Mapping[str, Version]:
        return dict(self._trees[tag])

    # Hiding -----------------------------------------------------------------------------------------------------------

    def disguised(self, rows: list[Row], random: Random) -> list[Row]:
        """Renamed throughout, comments perhaps changed, laid out anew.

        clang-format crashes on some texts in some styles; then another style is drawn.
        """
        text = joined(rows)
        names = renaming(text, self.truth.renamable, random)
        text = recomment(renamed(text, names), random.choice(COMMENT_MODES), random)
        for _ in range(_STYLES_TRIED - 1):
            try:
                return reformat(with_texts(rows, text), random_style(random))
            except ToolchainError:
                continue
        return reformat(with_texts(rows, text), random_style(random))

    # Finishing --------------------------------------------------------------------------------------------------------

    def _finished(self, kind: str, number: int, made: _Made, random: Random) -> Case:
        verdict = random.choice(list(Verdict))
        words = notice(verdict, self.history.licence, random)
        rows = _with_notice(made, words, random)
        target = f"src/{random.choice(('kernels', 'gpu', 'ops', 'shaders'))}/part{random.randrange(1000)}{made.suffix}"
        tree = {target: joined(rows), **words.files}
        if random.random() < 0.3:
            tree["src/extra/other.cpp"] = negatives.own_file("host", random)
        origins = []
        for version, tag, taken in made.sources:
            held = self.truth.held(taken, renamed=made.renamed)
            origins.append(Origin(version.path, tag, held.paths, held.tags))
        code, _ = idiom_lines(tree[target])
        truth = {
            line: DerivedLine(row.source, row.lines)
            for line, row in enumerate(rows, 1)
            if row.source is not None and line in code
        }
        _check_complete(kind, number, made, truth)
        neutral = _neutral(rows, tree[target], [idiom_lines(version.text)[1] for version, _, _ in made.sources])
        other = any(OTHER_LICENCE.search(version.text) for version, _, _ in made.sources)
        return Case(kind, number, tree, target, truth, neutral, tuple(origins), None if other else verdict)


def _neutral(rows: Sequence[Row], text: str, idioms_of: Sequence[frozenset[int]]) -> frozenset[int]:
    """A derived line is an idiom too where upstream's lines are (a renamed copy hides some)."""
    code, idioms = idiom_lines(text)
    return frozenset(
        line
        for line, row in enumerate(rows, 1)
        if line not in code
        or line in idioms
        or row.mixed
        or (row.source is not None and idioms_of[row.source].issuperset(row.lines))
    )


def _check_complete(kind: str, number: int, made: _Made, truth: Mapping[int, DerivedLine]) -> None:
    """Raises ValueError where a line of code that was taken has no line in the target."""
    for source, (_, _, taken) in enumerate(made.sources):
        wanted = sum(len(idiom_lines(piece)[0]) for piece in taken)
        got = {line for one in truth.values() if one.origin == source for line in one.lines}
        if len(got) != wanted and not any(row.mixed for row in made.rows):
            raise ValueError(
                f"{kind} {number}: of {wanted} lines of code that were taken, {len(got)} are in the target"
            )


def _with_notice(made: _Made, words: Notice, random: Random) -> list[Row]:
    """The notice at the file's head, or (a short one, in C) right above the first derived line."""
    language = "python" if made.suffix == ".py" else "c"
    comment = as_comment(words.lines, language, random)
    if not comment:
        return made.rows
    above = next(place for place, row in enumerate(made.rows) if row.source is not None)
    place = above if language == "c" and len(words.lines) < 4 and random.random() < 0.3 else 0
    if made.suffix == ".mm" or (place and made.rows[place - 1].text.rstrip().endswith("\\")):
        place = 0
    return [*made.rows[:place], *own(comment), *made.rows[place:]]


def _negative(kind: str, seed: int, number: int) -> Case:
    random = Random(f"{seed}/{kind}/{number}")
    if kind == "own-kernels":
        language = random.choice(("metal", "metal", "cuda"))
        suffix = {"metal": ".metal", "cuda": ".cu"}[language]
        target, text = f"src/kernels/own{number}{suffix}", negatives.own_file(language, random)
    else:
        pool = sorted(negatives.headers(), key=lambda header: Random(header.name).random())
        header = pool[(2 * number + seed % 2) % (len(pool) // 2 * 2)]  # an odd and an even seed share none
        target, text = header.name, header.text()
    code, idioms = idiom_lines(text)
    neutral = (set(range(1, text.count("\n") + 1)) - code) | idioms
    return Case(kind, number, {target: text}, target, {}, frozenset(neutral), (), None)


# Makers: one a kind. Each returns None where the place it chose does not do, and is called again. ------------------


def _excerpt(lines: int, hide: bool) -> Callable[[Generator, Random], _Made | None]:
    def make(generator: Generator, random: Random) -> _Made | None:
        version, tag = generator.pick(random)
        found = excerpt(version.text, lines, random)
        if found is None:
            return None
        first, text = found
        suffix = version.path[version.path.rindex(".") :]
        host = own(negatives.host_file(suffix, random))
        place = random.choice(gaps(joined(host)) or [len(host)])
        inner = derived(without_notices(text), 0, first)
        rows = [*host[:place], Row(""), *inner, Row(""), *host[place:]]
        if hide:
            rows = generator.disguised(rows, random)
        return _Made(rows, [(version, tag, (text,))], suffix, hide)

    return make


def _whole(way: str) -> Callable[[Generator, Random], _Made | None]:
    def make(generator: Generator, random: Random) -> _Made | None:
        version, tag = generator.pick(random)
        code, idioms = idiom_lines(version.text)
        if len(code - idioms) < 20:
            return None
        rows = derived(without_notices(version.text), 0, 1)
        if way == "renamed":
            rows = generator.disguised(rows, random)
        elif way == "comments":
            mode = random.choice(COMMENT_MODES[1:])
            rows = with_texts(rows, recomment(joined(rows), mode, random))
            rows = without_blank(rows) if mode == "removed" and random.random() < 0.5 else rows
        suffix = version.path[version.path.rindex(".") :]
        return _Made(rows, [(version, tag, (version.text,))], suffix, way == "renamed")

    return make


def _mixed(generator: Generator, random: Random) -> _Made | None:
    """Functions of one or two upstream files of one release, in another order, with own code between them."""
    version, tag = generator.pick(random)
    versions = [version]
    if random.random() < 0.3:
        other = random.choice(sorted(generator.tree(tag).values(), key=lambda one: one.path))
        versions += [other] if other.path != version.path else []
    hide = random.random() < 0.5
    parts: list[list[Row]] = []
    sources = []
    for source, one in enumerate(versions):
        found = chunks(one.text)
        if not found:
            return None
        taken = random.sample(found, min(len(found), random.randint(2, 5)))
        parts += [derived(without_notices(text), source, first) for first, text in taken]
        sources.append((one, tag, tuple(text for _, text in taken)))
    if len(parts) < 2:
        return None
    random.shuffle(parts)
    suffix = version.path[version.path.rindex(".") :]
    language = "metal" if "/kernels/" in version.path else "host"
    rows = own(negatives.own_file(language, random, 1))
    for part in parts:
        rows += [Row(""), *part, Row("")]
        if random.random() < 0.7:
            rows += own(negatives.own_part(language, random))
    return _Made(generator.disguised(rows, random) if hide else rows, sources, suffix, hide)


def _flat(into: str) -> Callable[[Generator, Random], _Made | None]:
    """A kernel's file with its headers written into it, as a file or inside a string of C++ or Python."""

    def make(generator: Generator, random: Random) -> _Made | None:
        version, tag = generator.pick(random, lambda path: "/kernels/" in path)
        tree = generator.tree(tag)
        parts = flattened(version.path, {path: one.text for path, one in tree.items()})
        if len(parts) < 2 or sum(text.count("\n") for _, _, text in parts) > 4000:
            return None
        paths = sorted({path for path, _, _ in parts}, key=[path for path, _, _ in parts].index)
        rows = [row for path, first, text in parts for row in derived(without_notices(text), paths.index(path), first)]
        hide = random.random() < 0.5
        if hide:
            rows = generator.disguised(rows, random)
        sources = [(tree[path], tag, tuple(text for one, _, text in parts if one == path)) for path in paths]
        return _wrapped(rows, sources, into, hide, random)

    return make


def _wrapped(rows: list[Row], sources: list[tuple[Version, str, tuple[str, ...]]], into: str, hide: bool,
             random: Random) -> _Made | None:  # fmt: skip
    text = joined(rows)
    if into == "file":
        return _Made(rows, sources, random.choice((".metal", ".h")), hide)
    if into == "python":
        if '"""' in text or "'''" in text:
            return None
        quote = random.choice(('"""', "'''"))
        head = own(f"import ctypes\n\nSCALE = {random.random():.4f}\n\nSOURCE = r{quote}")
        return _Made([*head, *rows, *own(f"{quote}\n\n\ndef source():\n    return SOURCE")], sources, ".py", hide)
    if ')METAL"' in text or 'R"' in text:
        return None
    head = own("#include <string>\n\nnamespace {\n\n" + f'const char* shader_{random.randrange(100)} = R"METAL(')
    tail = own(')METAL";\n\n}  // namespace\n\n' + negatives.own_part("host", random))
    return _Made([*head, *rows, *tail], sources, random.choice((".mm", ".cpp")), hide)


_MAKERS: dict[str, Callable[[Generator, Random], _Made | None]] = {
    **{f"excerpt-{lines}": _excerpt(lines, False) for lines in EXCERPT_LINES},
    **{f"renamed-{lines}": _excerpt(lines, True) for lines in EXCERPT_LINES},
    "verbatim": _whole("verbatim"),
    "comments": _whole("comments"),
    "renamed-whole": _whole("renamed"),
    "mixed": _mixed,
    "flat-file": _flat("file"),
    "flat-raw-string": _flat("raw string"),
    "flat-python": _flat("python"),
}
