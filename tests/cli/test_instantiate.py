# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port instantiate`: one kernel on demand, as upstream makes it, from the headers that the wheel holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from porter.cli import cli
from porter.errors import UsageError
from porter.metal import Library


def instantiate(root: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["instantiate", *arguments, "--root", str(root)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_template_with_arguments_that_no_table_has(root: Path) -> None:
    given = [f"--argument={one}" for one in ("T=int", "IdxT=short", "LocT=int", "N=1")]
    source = instantiate(root, "gather_front", *given, "--host-name", "mine")
    library = Library(source)
    assert library.names() == ("mine",)
    rows = np.arange(12, dtype=np.int32).reshape(4, 3)
    indices, out = np.array([3, -4, 1], np.int16), np.zeros((3, 3), np.int32)
    stride, size = np.array([3], np.int64), np.array([4], np.int32)
    library["mine"]({0: rows, 1: indices, 2: out, 3: stride, 4: size}, threads=(3, 3, 1), group=(3, 3, 1))
    assert (out == rows[indices]).all()


def test_a_string_of_the_host_with_columns_that_no_request_has(root: Path) -> None:
    source = instantiate(
        root, "gather_kernels", "--argument=dtype=int16", "--argument=T=int16_t", "--argument=idx_ndim=2"
    )
    assert Library(source).names() == ("gatherint16uint32_1_2_int",)


def test_a_host_name_of_the_tables(root: Path) -> None:
    source = instantiate(root, "block_softmax_float32")
    assert Library(source).names() == ("block_softmax_float32",)
    assert "Apple Inc." in source


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "nothing is called 'nothing'"),
        (["gather_front"], "needs T, IdxT, LocT, N"),
        (["gather_front", "--argument=X=1"], "no parameter 'X'"),
        (["gather_front", "--argument=T"], "'T' is not NAME=VALUE"),
        (["gather_kernels", "--argument=X=1"], "gather_kernels has no column 'X'"),
        (["block_softmax_float32", "--argument=T=float"], "is a host name"),
        (["block_softmax_float32", "--constant=x=1"], "is not asked for with x=1"),
    ],
)
def test_wrong_input_is_said(root: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        CliRunner().invoke(
            cli, ["instantiate", *arguments, "--root", str(root)], catch_exceptions=False, standalone_mode=False
        )
    assert said in str(caught.value)
