# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the wheel cannot bring is named; the names are those of the full source."""

import re
import subprocess

from porter.upstream.fetching import METAL_ONLY, NO_METAL

KERNELS = "mlx/backend/metal/kernels"


def git(clone: str, *arguments: str) -> str:
    return subprocess.run(["git", "-C", clone, *arguments], capture_output=True, text=True, check=True).stdout


def test_kernels_whose_body_stands_in_a_metal_file(mlx_git: str) -> None:
    """A kernel's body: the attribute, a return type, a name, arguments and an opening brace (macros joined)."""
    paths = git(mlx_git, "ls-tree", "-r", "--name-only", "v0.30.1", KERNELS).split()
    found = set()
    for path in (p for p in paths if p.endswith(".metal")):
        text = git(mlx_git, "show", f"v0.30.1:{path}").replace("\\\n", "\n")
        if re.search(r"\[\[kernel[^;{]*?\]\]\s*void\s+\w+\s*\([^;{]*?\)\s*\{", text):
            found.add(path.removeprefix(f"{KERNELS}/").removesuffix(".metal"))
    assert found == set(METAL_ONLY)


def test_the_sentence_names_them() -> None:
    assert all(name in NO_METAL for name in METAL_ONLY)
