# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whether a family's YAML says what upstream says: sources, kernels, arguments, constants, params structs.

Every difference is a SpecError with the YAML's file and line that says what to write there. The table of host names is
compared in porter/parse/check_table.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from porter.errors import SpecError
from porter.model import KernelArgument, KernelTemplate, Sources
from porter.parse.check_table import table_problems
from porter.parse.file_facts import FileFacts
from porter.parse.part import Part, owned, takes
from porter.parse.wrong import kernel_key, wrong
from porter.spec import Family


def problems(family: Family, part: Part, sources: Sources, facts: Mapping[str, FileFacts]) -> list[SpecError]:
    """Everything in which the YAML and what the family's unit declares differ, most telling first."""
    found = [*_files(family, part, sources, facts)]
    if any(path in sources.files for path in family.sources_of_kernels):
        found += [*_kernels(family, part, sources), *_constants(family, part, sources)]
    found += _params(family, part, sources)
    if family.table in sources.files:
        found += table_problems(part.instantiations, family)
    else:
        found += _counts(family, part)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Files


def _files(family: Family, part: Part, sources: Sources, facts: Mapping[str, FileFacts]) -> Iterator[SpecError]:
    if family.table is not None and family.table in sources.files:
        yield from _includes(family, family.table, facts)
    defining = {kernel.location.file for kernel in part.kernels}
    for i, path in enumerate(family.sources_of_kernels):
        if path in sources.files and path not in defining:
            yield wrong(family, f"sources.kernels.{i}", f"{path} defines no kernel", "it under preamble, or not at all")
    instantiated = {row.template for row in part.instantiations}
    for kernel in part.kernels:
        if kernel.location.file not in family.sources_of_kernels and kernel.name in instantiated:
            what = f"upstream's table instantiates {kernel.name}, which {kernel.location.file} defines"
            yield wrong(family, "sources.kernels", what, f"sources.kernels that name {kernel.location.file}")


def _includes(family: Family, table: str, facts: Mapping[str, FileFacts]) -> Iterator[SpecError]:
    """Kernels are parsed and ported behind the YAML's preamble: it has to be the one that upstream compiles with."""
    included = list(_included(family, table, facts))
    own = [path for path in included if path in family.sources_of_kernels]
    preamble = [path for path in included if path not in family.sources_of_kernels]
    if [*preamble, *own] != included:
        what = f"{PurePosixPath(table).name} includes a preamble's file behind one of the family's kernels"
        yield wrong(family, "sources.kernels", what, f"in its order: {', '.join(included)}")
    elif preamble != list(family.preamble):
        what = f"{PurePosixPath(table).name} includes other files before its kernels, or in another order"
        yield wrong(family, "sources.preamble", what, f"preamble: [{', '.join(preamble)}]")
    elif own != [path for path in family.sources_of_kernels if path in included]:
        what = f"{PurePosixPath(table).name} includes its kernels in another order"
        yield wrong(family, "sources.kernels", what, f"kernels: [{', '.join(own)}]")


def _included(family: Family, table: str, facts: Mapping[str, FileFacts]) -> Iterator[str]:
    """What the table includes by its path; of a file that only includes kernels of the family (reduce.h), those."""
    for include in facts[table].includes:
        if include.angled:
            continue
        inner = [one.path for one in facts[include.path].includes] if include.path in facts else []
        if inner and facts[include.path].only_includes and set(inner) <= set(family.sources_of_kernels):
            yield from inner
        else:
            yield include.path


# ---------------------------------------------------------------------------------------------------------------------
# Kernels


def _kernels(family: Family, part: Part, sources: Sources) -> Iterator[SpecError]:
    upstream = owned(family, part)
    instantiated = {row.template for row in part.instantiations}
    for name in family.kernel_names:
        if name in upstream:
            yield from _arguments(family, upstream[name])
            wanted = family.table in sources.files and name not in instantiated
            if wanted and not family.kernel(name).on_demand:
                what = f"upstream's table instantiates no {name}"
                yield wrong(family, kernel_key(family, name), what, "on_demand: true in its row")
        else:
            what = f"no file of sources.kernels defines a kernel {name}"
            yield wrong(family, kernel_key(family, name), what, f"one of {', '.join(upstream) or 'none'}")
    for name, kernel in upstream.items():
        if name not in family.kernel_names:
            what = f"the kernel {name}, which upstream defines at {kernel.location}, is not described"
            yield wrong(family, "kernels", what, f"under kernels: {_spelled(kernel)}")


def buffers(kernel: KernelTemplate) -> dict[str, tuple[int, KernelArgument]]:
    """Name -> slot and argument of every buffer."""
    return {
        one.name: (one.slot, one)
        for one in kernel.arguments
        if one.slot is not None and one.attribute in ("buffer", None)
    }


def _arguments(family: Family, kernel: KernelTemplate) -> Iterator[SpecError]:
    upstream, key = buffers(kernel), kernel_key(family, kernel.name)
    ours = family.kernel(kernel.name).arguments
    row = key.rpartition(".names.")[0]
    for i, argument in enumerate(ours):
        place = f"{row}.arguments.{i}"
        if argument.name not in upstream:
            what = f"the kernel {kernel.name} has no buffer {argument.name}"
            yield wrong(family, place, what, f"one of {', '.join(upstream)}, as at {kernel.location}")
            continue
        slot, theirs = upstream[argument.name]
        if (slot, theirs.gate) != (argument.slot, argument.gate):
            what = f"{argument.name} of {kernel.name} has {_slot_and_gate(argument.slot, argument.gate)}"
            yield wrong(family, place, what, f"{_slot_and_gate(slot, theirs.gate)}, as at {theirs.location}")
        if theirs.is_const and argument.role in ("output", "inout"):
            what = f"{argument.name} of {kernel.name} is called an {argument.role}, and upstream reads it only"
            yield wrong(family, place, what, f"role: input (or params, shape, ...), as at {theirs.location}")
    for name, (slot, theirs) in upstream.items():
        if name not in [argument.name for argument in ours]:
            what = f"the buffer {name} of {kernel.name}, at {theirs.location}, is not described"
            yield wrong(family, key, what, _spelled_argument(name, slot, theirs))


def _slot_and_gate(slot: int, gate: str | None) -> str:
    return f"slot: {slot}" + (f", gate: {gate}" if gate else " and no gate")


def _spelled(kernel: KernelTemplate) -> str:
    """How the YAML describes it, but for the roles, which a person decides."""
    lines = [f"\n      - {_spelled_argument(name, slot, one)}" for name, (slot, one) in buffers(kernel).items()]
    return f"\n  - names: [{kernel.name}]\n    arguments:{''.join(lines) or ' []'}"


def _spelled_argument(name: str, slot: int, argument: KernelArgument) -> str:
    role = "a role that reads" if argument.is_const else "output or inout"
    gate = f", gate: {argument.gate}, dummy: what the host binds" if argument.gate else ""
    return f"{{ name: {name}, slot: {slot}, role: <{role}>{gate} }}"


# ---------------------------------------------------------------------------------------------------------------------
# Constants and params structs


def _constants(family: Family, part: Part, sources: Sources) -> Iterator[SpecError]:
    upstream = {one.name: one for one in part.constants}
    for i, constant in enumerate(family.constants):
        theirs = upstream.get(constant.name)
        if theirs is None:
            what = f"upstream has no function constant {constant.name}"
            yield wrong(family, f"constants.{i}", what, f"one of {', '.join(upstream) or 'none'}")
        elif (theirs.index, theirs.type) != (constant.index, constant.type):
            what = f"{constant.name} is {constant.type} with index {constant.index}"
            yield wrong(
                family, f"constants.{i}", what, f"{theirs.type} with index {theirs.index}, as at {theirs.location}"
            )
        else:
            for name in _readers(constant.name, family, part, sources):
                if name in family.kernel_names and name not in constant.kernels:
                    what = f"the kernel {name} reads {constant.name}, and is not among the constant's kernels"
                    yield wrong(family, f"constants.{i}", what, f"kernels: [{', '.join((*constant.kernels, name))}]")
    for name, theirs in upstream.items():
        if name not in [constant.name for constant in family.constants]:
            what = f"the function constant {name} at {theirs.location} is not lowered"
            spelled = f"{{ name: {name}, index: {theirs.index}, lower: <template with suffix, or define>"
            kind = "" if theirs.type == "bool" else f", type: {theirs.type}"
            yield wrong(family, "constants", what, f"under constants: {spelled}{kind} }}")


def _readers(constant: str, family: Family, part: Part, sources: Sources) -> list[str]:
    """The kernels that name the constant themselves; which functions do, the code ring finds out."""
    found = []
    for kernel in owned(family, part).values():
        lines = sources.files[kernel.location.file].text.split("\n")[kernel.location.line - 1 : kernel.end.line]
        code = re.sub(r"//[^\n]*|/\*.*?\*/", "", "\n".join(lines), flags=re.S)
        if re.search(rf"\b{constant}\b", code):
            found.append(kernel.name)
    return found


def _params(family: Family, part: Part, sources: Sources) -> Iterator[SpecError]:
    complete = all(path in sources.files for path in family.sources_of_kernels)
    found = [struct.name for struct in part.params]
    for i, name in enumerate(family.params):
        if name not in found and complete:
            what = f"upstream defines no struct {name}"
            yield wrong(family, f"params.{i}", what, ", ".join(sorted(found)) or "a struct in a params.h")


def _counts(family: Family, part: Part) -> Iterator[SpecError]:
    """How many template arguments the tables give, where there is no upstream table to compare them with."""
    upstream = owned(family, part)
    for i, table in enumerate(family.tables):
        kernel = upstream.get(table.kernel)
        if kernel is not None and not takes(kernel, len(table.arguments)):
            expected = ", ".join(f"{one.kind} {one.name}" for one in kernel.parameters) or "none"
            what = f"{kernel.name} takes other template parameters"
            yield wrong(family, f"host_names.tables.{i}.arguments", what, expected)
