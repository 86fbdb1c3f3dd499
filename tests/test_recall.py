# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a ring found before is taken for the same inputs, and for no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from porter.model import Corpus, KernelResult, Proof, Ring, SourceFile, Sources, Status, sha256
from porter.port.target import load_target
from porter.prove import Task
from porter.prove.case import Case
from porter.recall import RECALLED, Recall
from porter.spec import load_families
from porter.upstream.lock import Lock

PROOF = Proof(
    Ring.NAMES,
    "arange",
    "a claim",
    "a witness",
    Status.PROVED,
    1,
    notes=("a note",),
    kernels=(KernelResult("arangefloat32", Status.PROVED, 1, basis="bit for bit", details=("n 1",)),),
)
K = "mlx/backend/metal/kernels"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def task(sources: Sources) -> Task:
    (family,) = load_families(["arange"])
    corpus = Corpus(sources.pin, (), (), (), {}, (), (), (), ())
    case = Case(sources, corpus, (family,), family, Path("generated"), load_target(), 1, lambda *_: None)
    return Task(Ring.NAMES, case)


def lock(sources: Sources, **files: str) -> Lock:
    named = {f"pytorch/aten/src/ATen/native/mps/{name}": sha256(text.encode()) for name, text in files.items()}
    return Lock(sources.pin.revision, "0" * 64, "rules", named)


def changed(sources: Sources, path: str) -> Sources:
    text = sources.files[path].text + "// changed\n"
    file = SourceFile(path, text, sha256(text.encode()))
    return dataclasses.replace(sources, files={**sources.files, path: file})


def kept(task: Task, sources: Sources, locked: Lock | None = None, environment: str = "one") -> Recall:
    return Recall(environment, locked or lock(sources), sources)


def test_what_was_found_is_found_again_and_says_so(task: Task, sources: Sources) -> None:
    kept(task, sources).keep(task, (PROOF,))
    (found,) = kept(task, sources).find(task) or ()
    assert found == dataclasses.replace(PROOF, notes=("a note", RECALLED))


def test_nothing_is_found_at_first(task: Task, sources: Sources) -> None:
    assert kept(task, sources).find(task) is None


def test_a_header_that_the_family_includes_makes_it_new(task: Task, sources: Sources) -> None:
    kept(task, sources).keep(task, (PROOF,))
    for path in (f"{K}/arange.h", f"{K}/bf16.h"):
        assert kept(task, changed(sources, path)).find(task) is None, path


def test_a_header_that_it_does_not_include_does_not(task: Task, sources: Sources) -> None:
    kept(task, sources).keep(task, (PROOF,))
    assert kept(task, changed(sources, f"{K}/softmax.h")).find(task) is not None


def test_a_changed_port_of_it_makes_it_new_and_another_does_not(task: Task, sources: Sources) -> None:
    before = {"kernels/MlxArange.h": "a", "operations/MlxArangeTable.h": "b", "kernels/MlxSoftmax.h": "c"}
    kept(task, sources, lock(sources, **before)).keep(task, (PROOF,))
    for name, again in (
        ("kernels/MlxArange.h", False),
        ("operations/MlxArangeTable.h", False),
        ("kernels/MlxSoftmax.h", True),
    ):
        found = kept(task, sources, lock(sources, **{**before, name: "changed"})).find(task)
        assert (found is not None) is again, name


def test_other_tools_another_ring_and_more_kernels_are_other_inputs(task: Task, sources: Sources) -> None:
    kept(task, sources).keep(task, (PROOF,))
    assert kept(task, sources, environment="two").find(task) is None
    assert kept(task, sources).find(dataclasses.replace(task, ring=Ring.CODE)) is None
    sample = dataclasses.replace(task, case=dataclasses.replace(task.case, everything=False))
    assert kept(task, sources).find(sample) is None


def test_what_does_not_hold_is_looked_at_anew(task: Task, sources: Sources) -> None:
    for status in (Status.DIFFERS, Status.NOT_RUN):
        kept(task, sources).keep(task, (PROOF, dataclasses.replace(PROOF, status=status, why="because")))
        assert kept(task, sources).find(task) is None


def test_a_damaged_file_is_none(task: Task, sources: Sources, own_cache: Path) -> None:
    kept(task, sources).keep(task, (PROOF,))
    (file,) = (own_cache / "proved").glob("*.json")
    for text in (b"", b"{", b"[]x", b'[{"ring": "names"}]', b'[{"ring": 1}]', b"\xff"):
        file.write_bytes(text)
        assert kept(task, sources).find(task) is None, text
