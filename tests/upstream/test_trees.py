# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`replace_tree`: what stood stands, or the new tree does; whatever happens, and whenever."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from porter.errors import TreeError
from porter.upstream import trees
from porter.upstream.trees import holds, recover, replace_tree

OLD = {"PIN.yaml": b"old", "a/b/c.h": b"old c", "d.h": b"gone later"}
NEW = {"PIN.yaml": b"new", "a/b/c.h": b"new c", "a/e.h": b"", "f/g.h": bytes(range(256)) * 40}
Reader = Callable[[Path], dict[str, bytes]]


def run_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process; its exit status, or minus the signal that ended it. 3 means TreeError."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except TreeError:
            code = 3
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def beside(target: Path) -> set[str]:
    return {entry.name for entry in target.parent.iterdir()} - {target.name, f".{target.name}.steel-port-lock"}


def test_a_new_folder_and_then_another_content(tmp_path: Path, tree_of: Reader) -> None:
    target = tmp_path / "new" / "place"
    replace_tree(target, OLD)
    assert tree_of(target) == OLD
    replace_tree(target, NEW)
    assert tree_of(target) == NEW
    assert not (target / "d.h").exists()
    assert beside(target) == set()


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    target = tmp_path / "t"
    replace_tree(target, OLD)
    before = (target.stat().st_ino, (target / "d.h").stat().st_mtime_ns)
    replace_tree(target, dict(OLD))
    assert (target.stat().st_ino, (target / "d.h").stat().st_mtime_ns) == before


def test_an_empty_folder_may_be_filled(tmp_path: Path, tree_of: Reader) -> None:
    target = tmp_path / "t"
    target.mkdir()
    replace_tree(target, NEW)
    assert tree_of(target) == NEW


def test_through_a_link_the_folder_behind_it_is_replaced(tmp_path: Path, tree_of: Reader) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    replace_tree(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert tree_of(tmp_path / "real") == NEW


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../up", "a//b", "", ".", "a\\b"])
def test_a_path_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="path"):
        replace_tree(tmp_path / "t", {name: b""})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_a_folder_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at once"):
        replace_tree(tmp_path / "t", {"a": b"", "a/b": b""})


@pytest.mark.parametrize("there", [{"thesis.tex": b"mine"}, {"PIN.yaml": b"", ".git/HEAD": b"ref"}])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path, tree_of: Reader, there: dict[str, bytes]) -> None:
    target = tmp_path / "t"
    for name, data in there.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    with pytest.raises(TreeError) as caught:
        replace_tree(target, NEW)
    assert caught.value.where == str(target)
    assert tree_of(target) == there


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a file")
    with pytest.raises(TreeError):
        replace_tree(tmp_path / "t", NEW)
    assert (tmp_path / "t").read_text() == "a file"


def test_holds_sees_every_difference(tmp_path: Path) -> None:
    target = tmp_path / "t"
    replace_tree(target, OLD)
    assert holds(target, OLD)
    assert not holds(target, {**OLD, "d.h": b"gone LATER"})
    assert not holds(target, {**OLD, "x": b""})
    assert not holds(target, {"PIN.yaml": b"old"})
    (target / "d.h").unlink()
    (target / "d.h").symlink_to(target / "PIN.yaml")
    assert not holds(target, {**OLD, "d.h": b"old"})


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the tests of every line replace a tree hundreds of times."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


# -- killed ----------------------------------------------------------------------------------------------------------


def killed_before_line(count: int, work: Callable[[], None]) -> Callable[[], None]:
    """`work`, which is killed before it runs the `count`-th line of trees.py."""
    left = [count]

    def trace(frame, event, argument):
        if frame.f_code.co_filename != trees.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def run() -> None:
        sys.settrace(trace)
        try:
            work()
        finally:
            sys.settrace(None)

    return run


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_killed_before_every_line(
    fast_folder: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Reader, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(trees, "_exchange", lambda first, second: False)
    target = fast_folder / "t"
    replace_tree(target, OLD)
    seen = []
    for count in range(1000):
        status = run_child(killed_before_line(count, lambda: replace_tree(target, NEW)))
        if not exchange:
            recover(target)  # the next run does it; between the two renames the folder was absent
        standing = tree_of(target)
        assert standing in (OLD, NEW), f"killed before line {count}"
        seen.append(standing == NEW)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        replace_tree(target, OLD)
        assert tree_of(target) == OLD
        assert beside(target) == set()
    assert status == 0
    assert seen[0] is False
    assert seen[-1] is True
    assert seen == sorted(seen)  # once new, new: there is one moment at which it changes
    assert len(seen) > 60


def interrupted_before_line(count: int, work: Callable[[], None]) -> bool:
    """Run `work`, with Ctrl-C pressed before the `count`-th line of trees.py; whether it came to that."""
    left = [count]

    def trace(frame, event, argument):
        if frame.f_code.co_filename != trees.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_interrupted_before_every_line(
    fast_folder: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Reader, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(trees, "_exchange", lambda first, second: False)
    target = fast_folder / "t"
    replace_tree(target, OLD)
    count = 0
    while interrupted_before_line(count, lambda: replace_tree(target, NEW)):
        if not exchange:
            recover(target)
        assert tree_of(target) in (OLD, NEW), f"interrupted before line {count}"
        replace_tree(target, OLD)
        assert tree_of(target) == OLD
        assert beside(target) == set()
        count += 1
    assert tree_of(target) == NEW
    assert count > 60


LOOP = """
import sys
from pathlib import Path
from porter.upstream.trees import replace_tree
target, size = Path(sys.argv[1]), int(sys.argv[2])
trees = [{"PIN.yaml": c, **{f"{i}/{j}.h": c * size for i in range(4) for j in range(8)}} for c in (b"A", b"B")]
while True:
    for tree in trees:
        replace_tree(target, tree)
        print(flush=True)
"""


def test_killed_at_random_moments(tmp_path: Path, tree_of: Reader) -> None:
    target, size, seed = tmp_path / "t", 3000, random.randrange(1 << 32)
    chance = random.Random(seed)
    whole = [{"PIN.yaml": c, **{f"{i}/{j}.h": c * size for i in range(4) for j in range(8)}} for c in (b"A", b"B")]
    for turn in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP, str(target), str(size)], stdout=subprocess.PIPE, cwd=Path.cwd()
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()  # one replacement is done: from here on the folder must never be absent
            time.sleep(chance.uniform(0, 0.05))
            child.kill()
        assert tree_of(target) in whole, f"seed {seed}, turn {turn}"
    replace_tree(target, NEW)
    assert tree_of(target) == NEW
    assert beside(target) == set()


# -- read-only and full ----------------------------------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach (pytest's own cannot be)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_read_only_parent(open_folder: Path, tree_of: Reader) -> None:
    target = open_folder / "t"
    replace_tree(target, OLD)
    open_folder.chmod(0o555)
    for name in (target, *target.rglob("*")):
        name.chmod(0o755 if name.is_dir() else 0o644)

    def work() -> None:
        if os.getuid() == 0:  # root writes where it likes; nobody (65534) does not
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        assert tree_of(target) == OLD  # it can be read, so what fails is the writing
        replace_tree(target, NEW)

    assert run_child(work) == 3
    open_folder.chmod(0o755)
    assert tree_of(target) == OLD
    assert beside(target) == set()


def test_no_room(tmp_path: Path, tree_of: Reader) -> None:
    target = tmp_path / "t"
    replace_tree(target, OLD)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # f/g.h has 10,240 bytes
        replace_tree(target, NEW)

    assert run_child(work) == 3
    assert tree_of(target) == OLD
    assert beside(target) == set()


def test_the_second_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Reader) -> None:
    target = tmp_path / "t"
    replace_tree(target, OLD)
    rename = Path.rename

    def failing(self: Path, to: Path) -> Path:
        if self.name.endswith("-new"):
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(trees, "_exchange", lambda first, second: False)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(TreeError, match="No space left"):
        replace_tree(target, NEW)
    assert tree_of(target) == OLD
    assert beside(target) == set()


def test_another_process_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree_of: Reader) -> None:
    import filelock

    target = tmp_path / "t"
    replace_tree(target, OLD)
    monkeypatch.setattr(trees, "LOCK_TIMEOUT", 0.1)
    held = filelock.FileLock(tmp_path / ".t.steel-port-lock")
    with held:
        status = run_child(lambda: replace_tree(target, NEW))
    assert status == 3
    assert tree_of(target) == OLD
