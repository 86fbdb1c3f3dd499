# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whatever a file says: it is read, or it is a MetalError; nothing outside it is read, and nothing crashes or hangs.

Mutations know the structure: single numbers of the format are set wrong, fields left out or doubled, and digests are
made to fit, so that what is broken inside is reached. What fuzzing found is kept: `air_corpus.txt` (test_air_reader.py)
and the examples here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from porter.errors import MetalError
from porter.metal.air import LibraryFile, ReadModule, read_kernel, read_module
from porter.metal.file_slice import FileSlice
from porter.metal.library_files import _libraries
from porter.metal.macho import metal_sections

from .metallib_writer import TYPES, Function, bitcode, entry, fat, library, macho

# Reading is far quicker; a machine that runs other tests beside this one may stop for a while.
SLOW = settings(deadline=timedelta(seconds=10), suppress_health_check=[HealthCheck.too_slow], derandomize=True)
KERNEL = bitcode()
T = TypeVar("T")
CODE = b"BC\xc0\xde" + b"\x01" * 12

edges = st.sampled_from([0, 1, 3, 4, 7, 8, 16, 87, 88, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 88, 2**64 - 1])
numbers = st.one_of(edges, st.integers(0, 400))
short = st.binary(max_size=40)


@st.composite
def broken_functions(draw: st.DrawFn) -> Function:
    tags = st.sampled_from([b"NAME", b"TYPE", b"HASH", b"MDSZ", b"OFFT", b"VERS", b"RFLT", b"ENDT", b"\0\0\0\0"])
    return Function(
        draw(st.text(max_size=6)),
        draw(st.sampled_from([CODE, KERNEL, b"", b"\xde\xc0\x17\x0b"])),
        draw(st.sampled_from(list(TYPES))),
        draw(st.one_of(st.none(), numbers)),
        draw(st.one_of(st.none(), numbers)),
        draw(st.dictionaries(tags, st.one_of(st.none(), short), max_size=2)),
    )


@st.composite
def broken_libraries(draw: st.DrawFn) -> bytes:
    functions = draw(st.lists(broken_functions(), max_size=3))
    rows = [entry(function, draw(numbers)) for function in functions]
    for index, row in enumerate(rows):
        if draw(st.integers(0, 4)) == 0:
            rows[index] = draw(mutated(row))
    wrong: dict[str, Any] = {}
    if draw(st.booleans()):
        wrong["entries"] = rows
    if draw(st.integers(0, 3)) == 0:
        wrong["count"] = draw(numbers) % 2**32
    if draw(st.integers(0, 2)) == 0:
        wrong["sections"] = draw(st.dictionaries(st.integers(0, 7), numbers, max_size=2))
    data = library(functions, **wrong)
    return draw(mutated(data)) if draw(st.integers(0, 2)) == 0 else data


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a few bytes changed, copied, put in or cut off."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        kind = draw(st.sampled_from(["flip", "flip", "set", "word", "copy", "insert", "cut"]))
        if kind == "flip" and out:
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and out:
            out[at] = draw(st.integers(0, 255))
        elif kind == "word":
            out[at : at + 4] = (draw(edges) % 2**32).to_bytes(4, "little")
        elif kind == "copy":
            source = draw(st.integers(0, max(0, len(out) - 1)))
            length = draw(st.integers(1, 32))
            out[at : at + length] = out[source : source + length]
        elif kind == "insert":
            out[at:at] = draw(short)
        else:
            del out[at:]
    return bytes(out)


def done(read: Callable[[], T]) -> T | None:
    """What `read` gives, or None where it is a MetalError, which names the byte."""
    try:
        return read()
    except MetalError as error:
        caught = error
    assert "byte " in (caught.where or "")
    return None


def read_whole(library_file: LibraryFile) -> None:
    for function in library_file:
        assert 0 <= function.offset <= function.offset + function.size <= library_file.header.size
        try:
            code = library_file.bitcode(function)
        except MetalError:
            continue
        assert len(code) == function.size


@given(broken_libraries())
@settings(SLOW, max_examples=400)
@example(library([Function("", CODE)]))
@example(library([Function("a", CODE, stated={b"ENDT": b"x"})]))
@example(library([], sections={1: 2**64 - 4}))
def test_broken_libraries(data: bytes) -> None:
    opened = done(lambda: LibraryFile(data))
    if opened is not None:
        read_whole(opened)


@given(mutated(KERNEL))
@settings(SLOW, max_examples=150)
def test_broken_bitcode_with_a_digest_that_fits(code: bytes) -> None:
    opened = LibraryFile(library([Function("k", code)]))
    try:
        found = opened.kernel("k")
    except MetalError:
        return
    assert found.threadgroup_memory >= 0


@st.composite
def broken_dylibs(draw: st.DrawFn) -> bytes:
    whole = library([Function("k", CODE)])
    names = st.text(max_size=5).map(lambda text: text[:5])
    contents = st.one_of(st.just(whole), short, mutated(whole))
    keys = st.sampled_from(["count", "command_size", "sections", "section_size", "flags"])
    wrong = draw(st.dictionaries(keys, numbers.map(lambda number: number % 2**32), max_size=2))
    data = macho(draw(st.dictionaries(names, contents, max_size=3)), **wrong)
    if draw(st.booleans()):
        parts = [(draw(numbers) % 2**32, data), (7, draw(st.one_of(short, st.just(macho({"b": whole})))))]
        data = fat(parts, wide=draw(st.booleans()))
    return draw(mutated(data)) if draw(st.booleans()) else data


@given(broken_dylibs())
@settings(SLOW, max_examples=300)
@example(macho({}))
@example(fat([]))
@example(fat([(7, fat([(7, macho({}))]))]))
def test_broken_macho_files(data: bytes) -> None:
    for section in done(lambda: metal_sections(FileSlice(data))) or ():
        assert 0 <= section.offset <= section.offset + section.size <= len(data)
        found = done(lambda place=section: LibraryFile(data, place.offset, place.size))
        if found is not None:
            read_whole(found)


words = st.sampled_from(
    [
        '!"air.buffer"',
        '!"air.struct_type_info"',
        '!"air.indirect_argument"',
        '!"air.location_index"',
        '!"air.function_constant"',
        '!"air.arg_name"',
        '!"air.read"',
        '!""',
        '!"\\FF\\1B"',
        "i32 0",
        "i64 -1",
        "i1 true",
        "null",
        "ptr @k",
        "float 0.0",
        "[1 x i8] [i8 1]",
    ]
)
operands = st.lists(st.one_of(words, st.integers(0, 9).map(lambda number: f"!{number}")), max_size=12)


@given(st.lists(operands, min_size=4, max_size=8), operands, operands)
@settings(SLOW, max_examples=400)
def test_broken_metadata(nodes: list[list[str]], versions: list[str], constants: list[str]) -> None:
    """Nodes that refer to each other in every way, in circles too."""
    lines = [f"!{at} = distinct !{{{', '.join(node)}}}" for at, node in enumerate(nodes)]
    lines[0] = "!0 = !{ptr @k, !1, !2, !3}"
    lines += ["!air.kernel = !{!0}", f"!air.version = !{{{', '.join(versions)}}}"]
    lines += [f"!air.function_constants = !{{{', '.join(constants)}}}"]
    try:
        found = read_kernel(ReadModule("\n".join(lines), (), ()))
    except MetalError:
        return
    assert found.name == "k"


@given(st.binary(max_size=200))
@settings(SLOW, max_examples=100)
def test_noise(data: bytes) -> None:
    for read in (
        LibraryFile,
        lambda noise: _libraries(FileSlice(noise)),
        lambda noise: read_module(b"BC\xc0\xde" + noise),
    ):
        try:
            read(data)
        except MetalError:
            continue
