# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What decides, besides a kernel itself, what it is compiled to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from porter.metal import toolchain


def checking() -> bool:
    """Whether kernels are compiled with the sanitizer's checks: STEEL_METAL_CHECK=1."""
    return os.environ.get("STEEL_METAL_CHECK", "") not in ("", "0")


@cache
def package_digest() -> str:
    """Of every file of this package that has a part in a kernel's code, and of the compilers' versions."""
    import llvmlite

    here = Path(__file__).parent
    return toolchain.digest(
        [
            toolchain.digest_of_folder(here / "msl"),
            toolchain.digest_of_folder(here / "runtime", "*.h"),
            toolchain.digest(path.read_bytes() for path in sorted(here.glob("*.py"))),
            toolchain.zig_identity(),
            str(llvmlite.__version__),
        ]
    )
