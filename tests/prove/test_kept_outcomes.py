# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What was found before is taken where nothing changed, and only there."""

from __future__ import annotations

import dataclasses
import sys

import pytest

pytest.importorskip("llvmlite")

from porter.cache import cache_dir
from porter.prove import kept_outcomes
from porter.prove.outcome import Found, Outcome

from . import scaled


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "cache"))
    made = scaled.generator()
    monkeypatch.setitem(sys.modules, made.__name__, made)


EQUAL = Found("equal", 2, "", "bit for bit", ("n 5: the same", "n 70: the same"))
KEY = "ab" * 32


def files():
    return list(cache_dir("outputs").iterdir())


def test_what_holds_is_recalled():
    outcomes = (Outcome("one", EQUAL, None), Outcome("two", EQUAL, dataclasses.replace(EQUAL, worst=0.5)))
    kept_outcomes.keep(KEY, outcomes)
    assert kept_outcomes.recall(KEY) == outcomes


@pytest.mark.parametrize("status", ["differs", "not run"])
def test_what_does_not_hold_is_looked_at_anew(status):
    wrong = dataclasses.replace(EQUAL, status=status, why="because")
    kept_outcomes.keep(KEY, (Outcome("one", EQUAL, None), Outcome("two", EQUAL, wrong)))
    assert kept_outcomes.recall(KEY) is None
    assert files() == []


@pytest.mark.parametrize("at", [0, 40, 80, -1])
def test_a_damaged_file_is_as_good_as_none(at):
    kept_outcomes.keep(KEY, (Outcome("one", EQUAL, None),))
    (path,) = files()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    assert kept_outcomes.recall(KEY) is None
    path.write_bytes(b"")
    assert kept_outcomes.recall(KEY) is None


def test_a_file_in_anothers_place_is_as_good_as_none():
    kept_outcomes.keep(KEY, (Outcome("one", EQUAL, None),))
    (path,) = files()
    path.rename(path.with_name(f"{'cd' * 32}.json"))
    assert kept_outcomes.recall("cd" * 32) is None


def test_the_key_covers_everything_that_decides(tmp_path, monkeypatch):
    job = scaled.job(tmp_path)
    key = kept_outcomes.key(job)
    assert kept_outcomes.key(scaled.job(tmp_path)) == key
    other = scaled.INTEGER.replace("mul i32 %7, 3", "mul i32 %7, 5")
    port = {**scaled.PORT, "MlxScale.h": scaled.PORT["MlxScale.h"] + "// one line more\n"}
    folder = tmp_path / "other"
    folder.mkdir()
    changes = [
        {"library": scaled.write_library(folder, integer=other)},
        {"source": scaled.port_source(port)},
        {"thorough": frozenset({"scale_int32"})},
        {"rows": job.rows[:1]},
        {"family": dataclasses.replace(job.family, digest="1" * 64)},
        {"structs": {}},
        {"source": None},
        {"library": None},
    ]
    keys = [kept_outcomes.key(dataclasses.replace(job, **change)) for change in changes]
    assert len({key, *keys}) == len(changes) + 1
    monkeypatch.setattr(kept_outcomes, "_environment", lambda: "another machine")
    assert kept_outcomes.key(job) not in {key, *keys}


def test_a_generators_code_is_its_own_and_what_it_imports(tmp_path, monkeypatch):
    import porter.prove.cases

    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "first_of_a_test.py").write_text("from porter.prove.cases import second_of_a_test\n")
    (folder / "second_of_a_test.py").write_text("import porter.prove.cases.values\n")
    monkeypatch.setattr(porter.prove.cases, "__path__", [*porter.prove.cases.__path__, str(folder)])
    before = kept_outcomes._code("porter.prove.cases.first_of_a_test")
    kept_outcomes._code.cache_clear()
    assert kept_outcomes._code("porter.prove.cases.first_of_a_test") == before
    kept_outcomes._code.cache_clear()
    (folder / "second_of_a_test.py").write_text("import porter.prove.cases.values  # changed\n")
    assert kept_outcomes._code("porter.prove.cases.first_of_a_test") != before
    kept_outcomes._code.cache_clear()
