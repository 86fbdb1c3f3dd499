# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Running compilers: what bounds them, what they can read, and what a digest says of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from porter.errors import ToolchainError
from porter.metal import runtime_build, toolchain


def python(program: str, folder: Path, **arguments) -> subprocess.CompletedProcess[str]:
    return toolchain.run([sys.executable, "-c", program], folder=folder, **arguments)


def test_standard_streams_and_the_exit_status(tmp_path):
    program = "import sys; sys.stderr.write('é' + sys.stdin.read()); print('out'); sys.exit(3)"
    result = python(program, tmp_path, text="☃")
    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "é☃")


def test_what_is_not_utf8_is_told_all_the_same(tmp_path):
    result = python("import sys; sys.stderr.buffer.write(b'a\\xffb')", tmp_path)
    assert result.stderr == "a\ufffdb"


def test_a_compiler_that_is_not_there(tmp_path):
    with pytest.raises(ToolchainError, match="cannot be started"):
        toolchain.run([str(tmp_path / "nothing")], folder=tmp_path)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_bounded(tmp_path, stream):
    program = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    with pytest.raises(ToolchainError, match="wrote more than 1 MiB"):
        python(program, tmp_path, max_output=1 << 20)


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_MAX_MEMORY_BYTES", 1 << 30)
    # The bound is set just after the start, so that what is started waits for it.
    program = "import time; time.sleep(1)\ntry: bytearray(1 << 31)\nexcept MemoryError: print('refused')"
    assert python(program, tmp_path).stdout == "refused\n"


def test_time_is_bounded_and_no_process_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_TIMEOUT_SECONDS", 1)
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    before = time.monotonic()
    with pytest.raises(ToolchainError, match="did not end within 1 s"):
        python(program, tmp_path)
    assert time.monotonic() - before < 30
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if _ended(child):
            return
        time.sleep(0.05)
    raise AssertionError("a process that the compiler started is still there")


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_the_environment_that_compilers_see(tmp_path, monkeypatch):
    for name in ("CPATH", "CCC_OVERRIDE_OPTIONS", "COMPILER_PATH"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("STEEL_PORT_CACHE", "relative")
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside").mkdir()
    result = python("import os, json; print(json.dumps(dict(os.environ)))", tmp_path / "inside")
    seen = json.loads(result.stdout)
    assert not {"CPATH", "CCC_OVERRIDE_OPTIONS", "COMPILER_PATH"} & seen.keys()
    assert (seen["KEPT"], seen["LC_ALL"]) == ("yes", "C")
    assert seen["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "relative" / "zig")


def test_clang_sees_only_what_belongs_to_a_source(tmp_path):
    for name in ("open", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "header.h").write_text(f"int {name};\n")
    text = "".join(f'#include "{tmp_path / name}/header.h"\n' for name in ("open", "shut"))
    arguments = ["clang", *toolchain.closed([tmp_path / "open"]), "-x", "c++", "-nostdinc", "-E", "-P", "-"]
    result = toolchain.run_zig(arguments, folder=tmp_path, text=text)
    assert "int open;" in result.stdout
    assert "int shut" not in result.stdout
    assert f"'{tmp_path}/shut/header.h' file not found" in result.stderr


def test_a_compiler_that_was_updated_is_another(tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("one")
    first = toolchain.compiler_identity(str(compiler))
    assert toolchain.compiler_identity(str(compiler)) == first
    os.utime(compiler, ns=(1, 1))
    assert toolchain.compiler_identity(str(compiler)) != first
    assert "0.17.1" in toolchain.zig_identity()


def test_digests_keep_parts_apart():
    assert toolchain.digest(["ab", "c"]) != toolchain.digest(["a", "bc"])
    assert toolchain.digest(["a"]) == toolchain.digest([b"a"])


@pytest.mark.parametrize("name", ["with space", "Übersetzer ☃ $x", "relative"])
def test_kernels_run_from_an_unusual_cache(tmp_path, name):
    """In a process of its own: the folder is chosen at the first use."""
    program = (
        "import numpy as np\nfrom porter.metal import Library\n"
        "source = 'kernel void k(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] = i; }'\n"
        "x = np.zeros(4, np.float32)\nLibrary(source)['k']({0: x}, (4,), (4,))\nprint(x.tolist())"
    )
    cache = name if name == "relative" else str(tmp_path / name)
    environment = {**os.environ, "STEEL_PORT_CACHE": cache}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout == "[0.0, 1.0, 2.0, 3.0]\n", result.stderr
    assert list((tmp_path / name / "kernels").glob("*.kernel"))


def test_a_runtime_that_cannot_be_built_says_why(tmp_path, monkeypatch):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'In file included from x:' >&2\necho 'y.h:1: error: too old' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path))
    monkeypatch.setattr(toolchain, "system_compiler", lambda: str(compiler))
    with pytest.raises(ToolchainError, match=r"could not be built: y\.h:1: error: too old") as caught:
        runtime_build.runtime_library.__wrapped__()
    assert "CXX" in (caught.value.next_step or "")
    assert list((tmp_path / "runtime").iterdir()) == []


def test_many_processes_build_one_runtime(tmp_path):
    program = "from porter.metal import runtime_library; import ctypes; ctypes.CDLL(str(runtime_library()))"
    environment = {**os.environ, "STEEL_PORT_CACHE": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    (only,) = (tmp_path / "runtime").iterdir()
    assert [path.name for path in only.iterdir()] == ["libmsl_runtime.so"]
