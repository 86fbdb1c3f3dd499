# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Apple's compiled kernel of one host name, ready to run with any values of its function constants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path

from porter.errors import ProofError
from porter.metal import air
from porter.metal.air_translate import translate_module
from porter.metal.execution import load
from porter.metal.kernel import Kernel
from porter.prove.basis import Basis, classify
from porter.spec import Value


class CompiledKernels:
    """The kernel `host_name` of the library. Raises ProofError where it is not there, MetalError where it
    cannot be read."""

    def __init__(self, library: Path, host_name: str) -> None:
        self._library, self._name = library, host_name
        self._kernels: dict[tuple[tuple[str, Value], ...], Kernel] = {}

    @cached_property
    def _module(self) -> air.ReadModule:
        function = _functions(self._library).get(self._name)
        if function is None:
            raise ProofError(f"there is no kernel {self._name}", where=self._library.name)
        return air.module(air.bitcode(self._library, function))

    @property
    def basis(self) -> Basis:
        """What a comparison with it means."""
        return classify(self._module.externals)

    def kernel(self, constants: Mapping[str, Value]) -> Kernel:
        """With these values of its function constants. Raises MetalError where it cannot be translated."""
        key = tuple(sorted(constants.items()))
        if key not in self._kernels:
            unit = translate_module(self._module, library=self._library.name, constants=settable(constants))
            self._kernels[key] = load(unit, once=True)[0]
        return self._kernels[key]


def settable(constants: Mapping[str, Value]) -> dict[str | int, bool | int]:
    """Function constants as porter.metal takes them. Raises ProofError for a word: no constant is one."""
    words = [name for name, value in constants.items() if isinstance(value, str)]
    if words:
        raise ProofError(f"the function constant {words[0]} is a word", expected="a boolean or a number")
    return {name: value for name, value in constants.items() if not isinstance(value, str)}


def digests(library: Path) -> Mapping[str, str]:
    """The digest of each kernel's bitcode by host name, as the library states it (reading the bitcode
    checks it). Empty text where the library states none.
    """
    return {name: function.sha256 or "" for name, function in _functions(library).items()}


@lru_cache(maxsize=2)
def _functions(library: Path) -> Mapping[str, air.LibraryFunction]:
    return {one.name: one for one in air.functions(library) if one.type == "kernel"}
