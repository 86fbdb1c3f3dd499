# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel's bitcode says of itself: arguments, struct layouts, function constants, limits, memory, versions.

It stands in metadata that Apple's compilers write (`!air.kernel`, `!air.function_constants`, `!air.version`, ...),
read off the libraries of mlx-metal 0.30.1 to 0.32.4 and PyTorch 2.13 (AIR 2.6 to 2.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from porter.errors import MetalError
from porter.metal.air_metadata import Metadata, Operand, Reference
from porter.metal.bitcode_reader import ReadModule, ThreadgroupVariable

T = TypeVar("T")

THREADGROUP = 3
"""The address space of threadgroup memory (1: device, 2: constant)."""

# Bounds on struct layouts, which nest: Apple's go four deep, and have at most some 50 fields in all.
_DEEPEST = 32
_MOST_FIELDS = 1 << 14


@dataclass(frozen=True)
class StructField:
    """One row of `air.struct_type_info`. `size` is that of one element; `array_length` is 0 where it is no array.

    `fields`: of a nested struct, with offsets from its own first byte. `pointee`: what a pointer in an argument buffer
    points to (its `slot` counts from the struct's first pointer), None elsewhere.
    """

    name: str
    type: str
    offset: int
    size: int
    array_length: int
    fields: tuple[StructField, ...] = ()
    pointee: CompiledArgument | None = None


@dataclass(frozen=True)
class CompiledArgument:
    """One argument as Apple's compiler recorded it.

    `kind` is `buffer`, `indirect_buffer` (an argument buffer), `thread_position_in_grid`, ...; `slot`, `access`,
    `address_space` (1 device, 2 constant, 3 threadgroup), `size` and `align` (bytes of the pointee, unknown for void)
    are None for what is no buffer. A buffer in address space 3 is threadgroup memory whose size the host sets, and
    `slot` its [[threadgroup(n)]]. `gate` names the function constant without which the argument does not exist.
    `fields` is empty where the type is no struct. `slots` is how many it takes. `bound_size`: the bytes that what is
    bound must have, where the kernel states it. `unused`: the kernel does not read it.
    """

    index: int
    kind: str
    name: str
    type: str
    slot: int | None
    access: str | None
    address_space: int | None
    size: int | None
    align: int | None
    gate: str | None
    fields: tuple[StructField, ...]
    slots: int = 1
    bound_size: int | None = None
    unused: bool = False


@dataclass(frozen=True)
class CompiledConstant:
    """One function constant that the kernel's module declares. `symbol`: the global that takes its value."""

    name: str
    type: str
    index: int
    required: bool = True
    symbol: str = ""


@dataclass(frozen=True)
class CompiledKernel:
    """What the module says. `thread_limit`: the most threads in a threadgroup, None where unstated.

    `externals`: the functions it declares and does not define (`air.*`, `llvm.*`, `__tensorops_*`). `options`: what it
    was compiled with (`fast_math_disable`, `denorms_disable`, ...). `attributes`: all that `!air.kernel` says
    of the kernel beside its arguments, each a word and its numbers. `producer`: the compiler, as it names itself.
    """

    name: str
    arguments: tuple[CompiledArgument, ...]
    constants: tuple[CompiledConstant, ...]
    thread_limit: int | None
    threadgroup_variables: tuple[ThreadgroupVariable, ...] = ()
    externals: tuple[str, ...] = ()
    air_version: tuple[int, ...] = ()
    language: str = ""
    language_version: tuple[int, ...] = ()
    producer: str = ""
    options: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def threadgroup_memory(self) -> int:
        """Bytes of the threadgroup variables, one after the other, each aligned as it asks."""
        end = 0
        for variable in self.threadgroup_variables:
            end = -(-end // variable.align) * variable.align + variable.size
        return end

    @property
    def threadgroup_arguments(self) -> tuple[CompiledArgument, ...]:
        """The arguments in threadgroup memory, whose size the host sets."""
        return tuple(argument for argument in self.arguments if argument.address_space == THREADGROUP)


def read_kernel(module: ReadModule) -> CompiledKernel:
    """What the one kernel of `module` says. Raises MetalError for no kernel, and for metadata that says it wrongly."""
    try:
        return _Reader(Metadata(module.text)).kernel(module)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise MetalError(f"the kernel's metadata is not what Apple's compilers write: {error!r}") from error


# How many operands follow each word of an argument's row. A word that is not here is a flag, an access or the kind.
_OPERANDS = {
    "air.location_index": 2,
    "air.address_space": 1,
    "air.struct_type_info": 1,
    "air.arg_type_size": 1,
    "air.arg_type_align_size": 1,
    "air.arg_type_name": 1,
    "air.arg_name": 1,
    "air.function_constant": 1,
    "air.buffer_size": 1,
    "air.raster_order_group": 1,
}
_ACCESS = {"air.read": "read", "air.write": "write", "air.read_write": "read_write", "air.sample": "sample"}
_STAGES = ("vertex", "fragment", "visible", "intersection", "mesh", "object")


class _Reader:
    """Reads one module's metadata, and counts what it reads: nodes may be shared, so a small file can say much."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._fields_left = _MOST_FIELDS

    def kernel(self, module: ReadModule) -> CompiledKernel:
        rows = self._metadata.named("air.kernel")
        if len(rows) != 1:
            others = [stage for stage in _STAGES if f"air.{stage}" in self._metadata.names()]
            found = f"a {others[0]} function and no kernel" if others and not rows else f"{len(rows)} kernels"
            raise MetalError(f"the module holds {found}", expected="one kernel a module")
        name, _, listed, *rest = rows[0]
        attributes = tuple(self._attribute(node) for node in rest)
        limits = [numbers[0] for word, numbers in attributes if word == "air.max_work_group_size"]
        language = (self._metadata.named("air.language_version") or [[""]])[0]
        producer = (self._metadata.named("llvm.ident") or [[""]])[0]
        return CompiledKernel(
            name=_text(name).removeprefix("@"),
            arguments=tuple(self._argument(row, 0) for row in self._metadata.node(listed)),
            constants=tuple(map(_constant, self._metadata.named("air.function_constants"))),
            thread_limit=limits[0] if limits else None,
            threadgroup_variables=module.threadgroup_variables,
            externals=module.externals,
            air_version=tuple(map(_number, (self._metadata.named("air.version") or [[]])[0])),
            language=_text(language[0]),
            language_version=tuple(map(_number, language[1:])),
            producer=_text(producer[0]),
            options=tuple(
                _text(row[0]).removeprefix("air.compile.") for row in self._metadata.named("air.compile_options")
            ),
            attributes=attributes,
        )

    def _attribute(self, reference: Operand) -> tuple[str, tuple[int, ...]]:
        word, *numbers = self._metadata.node(reference)
        return _text(word), tuple(map(_number, numbers))

    def _argument(self, reference: Operand, depth: int) -> CompiledArgument:
        row = self._metadata.node(reference)
        found: dict[str, list[Operand]] = {}
        kind = access = None
        at = 1
        while at < len(row):
            word = _text(row[at])
            operands = row[at + 1 : at + 1 + _OPERANDS.get(word, 0)]
            at += 1 + len(operands)
            if word in _ACCESS:
                access = _ACCESS[word]
            elif word in _OPERANDS or kind is not None:
                found[word] = operands
            else:
                kind = word.removeprefix("air.")
        if kind is None:
            raise ValueError(f"argument {row[0]} has no kind")
        gate = self._metadata.node(found["air.function_constant"][0]) if "air.function_constant" in found else None
        info = found.get("air.struct_type_info")
        return CompiledArgument(
            index=_number(row[0]),
            kind=kind,
            name=_said(found, "air.arg_name", _text) or "",
            type=_said(found, "air.arg_type_name", _text) or "",
            slot=_said(found, "air.location_index", _number),
            access=access,
            address_space=_said(found, "air.address_space", _number),
            size=_said(found, "air.arg_type_size", _number),
            align=_said(found, "air.arg_type_align_size", _number),
            gate=_text(gate[2]) if gate else None,
            fields=tuple(self._fields(info[0], depth + 1)) if info else (),
            slots=_number(found["air.location_index"][1]) if "air.location_index" in found else 1,
            bound_size=_said(found, "air.buffer_size", _number),
            unused="air.arg_unused" in found,
        )

    def _fields(self, reference: Operand, depth: int) -> Iterator[StructField]:
        """Rows of offset, size, array length, type and name. A nested struct's node stands before its row; behind it,
        in an argument buffer, its place among the pointers, or the node of what it points to."""
        if depth > _DEEPEST:
            raise ValueError("structs that nest without end")
        info = self._metadata.node(reference)
        at = 0
        while at < len(info):
            nested = pointee = None
            if info[at] == "air.struct_type_info":
                nested = info[at + 1]
                at += 2
            offset, size, array_length, type_, name = info[at : at + 5]
            at += 5
            if at < len(info) and info[at] == "air.indirect_argument":
                pointee = info[at + 1]
                at += 2
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError(f"more than {_MOST_FIELDS} fields")
            yield StructField(
                _text(name),
                _text(type_),
                _number(offset),
                _number(size),
                _number(array_length),
                () if nested is None else tuple(self._fields(nested, depth + 1)),
                self._argument(pointee, depth) if isinstance(pointee, Reference) else None,
            )


def _constant(row: list[Operand]) -> CompiledConstant:
    """A row of `!air.function_constants`: the global, its type, the constant's name, its index, if it must be given."""
    symbol, type_, name, index, *required = row
    needed = bool(_number(required[0])) if required else True
    return CompiledConstant(_text(name), _text(type_), _number(index), needed, _text(symbol).removeprefix("@"))


def _said(found: dict[str, list[Operand]], word: str, read: Callable[[Operand], T]) -> T | None:
    return read(found[word][0]) if word in found else None


def _text(operand: Operand) -> str:
    if not isinstance(operand, str):
        raise TypeError(f"{operand!r} stands where a word should")
    return operand


def _number(operand: Operand) -> int:
    if not isinstance(operand, int) or isinstance(operand, Reference):
        raise TypeError(f"{operand!r} stands where a number should")
    return operand
