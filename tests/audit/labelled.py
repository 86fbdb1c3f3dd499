# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's Metal headers as cases of the kind `pytorch-metal`: labels.yaml says which of their lines come from MLX."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from porter.errors import SteelPortError

from .cases import Case, DerivedLine, Origin
from .tokens import idiom_lines

LABELS = Path(__file__).with_name("labels.yaml")
KIND = "pytorch-metal"


class LabelError(SteelPortError):
    """The labels are not about the files that are here."""


def include_folder() -> Path | None:
    """torch's include folder, None where torch is not installed."""
    spec = importlib.util.find_spec("torch")
    return Path(spec.origin).parent / "include" if spec and spec.origin else None


def labelled(folder: Path) -> Iterator[Case]:
    """A case for each labelled header under `folder`. Raises LabelError for one that is missing or was changed."""
    files = yaml.safe_load(LABELS.read_text("utf-8"))["files"]
    for number, (name, label) in enumerate(files.items()):
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != label["sha256"]:
            raise LabelError(
                "is missing or is not the file that was labelled",
                where=str(path),
                expected=f"sha256 {label['sha256']}",
                next_step=f"install the torch that {LABELS.name} names, or read the file beside MLX and label it anew",
            )
        yield _case(number, name, path.read_text("utf-8"), label["ranges"])


def _case(number: int, name: str, text: str, ranges: list[dict[str, Any]]) -> Case:
    code, idioms = idiom_lines(text)
    neutral = (set(range(1, text.count("\n") + 1)) - code) | idioms
    truth: dict[int, DerivedLine] = {}
    origins: list[Origin] = []
    for one in ranges:
        lines = lines_of(one["lines"])
        if one["kind"] == "derived":
            truth.update({line: DerivedLine(len(origins), ()) for line in lines if line in code})
            paths = one["upstream"]
            origins.append(Origin(paths[0], "", frozenset(paths), ()))
        else:
            neutral |= lines
    return Case(KIND, number, {name: text}, name, truth, frozenset(neutral), tuple(origins), None)


def lines_of(words: str) -> set[int]:
    """`"3-5 9"` -> {3, 4, 5, 9}."""
    out: set[int] = set()
    for word in str(words).split():
        first, _, last = word.partition("-")
        out |= set(range(int(first), int(last or first) + 1))
    return out
