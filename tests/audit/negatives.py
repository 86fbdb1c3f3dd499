# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Code that has nothing of MLX: kernels made from templates of ours, and headers of other projects from the wheels.

The wheels' headers are read from this environment at run time. Of PyTorch those are left out that are about Metal:
tests/audit/labels.yaml says which of their lines come from MLX.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from .kernel_templates import CUDA, HELPERS, HOST
from .metal_templates import METAL
from .transforms import _STEMS, without_notices

_SIZES = (8, 16, 32, 64)
_METAL_TYPES = ("float", "half", "bfloat")
_CUDA_TYPES = ("float", "double")
_MENTIONS_MLX = re.compile(r"\bmlx\b|ml-explore", re.I)
_COMMON_ORIGIN = re.compile(r"c10/util/Float8_")  # what MLX's fp8.h says it comes from


def own_file(language: str, random: Random, kernels: int | None = None) -> str:
    """A file of `kernels` kernels ("metal", "cuda") or functions ("host") made from our templates."""
    wanted = kernels or random.randint(2, 6)
    pool = {"metal": METAL, "cuda": CUDA, "host": HOST}[language]
    parts = [_HEADS[language]]
    for _ in range(wanted):
        if language != "host" and random.random() < 0.4:
            parts.append(filled(random.choice(HELPERS), random))
        parts.append(filled(random.choice(pool), random))
    return "\n".join(parts)


_HEADS = {
    "metal": "#include <metal_stdlib>\nusing namespace metal;\n",
    "cuda": "#include <cuda_runtime.h>\n#include <cfloat>\n",
    "host": "#include <map>\n#include <mutex>\n#include <string>\n#include <vector>\n",
}


def filled(template: str, random: Random) -> str:
    """A template with its choices taken and its names, types and sizes drawn."""
    text = re.sub(r"<\|(.*?)\|>", lambda found: random.choice(found[1].split("|")), _kept_or(template), flags=re.S)
    text = text.replace("\1", "||")
    for mark, choices in (("%T%", _METAL_TYPES), ("%C%", _CUDA_TYPES), ("%N%", _SIZES)):
        text = text.replace(mark, str(random.choice(choices)))
    names: dict[str, str] = {}
    for name in re.findall(r"\$(\w+)", text):
        if name not in names:
            names[name] = _fresh(name, set(names.values()), random)
    return re.sub(r"\$(\w+)", lambda found: names[found[1]], text).strip("\n") + "\n"


def _kept_or(template: str) -> str:
    """The operator `||` of a template hidden from the choices, which are parted by single bars."""
    return re.sub(r"(?<= )\|\|(?= )", "\1", template)


def _fresh(name: str, taken: set[str], random: Random) -> str:
    """A name in place of `name`: now and then the template's own, else one or two stems."""
    new = name if random.random() < 0.3 else "_".join(random.choices(_STEMS, k=random.randint(1, 2)))
    if name[0].isupper():
        new = "".join(part.capitalize() for part in new.split("_"))
    while new in taken:
        new += random.choice("abcdefgh123456789")
    return new


@dataclass(frozen=True)
class Header:
    """`name` begins with the distribution that carries it."""

    name: str
    path: Path

    def text(self) -> str:
        """Its text; what some take for the end of a line and others do not is made a space."""
        return re.sub("[\r\f\v\x1c-\x1e\x85\u2028\u2029]", " ", self.path.read_text("utf-8", errors="replace"))


@cache
def headers() -> tuple[Header, ...]:
    """Numeric headers of other projects, by name. Empty where torch and numpy are not installed."""
    found = []
    for package, folder, patterns in _CARRIED:
        root = _package(package)
        if root is None:
            continue
        for pattern in patterns:
            for path in root.joinpath(folder).glob(pattern):
                if 1500 < path.stat().st_size < 150_000 and _unrelated(path):
                    found.append(Header(f"{package}/{path.relative_to(root).as_posix()}", path))
    return tuple(sorted(found, key=lambda header: header.name))


_CARRIED = (
    ("numpy", "_core/include/numpy", ("*.h", "random/*.h")),
    (
        "torch",
        "include",
        (
            "c10/util/*.h", "c10/core/*.h", "ATen/native/*.h", "ATen/native/cpu/*.h", "ATen/native/cuda/*.cuh",
            "ATen/native/cuda/*.h", "ATen/cuda/*.cuh", "ATen/native/quantized/**/*.h", "ATen/cpu/vec/**/*.h",
            "ATen/core/*.h", "pybind11/**/*.h", "torch/csrc/api/include/torch/nn/**/*.h",
        ),
    ),
)  # fmt: skip


def _unrelated(path: Path) -> bool:
    return not _COMMON_ORIGIN.search(path.as_posix()) and not _MENTIONS_MLX.search(path.read_text("utf-8", "replace"))


def carried_versions() -> str:
    """The distributions that the headers come from, for the heading of a table."""
    present = [name for name, _, _ in _CARRIED if _package(name) is not None]
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in present) or "none"


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def host_file(suffix: str, random: Random) -> str:
    """An unrelated file to put an excerpt into, without a notice of its own."""
    if suffix == ".metal" or not headers() or random.random() < 0.6:
        return own_file("metal" if suffix == ".metal" else random.choice(("host", "metal", "cuda")), random)
    chosen = [header for header in headers() if header.path.stat().st_size < 30_000]
    return without_notices(random.choice(chosen).text())


def own_part(language: str, random: Random) -> str:
    """One kernel or function from our templates, without includes."""
    return filled(random.choice({"metal": METAL, "cuda": CUDA, "host": HOST}[language]), random)
