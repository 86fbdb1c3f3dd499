# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""One exception tree.

Every error a user can meet is a `SteelPortError`. It carries what happened, where it happened, what was expected and
what to do next, because a message that names no next step sends the user to our source. The command line prints
`str(error)` on one or two lines and exits with `exit_status`; nothing in the core calls `sys.exit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class SteelPortError(Exception):
    """Base of everything steel-port raises on purpose.

    `what`: one sentence, the fact.  `where`: `file:line` or a path or an address, or None where there is no place.
    `expected`: what would have been right, or None.  `next_step`: what the user can do about it, or None.
    """

    exit_status = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        if self.expected:
            head += f" (expected {self.expected})"
        return f"{head}\n  next: {self.next_step}" if self.next_step else head


class UsageError(SteelPortError):
    """The command's words are wrong."""

    exit_status = 2


class UpstreamError(SteelPortError):
    """Getting, naming or checking upstream's bytes failed."""


class UnknownRevision(UpstreamError):
    """No commit or tag is called that."""


class AmbiguousRevision(UpstreamError):
    """More than one commit begins with that."""


class NetworkError(UpstreamError):
    """A registry or a host could not be reached, or stopped answering."""


class ArchiveError(UpstreamError):
    """An archive is cut short, too large, or holds a member it may not hold."""


class DigestMismatch(UpstreamError):
    """Bytes differ from the digest that the pin or the lock states."""


class TreeError(SteelPortError):
    """A folder of ours could not be written; what stood there before stands there still."""


class SpecError(SteelPortError):
    """A YAML file under specs/ says something it may not, or leaves something out."""


class ParseError(SteelPortError):
    """Upstream's source could not be understood."""


class PortError(SteelPortError):
    """A rewrite rule met something it does not know, or two rules claim the same token."""


class EmitError(SteelPortError):
    """An overlay file could not be made."""


class ToolchainError(SteelPortError):
    """A compiler or a library that the step needs is missing or refuses to work."""


class ProofError(SteelPortError):
    """A ring could not be run (a claim that turns out false is a Proof, not an exception)."""


class MetalError(SteelPortError):
    """Metal source or a Metal library could not be compiled or run on the CPU."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Give every `SteelPortError` raised inside that has no place yet the place `where`."""
    try:
        yield
    except SteelPortError as error:
        if error.where is None:
            error.where = where
        raise
