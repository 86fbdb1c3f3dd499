# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What several test folders share: one vendored MLX and one overlay, made once a run by the code under test."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.model import Corpus, Sources
from porter.parse.requests import with_requests
from porter.spec import Family, load_families

REVISION = "v0.30.1"

# Taken out of the environment: what a test does by itself must not depend on whether a clone is at hand.
os.environ["STEEL_PORT_TEST_CLONE"] = os.environ.pop("STEEL_PORT_MLX_GIT", "") or os.environ.get(
    "STEEL_PORT_TEST_CLONE", ""
)


@pytest.fixture(scope="session")
def families() -> tuple[Family, ...]:
    """Those that REVISION has."""
    return tuple(family for family in load_families() if family.since is None)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with upstream_mlx/ (from the registry's wheel) and generated/."""
    from porter.walk import Request, synchronise

    path = tmp_path_factory.mktemp("root")
    synchronise(Request(path, REVISION, None, "wheel"), lambda *_: None)
    return path


@pytest.fixture(scope="session")
def sources(root: Path) -> Sources:
    from porter.upstream import obtain

    found, _ = obtain(REVISION, None, "wheel", root / "upstream_mlx", progress=lambda *_: None, offline=True)
    return with_requests(found, load_families())


@pytest.fixture(scope="session")
def corpus(sources: Sources, families: tuple[Family, ...]) -> Corpus:
    from porter.parse.corpus import read_corpus

    return read_corpus(sources, families)


@pytest.fixture(scope="session")
def mlx_git() -> str:
    """A clone of MLX, bare or not, for what needs the full source."""
    path = os.environ["STEEL_PORT_TEST_CLONE"]
    if not path:
        pytest.skip("needs the full MLX source: set STEEL_PORT_MLX_GIT to a clone")
    return path


@pytest.fixture(scope="session")
def look(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """look(address, page): the text of the page's document after its script ran, in a headless browser."""
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    profile = tmp_path_factory.mktemp("browser")

    def looked(address: str, page: Path, *, markup: bool = False) -> str:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--virtual-time-budget=9000", f"--user-data-dir={profile}", "--dump-dom", f"file://{page.resolve()}{address}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        main = done.stdout[done.stdout.index("<main") : done.stdout.index("</main>")]
        return main if markup else html.unescape(re.sub(r"<[^>]+>", " ", main))

    return looked
