# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which kernels a source offers under which host names, and the C++ that lets the runtime call them.

Explicit instantiations often come from macros, so they are looked for after preprocessing. Each asked for is replaced,
on its own line and in its own scope, by an *entry*: a C function that takes the arguments the runtime has
(runtime/kernel_abi.h) and calls the kernel. The others are dropped, so that they cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from porter.errors import MetalError
from porter.metal.frontend import KernelArgumentDeclaration, KernelDeclaration

# What `MSL_IHOST(...)` is defined as for the preprocessing that this module reads.
MARKER = "MSL_INSTANTIATION"

_PLACES = {
    "thread_position_in_grid",
    "threadgroup_position_in_grid",
    "thread_position_in_threadgroup",
    "threads_per_grid",
    "threads_per_threadgroup",
    "dispatch_threads_per_threadgroup",
    "threadgroups_per_grid",
    "thread_index_in_threadgroup",
    "thread_index_in_simdgroup",
    "simdgroup_index_in_threadgroup",
    "thread_index_in_quadgroup",
    "quadgroup_index_in_threadgroup",
    "threads_per_simdgroup",
    "simdgroups_per_threadgroup",
}


@dataclass(frozen=True)
class Entry:
    """A kernel under its host name. `callee` names it in C++ (`gemm<float, 64>`); `index` counts a module's entries."""

    host_name: str
    callee: str
    kernel: KernelDeclaration
    index: int

    @property
    def symbol(self) -> str:
        return f"msl_entry_{self.index}"

    @property
    def buffers(self) -> tuple[KernelArgumentDeclaration, ...]:
        return tuple(argument for argument in self.kernel.arguments if argument.attribute == "buffer")


@dataclass(frozen=True)
class _Instantiation:
    start: int
    end: int
    host_name: str
    callee: str


def host_names(preprocessed: str, kernels: Sequence[KernelDeclaration]) -> tuple[str, ...]:
    """Every host name of the source: its instantiations in order, then its plain kernels."""
    instantiated = [found.host_name for found in _instantiations(preprocessed)]
    return (*instantiated, *(_plain_name(kernel) for kernel in kernels if not kernel.parameters))


def with_entries(
    preprocessed: str, kernels: Sequence[KernelDeclaration], wanted: Collection[str] | None
) -> tuple[str, tuple[Entry, ...]]:
    """The source with an entry for each kernel in `wanted` (None: for all), and the entries.

    Raises MetalError where a wanted name is not there, stands twice, or names a kernel that cannot be run.
    """
    by_name = {kernel.name: kernel for kernel in kernels}
    entries: list[Entry] = []
    pieces, position = [], 0
    for found in _instantiations(preprocessed):
        pieces.append(preprocessed[position : found.start])
        position = found.end
        if wanted is None or found.host_name in wanted:
            template = by_name.get(found.callee.split("<", 1)[0].strip().rsplit("::", 1)[-1])
            if template is None:
                raise MetalError(f"{found.host_name} instantiates {found.callee}, which is no kernel of this source")
            entries.append(Entry(found.host_name, found.callee, template, len(entries)))
            pieces.append(_entry_text(entries[-1]))
        # What follows keeps its line.
        pieces.append("\n" * preprocessed.count("\n", found.start, found.end))
    pieces.append(preprocessed[position:])
    for kernel in kernels:
        name = _plain_name(kernel)
        if not kernel.parameters and (wanted is None or name in wanted):
            entries.append(Entry(name, "::" + kernel.qualified_name, kernel, len(entries)))
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
            shown = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
            raise MetalError(f"the source has no kernel {name}", expected=f"one of {len(known)}: {shown}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MetalError(f"two kernels have one host name: {', '.join(twice)}")


def _plain_name(kernel: KernelDeclaration) -> str:
    return kernel.host_name or kernel.name


# ---------------------------------------------------------------------------------------------------------------------
# Finding instantiations


def _instantiations(preprocessed: str) -> list[_Instantiation]:
    found = []
    for head in re.finditer(rf"\btemplate\s+{MARKER}\s*\(((?:\s*\"[^\"]*\")+)\s*\)", preprocessed):
        name = "".join(re.findall(r'"([^"]*)"', head.group(1)))
        end = preprocessed.index(";", head.end())
        found.append(_Instantiation(head.start(), end + 1, name, _callee(preprocessed[head.end() : end])))
    return found


def _callee(declaration: str) -> str:
    """`f<float>` of `decltype(f<float>) f<float>` or of `void f<float>(device float* x, ...)`."""
    text = re.sub(r"\[\[.*?\]\]", "", declaration, flags=re.S).strip()
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    if text.startswith("decltype"):
        text = text[_closing(text, text.index("("), "()") + 1 :].strip()
    else:
        text = re.sub(r"^void\b", "", text).strip()
    if "<" in text:
        text = text[: _closing(text, text.index("<"), "<>") + 1]
    return " ".join(text.split())


def _closing(text: str, opening: int, pair: str) -> int:
    """Where the bracket at `opening` closes. Angle brackets inside parentheses are operators."""
    depth, inner = 0, 0
    for position in range(opening, len(text)):
        character = text[position]
        if pair == "<>" and character in "()":
            inner += 1 if character == "(" else -1
        elif inner == 0 and character in pair:
            depth += 1 if character == pair[0] else -1
            if depth == 0:
                return position
    raise MetalError(f"an instantiation does not close its bracket: {text[:80]}")


# ---------------------------------------------------------------------------------------------------------------------
# Writing entries


def _entry_text(entry: Entry) -> str:
    """One line of C++: the entry, and two constants that `lowering` reads off the compiled module."""
    signature = f"decltype({entry.callee})"
    arguments = [_value(entry, i, argument) for i, argument in enumerate(entry.kernel.arguments)]
    slots = [i for i, argument in enumerate(entry.kernel.arguments) if argument.attribute == "buffer"]
    sizes = [f"msl_pointee_size<msl_parameter_t<{signature}, {i}>>()" for i in slots] or ["0"]
    return (
        f'extern "C" __attribute__((used, visibility("hidden"))) void {entry.symbol}(void* const* msl_buffers, '
        f"char* msl_memory, const msl_thread* msl_here) {{ using msl_signature = {signature}; "
        f"{entry.callee}({', '.join(arguments)}); }} "
        f'extern "C" __attribute__((used)) const uint32_t msl_limit_{entry.index} = {_limit(entry)}; '
        f'extern "C" __attribute__((used)) const uint32_t msl_sizes_{entry.index}[] = {{{", ".join(sizes)}}};'
    )


def _value(entry: Entry, index: int, argument: KernelArgumentDeclaration) -> str:
    parameter = f"msl_parameter_t<msl_signature, {index}>"
    if argument.gate is not None:
        raise _cannot_run(
            entry, argument, f"is gated by the function constant {argument.gate}, which has no value here"
        )
    if argument.attribute == "buffer" and argument.slot is not None:
        return f"msl_buffer<{parameter}>(msl_buffers[{argument.slot}])"
    if argument.attribute in _PLACES:
        return f"msl_place<{parameter}>(msl_here->{argument.attribute})"
    if argument.attribute == "threadgroup":
        raise _cannot_run(entry, argument, "is threadgroup memory whose size the host sets, which is not supported yet")
    shown = f"[[{argument.attribute}]]" if argument.attribute else "no attribute"
    raise _cannot_run(entry, argument, f"has {shown}, which is not supported")


def _cannot_run(entry: Entry, argument: KernelArgumentDeclaration, why: str) -> MetalError:
    return MetalError(
        f"kernel {entry.host_name} cannot be run: its argument {argument.name} {why}",
        where=f"{SOURCE_NAME}:{argument.line}",
    )


# What the user's source is called in messages.
SOURCE_NAME = "source.metal"


def _limit(entry: Entry) -> str:
    """The thread limit, evaluated with the instantiation's template arguments; 0 where the kernel states none."""
    kernel = entry.kernel
    if kernel.thread_limit is None:
        return "0"
    if not kernel.parameters:
        return f"({kernel.thread_limit})"
    parameters = ", ".join(
        f"{one.kind} {one.name}" + (f" = {one.default}" if one.default else "") for one in kernel.parameters
    )
    arguments = entry.callee[entry.callee.index("<") :]
    body = f"return uint32_t({kernel.thread_limit});"
    return f"[]<{parameters}>() constexpr -> uint32_t {{ {body} }}.template operator(){arguments}()"
