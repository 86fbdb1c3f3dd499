# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What Apple's compiler recorded of many kernels, read once a library and kept.

Reading one kernel's metadata takes some 1.3 ms (LLVM writes the module out as text), all 14,804 of v0.30.1 some 20 s;
recalling them takes less than 2 s. The cache is keyed by the digests that the library states for its functions and by
the text of the modules that read them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from porter.cache import cache_dir, write_atomically
from porter.errors import ProofError
from porter.metal import air
from porter.metal.air import CompiledArgument, CompiledConstant, CompiledKernel, StructField
from porter.model import sha256, to_data
from porter.prove.case import Case

_READERS = ("air_kernel.py", "air_metadata.py", "bitcode_reader.py", "bitcode_reader_process.py")
_VERSION = "1"
"""Of the form in which kernels are kept here."""


@lru_cache(maxsize=1)
def _readers() -> str:
    folder = Path(air.__file__).parent
    return sha256(b"".join((folder / name).read_bytes() for name in _READERS))


def compiled_kernels(case: Case) -> Mapping[str, CompiledKernel]:
    """The compiled kernels of the chosen rows, by host name. Raises ProofError where the library holds none."""
    found = read_kernels(case.library, frozenset(row.host_name for row in case.chosen))
    if not found:
        raise ProofError("the compiled library holds no kernel of the family", where=str(case.library.name))
    return found


@lru_cache(maxsize=4)
def read_kernels(library: Path, names: Collection[str]) -> Mapping[str, CompiledKernel]:
    """What the library says of those of `names` that it holds."""
    wanted = [function for function in air.functions(library) if function.name in names]
    stated = "".join(f"{function.name} {function.sha256}\n" for function in wanted)
    place = cache_dir("compiled") / f"{sha256(f'{_VERSION} {_readers()} {stated}'.encode())}.json"
    known = all(function.sha256 is not None for function in wanted)
    kept = _recall(place) if known else None
    if kept is None or kept.keys() != {function.name for function in wanted}:
        kept = {function.name: air.kernel(air.bitcode(library, function)) for function in wanted}
        if known:
            rows = [_row(kernel) for kernel in kept.values()]
            write_atomically(place, json.dumps(rows, separators=(",", ":")).encode())
    return kept


def _row(kernel: CompiledKernel) -> dict[str, Any]:
    """What the rings ask of a kernel; the rest (externals, producers) is left out."""
    return {
        "name": kernel.name,
        "arguments": [list(to_data(argument).values()) for argument in kernel.arguments],
        "constants": [list(to_data(constant).values()) for constant in kernel.constants],
        "thread_limit": kernel.thread_limit,
    }


def _recall(place: Path) -> dict[str, CompiledKernel] | None:
    try:
        rows = json.loads(place.read_text())
        return {
            row["name"]: CompiledKernel(
                row["name"],
                tuple(_argument(values) for values in row["arguments"]),
                tuple(CompiledConstant(*values) for values in row["constants"]),
                row["thread_limit"],
            )
            for row in rows
        }
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _argument(values: list[Any]) -> CompiledArgument:
    index, kind, name, type_, slot, access, space, size, align, gate, fields, *rest = values
    kept = tuple(_field(field) for field in fields)
    return CompiledArgument(index, kind, name, type_, slot, access, space, size, align, gate, kept, *rest)


def _field(row: Mapping[str, Any]) -> StructField:
    pointee = _argument(list(row["pointee"].values())) if row["pointee"] is not None else None
    fields = tuple(_field(field) for field in row["fields"])
    return StructField(row["name"], row["type"], row["offset"], row["size"], row["array_length"], fields, pointee)
