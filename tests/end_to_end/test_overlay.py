# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The overlay of all of MLX as a compiler and a reader see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from porter.emit import ROOT, flattened, overlay_name
from porter.emit.names import guard
from porter.metal import frontend
from porter.parse.lexer import significant, tokenize
from porter.port.constants import macros
from porter.port.target import load_target
from porter.prove.host import output_of
from porter.spec import Family

TARGET = load_target()


@pytest.fixture(scope="session")
def tree(root: Path) -> Path:
    return root / "generated" / ROOT / TARGET.source_root


@pytest.fixture(scope="session")
def headers(tree: Path) -> dict[str, str]:
    return {path.relative_to(tree).as_posix(): path.read_text() for path in (tree / TARGET.kernels).glob("*.h")}


def at_hand(families: tuple[Family, ...], tree: Path) -> list[Family]:
    return [f for f in families if (tree / TARGET.kernels / f"{overlay_name(f)}.metal").is_file()]


def test_headers_include_what_they_use(headers: dict[str, str]) -> None:
    """Those that upstream leaves to the file that includes them, one at a time: `needs` in specs/targets."""
    for upstream in TARGET.needs:
        if (header := TARGET.header(upstream)) in headers:
            frontend.parse(f"#include <{header}>\n", headers, skip_bodies=True)


def test_every_familys_headers_are_metal(families: tuple[Family, ...], headers: dict[str, str], tree: Path) -> None:
    """One family in four (the ring code compiles them all): its constants defined, the YAML's kernels found."""
    for family in at_hand(families, tree)[::4]:
        defined = "".join(f"#define {macro} 1\n" for macro in macros(family))
        included = [TARGET.header(path) for path in family.sources_of_kernels]
        unit = frontend.parse(defined + "".join(f"#include <{h}>\n" for h in included if h in headers), headers)
        found = {kernel.name for kernel in frontend.declared_kernels(unit)}
        wanted = {name for name in family.kernel_names if any(name in headers.get(h, "") for h in included)}
        assert wanted
        assert wanted <= found, family.name


def test_no_word_of_upstreams_build_is_left(headers: dict[str, str]) -> None:
    left = re.compile(r"mlx|MLX_\w+|STEEL_(?!PORT_)\w+|MTL_CONST|\w*bfloat16_t|float16_t|complex64_t|function_constant")
    for path, text in headers.items():
        words = {t.text for t in significant(tokenize(text)) if t.kind in ("identifier", "header")}
        assert not {word for word in words if left.fullmatch(word) or "mlx/" in word}, path


def test_the_host_reads_every_table_and_source(families: tuple[Family, ...], tree: Path) -> None:
    """In one translation unit: no two families' tables get into each other's way."""
    names = [overlay_name(family) for family in at_hand(families, tree)]
    lines = [f"#include <{TARGET.operations}/{name}{kind}.h>\n" for name in names for kind in ("Table", "Source")]
    assert output_of("".join(lines) + "int main() {}\n", tree) == []


def test_run_time_sources_stand_by_themselves(families: tuple[Family, ...], root: Path, tree: Path) -> None:
    for family in at_hand(families, tree):
        source = flattened(root / "generated", TARGET, family)
        assert "ATen/" not in re.sub(r"//[^\n]*", "", source)
        assert "#pragma once" not in source
        assert all(macro in source for macro in macros(family))


def test_a_metal_file_adds_nothing_unasked(families: tuple[Family, ...], tree: Path) -> None:
    for family in at_hand(families, tree):
        text = (tree / TARGET.kernels / f"{overlay_name(family)}.metal").read_text()
        code = [line for line in text.splitlines() if line and not line.startswith("//")]
        assert (code[0], code[-1]) == (f"#ifdef {guard(family)}", f"#endif // {guard(family)}")
