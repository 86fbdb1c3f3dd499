# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The mutation operators: what a mutation run changes in the port, as data.

Each operator is a name, what it concerns, a reason, a function that yields every change it can make to one file, and an
example that is also its test. An operator looks at the emitted text alone, knows no family and no kernel, and changes
one thing. Operators over bodies are those of C's mutation testing (DeMillo, Offutt; arithmetic, relational, logical,
constants, statements, operands) and of GPU code (barriers, operations among lanes); the others make the mistakes that a
port could make where IR is blind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from porter.prove import mutation_sites as sites
from porter.prove.mutation_sites import Sites
from porter.prove.mutation_text import Change

BODY, ATTRIBUTE, SPACE = "body", "attribute", "address space"
STRUCT, INSTANTIATION = "params struct", "instantiation"
SEEN_IN_IR = frozenset((BODY, STRUCT, INSTANTIATION))
"""What IR shows: a mutant of these whose kernels have equal IR is equivalent. Of the others IR says nothing."""


@dataclass(frozen=True)
class Operator:
    """One mutation. `sites` yields every change; `example` is (a file, the file after the first change)."""

    name: str
    kind: str
    reason: str
    sites: Sites
    example: tuple[str, str]

    @property
    def in_table(self) -> bool:
        """Whether it changes the emitted .metal file; the others change headers."""
        return self.kind == INSTANTIATION


_F = "void f(int a, int b) {{ {} }}\n"


def _in_body(before: str, after: str) -> tuple[str, str]:
    return _F.format(before), _F.format(after)


OPERATORS: tuple[Operator, ...] = (
    Operator("plus and minus", BODY, "an index or a sum with the wrong sign",
             sites.replacing({"+": "-", "-": "+"}, spaced=True), _in_body("a = a + b;", "a = a - b;")),
    Operator("times and divided by", BODY, "a stride multiplied where it is divided",
             sites.replacing({"*": "/", "/": "*"}, spaced=True), _in_body("a = a * b;", "a = a / b;")),
    Operator("boundary", BODY, "off by one at the edge of a tile",
             sites.replacing({"<": "<=", "<=": "<", ">": ">=", ">=": ">"}, spaced=True),
             _in_body("if (a < b) a = 1;", "if (a <= b) a = 1;")),
    Operator("equality", BODY, "a condition turned round",
             sites.replacing({"==": "!=", "!=": "=="}, spaced=True),
             _in_body("if (a == b) a = 1;", "if (a != b) a = 1;")),
    Operator("and, or", BODY, "a bound that is checked in one dimension only",
             sites.replacing({"&&": "||", "||": "&&"}), _in_body("if (a && b) a = 1;", "if (a || b) a = 1;")),
    Operator("bits", BODY, "packed weights taken apart otherwise",
             sites.replacing({"&": "|", "|": "&", "<<": ">>", ">>": "<<"}, spaced=True),
             _in_body("a = a & b;", "a = a | b;")),
    Operator("compound assignment", BODY, "an accumulation that becomes another",
             sites.replacing({"+=": "-=", "-=": "+=", "*=": "+="}), _in_body("a += b;", "a -= b;")),
    Operator("operands", BODY, "the operands of a non-commutative operator exchanged",
             sites.operands_swapped, _in_body("a = (a - b);", "a = (b - a);")),
    Operator("call arguments", BODY, "two arguments of a call exchanged",
             sites.arguments_swapped, _in_body("g(a, b);", "g(b, a);")),
    Operator("parameter", BODY, "another variable of the same type is meant",
             sites.parameter_for_parameter, _in_body("a = 1;", "b = 1;")),
    Operator("integer", BODY, "another number", sites.integers, _in_body("a = 7;", "a = 8;")),
    Operator("float", BODY, "another number", sites.floats, _in_body("a = 0.5f;", "a = 1.5f;")),
    Operator("statement", BODY, "a line that was lost", sites.dropped_statements, _in_body("a = b;", ";")),
    Operator("condition", BODY, "a branch taken otherwise",
             sites.negated, _in_body("if (a) b = 1;", "if (!(a)) b = 1;")),
    Operator("arms", BODY, "the arms of a choice exchanged", sites.arms_swapped,
             _in_body("a = b ? a : b;", "a = b ? b : a;")),
    Operator("least and most", BODY, "a clamp that bounds the other side",
             sites.replacing({"min": "max", "max": "min"}), _in_body("a = min(a, b);", "a = max(a, b);")),
    Operator("lanes", BODY, "another operation among the lanes of a simdgroup",
             sites.replacing(sites.LANES), _in_body("a = simd_sum(b);", "a = simd_max(b);")),
    Operator("lost barrier", BODY, "threadgroup memory read before it is written", sites.dropped_barriers,
             _in_body("threadgroup_barrier(mem_flags::mem_threadgroup);", "(void)0;")),
    Operator("weaker barrier", BODY, "a barrier that orders no threadgroup memory",
             sites.replacing({"mem_threadgroup": "mem_none"}),
             _in_body("threadgroup_barrier(mem_flags::mem_threadgroup);", "threadgroup_barrier(mem_flags::mem_none);")),
    Operator("fixed constant", BODY, "a function constant that no longer depends on its macro",
             sites.fixed_macros, ("constexpr constant int n = STEEL_PORT_N;\n", "constexpr constant int n = 1;\n")),
    Operator("slots exchanged", ATTRIBUTE, "the host binds one buffer for another", sites.swapped_slots,
             ("void k(device int* a [[buffer(0)]], device int* b [[buffer(1)]]) {}\n",
              "void k(device int* a [[buffer(1)]], device int* b [[buffer(0)]]) {}\n")),
    Operator("slot", ATTRIBUTE, "a buffer that nobody binds", sites.moved_slots,
             ("void k(device int* a [[buffer(0)]]) {}\n", "void k(device int* a [[buffer(30)]]) {}\n")),
    Operator("gate", ATTRIBUTE, "an argument that exists only sometimes", sites.gated,
             ("void k(device int* a [[buffer(0)]]) {}\n",
              "void k(device int* a [[buffer(0), function_constant(gate)]]) {}\n")),
    Operator("lost thread limit", ATTRIBUTE, "more threads than the kernel is made for",
             sites.limits(lambda _: "[[kernel]]"),
             ("[[kernel, max_total_threads_per_threadgroup(WM * 32)]] void k() {}\n", "[[kernel]] void k() {}\n")),
    Operator("thread limit", ATTRIBUTE, "fewer threads than the kernel needs",
             sites.limits(lambda limit: f"[[kernel, max_total_threads_per_threadgroup({limit} / 2)]]"),
             ("[[kernel, max_total_threads_per_threadgroup(64)]] void k() {}\n",
              "[[kernel, max_total_threads_per_threadgroup(64 / 2)]] void k() {}\n")),
    Operator("position", ATTRIBUTE, "a thread that takes itself for another", sites.positions,
             ("void k(uint3 i [[thread_position_in_grid]]) {}\n",
              "void k(uint3 i [[thread_position_in_threadgroup]]) {}\n")),
    Operator("lost unroll", ATTRIBUTE, "a loop that stays a loop, with registers indexed at run time",
             sites.dropped_pragmas,
             ("void f() {\n#pragma clang loop unroll(full)\n  for (;;) {}\n}\n", "void f() {\n  for (;;) {}\n}\n")),
    Operator("added unroll", ATTRIBUTE, "code that no longer fits", sites.added_pragmas,
             ("void f() {\n  for (;;) {}\n}\n", "void f() {\n#pragma clang loop unroll(full)\n  for (;;) {}\n}\n")),
    Operator("device for constant", SPACE, "a binding of another kind", sites.spaces({"constant": "device"}),
             ("void k(constant int* a) {}\n", "void k(device int* a) {}\n")),
    Operator("threadgroup for device", SPACE, "memory of the threadgroup for the host's",
             sites.spaces({"device": "threadgroup"}),
             ("void k(const device int* a) {}\n", "void k(const threadgroup int* a) {}\n")),
    Operator("device for threadgroup", SPACE, "the host's memory for the threadgroup's",
             sites.spaces({"threadgroup": "device"}),
             ("void f(int n, threadgroup int* a) {}\n", "void f(int n, device int* a) {}\n")),
    Operator("lost const", SPACE, "a buffer that may be written", sites.dropped_const,
             ("void k(const device int* a) {}\n", "void k(device int* a) {}\n")),
    Operator("field order", STRUCT, "the host fills one field for another", sites.field_order,
             ("struct P { int32_t a; int32_t b; };\n", "struct P { int32_t b; int32_t a; };\n")),
    Operator("field type", STRUCT, "a field of another width", sites.field_types,
             ("struct P { int32_t a; int32_t b; };\n", "struct P { int64_t a; int32_t b; };\n")),
    Operator("lost field", STRUCT, "a field that the host fills and the kernel lacks", sites.dropped_fields,
             ("struct P { int32_t a; int32_t b; };\n", "struct P {  int32_t b; };\n")),
    Operator("field name", STRUCT, "a field that is called otherwise", sites.field_names,
             ("struct P { int32_t a; int32_t b; };\n", "struct P { int32_t a_; int32_t b; };\n")),
    Operator("template value", INSTANTIATION, "another tile under the same name", sites.row_values,
             ('INSTANTIATE_KERNEL("k", f, half, 4)\n', 'INSTANTIATE_KERNEL("k", f, half, 8)\n')),
    Operator("template type", INSTANTIATION, "another dtype under the same name", sites.row_types,
             ('INSTANTIATE_KERNEL("k", f, half, 4)\n', 'INSTANTIATE_KERNEL("k", f, float, 4)\n')),
    Operator("rows exchanged", INSTANTIATION, "two kernels under each other's names", sites.swapped_rows,
             ('INSTANTIATE_KERNEL("k", f, half)\nINSTANTIATE_KERNEL("l", f, float)\n',
              'INSTANTIATE_KERNEL("l", f, half)\nINSTANTIATE_KERNEL("k", f, float)\n')),
    Operator("lost row", INSTANTIATION, "a kernel that is missing", sites.dropped_rows,
             ('INSTANTIATE_KERNEL("k", f, half)\n', "")),
    Operator("host name", INSTANTIATION, "a kernel that nobody finds", sites.renamed_rows,
             ('INSTANTIATE_KERNEL("k", f, half)\n', 'INSTANTIATE_KERNEL("k_", f, half)\n')),
    Operator("constant's value", INSTANTIATION, "a combination under another's suffix", sites.combination_values,
             ('#define X(host, ...) \\\n  INSTANTIATE_KERNEL(host "_a0", f, __VA_ARGS__, false)\n',
              '#define X(host, ...) \\\n  INSTANTIATE_KERNEL(host "_a0", f, __VA_ARGS__, true)\n')),
)  # fmt: skip


def by_name(name: str) -> Operator:
    return next(operator for operator in OPERATORS if operator.name == name)


def mutated(text: str, change: Change) -> str:
    return text[: change.start] + change.text + text[change.end :]


def names(operators: Iterable[Operator] = OPERATORS) -> tuple[str, ...]:
    return tuple(operator.name for operator in operators)
