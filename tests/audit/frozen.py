# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""FROZEN: the digest of every file that shapes a case. `python -m tests.audit.frozen REASON` writes it anew."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from porter.cache import write_atomically

HERE = Path(__file__).parent
FROZEN = HERE / "FROZEN"
SHAPING = (
    "cases.py", "history.py", "kept_names.txt", "kernel_templates.py", "metal_templates.py", "negatives.py",
    "notices.py", "pieces.py", "tokens.py", "transforms.py", "truth.py",
)  # fmt: skip
HEAD = """\
# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
#
# The generator of cases as it was frozen, before the detector was tuned. Each line that begins with `#:` says why it
# was frozen anew; figures measured before the last of them count only where it says so.
"""


def digests() -> dict[str, str]:
    """SHA-256 of each file that shapes a case."""
    return {name: hashlib.sha256((HERE / name).read_bytes()).hexdigest() for name in SHAPING}


def recorded() -> dict[str, str]:
    lines = FROZEN.read_text("utf-8").split("\n")
    return {line.split()[1]: line.split()[0] for line in lines if line and not line.startswith("#")}


def freeze(reason: str) -> None:
    reasons = (
        [line for line in FROZEN.read_text("utf-8").split("\n") if line.startswith("#:")] if FROZEN.exists() else []
    )
    rows = [*reasons, f"#: {reason}", *(f"{digest}  {name}" for name, digest in digests().items())]
    write_atomically(FROZEN, (HEAD + "\n".join(rows) + "\n").encode())


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit("usage: python -m tests.audit.frozen REASON")
    freeze(sys.argv[1].strip())
