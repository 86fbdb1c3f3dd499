# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Small modules cut out of a large one, and LLVM's -O1 over them.

What differs before the optimiser may be equal after it (a commuted addition, a loop variable of another width). Two
cuts: one function alone, with everything it calls left opaque under names that both sides share; and one kernel with
everything it reaches, where every function but the kernel is internal and may be inlined.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from porter.errors import ProofError, ToolchainError
from porter.prove.ir import Module

ROOT = "@steel_port_root"


def function_alone(module: Module, name: str, names: Mapping[str, str]) -> str:
    """A module with the one definition of `name`; what it mentions is declared under `names`."""
    head, body = module.parts(name)
    body = module.rename(body, {**names, name: ROOT})
    head = module.rename(head, {**names, name: ROOT})
    shared = {names.get(symbol, symbol): symbol for symbol in module.references(name)}
    declared = [_declaration(module, symbol, shared_name) for shared_name, symbol in shared.items()]
    return "\n".join([*module.type_lines(), *declared, *_intrinsics(module, name), head + body, *module.tail_lines()])


def kernel_whole(module: Module, root: str) -> str:
    """A module with `root` and everything it reaches; its functions and constants are internal."""
    reached = module.reachable(root)
    lines = [*module.type_lines()]
    for symbol in reached:
        if module.is_leaf(symbol):
            lines.append(module.source(symbol) if symbol in module.symbols else "")
            continue
        head, body = module.parts(symbol)
        # A variable is memory that other threads may write behind a barrier: the optimiser must not think it private.
        if symbol != root and (module.symbols[symbol].is_function or module.is_constant(symbol)):
            head = _internal(head, symbol)
        lines.append(head + body)
    intrinsics = dict.fromkeys(line for symbol in reached for line in _intrinsics(module, symbol))
    text = "\n".join([*lines, *intrinsics, *module.tail_lines()])
    return module.rename(text, {root: ROOT})


def optimised(text: str) -> Module:
    """The module after LLVM's -O1 pipeline. Raises ProofError where LLVM cannot read the text."""
    llvm = _llvm()
    try:
        module = llvm.parse_assembly(text)
        module.verify()
    except RuntimeError as error:
        raise ProofError(
            f"LLVM cannot read what the compiler wrote: {error}", next_step="report this as a bug"
        ) from error
    machine = llvm.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return Module(str(module), renumber=True)


def _llvm() -> Any:
    try:
        import llvmlite.binding as llvm
    except ImportError as error:
        raise ToolchainError("llvmlite is missing", next_step="pip install 'steel-port[verify]'") from error
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm


def _declaration(module: Module, symbol: str, name: str) -> str:
    """`symbol` as a declaration called `name`."""
    if symbol not in module.symbols:
        return ""
    if module.is_leaf(symbol):
        return module.rename(module.source(symbol), {symbol: name})
    head, _ = module.parts(symbol)
    head = module.rename(head, {symbol: name})
    if module.symbols[symbol].is_function:
        return re.sub(r"\s*\{\s*$", "", re.sub(r"^define ", "declare ", re.sub(r" personality .*", "", head)))
    kind = re.match(r"(\S+) = ((?:[\w()]+ )*?)(global|constant) (.*)", head)
    if kind is None:
        raise ProofError(f"not a variable: {head[:80]}")
    return f"{kind[1]} = external {kind[2]}{kind[3]} {_type_of(kind[4])}"


def _type_of(text: str) -> str:
    """The type that `text` (a type and an initialiser) begins with."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in "[{<(") - (character in "]}>)")
        if depth == 0 and character in " ,":
            return text[:index]
    return text


def _internal(head: str, symbol: str) -> str:
    if head.startswith("define "):
        return "define internal " + head.removeprefix("define ")
    return head.replace(f"{symbol} = ", f"{symbol} = internal ", 1)


def _intrinsics(module: Module, name: str) -> list[str]:
    """Declarations of LLVM's own functions that `name` mentions."""
    if module.is_leaf(name):
        return []
    found = dict.fromkeys(re.findall(r"@llvm\.[\w.]+", module.source(name)))
    return [module.source(symbol) for symbol in found if symbol in module.symbols]
