# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Reading bitcode in a process of its own: this process survives whatever becomes of that one."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from porter.errors import MetalError, ToolchainError
from porter.metal import bitcode_reader
from porter.metal.bitcode_reader import read_module

from .metallib_writer import bitcode, kernel_ir

CORPUS = Path(__file__).with_name("air_corpus.txt")


def findings() -> list[tuple[str, bytes]]:
    """Bitcode that fuzzing found to end LLVM's reader; made by llvmlite from metallib_writer's kernel, then broken."""
    lines = [line for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    return [(name, zlib.decompress(base64.b64decode(data))) for name, data in map(str.split, lines)]


def test_text_and_declarations():
    found = read_module(bitcode())
    assert "define void @k(" in found.text
    assert found.externals == ("air.simd_sum.f32",)
    assert [variable.name for variable in found.threadgroup_variables] == ["shared", "pairs"]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        pytest.param(b"", "LLVM cannot read this bitcode", id="nothing"),
        pytest.param(b"BC\xc0\xde" + b"\x01" * 12, "LLVM cannot read this bitcode", id="noise"),
        pytest.param(bitcode()[:-40], "LLVM cannot read this bitcode", id="cut"),
        pytest.param(b"\xde\xc0\x17\x0b" + b"\xff" * 16, "LLVM cannot read this bitcode", id="wrapper"),
    ],
)
def test_what_llvm_refuses(code, what):
    with pytest.raises(MetalError, match=what):
        read_module(code)


def test_what_llvms_verifier_refuses():
    """A value that is used before it is there: the reader takes it, the verifier does not."""
    body = "  %a = add i32 %b, 1\n  %b = add i32 %a, 1\n  ret void\n"
    with pytest.raises(MetalError, match="cannot read this bitcode: Instruction does not dominate all uses"):
        read_module(bitcode(f"define void @k() {{\n{body}}}\n"))


def test_a_module_reads_the_same_after_another():
    assert read_module(bitcode()).text == read_module(bitcode()).text


@pytest.mark.parametrize(("name", "code"), findings())
def test_what_ends_llvm_is_an_error_here(name, code):
    with pytest.raises(MetalError) as caught:
        read_module(code)
    assert str(caught.value).startswith("LLVM did not survive reading this bitcode: SIG"), name
    assert "/" not in str(caught.value).split("`")[0]  # no place on whoever's machine built LLVM
    assert read_module(bitcode()).externals  # the next one is read


def child() -> int:
    read_module(bitcode())
    process = bitcode_reader._process._child
    assert process is not None
    return process.pid


def test_one_process_reads_them_all():
    assert child() == child()


def test_a_process_that_was_killed_is_started_again():
    first = child()
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert child() != first


def test_a_process_that_does_not_answer(monkeypatch):
    first = child()
    monkeypatch.setattr(bitcode_reader, "TIMEOUT", 0.2)
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(MetalError, match="it took more than 0 s"):
        read_module(bitcode())
    monkeypatch.undo()
    assert child() != first


def test_an_answer_that_is_too_long(monkeypatch):
    monkeypatch.setattr(bitcode_reader, "LARGEST_ANSWER", 100)
    with pytest.raises(MetalError, match="at most 100 are taken"):
        read_module(bitcode())


def test_several_threads():
    texts: dict[int, str] = {}

    def read(number: int) -> None:
        for _ in range(20):
            texts[number] = read_module(bitcode(kernel_ir("!2 = !{}\n", f"k{number}"))).text

    codes = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in codes:
        thread.start()
    for thread in codes:
        thread.join()
    assert all(f"@k{number}()" in texts[number] for number in range(4))


def test_a_forked_process_has_its_own():
    mine = child()
    pid = os.fork()
    if pid == 0:  # nothing of pytest's may run here
        try:
            os._exit(0 if child() != mine else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert child() == mine


def test_it_ends_with_us():
    program = (
        "from porter.metal.bitcode_reader import read_module, _process\n"
        "from porter.errors import MetalError\n"
        "try:\n    read_module(b'')\nexcept MetalError:\n    print(_process._child.pid, flush=True)\n"
    )
    killed = program + "import os\nos.kill(os.getpid(), 9)\n"
    for text in (program, killed):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        pid = int(done.stdout)
        for _ in range(100):
            if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                break
            threading.Event().wait(0.05)
        else:
            pytest.fail("the child outlives its parent")


def test_without_llvm(tmp_path, monkeypatch):
    (tmp_path / "llvmlite.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = bitcode_reader._Process()
    with pytest.raises(ToolchainError, match="llvmlite is missing"):
        process.answer(bitcode())


def test_limits_of_the_process():
    limits = Path(f"/proc/{child()}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max address space"] == str(2 << 30)
    assert rows["Max core file size"] == "0"
    assert rows["Max file size"] == str(1 << 20)
    assert 0 < int(rows["Max cpu time"]) < 1000
