# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Running small kernels."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def run():
    """run(source, name, buffers, threads, group): compile `source` and run the kernel `name` of it."""
    pytest.importorskip("numpy")
    from porter.metal import Library

    libraries: dict[str, Library] = {}

    def run_kernel(source, name, buffers, threads, group):
        if source not in libraries:
            libraries[source] = Library("#include <metal_stdlib>\nusing namespace metal;\n" + source)
        libraries[source][name](buffers, threads, group)

    return run_kernel
