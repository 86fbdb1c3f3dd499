# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a family with MLX's tile selection has beside the others: a table of dtypes and tiles with the selection, the
dispatch, and PyTorch's operators."""

from __future__ import annotations

from typing import Any

from porter.emit.families import FamilyFiles
from porter.emit.names import constant_values, overlay_name, template_combinations
from porter.emit.rendering import heading, render
from porter.model import Instantiation
from porter.spec import TileRow, Tiles, spell


def dispatch_files(files: FamilyFiles, tiles: Tiles) -> dict[str, str]:
    """The table in place of the common one, the dispatch and the operators: path -> text, to be formatted."""
    family, name = files.family, overlay_name(files.family)
    values = _values(files, tiles)
    tiles_from = f"{family.hosts[0]}, the tile selection"
    outputs = (
        ("Table.h.j2", f"{files.operations}/{name}Table.h", (*files.restated, tiles_from)),
        ("Dispatch.h.j2", f"{files.operations}/{name}.h", ()),
        ("Dispatch.cpp.j2", f"{files.operations}/{name}.cpp", ()),
        ("Operators.cpp.j2", f"{files.operations}/SteelOperators.cpp", ()),
    )
    revision = files.port.corpus.pin.revision
    return {
        path: render(template, values, heading=heading(revision, family, restated))
        for template, path, restated in outputs
    }


def _values(files: FamilyFiles, tiles: Tiles) -> dict[str, Any]:
    family, kernel = files.family, files.family.kernels[0].name
    rows = [_row(row, files) for row in files.rows]
    params = next(s.location.file for s in files.port.corpus.params if s.name in family.params)
    return {
        **files.values(),
        "namespace": family.name.removeprefix("steel_"),
        "template": kernel,
        "params_header": files.target.header(params),
        "operations": files.target.operations,
        "constants": family.constants,
        "combinations": [
            {"suffix": family.suffix(kernel, c), "arguments": constant_values(family, kernel, c)}
            for c in template_combinations(family, kernel)
        ],
        "rows": rows,
        "dtypes": list(dict.fromkeys(row["dtype"] for row in rows)),
        "tiles": tiles,
        "tile_rows": [{"condition": _condition(tiles, row), "tile": row.tile} for row in tiles.rows],
    }


def _row(row: Instantiation, files: FamilyFiles) -> dict[str, Any]:
    """One instantiation as the templates read it; the axes' values come from the family by host name."""
    axes = files.family.axes_by_name[row.host_name]
    return {
        "host_name": row.host_name,
        "arguments": files.arguments(row).split(", "),
        "dtype": axes["dtype"],
        "tile": [axes[key] for key in ("bm", "bn", "bk", "wm", "wn")],
        **{key: spell(axes[key]) for key in ("transpose_a", "transpose_b")},
    }


def _condition(tiles: Tiles, row: TileRow) -> str:
    named = sorted({letter for other in tiles.rows if other.device != "other" for letter in other.device})
    if row.device == "other":
        atoms = [f"q.device != '{letter}'" for letter in named]
    else:
        atoms = ["(" + " || ".join(f"q.device == '{letter}'" for letter in row.device) + ")"]
    atoms += [f"!{atom.removeprefix('not ')}" if atom.startswith("not ") else atom for atom in row.when]
    return " && ".join(atoms)
