# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's own compiled Metal kernels, of every family in the macOS wheel, run here and agree with torch on the CPU.

One kernel of each family by default; STEEL_WITNESS_EACH=4 takes four. What runs and what does not is printed.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

pytest.importorskip("llvmlite.binding")
pytest.importorskip("torch")

from porter.errors import MetalError

from . import pytorch_witness
from .macos_wheels import LIBRARIES, opened
from .pytorch_witness.families import cases_of, families, sample
from .pytorch_witness.not_run import NOT_RUN
from .pytorch_witness.witness import Case, Witness

EACH = int(os.environ.get("STEEL_WITNESS_EACH", "1"))
CASES: dict[str, tuple[Case, ...]] = {}
for _found in pkgutil.iter_modules(pytorch_witness.__path__):
    _module = importlib.import_module(f"{pytorch_witness.__name__}.{_found.name}")
    if hasattr(_module, "CASES"):
        CASES[_found.name] = _module.CASES


@pytest.fixture(scope="module")
def witnesses() -> Iterator[list[Witness]]:
    """Both of the wheel's libraries: for macOS 14 (AIR 2.6) and macOS 26 (AIR 2.8), with kernels of the same names."""
    with ExitStack() as stack:
        libraries = [one for one in LIBRARIES if one.requirement.startswith("torch==")]
        yield [Witness(one.section, stack.enter_context(opened(one))) for one in libraries]


def names(witness: Witness) -> list[str]:
    return [function.name for function in witness.file.functions]


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("group", CASES)
def test_a_sample_of_all_families(witnesses: list[Witness], group: str) -> None:
    wrong: list[str] = []
    ran = 0
    for chosen in sample(families(names(witnesses[0])), EACH).values():
        for index, name in enumerate(chosen):
            for case in cases_of(CASES[group], name):
                match = case.match(name)
                assert match is not None
                try:
                    # By turns of the one and the other library.
                    case.check(witnesses[(len(name) + index) % 2], name, match)
                except (AssertionError, MetalError) as error:
                    wrong.append(f"{name}: {error}")
                ran += 1
    print(f"\n{group}: {ran} kernels ran, {len(wrong)} differ")
    assert ran, f"no kernel of the library is of {group}"
    assert not wrong, "\n".join(wrong)


def test_every_family_runs_or_is_listed(witnesses: list[Witness]) -> None:
    first, second = witnesses
    assert sorted(names(first)) == sorted(names(second))
    found = families(names(first))
    covered = {key: [cases_of(cases, name) for cases in CASES.values() for name in found[key]] for key in found}
    run = {key for key, cases in covered.items() if any(cases)}
    twice = [name for name in names(first) if sum(len(cases_of(cases, name)) for cases in CASES.values()) > 1]
    kernels = sum(len(found[key]) for key in run)
    print(f"\n{len(run)} of {len(found)} families run ({kernels} of {len(names(first))} kernels)")
    for key, reason in sorted(NOT_RUN.items()):
        print(f"not run: {key}: {reason}")
    assert not twice, f"of two cases: {twice[:5]}"
    assert not run & set(NOT_RUN), f"listed, but run: {sorted(run & set(NOT_RUN))}"
    assert set(found) - run == set(NOT_RUN)
