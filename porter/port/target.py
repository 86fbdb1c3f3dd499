# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One PyTorch release that overlays are made for, read from `specs/targets/*.yaml`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from porter.errors import PortError, SpecError
from porter.model import sha256
from porter.spec import load_yaml, read_text, specs_dir, validate

KERNELS_ROOT = "mlx/backend/metal/kernels"


@dataclass(frozen=True)
class Target:
    """Where ported files go in a PyTorch tree, and what upstream's names become there."""

    name: str
    torch: str
    source_root: str
    kernels: str
    operations: str
    namespaces: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    renames: Mapping[str, str]
    expand_macros: tuple[str, ...]
    drop_macros: tuple[str, ...]
    field_types: Mapping[str, str]
    needs: Mapping[str, tuple[str, ...]]
    digest: str

    def expands(self, macro: str) -> bool:
        return any(fnmatch.fnmatchcase(macro, pattern) for pattern in self.expand_macros)

    def header(self, upstream_path: str) -> str:
        """The include path of the port of an upstream kernel file: `ATen/native/mps/kernels/SteelGemmFused.h`.

        A `.metal` file whose bodies are ported becomes a header too.
        """
        return f"{self.kernels}/{PurePosixPath(camel_case(upstream_path)).stem}.h"


def camel_case(upstream_path: str) -> str:
    """PyTorch's file name for an upstream kernel file.

    The words of the folders under `kernels/` and of the stem; a file of a folder called `kernels` stands for itself,
    since upstream's names there say the folders again. Files outside `steel/` begin with `Mlx`, since PyTorch has a
    `utils.h` of its own. Nothing else is left out, so that two files seldom become one (which `port` refuses).

    >>> camel_case("mlx/backend/metal/kernels/steel/gemm/kernels/steel_gemm_fused.h")
    'SteelGemmFused.h'
    >>> camel_case("mlx/backend/metal/kernels/steel/gemm/mma.h")
    'SteelGemmMma.h'
    >>> camel_case("mlx/backend/metal/kernels/bf16_math.h")
    'MlxBf16Math.h'
    """
    path = PurePosixPath(upstream_path)
    try:
        parts = path.relative_to(KERNELS_ROOT).with_suffix("").parts
    except ValueError:
        raise PortError("not a kernel file", where=upstream_path, expected=f"a path under {KERNELS_ROOT}") from None
    if len(parts) > 1 and parts[-2] == "kernels":
        parts = parts[-1:]
    words = [word for part in parts for word in part.split("_")]
    if words[0] != "steel":
        words.insert(0, "mlx")
    return "".join(word[:1].upper() + word[1:] for word in words) + path.suffix


def load_target(name: str = "pytorch-2.13") -> Target:
    """Read and check one target. Raises SpecError with file and line for anything that is wrong."""
    specs = specs_dir()
    path = specs / "targets" / f"{name}.yaml"
    if not re.fullmatch(r"[a-z0-9.-]+", name) or not path.is_file():
        known = ", ".join(sorted(p.stem for p in (specs / "targets").glob("*.yaml")))
        raise SpecError(f"no target is called {name!r}", expected=known)
    text = read_text(path)
    data, lines = load_yaml(text, f"specs/targets/{name}.yaml")
    validate(data, lines, specs / "target.schema.json", f"specs/targets/{name}.yaml")
    return Target(
        name=data["target"],
        torch=data["torch"],
        source_root=data["source_root"],
        kernels=data["kernels"],
        operations=data["operations"],
        namespaces={key: tuple(value) for key, value in data["namespaces"].items()},
        aliases=data["aliases"],
        renames=data["renames"],
        expand_macros=tuple(data["expand_macros"]),
        drop_macros=tuple(data["drop_macros"]),
        field_types=data["field_types"],
        needs={path: tuple(needed) for path, needed in data["needs"].items()},
        digest=sha256(text.encode()),
    )
