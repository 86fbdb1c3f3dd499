# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The device with kernels written by hand (kernels.cpp) and the glue of glue.cpp, without a Metal compiler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import porter.metal
import porter.metal.torch as mt
from porter.errors import MetalError
from porter.metal.torch.build import build_library

HERE = Path(__file__).parent
ABI = Path(porter.metal.__file__).parent / "runtime"


@dataclass
class FakeCompiler:
    """Every source compiles to the module of kernels.cpp, but for those that say what shall go wrong."""

    module: Path
    sources: list[str] = field(default_factory=list)

    def __call__(self, source: str) -> Path:
        self.sources.append(source)
        if "syntax error" in source:
            raise MetalError("3:1: expected expression")
        if "no compiler" in source:
            raise RuntimeError("the compiler is gone")
        return self.module


@pytest.fixture(scope="module")
def compiler() -> Iterator[FakeCompiler]:
    fake = FakeCompiler(build_library("kernels", [HERE / "kernels.cpp"], [ABI]))
    with mt.using(fake):
        yield fake


@pytest.fixture(scope="module")
def ops(compiler: FakeCompiler) -> Any:
    """torch.ops.porter_test: the operators of glue.cpp."""
    mt.load_glue([HERE / "glue.cpp"])
    return torch.ops.porter_test
