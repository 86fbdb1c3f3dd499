# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Floating-point literals without a suffix, which are float in Metal (Metal Shading Language specification, 2.1).

clang's `-cl-single-precision-constant` makes them so by a conversion that it forgets when it instantiates a template:
`x - 0.5` with a float x is double there, which rounds elsewhere and makes `sin(x - 0.5)` ambiguous. So the suffix is
written. Columns move by that, and `diagnostics` asks about the source as the user wrote it.
"""

from __future__ import annotations

import re

_QUOTED = r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)'"
_FLOATING = (
    r"(?<![\w.])(?:"
    r"(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?"
    r"|\d+[eE][+-]?\d+"
    r"|0[xX][\da-fA-F]*\.?[\da-fA-F]*[pP][+-]?\d+"
    r")(?![\w.])"
)
_TOKEN = re.compile(f"{_QUOTED}|({_FLOATING})")


def in_single_precision(preprocessed: str) -> str:
    """The text with `f` behind each such literal; those in strings are left alone."""
    return _TOKEN.sub(lambda found: found.group() + ("f" if found.group(1) else ""), preprocessed)
