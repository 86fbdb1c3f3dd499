# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The two sides that are compared: upstream, from bytes that the pin names, and the port, from the files that stand
in the overlay. Neither side is made from anything that the other made, nor from objects of the port; of the port's code
only what says how files and macros are called is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from porter.emit.names import guard, overlay_name
from porter.errors import DigestMismatch, ProofError
from porter.metal.frontend import AppliedPatch, declared_kernels, parse, patch
from porter.model import Instantiation, Location, Sources, sha256
from porter.parse.lexer import significant, tokenize
from porter.port.constants import definitions
from porter.prove.case import Case
from porter.prove.compile import lay_out, preprocess
from porter.spec import Value

Combination = Mapping[str, Value]

_INCLUDE_LINE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]+)[>\"][^\n]*", re.M)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


@lru_cache(maxsize=1024)
def _patched(text: str) -> tuple[str, tuple[AppliedPatch, ...]]:
    """Families share most of their headers."""
    return patch(text)


@lru_cache(maxsize=4096)
def digest_of(text: str) -> str:
    """The SHA-256 of a text that is looked at many times."""
    return sha256(text.encode())


@dataclass(frozen=True)
class Side:
    """The files of one side by the path that an #include names them with, as they stand.

    `main` includes what the family's kernels need, in order: upstream's preamble and kernel files, or the port's
    headers behind a definition of every macro that they expect.
    """

    name: str
    files: Mapping[str, str]
    main: str

    @property
    def patched(self) -> dict[str, str]:
        """The files with the shim's patches applied (porter/metal/patches.py): what the compiler reads."""
        return {path: _patched(text)[0] for path, text in self.files.items()}

    @property
    def patches(self) -> tuple[tuple[str, AppliedPatch], ...]:
        return tuple((path, one) for path, text in self.files.items() for one in _patched(text)[1])

    @cached_property
    def digest(self) -> str:
        """One digest over the files as they stand."""
        return sha256("\n".join(f"{path} {digest_of(text)}" for path, text in sorted(self.files.items())).encode())

    @property
    def foreign(self) -> tuple[str, ...]:
        """The headers that the files include and that are not among them: Metal's own."""
        found = (path for text in self.files.values() for _, path in _INCLUDE.findall(text))
        return tuple(sorted(set(found) - set(self.files)))

    @cached_property
    def preprocessed(self) -> str:
        """`main` and what it includes as one text, after the preprocessor. Files that are not of this side (Metal's
        own headers) are not included; pragmas stand on lines of their own, however they were written."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
            root = Path(temporary)
            lay_out({path: without_foreign_includes(text, self.files) for path, text in self.files.items()}, root)
            return preprocess(self.main, root, METAL_DEFINITIONS)

    def patch_note(self) -> str:
        """One line for the report: every patch and how often it was applied."""
        counts: dict[str, int] = {}
        for _, one in self.patches:
            counts[one.name] = counts.get(one.name, 0) + 1
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        return f"shim patches to {self.name}: {len(self.patches)} ({listed})"


# What Metal's compiler predefines (Metal Shading Language Specification 3.2, 1.6), for when the shim is not included.
METAL_DEFINITIONS = ("-D__METAL__=1", "-D__METAL_VERSION__=320", "-Wno-pragma-once-outside-header")


def without_foreign_includes(text: str, files: Mapping[str, str]) -> str:
    """`text` without the #include lines that name none of `files`."""
    return _INCLUDE_LINE.sub(lambda found: found[0] if found[1] in files else "", text)


def tokens(text: str) -> list[str]:
    """The tokens of a preprocessed text."""
    return re.findall(r'"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|::|\S', text)


def upstream_side(case: Case) -> Side:
    """Upstream's files that the family's kernels need. Raises DigestMismatch where one is not what the pin names."""
    family, sources = case.family, case.sources
    roots = (*family.preamble, *family.sources_of_kernels)
    missing = [path for path in roots if path not in sources.files]
    if missing:
        raise ProofError(
            f"{missing[0]} did not come with this source of upstream",
            next_step="run `steel-port sync --source` with a clone of MLX",
        )
    texts = {path: file.text for path, file in sources.files.items()}
    files = {path: texts[path] for path in _closure(roots, texts)}
    pinned = _pinned(sources)
    for path, text in files.items():
        if digest_of(text) != pinned[path]:
            raise DigestMismatch(
                "these bytes are not those that the pin names",
                where=path,
                expected=pinned[path],
                next_step="run `steel-port sync`",
            )
    return Side("upstream", files, "".join(f'#include "{path}"\n' for path in roots))


def _pinned(sources: Sources) -> dict[str, str]:
    return {file.path: file.sha256 for file in sources.pin.files}


def port_side(case: Case) -> Side:
    """The overlay's files that the family's kernels need, by include path (`ATen/native/mps/kernels/...`)."""
    root = case.overlay_root / "pytorch" / case.target.source_root
    headers = headers_of(case)
    texts: dict[str, str] = {}
    waiting = list(headers)
    while waiting:
        path = waiting.pop()
        place = root / path
        if path in texts or not place.is_file() or not place.resolve().is_relative_to(root.resolve()):
            continue
        texts[path] = place.read_text(encoding="utf-8")
        waiting += [found[2] for found in _INCLUDE.finditer(texts[path])]
    for header in headers:
        if header not in texts:
            raise ProofError(
                "the overlay lacks this header", where=str(root / header), next_step="run `steel-port sync`"
            )
    files = {path: texts[path] for path in _closure(headers, texts)}
    return Side("port", files, port_head(case, case.family.kernel_names[0], None))


def headers_of(case: Case) -> tuple[str, ...]:
    """The include paths of the ported kernel files, in upstream's order."""
    return tuple(case.target.header(path) for path in case.family.sources_of_kernels)


def port_head(case: Case, kernel: str, combination: Combination | None) -> str:
    """The macros of the `define` constants for one combination (the kernel's first by default), then the headers."""
    values = combination if combination is not None else case.family.combinations(kernel)[0]
    return definitions(case.family, kernel, values) + "".join(f"#include <{path}>\n" for path in headers_of(case))


def emitted_instantiations(case: Case) -> tuple[Instantiation, ...]:
    """Host name -> kernel and arguments, as the overlay has them: the explicit instantiations of its .metal file, and
    the plain kernels of its headers, which are kernels by being declared.

    The file may hold nothing but comments, includes, macros and explicit instantiations: what else could change the
    meaning of a kernel would not be in the proof. Raises ProofError that quotes whatever else it holds.
    """
    path = table_path(case)
    text = path.read_text(encoding="utf-8")
    condition = guard(case.family)
    _check_frame(text, path.name, condition, headers_of(case))
    return (*parse_instantiations(text, path.name, condition), *_plain_kernels(case, port_side(case)))


def _plain_kernels(case: Case, side: Side) -> Iterator[Instantiation]:
    """The kernels that are no templates. A family without any is not parsed for them."""
    if all(one.parameters for one in case.templates.values()):
        return
    own = set(headers_of(case))
    for kernel in declared_kernels(parse(side.main, side.files, skip_bodies=True)):
        if kernel.file in own and not kernel.parameters:
            yield Instantiation(kernel.host_name or kernel.name, kernel.name, (), Location(kernel.file, kernel.line))


def _check_frame(text: str, where: str, condition: str, headers: Iterable[str]) -> None:
    """All of the table stands under one #ifdef, includes the kernels' headers, and defines macros of its own only.

    Another macro could change what a header means, another header what the kernels are, and what stands outside of
    the #ifdef would go into PyTorch's library unasked. Raises ProofError.
    """
    significant_tokens = significant(tokenize(text))
    directives = [" ".join(line.split()) for line in re.findall(r"^[ \t]*#((?:[^\n\\]|\\\n|\\.)*)", text, re.M)]
    own = [d for d in directives if re.match(r"define INSTANTIATE_\w+\(", d)]
    frame = [d for d in directives if d not in own]
    includes = [f"include <{header}>" for header in headers]
    expected = [f"ifdef {condition}", *includes, f"endif // {condition}"]
    ends = [token.directive for token in (significant_tokens[0], significant_tokens[-1])] if significant_tokens else []
    if frame != expected or ends != [True, True]:
        other = next(
            (d for d in frame if d not in expected), "its directives in another order, or code outside of them"
        )
        raise ProofError(f"the table may not hold #{other}", where=where, expected=f"just {', '.join(includes)}")


def table_path(case: Case) -> Path:
    root = case.overlay_root / "pytorch" / case.target.source_root
    path = root / case.target.kernels / f"{overlay_name(case.family)}.metal"
    if not path.is_file():
        raise ProofError("the overlay lacks this file", where=str(path), next_step="run `steel-port sync`")
    return path


_HEAD = re.compile(r"\s*template\s*\[\[\s*host_name\s*\(((?:\s*\"[^\"]*\")+)\s*\)\s*\]\]\s*(?:\[\[\s*kernel\s*\]\]\s*)")
_FUNCTION = re.compile(r"(?:decltype\s*\(\s*)([\w:]+)\s*<")


@lru_cache(maxsize=64)
def parse_instantiations(text: str, where: str, condition: str = "STEEL_PORT_PRECOMPILE") -> tuple[Instantiation, ...]:
    """The explicit instantiations of a .metal text whose macros are its own. Raises ProofError for anything else."""
    expanded = preprocess(f"#define {condition}\n{without_foreign_includes(text, {})}")
    found, position = [], 0
    while (position := _after_space(expanded, position)) < len(expanded):
        head = _HEAD.match(expanded, position)
        statement_end = expanded.find(";", position)
        function = _FUNCTION.match(expanded, head.end()) if head else None
        if head is None or function is None or statement_end < 0:
            rest = expanded[position : position + 80].strip()
            raise ProofError(
                "the table holds something that is no instantiation", where=where, expected=f"not {rest!r}"
            )
        arguments, close = _arguments(expanded, function.end())
        repeated = re.sub(r"\s", "", expanded[close:statement_end])
        if repeated != f"){function[1]}<{re.sub(chr(92) + 's', '', ','.join(arguments))}>":
            raise ProofError(
                f"an instantiation of {function[1]} names two functions", where=where, expected="decltype(f) f"
            )
        name = "".join(re.findall(r'"([^"]*)"', head[1]))
        found.append(Instantiation(name, function[1], arguments, Location(where, 1)))
        position = statement_end + 1
    return tuple(found)


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \n\t;":
        position += 1
    return position


def _arguments(text: str, start: int) -> tuple[tuple[str, ...], int]:
    """Template arguments from after `<`, and where their `>` ends."""
    depth, at, out = 1, start, [""]
    while depth and at < len(text):
        character = text[at]
        depth += (character in "<([") - (character in ">)]")
        if character == "," and depth == 1:
            out.append("")
        elif depth:
            out[-1] += character
        at += 1
    return tuple(" ".join(argument.split()) for argument in out), at


def _closure(paths: Iterable[str], texts: Mapping[str, str]) -> Iterator[str]:
    """`paths` and every file among `texts` that they include, directly or not, in order of first mention."""
    seen: dict[str, None] = {}
    pending = list(paths)
    while pending:
        path = pending.pop(0)
        if path not in seen and path in texts:
            seen[path] = None
            pending += [found[2] for found in _INCLUDE.finditer(texts[path])]
    yield from seen
