# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""From optimised LLVM IR to IR that runs on our runtime.

Two things are left in the IR that an ordinary compiler knows nothing of (runtime/kernel_operations.h):

- 8 x 8 matrix products, which the shim wrote as pure functions. They become calls of the runtime (`matrix_lowering`).
- Threadgroup variables, which the shim wrote as thread_local. They become places in the threadgroup's memory.

What the kernel needs (threadgroup memory, fibers) and which symbols nobody defines is read off on the way.
The IR is text: LLVM's own, written and read by one version of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from porter.metal.matrix_lowering import PRODUCT, WAITING, Batches
from porter.metal.sanitizer import CHECKS

# Operations that make a thread wait, so that each thread needs a stack of its own.
_NEEDS_FIBERS = WAITING | {PRODUCT}
_RUNTIME = _NEEDS_FIBERS | CHECKS | {"msl_lane_index", "msl_threadgroup_memory", "msl_matrix_elements"}

# What an entry's second argument, the threadgroup's memory, is called after lowering.
_MEMORY = "%msl.memory"

# A call that is the last thing a function does would become a jump, and the place that lanes meet at its caller's.
_TAIL = re.compile(rf"\btail (?=call [^@]*@(?:{'|'.join(sorted(WAITING))})\()")

_NAME = r'[\w.$]+|"[^"]+"'
_FUNCTION = re.compile(rf"^define\b.*?@({_NAME})\(.*?^\}}\n", re.M | re.S)
_LABEL = re.compile(r"^[\w.$\"]+:")
_ADDRESS_CALL = re.compile(
    rf"^(\s*%[\w.$]+ = )(?:tail |notail )?call [^@]*@llvm\.threadlocal\.address[\w.]*\(ptr [^@]*@({_NAME})\).*$"
)
_VARIABLE = re.compile(rf"^@({_NAME}) = (?:[\w() ]+ )?thread_local(?:\(\w+\))? (?:[\w() ]+ )?global .*$", re.M)


@dataclass(frozen=True)
class Needs:
    """What one entry needs of the runtime."""

    threadgroup_memory: int


@dataclass(frozen=True)
class Lowered:
    """The IR to compile, what each entry needs, and symbols that nothing defines."""

    text: str
    needs: Mapping[str, Needs]
    undefined: tuple[str, ...]
    batches: tuple[int, ...]
    """Products in each call of the runtime, in the order of the text."""


@dataclass
class _Function:
    name: str
    text: str
    callees: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)


def lower(text: str, entries: Iterable[str], *, batch: bool = True) -> Lowered:
    """Lower a module. `entries` are the symbols of its entries; without `batch` every product is a call of its own."""
    entries = tuple(entries)
    sizes = _variable_sizes(text)
    functions = _functions(text, entries, sizes.keys())
    reached = {entry: _reached([entry], functions) for entry in entries}
    offsets, memory = _lay_out(entries, functions, reached, sizes)
    batches = Batches(enabled=batch)
    lowered = {}
    for function in functions.values():
        lines = _lower_variables(function, offsets[function.name], function.name in reached)
        lowered[function.name] = _TAIL.sub("", "\n".join(batches.lower(lines)) + "\n")
    text = _FUNCTION.sub(lambda found: lowered.get(found[1], ""), text)
    text = _VARIABLE.sub("", text)
    text = re.sub(rf"^declare double @{PRODUCT}\(.*$", "", text, flags=re.M)
    if "@msl_threadgroup_memory()" in text and "declare ptr @msl_threadgroup_memory(" not in text:
        text += "declare ptr @msl_threadgroup_memory() nounwind\n"
    return Lowered(
        text=text + batches.declarations(),
        needs={entry: Needs(memory[entry]) for entry in entries},
        undefined=_undefined(text, _symbols(functions, functions)),
        batches=tuple(batches.sizes),
    )


def _functions(text: str, entries: tuple[str, ...], variables: Iterable[str]) -> dict[str, _Function]:
    """The functions that entries can call, or that a global variable refers to; the others are of no use."""
    every = {}
    for found in _FUNCTION.finditer(text):
        named = _name_values(found.group())
        function = _Function(found[1], _plain_arguments(named) if found[1] in entries else named)
        function.callees = set(re.findall(rf"@({_NAME})", function.text)) - {function.name}
        function.variables = function.callees.intersection(variables)
        every[function.name] = function
    globally = set(re.findall(rf"@({_NAME})", _FUNCTION.sub("", text))) & every.keys()
    kept = _reached([*entries, *globally], every)
    return {name: function for name, function in every.items() if name in kept}


def _name_values(function: str) -> str:
    """Give every numbered value a name: numbers must be consecutive, which a changed function would break."""
    head, body = function.split("{\n", 1)
    arguments = len(re.findall(r"%\d+\b", head))
    if not _LABEL.match(body):  # the first block is numbered without saying so
        body = f"{arguments}:\n{body}"
    named = re.sub(r"%(\d+)\b", r"%v\1", head + "{\n" + body)
    return re.sub(r"^(\d+):", r"v\1:", named, flags=re.M)


def _plain_arguments(function: str) -> str:
    """Drop what the optimiser found out about an entry's arguments: lowering makes use of the threadgroup's memory."""
    head, body = function.split("{\n", 1)
    buffers, memory, here, *count = re.findall(r"%[\w.$]+", head)  # a row (row.py) has a count too
    body = re.sub(rf"{re.escape(memory)}(?![\w.$])", _MEMORY, body)
    arguments = ", ".join([f"ptr {buffers}", f"ptr {_MEMORY}", f"ptr {here}", *(f"i32 {one}" for one in count)])
    head = re.sub(r"\(ptr .*%[\w.$]+\)", f"({arguments})", head, count=1)
    return f"{head}{{\n{body}"


def _reached(names: Iterable[str], functions: Mapping[str, _Function]) -> set[str]:
    """The functions of the module that those called `names` can call, themselves among them."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in functions and name not in seen:
            seen.add(name)
            todo.extend(functions[name].callees)
    return seen


def _symbols(names: Iterable[str], functions: Mapping[str, _Function]) -> set[str]:
    return set().union(*(functions[name].callees for name in names))


# ---------------------------------------------------------------------------------------------------------------------
# Threadgroup variables


def _variable_sizes(text: str) -> dict[str, tuple[int, int]]:
    """(bytes, alignment) of every thread_local variable, as LLVM's own data layout has them."""
    names = {found.group(1) for found in _VARIABLE.finditer(text)}
    if not names:
        return {}
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    layout = llvm.create_target_data(module.data_layout)
    sizes = {}
    for variable in module.global_variables:
        quoted = f'"{variable.name}"'
        name = quoted if quoted in names else variable.name
        if name in names:
            kind = variable.global_value_type
            stated = re.search(r"\balign (\d+)", str(variable))
            alignment = int(stated.group(1)) if stated else layout.get_abi_alignment(kind)
            sizes[name] = (layout.get_abi_size(kind), alignment)
    return sizes


def _lay_out(
    entries: Iterable[str],
    functions: Mapping[str, _Function],
    reached: Mapping[str, set[str]],
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Offsets of the variables in each function, and each entry's total.

    Variables that several entries reach have one place for all and come first. What only one entry reaches, in itself
    or in functions that it calls, is that entry's own, so that kernels in one unit do not pay for each other.
    """
    users: dict[str, set[str]] = {}
    for entry in entries:
        for name in {entry, *reached[entry]}:
            for variable in functions[name].variables:
                users.setdefault(variable, set()).add(entry)
    shared: dict[str, int] = {}
    end = 0
    for name in sorted(functions.keys() - set(entries)):
        common = {variable for variable in functions[name].variables if len(users.get(variable, ())) != 1}
        end = _place(sorted(common - shared.keys()), sizes, shared, end)
    places, memory = dict(shared), {}
    for entry in entries:
        used = {variable for name in {entry, *reached[entry]} for variable in functions[name].variables}
        own: dict[str, int] = {}
        memory[entry] = _place(sorted(used - shared.keys()), sizes, own, end if used & shared.keys() else 0)
        places |= own
    offsets = dict.fromkeys(functions, places)
    return offsets, memory


def _place(names: Iterable[str], sizes: Mapping[str, tuple[int, int]], offsets: dict[str, int], end: int) -> int:
    for name in names:
        size, alignment = sizes[name]
        offsets[name] = -(-end // alignment) * alignment
        end = offsets[name] + size
    return end


def needing_fibers(text: str, entries: Iterable[str]) -> set[str]:
    """The entries of which a thread may have to wait for others. `text` need not be optimised."""
    calls = {found[1]: set(re.findall(rf"@({_NAME})", found[0])) - {found[1]} for found in _FUNCTION.finditer(text)}
    functions = {name: _Function(name, "", callees) for name, callees in calls.items()}
    # A row of threads has one place for all, so that asking the runtime for the own lane needs a fiber too.
    waiting = _NEEDS_FIBERS | {"msl_lane_index"}
    return {entry for entry in entries if waiting & _symbols(_reached([entry], functions), functions)}


def _lower_variables(function: _Function, offsets: Mapping[str, int], is_entry: bool) -> list[str]:
    lines = []
    for number, line in enumerate(function.text.splitlines()):
        found = _ADDRESS_CALL.match(line)
        if found is None or found.group(2) not in offsets:
            lines.append(line)
            continue
        base = _MEMORY
        if not is_entry:
            base = f"%msl.memory.{number}"
            lines.append(f"  {base} = call ptr @msl_threadgroup_memory()")
        lines.append(f"{found.group(1)}getelementptr inbounds i8, ptr {base}, i64 {offsets[found.group(2)]}")
    return lines


# ---------------------------------------------------------------------------------------------------------------------
# Reading facts off


def _undefined(text: str, used: Collection[str]) -> tuple[str, ...]:
    """Of the symbols `used`, those that neither the module nor the runtime nor the C library defines."""
    names = []
    for found in re.finditer(rf"^(?:declare .*?@({_NAME})\(|@({_NAME}) = external .*$)", text, re.M):
        name = found.group(1) or found.group(2)
        known = name.startswith("llvm.") or name in _RUNTIME or _in_c_library(name)
        if name in used and not known:
            names.append(name)
    return tuple(names)


def _in_c_library(name: str) -> bool:
    import ctypes
    import ctypes.util

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return False
    if name in ("memcpy", "memset", "memmove", "memcmp", "bcmp"):
        return True
    library = ctypes.util.find_library("m")
    return library is not None and hasattr(ctypes.CDLL(library), name)
