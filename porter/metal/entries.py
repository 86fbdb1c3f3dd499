# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which kernels a source offers under which host names, and the C++ that lets the runtime call them.

Each explicit instantiation asked for (`instantiations`) is replaced, on its own line and in its own scope, by an
*entry*: a C function that takes the arguments the runtime has (runtime/kernel_abi.h) and calls the kernel. The others
are dropped, so that they cost nothing. Function constants get their values (`function_constants`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from porter.errors import MetalError
from porter.metal.frontend import KernelArgumentDeclaration, KernelDeclaration
from porter.metal.function_constants import SOURCE_NAME, Value, condition, with_values
from porter.metal.instantiations import MARKER, instantiations, kernel_of, visible_name
from porter.metal.names import nearest

__all__ = ["MARKER", "SOURCE_NAME", "Entry", "host_names", "with_entries"]

# What an argument with each attribute is given, in terms of the runtime's record of a thread (msl/msl_entry).
_PLACES = {
    "thread_position_in_grid": "msl_here->thread_position_in_grid",
    "threadgroup_position_in_grid": "msl_here->threadgroup_position_in_grid",
    "thread_position_in_threadgroup": "msl_here->thread_position_in_threadgroup",
    "threads_per_grid": "msl_here->threads_per_grid",
    "threads_per_threadgroup": "msl_here->threads_per_threadgroup",
    "dispatch_threads_per_threadgroup": "msl_here->dispatch_threads_per_threadgroup",
    "threadgroups_per_grid": "msl_here->threadgroups_per_grid",
    "grid_origin": "msl_grid_origin",
    "thread_index_in_threadgroup": "msl_here->thread_index_in_threadgroup",
    "thread_index_in_simdgroup": "msl_here->thread_index_in_simdgroup",
    "simdgroup_index_in_threadgroup": "msl_here->simdgroup_index_in_threadgroup",
    "thread_index_in_quadgroup": "msl_here->thread_index_in_quadgroup",
    "quadgroup_index_in_threadgroup": "msl_here->quadgroup_index_in_threadgroup",
    "threads_per_simdgroup": "msl_here->threads_per_simdgroup",
    "simdgroups_per_threadgroup": "msl_here->simdgroups_per_threadgroup",
    "quadgroups_per_threadgroup": "msl_groups(msl_here->threads_per_threadgroup, 4)",
    "dispatch_simdgroups_per_threadgroup": "msl_groups(msl_here->dispatch_threads_per_threadgroup, MSL_SIMD_WIDTH)",
    "dispatch_quadgroups_per_threadgroup": "msl_groups(msl_here->dispatch_threads_per_threadgroup, 4)",
}


@dataclass(frozen=True)
class Entry:
    """A kernel under its host name.

    `callee` names it in C++ (`gemm<float, 64>`), `signature` is its type there; `index` counts a module's entries.
    `absent` are the names of those arguments that a function constant takes away.
    """

    host_name: str
    callee: str
    kernel: KernelDeclaration
    index: int
    signature: str
    absent: frozenset[str] = frozenset()

    @property
    def symbol(self) -> str:
        return f"msl_entry_{self.index}"

    @cached_property
    def arguments(self) -> tuple[KernelArgumentDeclaration, ...]:
        """All of its arguments; buffers and threadgroup memory have their slots, also where none is written."""
        return _with_slots(self.kernel.arguments)

    @property
    def bound(self) -> tuple[KernelArgumentDeclaration, ...]:
        """What the host binds: `attribute` is `buffer` or `threadgroup`, `slot` its index. In the order of the constant
        `msl_sizes_<index>`: buffers, then threadgroup memory."""
        return (*self.buffers, *self._present("threadgroup"))

    @property
    def buffers(self) -> tuple[KernelArgumentDeclaration, ...]:
        return self._present("buffer")

    def _present(self, attribute: str) -> tuple[KernelArgumentDeclaration, ...]:
        return tuple(one for one in self.arguments if one.attribute == attribute and one.name not in self.absent)


def host_names(preprocessed: str, kernels: Sequence[KernelDeclaration]) -> tuple[str, ...]:
    """Every host name of the source: its instantiations in order, then its plain kernels."""
    instantiated = [found.host_name for found in instantiations(preprocessed)]
    return (*instantiated, *(_plain_name(kernel) for kernel in kernels if not kernel.parameters))


def with_entries(
    preprocessed: str,
    kernels: Sequence[KernelDeclaration],
    wanted: Collection[str] | None,
    constants: Mapping[str | int, Value] | None = None,
) -> tuple[str, tuple[Entry, ...]]:
    """The source with an entry for each kernel in `wanted` (None: for all), and the entries.

    `constants` are values of function constants, by name or by index. Raises MetalError where a wanted name is not
    there, stands twice, or names a kernel that cannot be run, and where a constant is not there or takes no such value.
    """
    text, declared = with_values(preprocessed, constants)

    def entry(host_name: str, callee: str, kernel: KernelDeclaration, signature: str) -> Entry:
        made = Entry(host_name, callee, kernel, len(entries), signature)
        gates = {one.name: one.gate for one in kernel.arguments if one.gate is not None}
        values = {name: condition(gate.rsplit("::", 1)[-1].strip(), text, declared) for name, gate in gates.items()}
        for argument in kernel.arguments:
            if argument.gate is not None and values[argument.name] is None:
                what = f"is gated by the function constant {argument.gate}, which has no value here"
                raise _cannot_run(made, argument, what)
        return replace(made, absent=frozenset(name for name, value in values.items() if not value))

    entries: list[Entry] = []
    pieces, position = [], 0
    for found in instantiations(text):
        pieces.append(text[position : found.start])
        position = found.end
        if wanted is None or found.host_name in wanted:
            kernel = kernel_of(found, kernels)
            signature = f"decltype({found.callee})" if found.arguments is None else f"void({found.arguments})"
            entries.append(entry(found.host_name, found.callee, kernel, signature))
            pieces.append(_entry_text(entries[-1]))
        # What follows keeps its line.
        pieces.append("\n" * text.count("\n", found.start, found.end))
    pieces.append(text[position:])
    for kernel in kernels:
        name = _plain_name(kernel)
        if not kernel.parameters and (wanted is None or name in wanted):
            callee = "::" + visible_name(kernel)
            entries.append(entry(name, callee, kernel, f"decltype({callee})"))
            pieces.append("\n" + _entry_text(entries[-1]))
    _check(entries, preprocessed, kernels, wanted)
    return "".join(pieces) + "\n", tuple(entries)


def _check(
    entries: Sequence[Entry], preprocessed: str, kernels: Sequence[KernelDeclaration], wanted: Collection[str] | None
) -> None:
    names = [entry.host_name for entry in entries]
    for name in wanted or ():
        if name not in names:
            known = host_names(preprocessed, kernels)
            raise MetalError(f"the source has no kernel {name}", expected=nearest(name, known))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MetalError(f"two kernels have one host name: {', '.join(twice)}")


def _plain_name(kernel: KernelDeclaration) -> str:
    return kernel.host_name or kernel.name


# ---------------------------------------------------------------------------------------------------------------------
# Slots

_KINDS = {"device": "buffer", "constant": "buffer", "threadgroup": "threadgroup"}


def _with_slots(arguments: Sequence[KernelArgumentDeclaration]) -> tuple[KernelArgumentDeclaration, ...]:
    """A pointer or reference without an index takes the lowest that no other has (specification, section 5.2.1)."""
    taken = {(one.attribute, one.slot) for one in arguments}
    result = []
    for argument in arguments:
        kind = _KINDS.get(argument.address_space or "")
        if argument.attribute is None and kind is not None:
            slot = next(slot for slot in range(len(arguments) + len(taken)) if (kind, slot) not in taken)
            taken.add((kind, slot))
            argument = replace(argument, attribute=kind, slot=slot)
        result.append(argument)
    return tuple(result)


# ---------------------------------------------------------------------------------------------------------------------
# Writing entries


def _entry_text(entry: Entry) -> str:
    """One line of C++: the entry, and two constants that are read off the compiled module."""
    signature = f"msl_signature_{entry.index}"
    values = ", ".join(_value(entry, i, argument) for i, argument in enumerate(entry.arguments))
    places = {argument.name: i for i, argument in enumerate(entry.arguments)}
    sizes = [f"msl_pointee_size<msl_parameter_t<{signature}, {places[one.name]}>>()" for one in entry.bound] or ["0"]
    return (
        f"using {signature} = {entry.signature}; "
        f'extern "C" __attribute__((used, visibility("hidden"))) void {entry.symbol}(void* const* msl_buffers, '
        f"char* msl_memory, const msl_thread* msl_here) {{ static_cast<{signature}*>(&{entry.callee})({values}); }} "
        f'extern "C" __attribute__((used)) const uint32_t msl_limit_{entry.index} = {_limit(entry)}; '
        f'extern "C" __attribute__((used)) const uint32_t msl_sizes_{entry.index}[] = {{{", ".join(sizes)}}};'
    )


def _value(entry: Entry, index: int, argument: KernelArgumentDeclaration) -> str:
    parameter = f"msl_parameter_t<msl_signature_{entry.index}, {index}>"
    if argument.attribute in ("buffer", "threadgroup"):
        if argument.slot is None:
            raise _cannot_run(entry, argument, f"has an index of [[{argument.attribute}]] that is not a number")
        if argument.name in entry.absent:
            return f"msl_absent<{parameter}>()"
        base = "" if argument.attribute == "buffer" else "MSL_MAX_BUFFERS + "
        return f"msl_buffer<{parameter}>(msl_buffers[{base}{argument.slot}])"
    if argument.attribute in _PLACES:
        return f"msl_place<{parameter}>({_PLACES[argument.attribute]})"
    shown = f"[[{argument.attribute}]]" if argument.attribute else "no attribute"
    raise _cannot_run(entry, argument, f"has {shown}, which is not supported")


def _cannot_run(entry: Entry, argument: KernelArgumentDeclaration, why: str) -> MetalError:
    return MetalError(
        f"kernel {entry.host_name} cannot be run: its argument {argument.name} {why}",
        where=f"{SOURCE_NAME}:{argument.line}",
    )


def _limit(entry: Entry) -> str:
    """The thread limit, evaluated with the instantiation's template arguments; 0 where the kernel states none."""
    kernel = entry.kernel
    if kernel.thread_limit is None:
        return "0"
    if not kernel.parameters:
        return f"({kernel.thread_limit})"
    if "<" not in entry.callee:
        raise MetalError(
            f"kernel {entry.host_name} limits its threads by {kernel.thread_limit}, and its instantiation does not say "
            "its template arguments",
            where=f"{SOURCE_NAME}:{kernel.line}",
            expected=f"{entry.callee}<...>",
        )
    parameters = ", ".join(
        f"{one.kind} {one.name}" + (f" = {one.default}" if one.default else "") for one in kernel.parameters
    )
    arguments = entry.callee[entry.callee.index("<") :]
    body = f"return uint32_t({kernel.thread_limit});"
    return f"[]<{parameters}>() constexpr -> uint32_t {{ {body} }}.template operator(){arguments}()"
