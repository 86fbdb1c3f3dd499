# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Port -> Overlay: the files for a PyTorch tree.

Under `pytorch/aten/src/ATen/native/mps/` of the overlay:
  kernels/Steel*.h, Mlx*.h      the ported headers
  kernels/<Family>.metal        the instantiations, for a metallib that is built with PyTorch
  kernels/Steel.LICENSE         MLX's licence
  operations/<Family>Table.h    the same instantiations for the host, and MLX's tile selection
  operations/<Family>Source.h   the kernel source flattened, for compilation at run time
  operations/<Family>.{h,cpp}   dispatch
  operations/SteelOperators.cpp the operators
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porter.emit.flatten import flatten
from porter.emit.format import format_files
from porter.model import Instantiation, Overlay, OverlayFile, Port, Sources
from porter.port.notice import COPYRIGHT_TAG, LICENCE_FILE, LICENCE_TAG, UPSTREAM
from porter.port.target import Target, camel_case
from porter.spec import Family, TileRow

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
ROOT = "pytorch"


def emit(port: Port, sources: Sources, families: tuple[Family, ...], target: Target) -> Overlay:
    """Render, flatten and format the overlay. Raises EmitError and ToolchainError."""
    root = f"{ROOT}/{target.source_root}"
    origins = {f"{ROOT}/{file.path}": file.source for file in port.files}
    texts = {f"{ROOT}/{file.path}": file.text for file in port.files}
    texts[f"{root}/{target.kernels}/{LICENCE_FILE}"] = _licence(port, sources)
    for family in families:
        texts.update(_tables(port, family, target))
    texts = format_files(texts)
    sources_of = {family.name: _flattened(texts, root, family, target) for family in families}
    # The flattened source is formatted already, and stands in a string.
    texts.update({path: text for f in families for path, text in _source(f, target, port, sources_of[f.name]).items()})
    files = (OverlayFile(path, text, origins.get(path)) for path, text in sorted(texts.items()))
    return Overlay(port.corpus.pin.revision, tuple(files))


def overlay_name(family: Family) -> str:
    """`SteelGemmFused`: what the overlay's files of a family are called."""
    return camel_case(family.kernel).removesuffix(".h")


def ported_host_names(family: Family, rows: Iterable[Instantiation]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Ported host name -> (upstream host name, template arguments with the constants' values appended)."""
    out = {}
    for row in rows:
        for combination in family.combinations():
            values = tuple(str(value).lower() for value in combination.values())
            out[row.host_name + family.suffix(combination)] = (row.host_name, row.arguments + values)
    return out


def ported_argument(argument: str, target: Target) -> str:
    """A template argument under the target's names: `bfloat16_t` becomes `bfloat`."""
    return target.aliases.get(argument, target.renames.get(argument, argument))


def _environment() -> jinja2.Environment:
    import jinja2

    # What is rendered is C++, not HTML; nothing in it comes from a user.
    return jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )


def _heading(port: Port, family: Family, restated: Iterable[str]) -> str:
    """The comment that heads a file of ours; `restated` names the upstream places whose values it holds."""
    places = list(restated)
    lines = [f"{COPYRIGHT_TAG} 2026 The steel-port authors"]
    lines += [f"{COPYRIGHT_TAG} {line}" for line in family.copyright if places]
    lines += [f"{LICENCE_TAG} BSD-3-Clause{f' AND {family.licence}' if places else ''}", ""]
    lines += ["Made by steel-port; edit its templates and specs, not this file, and run `steel-port sync`."]
    if places:
        lines += [f"Restates values of {UPSTREAM}", f"  revision {port.corpus.pin.revision}"]
        lines += [f"  {place}" for place in places]
        lines += [f"whose licence stands in kernels/{LICENCE_FILE}."]
    return "\n".join(f"// {line}".rstrip() for line in lines)


def _licence(port: Port, sources: Sources) -> str:
    values = {"upstream": UPSTREAM, "revision": port.corpus.pin.revision, "licence": sources.files["LICENSE"].text}
    return _environment().get_template("Licence.j2").render(values).rstrip("\n") + "\n"


def _tables(port: Port, family: Family, target: Target) -> dict[str, str]:
    name, root = overlay_name(family), f"{ROOT}/{target.source_root}"
    operations = f"{root}/{target.operations}"
    values = _values(port, family, target)
    kernels_from, tiles_from = (f"{family.table}, the instantiations", f"{family.host}, the tile selection")
    outputs = (
        ("Instantiations.metal.j2", f"{root}/{target.kernels}/{name}.metal", (kernels_from,)),
        ("Table.h.j2", f"{operations}/{name}Table.h", (kernels_from, tiles_from)),
        ("Dispatch.h.j2", f"{operations}/{name}.h", ()),
        ("Dispatch.cpp.j2", f"{operations}/{name}.cpp", ()),
        ("Operators.cpp.j2", f"{operations}/SteelOperators.cpp", ()),
    )
    environment = _environment()
    return {
        path: environment.get_template(template).render(values, heading=_heading(port, family, restated))
        for template, path, restated in outputs
    }


def _values(port: Port, family: Family, target: Target) -> dict[str, Any]:
    # By name, so that the order in which a provider lets us find them leaves no trace.
    table = sorted((r for r in port.corpus.instantiations if r.template == family.template), key=lambda r: r.host_name)
    rows = [_row(row, family, target) for row in table]
    params = next(s.location.file for s in port.corpus.params if s.name in family.params)
    return {
        "name": overlay_name(family),
        "namespace": family.name.removeprefix("steel_"),
        "macro": f"INSTANTIATE_{family.name.upper()}",
        "template": family.template,
        "kernel_header": target.header(family.kernel),
        "params_header": target.header(params),
        "operations": target.operations,
        "constants": family.constants,
        "combinations": [
            {"suffix": family.suffix(c), "arguments": [str(value).lower() for value in c.values()]}
            for c in family.combinations()
        ],
        "rows": rows,
        "dtypes": list(dict.fromkeys(row["dtype"] for row in rows)),
        "tiles": family.tiles,
        "tile_rows": [{"condition": _condition(family, row), "tile": row.tile} for row in family.tiles.rows],
    }


def _row(row: Instantiation, family: Family, target: Target) -> dict[str, Any]:
    """One instantiation as the templates read it; the axes' values come from the family by host name."""
    axes = next(axes for axes in family.rows() if family.grammar.format(**axes) == row.host_name)
    flags = {key: str(axes[key]).lower() for key in ("transpose_a", "transpose_b")}
    return {
        "host_name": row.host_name,
        "arguments": [ported_argument(argument, target) for argument in row.arguments],
        "dtype": axes["dtype"],
        "tile": [axes[key] for key in ("bm", "bn", "bk", "wm", "wn")],
        **flags,
    }


def _condition(family: Family, row: TileRow) -> str:
    named = sorted({letter for other in family.tiles.rows if other.device != "other" for letter in other.device})
    if row.device == "other":
        atoms = [f"q.device != '{letter}'" for letter in named]
    else:
        atoms = ["(" + " || ".join(f"q.device == '{letter}'" for letter in row.device) + ")"]
    atoms += [f"!{atom.removeprefix('not ')}" if atom.startswith("not ") else atom for atom in row.when]
    return " && ".join(atoms)


def _flattened(texts: dict[str, str], root: str, family: Family, target: Target) -> str:
    prefix = f"{root}/"
    headers = {path.removeprefix(prefix): text for path, text in texts.items() if path.endswith(".h")}
    return flatten(target.header(family.kernel), headers)


def _source(family: Family, target: Target, port: Port, source: str) -> dict[str, str]:
    path = f"{ROOT}/{target.source_root}/{target.operations}/{overlay_name(family)}Source.h"
    notices = {port.corpus.notices[file.source] for file in port.files}
    copyrights = sorted({line for notice in notices for line in notice.copyrights})
    licences = " AND ".join(sorted({notice.spdx for notice in notices}))
    heading = "\n".join(
        [f"// {COPYRIGHT_TAG} {line}" for line in copyrights]
        + [f"// {LICENCE_TAG} {licences}", "//"]
        + [f"// The ported headers of {UPSTREAM}, revision {port.corpus.pin.revision},"]
        + ["// each headed by its own notice; made by steel-port, which changed them."]
    )
    values = _values(port, family, target)
    return {path: _environment().get_template("Source.h.j2").render(values, heading=heading, source=source)}
