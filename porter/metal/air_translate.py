# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From one function of Apple's compiled library to a KernelUnit.

The way, all of it on LLVM's text of the module: machine-independent things first (`air_text`), function constants
(`air_constants`), matrices (`air_matrices`), threadgroup variables (`air_threadgroup`), an entry (`air_entry`), and
last the operations that the kernel calls, defined by our own Metal library (`air_operations`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from porter.errors import MetalError, located
from porter.metal import air_entry, air_matrices, air_operations, air_text, air_threadgroup
from porter.metal.air_constants import Value, chosen, settle
from porter.metal.air_kernel import CompiledKernel, read_kernel
from porter.metal.air_operations import Declaration
from porter.metal.bitcode_reader import ReadModule, read_module
from porter.metal.kernel_unit import MAX_THREADS, KernelEntry, KernelUnit


def translate(code: bytes, *, library: str, constants: Mapping[str | int, Value] | None = None) -> KernelUnit:
    """The kernel in the bitcode `code` of the file `library`. `constants`: function constants by index or name.

    Raises MetalError for bitcode that is no kernel's, for a constant without a value, and for what the kernel uses and
    nothing here defines, by name.
    """
    return translate_module(read_module(code), library=library, constants=constants)


def translate_module(
    module: ReadModule, *, library: str, constants: Mapping[str | int, Value] | None = None
) -> KernelUnit:
    """As `translate`, of a module that was read already."""
    kernel = read_kernel(module)
    with located(f"{library}: {kernel.name}"):
        return _translate(module.text, kernel, library, constants or {})


def _translate(text: str, kernel: CompiledKernel, library: str, constants: Mapping[str | int, Value]) -> KernelUnit:
    threadgroup = air_threadgroup.variables(text)
    settled = settle(air_text.plain(text), chosen(kernel.name, kernel.constants, constants))
    absent = air_entry.absent_arguments(kernel, air_entry.predicates(text), settled.values)
    body = air_text.own_attributes(air_matrices.narrow(settled.text))
    body = air_threadgroup.localise(body, threadgroup)
    entry = air_entry.add_entry(body, kernel, absent)
    return KernelUnit(
        name=library,
        ir=_with_operations(entry.text),
        kernels=(
            KernelEntry(
                host_name=kernel.name,
                symbol=air_entry.SYMBOL,
                arguments=entry.arguments,
                max_threads=min(kernel.thread_limit or MAX_THREADS, MAX_THREADS),
            ),
        ),
    )


def _with_operations(text: str) -> str:
    """`text` with definitions in place of its declarations. LLVM declares its own functions by itself."""
    lines = [*air_entry.external_declarations(text), *air_text.bfloat_declarations(text)]
    declared = {declaration.symbol: declaration for declaration in map(Declaration.of, lines)}
    text = re.sub(r"^declare .*\n", "", text, flags=re.M)
    used = [declaration for symbol, declaration in declared.items() if f"@{symbol}(" in text]
    definitions = air_operations.define(used)
    if definitions.missing:
        raise MetalError(
            f"nothing defines {', '.join(definitions.missing)}",
            expected="the operations that porter/metal/msl/air_bridge defines",
        )
    return air_text.TARGET + definitions.types + text + definitions.functions
