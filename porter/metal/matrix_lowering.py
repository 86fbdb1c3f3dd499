# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""8 x 8 matrix products in LLVM IR: many pure calls become few calls of the runtime.

A product is a pure function of this lane's two elements of a, b and c, held as one 8-byte value. All lanes that reach a
basic block run all of it, so the products of one block may be run together, in order, when the last of them is reached:
a *batch*. A batch ends where an instruction needs one of its results, where another operation makes the lanes wait, and
at the block's end. Instructions that only take such a value apart or put it together again do not need it: they move
behind the batch, and where they amount to nothing (a result that becomes the next product's c) they vanish.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

PRODUCT = "msl_matrix_multiply_accumulate"

# Operations at which lanes meet or wait.
WAITING = frozenset({"msl_threadgroup_barrier", "msl_simdgroup_meet", "msl_simdgroup_barrier", "msl_matrix_run"})

# Bounds of runtime/kernel_operations.h.
_SLOT_BYTES = 256
_MAX_SLOTS = 512

_VALUE = re.compile(r'%(?:[\w.$]+|"[^"]+")')
_LABEL = re.compile(r'^[\w.$"]+:')
_CALL = re.compile(
    rf"^\s*(%[\w.$]+) = (?:tail |notail )?call .*?\bdouble @{PRODUCT}\((.*?)\)(?: #\d+)?(?:, !\w+ !\d+)*$"
)

_PAIR = r"<2 x float>"
_SPLIT = re.compile(rf"^\s*(%[\w.$]+) = bitcast double (%[\w.$]+) to {_PAIR}$")
_JOIN = re.compile(rf"^\s*(%[\w.$]+) = bitcast {_PAIR} (%[\w.$]+) to double$")
_TAKE = re.compile(rf"^\s*(%[\w.$]+) = extractelement {_PAIR} (%[\w.$]+), i\d+ ([01])$")
_PUT = re.compile(rf"^\s*(%[\w.$]+) = insertelement {_PAIR} (\S+), float (\S+), i\d+ ([01])$")
_MIX = re.compile(
    rf"^\s*(%[\w.$]+) = shufflevector {_PAIR} (\S+), {_PAIR} (\S+), <2 x i32> "
    r"(?:<i32 (\d|poison), i32 (\d|poison)>|(zeroinitializer))$"
)


@dataclass
class _Product:
    result: str
    operands: tuple[str, ...]


@dataclass
class _Batch:
    """Products in order, and the instructions between them that move behind them."""

    products: list[_Product] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    def results(self) -> set[str]:
        return {product.result for product in self.products}

    def inputs(self) -> list[str]:
        """Operands that come from outside, each once, in order of first use."""
        results = self.results()
        values = [value for product in self.products for value in product.operands]
        return [value for value in dict.fromkeys(values) if value not in results]


@dataclass
class _Open:
    """A batch that may still grow. `place` is where it stands in the lines written so far, `behind` are the places of
    lines behind it that take its results apart, `depends` its results and theirs."""

    batch: _Batch = field(default_factory=_Batch)
    place: int = -1
    behind: list[int] = field(default_factory=list)
    depends: set[str] = field(default_factory=set)

    def takes(self, product: _Product) -> bool:
        """Whether `product` can run with this batch: it needs none of its results but as a whole, and there is room."""
        needed = self.depends.intersection(product.operands) - self.batch.results()
        return not needed and 4 * len(self.batch.products) + 4 <= _MAX_SLOTS

    def add(self, product: _Product, out: list[str | _Batch | None]) -> None:
        """Add `product`, which moves the batch to the end of `out`, and what depends on it behind it."""
        if self.batch.products:
            out[self.place] = None
            for place in self.behind:
                self.batch.moved.append(str(out[place]))
                out[place] = None
            self.behind.clear()
        self.batch.products.append(product)
        self.depends.add(product.result)
        self.place = len(out)
        out.append(self.batch)


class Batches:
    """Rewrites the products of a module's functions, and keeps the tables that the runtime needs for them."""

    def __init__(self, *, enabled: bool) -> None:
        """Without `enabled` every product is a batch of its own."""
        self._enabled = enabled
        self._tables: list[str] = []
        self.sizes: list[int] = []

    def lower(self, lines: list[str]) -> list[str]:
        """The lines of a function with its products as calls of the runtime."""
        if not any(PRODUCT in line for line in lines):
            return lines
        rewritten: list[str | _Batch] = []
        for line in self._gather(lines):
            rewritten += [line] if isinstance(line, str) else [line, *line.moved]
        rewritten = _without_dead(rewritten)
        used = _uses(rewritten)
        lowered: list[str] = []
        for line in rewritten:
            lowered += [line] if isinstance(line, str) else self._call(line, used)
        return lowered

    def _gather(self, lines: list[str]) -> list[str | _Batch]:
        """Replace the last product of each batch by the batch, and drop the others."""
        pairs = _Pairs()
        out: list[str | _Batch | None] = []
        current = _Open()
        for line in lines:
            product = _product(line)
            if product is not None:
                product.operands = tuple(pairs.whole(value) for value in product.operands)
                if not self._enabled or not current.takes(product):
                    current = _Open()
                current.add(product, out)
                continue
            result = pairs.learn(line)
            if current.depends & set(_operands(line)):
                if result is None:
                    current = _Open()
                else:
                    current.depends.add(result)
                    current.behind.append(len(out))
            elif _parts_or_waits(line):
                current = _Open()
            out.append(line)
        return [line for line in out if line is not None]

    def _call(self, batch: _Batch, used: Counter[str]) -> list[str]:
        """Store the operands to this lane's places, run the products, load the results that are needed."""
        number = len(self.sizes)
        self.sizes.append(len(batch.products))
        slots, rows = _assign_slots(batch)
        self._add_table(number, rows)
        base = f"%msl.batch.{number}"
        lines = [f"  {base} = call ptr @msl_matrix_elements()"]
        for value in batch.inputs():
            address = f"{base}.in.{slots[value]}"
            lines.append(_element_address(address, base, slots[value]))
            lines.append(f"  store double {value}, ptr {address}, align 8")
        lines.append(f"  call void @msl_matrix_run(ptr @msl.batch.{number}) nomerge convergent")
        for product in batch.products:
            if used[product.result]:
                address = f"{base}.out.{len(lines)}"
                lines.append(_element_address(address, base, slots[product.result]))
                lines.append(f"  {product.result} = load double, ptr {address}, align 8")
        return lines

    def _add_table(self, number: int, rows: list[tuple[int, int, int, int]]) -> None:
        flat = ", ".join(f"i16 {slot}" for row in rows for slot in row)
        self._tables.append(
            f"@msl.products.{number} = private unnamed_addr constant [{4 * len(rows)} x i16] [{flat}], align 8\n"
            f"@msl.batch.{number} = private unnamed_addr constant {{ i32, ptr }} "
            f"{{ i32 {len(rows)}, ptr @msl.products.{number} }}, align 8\n"
        )

    def declarations(self) -> str:
        """The tables and the runtime's functions that the rewritten functions refer to."""
        if not self._tables:
            return ""
        functions = (
            "declare ptr @msl_matrix_elements() nounwind\ndeclare void @msl_matrix_run(ptr) convergent nomerge\n"
        )
        return "".join(self._tables) + functions


class _Pairs:
    """What is known of values that are two floats in one: of which 8-byte value each half is which half."""

    def __init__(self) -> None:
        self._halves: dict[str, tuple[object, object]] = {}  # of <2 x float> values
        self._floats: dict[str, object] = {}
        self._wholes: dict[str, str] = {}

    def whole(self, value: str) -> str:
        """The 8-byte value that `value` was put together from, or itself."""
        return self._wholes.get(value, value)

    def learn(self, line: str) -> str | None:
        """The result of `line` if it only takes such a value apart or puts one together; None for any other line."""
        if found := _SPLIT.match(line):
            whole = self.whole(found[2])
            self._halves[found[1]] = ((whole, 0), (whole, 1))
        elif found := _JOIN.match(line):
            first, second = self._of(found[2])
            if (
                isinstance(first, tuple)
                and isinstance(second, tuple)
                and (first[0], 0, 1) == (second[0], first[1], second[1])
            ):
                self._wholes[found[1]] = first[0]
        elif found := _TAKE.match(line):
            self._floats[found[1]] = self._of(found[2])[int(found[3])]
        elif found := _PUT.match(line):
            halves = list(self._of(found[2]))
            halves[int(found[4])] = self._floats.get(found[3], found[3])
            self._halves[found[1]] = (halves[0], halves[1])
        elif found := _MIX.match(line):
            four = (*self._of(found[2]), *self._of(found[3]))
            picks = (found[4], found[5]) if found[6] is None else ("0", "0")
            first, second = (four[int(pick)] if pick.isdigit() else None for pick in picks)
            self._halves[found[1]] = (first, second)
        else:
            return None
        return found[1]

    def _of(self, value: str) -> tuple[object, object]:
        return self._halves.get(value, (f"{value}.0", f"{value}.1"))


def _product(line: str) -> _Product | None:
    if PRODUCT not in line:
        return None
    found = _CALL.match(line)
    if found is None:
        raise AssertionError(f"a matrix product that this compiler writes in an unknown way: {line.strip()}")
    return _Product(found[1], tuple(argument.split()[-1] for argument in found[2].split(",")))


def _operands(line: str) -> list[str]:
    """Values that a line of IR uses (its own result is none)."""
    return _VALUE.findall(line.split(" = ", 1)[-1])


def _parts_or_waits(line: str) -> bool:
    return bool(_LABEL.match(line)) or line == "}" or any(f"@{name}(" in line for name in WAITING)


def _uses(lines: list[str | _Batch]) -> Counter[str]:
    """How often each value is used, products inside one batch apart."""
    used: Counter[str] = Counter()
    for line in lines:
        used.update(_operands(line) if isinstance(line, str) else line.inputs())
    return used


def _without_dead(lines: list[str | _Batch]) -> list[str | _Batch]:
    """Drop what only takes values apart or puts them together, for nobody."""
    used = _uses(lines)
    kept: list[str | _Batch] = []
    for line in reversed(lines):
        result = _Pairs().learn(line) if isinstance(line, str) else None
        if result is not None and isinstance(line, str) and not used[result]:
            used.subtract(_operands(line))
        else:
            kept.append(line)
    return kept[::-1]


def _assign_slots(batch: _Batch) -> tuple[dict[str, int], list[tuple[int, int, int, int]]]:
    """A slot for every operand and result, and (d, a, b, c) for every product.

    A result takes its c's place where nothing of the batch reads c again.
    """
    uses = Counter(value for product in batch.products for value in product.operands)
    slots = {value: slot for slot, value in enumerate(batch.inputs())}
    count = len(slots)
    rows = []
    for product in batch.products:
        a, b, c = (slots[value] for value in product.operands)
        if uses[product.operands[2]] == 1:
            slots[product.result] = c
        else:
            slots[product.result] = count
            count += 1
        rows.append((slots[product.result], a, b, c))
    return slots, rows


def _element_address(name: str, base: str, slot: int) -> str:
    return f"  {name} = getelementptr inbounds i8, ptr {base}, i64 {slot * _SLOT_BYTES}"
