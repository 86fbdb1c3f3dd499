# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How long an audit takes: the index of one revision and of all, and a tree of a million lines; and its memory.

one revision   index of the vendored files of v0.30.1, or of that tag of the clone
all tags       index of every release of the clone (not measured without one)
tree           `steel-port audit` of a tree of at least --lines lines: C and C++ headers that torch installs, and MLX's
               own files of the newest release as a hundredth of it, copied until there are enough; index kept
Whole processes but for the indices; medians. Memory is the largest resident size of one process, MiB; an audit runs one
for each processor.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from porter.audit.history import clone, of_clone, of_sources, release_tags
from porter.audit.index import index_of
from porter.upstream import vendored


def median(runs: int, action: Callable[[], object]) -> str:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return f"{statistics.median(seconds):7.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"


def make_tree(into: Path, source: str | None, lines: int) -> int:
    """Fill `into`; the number of lines."""
    package = importlib.util.find_spec("torch")
    if package is None or package.origin is None:
        sys.exit("the tree is made of torch's headers: install the verify extra")
    headers = sorted((Path(package.origin).parent / "include").rglob("*.h"))
    own = [file.text for file in of_clone(source, list(release_tags(clone(source)))[-1:])] if source else []
    count = turn = 0
    while count < lines:
        for number, header in enumerate(headers):
            text = header.read_text(errors="replace")
            if own and number % 100 == 0:
                text = own[number // 100 % len(own)]
            path = into / f"part{turn}" / f"{number // 500}" / f"{number}{header.suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            count += text.count("\n")
            if count >= lines:
                break
        turn += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--mlx-source", default=os.environ.get("STEEL_PORT_MLX_GIT"))
    options = parser.parse_args()
    source = options.mlx_source
    if source:
        tags = list(release_tags(clone(source)))
        print("one revision", median(options.runs, lambda: index_of(of_clone(source, ["v0.30.1"]), ["v0.30.1"])))
        print("all tags    ", median(options.runs, lambda: index_of(of_clone(source), tags)), f"{len(tags)} tags")
    else:
        files = of_sources(vendored(Path("upstream_mlx")))
        print("one revision", median(options.runs, lambda: index_of(files, files[0].tags)))
        print("all tags     not measured: give --mlx-source")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree, kept = folder / "tree", folder / "kept"
        count = make_tree(tree, source, options.lines)
        command = [sys.executable, "-m", "porter", "audit", str(tree), "--json", "--fail-on", "none"]
        environment = {**os.environ, "STEEL_PORT_CACHE": str(kept)}
        if source:
            command += ["--mlx-source", source]
        small = folder / "small"
        small.mkdir()
        shutil.copy(__file__, small)

        def run(path: Path) -> None:
            arguments = [str(path) if part == str(tree) else part for part in command]
            subprocess.run(arguments, env=environment, stdout=subprocess.DEVNULL, check=True)

        run(small)  # makes the index
        print("tree        ", median(options.runs, lambda: run(tree)), f"{count:,} lines")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"memory       {peak:7.0f} MiB, the largest process of an audit")


if __name__ == "__main__":
    main()
