# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Writes small compiled libraries, and Mach-O files around them, out of kernels that stand here as LLVM IR.

Every number of the format can be set wrong by name, so that a test says what it breaks. Nothing here is Apple's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HEADER = 88
TYPES = {"vertex": 0, "fragment": 1, "kernel": 2, "unqualified": 3, "visible": 4}

KERNEL = """
target datalayout = "e-p:64:64:64-i64:64:64"
%struct.P = type { [3 x i32], i64 }
@shared = internal addrspace(3) global [32 x float] undef, align 4
@pairs = internal addrspace(3) global [3 x %struct.P] undef, align 16
@gate = internal externally_initialized constant i8 undef
declare float @air.simd_sum.f32(float)
define void @k(ptr addrspace(1) %0, ptr addrspace(2) %1, ptr addrspace(3) %2, i32 %3) {
  %5 = getelementptr inbounds float, ptr addrspace(1) %0, i32 %3
  %6 = load float, ptr addrspace(1) %5
  %7 = call float @air.simd_sum.f32(float %6)
  %8 = icmp ult i32 %3, 12
  br i1 %8, label %9, label %10
9:
  store float %7, ptr addrspace(1) %5
  br label %10
10:
  %11 = phi float [ %7, %4 ], [ 0.0, %9 ]
  %12 = getelementptr inbounds [32 x float], ptr addrspace(3) @shared, i64 0, i32 %3
  store float %11, ptr addrspace(3) %12
  ret void
}
!air.kernel = !{!0}
!air.version = !{!10}
!air.language_version = !{!11}
!air.compile_options = !{!12}
!air.function_constants = !{!8}
!llvm.ident = !{!13}
!0 = !{ptr @k, !1, !2, !3}
!1 = !{}
!2 = !{!20, !21, !22, !23}
!3 = !{!"air.max_work_group_size", i32 96}
!6 = !{i32 0, i32 4, i32 3, !"int", !"sizes", i32 16, i32 8, i32 0, !"long", !"step"}
!8 = !{ptr @gate, !"bool", !"is_on", i32 7, i1 false}
!9 = !{ptr @gate, !"bool", !"is_on"}
!10 = !{i32 2, i32 7, i32 0}
!11 = !{!"Metal", i32 3, i32 2, i32 0}
!12 = !{!"air.compile.fast_math_disable"}
!13 = !{!"a compiler"}
!20 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1,
  !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"x"}
!21 = !{i32 1, !"air.function_constant", !9, !"air.buffer", !"air.buffer_size", i32 48, !"air.location_index", i32 3,
  i32 1, !"air.read", !"air.address_space", i32 2, !"air.struct_type_info", !6, !"air.arg_type_size", i32 24,
  !"air.arg_type_align_size", i32 8, !"air.arg_type_name", !"some::P", !"air.arg_name", !"p", !"air.arg_unused"}
!22 = !{i32 2, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 3,
  !"air.arg_type_size", i32 2, !"air.arg_type_align_size", i32 2, !"air.arg_type_name", !"half", !"air.arg_name", !"t"}
!23 = !{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"id"}
"""


def bitcode(ir: str = KERNEL) -> bytes:
    """LLVM bitcode of textual IR."""
    import llvmlite.binding as llvm

    return llvm.parse_assembly(ir, context=llvm.create_context()).as_bitcode()


def kernel_ir(rows: str, name: str = "k") -> str:
    """IR of a kernel without a body whose arguments are `!2`, which `rows` defines with all it refers to (from !20)."""
    return (
        f"define void @{name}() {{\n  ret void\n}}\n@gate = global i8 0\n"
        f"!air.kernel = !{{!0}}\n!0 = !{{ptr @{name}, !1, !2}}\n!1 = !{{}}\n{rows}"
    )


@dataclass(frozen=True)
class Function:
    """A function to write. `stated` replaces fields of its entry (None leaves one out); `size` and `offset` lie."""

    name: str
    code: bytes
    type: str = "kernel"
    offset: int | None = None
    size: int | None = None
    stated: Mapping[bytes, bytes | None] = field(default_factory=dict)


def tag(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<H", len(data)) + data


def group(fields: bytes) -> bytes:
    """Fields with their size in front and ENDT behind."""
    return struct.pack("<I", len(fields) + 8) + fields + b"ENDT"


def entry(function: Function, offset: int) -> bytes:
    fields: dict[bytes, bytes | None] = {
        b"NAME": function.name.encode() + b"\0",
        b"TYPE": bytes([TYPES[function.type]]),
        b"HASH": hashlib.sha256(function.code).digest(),
        b"MDSZ": struct.pack("<Q", len(function.code) if function.size is None else function.size),
        b"OFFT": struct.pack("<3Q", 0, 0, offset if function.offset is None else function.offset),
        b"VERS": struct.pack("<4H", 2, 7, 3, 2),
        **function.stated,
    }
    return group(b"".join(tag(name, data) for name, data in fields.items() if data is not None))


def library(
    functions: Sequence[Function],
    *,
    entries: Sequence[bytes] | None = None,
    count: int | None = None,
    sections: Mapping[int, int] | None = None,
    magic: bytes = b"MTLB",
    size: int | None = None,
) -> bytes:
    """A library. `entries` replaces the function list's; `sections` single ones of the header's eight numbers."""
    code = b"".join(function.code for function in functions)
    if entries is None:
        starts = [sum(len(one.code) for one in functions[:index]) for index in range(len(functions))]
        entries = [entry(function, start) for function, start in zip(functions, starts, strict=True)]
    listed = b"".join(entries)
    extension = b"ENDT"  # behind the list, as Apple writes it
    public = HEADER + 4 + len(listed) + len(extension)
    metadata = group(b"") * len(functions)
    code_start = public + 2 * len(metadata)
    numbers = [HEADER, len(listed), public, len(metadata), public + len(metadata), len(metadata), code_start, len(code)]
    for index, number in (sections or {}).items():
        numbers[index] = number
    body = struct.pack("<I", len(entries) if count is None else count) + listed + extension + metadata * 2 + code
    whole = HEADER + len(body) if size is None else size
    # macOS 15.0, container 2.8
    head = magic + struct.pack("<HHHBBHHQ8Q", 0x8001, 2, 8, 0, 0x81, 15, 0, whole, *numbers)
    return head + body


# ---------------------------------------------------------------------------------------------------------------------
# Mach-O, <mach-o/loader.h>


def macho(contents: Mapping[str, bytes], *, processor: int = 0x0100000C, **wrong: int) -> bytes:
    """A 64-bit Mach-O file of one segment and a section for each of `contents`.

    `wrong` replaces numbers: `count`, `command_size`, `sections`, `section_size`, `flags`.
    """
    command_size = 72 + 80 * len(contents)
    at = 32 + command_size
    rows, data = b"", b""
    for name, content in contents.items():
        size = wrong.get("section_size", len(content))
        flags = wrong.get("flags", 0)
        rows += struct.pack("<16s16sQQ8I", name.encode(), b"__TEXT", at, size, at + len(data), 0, 0, 0, flags, 0, 0, 0)
        data += content
    stated, count = wrong.get("command_size", command_size), wrong.get("sections", len(contents))
    segment = struct.pack("<II16s4QiiII", 0x19, stated, b"__TEXT", 0, 0, 0, at + len(data), 5, 5, count, 0)
    head = struct.pack("<IIIIIIII", 0xFEEDFACF, processor, 0, 6, wrong.get("count", 1), command_size, 0, 0)
    return head + segment + rows + data


def fat(parts: Sequence[tuple[int, bytes]], *, wide: bool = False) -> bytes:
    """A fat file of (processor, Mach-O file)."""
    form = ">IIQQII" if wide else ">IIIII"
    at = 8 + struct.calcsize(form) * len(parts)
    rows, data = b"", b""
    for processor, part in parts:
        rows += struct.pack(form, processor, 0, at + len(data), len(part), 0, *((0,) if wide else ()))
        data += part
    return struct.pack(">II", 0xCAFEBABF if wide else 0xCAFEBABE, len(parts)) + rows + data
