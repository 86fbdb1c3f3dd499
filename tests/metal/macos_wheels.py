# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Compiled libraries of others, out of the wheels for macOS: fetched by pip when a test runs, kept in our cache.

A test that needs one is skipped, with the reason, where it cannot be had. Nothing of a wheel is run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from porter.cache import cache_dir
from porter.metal.air import LibraryFile
from porter.metal.library_files import open_libraries

_TIMEOUT = 900  # seconds for at most 111 MB


@dataclass(frozen=True)
class MacosLibrary:
    """A library: the wheel's requirement and platform, the member that carries it, the section, and what is known."""

    requirement: str
    platform: str
    member: str
    section: str
    kernels: int

    def __str__(self) -> str:
        return "-".join(part for part in (self.requirement, self.platform, self.section) if part)


_METALLIB = "mlx/lib/mlx.metallib"
_DYLIB = "torch/lib/libtorch_cpu.dylib"
MLX_0_30_1 = MacosLibrary("mlx-metal==0.30.1", "macosx_15_0_arm64", _METALLIB, "", 14804)
LIBRARIES = (
    MLX_0_30_1,
    MacosLibrary("mlx-metal==0.30.1", "macosx_14_0_arm64", _METALLIB, "", 14801),
    MacosLibrary("mlx-metal==0.32.1", "macosx_15_0_arm64", _METALLIB, "", 16116),
    MacosLibrary("mlx-metal==0.32.4", "macosx_26_0_arm64", _METALLIB, "", 18817),
    MacosLibrary("torch==2.13.0", "macosx_14_0_arm64", _DYLIB, "metal_basic", 12998),
    MacosLibrary("torch==2.13.0", "macosx_14_0_arm64", _DYLIB, "metal_40", 12998),
)


def file_of(library: MacosLibrary) -> Path:
    """The member's path in our cache. Skips the test where pip cannot fetch the wheel."""
    folder = cache_dir("macos-wheels") / f"{library.requirement}-{library.platform}"
    path = folder / Path(library.member).name
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            _download(library, temporary)
            (wheel,) = Path(temporary).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(library.member, temporary)
            (Path(temporary) / library.member).replace(path)
    return path


@contextmanager
def opened(library: MacosLibrary) -> Iterator[LibraryFile]:
    carried = {one.section: one.library for one in open_libraries(file_of(library))}
    try:
        yield carried[library.section]
    finally:
        for one in carried.values():
            one.close()


def _download(library: MacosLibrary, folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
    command += ["--platform", library.platform, "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    try:
        done = subprocess.run(
            [*command, "--dest", folder, library.requirement], capture_output=True, text=True, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip did not bring {library.requirement} for {library.platform} in {_TIMEOUT} s")
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"pip cannot bring {library.requirement} for {library.platform}: {told}")
