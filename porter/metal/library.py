# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal from Python, without torch: compile a source, look a kernel up, run it on numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping

from porter.metal.compiler import compile_source, kernel_names
from porter.metal.execution import UndefinedSymbols, load
from porter.metal.function_constants import Value, unset
from porter.metal.kernel import Kernel


class Library:
    """The kernels of one Metal source. Each is compiled when it is first asked for, or all of them by `compile`."""

    def __init__(
        self, source: str, *, constants: Mapping[str | int, Value] | None = None, optimise: bool = True
    ) -> None:
        """`constants` are values of function constants, by name or index. Without `optimise` every 8 x 8 product makes
        the lanes meet; the results are the same bits.

        Nothing is read yet: a source that is not Metal is found out by `names` and by looking a kernel up.
        """
        self._source = source
        self._constants = dict(constants or {})
        self._optimise = optimise
        self._kernels: dict[str, Kernel] = {}

    def names(self) -> tuple[str, ...]:
        """The host names of its kernels. Raises MetalError where the source is not valid Metal."""
        return kernel_names(self._source)

    def compile(self) -> tuple[Kernel, ...]:
        """All kernels, compiled together. Raises MetalError where one of them cannot be compiled."""
        kernels = self._load(None)
        self._kernels.update((kernel.name, kernel) for kernel in kernels)
        return kernels

    def __getitem__(self, name: str) -> Kernel:
        """The kernel of that host name. Raises MetalError where there is none, and where it cannot be compiled."""
        if name not in self._kernels:
            self._kernels[name] = self._load([name])[0]
        return self._kernels[name]

    def _load(self, names: list[str] | None) -> tuple[Kernel, ...]:
        unit = compile_source(self._source, kernels=names, constants=self._constants)
        try:
            return load(unit, optimise=self._optimise)
        except UndefinedSymbols as error:
            for symbol in error.symbols:
                constant = unset(symbol)
                if constant is not None:
                    raise constant from error
            raise
