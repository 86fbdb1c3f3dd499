# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The command as a user types it: what it says and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def steel_port(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "porter", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "120"},
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = steel_port("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert {"sync", "verify", "list", "show"} <= set(done.stdout.split())


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'clang', 'torch', 'numpy', 'llvmlite', 'mlx', 'requests', 'jinja2', 'yaml'}"
    code = (
        f"import sys\nimport porter.cli\ntry:\n porter.cli.main()\nfinally:\n print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("command", ["sync", "verify", "list", "show"])
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    done = steel_port(command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


def test_an_unknown_command(tmp_path: Path) -> None:
    done = steel_port("snyc", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'snyc'" in done.stderr


def test_verify_before_sync(tmp_path: Path) -> None:
    done = steel_port("verify", cwd=tmp_path)
    assert done.returncode == 1
    assert "steel-port sync" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_family(tmp_path: Path) -> None:
    done = steel_port("sync", "--family", "gemms", cwd=tmp_path)
    assert done.returncode == 1
    assert "no family is called 'gemms' (expected arange, " in done.stderr
