# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names, the host's half: the emitted tile selection takes the tile that MLX takes.

The emitted header is compiled by the host's compiler and asked a grid of questions. The answers are those of upstream's
own text where the full source is at hand (read from the pinned bytes by porter/parse/tiles.py, never run: nothing that
was fetched for the host is executed), else those of the family's YAML, which `sync` holds against upstream's text
wherever it can.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Mapping

from porter.emit.names import namespace, overlay_name
from porter.errors import ProofError
from porter.model import Proof, Ring, Sources, Status
from porter.parse.tiles import Tile, evaluate, fold, read_tiles, select
from porter.prove.case import Case
from porter.prove.host import output_of
from porter.spec import Family, Tiles

CLAIM = "the tile selection is MLX's"
YAML_CLAIM = "the tile selection is the family's"
"""What is shown without upstream's host code."""

# Letters of every class of GPU and of none; sizes on both sides of what upstream compares with (2^20 results, twice the
# larger side). Columns of a question: letter, dtype, transposes, batch, M, N, K.
_GRID = tuple(
    itertools.product(
        string.ascii_lowercase,
        ("float16", "bfloat16", "float32", "complex64"),
        (False, True),
        (False, True),
        (1, 1000),
        (1, 1023, 1024),
        (64, 1024),
        (1, 2047, 2048, 4096),
    )
)


def prove_selection(case: Case) -> Proof:
    """Ask the emitted `select_tile` every question of the grid. Raises ToolchainError where there is no compiler."""
    family = case.family
    expected, witness = _witness(case.sources, family)
    claim = CLAIM if _host_at_hand(case.sources, family) else YAML_CLAIM
    wrong = []
    for question, row in zip(_GRID, _answers(case), strict=True):
        tile = tuple(map(int, row))
        if tile != expected(question[0], _truth(*question[1:])):
            letter, dtype, a, b, batch, m, n, k = question
            wrong.append(f"class {letter}, {dtype}, transposes {a:d}{b:d}, batch {batch}, {m}x{n}x{k}: {tile}")
    if wrong:
        why = f"another tile for {len(wrong):,} of {len(_GRID):,} questions; first: {wrong[0]}"
        return Proof(Ring.NAMES, family.name, claim, witness, Status.DIFFERS, len(_GRID), why)
    return Proof(Ring.NAMES, family.name, claim, witness, Status.PROVED, len(_GRID))


def _witness(sources: Sources, family: Family) -> tuple[Callable[[str, Mapping[str, bool]], Tile], str]:
    """Who answers: upstream's text, whose conditions are called by their text, or the YAML."""
    tiles = _tiles(family)
    if not _host_at_hand(sources, family):
        return lambda letter, truth: select(tiles, letter, truth)[0], "specs/ (the YAML)"
    upstream = read_tiles(sources, family)
    spelled = {predicate.name: fold(predicate.upstream) for predicate in tiles.predicates}
    return (
        lambda letter, truth: evaluate(upstream, letter, {spelled[name]: value for name, value in truth.items()}),
        "upstream's host code",
    )


def _tiles(family: Family) -> Tiles:
    if family.tiles is None:
        raise ProofError("the family selects no tiles", where=f"specs/{family.path}")
    return family.tiles


def _host_at_hand(sources: Sources, family: Family) -> bool:
    return all(path in sources.files for path in family.hosts)


def _truth(dtype: str, a: bool, b: bool, batch: int, m: int, n: int, k: int) -> dict[str, bool]:
    """What the family's predicates come to, said here once more, without the emitted code or the YAML's C++."""
    return {
        "nt": not a and b,
        "complex64": dtype == "complex64",
        "not_float32": dtype != "float32",
        "large": batch * m * n >= 1 << 20,
        "reasonable_k": 2 * max(m, n) > k,
    }


def _answers(case: Case) -> list[list[str]]:
    """The tiles that the emitted header selects: rows of bm, bn, bk, wm, wn in the grid's order."""
    header = f"{case.target.operations}/{overlay_name(case.family)}Table.h"
    questions = ",\n".join(
        f"{{'{letter}', ours::DType::{dtype}, {a:d}, {b:d}, {batch}, {m}, {n}, {k}}}"
        for letter, dtype, a, b, batch, m, n, k in _GRID
    )
    program = (
        f"#include <{header}>\n#include <cstdio>\nnamespace ours = {namespace(case.family, case.target)};\n"
        f"static const ours::TileQuery questions[] = {{\n{questions}}};\n"
        "int main() {\n  for (const auto& question : questions) {\n    const auto t = ours::select_tile(question);\n"
        '    std::printf("%d\\t%d\\t%d\\t%d\\t%d\\n", t.bm, t.bn, t.bk, t.wm, t.wn);\n  }\n}\n'
    )
    return output_of(program, case.overlay_root / "pytorch" / case.target.source_root)
