# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How much memory `steel-port sync` takes at most, its compilers included, with nothing remembered.

The resident memory of the whole process tree is read every 50 ms; shared pages count once for every process that has
them, so the figure is too high rather than too low. --ring NAME measures one ring of `verify` instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def tree(pid: int) -> list[int]:
    """`pid` and every process below it."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    except OSError:  # it has ended
        pass
    return found


def resident(pid: int) -> int:
    """Resident KiB of one process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ring", help="names, layouts, code or outputs; the whole of `sync` without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "work"
        root.mkdir()
        environment = {**os.environ, "STEEL_PORT_CACHE": f"{folder}/cache"}
        sync = [
            sys.executable,
            "-m",
            "porter",
            "sync",
            "--mlx-rev",
            "v0.30.1",
            "--provider",
            "wheel",
            "--root",
            str(root),
        ]
        command = sync
        if options.ring:
            subprocess.run([*sync, "--no-verify"], env=environment, stdout=subprocess.DEVNULL, check=True)
            command = [sys.executable, "-m", "porter", "verify", "--ring", options.ring, "--root", str(root)]
        start, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, sum(resident(pid) for pid in set(tree(process.pid))))
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        print(
            f"{options.ring or 'sync'}: at most {peak / 1024:.0f} MiB in {seconds:.0f} s, status {process.returncode}"
        )


if __name__ == "__main__":
    main()
