# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Bytes of a file that may come from anywhere, or a part of it, read by position and never outside.

Not mapped: a mapped file that someone truncates ends the process. Raises MetalError, with the offset in the file.
"""

from __future__ import annotations

import os
import stat
import weakref
from pathlib import Path
from typing import NoReturn

from porter.errors import MetalError


class FileSlice:
    """`size` bytes from byte `offset` of `source` (a path, or the bytes themselves); all of it without them.

    `name` is what errors call it, the path by itself; `expected` what it should have been. May be used by several
    threads at once.
    """

    def __init__(
        self,
        source: Path | str | bytes,
        offset: int = 0,
        size: int | None = None,
        *,
        name: str | None = None,
        expected: str | None = None,
    ) -> None:
        self._file = _Memory(source) if isinstance(source, bytes) else _Opened(Path(source))
        self._take(offset, self._file.size - offset if size is None else size, name or self._file.name, expected)

    def _take(self, offset: int, size: int, name: str, expected: str | None) -> None:
        self.offset, self.size, self.name, self._expected = offset, size, name, expected
        if offset < 0 or size < 0 or offset + size > self._file.size:
            self.malformed(0, f"{size} bytes from byte {offset} do not lie in a file of {self._file.size}")

    def part(self, offset: int, size: int, name: str, expected: str | None = None) -> FileSlice:
        """A part of this one, that shares its file: closing either closes both."""
        made = FileSlice.__new__(FileSlice)
        made._file = self._file
        made._take(self.offset + offset, size, name, expected or self._expected)
        return made

    def close(self) -> None:
        """Give the file back. Closing twice does nothing."""
        self._file.close()

    def malformed(self, offset: int, what: str) -> NoReturn:
        """Raise a MetalError about the bytes at `offset`."""
        raise MetalError(
            what,
            where=f"{self.name}: byte {self.offset + offset}",
            expected=self._expected,
            next_step="fetch the file again",
        )

    def read(self, offset: int, size: int, what: str) -> bytes:
        """`size` bytes from byte `offset` of the slice. `what` is what errors call them."""
        if offset < 0 or size < 0 or offset + size > self.size:
            self.malformed(offset, f"{what} ends at byte {offset + size}, past the {self.size} that there are")
        try:
            data = self._file.read(self.offset + offset, size)
        except OSError as error:
            raise MetalError(f"{what} cannot be read: {error.strerror}", where=self.name) from error
        if len(data) != size:
            self.malformed(offset + len(data), f"the file ends inside {what}: it was cut after it was opened")
        return data


class _Memory:
    def __init__(self, data: bytes) -> None:
        self._data, self.size, self.name = data, len(data), "bytes"

    def read(self, start: int, size: int) -> bytes:
        return self._data[start : start + size]

    def close(self) -> None:
        pass


class _Opened:
    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            # Not blocking, for a pipe without a writer would.
            self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            raise MetalError(f"cannot be read: {getattr(error, 'strerror', error)}", where=self.name) from error
        self._finalizer = weakref.finalize(self, os.close, self._handle)
        status = os.fstat(self._handle)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise MetalError("cannot be read: it is no regular file", where=self.name)
        self.size = status.st_size

    def read(self, start: int, size: int) -> bytes:
        data = os.pread(self._handle, size, start)
        while len(data) < size and (more := os.pread(self._handle, size - len(data), start + len(data))):
            data += more
        return data

    def close(self) -> None:
        self._finalizer()
        self._handle = -1
