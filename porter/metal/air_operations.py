# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What Apple's compiled kernels call, defined by our own Metal library.

`msl/air_bridge` defines each operation (`air.exp.f32`, `air.simd_sum.s.i32`, ...) by the function of our shim that
Metal source calls, so that there is one definition for both loaders. It is compiled once to LLVM IR, kept in the cache,
and read once a process; a kernel gets the text of the functions that it needs.

Where the types differ, a function between is made here: clang passes short vectors as numbers of their size, and what
works on each component of a vector is made of the operation on one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from porter.cache import cache_dir
from porter.errors import MetalError
from porter.metal import kernel_cache, toolchain
from porter.metal.frontend import RUNTIME, SHIM, Mode, compiler_arguments
from porter.metal.ir_text import NAME, leading_type, split

DENORMALS = '"denormal-fp-math-f32"="preserve-sign,preserve-sign"'
"""The attribute of every function, as the source loader has it: denormal floats are flushed."""

# A conversion of a float that an integer cannot hold gives the nearest integer that it can, and a NaN gives 0.
_CODE_ARGUMENTS = (
    "-O1",
    "-fno-math-errno",
    "-fno-strict-float-cast-overflow",
    "-fno-asynchronous-unwind-tables",
    "-Xclang",
    "-fdenormal-fp-math-f32=preserve-sign,preserve-sign",
)

# What our functions are called in a kernel's module, where Apple's may have the same names.
_PREFIX = "bridge."
# Operations of AIR before 2.8 that share the name of one with other arguments (msl/air_bridge_simdgroup).
_ELDER = ".rows"

_MEETINGS = ("msl_threadgroup_barrier", "msl_simdgroup_", "msl_matrix_multiply_accumulate")
_SCALAR_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
_VECTOR = re.compile(r"<(\d+) x (\w+)>")
_COMPONENTS = re.compile(r"\bv\d+(?=[a-z])")
# Lanes exchange these as they are, so that a short vector may go as one integer.
_MOVES = re.compile(r"air\.(?:simd|quad)_(?:shuffle|broadcast)[a-z_]*\.")


@dataclass(frozen=True)
class Declaration:
    """A function by its types, as LLVM writes them."""

    symbol: str
    result: str
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> Declaration:
        """From LLVM's `declare` or `define` line. Raises ValueError for what is none."""
        found = re.match(rf"(?:declare|define) (.*?)@({NAME})\(", line)
        if found is None:
            raise ValueError(f"no function: {line[:80]}")
        inside = line[found.end() : line.rindex(")")]
        inside = inside[: _end_of_parameters(inside)]
        head = found[1].strip()
        result = head[head.rindex("<") :] if head.endswith(">") else head.split()[-1]
        return cls(found[2].strip('"'), result, tuple(leading_type(part) for part in split(inside) if part))


@dataclass(frozen=True)
class _Function:
    """A function of the bridge: what stands before and behind its name, and the symbols it refers to."""

    declaration: Declaration
    parameters: str
    body: str
    references: frozenset[str]

    def text(self, symbol: str, attributes: str) -> str:
        return f"define internal {self.declaration.result} @{symbol}({self.parameters}) {attributes} {self.body}"


class _Bridge:
    """The compiled bridge, taken apart."""

    def __init__(self, text: str) -> None:
        text = _standalone(text)
        self._functions: dict[str, _Function] = {}
        self._others: dict[str, str] = {}
        defined = re.findall(rf"^define .*?@({NAME})\(", text, re.M)
        own = {name for name in defined if not _is_operation(name)}
        text = re.sub(rf"@({NAME})", lambda found: f"@{_PREFIX}{found[1]}" if found[1] in own else found[0], text)
        for found in re.finditer(r"^define .*?^\}\n", text, re.M | re.S):
            function = _function(found.group())
            self._functions[function.declaration.symbol] = function
        for found in re.finditer(rf"^declare .*?@({NAME})\(.*$", text, re.M):
            self._others[found[1]] = found.group() + "\n"
        for found in re.finditer(rf"^[@%]({NAME}) = .*$", text, re.M):
            self._others[found[1]] = found.group() + "\n"

    def candidates(self, symbol: str) -> Iterator[_Function]:
        for name in (symbol, symbol + _ELDER):
            if name in self._functions:
                yield self._functions[name]

    def closure(self, references: Iterable[str]) -> tuple[str, str]:
        """(types, the rest) of all that `references` and what they refer to need, operations apart."""
        seen: dict[str, str] = {}
        todo = list(references)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            if name in self._functions:
                function = self._functions[name]
                seen[name] = function.text(name, f"convergent nounwind {DENORMALS}")
                todo += function.references
            elif name in self._others:
                seen[name] = self._others[name]
                todo += re.findall(rf"[@%]({NAME})", self._others[name])
        texts = [seen[name] for name in sorted(seen)]
        types = "".join(text for text in texts if text.startswith("%"))
        return types, "".join(text for text in texts if not text.startswith("%"))

    def meets(self, function: _Function) -> bool:
        """Whether lanes wait for each other in it."""
        todo, seen = [function], {function.declaration.symbol}
        while todo:
            references = todo.pop().references - seen
            if any(name.startswith(_MEETINGS) for name in references):
                return True
            seen |= references
            todo += [self._functions[name] for name in references if name in self._functions]
        return False


@dataclass(frozen=True)
class Definitions:
    """LLVM IR that defines the operations asked for (its types come first), and the symbols that nobody defines."""

    types: str
    functions: str
    missing: tuple[str, ...]


def define(declarations: Iterable[Declaration]) -> Definitions:
    """The definitions of `declarations`. Raises ToolchainError and MetalError where the bridge cannot be compiled."""
    bridge = _bridge()
    written: dict[str, str] = {}
    references: set[str] = set()
    missing = []
    for declaration in declarations:
        made = _define(bridge, declaration, written, references)
        if not made:
            missing.append(declaration.symbol)
    types, functions = bridge.closure(references)
    return Definitions(types, "".join(written.values()) + functions, tuple(missing))


def _define(bridge: _Bridge, wanted: Declaration, written: dict[str, str], references: set[str]) -> bool:
    """Write the definition of `wanted` and of what it needs. False where there is none."""
    if wanted.symbol in written:
        return True
    for function in bridge.candidates(wanted.symbol):
        attributes = f"alwaysinline nounwind {'convergent ' * bridge.meets(function)}{DENORMALS}"
        own = function.declaration
        if (own.result, own.parameters) == (wanted.result, wanted.parameters):
            written[wanted.symbol] = function.text(wanted.symbol, attributes)
            references |= function.references
            return True
        between = _adapted(wanted, own)
        if between is not None:
            written[_PREFIX + own.symbol] = function.text(_PREFIX + own.symbol, attributes)
            written[wanted.symbol] = between
            references |= function.references
            return True
    return _define_by_parts(bridge, wanted, written, references)


def _define_by_parts(bridge: _Bridge, wanted: Declaration, written: dict[str, str], references: set[str]) -> bool:
    """An operation on vectors by the same on integers of their size, or on each component."""
    for part, text in (_as_integers(wanted), _by_components(wanted)):
        if part is not None and _define(bridge, part, written, references):
            written[wanted.symbol] = text
            return True
    return False


# ---------------------------------------------------------------------------------------------------------------------
# Functions between


class _Body:
    """Lines of a function with parameters %a0, %a1, ..."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def value(self, instruction: str) -> str:
        name = f"%t{len(self.lines)}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def cast(self, value: str, source: str, target: str) -> str:
        return value if source == target else self.value(f"bitcast {source} {value} to {target}")

    def call(self, declaration: Declaration, arguments: Iterable[str]) -> str:
        listed = ", ".join(f"{type_} {value}" for type_, value in zip(declaration.parameters, arguments, strict=True))
        call = f"call {declaration.result} @{declaration.symbol}({listed})"
        if declaration.result == "void":
            self.lines.append(f"  {call}")
            return ""
        return self.value(call)

    def function(self, declaration: Declaration, result: str) -> str:
        parameters = ", ".join(f"{type_} %a{i}" for i, type_ in enumerate(declaration.parameters))
        end = "ret void" if declaration.result == "void" else f"ret {declaration.result} {result}"
        head = f"define internal {declaration.result} @{declaration.symbol}({parameters})"
        return "\n".join([f"{head} alwaysinline convergent nounwind {DENORMALS} {{", *self.lines, f"  {end}", "}\n"])


def _adapted(wanted: Declaration, own: Declaration) -> str | None:
    """`wanted` by `own`, whose types have the same sizes, or that takes a vector's components one by one."""
    callee = Declaration(_PREFIX + own.symbol, own.result, own.parameters)
    body = _Body()
    if len(wanted.parameters) == len(own.parameters):
        pairs = [*zip(wanted.parameters, own.parameters, strict=True), (wanted.result, own.result)]
        if any(one != other and (_bits(one) is None or _bits(one) != _bits(other)) for one, other in pairs):
            return None
        arguments = [body.cast(f"%a{i}", one, other) for i, (one, other) in enumerate(pairs[:-1])]
    else:
        flat = [f"{type_}" for vector in wanted.parameters for type_ in _elements(vector)]
        if flat != list(own.parameters) or wanted.result != own.result:
            return None
        arguments = [
            body.value(f"extractelement {vector} %a{i}, i64 {element}") if _VECTOR.fullmatch(vector) else f"%a{i}"
            for i, vector in enumerate(wanted.parameters)
            for element in range(len(_elements(vector)))
        ]
    result = body.call(callee, arguments)
    return body.function(wanted, body.cast(result, own.result, wanted.result) if result else "")


def _as_integers(wanted: Declaration) -> tuple[Declaration | None, str]:
    """An exchange among lanes of vectors of at most eight bytes, as integers."""
    bits = _bits(wanted.result)
    if not _MOVES.match(wanted.symbol) or not _VECTOR.fullmatch(wanted.result) or bits not in (16, 32, 64):
        return None, ""
    base = wanted.symbol.split(".")[1]
    part = Declaration(
        f"air.{base}.u.i{bits}",
        f"i{bits}",
        tuple(f"i{bits}" if type_ == wanted.result else type_ for type_ in wanted.parameters),
    )
    body = _Body()
    pairs = zip(wanted.parameters, part.parameters, strict=True)
    arguments = [body.cast(f"%a{i}", one, other) for i, (one, other) in enumerate(pairs)]
    return part, body.function(wanted, body.cast(body.call(part, arguments), part.result, wanted.result))


def _by_components(wanted: Declaration) -> tuple[Declaration | None, str]:
    """An operation on vectors of one length, component by component."""
    vectors = [found for type_ in (wanted.result, *wanted.parameters) if (found := _VECTOR.fullmatch(type_))]
    lengths = {int(found[1]) for found in vectors}
    if len(lengths) != 1 or not _VECTOR.fullmatch(wanted.result) or not _COMPONENTS.search(wanted.symbol):
        return None, ""
    part = Declaration(
        _COMPONENTS.sub("", wanted.symbol),
        _elements(wanted.result)[0],
        tuple(_elements(type_)[0] for type_ in wanted.parameters),
    )
    body = _Body()
    result = "poison"
    for element in range(lengths.pop()):
        arguments = [
            body.value(f"extractelement {type_} %a{i}, i64 {element}") if _VECTOR.fullmatch(type_) else f"%a{i}"
            for i, type_ in enumerate(wanted.parameters)
        ]
        one = body.call(part, arguments)
        result = body.value(f"insertelement {wanted.result} {result}, {part.result} {one}, i64 {element}")
    return part, body.function(wanted, result)


def _elements(type_: str) -> list[str]:
    """The components' types of a vector; of any other type, itself."""
    found = _VECTOR.fullmatch(type_)
    return [found[2]] * int(found[1]) if found else [type_]


def _bits(type_: str) -> int | None:
    """The size of a number or a vector of numbers; None for any other type, and for single bits."""
    found = _VECTOR.fullmatch(type_)
    if found:
        element = _bits(found[2])
        return None if element is None else int(found[1]) * element
    if type_ in _SCALAR_BITS:
        return _SCALAR_BITS[type_]
    return int(type_[1:]) if re.fullmatch(r"i\d+", type_) and type_ != "i1" else None


# ---------------------------------------------------------------------------------------------------------------------
# The bridge's text


@cache
def _bridge() -> _Bridge:
    key = toolchain.digest(
        [
            "the operations of compiled kernels",
            toolchain.digest_of_folder(SHIM),
            toolchain.digest_of_folder(RUNTIME, "*.h"),
            Path(__file__).read_bytes(),
            str(toolchain.zig().stat().st_size),
        ]
    )
    return _Bridge(kernel_cache.compiled(key, _compile).decode())


def _compile() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory(dir=cache_dir("kernels"), prefix=".build-") as name:
        folder = Path(name)
        arguments = ["clang", "-target", "x86_64-linux-gnu", *compiler_arguments(Mode.RUN), *_CODE_ARGUMENTS]
        result = toolchain.run_zig(
            [*arguments, "-S", "-emit-llvm", "-o", "bridge.ll", "-"], folder=folder, text="#include <air_bridge>\n"
        )
        if result.returncode != 0:
            raise MetalError(
                f"the operations of compiled kernels do not compile: {result.stderr[:500]}",
                next_step="report this as a bug",
            )
        return (folder / "bridge.ll").read_bytes()


def _is_operation(name: str) -> bool:
    return name.startswith(("air.", "msl.", "__tensorops"))


def _standalone(text: str) -> str:
    """Without metadata and attribute groups, and with types of our own names."""
    groups: Mapping[str, str] = {
        found[1]: re.sub(r'"[^"]*"(?:="[^"]*")?|\btarget_mem\d: \w+', "", found[2])
        for found in re.finditer(r"^attributes #(\d+) = \{(.*)\}$", text, re.M)
    }
    text = re.sub(r",? ![\w.]+ !\d+", "", text)
    text = re.sub(r"^(?:!|attributes #|target |source_filename|;).*\n", "", text, flags=re.M)
    # A function that is declared must stay convergent, or LLVM takes that from its calls, and copies barriers.
    text = re.sub(r"(?<=[)\w]) #(\d+)", lambda found: f" {' '.join(groups[found[1]].split())}", text)
    text = re.sub(r'%"((?:struct|class|union)\.)', r'%"msl.\1', text)
    return re.sub(r"%((?:struct|class|union)\.)", r"%msl.\1", text)


def _function(text: str) -> _Function:
    head, rest = text.split("\n", 1)
    declaration = Declaration.of(head)
    inside = head[head.index("(", head.index("@")) + 1 :]
    references = {*re.findall(rf"@({NAME})", text), *re.findall(r'%("msl\.[^"]*"|msl\.[\w.$]+)', text)}
    parameters = inside[: _end_of_parameters(inside)]
    return _Function(declaration, parameters, "{\n" + rest, frozenset(references - {declaration.symbol}))


def _end_of_parameters(text: str) -> int:
    """Where the bracket closes that was opened just before `text`."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return position
    return len(text)
