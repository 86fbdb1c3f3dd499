# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Port -> Overlay: the files for a PyTorch tree.

Under `pytorch/aten/src/ATen/native/mps/` of the overlay:
  kernels/Steel*.h, Mlx*.h      the ported headers
  kernels/<Family>.metal        the instantiations, for a metallib that is built with PyTorch
  kernels/Steel.LICENSE*        MLX's licence, and those of files that state another
  operations/<Family>Table.h    the same instantiations for the host
  operations/<Family>Source.h   the kernel source flattened, for compilation at run time
and of a family with MLX's tile selection also
  operations/<Family>.{h,cpp}   dispatch
  operations/SteelOperators.cpp the operators
At the overlay's root: LICENSES/, NOTICE, REUSE.toml, and provenance/ with one file for each ported header.
Families whose kernels did not come with the sources are left out, and `Overlay.left_out` names them.
"""

from __future__ import annotations

from pathlib import Path

from porter.emit.families import FamilyFiles
from porter.emit.flatten import flatten
from porter.emit.format import format_files
from porter.emit.fused import dispatch_files
from porter.emit.licences import licence_files
from porter.emit.names import instantiation, overlay_name, ported_argument, ported_host_names
from porter.errors import EmitError
from porter.model import LeftOut, Overlay, OverlayFile, Port, Sources
from porter.port.target import Target
from porter.spec import Family

__all__ = [
    "ROOT",
    "emit",
    "flattened",
    "instantiation",
    "overlay_name",
    "ported_argument",
    "ported_host_names",
]

ROOT = "pytorch"


def emit(port: Port, sources: Sources, families: tuple[Family, ...], target: Target) -> Overlay:
    """Render, flatten and format the overlay. Raises EmitError and ToolchainError."""
    root = f"{ROOT}/{target.source_root}"
    kernels, operations = f"{root}/{target.kernels}", f"{root}/{target.operations}"
    origins = {f"{ROOT}/{file.path}": file.source for file in port.files}
    ported = {file.source for file in port.files}
    at_hand = []
    for family in families:
        present = tuple(path for path in family.sources_of_kernels if path in ported)
        if present:
            at_hand.append(FamilyFiles(port, family, target, present, kernels, operations))
    unformatted = {f"{ROOT}/{file.path}": file.text for file in port.files}
    for files in at_hand:
        if files.family.tiles is not None:
            unformatted.update(dispatch_files(files, files.family.tiles))
    texts = format_files(unformatted)
    headers = {path.removeprefix(f"{root}/"): texts[path] for path in origins}
    texts |= licence_files(port, sources, kernels, texts)
    for files in at_hand:
        written = [files.instantiations(), files.source(headers)]
        if files.family.tiles is None:
            written.append(files.table())
        for path, text in written:
            if path in texts:
                raise EmitError("two families make this file", where=path)
            texts[path] = text
    left_out = [LeftOut(f.name, missing) for f in families if (missing := _missing(f, ported))]
    made = (OverlayFile(path, text, origins.get(path)) for path, text in sorted(texts.items()))
    return Overlay(port.corpus.pin.revision, tuple(made), tuple(left_out))


def _missing(family: Family, ported: set[str]) -> tuple[str, ...]:
    """The family's sources that were not ported."""
    return tuple(path for path in family.sources_of_kernels if path not in ported)


def flattened(overlay_root: Path, target: Target, family: Family) -> str:
    """The source of the family for compilation at run time, made of its headers as they stand in the overlay.

    The definitions of its macros (`porter.port.constants.definitions`) go before it, instantiations behind it. Raises
    EmitError where the overlay has none of them.
    """
    root = overlay_root / ROOT / target.source_root
    wanted = [target.header(path) for path in family.sources_of_kernels]
    roots = [header for header in wanted if (root / header).is_file()]
    if not roots:
        raise EmitError(
            "the overlay lacks the family's headers", where=str(root / wanted[0]), next_step="run `steel-port sync`"
        )
    folder = root / target.kernels
    headers = {f"{target.kernels}/{path.name}": path.read_text(encoding="utf-8") for path in folder.glob("*.h")}
    return flatten(roots, headers)
