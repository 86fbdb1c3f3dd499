# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Function constants: what a source declares, and the values put into its preprocessed text.

`constant bool on [[function_constant(7)]];` reaches this module as `MSL_FUNCTION_CONSTANT bool on
[[msl::function_constant(7)]];` (msl/msl_keywords). With a value it becomes a constant. Without one it becomes a symbol
that nothing defines, so that a kernel that needs it does not link and one that does not is none the worse; `unset`
reads such a symbol. What is_function_constant_defined asks is known in either case. Specification, section 5.8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from porter.errors import MetalError

# What the user's source is called in messages.
SOURCE_NAME = "source.metal"

Value = bool | int | float | Sequence[bool | int | float]
"""Of a function constant, as a caller gives it: a scalar, or one for each component of a vector."""

_DECLARATION = re.compile(
    r"\bMSL_FUNCTION_CONSTANT\s+((?:(?:const|static)\s+)*)([\w:]+(?:\s*<[^;<>]*>)?)\s+(\w+)\s*"
    r"\[\[\s*msl::function_constant\s*\(([^;]*?)\)\s*\]\]\s*;"
)
_QUESTION = re.compile(r"\bis_function_constant_defined\s*\(\s*((?:::)?(?:\w+\s*::\s*)*)(\w+)\s*\)")
_LINE_MARKER = re.compile(r'^# (\d+) "([^"\n]*)".*$', re.M)

_UNSET = "msl_function_constant"

# Bits, and whether there is a sign (specification, section 2.1).
_INTEGERS = {
    "char": (8, True),
    "uchar": (8, False),
    "short": (16, True),
    "ushort": (16, False),
    "int": (32, True),
    "uint": (32, False),
    "long": (64, True),
    "ulong": (64, False),
    "int8_t": (8, True),
    "uint8_t": (8, False),
    "int16_t": (16, True),
    "uint16_t": (16, False),
    "int32_t": (32, True),
    "uint32_t": (32, False),
    "int64_t": (64, True),
    "uint64_t": (64, False),
    "size_t": (64, False),
    "ptrdiff_t": (64, True),
}
_FLOATS = ("half", "bfloat", "float")


@dataclass(frozen=True)
class FunctionConstant:
    """One declaration: its name and type as written, its index, where it stands, and its value if it was given one."""

    name: str
    type: str
    index: int
    where: str
    start: int
    end: int
    value: Value | None = None


def with_values(
    preprocessed: str, constants: Mapping[str | int, Value] | None
) -> tuple[str, tuple[FunctionConstant, ...]]:
    """The source with the values of `constants` (by name or by index) put in, and all that it declares.

    Raises MetalError where a name or an index is not declared, is given twice, or does not take the value.
    """
    declared = tuple(_given(one, constants or {}) for one in _declared(preprocessed))
    _check_known(declared, constants or {})
    pieces, position = [], 0
    for one in declared:
        pieces += [preprocessed[position : one.start], _definition(one)]
        pieces.append("\n" * preprocessed.count("\n", one.start, one.end))
        position = one.end
    text = "".join([*pieces, preprocessed[position:]])
    names = {one.name for one in declared}
    return _QUESTION.sub(lambda found: _answer(found, names), text), declared


def unset(symbol: str) -> MetalError | None:
    """What to say of an undefined symbol that is a function constant without a value; None for any other symbol."""
    found = re.fullmatch(rf'"?{_UNSET}\.(\d+)\.(\w+)\.(.*):(\d+)"?', symbol)
    if found is None:
        return None
    index, name, file, line = found.groups()
    return MetalError(
        f"the kernel needs the function constant {name}, which has no value",
        where=f"{file}:{line}",
        expected=f"a value for {name!r} or for its index {index} in constants=",
    )


def condition(name: str, text: str, declared: Sequence[FunctionConstant]) -> bool | None:
    """Whether the constant `name` is true: a function constant, or one that is computed of them in `text` (as
    `with_values` returns it). None where it cannot be known, because something of it has no value."""
    values = {bool(one.value) for one in declared if one.name == name and one.value is not None}
    if len(values) > 1:
        raise MetalError(f"two function constants are called {name}, and their values differ")
    if values:
        return values.pop()
    if any(one.name == name for one in declared):
        return None
    known = re.search(rf"\bstatic constexpr bool {re.escape(name)} = (true|false);", text)  # whether one is defined
    if known is not None:
        return known.group(1) == "true"
    found = re.search(rf"\bconst(?:expr)?\s+\w+\s+{re.escape(name)}\s*=\s*([^;]+);", text)
    return None if found is None else _evaluated(found.group(1), text, declared)


def _evaluated(expression: str, text: str, declared: Sequence[FunctionConstant]) -> bool | None:
    """A C++ expression of conditions with !, && and ||; None where something of it is unknown, or is anything else."""
    for name in set(re.findall(r"[A-Za-z_]\w*", expression)) - {"true", "false"}:
        value = condition(name, text, declared)
        if value is None:
            return None
        expression = re.sub(rf"\b{name}\b", str(value).lower(), expression)
    expression = "".join(expression.split())
    previous = ""
    while previous != expression:  # innermost brackets first
        previous = expression
        expression = re.sub(r"\(([^()]*)\)", lambda found: str(_flat(found.group(1))).lower(), expression)
    return _flat(expression)


def _flat(expression: str) -> bool | None:
    """true, false, !, && and || without brackets; None for anything else."""
    sides = [[_literal_condition(one) for one in side.split("&&")] for side in expression.split("||")]
    if any(one is None for side in sides for one in side):
        return None
    return any(all(side) for side in sides)


def _literal_condition(text: str) -> bool | None:
    value = {"true": True, "false": False}.get(text.lstrip("!"))
    return value if value is None else value ^ bool((len(text) - len(text.lstrip("!"))) % 2)


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def _declared(preprocessed: str) -> list[FunctionConstant]:
    found = []
    for one in _DECLARATION.finditer(preprocessed):
        where = _place(preprocessed, one.start())
        index = _integer(one.group(4))
        if index is None:
            raise MetalError(
                f"function constant {one.group(3)} has the index {one.group(4)}", where=where, expected="a number"
            )
        found.append(FunctionConstant(one.group(3), one.group(2), index, where, one.start(), one.end()))
    rest = _DECLARATION.sub("", preprocessed)
    if "MSL_FUNCTION_CONSTANT" in rest:
        where = _place(preprocessed, preprocessed.index("MSL_FUNCTION_CONSTANT"))
        raise MetalError("a function constant's declaration is not understood", where=where)
    return found


def _place(preprocessed: str, position: int) -> str:
    """file:line of the text that the preprocessor read."""
    marker = next(reversed(list(_LINE_MARKER.finditer(preprocessed, 0, position))), None)
    if marker is None:
        return f"{SOURCE_NAME}:{preprocessed.count(chr(10), 0, position) + 1}"
    return f"{marker.group(2)}:{int(marker.group(1)) + preprocessed.count(chr(10), marker.end() + 1, position)}"


def _integer(text: str) -> int | None:
    """A C++ integer literal: decimal, octal or hexadecimal."""
    text = text.strip().rstrip("uUlL")
    if re.fullmatch(r"0[0-7]*", text):
        return int(text, 8)
    return int(text, 0) if re.fullmatch(r"[1-9]\d*|0[xX][0-9a-fA-F]+", text) else None


def _given(one: FunctionConstant, constants: Mapping[str | int, Value]) -> FunctionConstant:
    keys = [key for key in constants if not isinstance(key, bool) and key in (one.name, one.index)]
    if len(keys) > 1:
        raise MetalError(f"function constant {one.name} is given a value by its name and by its index {one.index}")
    return replace(one, value=_plain(constants[keys[0]])) if keys else one


def _plain(value: Value) -> Value:
    """numpy's scalars and arrays as Python's own."""
    plain: Value = value.tolist() if hasattr(value, "tolist") else value
    return plain


def _check_known(declared: Sequence[FunctionConstant], constants: Mapping[str | int, Value]) -> None:
    for key in constants:
        if not any(key in (one.name, one.index) and not isinstance(key, bool) for one in declared):
            known = ", ".join(f"{one.name} ({one.index})" for one in declared) or "none"
            raise MetalError(f"the source has no function constant {key!r}", expected=f"one of: {known}")


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def _definition(one: FunctionConstant) -> str:
    is_defined = f"static constexpr bool msl_defined_{one.name} = {str(one.value is not None).lower()};"
    if one.value is None:
        return (
            f'extern const {one.type} {one.name} __asm__("{_UNSET}.{one.index}.{one.name}.{one.where}"); {is_defined}'
        )
    return f"static const {one.type} {one.name} = {_literal(one)}; {is_defined}"


def _answer(found: re.Match[str], names: set[str]) -> str:
    if found.group(2) not in names:
        raise MetalError(f"is_function_constant_defined asks for {found.group(2)}, which is no function constant")
    return f"{found.group(1)}msl_defined_{found.group(2)}"


def _literal(one: FunctionConstant) -> str:
    """The C++ initialiser of a value. A scalar is a vector's value in every component."""
    plain = one.type.removeprefix("::").removeprefix("metal::")
    vector = re.fullmatch(r"([a-z]+)([234])", plain) or re.fullmatch(r"vec\s*<\s*(\w+)\s*,\s*([234])\s*>", plain)
    scalar = vector.group(1) if vector else plain
    if scalar != "bool" and scalar not in _INTEGERS and scalar not in _FLOATS:
        raise MetalError(
            f"function constant {one.name} has the type {one.type}",
            where=one.where,
            expected="a scalar or a vector of scalars",
        )
    if vector is None:
        return _scalar(one, scalar, one.value)
    count = int(vector.group(2))
    values = list(one.value) if isinstance(one.value, Sequence) else [one.value] * count
    if len(values) != count:
        raise MetalError(f"function constant {one.name} has {len(values)} values", expected=f"{count} ({one.type})")
    return f"{one.type}({', '.join(_scalar(one, scalar, value) for value in values)})"


def _scalar(one: FunctionConstant, scalar: str, value: object) -> str:
    if scalar == "bool" and (isinstance(value, bool) or value in (0, 1)) and isinstance(value, int):
        return "true" if value else "false"
    if scalar in _INTEGERS and isinstance(value, int):
        bits, signed = _INTEGERS[scalar]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        if low <= value <= high:
            # The lowest long has no literal of its own.
            return f"{scalar}({value})" if value > -(2**63) else f"{scalar}(-9223372036854775807l - 1)"
        raise _refused(one, value, f"{low}..{high}")
    if scalar in _FLOATS and isinstance(value, int | float):
        return f"{scalar}({_float(float(value))})"
    raise _refused(one, value, one.type)


def _float(value: float) -> str:
    if math.isnan(value):
        return '__builtin_nanf("")'
    if math.isinf(value):
        return "__builtin_inff()" if value > 0 else "-__builtin_inff()"
    return f"{value.hex()}f"


def _refused(one: FunctionConstant, value: object, expected: str) -> MetalError:
    return MetalError(f"function constant {one.name} cannot be {value!r}", where=one.where, expected=expected)
