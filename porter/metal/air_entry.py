# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The entry of a compiled kernel: a function that the runtime can call (kernel_unit), which loads the arguments that
Apple's function takes and calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from porter.errors import MetalError
from porter.metal.air_kernel import THREADGROUP, CompiledArgument, CompiledKernel
from porter.metal.air_operations import DENORMALS, Declaration
from porter.metal.kernel_unit import MAX_BUFFERS, MAX_THREADGROUP_ARGUMENTS, KernelArgument

SYMBOL = "air_entry"
FUNCTION = "air.kernel"

_SPACES = {1: "device", 2: "constant", THREADGROUP: "threadgroup"}
_BUFFERS = ("buffer", "indirect_buffer")

# Byte offsets in msl_thread (runtime/kernel_abi.h) and how many components are there.
_PLACES = {
    "thread_position_in_grid": (0, 3),
    "threadgroup_position_in_grid": (12, 3),
    "thread_position_in_threadgroup": (24, 3),
    "threads_per_grid": (36, 3),
    "threads_per_threadgroup": (48, 3),
    "dispatch_threads_per_threadgroup": (60, 3),
    "threadgroups_per_grid": (72, 3),
    "thread_index_in_threadgroup": (84, 1),
    "thread_index_in_simdgroup": (88, 1),
    "simdgroup_index_in_threadgroup": (92, 1),
    "thread_index_in_quadgroup": (96, 1),
    "quadgroup_index_in_threadgroup": (100, 1),
    "threads_per_simdgroup": (104, 1),
    "thread_execution_width": (104, 1),
    "simdgroups_per_threadgroup": (108, 1),
}
_TYPE = re.compile(r"(?:<(\d) x )?(i\d+)>?")


@dataclass(frozen=True)
class Entry:
    """A module with an entry, and the buffers and threadgroup arguments that the entry reads."""

    text: str
    arguments: tuple[KernelArgument, ...]


def add_entry(text: str, kernel: CompiledKernel, absent: frozenset[int]) -> Entry:
    """Add an entry to `text`, for Apple's function `kernel`. Arguments whose index is in `absent` do not exist: the
    function gets null in their place. Raises MetalError for an argument that a kernel cannot have here."""
    name = kernel.name if re.fullmatch(r"[-\w.$]+", kernel.name) else f'"{kernel.name}"'
    head = re.search(rf"^define [^\n]*@{re.escape(name)}\([^\n]*$", text, re.M)
    if head is None:
        raise MetalError(f"the module does not define its kernel {kernel.name}")
    types = Declaration.of(head.group()).parameters
    if len(types) != len(kernel.arguments):
        raise MetalError(f"kernel {kernel.name} takes {len(types)} values, and says so of {len(kernel.arguments)}")
    parameters = ", ".join(f"{type_} %{number}" for number, type_ in enumerate(types))
    own = f"define internal void @{FUNCTION}({parameters}) alwaysinline convergent nounwind {DENORMALS} {{"
    lines: list[str] = []
    values = []
    for type_, argument in zip(types, kernel.arguments, strict=True):
        if argument.index in absent:
            values.append("null" if type_ == "ptr" else "zeroinitializer")
        elif argument.kind in _BUFFERS:
            values.append(_buffer(argument, lines))
        else:
            values.append(_place(argument, type_, lines))
    passed = ", ".join(f"{type_} {value}" for type_, value in zip(types, values, strict=True))
    entry = "\n".join(
        [
            f"define void @{SYMBOL}(ptr %buffers, ptr %memory, ptr %here) convergent nounwind {DENORMALS} {{",
            *lines,
            f"  call void @{FUNCTION}({passed})",
            "  ret void",
            "}\n",
        ]
    )
    listed = [a for a in kernel.arguments if a.kind in _BUFFERS and a.index not in absent]
    return Entry(text[: head.start()] + own + text[head.end() :] + entry, tuple(map(_argument, listed)))


def absent_arguments(
    kernel: CompiledKernel, predicates: Mapping[str, str], values: Mapping[str, str]
) -> frozenset[int]:
    """The indices of arguments whose gate is false. `predicates`: the global that a gate reads, by the gate's name;
    `values`: of globals. Raises MetalError for a gate of which no value is known."""
    absent = set()
    for argument in kernel.arguments:
        if argument.gate is None:
            continue
        value = values.get(predicates.get(argument.gate, ""))
        if value is None:
            raise MetalError(f"nothing says whether argument {argument.name} of {kernel.name} exists ({argument.gate})")
        if int(value) == 0:
            absent.add(argument.index)
    return frozenset(absent)


def predicates(text: str) -> dict[str, str]:
    """The globals that gates read, by the gates' names: rows `{global, type, name}` of the module's metadata."""
    found = re.findall(r'^!\d+ = !\{ptr addrspace\(2\) @("[^"]*"|[\w.$-]+), !"[^"]*", !"([^"]*)"\}$', text, re.M)
    return {name: symbol.strip('"') for symbol, name in found}


def _buffer(argument: CompiledArgument, lines: list[str]) -> str:
    slot = argument.slot
    is_threadgroup = argument.address_space == THREADGROUP
    limit = MAX_THREADGROUP_ARGUMENTS if is_threadgroup else MAX_BUFFERS
    if argument.slots != 1 or slot is None or not 0 <= slot < limit or argument.address_space not in _SPACES:
        raise MetalError(f"argument {argument.name} takes what cannot be bound here: slot {slot} of {argument.slots}")
    name = f"%argument.{argument.index}"
    lines.append(f"  {name}.at = getelementptr inbounds ptr, ptr %buffers, i64 {slot + MAX_BUFFERS * is_threadgroup}")
    lines.append(f"  {name} = load ptr, ptr {name}.at, align 8")
    return name


def _place(argument: CompiledArgument, type_: str, lines: list[str]) -> str:
    """A value of the thread's place, of an integer or vector type."""
    found = _TYPE.fullmatch(type_)
    if argument.kind not in _PLACES or found is None:
        raise MetalError(
            f"argument {argument.name} is [[{argument.kind}]] of type {type_}",
            expected=f"buffers and {', '.join(sorted(_PLACES))}",
        )
    offset, components = _PLACES[argument.kind]
    count, element = int(found[1] or 1), found[2]
    if count > components:
        raise MetalError(f"argument {argument.name}: [[{argument.kind}]] has {components} components, not {count}")
    name = f"%argument.{argument.index}"
    elements = [_component(f"{name}.{i}", offset + 4 * i, element, lines) for i in range(count)]
    if found[1] is None:
        return elements[0]
    value = "poison"
    for i, one in enumerate(elements):
        lines.append(f"  {name}.with.{i} = insertelement {type_} {value}, {element} {one}, i64 {i}")
        value = f"{name}.with.{i}"
    return value


def _component(name: str, offset: int, element: str, lines: list[str]) -> str:
    lines.append(f"  {name}.at = getelementptr inbounds i8, ptr %here, i64 {offset}")
    lines.append(f"  {name}.whole = load i32, ptr {name}.at, align 4")
    bits = int(element[1:])
    if bits == 32:
        return f"{name}.whole"
    lines.append(f"  {name} = {'trunc' if bits < 32 else 'zext'} i32 {name}.whole to {element}")
    return name


def _argument(argument: CompiledArgument) -> KernelArgument:
    space = _SPACES[argument.address_space or 0]
    return KernelArgument(
        name=argument.name,
        type=argument.type,
        address_space=space,
        slot=argument.slot or 0,
        size=0 if space == "threadgroup" else argument.bound_size or argument.size or 0,
        is_const=space == "constant" or argument.access == "read",
    )


def external_declarations(text: str) -> Iterable[str]:
    """The lines of `text` that declare functions, LLVM's own apart."""
    return (line for line in re.findall(r"^declare .*$", text, re.M) if "@llvm." not in line)
