# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Notices of each verdict, to be put into a generated tree. The licence's words come from upstream's LICENSE."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

from porter.audit.model import Verdict


@dataclass(frozen=True)
class Notice:
    """`lines` of a comment, without its marks, and `files` that stand elsewhere in the tree (path -> text)."""

    verdict: Verdict
    lines: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)


# REUSE-IgnoreStart
_HOLDERS = ("2021 Example Computing Ltd", "2019 J. Doe", "2024 The Tensor Works authors", "2022 Numerix GmbH")
_MENTIONS = (
    "Adapted from MLX (https://github.com/ml-explore/mlx)",
    "Based on the kernels of mlx by Apple",
    "Ported from ml-explore/mlx",
    "See https://github.com/ml-explore/mlx/tree/main/mlx/backend/metal for where this comes from",
    "This code was taken from MLX",
)
_WRONG = (
    ("SPDX-License-Identifier: Apache-2.0",),
    ("SPDX-License-Identifier: BSD-3-Clause",),
    ("All rights reserved.", "", "Use of this source code is governed by a BSD-style licence."),
    ('Licensed under the Apache License, Version 2.0 (the "License");', "http://www.apache.org/licenses/LICENSE-2.0"),
    ("This program is free software under the GNU General Public License, version 3.",),
)


def notice(verdict: Verdict, licence: str, random: Random) -> Notice:
    """A notice that deserves `verdict`, in one of several forms."""
    copyright_line = _copyright_of(licence)
    if verdict is Verdict.COMPLETE:
        return _complete(copyright_line, licence, random)
    if verdict is Verdict.NO_PERMISSION_TEXT:
        spdx = f"SPDX-FileCopyrightText: {copyright_line.split(' ', 1)[1]}"
        forms = (
            (copyright_line,),
            (spdx,),
            (copyright_line, random.choice(_MENTIONS)),
            (copyright_line, "MIT License"),
        )
        return Notice(verdict, random.choice(forms))
    if verdict is Verdict.MENTION_ONLY:
        return Notice(verdict, (random.choice(_MENTIONS),))
    if verdict is Verdict.WRONG_LICENCE:
        return Notice(verdict, (f"Copyright (c) {random.choice(_HOLDERS)}", *random.choice(_WRONG)))
    return Notice(verdict, ())


def _complete(copyright_line: str, licence: str, random: Random) -> Notice:
    if random.random() < 0.5:
        return Notice(Verdict.COMPLETE, tuple(licence.strip().split("\n")))
    name = random.choice(("LICENSES/MIT.txt", "LICENSES/MIT-MLX.txt"))
    rights = copyright_line.split(" ", 1)[1]
    lines = (f"SPDX-FileCopyrightText: {rights}", "SPDX-License-Identifier: MIT")
    return Notice(Verdict.COMPLETE, lines, {name: licence})


def _copyright_of(licence: str) -> str:
    found = re.search(r"^Copyright .*$", licence, re.MULTILINE)
    if found is None:
        raise ValueError("upstream's licence has no line that begins with Copyright")
    return found.group()


def as_comment(lines: tuple[str, ...], language: str, random: Random) -> str:
    """The lines as a comment of `language` ("c" or "python"), or nothing where there are none."""
    if not lines:
        return ""
    if language == "python":
        return "".join(f"# {line}".rstrip() + "\n" for line in lines)
    if random.random() < 0.5:
        return "".join(f"// {line}".rstrip() + "\n" for line in lines)
    return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


# REUSE-IgnoreEnd
OTHER_LICENCE = re.compile(r"Apache License|Redistribution and use|Norbert Juffa|NVIDIA Corporation", re.I)
