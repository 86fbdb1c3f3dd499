# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""This repository, what it asks pip for, and what is built of it: all that must be there, and nothing else."""

from __future__ import annotations

import email.message
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from porter.audit.bom_sources import of_wheel
from porter.audit.cleanliness import members, tracked_files, wrong_in_sdist, wrong_in_wheel
from porter.audit.dependencies import Dependency, Rules, dependencies, licence_of, load_rules, refused
from porter.audit.detect import find
from porter.audit.history import clone, of_clone, of_sources, release_tags
from porter.audit.index import Index, index_of
from porter.audit.reading import SourceText, decode
from porter.errors import ArchiveError, ToolchainError
from porter.model import Sources

REPOSITORY = Path(__file__).resolve().parents[2]
DECOYS = (
    "upstream_mlx/mlx/backend/metal/kernels/gemm.h",
    "generated/pytorch/aten/a.h",
    "porter/__pycache__/a.pyc",
    ".cache/a",
    "tests/__pycache__/b.pyc",
    "dist/old.whl",
)


@pytest.fixture(scope="module")
def tracked() -> tuple[Path, ...]:
    return tracked_files(REPOSITORY)


@pytest.fixture(scope="module")
def built(tracked: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel and an sdist, built offline of the tracked files, beside which lie some that must not get in."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, source / path)
    for decoy in DECOYS:
        (source / decoy).parent.mkdir(parents=True, exist_ok=True)
        (source / decoy).write_text("upstream\n")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {path.suffix: path for path in out.iterdir()}


def test_reuse_lint_passes() -> None:
    command = [sys.executable, "-m", "reuse", "--root", str(REPOSITORY), "lint", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, json.loads(done.stdout)["non_compliant"]


def test_git_tracks_no_generated_and_no_upstream_file(tracked: tuple[Path, ...]) -> None:
    assert Path("generated/LOCK.json") in tracked
    assert Path("upstream_mlx/PIN.yaml") in tracked
    kept = [path for path in tracked if path.parts[0] in ("generated", "upstream_mlx")]
    assert sorted(map(str, kept)) == ["generated/LOCK.json", "upstream_mlx/PIN.yaml"]


def test_the_wheel_holds_the_package_and_its_licences(built: dict[str, Path], tracked: tuple[Path, ...]) -> None:
    names = members(built[".whl"])
    assert wrong_in_wheel(names, tracked) == []
    assert len(names) > 200


def test_the_sdist_holds_the_tracked_sources(built: dict[str, Path], tracked: tuple[Path, ...]) -> None:
    names = members(built[".gz"])
    assert wrong_in_sdist(names, tracked) == []
    assert len(names) > 300


def test_the_wheels_expression_is_that_of_its_files(built: dict[str, Path]) -> None:
    """What pyproject.toml declares, computed: the families' YAMLs restate values of MLX and are under MIT too."""
    bom = of_wheel(built[".whl"])
    declared = next(file.licence for file in bom.files if file.path.endswith(".dist-info/RECORD"))
    stated = {part for file in bom.files if not file.comment for part in file.licence.split(" AND ")}
    assert set(declared.split(" AND ")) == stated == {"BSD-3-Clause", "MIT"}
    kept = {Path(file.path).stem for file in bom.files if ".dist-info/licenses/" in file.path}
    assert kept == stated


def test_each_thing_too_much_or_too_little_is_named(built: dict[str, Path], tracked: tuple[Path, ...]) -> None:
    names = members(built[".whl"])
    licence = next(name for name in names if name.endswith("MIT.txt"))
    assert wrong_in_wheel([name for name in names if name != licence], tracked) == ["lacks the licence MIT.txt"]
    assert wrong_in_wheel([*names, "porter/__pycache__/a.pyc"], tracked) == [
        "holds porter/__pycache__/a.pyc, which running left behind"
    ]
    assert wrong_in_wheel([*names, "porter/kernels/gemm.metal"], tracked) == [
        "holds porter/kernels/gemm.metal, which may be upstream's"
    ]
    assert wrong_in_wheel([name for name in names if name != "porter/model.py"], tracked) == ["lacks porter/model.py"]
    extra = f"{names[-1].partition('/')[0]}/extra"
    assert wrong_in_wheel([*names, extra], tracked) == [f"holds {extra}"]
    names = members(built[".gz"])
    assert wrong_in_sdist([*names, "upstream_mlx/a.h"], tracked) == ["holds upstream_mlx/a.h, which may be upstream's"]
    assert wrong_in_sdist([*names, "porter/a.py"], tracked) == ["holds porter/a.py, which git does not track"]


def test_every_dependency_is_under_a_licence_we_allow() -> None:
    rules = load_rules()
    found = dependencies(rules)
    assert {one.name for one in found} >= {"click", "torch", "reuse", "spdx-tools", "license-expression", "boolean-py"}
    assert {one.name: why for one in found if (why := refused(one, rules))} == {}


def test_groups_of_dependencies_are_told_apart() -> None:
    groups = {one.name: one.groups for one in dependencies()}
    assert groups["python-debian"] == ("dev",)  # GPL, by way of reuse
    assert groups["torch"] == ("verify",)
    assert "" in groups["markupsafe"]  # by way of jinja2


RULES = Rules(
    {
        "MIT": "everywhere",
        "GPL-3.0-or-later": "development",
        "Apache-2.0": "everywhere",
        "LLVM-exception": "everywhere",
    },
    {"MIT License": "MIT"},
    {"odd-*": "MIT"},
)


@pytest.mark.parametrize(
    ("licence", "groups", "why"),
    [
        ("MIT", ("",), None),
        ("", ("dev",), "not known: the metadata says nothing"),
        ("GPL-3.0-or-later", ("dev",), None),
        ("GPL-3.0-or-later", ("", "dev"), "for everyone"),
        ("GPL-3.0-or-later", ("bom", "dev"), "for everyone"),
        ("MIT AND GPL-3.0-or-later", ("",), "for everyone"),
        ("MIT OR GPL-3.0-or-later", ("",), None),
        ("Apache-2.0 WITH LLVM-exception", ("",), None),
        ("GPL-3.0-or-later WITH LLVM-exception", ("",), "for everyone"),
        ("SSPL-1.0", ("dev",), "in development"),
        ("LicenseRef-Other", ("dev",), "in development"),
    ],
)
def test_what_is_refused(licence: str, groups: tuple[str, ...], why: str | None) -> None:
    found = refused(Dependency("a", "1", licence, "nothing", groups, ()), RULES)
    assert found is None if why is None else found is not None and why in found


@pytest.mark.parametrize(
    ("name", "fields", "licence"),
    [
        ("a", {"License-Expression": "Apache-2.0 OR MIT"}, "Apache-2.0 OR MIT"),
        ("a", {"License": "MIT"}, "MIT"),
        ("a", {"License": "The MIT one", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ("a", {"Classifier": "License :: OSI Approved :: BSD License"}, ""),
        ("a", {"License": "UNKNOWN"}, ""),
        ("a", {}, ""),
        ("odd-one", {"License": "whatever"}, "MIT"),
    ],
)
def test_how_a_packages_licence_is_read(name: str, fields: dict[str, str], licence: str) -> None:
    metadata = email.message.Message()
    for field, value in fields.items():
        metadata[field] = value
    assert licence_of(name, metadata, RULES)[0] == licence


def test_a_folder_that_git_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="git names no files"):
        tracked_files(tmp_path)


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    for name in ("a.whl", "a.tar.gz"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(ArchiveError, match="neither a wheel nor an sdist"):
            members(tmp_path / name)


# ---------------------------------------------------------------------------------------------------------------------
# No line of upstream's code


def derived(index: Index, texts: Mapping[str, str]) -> list[str]:
    """What of these texts comes from MLX, a line for each passage."""
    return [
        f"{path}:{passage.lines} from {match.upstream}:{passage.upstream_lines}"
        for path, text in texts.items()
        for match in find(path, text, index)
        for passage in match.passages
    ]


def tracked_texts() -> dict[str, str]:
    return {
        path.as_posix(): text
        for path in tracked_files(REPOSITORY)
        if isinstance(read := decode(path.as_posix(), (REPOSITORY / path).read_bytes()), SourceText)
        and (text := read.text)
    }


def test_no_tracked_file_holds_code_of_the_pin(sources: Sources) -> None:
    files = of_sources(sources)
    index = index_of(files, files[0].tags)
    planted = max(files, key=lambda file: len(file.text)).text.splitlines()[200:260]
    assert derived(index, {"planted.py": "\n".join(planted)}), "the detector finds nothing at all"
    assert derived(index, tracked_texts()) == []


def test_no_tracked_file_holds_code_of_any_release(mlx_git: str) -> None:
    index = index_of(of_clone(mlx_git), list(release_tags(clone(mlx_git))))
    assert derived(index, tracked_texts()) == []
