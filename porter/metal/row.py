# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A row of threads as one loop.

Threads that never wait for each other need no stack of their own: a row of them along x is a loop, which the optimiser
then vectorises where it can. The kernel's entry is inlined into the loop, so that a thread's place becomes the loop's
counter plus what the row begins with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Bytes of msl_thread, and its fields that change along x (runtime/kernel_abi.h).
_THREAD_BYTES = 112
_POSITION_IN_GRID = 0
_POSITION_IN_THREADGROUP = 24
_INDEX_IN_THREADGROUP = 84
_INDEX_IN_SIMDGROUP = 88
_SIMDGROUP_INDEX = 92
_INDEX_IN_QUADGROUP = 96
_QUADGROUP_INDEX = 100


@dataclass(frozen=True)
class _Field:
    """A field that is `operation` of the thread's own counter, which begins with what the row's first thread has at
    `base`."""

    offset: int
    base: int
    operation: str | None = None


_FIELDS = (
    _Field(_POSITION_IN_GRID, _POSITION_IN_GRID),
    _Field(_POSITION_IN_THREADGROUP, _POSITION_IN_THREADGROUP),
    _Field(_INDEX_IN_THREADGROUP, _INDEX_IN_THREADGROUP),
    _Field(_INDEX_IN_SIMDGROUP, _INDEX_IN_THREADGROUP, "and i32 {}, 31"),
    _Field(_SIMDGROUP_INDEX, _INDEX_IN_THREADGROUP, "lshr i32 {}, 5"),
    _Field(_INDEX_IN_QUADGROUP, _INDEX_IN_THREADGROUP, "and i32 {}, 3"),
    _Field(_QUADGROUP_INDEX, _INDEX_IN_THREADGROUP, "lshr i32 {}, 2"),
)
_BASES = tuple(sorted({field.base for field in _FIELDS}))


def row_symbol(entry: str) -> str:
    """The symbol of the row function of the entry `entry`."""
    return f"{entry}.row"


def row_function(entry: str, ir: str = "") -> str:
    """LLVM IR of `msl_row` (runtime/kernel_abi.h) for the entry `entry` of the module `ir`.

    Positions stay below 2^32 (a grid's sizes do), so that adding to them never wraps, which the optimiser is told.
    """
    lines = [
        f"define void @{row_symbol(entry)}(ptr noalias readonly %buffers, ptr noalias %memory, "
        f"ptr noalias readonly %first, i32 %count) nounwind {_denormals(entry, ir)} {{",
        "enter:",
        f"  %here = alloca [{_THREAD_BYTES} x i8], align 8",
    ]
    for offset in range(0, _THREAD_BYTES, 4):
        lines += [
            f"  %first.{offset} = getelementptr inbounds i8, ptr %first, i64 {offset}",
            f"  %base.{offset} = load i32, ptr %first.{offset}, align 4",
            f"  %here.{offset} = getelementptr inbounds i8, ptr %here, i64 {offset}",
            f"  store i32 %base.{offset}, ptr %here.{offset}, align 4",
        ]
    lines += [
        "  %none = icmp eq i32 %count, 0",
        "  br i1 %none, label %leave, label %thread",
        "thread:",
        "  %i = phi i32 [ 0, %enter ], [ %next, %thread ]",
    ]
    lines += [f"  %counter.{base} = add nuw i32 %base.{base}, %i" for base in _BASES]
    for field in _FIELDS:
        value = f"%counter.{field.base}"
        if field.operation is not None:
            lines.append(f"  %value.{field.offset} = {field.operation.format(value)}")
            value = f"%value.{field.offset}"
        lines.append(f"  store i32 {value}, ptr %here.{field.offset}, align 4")
    lines += [
        f"  call void @{entry}(ptr %buffers, ptr %memory, ptr %here) alwaysinline",
        "  %next = add nuw i32 %i, 1",
        "  %done = icmp eq i32 %next, %count",
        "  br i1 %done, label %leave, label %thread",
        "leave:",
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _denormals(entry: str, ir: str) -> str:
    """How the entry treats denormals, as attributes: LLVM inlines nothing into a function that does otherwise."""
    line = re.search(rf"^define [^\n]*@{re.escape(entry)}\([^\n]*", ir, re.M)
    head = line.group() if line else ""
    groups = re.findall(r" #(\d+)", head)
    listed = [head, *(re.findall(rf"^attributes #{group} = .*$", ir, re.M)[0] for group in groups)]
    return " ".join(re.findall(r'"denormal-fp-math[\w-]*"="[^"]*"', " ".join(listed)))
