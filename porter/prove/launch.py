# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One dispatch of one kernel: what a family's case generator yields, and both sides of the outputs ring run.

A generator is a module of porter/prove/cases, named by the family's YAML (`outputs.cases`):

    def launches(request: Request) -> Iterable[Launch]: ...                             # required
    def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None: ...   # optional
    WITNESS = "MLX's arrays (CPU)"                                                      # who computes what is expected

It sees a host name, the YAML's columns for it, and upstream's params structs. It never sees the port, nor results.

`expected` gives for an output's slot what the whole buffer should hold after the launch, what the kernel leaves alone
included: as many numbers (float64, complex128, integers or bool, of any shape) as it has elements. Elements that
numpy.ma masks are not compared. A NaN wants a NaN, an infinity the same one; where a finite number is too large for the
output's dtype, an infinity is right too. The family's tolerance for the output's dtype applies; without one, numbers
must be equal. A slot that is left out is not compared, and None says that there is no reference for this launch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from porter.errors import ProofError
from porter.model import Instantiation, ParamsStruct
from porter.spec import Family, Value

Array = npt.NDArray[Any]

GUARD_BYTES = 4096
"""Bytes of a fixed pattern behind each buffer: a kernel that writes past the end is found out by both sides' bytes."""


@dataclass(frozen=True)
class Output:
    """A buffer that the kernel writes. `dtype` is the family's word for its elements (`float32`, `bfloat16`,
    `complex64`, `uint32`, `bool`, ...). All of the buffer is compared: what a kernel leaves alone stays what it was."""

    slot: int
    dtype: str


@dataclass(frozen=True)
class Launch:
    """One dispatch. `what` tells a person which case it is: `n 65, NaN and infinities`.

    `buffers`: slot -> array (any dtype of numpy; bfloat16 as uint16, complex64 as complex64) or bytes (a params
    struct); an output's array holds what is there before. `threads` is the whole grid in threads, `group` one
    threadgroup, both (x, y, z). `constants` are upstream's function constants by name. `threadgroup_memory`: argument
    index -> bytes.
    """

    what: str
    buffers: Mapping[int, Array | bytes]
    threads: tuple[int, int, int]
    group: tuple[int, int, int]
    outputs: tuple[Output, ...]
    constants: Mapping[str, Value] = field(default_factory=dict)
    threadgroup_memory: Mapping[int, int] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Whatever `expected` wants to know of the case (the operands before they were laid out)."""


@dataclass(frozen=True)
class Request:
    """For which kernel launches are wanted.

    `axes` are the YAML's columns for this host name. `thorough`: more cases (one host name of each kernel and dtype is
    asked so); else the one or two that use most of the kernel.
    """

    family: Family
    row: Instantiation
    axes: Mapping[str, Value]
    structs: Mapping[str, ParamsStruct]
    thorough: bool
    seed: int

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def combinations(self) -> tuple[dict[str, Value], ...]:
        return self.family.combinations(self.row.template)

    def struct(self, name: str, **values: int | float | Sequence[int]) -> bytes:
        """The bytes of upstream's params struct `name` (without namespaces).

        Raises ProofError where upstream has no such struct, or one with other fields.
        """
        if name not in self.structs:
            raise ProofError(f"upstream has no params struct {name}", expected=", ".join(sorted(self.structs)))
        struct = self.structs[name]
        unknown = set(values) ^ {one.name for one in struct.fields}
        if unknown:
            raise ProofError(f"{name} has not the fields that the case fills: {', '.join(sorted(unknown))}")
        layout = np.dtype(
            {
                "names": [one.name for one in struct.fields],
                "formats": [_format(one.type, one.size) for one in struct.fields],
                "offsets": [one.offset for one in struct.fields],
                "itemsize": struct.size,
            }
        )
        filled = np.zeros(1, layout)
        for one in struct.fields:
            filled[one.name] = values[one.name]
        return filled.tobytes()


_FORMATS = {
    "float": ("<f4", 4), "half": ("<f2", 2), "bool": ("?", 1), "char": ("i1", 1), "uchar": ("u1", 1),
    "short": ("<i2", 2), "ushort": ("<u2", 2), "int": ("<i4", 4), "uint": ("<u4", 4), "long": ("<i8", 8),
    "ulong": ("<u8", 8), "int32_t": ("<i4", 4), "uint32_t": ("<u4", 4), "int64_t": ("<i8", 8),
    "uint64_t": ("<u8", 8), "size_t": ("<u8", 8), "long long": ("<i8", 8), "unsigned int": ("<u4", 4),
}  # fmt: skip


def _format(spelling: str, size: int) -> Any:
    """numpy's format of a field as clang spells its type: `const int`, `int64_t[3]`."""
    base, _, rest = spelling.removeprefix("const ").partition("[")
    try:
        one, width = _FORMATS[base.strip()]
    except KeyError:
        raise ProofError(f"a params struct has a field of type {spelling}", expected=", ".join(_FORMATS)) from None
    return (one, (size // width,)) if rest else one
