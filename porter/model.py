# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The nouns, and what must always be true of them.

1. Everything here is frozen: a step makes the next noun, it never changes the one it was given.
2. An invariant that a later step relies on is checked in `__post_init__`, so a bad noun cannot exist.
3. Paths inside a noun are POSIX paths relative to the tree they belong to. No machine's path enters a noun that is
   written to disk, because two machines must write the same bytes.
4. A noun knows how to become plain data (`to_data`); what is read back is checked as if a stranger had written it.

The order below is the order of the way through the house:
Pin -> Sources -> Corpus -> Port -> Overlay -> Proof.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def check_relative(path: str) -> str:
    """Return `path` if it is a plain relative POSIX path that stays inside its tree; raise ValueError otherwise."""
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\\" in path or "\0" in path:
        raise ValueError(f"not a plain relative path: {path!r}")
    return path


def to_data(noun: Any) -> Any:
    """Plain data (dicts, lists, strings, numbers) of a noun, for JSON and YAML. Dataclass fields keep their order."""
    if dataclasses.is_dataclass(noun) and not isinstance(noun, type):
        return {f.name: to_data(getattr(noun, f.name)) for f in dataclasses.fields(noun) if f.repr}
    if isinstance(noun, enum.Enum):
        return noun.value
    if isinstance(noun, Mapping):
        return {str(key): to_data(value) for key, value in noun.items()}
    if isinstance(noun, (tuple, list)):
        return [to_data(item) for item in noun]
    if isinstance(noun, Path):
        return noun.as_posix()
    return noun


def from_data(kind: Any, data: Any) -> Any:
    """The noun of type `kind` whose `to_data` is `data`. Raises ValueError for data that is not exactly that, and what
    the noun's own invariants raise (ValueError too)."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(data, dict) or data.keys() != hints.keys():
            raise ValueError(f"not the fields of {kind}")
        return kind(**{name: from_data(hint, data[name]) for name, hint in hints.items()})
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and len(inside) == 2 and inside[1] is Ellipsis and isinstance(data, list):
        return tuple(from_data(inside[0], item) for item in data)
    if origin is tuple and isinstance(data, list) and len(data) == len(inside):
        return tuple(map(from_data, inside, data))
    if origin is Mapping and isinstance(data, dict):
        return {from_data(inside[0], key): from_data(inside[1], value) for key, value in data.items()}
    if origin in (types.UnionType, typing.Union) and len(inside) == 2 and inside[1] is type(None):
        return None if data is None else from_data(inside[0], data)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(data)
    if kind in (str, int, bool, float) and type(data) is kind:
        return data
    raise ValueError(f"not a {kind}: {data!r:.60}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind) if f.repr}


# ---------------------------------------------------------------------------------------------------------------------
# Pin and Sources: which MLX, and its bytes


@dataclass(frozen=True)
class PinnedFile:
    """One vendored file: its path as upstream names it, its size in bytes and its digest."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        check_relative(self.path)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"not a sha256: {self.sha256!r}")
        if self.size < 0:
            raise ValueError(f"negative size for {self.path}")


class Coverage(enum.Enum):
    """How much of upstream a provider can bring."""

    FULL = "full"  # kernels with their .metal files, and the host code that launches them
    HEADERS = "headers"  # kernel headers only (what the wheels carry)


@dataclass(frozen=True)
class Pin:
    """Which MLX: one commit, by whom it was brought, and the digest of every byte of it that we use."""

    revision: str
    tag: str | None
    provider: str
    coverage: Coverage
    files: tuple[PinnedFile, ...]

    def __post_init__(self) -> None:
        if not _SHA1.fullmatch(self.revision):
            raise ValueError(f"not a full commit id: {self.revision!r}")
        paths = [file.path for file in self.files]
        if paths != sorted(set(paths)):
            raise ValueError("pinned files are not sorted, or one is named twice")
        if "LICENSE" not in paths:
            raise ValueError("MLX's LICENSE is not among the pinned files")

    @property
    def digest(self) -> str:
        """One digest over revision and files: two pins with the same digest mean the same bytes."""
        lines = [self.revision, *(f"{file.sha256}  {file.path}" for file in self.files)]
        return sha256("\n".join(lines).encode())


@dataclass(frozen=True)
class SourceFile:
    """One upstream file, read and checked against the pin."""

    path: str
    text: str
    sha256: str


@dataclass(frozen=True)
class Sources:
    """The vendored tree: `root` is where it stands on this machine, `files` what it holds, by upstream path.

    `pin` names what is present here. `recorded` is the whole of PIN.yaml, which may name more: with the wheel only the
    headers of a fully recorded revision are present, and they are held to the same digests.
    """

    pin: Pin
    root: Path = field(repr=False)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    recorded: Pin | None = field(default=None, repr=False)

    @property
    def pin_digest(self) -> str:
        """The digest of what PIN.yaml records: the same with the wheel as with the full source."""
        return (self.recorded or self.pin).digest

    def __post_init__(self) -> None:
        if set(self.files) != {file.path for file in self.pin.files}:
            raise ValueError("the sources are not the files that the pin names")
        if self.recorded is not None and not set(self.pin.files) <= set(self.recorded.files):
            raise ValueError("the sources are not among the files that PIN.yaml records")


# ---------------------------------------------------------------------------------------------------------------------
# Corpus: what the sources declare


@dataclass(frozen=True, order=True)
class Location:
    """A place in an upstream file. Lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Notice:
    """What a file itself says of its copyright and licence, verbatim, and what that means as an SPDX expression.

    `stated` is False where the file says nothing of a licence; `spdx` is then that of upstream's LICENSE file.
    """

    copyrights: tuple[str, ...]
    spdx: str
    stated: bool
    location: Location


@dataclass(frozen=True)
class Include:
    """One #include: the path as written, whether in <angle brackets>, and where."""

    path: str
    angled: bool
    location: Location


@dataclass(frozen=True)
class Macro:
    """One #define. `parameters` is None for an object-like macro. `body` has its line continuations joined."""

    name: str
    parameters: tuple[str, ...] | None
    body: str
    location: Location


@dataclass(frozen=True)
class TemplateParameter:
    """`kind` is `typename` or the type of a value (`int`, `bool`, `short`); `default` is source text or None."""

    kind: str
    name: str
    default: str | None


@dataclass(frozen=True)
class KernelArgument:
    """One argument of a kernel.

    `type` is the pointee or value type as written, without address space and const. `address_space` is `device`,
    `constant`, `threadgroup` or None for values. `attribute` is the MSL attribute (`buffer`,
    `thread_position_in_grid`, ...), `slot` the buffer index, `gate` the function constant that must be true for the
    argument to exist.
    """

    name: str
    type: str
    address_space: str | None
    is_const: bool
    attribute: str | None
    slot: int | None
    gate: str | None
    location: Location


@dataclass(frozen=True)
class KernelTemplate:
    """A kernel: template parameters (none for a plain kernel), arguments in order, thread limit as source text.

    `family` owns it: two families may call kernels alike.
    """

    name: str
    parameters: tuple[TemplateParameter, ...]
    arguments: tuple[KernelArgument, ...]
    thread_limit: str | None
    location: Location
    end: Location
    family: str = ""

    def __post_init__(self) -> None:
        slots = [argument.slot for argument in self.arguments if argument.slot is not None]
        if len(slots) != len(set(slots)):
            raise ValueError(f"kernel {self.name} binds one buffer slot twice: {slots}")


@dataclass(frozen=True)
class FunctionConstant:
    """A Metal function constant: `constant bool align_M [[function_constant(200)]];`."""

    name: str
    type: str
    index: int
    location: Location


@dataclass(frozen=True)
class Field:
    """A field of a params struct. `offset` and `size` are bytes, as the kernel compiler lays them out."""

    name: str
    type: str
    offset: int
    size: int
    location: Location


@dataclass(frozen=True)
class ParamsStruct:
    """A struct that host and kernel share. `name` is qualified; `size` and `align` are bytes."""

    name: str
    fields: tuple[Field, ...]
    size: int
    align: int
    location: Location

    def __post_init__(self) -> None:
        end = 0
        for f in self.fields:
            if f.offset < end:
                raise ValueError(f"{self.name}.{f.name} overlaps the field before it")
            end = f.offset + f.size
        if end > self.size:
            raise ValueError(f"{self.name}: fields end at byte {end}, past its size {self.size}")


@dataclass(frozen=True)
class Instantiation:
    """One host name and what it stands for.

    `arguments` are template arguments as upstream writes them, in the order of the template's parameters. `origin` is
    where the table row comes from: the macro call in a .metal file, or the family's YAML. A plain kernel function has
    no arguments. `family` owns it.
    """

    host_name: str
    template: str
    arguments: tuple[str, ...]
    origin: Location
    family: str = ""


@dataclass(frozen=True)
class Corpus:
    """What the sources declare. Every tuple is sorted by location, so that two runs list alike."""

    pin: Pin
    files: tuple[str, ...]
    includes: tuple[Include, ...]
    macros: tuple[Macro, ...]
    notices: Mapping[str, Notice]
    templates: tuple[KernelTemplate, ...]
    params: tuple[ParamsStruct, ...]
    constants: tuple[FunctionConstant, ...]
    instantiations: tuple[Instantiation, ...]

    def __post_init__(self) -> None:
        names = [row.host_name for row in self.instantiations]
        if len(names) != len(set(names)):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"host names that stand in the table twice: {', '.join(twice[:5])}")


# ---------------------------------------------------------------------------------------------------------------------
# Port and Overlay: the same, rewritten; the files for PyTorch


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the characters [start, end) of one upstream file. Both ends are token boundaries."""

    start: int
    end: int
    replacement: str
    rule: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"edit of {self.rule} runs backwards: [{self.start}, {self.end})")


@dataclass(frozen=True)
class PortedFile:
    """One upstream file after its edits. `source` is its upstream path, `path` its place in the overlay."""

    source: str
    path: str
    text: str
    edits: tuple[Edit, ...]
    notice: Notice


@dataclass(frozen=True)
class Port:
    """All ported files of the families asked for."""

    corpus: Corpus
    files: tuple[PortedFile, ...]


@dataclass(frozen=True)
class OverlayFile:
    """One file of the overlay. `origin` is the upstream path it derives from, or None if it is wholly ours."""

    path: str
    text: str
    origin: str | None

    def __post_init__(self) -> None:
        check_relative(self.path)

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode())


@dataclass(frozen=True)
class LeftOut:
    """A family whose kernels stand in files that did not come with the sources (`missing`, upstream paths)."""

    family: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Overlay:
    """The files for PyTorch, sorted by path. `left_out`: what could not be ported, because it is not at hand."""

    revision: str
    files: tuple[OverlayFile, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        paths = [file.path for file in self.files]
        if paths != sorted(set(paths)):
            raise ValueError("overlay files are not sorted, or one is named twice")

    @property
    def digest(self) -> str:
        lines = [self.revision, *(f"{file.sha256}  {file.path}" for file in self.files)]
        return sha256("\n".join(lines).encode())


# ---------------------------------------------------------------------------------------------------------------------
# Proof


class Ring(enum.Enum):
    """The four rings of proof."""

    NAMES = "names"
    LAYOUTS = "layouts"
    CODE = "code"
    OUTPUTS = "outputs"


class Status(enum.Enum):
    """What a ring found. Nothing is proved by default."""

    PROVED = "proved"
    SAMPLED = "sampled"
    EQUAL_AFTER_O1 = "equal after O1"
    DIFFERS = "differs"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class KernelResult:
    """What one claim found for one kernel of upstream.

    `basis` says what the comparison was, where claims differ in that: `bit for bit`, `within the tolerance: air.exp`.
    `details` holds a line for each case, for the page of the kernel.
    """

    host_name: str
    status: Status
    cases: int
    why: str = ""
    basis: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """One claim, its witness and what came of it.

    `cases` counts what was compared. `why` is the smallest case that shows a difference, the rule behind an
    `equal after O1`, or the reason for a `not run`; it may not be empty for those three.
    `notes` are facts the reader needs to judge the claim (patches applied to the witness, tolerances). `kernels` holds
    what was found for each kernel, where the claim is about kernels.
    """

    ring: Ring
    family: str
    claim: str
    witness: str
    status: Status
    cases: int
    why: str = ""
    notes: tuple[str, ...] = ()
    kernels: tuple[KernelResult, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.status in (Status.DIFFERS, Status.EQUAL_AFTER_O1, Status.NOT_RUN) and not self.why:
            raise ValueError(f"{self.ring.value}: a proof that is {self.status.value!r} must say why")
        if self.status in (Status.PROVED, Status.SAMPLED) and self.cases <= 0:
            raise ValueError(f"{self.ring.value}: nothing was compared, so nothing is {self.status.value}")

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the claim: the exit status of `verify`. A sample that agrees holds, and is
        never called proved."""
        return self.status in (Status.PROVED, Status.EQUAL_AFTER_O1, Status.SAMPLED)
