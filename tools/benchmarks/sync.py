# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How long `steel-port sync` of the whole corpus takes, beside a syntax-only pass of the same compiler over it.

cold       `sync --no-verify`, upstream vendored, nothing remembered, generated/ absent
unchanged  `sync --no-verify` again
header     `sync --no-verify` after a comment was added to one header that one family includes
syntax     libclang 18 (the parser of `sync`) over every family's files and all its instantiations, bodies and all: what
           `-fsyntax-only` does, in one process (once; it is long)
Whole processes, in turn; medians. Peak memory is the largest single process. Upstream is what `--mlx-source` or
STEEL_PORT_MLX_GIT name, else the wheel (then the families whose bodies it lacks are left out, in every row).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SYNTAX = """
import sys
import time
from pathlib import Path
from porter.metal.frontend import parse
from porter.parse.requests import with_requests
from porter.spec import load_families, present
from porter.upstream import vendored

families = load_families()
sources = with_requests(vendored(Path(sys.argv[1]) / "upstream_mlx"), families)
texts = {path: file.text for path, file in sources.files.items() if path.endswith((".h", ".metal"))}
for family in present(families, sources):
    paths = [path for path in (*family.preamble, *family.sources_of_kernels) if path in texts]
    if family.table in texts:
        paths = [family.table]
    main = "".join(f'#include "{path}"\\n' for path in paths)
    if family.table not in texts:
        rows = family.instantiations() if paths else ()
        functions = [f"{row.template}<{', '.join(row.arguments)}>" for row in rows if row.arguments]
        main += "".join(f"template decltype({one}) {one};\\n" for one in dict.fromkeys(functions))
    parse(main, texts)
"""
HEADER = "mlx/backend/metal/kernels/softmax.h"


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Seconds and peak KiB of one process and what it starts. Raises CalledProcessError where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise subprocess.CalledProcessError(status, command)
    return seconds, max(usage.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def touched(source: Path, into: Path) -> None:
    """A copy of a vendored tree with one comment more."""
    shutil.copytree(source, into, dirs_exist_ok=True)
    for name in ("PIN.yaml", "HERE.json"):
        (into / name).unlink(missing_ok=True)
    with (into / HEADER).open("a") as stream:
        stream.write("// one comment more\\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mlx-rev", default="v0.30.1")
    parser.add_argument("--mlx-source", default=os.environ.get("STEEL_PORT_MLX_GIT"))
    parser.add_argument("--syntax", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, state = Path(folder) / "work", Path(folder) / "cache"
        environment = {**os.environ, "STEEL_PORT_CACHE": str(state)}
        command = [sys.executable, "-m", "porter", "sync", "--no-verify", "--root"]
        given = ["--mlx-source", options.mlx_source] if options.mlx_source else []
        first = [*command, str(root), "--mlx-rev", options.mlx_rev, *given]
        sync = [*command, str(root), "--mlx-rev", options.mlx_rev]
        root.mkdir()
        timed(first, environment)  # vendors upstream, and warms the disk cache
        other = Path(folder) / "other"
        touched(root / "upstream_mlx", other / "source")
        changed = [*command, str(root), "--mlx-rev", options.mlx_rev, "--mlx-source", str(other / "source")]
        rows: dict[str, list[tuple[float, int]]] = {"cold": [], "unchanged": [], "header": []}
        for _ in range(options.runs):
            shutil.rmtree(root / "generated")
            for kept in ("sync", "corpus", "overlay", "specs"):
                shutil.rmtree(state / kept, ignore_errors=True)
            rows["cold"].append(timed(sync, environment))
            rows["unchanged"].append(timed(sync, environment))
            saved = (root / "upstream_mlx" / "PIN.yaml").read_bytes()
            shutil.copytree(root / "upstream_mlx", other / "kept", dirs_exist_ok=True)
            shutil.rmtree(root / "upstream_mlx")
            rows["header"].append(timed(changed, environment))
            shutil.rmtree(root / "upstream_mlx")
            shutil.copytree(other / "kept", root / "upstream_mlx")
            (root / "upstream_mlx" / "PIN.yaml").write_bytes(saved)
        if options.syntax:
            rows["syntax"] = [timed([sys.executable, "-c", SYNTAX, str(root)], environment)]
    for name, runs in rows.items():
        seconds = [run[0] for run in runs]
        print(
            f"{name:10} {statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"
            f"   peak {max(run[1] for run in runs) / 1024:.0f} MiB"
        )


if __name__ == "__main__":
    main()
