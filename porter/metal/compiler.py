# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal source in, a shared object out that the runtime can run (runtime/kernel_abi.h).

The way: patch -> preprocess -> put entries in (`entries`) -> clang to optimised IR -> `lowering` -> code -> link. The
compiler is the clang of the package `ziglang`. Results are kept in our cache under a digest of everything that can
change them: the source, this package's own files, the compiler and the processor.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import MetalError, ParseError
from porter.metal import diagnostics, toolchain
from porter.metal import entries as entries_of
from porter.metal.entries import SOURCE_NAME, Entry
from porter.metal.frontend import (
    DIALECT,
    MAIN_FILE,
    RUNTIME,
    SHIM,
    KernelArgumentDeclaration,
    KernelDeclaration,
    Mode,
    compiler_arguments,
    declared_kernels,
)
from porter.metal.frontend import parse as parse_source
from porter.metal.lowering import Lowered, lower
from porter.metal.runtime_build import runtime_library
from porter.metal.source_checks import check_calls, check_kernels, check_results, check_text

_MAX_THREADS = 1024
# Eight times the largest source there may be.
_MAX_PREPROCESSED_BYTES = 128 << 20

# Entries are whole kernels: a call site then stands for one place in one kernel, which is what lanes meet at, and what
# a kernel needs can be read off its entry. Without sibling calls a return address names the call it returns to.
_CODE_ARGUMENTS = (
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-optimize-sibling-calls",
    "-fno-math-errno",
    # Before it is inlined, a function that waits inside must not be copied to two places either.
    "-Xclang",
    "-fconvergent-functions",
    "-fno-asynchronous-unwind-tables",
    "-mllvm",
    "-inline-threshold=1000000",
    "-Xclang",
    "-fdenormal-fp-math-f32=preserve-sign,preserve-sign",
)


def kernel_names(source: str) -> tuple[str, ...]:
    """The host names of every kernel in `source`: instantiations and plain kernels. Raises MetalError."""
    preprocessed, kernels = _understand(source)
    return entries_of.host_names(preprocessed, kernels)


def compile_module(source: str, *, optimise: bool = True, kernels: Collection[str] | None = None) -> Path:
    """Compile self-contained Metal source and return the shared object.

    `kernels` are the host names to compile (default: all that the source instantiates, and its plain kernels). Without
    `optimise` the code is simpler and every 8 x 8 product makes the lanes meet; the results are the same bits.
    Raises MetalError, with the line of the source where there is one, and ToolchainError.
    """
    wanted = None if kernels is None else sorted(set(kernels))
    runtime = runtime_library()
    key = toolchain.digest(
        [source, str(optimise), json.dumps(wanted), _package_digest(), toolchain.cpu_identity(), str(runtime)]
    )
    folder = cache_dir("kernels")
    module = folder / f"{key}.so"
    if module.is_file():
        return module
    preprocessed, declared = _understand(source)
    text, entries = entries_of.with_entries(preprocessed, declared, wanted)
    ir = optimised_ir(source, text, "-O2" if optimise else "-O1")
    check_calls(ir, source, SOURCE_NAME)
    lowered = lower(ir, [entry.symbol for entry in entries], batch=optimise)
    _check_defined(lowered)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as name:
        build = Path(name)
        _build(lowered, entries, runtime, build)
        (build / "module.so").replace(module)
    return module


@cache
def _package_digest() -> str:
    """Of every file of this package that has a part in a module, and of the compiler."""
    here = Path(__file__).parent
    return toolchain.digest(
        [
            toolchain.digest_of_folder(SHIM),
            toolchain.digest_of_folder(RUNTIME, "kernel_*.h"),
            toolchain.digest_of_folder(here, "*.py"),
            str(toolchain.zig().stat().st_size),
        ]
    )


@lru_cache(maxsize=8)
def _understand(source: str) -> tuple[str, tuple[KernelDeclaration, ...]]:
    """The preprocessed source, and what its kernels declare.

    The preprocessor goes first: what it makes is bounded, and libclang reads the source in this process.
    """
    check_text(source, SOURCE_NAME)
    check_results(source, SOURCE_NAME)
    preprocessed = _preprocessed(source)
    try:
        unit = parse_source(source, {}, skip_bodies=True)
    except ParseError as error:
        what = error.what.removeprefix("not valid Metal source: ")
        said = f"{error.where}: error: {what}".replace(MAIN_FILE, SOURCE_NAME)
        raise diagnostics.explain(source, SOURCE_NAME, said, _target()) from error
    kernels = declared_kernels(unit)
    check_kernels(source, SOURCE_NAME, kernels)
    return preprocessed, kernels


def _preprocessed(source: str) -> str:
    with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".build-") as name:
        result = toolchain.run_zig(
            [
                "clang",
                *_target(),
                *toolchain.closed((SHIM, RUNTIME)),
                *diagnostics.PLACES,
                f"-DMSL_IHOST(...)={entries_of.MARKER}(__VA_ARGS__)",
                *compiler_arguments(Mode.RUN),
                "-E",
                "-",
            ],
            folder=Path(name),
            text=diagnostics.numbered(source, SOURCE_NAME),
            max_output=_MAX_PREPROCESSED_BYTES,
        )
    if result.returncode != 0:
        raise diagnostics.explain(source, SOURCE_NAME, result.stderr, _target())
    return result.stdout


def _target() -> tuple[str, ...]:
    return ("-target", "x86_64-linux-gnu", "-march=native")


_IR_OUTPUT = ("-S", "-emit-llvm", "-o", "module.ll", "-x", "c++-cpp-output", "-")


def optimised_ir(source: str, preprocessed: str, level: str) -> str:
    """LLVM IR of `source`, which is preprocessed and has entries. Raises MetalError that names the line."""
    with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".build-") as name:
        folder = Path(name)
        closed = (*toolchain.closed((SHIM, RUNTIME)), "-fno-gnu-inline-asm", *diagnostics.PLACES)
        arguments = ["clang", *_target(), *closed, *DIALECT, *_CODE_ARGUMENTS, level, *_IR_OUTPUT]
        result = toolchain.run_zig(arguments, folder=folder, text=preprocessed)
        if result.returncode != 0:
            raise diagnostics.explain(source, SOURCE_NAME, result.stderr, _target())
        return (folder / "module.ll").read_text()


def _check_defined(lowered: Lowered) -> None:
    if lowered.undefined:
        raise MetalError(
            f"nothing defines {', '.join(lowered.undefined[:5])}",
            where=SOURCE_NAME,
            expected="only functions that the source or Metal's library defines, and function constants with a value",
        )


def _build(lowered: Lowered, entries: Sequence[Entry], runtime: Path, build: Path) -> None:
    (build / "lowered.ll").write_text(lowered.text)
    (build / "table.c").write_text(_table(entries, lowered))
    steps = (
        [
            "clang",
            "-target",
            "x86_64-linux-gnu",
            "-O2",
            "-fPIC",
            "-Xclang",
            "-disable-llvm-passes",
            "-c",
            "-x",
            "ir",
            "lowered.ll",
            "-o",
            "kernels.o",
        ],
        [
            "clang",
            "-target",
            "x86_64-linux-gnu",
            "-O1",
            "-fPIC",
            "-nostdinc",
            "-isystem",
            str(SHIM),
            "-isystem",
            str(RUNTIME),
            "-c",
            "table.c",
            "-o",
            "table.o",
        ],
        [
            "ld.lld",
            "-shared",
            "--no-undefined-version",
            "-rpath",
            str(runtime.parent),
            "-o",
            "module.so",
            "kernels.o",
            "table.o",
            str(runtime),
        ],
    )
    for step in steps:
        result = toolchain.run_zig(step, folder=build)
        if result.returncode != 0:
            raise toolchain.source_error(result.stderr, SOURCE_NAME)


# ---------------------------------------------------------------------------------------------------------------------
# The table of a module


def _table(entries: Sequence[Entry], lowered: Lowered) -> str:
    """C source of `msl_module`."""
    lines = ['#include "kernel_abi.h"']
    rows = []
    for entry in entries:
        lines.append(f"void {entry.symbol}(void* const*, char*, const msl_thread*);")
        sizes = lowered.constants[f"msl_sizes_{entry.index}"]
        arguments = [_argument_row(one, size) for one, size in zip(entry.buffers, sizes, strict=False)]
        lines.append(f"static const msl_argument arguments_{entry.index}[] = {{{', '.join(arguments) or '{0}'}}};")
        limit = lowered.constants[f"msl_limit_{entry.index}"][0] or _MAX_THREADS
        needs = lowered.needs[entry.symbol]
        rows.append(
            f"  {{{_text(entry.host_name)}, {entry.symbol}, {min(limit, _MAX_THREADS)}, {needs.threadgroup_memory}, "
            f"{int(needs.fibers)}, {len(arguments)}, arguments_{entry.index}}},"
        )
    lines += ["static const msl_kernel kernels[] = {", *(rows or ["  {0},"]), "};"]
    lines.append(f"const msl_module_info msl_module = {{MSL_ABI_VERSION, {len(rows)}, kernels}};")
    return "\n".join(lines) + "\n"


def _argument_row(argument: KernelArgumentDeclaration, size: int) -> str:
    texts = ", ".join(_text(text) for text in (argument.name, argument.type, argument.address_space or ""))
    return f"{{{texts}, {argument.slot}, {size}, {int(argument.is_const)}}}"


def _text(value: str) -> str:
    """A C string literal."""
    return (
        '"'
        + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\{ord(c):03o}" for c in value)
        + '"'
    )
