# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""C++ against the installed torch: compiled once per content, kept under `cache_dir("torch-ext")`.

Not torch.utils.cpp_extension: that builds into a folder per name, so that two checkouts or two torch versions undo each
other's work, and it asks ninja and every source file on each load. Here a path is a digest of everything the result
depends on, so what exists is right, and a second load costs a few file reads.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from porter.cache import cache_dir
from porter.errors import ToolchainError, TreeError
from porter.model import sha256

_COMPILER_FLAGS = ("-std=c++20", "-O1", "-fPIC", "-fvisibility=default", "-Wall", "-Wextra")
_HEADER_SUFFIXES = frozenset({".h", ".hpp", ".inc", ".inl"})
_MAX_HEADERS = 20_000  # an include folder with more is surely not the one that was meant
# A compiler over torch's headers takes about 520 MB; two at once would take `sync` past 1 GiB.
_JOBS = 1
_TIMEOUT_SECONDS = 900
_ERROR_LINES = 12


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: the words that start it, and what it says its version is."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler:
    """The compiler that `$CXX` names, or the first of g++, c++ and clang++ on the path.

    Raises ToolchainError where there is none, or where it does not answer.
    """
    named = os.environ.get("CXX")
    candidates = [shlex.split(named)] if named else [["g++"], ["c++"], ["clang++"]]
    for words in candidates:
        if words and shutil.which(words[0]):
            return Compiler(tuple(words), _run([*words, "--version"]).splitlines()[0])
    raise ToolchainError(
        f"no C++ compiler was found ({' '.join(candidates[0])})" if named else "no C++ compiler was found",
        expected="g++ 11 or newer, or clang++ 14 or newer: torch's libraries are built for the system's libstdc++",
        next_step="install one (Debian, Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`), or name it in CXX",
    )


def build_library(
    name: str,
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    libraries: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> Path:
    """Compile `sources` against the installed torch into the shared library `lib<name>.so` and return its path.

    `include_dirs` come before torch's own, and every header in them is part of the digest. `libraries` are shared
    libraries to link, besides torch's. A symbol that none of them defines is an error here, as it would be at the
    link on a Mac.

    Raises ToolchainError where there is no compiler, or where it refuses, and TreeError where a source cannot be read
    or the cache cannot be written.
    """
    try:
        return _build(name, sources, include_dirs, libraries, flags)
    except OSError as error:
        raise TreeError(
            f"{name} cannot be built: {error.strerror}",
            where=error.filename,
            next_step="check the path; set STEEL_PORT_CACHE to a folder you can write to, on a disk with room",
        ) from error


def _build(
    name: str, sources: Sequence[Path], include_dirs: Sequence[Path], libraries: Sequence[Path], flags: Sequence[str]
) -> Path:
    compiler = find_compiler()
    root = cache_dir("torch-ext")
    compile_flags = [*_COMPILER_FLAGS, *flags, *(f"-I{path}" for path in include_dirs), *_torch_compile_flags()]
    stamp = "\n".join([compiler.version, *_COMPILER_FLAGS, *flags, _torch_version(), _digest_headers(include_dirs)])
    digests = [sha256(f"{stamp}\n{source.name}\n".encode() + source.read_bytes()) for source in sources]
    objects = [root / f"{digest}.o" for digest in digests]
    link_digest = sha256("\n".join([name, *digests, *(_digest_file(path) for path in libraries)]).encode())
    target = root / link_digest / f"lib{name}.so"
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    with FileLock(str(target) + ".lock"):
        if not target.exists():
            with ThreadPoolExecutor(_JOBS) as pool:
                list(
                    pool.map(lambda pair: _compile(compiler, compile_flags, *pair), zip(sources, objects, strict=True))
                )
            _link(compiler, objects, libraries, target)
    return target


def _compile(compiler: Compiler, flags: Sequence[str], source: Path, target: Path) -> None:
    if not target.exists():
        _produce([*compiler.command, *flags, "-c", str(source)], target, f"{source.name} does not compile")


def _link(compiler: Compiler, objects: Sequence[Path], libraries: Sequence[Path], target: Path) -> None:
    folder = _torch_folder() / "lib"
    words = [*compiler.command, "-shared", f"-Wl,-soname,{target.parent.name}-{target.name}", "-Wl,-z,defs"]
    words += [*map(str, objects), *map(str, libraries)]
    words += [f"-L{folder}", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath-link,{folder}", "-ldl"]
    _produce(words, target, f"{target.name} does not link")


def _produce(words: Sequence[str], target: Path, failure: str) -> None:
    """Run the command with `-o` a temporary file beside `target`, and put it in place only when it is whole."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=target.suffix)
    os.close(handle)
    try:
        _run([*words, "-o", temporary], failure)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _run(words: Sequence[str], failure: str = "the C++ compiler does not run") -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(
            f"{failure}: {error}", where=words[0], next_step="reinstall the compiler, or name another one in CXX"
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
        raise ToolchainError(
            "\n".join([failure, *(lines or done.stderr.splitlines())[:_ERROR_LINES]]),
            where=words[0],
            next_step="correct the source; a C++20 compiler is needed (g++ 11, clang++ 14, or newer)",
        )
    return done.stdout


def _digest_file(path: Path) -> str:
    return sha256(path.read_bytes())


def _digest_headers(include_dirs: Sequence[Path]) -> str:
    """One digest over the names and bytes of all headers under the folders, wherever the folders stand."""
    lines = []
    for folder in include_dirs:
        headers = sorted(path for path in folder.rglob("*") if path.suffix in _HEADER_SUFFIXES and path.is_file())
        if len(headers) > _MAX_HEADERS:
            raise ToolchainError(
                f"{len(headers)} headers in one include folder",
                where=str(folder),
                expected=f"at most {_MAX_HEADERS}",
                next_step="name the folder that holds the overlay's headers",
            )
        lines += [f"{_digest_file(path)}  {path.relative_to(folder).as_posix()}" for path in headers]
        lines.append("")
    return sha256("\n".join(lines).encode())


def _torch_folder() -> Path:
    import torch

    return Path(str(torch.__file__)).parent


def _torch_version() -> str:
    import torch

    return f"{torch.__version__} {torch.version.git_version}"


def _torch_compile_flags() -> list[str]:
    import torch

    include = _torch_folder() / "include"
    abi = int(torch._C._GLIBCXX_USE_CXX11_ABI)
    return [
        f"-D_GLIBCXX_USE_CXX11_ABI={abi}",
        *(word for path in (include, include / "torch/csrc/api/include") for word in ("-isystem", str(path))),
    ]
