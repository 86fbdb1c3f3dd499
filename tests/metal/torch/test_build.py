# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Compiling host code: once per content, with errors that name what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from porter.errors import ToolchainError, TreeError
from porter.metal.torch import build


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "torch-ext"


def write(folder: Path, text: str, name: str = "unit.cpp") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_the_same_content_is_built_once(cache, tmp_path, monkeypatch) -> None:
    one = write(tmp_path / "one", 'extern "C" int answer() { return 42; }')
    two = write(tmp_path / "two", one.read_text())
    path = build.build_library("unit", [one], [])
    monkeypatch.setattr(build, "_produce", lambda *_: pytest.fail("compiled again"))
    assert build.build_library("unit", [two], []) == path


def test_a_changed_header_is_another_content(cache, tmp_path) -> None:
    source = write(tmp_path / "src", '#include "value.h"\nint value() { return VALUE; }')
    header = write(tmp_path / "include", "#define VALUE 1\n", "value.h")
    first = build.build_library("unit", [source], [header.parent])
    header.write_text("#define VALUE 2\n")
    assert build.build_library("unit", [source], [header.parent]) != first


def test_no_compiler(cache, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ToolchainError) as caught:
        build.build_library("unit", [write(tmp_path, "")], [])
    assert "apt install g++" in (caught.value.next_step or "")


def test_a_compiler_named_by_the_user_that_is_missing(cache, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(ToolchainError, match="no-such-compiler -O2"):
        build.find_compiler()


def test_code_that_does_not_compile(cache, tmp_path) -> None:
    with pytest.raises(ToolchainError, match=r"unit.cpp does not compile\n.*unit.cpp:2:1: error"):
        build.build_library("unit", [write(tmp_path, "int ok;\nnonsense;\n")], [])
    assert not list(cache.rglob("*.so"))


def test_a_symbol_that_nobody_defines(cache, tmp_path) -> None:
    source = write(tmp_path, "int absent(); int use() { return absent(); }")
    with pytest.raises(ToolchainError, match=r"does not link\n.*absent"):
        build.build_library("unit", [source], [])
    assert not list(cache.rglob("*.so"))


def test_a_source_that_is_not_there(cache, tmp_path) -> None:
    with pytest.raises(TreeError, match=r"absent.cpp: unit cannot be built: No such file"):
        build.build_library("unit", [tmp_path / "absent.cpp"], [])


def test_too_many_headers(cache, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(build, "_MAX_HEADERS", 1)
    write(tmp_path / "include", "", "a.h")
    write(tmp_path / "include", "", "b.h")
    with pytest.raises(ToolchainError, match="2 headers"):
        build.build_library("unit", [write(tmp_path, "")], [tmp_path / "include"])


def test_the_devices_own_code_has_no_warnings(tmp_path) -> None:
    import torch

    native = Path(build.__file__).parent / "native"
    # All of it as one unit, so that torch's headers are read once.
    unit = write(tmp_path, "".join(f'#include "{path.name}"\n' for path in sorted(native.glob("*.cpp"))))
    words = [*build.find_compiler().command, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    words += [f"-I{native}", f"-I{native.parent.parent / 'runtime'}"]
    for folder in ("include", "include/torch/csrc/api/include"):
        words += ["-isystem", str(Path(torch.__file__).parent / folder)]
    done = subprocess.run([*words, str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=300, check=False
    )


def test_importing_changes_nothing() -> None:
    done = run_python(
        "import porter.metal.torch as mt, sys\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "assert not mt.enabled() and not torch.backends.mps.is_available()\n"
        "try: mt.poison_bindings()\n"
        "except Exception as error: print(type(error).__name__, error.next_step)\n"
    )
    assert (done.returncode, done.stdout) == (0, "ToolchainError call porter.metal.torch.enable() first\n"), done.stderr


ENABLE = (
    "import torch\n"
    "torch.backends.mps.is_available()\n"  # torch keeps what it answers first; the device comes all the same
    "import porter.metal.torch as mt\n"
    "mt.enable()\n"
    "mt.enable()\n"
)


def test_the_device_comes_even_after_torch_was_asked_for_it() -> None:
    done = run_python(ENABLE + "print(torch.ones(2, device='mps').sum().item(), mt.enabled())")
    assert (done.returncode, done.stdout) == (0, "2.0 True\n"), done.stderr


def test_a_process_may_end_right_after_a_backward_pass() -> None:
    code = ENABLE + "x = torch.ones(5, device='mps', requires_grad=True)\n(x * x).sum().backward()\n"
    # Without the wait at exit, about one process in four was aborted here.
    for _ in range(3):
        done = run_python(code)
        assert done.returncode == 0, done.stderr
