# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sanitizer mode: every access to memory that is not a thread's own is checked before it happens.

`instrument` works on LLVM IR before the optimiser has seen it (it may drop an access whose value nobody needs, which is
out of bounds all the same), but after locals have become values, so that hardly any access of a thread's own memory is
left. It inserts calls of the checks in runtime/check.h, gives threadgroup variables places of their own, and writes a
table that says what each check's *site* is: a line of the source, or the instruction where there is no source.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from porter.metal.frontend import RUNTIME, SHIM
from porter.metal.ir_text import NAME, Frame, Locations, Types, c_string, closing, leading_type, pointer, split

# The table's symbol, of a msl_check_table (runtime/check.h).
TABLE = "msl_check_table"

CHECKS = frozenset(
    {"msl_check_access", "msl_check_constant", "msl_check_variable", "msl_check_barrier", "msl_check_simdgroup_barrier"}
)

# runtime/check.h
_READ, _WRITE, _ATOMIC, _COPY = 1, 2, 4, 8
# MSL's mem_flags: a barrier that does not say orders both.
_ALL_MEMORY = 3

_DECLARATIONS = """
declare void @msl_check_access(ptr, i64, i32, i32) nounwind
declare void @msl_check_constant(ptr, i64, i32, i32) nounwind
declare ptr @msl_check_variable(ptr, i32) nounwind willreturn memory(none)
declare void @msl_check_barrier(i32, i32) nounwind
declare void @msl_check_simdgroup_barrier(i32, i32) nounwind
"""

_FUNCTION = re.compile(rf"^define\b.*?@({NAME})\(.*?^\}}\n", re.M | re.S)
_LINKAGE = re.compile(
    r"^define (?:(?:private|internal|linkonce|weak|linkonce_odr|weak_odr|hidden|protected|dso_local) )*"
)
_RESULT = re.compile(rf"^\s*(%{NAME}) = (.*)$")
_ACCESS = re.compile(rf"^\s*(?:%{NAME} = )?(load|store|atomicrmw|cmpxchg) ((?:atomic |volatile |weak )*)(.*)$")
_MEMORY_CALL = re.compile(r"\bcall void @llvm\.mem(cpy|move|set)(?:\.inline)?\.[\w.]+\(")
_BARRIER = re.compile(r"\bcall void @msl_(threadgroup|simdgroup)_barrier\((.*?)\)")
_THREAD_LOCAL = re.compile(rf"^@({NAME}) = .*\bthread_local\b.*?\b(?:global|constant) (.*)$", re.M)
_GLOBAL = re.compile(rf"^@({NAME}) = (?!.*\bthread_local\b)(?!external )(?:[\w()]+ )*(?:constant|global) (.*)$", re.M)
# An address that is a number: null, or a field of what a null pointer points to.
_NOWHERE = re.compile(r"null|inttoptr \(i64 \d+ to ptr\)|getelementptr [\w ]*\(.*\bptr null,.*\)")
# Instructions that do nothing but compute a value.
_COMPUTES = re.compile(
    r"(?:add|sub|mul|[us]div|[us]rem|f(?:add|sub|mul|div|rem|neg)|shl|[la]shr|and|or|xor|[if]cmp|select|phi|freeze|"
    r"trunc|[zs]ext|fptrunc|fpext|[us]itofp|fpto[us]i|bitcast|ptrtoint|inttoptr|getelementptr|extract\w+|insert\w+|"
    r"shufflevector)\b"
)
_ADDRESS_CALL = re.compile(
    rf"^(\s*)(%{NAME})( = (?:tail |notail )?call [^@]*@llvm\.threadlocal\.address[\w.]*\(ptr [^@]*@({NAME})\).*)$"
)


@dataclass(frozen=True)
class Instrumented:
    """The IR with checks and the table, and what its sites are called."""

    ir: str
    sites: tuple[str, ...]


@dataclass
class _Module:
    """What is known of a module, and the sites found so far."""

    types: Types
    locations: Locations
    variables: dict[str, int]
    """Threadgroup variables, and their places in the table."""
    constants: dict[str, int]
    entries: frozenset[str]
    sites: dict[str, int] = field(default_factory=dict)
    inserted: int = 0

    def site(self, text: str) -> int:
        return self.sites.setdefault(text, len(self.sites))


def instrument(ir: str, entries: Iterable[str]) -> Instrumented:
    """Insert checks into a module of which `entries` are the symbols of its entries (KernelUnit.ir, not optimised)."""
    ir = _prepared(ir, frozenset(entries))
    variables = _objects(_THREAD_LOCAL, ir)
    constants = _objects(_GLOBAL, ir)
    module = _Module(
        Types(ir),
        Locations(ir),
        {name: index for index, name in enumerate(variables)},
        {name: index for index, name in enumerate(constants)},
        frozenset(entries),
    )
    text = _FUNCTION.sub(lambda found: _Function(module, found[1], found[0]).instrumented(), _without_promises(ir))
    text = _without_locations(text)
    table = _table(module, variables, constants)
    return Instrumented(f"{text}\n{table}{_DECLARATIONS}", tuple(module.sites))


# ---------------------------------------------------------------------------------------------------------------------
# Before: locals become values


def _prepared(ir: str, entries: frozenset[str]) -> str:
    """The IR with every function inlined that can be, locals as values, and without what constants rule out."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    module = llvm.parse_assembly(_inlined(ir, entries))
    machine = llvm.Target.from_default_triple().create_target_machine()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
    passes: Any = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_sroa_pass()
    passes.add_sccp_pass()  # function constants decide what is reached
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return str(module)


def _inlined(ir: str, entries: frozenset[str]) -> str:
    """Ask for inlining of every function that is no entry and does not refuse it; it goes where nobody calls it."""
    refusing = {
        found[1]
        for found in re.finditer(r"^attributes #(\d+) = \{(.*)\}$", ir, re.M)
        if re.search(r"\b(?:noinline|optnone|alwaysinline)\b", found[2])
    }

    def ask(found: re.Match[str]) -> str:
        line = found.group()
        if found[1] not in entries:
            line = _LINKAGE.sub("define internal ", line)
        head = closing(line, line.index("(", line.index(f"@{found[1]}"))) + 1
        head += re.match(r"(?: (?:local_)?unnamed_addr)?", line[head:]).end()  # type: ignore[union-attr]
        rest = line[head:]
        refuses = bool(refusing.intersection(re.findall(r"#(\d+)", rest))) or "inline" in rest or "optnone" in rest
        # An access through a null pointer is to be reported, not to be used as a promise that it does not happen.
        wanted = " null_pointer_is_valid" + ("" if refuses or found[1] in entries else " alwaysinline")
        return f"{line[:head]}{wanted}{rest}"

    return re.sub(rf"^define\b.*?@({NAME})\(.*$", ask, ir, flags=re.M)


def _without_promises(ir: str) -> str:
    """Drop from functions what they promise about memory: with checks in them it is not true any more."""
    groups = set(re.findall(r"#(\d+)", "\n".join(re.findall(r"^define\b.*$", ir, re.M))))

    def drop(found: re.Match[str]) -> str:
        if found[1] not in groups:
            return found.group()
        return re.sub(r"\b(?:memory\([^)]*\)|willreturn|nosync|nofree|norecurse|speculatable)", "", found.group())

    return re.sub(r"^attributes #(\d+) = .*$", drop, ir, flags=re.M)


def _without_locations(ir: str) -> str:
    """Drop debug locations: sites have them now, and `lowering` reads lines as the compiler writes them without."""
    ir = re.sub(r",? !dbg !\d+", "", ir)
    return re.sub(r"^\s+#dbg_\w+\(.*\n", "", ir, flags=re.M)


def _objects(pattern: re.Pattern[str], ir: str) -> dict[str, str]:
    """The types of the globals that `pattern` finds."""
    return {found[1]: leading_type(found[2]) for found in pattern.finditer(ir) if not found[1].startswith("llvm.")}


# ---------------------------------------------------------------------------------------------------------------------
# One function


class _Function:
    def __init__(self, module: _Module, name: str, text: str) -> None:
        self._module = module
        self._name = name
        self._lines = text.splitlines()
        self._definitions = {found[1]: found[2] for line in self._lines if (found := _RESULT.match(line))}
        self._own = self._own_arguments()

    def instrumented(self) -> str:
        lines: list[str] = []
        for line in self._lines:
            lines += self._checks(line)
            lines += self._moved(line)
        return "\n".join(lines) + "\n"

    def _own_arguments(self) -> frozenset[str]:
        """The arguments of an entry that point to the runtime's own memory: what is bound, and the thread's place."""
        if self._name not in self._module.entries:
            return frozenset()
        head = self._lines[0]
        start = head.index("(", head.index(f"@{self._name}"))
        arguments = split(head[start + 1 : closing(head, start)])
        named = [re.search(rf"%{NAME}$", one) for one in arguments]
        names = [found.group() if found else f"%{index}" for index, found in enumerate(named)]
        return frozenset({names[0], names[2]})

    def _moved(self, line: str) -> list[str]:
        """`line`; an address of a threadgroup variable becomes that of its place in this mode."""
        found = _ADDRESS_CALL.match(line)
        if found is None or found[4] not in self._module.variables:
            return [line]
        laid_out = self._new_value()
        call = f"call ptr @msl_check_variable(ptr {laid_out}, i32 {self._module.variables[found[4]]})"
        return [f"{found[1]}{laid_out}{found[3]}", f"{found[1]}{found[2]} = {call}"]

    def _new_value(self) -> str:
        self._module.inserted += 1
        return f"%msl.check.{self._module.inserted}"

    # --- checks ---

    def _checks(self, line: str) -> list[str]:
        if found := _ACCESS.match(line):
            return self._access(line, found[1], found[2], found[3])
        if found := _MEMORY_CALL.search(line):
            return self._memory_call(line, found[1], found.end() - 1)
        if found := _BARRIER.search(line):
            flags = found[2].split()[-1] if found[2] else str(_ALL_MEMORY)
            prefix = "" if found[1] == "threadgroup" else "simdgroup_"
            return [f"  call void @msl_check_{prefix}barrier(i32 {flags}, i32 {self._site(line, None)})"]
        return []

    def _access(self, line: str, operation: str, qualifiers: str, rest: str) -> list[str]:
        parts = split(rest)
        if operation == "load":
            target, kind, flags = parts[1], leading_type(parts[0]), _READ
        elif operation == "store":
            target, kind, flags = parts[1], leading_type(parts[0]), _WRITE
        else:
            target, kind, flags = parts[0], leading_type(parts[1]), _READ | _WRITE | _ATOMIC
        if "atomic" in qualifiers:
            flags |= _ATOMIC
        return self._check(line, pointer(target), str(self._module.types.size(kind)), flags)

    def _memory_call(self, line: str, operation: str, opening: int) -> list[str]:
        arguments = split(line[opening + 1 : closing(line, opening)])
        kind, size = arguments[2].split()[0], arguments[2].split()[-1]
        lines = []
        if kind != "i64" and size.startswith("%"):
            wide = self._new_value()
            lines.append(f"  {wide} = zext {kind} {size} to i64")
            size = wide
        if operation != "set":
            lines += self._check(line, pointer(arguments[1]), size, _READ | _COPY)
        return lines + self._check(line, pointer(arguments[0]), size, _WRITE | _COPY)

    def _check(self, line: str, address: str, size: str, flags: int) -> list[str]:
        if _NOWHERE.fullmatch(address) and self._is_unused(line):
            return []
        roots = self._roots(address, set())
        if roots and roots <= {"own"}:
            return []
        site = self._site(line, address)
        constants = self._module.constants
        if len(roots) == 1 and (root := next(iter(roots))) in constants:
            return [f"  call void @msl_check_constant(ptr {address}, i64 {size}, i32 {constants[root]}, i32 {site})"]
        return [f"  call void @msl_check_access(ptr {address}, i64 {size}, i32 {flags}, i32 {site})"]

    def _is_unused(self, line: str) -> bool:
        """Whether what `line` loads has no part in anything.

        Apple's compiler reads arguments that a function constant gates before it asks the constant: where that says
        they are not there, the read is from nowhere and for nobody.
        """
        found = _RESULT.match(line)
        todo, seen = [found[1]] if found else [], set[str]()
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            for user in self._users[value]:
                result = _RESULT.match(user)
                if result is None or not _COMPUTES.match(result[2]):
                    return False
                todo.append(result[1])
        return found is not None

    @cached_property
    def _users(self) -> Mapping[str, list[str]]:
        """The lines that use each value."""
        users: dict[str, list[str]] = defaultdict(list)
        for line in self._lines:
            for value in set(re.findall(rf"%{NAME}", line.split(" = ", 1)[-1])):
                users[value].append(line)
        return users

    def _roots(self, value: str, seen: set[str]) -> set[str]:
        """What `value` may point into: "own" (this thread's memory or the runtime's), a global, or "unknown"."""
        if value in seen:
            return set()
        seen.add(value)
        if value in self._own:
            return {"own"}
        if not value.startswith("%"):
            found = re.search(rf"@({NAME})", value)
            return {found[1]} if found else {"unknown"}
        definition = self._definitions.get(value, "")
        if definition.startswith("alloca "):
            return {"own"}
        if definition.startswith("getelementptr "):
            return self._roots(pointer(definition), seen)
        if definition.startswith("phi ptr "):
            return self._roots_of(re.findall(rf"\[ (%{NAME}|@{NAME}|[^\[\]]*?), %{NAME} \]", definition), seen)
        if definition.startswith("select "):
            return self._roots_of([pointer(part) for part in split(definition)[1:3] if part.startswith("ptr ")], seen)
        return {"unknown"}

    def _roots_of(self, values: Iterable[str], seen: set[str]) -> set[str]:
        return set().union(*(self._roots(value, seen) for value in values)) or {"unknown"}

    # --- sites ---

    def _site(self, line: str, address: str | None) -> int:
        frames = self._module.locations.frames(line)
        return self._module.site(_place(frames) if frames else self._instruction(line, address))

    def _instruction(self, line: str, address: str | None) -> str:
        text = f"instruction `{_bare(line)}` of {self._name}"
        definition = self._definitions.get(address or "")
        return f"{text}, where {address} = {_bare(definition)}" if definition else text


def _bare(line: str) -> str:
    """An instruction without its metadata."""
    return re.sub(r",? ![\w.]+ !\d+", "", line).strip()


def _place(frames: tuple[Frame, ...]) -> str:
    """The innermost place in the user's own source, and what called it."""
    users = [one for one in frames if not _is_ours(one)]
    first, *callers = users or frames
    text = f"{first} in {first.function}" if first.function else str(first)
    return text + "".join(f", called at {caller}" for caller in callers)


def _is_ours(frame: Frame) -> bool:
    file = PurePosixPath(frame.folder) / frame.file
    return file.is_relative_to(SHIM) or file.is_relative_to(RUNTIME) or frame.function.startswith("msl_entry_")


# ---------------------------------------------------------------------------------------------------------------------
# The table


def _table(module: _Module, variables: Mapping[str, str], constants: Mapping[str, str]) -> str:
    """The msl_check_table of the module (runtime/check.h), and the strings in it."""
    strings: list[str] = []

    def string(text: str) -> str:
        size, spelled = c_string(text)
        name = f"@msl.check.text.{len(strings)}"
        strings.append(f"{name} = private unnamed_addr constant [{size} x i8] {spelled}\n")
        return f"ptr {name}"

    def array(name: str, kind: str, rows: list[str]) -> str:
        strings.append(f"@msl.check.{name} = private constant [{len(rows)} x {kind}] [{', '.join(rows)}]\n")
        return f"i64 {len(rows)}, ptr @msl.check.{name}"

    def row(name: str, kind: str, address: str) -> str:
        return f"{{ ptr, i64, ptr }} {{ {string(readable(name))}, i64 {module.types.size(kind)}, ptr {address} }}"

    fields = [
        array("sites", "ptr", [string(site) for site in module.sites]),
        array("variables", "{ ptr, i64, ptr }", [row(name, kind, "null") for name, kind in variables.items()]),
        array("constants", "{ ptr, i64, ptr }", [row(name, kind, f"@{name}") for name, kind in constants.items()]),
    ]
    kinds = ", ".join(["i64, ptr"] * len(fields))
    return "".join(strings) + f"@{TABLE} = constant {{ {kinds} }} {{ {', '.join(fields)} }}\n"


def readable(name: str) -> str:
    """A variable's name as its author wrote it: the last name of a mangled one (`_ZZ3sumE4tile` is `tile`)."""
    name = name.strip('"')
    if name.startswith("_Z"):
        for found in re.finditer(r"(?<!\d)(\d+)(?=[A-Za-z_])", name):
            end = found.end() + int(found[1])
            if re.fullmatch(r"E?(?:_\d+)?", name[end:]) and end <= len(name):
                return name[found.end() : end]
    return name
