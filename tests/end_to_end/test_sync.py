# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port sync` as a user runs it: the same bytes everywhere, nothing half done, nothing done twice."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from porter.model import sha256

REPOSITORY = Path(__file__).parents[2]
SYNC = [sys.executable, "-m", "porter", "sync", "--no-verify", "--mlx-rev", "v0.30.1"]


def sync(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SYNC, "--root", str(root), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **environment},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_machines_write_the_same_bytes(tmp_path: Path, root: Path) -> None:
    """Another folder, another time zone, another locale, another hash seed, and nothing remembered."""
    other = tmp_path / "another folder"
    other.mkdir()
    environment = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    done = sync(other, "--provider", "wheel", **environment)
    assert done.returncode == 0, done.stderr
    assert contents(other / "generated") == contents(root / "generated")


def test_the_repositorys_lock_names_what_sync_writes(root: Path) -> None:
    """The repository's is that of the full source, of which a wheel yields the greater part, byte for byte."""
    whole, mine = (json.loads((folder / "generated" / "LOCK.json").read_text()) for folder in (REPOSITORY, root))
    assert (whole["revision"], whole["rules"]) == (mine["revision"], mine["rules"])
    assert mine["files"].items() < whole["files"].items()


def test_a_lock_that_names_more_stays_and_says_what_is_here(tmp_path: Path, root: Path) -> None:
    whole = (REPOSITORY / "generated" / "LOCK.json").read_bytes()
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "LOCK.json").write_bytes(whole)
    assert sync(tmp_path, "--provider", "wheel").returncode == 0
    files = contents(tmp_path / "generated")
    assert files.pop("LOCK.json") == whole
    here = json.loads(files.pop("HERE.json"))
    assert sorted(files) == here
    assert "up to date" in sync(tmp_path).stdout


BODIES_IN_METAL_FILES = {"ArgReduce", "Conv", "Fence", "Gemv", "LayerNorm", "Random", "RmsNorm", "Rope"}


def test_a_wheel_gives_the_same_overlay_but_for_the_kernels_that_it_lacks(
    tmp_path: Path, root: Path, mlx_git: str
) -> None:
    done = sync(tmp_path, "--provider", "git", "--mlx-source", mlx_git)
    assert done.returncode == 0, done.stderr
    whole, part = contents(tmp_path / "generated"), contents(root / "generated")
    for files in (whole, part):
        del files["LOCK.json"]
    assert part.items() < whole.items()
    more = {re.sub(r"(Table|Source)?\.[\w.]+$", "", path.rpartition("/")[2]) for path in whole.keys() - part.keys()}
    # MlxReduce.h is upstream's reduce.h, which only includes others, and which only a .metal file includes.
    assert more == {f"Mlx{name}" for name in BODIES_IN_METAL_FILES} | {"MlxReduce"}


def test_the_lock_names_every_file_and_its_digest(root: Path) -> None:
    lock = json.loads((root / "generated" / "LOCK.json").read_text())
    files = contents(root / "generated")
    del files["LOCK.json"]
    assert lock["files"] == {path: sha256(data) for path, data in files.items()}


def test_a_second_sync_writes_nothing(root: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (root / "generated").rglob("*")}
    done = sync(root)
    assert done.returncode == 0
    assert "up to date" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in (root / "generated").rglob("*")} == before


def test_no_machines_path_stands_in_what_is_written(root: Path) -> None:
    for tree in ("generated", "upstream_mlx"):
        for path, data in contents(root / tree).items():
            assert str(root).encode() not in data, path
            assert str(REPOSITORY).encode() not in data, path


def test_a_changed_file_is_found_and_mended(tmp_path: Path, root: Path) -> None:
    assert sync(tmp_path, "--provider", "wheel").returncode == 0
    header = next((tmp_path / "generated").rglob("SteelGemmMma.h"))
    whole = header.read_bytes()
    header.write_bytes(whole.replace(b"off_x", b"off_y", 1))
    verify = [sys.executable, "-m", "porter", "verify", "--root", str(tmp_path), "--ring", "names"]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SteelGemmMma.h" in done.stderr
    assert sync(tmp_path).returncode == 0
    assert header.read_bytes() == whole


def test_a_kill_at_any_moment_leaves_whole_trees(tmp_path: Path, root: Path) -> None:
    assert sync(tmp_path, "--provider", "wheel").returncode == 0
    before = contents(tmp_path / "generated")
    start = time.perf_counter()
    victim = next((tmp_path / "generated").rglob("MlxUtils.h"))
    victim.write_text("not what the lock says\n")
    assert sync(tmp_path).returncode == 0
    length = time.perf_counter() - start
    seed = random.randrange(1 << 30)
    moments = random.Random(seed)
    for _ in range(12):
        victim.write_text("not what the lock says\n")
        damaged = contents(tmp_path / "generated")
        process = subprocess.Popen([*SYNC, "--root", str(tmp_path)], stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0, length))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert contents(tmp_path / "generated") in (before, damaged), f"seed {seed}"
    assert sync(tmp_path).returncode == 0
    assert contents(tmp_path / "generated") == before
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["generated", "upstream_mlx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mlx-rev", "v9.9.9"), "v9.9.9"),
        (("--mlx-rev", "0000000"), "0000000"),
        (("--mlx-rev", "v0.30.1", "--provider", "git", "--mlx-source", "/nowhere/at/all"), "/nowhere/at/all"),
        (("--family", "no_such"), "no family is called 'no_such'"),
        (("--target", "pytorch-9"), "no target is called 'pytorch-9'"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = sync(tmp_path, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "generated").exists()
    assert not (tmp_path / "upstream_mlx").exists()


FUSED = ("--family", "steel_gemm_fused")
RELEASES = ["v0.29.4", "v0.30.0", "v0.30.3", "v0.30.6", "v0.31.0", "v0.31.1", "v0.31.2", "v0.32.0", "v0.32.1"]


@pytest.mark.parametrize("tag", RELEASES)
def test_other_releases_are_ported_too(tmp_path: Path, mlx_git: str, tag: str) -> None:
    """From the full source, so that the YAML's table and tiles are held against that release's own."""
    done = sync(tmp_path, "--provider", "git", "--mlx-source", mlx_git, "--mlx-rev", tag, *FUSED)
    assert done.returncode == 0, done.stderr
    assert "96 kernels of upstream, 4,608 with their constants" in done.stdout


def test_a_release_with_another_layout_is_refused_whole(tmp_path: Path, mlx_git: str) -> None:
    """v0.29.0 picks its bf16.h by a compiler flag; what cannot be read is said, and nothing is written."""
    done = sync(tmp_path, "--provider", "git", "--mlx-source", mlx_git, "--mlx-rev", "v0.29.0", *FUSED)
    assert done.returncode == 1
    assert "mlx/backend/metal/kernels/utils.h:10" in done.stderr
    assert not (tmp_path / "generated").exists()
