# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The two sides that are compared: upstream, from bytes that the pin names, and the port, from the files that stand
in the overlay. Neither side is made from anything that the other made, nor from objects of the port.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from porter.errors import DigestMismatch, ProofError
from porter.metal.frontend import AppliedPatch, patch
from porter.model import Instantiation, Sources, sha256
from porter.parse.lexer import significant, tokenize
from porter.port.target import Target, camel_case
from porter.prove.compile import lay_out, preprocess
from porter.spec import Family

Combination = Mapping[str, bool]

_INCLUDE_LINE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]+)[>\"][^\n]*", re.M)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


@dataclass(frozen=True)
class Side:
    """The files of one side by the path that an #include names them with, as they stand."""

    name: str
    files: Mapping[str, str]

    @cached_property
    def _patched(self) -> dict[str, tuple[str, tuple[AppliedPatch, ...]]]:
        return {path: patch(text) for path, text in self.files.items()}

    @property
    def patched(self) -> dict[str, str]:
        """The files with the shim's patches applied (porter/metal/patches.py): what the compiler reads."""
        return {path: text for path, (text, _) in self._patched.items()}

    @property
    def patches(self) -> tuple[tuple[str, AppliedPatch], ...]:
        return tuple((path, one) for path, (_, applied) in self._patched.items() for one in applied)

    @cached_property
    def digest(self) -> str:
        """One digest over what the compiler reads."""
        return sha256(
            "\n".join(f"{path} {sha256(text.encode())}" for path, text in sorted(self.patched.items())).encode()
        )

    def preprocessed(self, paths: Iterable[str]) -> str:
        """`paths` and what they include as one text, after the preprocessor. Files that are not of this side (Metal's
        own headers) are not included; pragmas stand on lines of their own, however they were written."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="steel-port-") as temporary:
            root = Path(temporary)
            lay_out({path: without_foreign_includes(text, self.files) for path, text in self.files.items()}, root)
            return preprocess("".join(f"#include <{path}>\n" for path in paths), root, METAL_DEFINITIONS)

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


def upstream_side(sources: Sources, family: Family) -> Side:
    """Upstream's files that the family's kernel needs. Raises DigestMismatch where one is not what the pin names."""
    pinned = {file.path: file.sha256 for file in sources.pin.files}
    texts = {path: file.text for path, file in sources.files.items()}
    files = {path: texts[path] for path in _closure((*family.preamble, family.kernel), texts)}
    for path, text in files.items():
        if sha256(text.encode()) != pinned[path]:
            raise DigestMismatch(
                "these bytes are not those that the pin names",
                where=path,
                expected=pinned[path],
                next_step="run `steel-port sync`",
            )
    return Side("upstream", files)


def port_side(overlay_root: Path, target: Target, family: Family) -> Side:
    """The overlay's files that the family's kernel needs, by include path (`ATen/native/mps/kernels/...`)."""
    root = overlay_root / "pytorch" / target.source_root
    texts = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((root / target.kernels).glob("*.h"))
    }
    header = target.header(family.kernel)
    if header not in texts:
        raise ProofError("the overlay lacks this header", where=str(root / header), next_step="run `steel-port sync`")
    return Side("port", {path: texts[path] for path in _closure((header,), texts)})


def emitted_instantiations(overlay_root: Path, target: Target, family: Family) -> tuple[Instantiation, ...]:
    """Host name -> template and arguments, read from the overlay's .metal file.

    The file may hold nothing but comments, includes, macros and explicit instantiations: what else could change the
    meaning of a kernel would not be in the proof. Raises ProofError that quotes whatever else it holds.
    """
    path = table_path(overlay_root, target, family)
    text = path.read_text(encoding="utf-8")
    _check_frame(text, path.name, target.header(family.kernel))
    return parse_instantiations(text, path.name)


def _check_frame(text: str, where: str, header: str) -> None:
    """All of the table stands under one #ifdef, includes one header, the kernel's, and defines macros of its own only.

    Another macro could change what the header means, another header what the kernels are, and what stands outside of
    the #ifdef would go into PyTorch's library unasked. Raises ProofError.
    """
    significant_tokens = significant(tokenize(text))
    directives = [" ".join(line.split()) for line in re.findall(r"^[ \t]*#((?:[^\n\\]|\\\n|\\.)*)", text, re.M)]
    own = [d for d in directives if re.match(r"define INSTANTIATE_\w+\(", d)]
    frame = [d for d in directives if d not in own]
    expected = ["ifdef STEEL_PORT_PRECOMPILE", f"include <{header}>", "endif // STEEL_PORT_PRECOMPILE"]
    ends = [token.directive for token in (significant_tokens[0], significant_tokens[-1])] if significant_tokens else []
    if frame != expected or ends != [True, True]:
        other = next(
            (d for d in frame if d not in expected), "its directives in another order, or code outside of them"
        )
        raise ProofError(f"the table may not hold #{other}", where=where, expected=f"one include, of {header}")


def table_path(overlay_root: Path, target: Target, family: Family) -> Path:
    name = camel_case(family.kernel).removesuffix(".h") + ".metal"
    path = overlay_root / "pytorch" / target.source_root / target.kernels / name
    if not path.is_file():
        raise ProofError("the overlay lacks this file", where=str(path), next_step="run `steel-port sync`")
    return path


_HEAD = re.compile(r"\s*template\s*\[\[\s*host_name\s*\(((?:\s*\"[^\"]*\")+)\s*\)\s*\]\]\s*(?:\[\[\s*kernel\s*\]\]\s*)")
_FUNCTION = re.compile(r"(?:decltype\s*\(\s*)([\w:]+)\s*<")


def parse_instantiations(text: str, where: str) -> tuple[Instantiation, ...]:
    """The explicit instantiations of a .metal text whose macros are its own. Raises ProofError for anything else."""
    from porter.model import Location

    expanded = preprocess(f"#define STEEL_PORT_PRECOMPILE\n{without_foreign_includes(text, {})}")
    found, position = [], 0
    while expanded[position:].strip(" \n\t;"):
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
