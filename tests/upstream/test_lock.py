# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from porter.errors import DigestMismatch, UpstreamError
from porter.upstream import lock
from porter.upstream.lock import Lock
from porter.upstream.trees import replace_tree

FILES = {"b/x.h": b"x", "a.metal": b"kernel"}
MADE = Lock.of("1" * 40, "2" * 64, "0.1.0", FILES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    replace_tree(tmp_path / "generated", {**FILES, lock.LOCK: MADE.to_json().encode()})
    return tmp_path / "generated"


def test_what_is_written(root: Path) -> None:
    expected = {
        "files": {"a.metal": hashlib.sha256(b"kernel").hexdigest(), "b/x.h": hashlib.sha256(b"x").hexdigest()},
        "format": 1,
        "pin": "2" * 64,
        "revision": "1" * 40,
        "rules": "0.1.0",
    }
    assert (root / "LOCK.json").read_text() == json.dumps(expected, indent=1, sort_keys=True) + "\n"


def test_the_order_of_the_files_does_not_matter() -> None:
    assert Lock.of("1" * 40, "2" * 64, "0.1.0", dict(reversed(FILES.items()))).to_json() == MADE.to_json()


def test_there_and_back(root: Path) -> None:
    assert lock.read(root / "LOCK.json") == MADE
    lock.write(root / "LOCK.json", Lock.of("3" * 40, "2" * 64, "0.1.0", FILES))
    assert lock.read(root / "LOCK.json").revision == "3" * 40


def test_a_whole_tree(root: Path) -> None:
    lock.verify(root, MADE)


@pytest.mark.parametrize("change", ["altered", "missing", "extra", "link", "extra link"])
def test_a_tree_that_is_not_whole(root: Path, change: str) -> None:
    name = "new.h" if change.startswith("extra") else "b/x.h"
    place = root / name
    if change == "altered":
        place.write_bytes(b"y")
    elif change == "extra":
        place.write_bytes(b"x")
    else:
        place.unlink(missing_ok=True)
    if "link" in change:
        (root.parent / "elsewhere").write_bytes(b"x")
        place.symlink_to(root.parent / "elsewhere")
    with pytest.raises(DigestMismatch) as caught:
        lock.verify(root, MADE)
    assert caught.value.where == str(place)
    assert caught.value.next_step
    if change == "altered":
        assert hashlib.sha256(b"x").hexdigest() in str(caught.value)
        assert hashlib.sha256(b"y").hexdigest() in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"format": 1', '"format": 2'),
        ('"format": 1', '"format": true'),
        ('"rules": "0.1.0"', '"rules": 1'),
        ('"rules"', '"rulez"'),
        ("1" * 40, "v0.30.1"),
        ("2" * 64, "2" * 63),
        ("b/x.h", "../x.h"),
        ("b/x.h", "LOCK.json"),
        ("b/x.h", "a.metal"),
        ('"files": {', '"files": {"c": 1, '),
        ('"files": {', '"files": {"c": "1", '),
    ],
)
def test_a_lock_that_is_none(root: Path, before: str, after: str) -> None:
    path = root / "LOCK.json"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(UpstreamError) as caught:
        lock.read(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{\n"a": }', "\xff", "[" * 100_000])
def test_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "LOCK.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UpstreamError) as caught:
        lock.read(tmp_path / "LOCK.json")
    assert str(tmp_path / "LOCK.json") in str(caught.value.where)


def test_no_lock(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError) as caught:
        lock.read(tmp_path / "LOCK.json")
    assert caught.value.next_step


def test_a_lock_may_name_more_than_stands_here(root: Path) -> None:
    (root / "a.metal").unlink()
    (root / lock.HERE).write_text('["b/x.h"]')
    found = lock.present(root)
    assert list(found.files) == ["b/x.h"]
    lock.verify(root, found)


def test_without_a_list_everything_is_here(root: Path) -> None:
    assert lock.present(root) == MADE


@pytest.mark.parametrize("text", ['["c.h"]', "{}", "[", "\xff"])
def test_a_list_that_is_none_is_refused(root: Path, text: str) -> None:
    (root / lock.HERE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UpstreamError, match=r"HERE\.json"):
        lock.present(root)


def test_the_report_beside_the_files_is_not_looked_at(root: Path) -> None:
    (root / "report").mkdir()
    (root / "report" / "index.html").write_text("a page")
    lock.verify(root, MADE, "report")
    with pytest.raises(DigestMismatch, match="not a file that the lock names"):
        lock.verify(root, MADE)


def test_a_link_in_the_reports_place_is_no_report(root: Path, tmp_path: Path) -> None:
    (root / "report").symlink_to(tmp_path)
    with pytest.raises(DigestMismatch):
        lock.verify(root, MADE, "report")


def test_the_report_stays_where_nothing_changed_and_goes_with_what_it_is_about(root: Path) -> None:
    (root / "report").mkdir()
    (root / "report" / "index.html").write_text("a page")
    files = {**FILES, lock.LOCK: MADE.to_json().encode()}
    replace_tree(root, files, "report")
    assert (root / "report" / "index.html").exists()
    replace_tree(root, {**files, "c.h": b"new"}, "report")
    assert not (root / "report").exists()
