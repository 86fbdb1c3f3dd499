# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of one of Apple's compiled libraries, ready to run: as `library.Library`, which has them from source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from porter.metal.air import LibraryFile
from porter.metal.air_constants import Value
from porter.metal.air_translate import translate
from porter.metal.execution import load
from porter.metal.kernel import Kernel


class AirLibrary:
    """The kernels of a `.metallib` file, or of a library that is open already (one inside another file).

    Each is translated and compiled when it is first asked for. Raises MetalError where the file is no compiled library.
    """

    def __init__(self, source: Path | str | bytes | LibraryFile, *, optimise: bool = True) -> None:
        """Bytes are the library itself. Without `optimise` every 8 x 8 product makes the lanes meet."""
        self._file = source if isinstance(source, LibraryFile) else LibraryFile(source)
        self._optimise = optimise
        self._kernels: dict[tuple[str, tuple[tuple[str, Value], ...]], Kernel] = {}

    def names(self) -> tuple[str, ...]:
        """The host names of its kernels, in the library's order."""
        return tuple(function.name for function in self._file.functions if function.type == "kernel")

    def kernel(self, name: str, constants: Mapping[str | int, Value] | None = None) -> Kernel:
        """The kernel of that host name, with function constants by index or name.

        Raises MetalError where there is none (with the nearest names), where a constant needs a value, and where the
        kernel uses what is not there.
        """
        given = constants or {}
        key = (name, tuple(sorted((repr(constant), value) for constant, value in given.items())))
        if key not in self._kernels:
            unit = translate(self._file.bitcode(name), library=Path(self._file.name).name, constants=given)
            self._kernels[key] = load(unit, optimise=self._optimise)[0]
        return self._kernels[key]

    def __getitem__(self, name: str) -> Kernel:
        """The kernel of that host name, which has no function constants that need a value."""
        return self.kernel(name)

    def close(self) -> None:
        """Close the file. Kernels that were asked for stay."""
        self._file.close()

    def __enter__(self) -> AirLibrary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
