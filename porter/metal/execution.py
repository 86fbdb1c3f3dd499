# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From a KernelUnit to kernels that run on this machine's processor.

The way, all of it in this process by LLVM (llvmlite): rows for kernels whose threads never wait (`row`), the optimiser,
in sanitizer mode the checks (`sanitizer`), `lowering`, machine code for this very processor, and LLVM's own loader. The
machine code is kept in the cache under a digest of the unit and of everything else that has a part in it.
"""

from __future__ import annotations

import ctypes
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from porter.errors import MetalError
from porter.metal import kernel_cache, sanitizer, toolchain
from porter.metal.constructors import without_constructors
from porter.metal.guards import guarded
from porter.metal.kernel import Kernel, runtime
from porter.metal.kernel_unit import KernelUnit
from porter.metal.lowering import lower, needing_fibers
from porter.metal.package import checking, package_digest
from porter.metal.row import row_function, row_symbol
from porter.metal.source_checks import check_assembly

# Entries are whole kernels: a call site then stands for one place in one kernel, which is what lanes meet at, and what
# a kernel needs can be read off its entry.
_INLINE_THRESHOLD = 1_000_000

# Which processor to write code for is this module's business, not the loader's.
_PROCESSOR = re.compile(r' "(?:target-cpu|target-features|tune-cpu)"="[^"]*"')
# What keeps symbols that nobody refers to: entries are found by name here.
_KEPT = re.compile(r"^@llvm\.(?:compiler\.)?used = .*\n", re.M)

# What says how a function treats denormals.
_HEAD = re.compile(r"^(?:define|attributes) .*$", re.M)

# MCJIT is not for several threads at once.
_lock = threading.RLock()


@dataclass(frozen=True)
class _Native:
    """What was found out about one kernel: whether its threads run as rows, and bytes of static threadgroup memory."""

    symbol: str
    is_row: bool
    threadgroup_memory: int


@dataclass(frozen=True)
class NativeCode:
    """Machine code of a unit (a relocatable object of this machine), and its kernels in the unit's order."""

    object_code: bytes
    kernels: tuple[_Native, ...]
    is_checked: bool

    def to_bytes(self) -> bytes:
        kernels = [asdict(kernel) for kernel in self.kernels]
        head = json.dumps({"kernels": kernels, "is_checked": self.is_checked}).encode()
        return len(head).to_bytes(8, "little") + head + self.object_code

    @classmethod
    def from_bytes(cls, data: bytes) -> NativeCode:
        end = 8 + int.from_bytes(data[:8], "little")
        head = json.loads(data[8:end])
        return cls(data[end:], tuple(_Native(**kernel) for kernel in head["kernels"]), head["is_checked"])


class UndefinedSymbols(MetalError):
    """A kernel refers to symbols that nobody defines."""

    symbols: tuple[str, ...] = ()


def load(unit: KernelUnit, *, optimise: bool = True, once: bool = False) -> tuple[Kernel, ...]:
    """The unit's kernels, ready to run, in its order.

    Without `optimise` every 8 x 8 product makes the lanes meet. `once` is for kernels that will run a few times only:
    they are optimised less, and not kept in the cache. The results are the same bits either way. Raises MetalError
    where the unit refers to something that nobody defines.
    """
    if once:
        native = compile_unit(unit, optimise=optimise, once=True)
    else:
        kept = kernel_cache.compiled(_key(unit, optimise), lambda: compile_unit(unit, optimise=optimise).to_bytes())
        native = NativeCode.from_bytes(kept)
    with _lock:
        code = _Code(native)
        return tuple(
            Kernel(
                entry,
                address=0 if one.is_row else code.address(one.symbol),
                row=code.address(row_symbol(one.symbol)) if one.is_row else 0,
                threadgroup_memory=one.threadgroup_memory,
                check=code.address(sanitizer.TABLE) if native.is_checked else 0,
                code=code,
            )
            for entry, one in zip(unit.kernels, native.kernels, strict=True)
        )


def compile_unit(unit: KernelUnit, *, optimise: bool = True, once: bool = False) -> NativeCode:
    """Machine code of the unit, not looked up in the cache. Arguments and errors as those of `load`."""
    check_assembly(unit.ir, unit.name)
    entries = [kernel.symbol for kernel in unit.kernels]
    rows = set() if checking() else set(entries) - needing_fibers(unit.ir, entries)
    with _lock:
        optimised, needed = without_constructors(optimised_ir(unit, sorted(rows), level=1 if once else 2))
        _check_defined(needed, unit)
        lowered = lower(optimised, [row_symbol(entry) if entry in rows else entry for entry in entries], batch=optimise)
        _check_defined(lowered.undefined, unit)
        # Code that is hardly optimised needs deep stacks, which fibers have not.
        effort = 2 if not once else 0 if len(rows) == len(entries) else 1
        object_code = _target_machine(effort).emit_object(_parsed(lowered.text, unit))
    needs = [lowered.needs[row_symbol(entry) if entry in rows else entry] for entry in entries]
    return NativeCode(
        object_code,
        tuple(_Native(entry, entry in rows, one.threadgroup_memory) for entry, one in zip(entries, needs, strict=True)),
        checking(),
    )


def optimised_ir(unit: KernelUnit, rows: Sequence[str] = (), level: int = 2) -> str:
    """The unit's IR, optimised for this processor, with a row function for each entry in `rows`."""
    import llvmlite.binding as llvm

    text = guarded(_KEPT.sub("", _PROCESSOR.sub("", unit.ir)))
    if checking():
        with _lock:
            text = sanitizer.instrument(text, [kernel.symbol for kernel in unit.kernels]).ir
    if rows:
        # Entries are C functions: their names need no escape.
        text = re.sub(rf"^define (?:\w+ )*(?=void @(?:{'|'.join(rows)})\()", "define internal ", text, flags=re.M)
        heads = "\n".join(_HEAD.findall(unit.ir))
        text += "".join(row_function(entry, heads) for entry in rows)
    with _lock:
        module = _parsed(text, unit)
        options = llvm.create_pipeline_tuning_options(speed_level=1 if checking() else level)
        options.inlining_threshold = _INLINE_THRESHOLD
        options.loop_vectorization = options.slp_vectorization = not checking() and level > 1
        builder = llvm.create_pass_builder(_target_machine(level), options)
        builder.getModulePassManager().run(module, builder)
        return str(module)


def _parsed(text: str, unit: KernelUnit) -> Any:
    import llvmlite.binding as llvm

    try:
        return llvm.parse_assembly(text)
    except RuntimeError as error:
        raise MetalError(
            f"LLVM does not take this IR: {error}", where=unit.name, next_step="report this as a bug"
        ) from error


def _check_defined(undefined: tuple[str, ...], unit: KernelUnit) -> None:
    if undefined:
        error = UndefinedSymbols(
            f"nothing defines {', '.join(undefined[:5])}",
            where=unit.name,
            expected="only functions that the source or Metal's library defines, and constants of known value",
        )
        error.symbols = undefined
        raise error


# ---------------------------------------------------------------------------------------------------------------------
# This machine


@cache
def _target_machine(level: int = 2) -> Any:
    return _new_target_machine(level)


NO_BFLOAT_REGISTERS = frozenset({"avx512bf16", "avxneconvert"})
"""Of x86-64. With them LLVM keeps a bfloat that goes from one block to another as a float and stores it by
`vcvtneps2bf16`, which flushes denormal numbers (Intel's manual, "VCVTNEPS2BF16"); without, by a call of
`__truncsfbf2`, which is `runtime/bfloat.cpp`."""


def _new_target_machine(level: int = 2) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    features.update(dict.fromkeys(NO_BFLOAT_REGISTERS & features.keys(), False))
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=features.flatten(),
        opt=level,
        reloc="pic",
        codemodel="small",
        jit=True,
    )


def _key(unit: KernelUnit, optimise: bool) -> str:
    kernels = json.dumps([[kernel.host_name, kernel.symbol] for kernel in unit.kernels])
    return toolchain.digest(
        [unit.ir, kernels, str(optimise), str(checking()), package_digest(), toolchain.cpu_identity()]
    )


class _Code:
    """Machine code in memory, until nothing refers to it."""

    def __init__(self, native: NativeCode) -> None:
        import llvmlite.binding as llvm

        library = runtime()  # its functions are found in the process
        llvm.add_symbol("__truncsfbf2", ctypes.cast(library.msl_float_to_bfloat, ctypes.c_void_p).value)
        # An engine owns its machine, so that each gets one of its own.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _new_target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(native.object_code))
        self._engine.finalize_object()

    def address(self, symbol: str) -> int:
        return int(self._engine.get_function_address(symbol))
