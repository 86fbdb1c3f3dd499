# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Libraries in Mach-O files and in wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from porter.errors import MetalError
from porter.metal.file_slice import FileSlice
from porter.metal.library_files import open_libraries
from porter.metal.macho import metal_sections

from .metallib_writer import HEADER, Function, fat, library, macho

ARM64, X86_64 = 0x0100000C, 0x01000007
CODE = b"BC\xc0\xde" + b"\x01" * 12
ONE, TWO = library([Function("one", CODE)]), library([Function("two", CODE)])
# Text before them, so that neither begins at the first section's byte; a section may be longer than what it holds.
DYLIB = macho({"__text": b"\xc0\x03\x5f\xd6" * 5, "metal_a": ONE + b"\0" * 3, "metal_b": TWO})
EVERY = 32 + 72 + 80  # header, segment, the first section's row


def found(data: bytes) -> list[tuple[str, str, str, int, int]]:
    rows = metal_sections(FileSlice(data))
    return [(row.processor, row.segment, row.section, row.offset, row.size) for row in rows]


def refused(data: bytes) -> str:
    with pytest.raises(MetalError) as caught:
        metal_sections(FileSlice(data))
    return str(caught.value)


def test_sections_that_hold_libraries():
    first, second = DYLIB.index(b"MTLB"), DYLIB.rindex(b"MTLB")
    assert found(DYLIB) == [
        ("arm64", "__TEXT", "metal_a", first, len(ONE)),
        ("arm64", "__TEXT", "metal_b", second, len(TWO)),
    ]
    assert found(macho({"__text": b"MTLB"})) == []  # too short for one
    assert found(macho({"__text": bytes(HEADER)})) == []
    assert found(macho({})) == []


@pytest.mark.parametrize("wide", [False, True])
def test_fat_files(wide):
    data = fat([(X86_64, macho({"metal_a": ONE}, processor=X86_64)), (ARM64, macho({"metal_b": TWO}))], wide=wide)
    assert found(data) == [
        ("x86_64", "__TEXT", "metal_a", data.index(b"MTLB"), len(ONE)),
        ("arm64", "__TEXT", "metal_b", data.rindex(b"MTLB"), len(TWO)),
    ]


def test_zero_filled_sections_have_no_bytes():
    assert found(macho({"__bss": ONE}, flags=1, section_size=2**60)) == []


def test_names_are_printable():
    assert [row[2] for row in found(macho({"\x1b[2J": ONE}))] == ["?[2J"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"\xce\xfa\xed\xfe" + DYLIB[4:], "byte 0: the file begins with", id="32 bits"),
        pytest.param(macho({"a": ONE}, count=2), "the load commands end inside one", id="commands"),
        pytest.param(macho({"a": ONE}, count=2**32 - 1), "more than are read", id="huge count"),
        pytest.param(macho({"a": ONE}, command_size=0), "byte 32: a load command of 0 bytes", id="no end"),
        pytest.param(macho({"a": ONE}, command_size=2**31), "a load command of 2147483648 bytes", id="command"),
        pytest.param(macho({"a": ONE}, command_size=16), "a segment's load command of 16 bytes", id="short segment"),
        pytest.param(macho({"a": ONE}, sections=2), "2 sections do not fit", id="sections"),
        pytest.param(macho({"a": ONE}, sections=2**32 - 1), "4294967295 sections do not fit", id="huge sections"),
        pytest.param(macho({"a": ONE}, section_size=2**64 - 1), "byte 104: section a ends past", id="section wraps"),
        pytest.param(macho({"a": ONE}, section_size=len(ONE) - 1), "in a section of", id="library is longer"),
        pytest.param(fat([]), "byte 4: a fat file for 0 processors", id="none"),
        pytest.param(b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + b"\0" * 99, "a fat file for 52 processors", id="Java class"),
        pytest.param(fat([(ARM64, DYLIB)])[:-1], "byte 8: a part ends at", id="fat cut"),
        pytest.param(fat([(ARM64, fat([(ARM64, DYLIB)]))]), "the file begins with b'\\xca", id="fat in fat"),
        pytest.param(
            fat([(ARM64, DYLIB), (X86_64, DYLIB)]).replace(
                (48 + len(DYLIB)).to_bytes(4, "big"), (48).to_bytes(4, "big"), 1
            ),
            "byte 28: a part begins inside another",
            id="parts overlap",
        ),
        pytest.param(
            fat([(ARM64, DYLIB)]).replace((28).to_bytes(4, "big"), bytes(4), 1), "begins inside another", id="itself"
        ),
    ],
)
def test_what_is_malformed_is_named(data, what):
    assert what in refused(data)


def test_every_cut_of_the_front_is_refused():
    for size in range(EVERY):
        assert "byte " in refused(DYLIB[:size])


# ---------------------------------------------------------------------------------------------------------------------
# Files of any kind


def names(path: str | Path) -> list[tuple[str, tuple[str, ...]]]:
    carried = open_libraries(path)
    try:
        return [(one.section, one.library.names()) for one in carried]
    finally:
        for one in carried:
            one.library.close()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.metallib", ONE)
        archive.writestr("a/lib.dylib", DYLIB)
    return path


def test_every_kind_of_file(tmp_path, wheel):
    (tmp_path / "a.metallib").write_bytes(ONE)
    (tmp_path / "b.dylib").write_bytes(DYLIB)
    both = [(X86_64, macho({"metal": ONE}, processor=X86_64)), (ARM64, macho({"metal": TWO}))]
    (tmp_path / "c.dylib").write_bytes(fat(both))
    assert names(tmp_path / "a.metallib") == [("", ("one",))]
    assert names(tmp_path / "b.dylib") == [("metal_a", ("one",)), ("metal_b", ("two",))]
    assert names(tmp_path / "c.dylib") == [("x86_64 metal", ("one",)), ("arm64 metal", ("two",))]
    assert names(wheel) == names(f"{wheel}:a/x.metallib") == [("", ("one",))]
    assert names(f"{wheel}:a/lib.dylib") == names(tmp_path / "b.dylib")


def error(path: str | Path) -> str:
    with pytest.raises(MetalError) as caught:
        open_libraries(path)
    return str(caught.value)


def test_files_that_carry_none(tmp_path, wheel, monkeypatch):
    path = tmp_path / "a"
    for data, what in [
        (b"", "begins with b''"),
        (b"ELF!", "begins with b'ELF!' (expected a .metallib, a 64-bit Mach-O"),
    ]:
        path.write_bytes(data)
        assert what in error(path)
    path.write_bytes(macho({"__text": b"x"}))
    assert "no section holds a compiled Metal library" in error(path)
    path.write_bytes(macho({"metal": ONE[:-1]}))
    assert f"a library of {len(ONE)} bytes in a section of {len(ONE) - 1}" in error(path)
    assert "No such file" in error(tmp_path / "b")
    assert "No such file" in error(tmp_path / "b.whl:c")
    assert "the wheel has no member 'c' (expected a/x.metallib, a/lib.dylib)" in error(f"{wheel}:c")


def test_wheels_that_cannot_be_read(tmp_path, wheel, monkeypatch):
    data = bytearray(wheel.read_bytes())
    data[60] ^= 0xFF  # inside the first member's packed bytes
    damaged = tmp_path / "damaged.whl"
    damaged.write_bytes(data)
    assert "the wheel cannot be read" in error(damaged)
    damaged.write_bytes(data[:200])
    assert "the wheel cannot be read" in error(damaged)
    two = tmp_path / "two.whl"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("x.metallib", ONE)
        archive.writestr("y.metallib", TWO)
    assert "the wheel holds 2 .metallib files (expected x.metallib, y.metallib)" in error(two)
    monkeypatch.setattr("porter.metal.library_files._LARGEST_MEMBER", len(ONE) - 1)
    assert f"a/x.metallib has {len(ONE)} bytes, and at most" in error(wheel)


def test_a_member_that_is_longer_than_stated(tmp_path, wheel):
    data = wheel.read_bytes()
    directory = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    lying = bytearray(data)
    lying[directory + 24 : directory + 28] = (20).to_bytes(4, "little")  # the size that the directory states
    path = tmp_path / "lying.whl"
    path.write_bytes(lying)
    assert "cannot be read" in error(path) or "has not the 20 bytes" in error(path)


def test_files_are_given_back(tmp_path, wheel):
    def held() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    path = tmp_path / "b.dylib"
    path.write_bytes(DYLIB)
    names(path)
    names(wheel)
    path.write_bytes(macho({"metal": ONE[:-1]}))
    error(path)
    assert held() == before
