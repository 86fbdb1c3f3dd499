# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which of upstream's files we vendor, and which of those a wheel carries.

Two rules about paths, and nothing else, so that a file list made from a git clone and one made from a wheel can be
compared without asking either for what it lacks.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from porter.model import Coverage

LICENSE = "LICENSE"
KERNELS = "mlx/backend/metal/kernels"
"""Upstream's kernels: headers, `.metal` files and their CMakeLists.txt. All of it is vendored."""

HOST = "mlx/backend/metal"
"""The host code that launches the kernels. Its own `.h` and `.cpp` files (no folder below it but the kernels) are
vendored: the later rooms read the tile selection, the argument slots and the function constants out of it."""

ON_DEMAND = ("mlx/backend/common/hadamard.h", "mlx/backend/metal/jit/indexing.h")
"""Headers outside of the kernels folder that hold kernel source as strings, which upstream instantiates at run time.
The wheels carry them, with the tag's bytes."""

_HOST_SUFFIXES = (".h", ".cpp")

GIT_PATHS = (LICENSE, HOST, "mlx/backend/common")
"""The smallest set of upstream paths that holds everything `wanted` accepts; for a provider that can ask by path."""


def wanted(path: str) -> bool:
    """Whether we vendor the file that upstream calls `path`."""
    pure = PurePosixPath(path)
    if path == LICENSE or path in ON_DEMAND or path.startswith(KERNELS + "/"):
        return True
    return str(pure.parent) == HOST and pure.suffix in _HOST_SUFFIXES


def coverage_of(path: str) -> Coverage:
    """`HEADERS` for a wanted file that the mlx-metal wheels carry, `FULL` for one that only a full source has.

    MLX's build installs every `.h` under the kernels folder into the wheel, and no other kernel file. (Checked for
    v0.29.0, v0.30.1, v0.31.2 and v0.32.1: the same set and the same bytes as the tag's, 83 headers in v0.30.1.)
    """
    carried = path == LICENSE or path in ON_DEMAND or (path.startswith(KERNELS + "/") and path.endswith(".h"))
    return Coverage.HEADERS if carried else Coverage.FULL


def carried_by(path: str, coverage: Coverage) -> bool:
    """Whether a tree of `coverage` holds `path`."""
    return coverage is Coverage.FULL or coverage_of(path) is Coverage.HEADERS
