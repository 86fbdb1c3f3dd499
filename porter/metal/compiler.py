# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal source in, a KernelUnit out (kernel_unit).

The way: patch -> preprocess -> put entries in (`entries`) -> clang to LLVM IR, not optimised. The compiler is the clang
of the package `ziglang`. Units are kept in the cache under a digest of everything that can change them: the source,
this package's own files and the compiler.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import ParseError
from porter.metal import diagnostics, kernel_cache, toolchain
from porter.metal import entries as entries_of
from porter.metal.entries import SOURCE_NAME, Entry
from porter.metal.frontend import (
    DIALECT,
    MAIN_FILE,
    RUNTIME,
    SHIM,
    KernelDeclaration,
    Mode,
    compiler_arguments,
    declared_kernels,
)
from porter.metal.frontend import parse as parse_source
from porter.metal.function_constants import Value
from porter.metal.kernel_unit import MAX_THREADS, KernelArgument, KernelEntry, KernelUnit
from porter.metal.literals import in_single_precision
from porter.metal.package import checking, package_digest
from porter.metal.source_checks import check_expressions, check_kernels, check_results, check_text

# Eight times the largest source there may be.
_MAX_PREPROCESSED_BYTES = 128 << 20

# What the optimiser is not told is for `execution`, which runs it: clang only writes down what the source says. Without
# sibling calls a return address names the call it returns to.
_CODE_ARGUMENTS = (
    "-O2",
    "-Xclang",
    "-disable-llvm-passes",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-optimize-sibling-calls",
    "-fno-math-errno",
    # Before it is inlined, a function that waits inside must not be copied to two places either.
    "-Xclang",
    "-fconvergent-functions",
    "-fno-asynchronous-unwind-tables",
    "-Xclang",
    "-fdenormal-fp-math-f32=preserve-sign,preserve-sign",
)
# So that a report of the sanitizer names the line.
_CHECKED_ARGUMENTS = ("-gline-tables-only",)
_IR_OUTPUT = ("-S", "-emit-llvm", "-o", "module.ll", "-x", "c++-cpp-output", "-")


def kernel_names(source: str) -> tuple[str, ...]:
    """The host names of every kernel in `source`: instantiations and plain kernels. Raises MetalError."""
    preprocessed, kernels = _understand(source)
    return entries_of.host_names(preprocessed, kernels)


def compile_source(
    source: str,
    *,
    kernels: Collection[str] | None = None,
    constants: Mapping[str | int, Value] | None = None,
    once: bool = False,
) -> KernelUnit:
    """Compile self-contained Metal source.

    `kernels` are the host names to compile (default: all that the source instantiates, and its plain kernels),
    `constants` the values of function constants, by name or index. With `once` nothing is kept in the cache. Raises
    MetalError, with the line of the source where there is one, and ToolchainError.
    """
    wanted = None if kernels is None else sorted(set(kernels))
    if once:
        return _compiled(source, wanted, constants)
    given = sorted((repr(name), repr(value)) for name, value in (constants or {}).items())
    key = toolchain.digest([source, json.dumps([wanted, given]), str(checking()), package_digest()])

    def compiled() -> bytes:
        unit = _compiled(source, wanted, constants)
        return json.dumps({"ir": unit.ir, "kernels": [asdict(kernel) for kernel in unit.kernels]}).encode()

    kept = json.loads(kernel_cache.compiled(key, compiled))
    return KernelUnit(SOURCE_NAME, kept["ir"], tuple(map(_entry_of, kept["kernels"])))


def _entry_of(kept: dict[str, object]) -> KernelEntry:
    arguments = tuple(KernelArgument(**argument) for argument in kept.pop("arguments"))  # type: ignore[attr-defined]
    return KernelEntry(arguments=arguments, **kept)  # type: ignore[arg-type]


def _compiled(source: str, wanted: Collection[str] | None, constants: Mapping[str | int, Value] | None) -> KernelUnit:
    preprocessed, declared = _understand(source)
    text, entries = entries_of.with_entries(preprocessed, declared, wanted, constants)
    ir = _ir(source, in_single_precision(text))
    facts = _facts(ir)
    ir = _private(_FACT.sub("", ir), {entry.symbol for entry in entries})
    return KernelUnit(SOURCE_NAME, ir, tuple(_kernel(entry, facts) for entry in entries))


def _kernel(entry: Entry, facts: Mapping[str, tuple[int, ...]]) -> KernelEntry:
    limit = facts[f"msl_limit_{entry.index}"][0] or MAX_THREADS
    arguments = tuple(
        KernelArgument(one.name, one.type, one.address_space or "", one.slot or 0, size, one.is_const)
        for one, size in zip(entry.bound, facts[f"msl_sizes_{entry.index}"], strict=False)
    )
    return KernelEntry(entry.host_name, entry.symbol, arguments, min(limit, MAX_THREADS))


@lru_cache(maxsize=8)
def _understand(source: str) -> tuple[str, tuple[KernelDeclaration, ...]]:
    """The preprocessed source, and what its kernels declare.

    The preprocessor goes first: what it makes is bounded, and libclang reads the source in this process.
    """
    check_text(source, SOURCE_NAME)
    check_results(source, SOURCE_NAME)
    preprocessed = _preprocessed(source)
    check_expressions(preprocessed, SOURCE_NAME)
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
    return ("-target", "x86_64-linux-gnu")


def _ir(source: str, preprocessed: str) -> str:
    """LLVM IR of `source`, which is preprocessed and has entries. Raises MetalError that names the line."""
    with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".build-") as name:
        folder = Path(name)
        closed = (*toolchain.closed((SHIM, RUNTIME)), "-fno-gnu-inline-asm", *diagnostics.PLACES)
        checked = _CHECKED_ARGUMENTS if checking() else ()
        arguments = ["clang", *_target(), *closed, *DIALECT, *_CODE_ARGUMENTS, *checked, *_IR_OUTPUT]
        result = toolchain.run_zig(arguments, folder=folder, text=preprocessed)
        if result.returncode != 0:
            raise diagnostics.explain(source, SOURCE_NAME, result.stderr, _target())
        return (folder / "module.ll").read_text()


_DEFINITION = re.compile(r'^define ([^@\n]*)@("[^"]*"|[\w.$]+)\(', re.M)
_LINKAGE = re.compile(r"\b(?:dso_local|hidden|weak_odr|weak|linkonce_odr|linkonce|external|internal) ")


def _private(ir: str, entries: Collection[str]) -> str:
    """The IR with no function but `entries` visible: the optimiser drops kernels that were not asked for, and with them
    what only they need."""

    def made_private(found: re.Match[str]) -> str:
        head, symbol = found.group(1), found.group(2)
        return found.group() if symbol in entries else f"define internal {_LINKAGE.sub('', head)}@{symbol}("

    return _DEFINITION.sub(made_private, ir)


# ---------------------------------------------------------------------------------------------------------------------
# What entries leave in the module

_FACT = re.compile(r"^@(msl_(?:limit|sizes)_\d+) = .*?constant (.*?)(?:, align \d+)?$\n", re.M)


def _facts(ir: str) -> dict[str, tuple[int, ...]]:
    """The integers: `@msl_limit_0 = constant i32 128`, `@msl_sizes_0 = constant [2 x i32] [i32 4, i32 8]`."""
    return {found[1]: _integers(found[2]) for found in _FACT.finditer(ir)}


def _integers(value: str) -> tuple[int, ...]:
    array = re.match(r"\[(\d+) x i32\] ", value)
    if value.endswith("zeroinitializer"):
        return (0,) * (int(array[1]) if array else 1)
    return tuple(map(int, re.findall(r"\bi32 (-?\d+)", value[array.end() :] if array else value)))
