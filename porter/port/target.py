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
    digest: str

    def expands(self, macro: str) -> bool:
        return any(fnmatch.fnmatchcase(macro, pattern) for pattern in self.expand_macros)

    def header(self, upstream_path: str) -> str:
        """The include path of the port of an upstream kernel header: `ATen/native/mps/kernels/SteelGemmFused.h`."""
        return f"{self.kernels}/{camel_case(upstream_path)}"


def camel_case(upstream_path: str) -> str:
    """PyTorch's file name for an upstream kernel file.

    The folders under `kernels/` and the stem, split at `_`, without the folders called `kernels` and without a run of
    words that repeats what stands just before it; files outside `steel/` begin with `Mlx`, since PyTorch has a
    `utils.h` of its own.

    >>> camel_case("mlx/backend/metal/kernels/steel/gemm/kernels/steel_gemm_fused.h")
    'SteelGemmFused.h'
    >>> camel_case("mlx/backend/metal/kernels/bf16_math.h")
    'MlxBf16Math.h'
    """
    path = PurePosixPath(upstream_path)
    try:
        parts = path.relative_to(KERNELS_ROOT).with_suffix("").parts
    except ValueError:
        raise PortError("not a kernel file", where=upstream_path, expected=f"a path under {KERNELS_ROOT}") from None
    words: list[str] = [] if parts[0] == "steel" else ["mlx"]
    for part in parts:
        if part == "kernels":
            continue
        new = part.split("_")
        overlap = next((n for n in range(min(len(new), len(words)), 0, -1) if words[-n:] == new[:n]), 0)
        words += new[overlap:]
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
        digest=sha256(text.encode()),
    )
