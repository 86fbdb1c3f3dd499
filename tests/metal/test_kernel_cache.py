# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The cache of compiled kernels: parallel writers, kills, eviction, damage, and folders that will not do."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from porter.errors import MetalError
from porter.metal import kernel_cache

NOBODY = 65534


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def value(name: object, size: int) -> bytes:
    """`size` bytes that belong to `name` and to nothing else."""
    return (key(name).encode() * (size // 64 + 1))[:size]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STEEL_PORT_CACHE_LIMIT", raising=False)
    return tmp_path / "cache" / "kernels"


def entry(folder: Path, name: object) -> Path:
    return folder / f"{key(name)}.kernel"


def processes(count: int, program: str, *arguments: object) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _PRELUDE + program, *map(str, arguments)]
    return [subprocess.Popen([*command, str(i)], text=True, stdout=subprocess.PIPE) for i in range(count)]


_PRELUDE = """
import hashlib, os, sys, time
from porter.metal import kernel_cache
def key(name): return hashlib.sha256(str(name).encode()).hexdigest()
def value(name, size): return (key(name).encode() * (size // 64 + 1))[:size]
"""


# ---------------------------------------------------------------------------------------------------------------------
# Keeping


@pytest.mark.parametrize("data", [b"", b"\0", b"object code", bytes(range(256)) * 4096])
def test_what_is_put_is_got(folder, data):
    assert kernel_cache.get(key("a")) is None
    kernel_cache.put(key("a"), data)
    assert kernel_cache.get(key("a")) == data
    assert kernel_cache.get(key("b")) is None


def test_a_later_value_replaces_an_earlier_one(folder):
    kernel_cache.put(key("a"), b"one")
    kernel_cache.put(key("a"), b"two")
    assert kernel_cache.get(key("a")) == b"two"
    assert kernel_cache.usage().entries == 1


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "A" * 64, "0" * 15, "0" * 129, "0" * 64 + "\n", "0/" * 32])
def test_a_key_is_a_digest_and_nothing_else(folder, bad):
    for use in (kernel_cache.get, lambda name: kernel_cache.put(name, b"x"), lambda n: kernel_cache.compiled(n, bytes)):
        with pytest.raises(ValueError, match="hexadecimal"):
            use(bad)


def test_it_is_made_once_and_kept(folder):
    made = []
    for _ in range(3):
        assert kernel_cache.compiled(key("a"), lambda: made.append(1) or b"code") == b"code"
    assert made == [1]
    assert list((folder / "locks").iterdir()) == []


def test_a_maker_that_fails_is_heard_and_leaves_nothing(folder):
    def fail() -> bytes:
        raise MetalError("not valid Metal source")

    with pytest.raises(MetalError, match="not valid"):
        kernel_cache.compiled(key("a"), fail)
    assert kernel_cache.get(key("a")) is None
    assert kernel_cache.compiled(key("a"), lambda: b"code") == b"code"


def test_clear_removes_the_entries_and_says_what_there_was(folder):
    for name in range(3):
        kernel_cache.put(key(name), value(name, 100))
    before = kernel_cache.clear()
    assert (before.entries, before.bytes) == (3, 3 * (100 + 40))
    assert (kernel_cache.usage().entries, kernel_cache.usage().bytes) == (0, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Several at once


def test_of_many_processes_one_makes_each_key(folder, tmp_path):
    log = tmp_path / "made"
    program = """
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for name in range(20):
    def make():
        os.write(log, f"{name}\\n".encode())
        time.sleep(0.01)
        return value(name, 50_000)
    assert kernel_cache.compiled(key(name), make) == value(name, 50_000)
"""
    assert [process.wait(120) for process in processes(6, program, log)] == [0] * 6
    assert sorted(map(int, log.read_text().split())) == list(range(20))


def test_of_many_threads_one_makes_each_key(folder):
    made: list[int] = []
    start = threading.Barrier(12)

    def work(_: int) -> None:
        start.wait()
        for name in range(10):

            def make(name: int = name) -> bytes:
                made.append(name)
                time.sleep(0.01)
                return value(name, 1000)

            assert kernel_cache.compiled(key(name), make) == value(name, 1000)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert sorted(made) == list(range(10))


def test_writers_and_readers_of_a_full_cache_never_see_a_part(folder, monkeypatch):
    limit, size, writers = 400_000, 10_000, 4
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", str(limit))
    program = """
import random
hits = 0
for step in range(400):
    name = random.randrange(100)
    kernel_cache.put(key(name), value(name, 10_000))
    for name in random.sample(range(100), 3):
        found = kernel_cache.get(key(name))
        assert found in (None, value(name, 10_000))
        hits += found is not None
print(hits)
"""
    running = processes(writers, program)
    assert [process.wait(120) for process in running] == [0] * writers
    # 40 of 100 fit, so of the 1,200 lookups of each process some hit, and some of what was put is gone.
    assert all(0 < int(process.stdout.read()) < 1200 for process in running)
    # Each writer looks after a thirty-second part of the limit, and the entry that took it there.
    assert kernel_cache.usage().bytes <= limit + writers * (limit / 32 + size + 40)
    assert not list(folder.glob(".*"))


def test_a_waiter_makes_it_itself_when_the_maker_takes_too_long(folder, monkeypatch):
    monkeypatch.setattr(kernel_cache, "WAIT_SECONDS", 0.1)
    inside, done = threading.Event(), threading.Event()

    def slow() -> bytes:
        inside.set()
        assert done.wait(60)
        return b"slow"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(kernel_cache.compiled, key("a"), slow)
        assert inside.wait(60)
        assert kernel_cache.compiled(key("a"), lambda: b"quick") == b"quick"
        done.set()
        assert first.result(60) == b"slow"


# ---------------------------------------------------------------------------------------------------------------------
# Kills


def test_a_writer_killed_in_the_middle_leaves_nothing_that_is_read(folder):
    """SIGKILL while the bytes are being written: seen by a temporary file that is shorter than the whole."""
    size = 64 << 20
    cut_short = 0
    for attempt in range(40):
        (process,) = processes(1, "while True: kernel_cache.put(key('a'), value('a', int(sys.argv[1])))", size)
        _wait_until(lambda: any(path.stat().st_size for path in _temporaries(folder)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        cut_short += sum(0 < path.stat().st_size < size for path in _temporaries(folder))
        assert kernel_cache.get(key("a")) in (None, value("a", size))
        if cut_short and attempt >= 2:
            break
        for path in _temporaries(folder):
            path.unlink()
    assert cut_short, "no writer was hit in the middle"
    kernel_cache.put(key("a"), b"after")
    assert kernel_cache.get(key("a")) == b"after"


def test_leftovers_go_after_an_hour_and_not_before(folder):
    kernel_cache.put(key("a"), b"kept")
    old = time.time() - 3601
    (folder / "locks").mkdir()
    for age in ("old", "new"):
        (folder / f".build-folder-{age}").mkdir()
        (folder / f".build-folder-{age}" / "inside").write_bytes(b"x")
        made = [folder / f".build-{age}", folder / f"{age}.tmp", folder / "locks" / f"{age}.lock"]
        for path in made:
            path.write_bytes(b"x")
        for path in (*made, folder / f".build-folder-{age}"):
            if age == "old":
                os.utime(path, (old, old))
    kernel_cache.sweep(folder, 1 << 30)
    kept = {".build-new", "new.tmp", ".build-folder-new", "locks", entry(folder, "a").name}
    assert {path.name for path in folder.iterdir()} == kept
    assert [path.name for path in (folder / "locks").iterdir()] == ["new.lock"]


def test_the_place_of_a_killed_maker_is_free_at_once(folder):
    program = "kernel_cache.compiled(key('a'), lambda: print('making', flush=True) or time.sleep(600) or b'')"
    (process,) = processes(1, program)
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"
    process.kill()
    process.wait()
    before = time.monotonic()
    assert kernel_cache.compiled(key("a"), lambda: b"code") == b"code"
    assert time.monotonic() - before < 5


def _temporaries(folder: Path) -> list[Path]:
    return list(folder.glob(".build-*.tmp"))


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.0005)
    raise AssertionError("nothing happened for a minute")


# ---------------------------------------------------------------------------------------------------------------------
# Eviction


def test_the_least_recently_used_goes_first(folder, monkeypatch):
    for age, name in enumerate("dcba"):
        kernel_cache.put(key(name), value(name, 1000))
        then = time.time() - 1000 + age
        os.utime(entry(folder, name), (then, then))
    assert kernel_cache.get(key("d")) is not None  # the oldest, but it was just used
    kernel_cache.sweep(folder, 3000)  # nine tenths of it are kept: two entries of 1040 bytes
    assert [kernel_cache.get(key(name)) is not None for name in "abcd"] == [True, False, False, True]


def test_the_limit_holds_while_one_process_writes(folder, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", "100000")
    for name in range(100):
        kernel_cache.put(key(name), value(name, 5000))
        assert kernel_cache.usage().bytes <= 100_000 * (1 + 1 / 32) + 5040
        assert kernel_cache.get(key(name)) == value(name, 5000)


def test_what_is_larger_than_the_limit_is_not_kept_and_drives_nothing_out(folder, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", "5000")
    kernel_cache.put(key("small"), b"small")
    kernel_cache.put(key("large"), bytes(5001))
    assert kernel_cache.get(key("large")) is None
    assert kernel_cache.get(key("small")) == b"small"


def test_a_limit_of_nothing_keeps_nothing(folder, monkeypatch):
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", "0")
    assert kernel_cache.compiled(key("a"), lambda: b"code") == b"code"
    assert kernel_cache.usage().entries == 0


@pytest.mark.parametrize("text", ["2G", "-1", "1e9", "0x10", "1" * 19, "\u0661"])
def test_a_limit_that_is_no_number_is_said(folder, monkeypatch, text):
    monkeypatch.setenv("STEEL_PORT_CACHE_LIMIT", text)
    with pytest.raises(MetalError, match="STEEL_PORT_CACHE_LIMIT is"):
        kernel_cache.put(key("a"), b"x")


# ---------------------------------------------------------------------------------------------------------------------
# Damage


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:20]),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),  # what a power cut leaves
        lambda path: _flip(path, 0),
        lambda path: _flip(path, 8),
        lambda path: _flip(path, 39),
        lambda path: _flip(path, 40),
        lambda path: _flip(path, -1),
        lambda path: shutil.copy(entry(path.parent, "other"), path),
    ],
)
def test_a_damaged_entry_is_a_miss_and_is_removed(folder, damage):
    for name in ("a", "other"):
        kernel_cache.put(key(name), value(name, 1000))
    damage(entry(folder, "a"))
    assert kernel_cache.get(key("a")) is None
    assert not entry(folder, "a").exists()
    assert kernel_cache.get(key("other")) == value("other", 1000)
    assert kernel_cache.compiled(key("a"), lambda: b"again") == b"again"


def test_what_is_no_plain_file_is_not_followed(folder, tmp_path):
    kernel_cache.put(key("a"), b"a")
    (tmp_path / "elsewhere").write_bytes(entry(folder, "a").read_bytes())
    entry(folder, "a").unlink()
    entry(folder, "a").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(entry(folder, "pipe"))
    entry(folder, "folder").mkdir()
    assert [kernel_cache.get(key(name)) for name in ("a", "pipe", "folder")] == [None] * 3
    handles = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        kernel_cache.get(key("folder"))
        kernel_cache.get(key("pipe"))
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_an_entry_of_another_user_is_not_run(folder):
    kernel_cache.put(key("a"), b"code")
    os.chown(entry(folder, "a"), NOBODY, -1)
    assert kernel_cache.get(key("a")) is None


# ---------------------------------------------------------------------------------------------------------------------
# Folders


def test_a_cache_that_cannot_be_made_is_one_warning_and_no_error(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "file" / "cache"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = [kernel_cache.compiled(key("a"), lambda: b"code") for _ in range(2)]
    assert made == [b"code", b"code"]
    (only,) = caught
    assert issubclass(only.category, RuntimeWarning)
    assert "set STEEL_PORT_CACHE to a folder you can write to" in str(only.message)


def test_a_cache_that_cannot_be_written_is_still_read():
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o755)
        (base / "kernels").mkdir()
        data = kernel_cache._head(key("a"), b"kept") + b"kept"
        entry(base / "kernels", "a").write_bytes(data)
        entry(base / "kernels", "a").chmod(0o444)
        (base / "kernels").chmod(0o555)
        assert _as_nobody(lambda: _reads_and_goes_on(base)) == 0
        assert [path.name for path in (base / "kernels").iterdir()] == [entry(base, "a").name]
        (base / "kernels").chmod(0o755)


def _reads_and_goes_on(base: Path) -> bool:
    os.environ["STEEL_PORT_CACHE"] = str(base)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = kernel_cache.get(key("a")) == b"kept"
        made = kernel_cache.compiled(key("b"), lambda: b"made") == b"made"
    return read and made and len(caught) == 1 and "not kept" in str(caught[0].message)


def _as_nobody(check: Callable[[], bool]) -> int:
    """Exit status of a child in which `check` ran without root's right to write everywhere."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", ["with space", "new\nline", "Übersetzer ☃", "a:b;c$d'e\"f", "x" * 200, "relative"])
def test_unusual_folders(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEEL_PORT_CACHE", name if name == "relative" else str(tmp_path / name))
    assert kernel_cache.compiled(key("a"), lambda: b"code") == b"code"
    assert kernel_cache.get(key("a")) == b"code"
    assert entry(tmp_path / name / "kernels", "a").is_file()


def test_a_folder_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("STEEL_PORT_CACHE", str(tmp_path / "link"))
    kernel_cache.put(key("a"), b"code")
    assert kernel_cache.get(key("a")) == b"code"
    assert entry(tmp_path / "real" / "kernels", "a").is_file()
