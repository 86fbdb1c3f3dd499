# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Any tree is read: what may hold code as text, the rest with a reason, nothing twice and nothing outside of it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from porter.audit.model import PassedOver
from porter.audit.reading import Candidate, SourceText, TreeNotFound, decode, list_tree, read_file, tree_root

CODE = "int one() { return 1; }\n"


def read(path: Path, **how: int) -> dict[str, SourceText | PassedOver]:
    root = tree_root(path)
    found = [one if isinstance(one, PassedOver) else read_file(root, one, **how) for one in list_tree(path, **how)]
    paths = [one.path for one in found]
    assert len(paths) == len(set(paths))
    return {one.path: one for one in found}


def reason(found: SourceText | PassedOver) -> str:
    assert isinstance(found, PassedOver), found
    return found.reason


def text(found: SourceText | PassedOver) -> str:
    assert isinstance(found, SourceText), found
    return found.text


def test_code_of_any_language_and_small_files_of_unknown_kind_are_read(tmp_path: Path) -> None:
    names = ("a.metal", "b.cu", "c.py", "d.rs", "e.swift", "f.cl", "Makefile", "g.unheard-of", "H.METAL", "i.md")
    for name in names:
        (tmp_path / name).write_text(CODE)
    assert {path: text(one) for path, one in read(tmp_path).items()} == dict.fromkeys(names, CODE)


def test_the_order_is_that_of_the_paths_and_always_the_same(tmp_path: Path) -> None:
    for name in ("b/z.h", "b/a.h", "a.h", "c.h", "b/inner/x.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(CODE)
    paths = list(read(tmp_path))
    assert paths == ["a.h", "b/a.h", "b/inner/x.h", "b/z.h", "c.h"]


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text(CODE)
    (tmp_path / "b.h").write_text(CODE)
    assert read(tmp_path / "a.h") == {"a.h": SourceText("a.h", CODE)}
    assert tree_root(tmp_path / "a.h") == tmp_path.resolve()


def test_an_empty_tree_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert read(tmp_path) == {}


@pytest.mark.parametrize("name", ["missing", "a.h/inside", "nul\0inside", "x" * 5000])
def test_a_path_that_is_not_there_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text(CODE)
    with pytest.raises(TreeNotFound, match="expected a folder or a file") as error:
        list(list_tree(Path(f"{tmp_path}/{name}")))
    assert error.value.exit_status == 2
    assert error.value.next_step


def test_a_fifo_as_the_path_is_an_error_and_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TreeNotFound, match="is a fifo"):
        list(list_tree(tmp_path / "pipe"))


def test_symbolic_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.h").write_text(CODE)
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "file.h").symlink_to(outside / "secret.h")
    (tree / "folder").symlink_to(outside)
    (tree / "broken").symlink_to("nowhere")
    found = read(tree)
    assert set(found) == {"sub/loop", "file.h", "folder", "broken"}
    assert {reason(one) for one in found.values()} == {"a symbolic link, not followed"}


def test_what_is_not_a_plain_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.h")
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.h")
        found = read(tmp_path)
    assert reason(found["pipe.h"]) == "a fifo, never opened"
    assert reason(found["socket.h"]) == "a socket, never opened"
    assert reason(read(Path("/dev/null").parent)["null"]) == "a character device, never opened"


@pytest.mark.parametrize("become", ["fifo", "link", "folder", "nothing", "longer"])
def test_what_changes_between_listing_and_reading(become: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h"
    path.write_text(CODE)
    (candidate,) = list_tree(tmp_path)
    assert candidate == Candidate("a.h", len(CODE))
    path.unlink()
    if become == "fifo":
        os.mkfifo(path)
    elif become == "link":
        path.symlink_to("/etc/passwd")
    elif become == "folder":
        path.mkdir()
    elif become == "longer":
        path.write_text(CODE * 100)
    why = {
        "nothing": "cannot be read: No such file or directory",
        "longer": "too large: more than 31 bytes, the limit is 30",
    }
    assert reason(read_file(tmp_path, candidate, 30)) == why.get(become, "not a plain file any more")


def test_binary_files_say_why(tmp_path: Path) -> None:
    noise = random.Random(5).randbytes(4000)
    (tmp_path / "noise.metal").write_bytes(noise)
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "zeros.cpp").write_bytes(bytes(1000))
    (tmp_path / "latin").write_bytes("éàü".encode("latin-1") * 40)
    found = read(tmp_path)
    assert "control characters" in reason(found["noise.metal"])
    assert reason(found["picture"]) == "binary: it holds NUL bytes"
    assert reason(found["zeros.cpp"]) == "binary: 100% of it is control characters"
    assert reason(found["latin"]) == "binary: 100% of it is not UTF-8"


def test_bytes_that_are_not_utf8_do_not_hide_source() -> None:
    found = decode("a.cu", b"// caf\xe9\n" + CODE.encode())
    assert found == SourceText("a.cu", "// caf\ufffd\n" + CODE, ("1 place is not UTF-8, read as U+FFFD",))
    chinese = "// 这个核心把两个矩阵相乘\n".encode("gbk") * 50 + CODE.encode()
    assert text(decode("b.cu", chinese)).endswith(CODE)


def test_a_nul_byte_does_not_hide_source() -> None:
    found = decode("a.metal", b"// \0\n" + CODE.encode() * 3)
    assert found == SourceText("a.metal", "//  \n" + CODE * 3, ("1 NUL byte, read as space",))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_by_their_mark(encoding: str) -> None:
    found = decode("a.h", CODE.encode(encoding))
    assert found == SourceText("a.h", CODE, (f"read as {encoding.upper()}, by its byte order mark",))


def test_a_character_that_is_upstreams_own_replacement_character_is_no_remark() -> None:
    assert decode("a.h", "// \ufffd\n".encode()) == SourceText("a.h", "// \ufffd\n")


@pytest.mark.parametrize(
    ("given", "read_as"),
    [(b"a\r\nb\r\n", "a\nb\n"), (b"a\rb\r", "a\nb\n"), (b"a\rb\n", "a\rb\n"), (b"\xef\xbb\xbfa\n", "a\n"), (b"a", "a")],
)
def test_ends_of_lines(given: bytes, read_as: str) -> None:
    assert text(decode("a.h", given)) == read_as


def test_a_patch_is_read_without_its_marks() -> None:
    patch = "diff --git a/x.h b/x.h\n--- a/x.h\n+++ b/x.h\n@@ -1,2 +1,2 @@\n int a;\n-int b;\n+int c;\n+--c;\n"
    read = decode("x.patch", patch.encode())
    assert isinstance(read, SourceText)
    assert read.text == "\n\n\n\n int a;\n int b;\n int c;\n --c;\n"
    other = decode("x.h", patch.encode())
    assert isinstance(other, SourceText)
    assert other.text == patch


def test_archives_are_listed_and_not_looked_into(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("inner.h", CODE)
    (tmp_path / "a.whl").rename(tmp_path / "b.bin")
    (tmp_path / "c.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "d.WHL").write_bytes(b"")
    found = read(tmp_path)
    assert reason(found["b.bin"]) == "an archive (zip), not looked into"
    assert reason(found["c.tar.gz"]) == "an archive (tar), not looked into"
    assert reason(found["d.WHL"]) == "an archive (zip), not looked into"


def test_text_that_begins_like_an_archive_is_read() -> None:
    assert text(decode("a.h", b"BZh_t x;\n")) == "BZh_t x;\n"
    assert text(decode("a.h", b"!<arch>\nint x;\n")) == "!<arch>\nint x;\n"


def test_the_limit_of_size(tmp_path: Path) -> None:
    (tmp_path / "at.h").write_bytes(b"x" * 100)
    (tmp_path / "over.h").write_bytes(b"x" * 101)
    (tmp_path / "data.unheard-of").write_bytes(b"x" * (257 << 10))
    (tmp_path / "code.h").write_bytes(b"x" * (257 << 10))
    found = read(tmp_path, max_bytes=100)
    assert text(found["at.h"]) == "x" * 100
    assert reason(found["over.h"]) == "too large: 101 bytes, the limit is 100"
    found = read(tmp_path)
    assert "for a suffix not known as code" in reason(found["data.unheard-of"])
    assert len(text(found["code.h"])) == 257 << 10


def test_a_line_of_a_million_characters_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("x" * 1_000_000)
    assert len(text(read(tmp_path)["a.js"])) == 1_000_000


def test_histories_are_not_entered(tmp_path: Path) -> None:
    for store in (".git", ".hg"):
        (tmp_path / "sub" / store / "objects").mkdir(parents=True)
        (tmp_path / "sub" / store / "objects" / "a.h").write_text(CODE)
    assert {path: reason(one) for path, one in read(tmp_path).items()} == {
        "sub/.git": "folder of git's history, not entered",
        "sub/.hg": "folder of Mercurial's history, not entered",
    }


def test_names_that_are_not_utf8_and_names_that_hurt(tmp_path: Path) -> None:
    names = [b"caf\xe9.h", b"new\nline.h", b"<b>.h", b"-rf.h", "\u202egnp.h".encode(), b"x" * 255]
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text(CODE)
    found = read(tmp_path)
    assert {os.fsencode(path) for path in found} == set(names)
    assert {text(one) for one in found.values()} == {CODE}


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=handle)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    (tmp_path / "z.h").write_text(CODE)
    found = read(tmp_path)
    assert text(found.pop("z.h")) == CODE
    ((path, one),) = found.items()
    assert reason(one) == "cannot be read: File name too long"
    assert path.startswith("d" * 200)


def test_unreadable_files_and_folders() -> None:
    """As a user to whom they are shut; as root nothing is."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "shut").mkdir()
        (root / "shut.h").write_text(CODE)
        (root / "open.h").write_text(CODE)
        for path, mode in ((root, 0o755), (root / "shut", 0), (root / "shut.h", 0)):
            path.chmod(mode)
        code = (
            "import os, sys; from pathlib import Path\n"
            "from porter.audit.reading import Candidate, list_tree, read_file\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "root = Path(sys.argv[1])\n"
            "for one in list_tree(root):\n"
            "    read = read_file(root, one) if isinstance(one, Candidate) else one\n"
            "    print(one.path, getattr(read, 'reason', 'read'), sep=': ')"
        )
        command = [sys.executable, "-c", code, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        (root / "shut").chmod(0o755)
    assert done.stdout.splitlines() == [
        "open.h: read",
        "shut: cannot be read: Permission denied",
        "shut.h: cannot be read: Permission denied",
    ]
