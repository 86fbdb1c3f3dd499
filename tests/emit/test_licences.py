# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from porter.emit.licences import licence_files
from porter.model import Corpus, Location, Notice, Port, PortedFile
from porter.port.notice import header_comment
from tests.emit.conftest import LICENSE, K, sources_of

PATH = K + "theirs.h"
TEXT = """// Copyright 1999 Somebody
// Licensed under the Apache License, Version 2.0: see there.

// About the code.
#pragma once
int x; // no statement
"""


def made() -> tuple[Notice, dict[str, str]]:
    notice = Notice(("Copyright 1999 Somebody",), "Apache-2.0", True, Location(PATH, 1))
    sources = sources_of({"LICENSE": LICENSE, PATH: TEXT})
    corpus = Corpus(sources.pin, (PATH,), (), (), {PATH: notice}, (), (), (), ())
    port = Port(corpus, (PortedFile(PATH, "a/MlxTheirs.h", TEXT, (), notice),))
    return notice, licence_files(port, sources, "kernels")


def test_another_licence_has_a_file_of_its_own() -> None:
    _, files = made()
    assert sorted(files) == ["kernels/Steel.LICENSE", "kernels/Steel.LICENSE-Apache-2.0"]
    text = files["kernels/Steel.LICENSE-Apache-2.0"]
    assert "MlxTheirs.h, ported from mlx/backend/metal/kernels/theirs.h" in text
    assert "\n// Copyright 1999 Somebody\n// Licensed under the Apache License, Version 2.0: see there.\n" in text
    assert "About the code" not in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "Permission is hereby granted" in files["kernels/Steel.LICENSE"]


def test_the_heading_points_to_the_right_file() -> None:
    notice, _ = made()
    assert "stands beside this file in Steel.LICENSE-Apache-2.0.\n" in header_comment(PATH, TEXT, notice, "0" * 40)


def test_the_heading_of_kernels_that_were_strings() -> None:
    notice = Notice(("Copyright 1999 Somebody",), "MIT", False, Location(PATH, 1))
    heading = header_comment(K + "jit/forms_requests.h", "int x;\n", notice, "0" * 40)
    assert "mlx/backend/metal/jit/forms.h, its strings, written out" in heading
