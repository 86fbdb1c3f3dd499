# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A bad noun cannot exist."""

import json
from pathlib import Path

import pytest

from porter.model import (
    Coverage,
    Edit,
    Field,
    KernelArgument,
    KernelTemplate,
    Location,
    Overlay,
    OverlayFile,
    ParamsStruct,
    Pin,
    PinnedFile,
    Proof,
    Ring,
    Sources,
    Status,
    TemplateParameter,
    check_relative,
    from_data,
    to_data,
)

HERE = Location("a.h", 1)
LICENCE = PinnedFile("LICENSE", 1, "0" * 64)


def pin(**fields: object) -> Pin:
    return Pin(
        **{
            "revision": "a" * 40,
            "tag": None,
            "provider": "dir",
            "coverage": Coverage.FULL,
            "files": (LICENCE,),
            **fields,
        }
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "", "a\\b", "a\0b"])
def test_paths_stay_inside_their_tree(path: str) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        check_relative(path)


def test_a_pin_names_a_whole_commit() -> None:
    with pytest.raises(ValueError, match="not a full commit id: 'abc'"):
        pin(revision="abc")


def test_a_pin_holds_the_licence() -> None:
    with pytest.raises(ValueError, match="LICENSE is not among"):
        pin(files=())


def test_a_pin_is_sorted_and_names_nothing_twice() -> None:
    with pytest.raises(ValueError, match="named twice"):
        pin(files=(LICENCE, LICENCE))


def test_the_digest_of_a_pin_follows_its_files() -> None:
    other = PinnedFile("LICENSE", 1, "1" * 64)
    assert pin().digest != pin(files=(other,)).digest
    assert pin().digest == pin(provider="git").digest


def test_sources_are_what_the_pin_names() -> None:
    with pytest.raises(ValueError, match="not the files that the pin names"):
        Sources(pin(), Path(), {})


def test_a_kernel_binds_a_slot_once() -> None:
    argument = KernelArgument("a", "float", "device", True, "buffer", 3, None, HERE)
    with pytest.raises(ValueError, match=r"binds one buffer slot twice: \[3, 3\]"):
        KernelTemplate("k", (), (argument, argument), None, HERE, HERE)


@pytest.mark.parametrize(("second", "size", "message"), [(2, 8, "overlaps"), (6, 8, "past its size 8")])
def test_fields_of_a_params_struct_fit(second: int, size: int, message: str) -> None:
    fields = (Field("x", "int", 0, 4, HERE), Field("y", "int", second, 4, HERE))
    with pytest.raises(ValueError, match=message):
        ParamsStruct("P", fields, size, 4, HERE)


def test_an_edit_runs_forwards() -> None:
    with pytest.raises(ValueError, match=r"runs backwards: \[5, 4\)"):
        Edit(5, 4, "", "rule")


def test_an_overlay_is_sorted() -> None:
    with pytest.raises(ValueError, match="not sorted"):
        Overlay("r", (OverlayFile("b", "", None), OverlayFile("a", "", None)))


@pytest.mark.parametrize("status", [Status.DIFFERS, Status.EQUAL_AFTER_O1, Status.NOT_RUN])
def test_a_proof_says_why(status: Status) -> None:
    with pytest.raises(ValueError, match="must say why"):
        Proof(Ring.NAMES, "f", "claim", "witness", status, 1)


@pytest.mark.parametrize("status", [Status.PROVED, Status.SAMPLED])
def test_nothing_compared_is_nothing_proved(status: Status) -> None:
    with pytest.raises(ValueError, match="nothing was compared"):
        Proof(Ring.NAMES, "f", "claim", "witness", status, 0)


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (Status.PROVED, True),
        (Status.EQUAL_AFTER_O1, True),
        (Status.SAMPLED, True),
        (Status.DIFFERS, False),
        (Status.NOT_RUN, False),
    ],
)
def test_what_holds(status: Status, holds: bool) -> None:
    assert Proof(Ring.NAMES, "f", "claim", "witness", status, 1, "because").holds is holds


def test_nouns_become_plain_data_without_this_machines_paths() -> None:
    text = LICENCE
    data = to_data(Sources(pin(), Path("/somewhere"), {"LICENSE": text}))
    assert data["pin"]["coverage"] == "full"
    assert data["pin"]["files"] == [{"path": "LICENSE", "size": 1, "sha256": "0" * 64}]
    assert "/somewhere" not in str(data)


# ---------------------------------------------------------------------------------------------------------------------
# Back from plain data


WHERE = Location("k.h", 3, 2)
ARGUMENT = KernelArgument("x", "T", "device", True, "buffer", 0, None, WHERE)
TEMPLATE = KernelTemplate("k", (TemplateParameter("int", "N", "3"),), (ARGUMENT,), None, WHERE, WHERE, "family")


@pytest.mark.parametrize(
    "noun",
    [
        TEMPLATE,
        pin(),
        Proof(Ring.NAMES, "f", "c", "w", Status.DIFFERS, 3, "why", ("note",)),
        PinnedFile("a/b", 4, "0" * 64),
    ],
)
def test_a_noun_comes_back_from_its_data(noun: object) -> None:
    assert from_data(type(noun), json.loads(json.dumps(to_data(noun)))) == noun


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"thread_limit": 4},
        {"location": None},
        {"location": {"file": "k.h", "line": 3}},
        {"location": {"file": "k.h", "line": True, "column": 1}},
        {"location": {"file": "k.h", "line": 3, "column": 1, "more": 1}},
        {"arguments": {}},
        {"arguments": [to_data(ARGUMENT)] * 2},  # the noun's own rule: each slot once
        {"more": 1},
    ],
)
def test_data_of_a_stranger_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"not |binds"):
        from_data(KernelTemplate, {**to_data(TEMPLATE), **change})
