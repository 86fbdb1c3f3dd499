# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The device with kernels written by hand (kernels.cpp) and the glue of glue.cpp, without a Metal compiler."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class HandWritten:
    """A kernel of kernels.cpp."""

    record_address: int


class HandWrittenLibrary:
    """The kernels of kernels.cpp, under what a compiler's library offers."""

    def __init__(self, path: Path) -> None:
        native = ctypes.CDLL(str(path))
        native.porter_test_kernel.restype = ctypes.c_void_p
        native.porter_test_kernel_name.restype = ctypes.c_char_p
        self._records: dict[str, HandWritten] = {}
        for index in itertools.count():
            address = native.porter_test_kernel(index)
            if address is None:
                break
            self._records[native.porter_test_kernel_name(index).decode()] = HandWritten(address)

    def names(self) -> Sequence[str]:
        return list(self._records)

    def kernel(self, name: str) -> HandWritten:
        return self._records[name]


@dataclass(eq=False)
class FakeCompiler:
    """Every source compiles to the kernels of kernels.cpp, but for those that say what shall go wrong."""

    library: HandWrittenLibrary
    sources: list[str] = field(default_factory=list)

    def __call__(self, source: str) -> HandWrittenLibrary:
        self.sources.append(source)
        if "syntax error" in source:
            raise MetalError("3:1: expected expression")
        if "no compiler" in source:
            raise RuntimeError("the compiler is gone")
        return self.library


@pytest.fixture(scope="module")
def compiler() -> Iterator[FakeCompiler]:
    fake = FakeCompiler(HandWrittenLibrary(build_library("kernels", [HERE / "kernels.cpp"], [ABI])))
    with mt.using(fake):
        yield fake


@pytest.fixture(scope="module")
def ops(compiler: FakeCompiler) -> Any:
    """torch.ops.porter_test: the operators of glue.cpp."""
    mt.load_glue([HERE / "glue.cpp"])
    return torch.ops.porter_test
