# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Function constants of a compiled kernel get their values.

Apple's compiler leaves a global for each (`externally_initialized`, listed in `!air.function_constants`) and a static
initialiser that copies them, or what the source computes of them, to other globals. Here the values are put in and the
initialiser is run, so that the globals are constants and the initialiser is gone.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from porter.errors import MetalError
from porter.metal.air_kernel import CompiledConstant
from porter.metal.ir_text import NAME

Value = bool | int | float

_INITIALISER = re.compile(r"^define internal void @(?:_GLOBAL__|__cxx_global_)[^\n]*\n(.*?)^\}\n", re.M | re.S)
_GLOBAL = re.compile(
    rf"^@({NAME}) = internal (?:unnamed_addr )?(externally_initialized )?(?:global|constant) (i\d+|float|half) "
    r"(\S+?)(, align \d+)?$",
    re.M,
)
_LOAD = re.compile(rf"^  (%\S+) = load (\S+), ptr @({NAME})(?:, align \d+)?$")
_STORE = re.compile(rf"^  store (\S+) (\S+), ptr @({NAME})(?:, align \d+)?$")
_CALL = re.compile(
    r"^  (%\S+) = (?:tail )?call (\S+) @air\.normalize_function_constant_predicate\.i8\(i8 (\S+)\)(?: #\d+)?$"
)
_BINARY = re.compile(r"^  (%\S+) = (add|sub|mul|and|or|xor)(?: nsw| nuw| disjoint)* (i\d+) (\S+), (\S+)$")

_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}


@dataclass(frozen=True)
class Settled:
    """A module's text with its function constants' values, and the value of every global that depends on them."""

    text: str
    values: Mapping[str, str]


def chosen(kernel: str, declared: Iterable[CompiledConstant], given: Mapping[str | int, Value]) -> dict[str, Value]:
    """The value of each constant by the symbol of its global. Constants are given by index or name.

    Raises MetalError for one that must have a value and has none. What no kernel declares is no error: a host sets the
    constants of many kernels at once.
    """
    values: dict[str, Value] = {}
    missing = []
    for constant in declared:
        for key in (constant.index, constant.name):
            if key in given:
                values[constant.symbol] = given[key]
        if constant.symbol not in values:
            if constant.required:
                missing.append(f"{constant.name} ({constant.type}, index {constant.index})")
            values[constant.symbol] = 0
    if missing:
        raise MetalError(
            f"kernel {kernel} needs a value for {'the constants ' if len(missing) > 1 else 'the constant '}"
            + ", ".join(missing),
            next_step="give it in `constants`, by index or name",
        )
    return values


def settle(text: str, values: Mapping[str, Value]) -> Settled:
    """Put `values` (by symbol) into `text` and run its static initialiser.

    `text` has no address spaces and no metadata. Raises MetalError for a global that is initialised from outside and is
    none of `values`, and for an initialiser that does what is not known.
    """
    found = {match[1].strip('"'): match for match in _GLOBAL.finditer(text)}
    known: dict[str, str] = {}
    for symbol, match in found.items():
        if match[2]:
            if symbol not in values:
                raise MetalError(f"the global {symbol} is initialised from outside, and nothing says how")
            known[symbol] = literal(values[symbol], match[3])
    written: dict[str, str] = {}
    for initialiser in _INITIALISER.finditer(text):
        _run(initialiser[1], known, written)
    known.update(written)

    def constant(match: re.Match[str]) -> str:
        symbol = match[1].strip('"')
        if symbol not in known:
            return match.group()
        return f"@{match[1]} = internal unnamed_addr constant {match[3]} {known[symbol]}{match[5] or ''}"

    text = _GLOBAL.sub(constant, _INITIALISER.sub("", text))
    if unknown := re.search(rf"^@({NAME}) = .*\bexternally_initialized\b.*$", text, re.M):
        raise MetalError(f"a function constant of a type that is not known here: {unknown.group()}")
    return Settled(re.sub(r"^@llvm\.(?:global_ctors|(?:compiler\.)?used) = .*\n", "", text, flags=re.M), known)


def _run(lines: str, known: Mapping[str, str], written: dict[str, str]) -> None:
    registers: dict[str, str] = {}

    def value(operand: str) -> int:
        return int(registers.get(operand, operand))

    for line in lines.splitlines():
        if not line.strip() or line in ("  ret void",) or line.startswith(";"):
            continue
        if match := _LOAD.match(line):
            symbol = match[3].strip('"')
            if symbol not in known and symbol not in written:
                raise MetalError(f"a static initialiser reads {symbol}, which has no value")
            registers[match[1]] = written.get(symbol, known.get(symbol, ""))
        elif match := _STORE.match(line):
            written[match[3].strip('"')] = registers.get(match[2], match[2])
        elif match := _CALL.match(line):
            registers[match[1]] = str(int(value(match[3]) != 0))
        elif match := _BINARY.match(line):
            result = _OPERATIONS[match[2]](value(match[4]), value(match[5]))
            registers[match[1]] = str(_wrapped(result, int(match[3][1:])))
        else:
            raise MetalError(f"a static initialiser does what is not known here: {line.strip()}")


def _wrapped(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if bits > 1 and value >> (bits - 1) else value


def literal(value: Value, type_: str) -> str:
    """`value` as LLVM writes a constant of `type_`. Raises MetalError for one that the type cannot hold."""
    if type_ == "float":
        single = struct.unpack("<f", struct.pack("<f", float(value)))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"
    if type_ == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', float(value)))[0]:04X}"
    bits = int(type_[1:])
    if not isinstance(value, (bool, int)) or not -(1 << (bits - 1)) <= int(value) < 1 << bits:
        raise MetalError(f"{value!r} is no value for a constant of {bits} bits")
    return str(_wrapped(int(value), bits) if bits > 1 else int(value))
