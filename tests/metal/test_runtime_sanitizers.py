# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The runtime under ThreadSanitizer, AddressSanitizer and UndefinedBehaviorSanitizer, and what memory it takes.

native/harness.cpp, with kernels written by hand, is built together with the runtime's sources by the system's compiler,
once for each. Faults that are planted in kernels must be found: a sanitizer that sees nothing would pass everything.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from porter.metal import toolchain
from porter.metal.frontend import RUNTIME

NATIVE = Path(__file__).parent / "native"
# Without sibling calls a return address names the call it returns to, as in kernels that we compile.
ARGUMENTS = (
    "-std=c++20",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-ffp-contract=off",
    "-pthread",
    f"-I{RUNTIME}",
)
SANITIZERS = {
    "none": (),
    "thread": ("-fsanitize=thread",),
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}
FOUND = 66  # the exit status of a sanitizer that found something
ENVIRONMENT = {
    "TSAN_OPTIONS": f"halt_on_error=1:exitcode={FOUND}",
    # A fiber that is left for good would keep the frames that this option moves off its stack.
    "ASAN_OPTIONS": f"detect_stack_use_after_return=0:exitcode={FOUND}",
    "LSAN_OPTIONS": f"exitcode={FOUND}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={FOUND}",
}
CASES = ("plain", "barriers", "meetings", "matrices", "errors", "concurrent")


def execute(command: list[str], seconds: int = 300) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    """harness(sanitizer): the program's path, built on first use. Skips where this machine has no such sanitizer."""
    folder = tmp_path_factory.mktemp("native")
    compiler = toolchain.system_compiler()

    def missing(sanitizer: str) -> str | None:
        """Why nothing at all can be built and run with `sanitizer` here."""
        program, source = folder / f"empty-{sanitizer}", folder / "empty.cpp"
        source.write_text("int main() { return 0; }\n")
        built = execute([compiler, *SANITIZERS[sanitizer], str(source), "-o", str(program)])
        ran = execute([str(program)]) if built.returncode == 0 else built
        return None if ran.returncode == 0 else (ran.stderr.strip().splitlines() or ["no message"])[-1]

    def build(sanitizer: str) -> str:
        program = folder / f"harness-{sanitizer}"
        if not program.exists():
            reason = missing(sanitizer)
            if reason:
                pytest.skip(f"{compiler} cannot make programs with {' '.join(SANITIZERS[sanitizer])} here: {reason}")
            sources = [str(path) for path in (*sorted(RUNTIME.glob("*.cpp")), NATIVE / "harness.cpp")]
            built = execute([compiler, *ARGUMENTS, *SANITIZERS[sanitizer], *sources, "-lm", "-o", str(program)])
            assert built.returncode == 0, built.stderr
        return str(program)

    return build


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_the_runtime_is_clean(harness, sanitizer, case):
    result = execute([harness(sanitizer), case])
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, ["ok"]), result.stderr[-4000:]


@pytest.mark.parametrize(
    ("sanitizer", "case", "report"),
    [
        ("thread", "racing", r"data race.*native::racing"),
        ("address", "overflowing", r"heap-buffer-overflow.*native::overflowing"),
        ("address", "smashing", r"kernels\.h.*out of bounds"),
        ("address", "undefined", r"signed integer overflow"),
    ],
)
def test_a_planted_fault_is_found(harness, sanitizer, case, report):
    result = execute([harness(sanitizer), case])
    assert result.returncode not in (0, 1, 2), result.stderr[-2000:]
    assert re.search(report, result.stderr, re.S), result.stderr[-4000:]


def test_a_planted_fault_is_not_found_without_a_sanitizer(harness):
    """So that it is the sanitizer that finds it."""
    assert execute([harness("none"), "racing"]).returncode == 0


def test_dispatches_leak_nothing(harness):
    """100,000 here, a second's worth; `tools/bench metal_memory` does 10^6."""
    result = execute([harness("none"), "repeated", "100000"])
    assert result.returncode == 0, result.stderr + result.stdout


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_memory_a_fiber(harness, cores):
    """A stack is 128 KiB, but its pages are the system's until they are touched: far less than 256 KiB a thread."""
    result = execute([harness("none"), "memory", str(cores)])
    assert result.returncode == 0, result.stderr
    fiber = float(re.search(r"([\d.]+) KiB a fiber", result.stdout)[1])
    # A page for the frames at the top of a stack, a second one for those that cross it, and the core's own 200 KiB.
    assert fiber < 16
