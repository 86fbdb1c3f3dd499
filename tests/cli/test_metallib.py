# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port metallib`, on libraries that the tests write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from porter.cli import cli
from porter.errors import MetalError, SteelPortError, UsageError

from ..metal.metallib_writer import Function, bitcode, kernel_ir, library, macho

Run = Callable[..., Result]
GEMM, COPY = bitcode(), bitcode(kernel_ir("!2 = !{}\n", "copy"))
NESTED = bitcode(
    kernel_ir(
        "!2 = !{!20}\n"
        '!20 = !{i32 0, !"air.indirect_buffer", !"air.location_index", i32 0, i32 2, !"air.read", !"air.address_space",'
        ' i32 1, !"air.struct_type_info", !21, !"air.arg_type_size", i32 264, !"air.arg_type_name", !"Lists",'
        ' !"air.arg_name", !"a\\1B[2J"}\n'
        '!21 = !{i32 0, i32 4, i32 0, !"int", !"n",'
        ' !"air.struct_type_info", !22, i32 8, i32 256, i32 0, !"List", !"l"}\n'
        '!22 = !{i32 0, i32 8, i32 32, !"float", !"elements", !"air.indirect_argument", !23}\n'
        '!23 = !{i32 0, !"air.buffer", !"air.read_write", !"air.address_space", i32 1}\n',
        "nested",
    )
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    functions = [Function("k", GEMM), Function("copy", COPY), Function("nested", NESTED), Function("v", COPY, "vertex")]
    (tmp_path / "a.metallib").write_bytes(library(functions))
    (tmp_path / "b.dylib").write_bytes(
        macho({"metal_a": library([Function("k", GEMM)]), "metal_b": library([Function("copy", COPY)])})
    )

    def call(what: str, file: str, *words: str) -> Result:
        return CliRunner().invoke(cli, ["metallib", what, str(tmp_path / file), *words])

    return call


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.output.splitlines()]


def data(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def error(result: Result, kind: type[SteelPortError]) -> str:
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_ls(run: Run) -> None:
    heading, _, *rows = lines(run("ls", "a.metallib"))
    assert heading == ["function", "type", "bytes", "AIR", "language"]
    assert rows[0] == ["k", "kernel", str(len(GEMM)), "2.7", "3.2"]
    assert [(row[0], row[1]) for row in rows[1:]] == [("copy", "kernel"), ("nested", "kernel"), ("v", "vertex")]


def test_ls_of_a_pattern(run: Run) -> None:
    assert [row[0] for row in lines(run("ls", "a.metallib", "[cn]*"))[2:]] == ["copy", "nested"]
    assert lines(run("ls", "a.metallib", "z*"))[2:] == []
    (found,) = data(run("ls", "a.metallib", "v", "--json"))
    assert (found["name"], found["type"], found["size"], found["section"]) == ("v", "vertex", len(COPY), "")
    assert len(found["sha256"]) == 64


def test_ls_of_sections(run: Run) -> None:
    heading, _, *rows = lines(run("ls", "b.dylib"))
    assert heading[-1] == "section"
    assert [(row[0], row[-1]) for row in rows] == [("k", "metal_a"), ("copy", "metal_b")]
    assert [row[0] for row in lines(run("ls", "b.dylib", "--section", "metal_b"))[2:]] == ["copy"]


def test_show(run: Run) -> None:
    text = run("show", "a.metallib", "k").output
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["kernel", "k"]
    assert "  AIR 2.7.0, Metal 3.2.0, by a compiler" in text
    assert "  compiled with: fast_math_disable\n  threads in a threadgroup: at most 96\n" in text
    assert "  threadgroup memory: 200 bytes in 2 variables" in text
    assert ["0", "0", "x", "float", "device", "read_write", "4", "4"] in rows
    p = ["1", "3", "p", "some::P", "constant", "read", "24", "8", "is_on", "not", "read,", "48", "bytes", "bound"]
    assert p in rows
    assert ["2", "1", "t", "half", "threadgroup", "read_write", "2", "2"] in rows
    assert ["3", "id", "thread_position_in_grid", "uint"] in rows
    assert "struct some::P, 24 bytes" in text
    assert ["0", "12", "int[3]", "sizes"] in rows
    assert ["16", "8", "long", "step"] in rows
    assert ["7", "is_on", "bool", "no"] in rows
    assert ["128", "4", "[32", "x", "float]", "shared"] in rows
    assert rows[-1] == ["air.simd_sum.f32"]


def test_show_a_kernel_that_says_little(run: Run) -> None:
    text = run("show", "a.metallib", "copy").output
    assert "threads in a threadgroup: no limit stated\n  threadgroup memory: none\n" in text
    assert "argument" not in text  # no table without rows


def test_show_nested_structs(run: Run) -> None:
    text = run("show", "a.metallib", "nested").output
    assert r"a\x1b[2J" in text
    assert "\x1b" not in text
    rows = [line.rstrip() for line in text.splitlines()]
    assert "0        4       int                 n" in rows
    assert "8        256     List                l" in rows
    assert "8        256     float device*[32]     elements" in rows
    assert "indirect_buffer" in text
    assert "2 slots" in text


def test_show_as_json(run: Run) -> None:
    found = data(run("show", "a.metallib", "k", "--json"))
    assert (found["name"], found["thread_limit"], found["threadgroup_memory"]) == ("k", 96, 200)
    assert found["arguments"][1]["fields"][0]["array_length"] == 3
    assert found["constants"] == [
        {"name": "is_on", "type": "bool", "index": 7, "required": False, "symbol": "gate"},
    ]
    assert found["externals"] == ["air.simd_sum.f32"]
    assert found["function"]["size"] == len(GEMM)


def test_disasm(run: Run) -> None:
    text = run("disasm", "a.metallib", "k").output
    assert "define void @k(ptr addrspace(1) %0" in text
    assert data(run("disasm", "a.metallib", "k", "--json"))["ir"] == text
    assert "define void @copy(" in run("disasm", "b.dylib", "copy", "--section", "metal_b").output


@pytest.mark.parametrize("what", ["show", "disasm"])
def test_a_name_that_is_not_there(run: Run, what: str) -> None:
    assert "no function 'coppy' (expected one like copy)" in error(run(what, "a.metallib", "coppy"), MetalError)


def test_sections_that_must_be_chosen(run: Run) -> None:
    message = error(run("show", "b.dylib", "k"), UsageError)
    assert "carries 2 libraries (expected --section metal_a or metal_b)" in message
    message = error(run("ls", "b.dylib", "--section", "metal_c"), UsageError)
    assert "'metal_c' (expected metal_a, metal_b)" in message
    assert "the file is one library" in error(run("ls", "a.metallib", "--section", "x"), UsageError)


def test_a_function_that_is_no_kernel(run: Run, tmp_path: Path) -> None:
    ir = "define void @f() {\n  ret void\n}\n!air.vertex = !{!0}\n!0 = !{ptr @f}\n"
    (tmp_path / "c.metallib").write_bytes(library([Function("f", bitcode(ir), "vertex")]))
    message = error(run("show", "c.metallib", "f"), MetalError)
    assert "c.metallib: f: the module holds a vertex function and no kernel" in message
    assert "define void @f" in run("disasm", "c.metallib", "f").output


def test_bad_files(run: Run, tmp_path: Path) -> None:
    whole = (tmp_path / "a.metallib").read_bytes()
    (tmp_path / "c.metallib").write_bytes(whole[:-1])
    assert "c.metallib: byte 16: the header states" in error(run("ls", "c.metallib"), MetalError)
    (tmp_path / "c.metallib").write_bytes(library([Function("k", b"BC\xc0\xde" + b"\x01" * 12)]))
    assert "c.metallib: k: LLVM cannot read this bitcode" in error(run("show", "c.metallib", "k"), MetalError)
    assert "cannot be read" in error(run("ls", "d.metallib"), MetalError)


def test_help_lists_what_there_is() -> None:
    text = CliRunner().invoke(cli, ["metallib", "--help"]).output
    assert {"ls", "show", "disasm"} <= set(text.split())
