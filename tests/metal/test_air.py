# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The container: a small library made here, and every way to break it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from porter.errors import MetalError
from porter.metal import air
from porter.metal.air import LibraryFile

from .metallib_writer import HEADER, Function, bitcode, entry, group, library, macho, tag

CODE = b"BC\xc0\xde" + b"\x01" * 12
FIRST, SECOND = Function("first", CODE), Function("second", CODE + b"\x02" * 4)
GOOD = library([FIRST, SECOND])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.metallib"


def read_all(data: bytes) -> list[bytes]:
    with LibraryFile(data) as opened:
        return [opened.bitcode(function) for function in opened]


def refused(data: bytes) -> str:
    with pytest.raises(MetalError) as caught:
        read_all(data)
    return str(caught.value)


def test_functions_and_their_bitcode(path):
    path.write_bytes(GOOD)
    first, second = air.functions(path)
    start = len(GOOD) - 36
    assert (first.name, first.offset, first.size, first.type) == ("first", start, 16, "kernel")
    assert (second.offset, second.size) == (start + 16, 20)
    assert (second.air_version, second.language_version) == ((2, 7), (3, 2))
    assert air.bitcode(path, second) == SECOND.code
    path.write_bytes(library([SECOND]))
    assert [function.name for function in air.functions(path)] == ["second"]  # no stale index


def test_a_library_keeps_its_index(path):
    path.write_bytes(GOOD)
    with LibraryFile(path) as opened:
        assert (opened.names(), len(opened), "first" in opened, "third" in opened) == (
            ("first", "second"),
            2,
            True,
            False,
        )
        assert opened.header == air.LibraryHeader(len(GOOD), "executable", "macOS 15.0", (2, 8))
        assert opened.bitcode("first") == opened.bitcode(opened["first"]) == CODE
    assert opened["second"].size == 20
    with pytest.raises(MetalError, match="cannot be read"):
        opened.bitcode("first")
    opened.close()


def test_other_types_are_listed_and_not_dropped():
    types = ["vertex", "fragment", "kernel", "unqualified", "visible"]
    found = LibraryFile(library([Function(type_, CODE + type_.encode(), type_) for type_ in types]))
    assert [(function.name, function.type) for function in found] == [(type_, type_) for type_ in types]
    (odd,) = LibraryFile(library([Function("odd", CODE, stated={b"TYPE": b"\x63"})]))
    assert odd.type == "type 99"


def test_a_slice_of_a_bigger_file(path):
    path.write_bytes(b"\xff" * 100 + GOOD + b"\xff" * 7)
    with LibraryFile(path, 100, len(GOOD)) as opened:
        assert opened.bitcode("second") == SECOND.code
    with pytest.raises(MetalError, match=r"byte 116: the header states .* bytes and the library has"):
        LibraryFile(path, 100)
    with pytest.raises(MetalError, match="do not lie in a file"):
        LibraryFile(path, 100, len(GOOD) + 8)
    with pytest.raises(MetalError, match="do not lie in a file"):
        LibraryFile(path, -1, 50)


def test_offsets_in_errors_count_from_the_file(path):
    data = bytearray(library([FIRST]))
    data[-1] ^= 1
    path.write_bytes(b"\xff" * 100 + data)
    with LibraryFile(path, 100) as opened, pytest.raises(MetalError) as caught:
        opened.bitcode("first")
    assert f"byte {100 + len(data) - 16}: the bitcode of first differs from the SHA-256" in str(caught.value)


def test_the_nearest_names():
    with LibraryFile(GOOD) as opened, pytest.raises(MetalError) as caught:
        opened["secund"]
    assert "no function 'secund' (expected one like second)" in str(caught.value)


def test_every_cut_is_refused_with_its_place(path):
    for size in range(len(GOOD)):
        path.write_bytes(GOOD[:size])
        with pytest.raises(MetalError) as caught:
            LibraryFile(path)
        assert "some.metallib: byte " in str(caught.value), size


CODE_START = len(GOOD) - 36


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(library([FIRST], magic=b"MTLA"), "byte 0: the library begins with b'MTLA'", id="magic"),
        pytest.param(library([FIRST], size=7), "byte 16: the header states 7 bytes", id="stated size"),
        pytest.param(library([FIRST], sections={0: 40}), "byte 40: the function list begins inside the h", id="header"),
        pytest.param(library([FIRST], sections={1: 2**62}), "past the library's", id="list too long"),
        pytest.param(library([FIRST], sections={6: 2**64 - 8}), "past the library's", id="offset wraps"),
        pytest.param(library([FIRST], sections={7: 2**64 - 8}), "past the library's", id="size wraps"),
        pytest.param(library([FIRST], sections={6: HEADER}), "begins inside", id="sections overlap"),
        pytest.param(library([FIRST], sections={1: 0}), "1 functions do not fit into 4 bytes", id="empty list"),
        pytest.param(library([Function("a", CODE, size=33)]), "the bitcode of a ends outside", id="too long"),
        pytest.param(library([Function("a", CODE, size=2**64 - 1)]), "the bitcode of a ends outside", id="huge"),
        pytest.param(library([Function("a", CODE, offset=2**63)]), "the bitcode of a ends outside", id="far away"),
        pytest.param(library([FIRST], count=2), "the function list ends inside an entry", id="count"),
        pytest.param(library([FIRST], count=2**31), "functions do not fit", id="huge count"),
        pytest.param(library([FIRST], entries=[b"\0\0\0\0" + entry(FIRST, 0)]), "an entry of 0 bytes", id="empty"),
        pytest.param(library([FIRST], entries=[struct.pack("<I", 8) + b"NAME"]), "ends without ENDT", id="no end"),
        pytest.param(
            library([FIRST], entries=[struct.pack("<I", 9) + b"NAME\0"]), "ends without ENDT", id="half field"
        ),
        pytest.param(library([FIRST], entries=[group(b"")]), "without a readable NAME", id="no name"),
        pytest.param(library([FIRST], entries=[group(b"NAME" + struct.pack("<H", 999))]), "past its entry", id="field"),
        pytest.param(library([FIRST], entries=[group(tag(b"NAME", b"a") * 2)]), "b'NAME' twice", id="field twice"),
        pytest.param(library([Function("a", CODE, stated={b"TYPE": None})]), "NAME, TYPE", id="no type"),
        pytest.param(library([Function("a", CODE, stated={b"TYPE": b""})]), "NAME, TYPE", id="empty type"),
        pytest.param(library([Function("a", CODE, stated={b"OFFT": b"\0"})]), "OFFT", id="short offsets"),
        pytest.param(library([Function("a", CODE, stated={b"HASH": b"\0"})]), "a HASH of 1 bytes", id="short digest"),
        pytest.param(library([Function("a", CODE, stated={b"VERS": b"\0"})]), "unpack", id="short version"),
        pytest.param(library([Function("", CODE)]), "the name ''", id="empty name"),
        pytest.param(library([Function("a\x1b[2J", CODE)]), r"the name 'a\x1b[2J'", id="control characters"),
        pytest.param(library([Function("a", CODE, stated={b"NAME": b"\xff"})]), "can't decode", id="name is no UTF-8"),
        pytest.param(library([FIRST, FIRST]), "two functions are called first", id="twice"),
        pytest.param(library([FIRST, Function("b", CODE, offset=8)]), "the bitcode of b overlaps that", id="overlap"),
        pytest.param(library([FIRST, Function("b", CODE, offset=0, size=8)]), "overlaps that of", id="inside"),
        pytest.param(library([Function("a", b"\0" * 16)]), "the bitcode of a is no LLVM bitcode", id="no bitcode"),
        pytest.param(library([Function("a", b"")]), "the bitcode of a is no LLVM bitcode", id="no bytes"),
        pytest.param(
            library([Function("a", CODE, stated={b"HASH": b"\0" * 32})]), "differs from the SHA-256", id="digest"
        ),
    ],
)
def test_what_is_malformed_is_named(data, what):
    assert what in refused(data)


def test_functions_may_share_a_module():
    shared = [Function("a", CODE, "unqualified"), Function("b", b"", "unqualified", 0, 16, {b"HASH": None})]
    opened = LibraryFile(library(shared))
    assert opened.bitcode("a") == opened.bitcode("b") == CODE


def test_a_library_without_functions():
    assert LibraryFile(library([])).functions == ()


def test_what_would_not_fit_into_memory_is_refused_before_it_is_read(path, monkeypatch):
    size = 1 << 40
    data = library([Function("a", CODE)], sections={1: size - 4, 6: HEADER + size, 2: 0, 3: 0, 4: 0, 5: 0, 7: 0})
    whole = HEADER + size
    path.write_bytes(data[:16] + struct.pack("<Q", whole) + data[24:])
    os.truncate(path, whole)  # sparse: it takes no space
    with pytest.raises(MetalError, match="a function list of 1099511627776 bytes"):
        LibraryFile(path)
    monkeypatch.setattr("porter.metal.air_container._LARGEST_BITCODE", 15)
    assert "has 16 bytes, and at most 15 are read" in refused(library([FIRST]))


def test_a_file_that_is_not_there(path):
    with pytest.raises(MetalError, match="cannot be read: No such file"):
        air.functions(path)
    with pytest.raises(MetalError, match="cannot be read: No such file"):
        LibraryFile(path)


def test_what_is_no_file(path, tmp_path):
    os.mkfifo(path)
    for place in (path, tmp_path, Path("/dev/zero")):  # a pipe without a writer must not block
        with pytest.raises(MetalError, match="cannot be read"):
            LibraryFile(place)
    with pytest.raises(MetalError, match="cannot be read"):
        LibraryFile("a\0b")


def test_a_file_that_is_cut_after_it_was_opened(path):
    path.write_bytes(GOOD)
    with LibraryFile(path) as opened:
        os.truncate(path, len(GOOD) - 1)
        assert opened.bitcode("first") == CODE
        with pytest.raises(MetalError, match="it was cut after it was opened"):
            opened.bitcode("second")


def test_files_are_given_back(path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    path.write_bytes(GOOD)
    for _ in range(3):
        LibraryFile(path)
        with pytest.raises(MetalError):
            LibraryFile(path, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_writer_writes_what_llvm_reads():
    """The libraries that other tests break are whole before they are broken."""
    opened = LibraryFile(library([Function("k", bitcode())]))
    assert opened.kernel("k").name == "k"
    assert macho({"a": GOOD}).startswith(b"\xcf\xfa\xed\xfe")
