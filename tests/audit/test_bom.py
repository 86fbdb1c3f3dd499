# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Bills of materials: valid by the libraries of both formats, the same for the same bytes, true of each file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from porter.audit import bom_cyclonedx, bom_sources, bom_spdx
from porter.audit.bom import Bom, BomFile, Origin, when
from porter.audit.bom_cyclonedx import to_cyclonedx
from porter.audit.bom_sources import of_overlay, of_repository, of_wheel, read_tags
from porter.audit.bom_spdx import to_spdx
from porter.audit.dependencies import Dependency
from porter.cli.bom import command
from porter.errors import ArchiveError, EmitError, TreeError, UsageError
from porter.port.notice import COPYRIGHT_TAG, LICENCE_TAG

REPOSITORY = Path(__file__).resolve().parents[2]
FORMS: list[Callable[[Bom], str]] = [to_spdx, to_cyclonedx]
ORIGIN = Origin("https://github.com/a/b", "c" * 40, "d/e.h", "1" * 40, "2" * 64)
ASKED = (
    Dependency("one", "1.0", "MIT", "MIT", ("",), ("two",)),
    Dependency("two", "2.0", "LicenseRef-Other", "Other", ("dev",), ()),
    Dependency("three", ">=3", "", "nothing", ("bom",), ()),
)


@pytest.fixture(scope="module")
def overlay(root: Path) -> Bom:
    return of_overlay(root / "generated")


def small() -> Bom:
    files = (
        BomFile.of("a/b c.h", b"x", "MIT AND CC-BY-SA-4.0", ("Copyright © 1 Ä",), origins=(ORIGIN,)),
        BomFile.of("a/b-c.h", b"y", "", (), comment="A licence text."),
    )
    return Bom("small", "1", "MIT", "", when(86400), files, ASKED)


def test_spdx_says_all_that_the_nouns_say() -> None:
    data = json.loads(to_spdx(small()))
    files = {one["fileName"]: one for one in data["files"]}
    assert files["./a/b c.h"]["licenseConcluded"] == "MIT AND CC-BY-SA-4.0"
    assert files["./a/b c.h"]["copyrightText"] == "Copyright © 1 Ä"
    assert files["./a/b-c.h"]["licenseConcluded"] == "NOASSERTION"
    assert data["creationInfo"]["created"] == "1970-01-02T00:00:00Z"
    kinds = {
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"]) for one in data["relationships"]
    }
    made, upstream = files["./a/b c.h"]["SPDXID"], files["./d/e.h"]["SPDXID"]
    assert (made, "GENERATED_FROM", upstream) in kinds
    assert ("SPDXRef-Package-small", "DEPENDS_ON", "SPDXRef-Package-one") in kinds
    assert ("SPDXRef-Package-one", "DEPENDS_ON", "SPDXRef-Package-two") in kinds
    assert ("SPDXRef-Package-two", "DEV_DEPENDENCY_OF", "SPDXRef-Package-small") in kinds
    assert ("SPDXRef-Package-three", "OPTIONAL_DEPENDENCY_OF", "SPDXRef-Package-small") in kinds
    assert ("SPDXRef-Package-small", "CONTAINS", upstream) not in kinds
    assert len({one["SPDXID"] for one in data["files"]}) == 3


def test_cyclonedx_says_all_that_the_nouns_say() -> None:
    data = json.loads(to_cyclonedx(small()))
    found = {one["name"]: one for one in data["components"]}
    made = found["a/b c.h"]
    assert made["licenses"] == [{"expression": "MIT AND CC-BY-SA-4.0"}]
    (ancestor,) = made["pedigree"]["ancestors"]
    assert ancestor["purl"] == f"pkg:github/a/b@{'c' * 40}#d/e.h"
    assert {one["content"] for one in ancestor["hashes"]} == {"1" * 40, "2" * 64}
    assert "licenses" not in found["a/b-c.h"]
    assert found["two"]["licenses"] == [{"license": {"name": "LicenseRef-Other"}}]
    assert (found["one"]["scope"], found["two"]["scope"], found["three"]["scope"]) == (
        "required",
        "excluded",
        "optional",
    )
    assert found["one"]["purl"] == "pkg:pypi/one@1.0"
    assert found["three"]["purl"] == "pkg:pypi/three"
    links = {one["ref"]: one.get("dependsOn", []) for one in data["dependencies"]}
    assert links["pypi:one"] == ["pypi:two"]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_bytes_give_the_same_bill_and_others_another(form: Callable[[Bom], str]) -> None:
    assert form(small()) == form(small())
    other = dataclasses.replace(small(), version="2")
    names = ("documentNamespace", "serialNumber")
    ids = [{json.loads(form(one)).get(name) for name in names} for one in (small(), other)]
    assert ids[0] != ids[1]


def test_what_is_not_valid_is_refused() -> None:
    wrong = dataclasses.replace(small().files[0], sha1="zz")
    bom = dataclasses.replace(small(), files=(wrong, small().files[1]))
    with pytest.raises(EmitError, match=r"not valid SPDX 2\.3"):
        to_spdx(bom)
    with pytest.raises(EmitError, match=r"not valid CycloneDX 1\.6"):
        to_cyclonedx(bom)


def test_a_bill_names_each_file_once() -> None:
    with pytest.raises(ValueError, match="each file once"):
        dataclasses.replace(small(), files=(small().files[0],) * 2)
    with pytest.raises(ValueError, match="each file once"):
        dataclasses.replace(small(), files=())


def test_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert when(0).isoformat() == "1970-01-01T00:00:00+00:00"
    with pytest.raises(UsageError, match="set SOURCE_DATE_EPOCH"):
        when(None)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert when(None) == when(5)
    for bad in ("yesterday", "", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", bad)
        with pytest.raises(UsageError, match="no date"):
            when(5)


def test_the_overlays_files_and_licences(overlay: Bom, root: Path) -> None:
    files = {Path(file.path).name: file for file in overlay.files}
    assert len(overlay.files) > 200
    assert files["MlxErf.h"].licence == "MIT AND CC-BY-SA-4.0"
    assert files["MlxSort.h"].licence == "MIT AND BSD-3-Clause"
    assert [one.path for one in files["MlxSort.h"].origins] == ["mlx/backend/metal/kernels/sort.h"]
    through_string = {one.path for one in files["MlxSortSource.h"].origins}
    assert {"mlx/backend/metal/kernels/sort.h", "mlx/backend/metal/kernels/utils.h"} <= through_string
    assert "CC-BY-SA-4.0" in files["MlxUnarySource.h"].licence
    assert overlay.licence.split(" AND ")[0] == "BSD-3-Clause"
    texts = {path.stem for path in (root / "generated" / "LICENSES").iterdir()}
    assert set(overlay.licence.split(" AND ")) == texts
    assert overlay.created.isoformat().startswith("2025-12-17")


def test_each_ported_file_is_generated_from_the_pinned_bytes(overlay: Bom, root: Path) -> None:
    from porter.upstream.pin import read_pin

    pinned = {file.path: file.sha256 for file in read_pin(root / "upstream_mlx" / "PIN.yaml").files}
    ported = [file for file in overlay.files if "/kernels/" in file.path and file.path.endswith(".h")]
    assert len(ported) > 60
    for file in ported:
        (origin,) = file.origins
        assert pinned[origin.path] == origin.sha256, file.path
        assert origin.sha1 == hashlib.sha1((root / "upstream_mlx" / origin.path).read_bytes()).hexdigest()  # noqa: S324


@pytest.mark.parametrize("form", FORMS)
def test_the_overlays_bill_is_valid(form: Callable[[Bom], str], overlay: Bom) -> None:
    data: Any = json.loads(form(overlay))
    found = {Path(one.get("fileName", one.get("name"))).name for one in data.get("files", data.get("components"))}
    assert {Path(file.path).name for file in overlay.files} <= found


def test_a_changed_overlay_is_refused(root: Path, tmp_path: Path) -> None:
    import shutil

    from porter.errors import DigestMismatch

    shutil.copytree(root / "generated", tmp_path / "generated")
    (tmp_path / "generated" / "NOTICE").write_text("nothing to see\n")
    with pytest.raises(DigestMismatch):
        of_overlay(tmp_path / "generated")
    with pytest.raises(TreeError, match="nothing is generated"):
        of_overlay(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_the_repositorys_bill(form: Callable[[Bom], str]) -> None:
    bom = of_repository(REPOSITORY)
    tracked = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files"], capture_output=True, text=True, check=True
    ).stdout
    names = {name for name in tracked.splitlines() if (REPOSITORY / name).is_file()}
    assert {file.path for file in bom.files} == names
    assert bom.licence == "BSD-3-Clause AND MIT"
    assert {"click", "torch", "reuse"} <= {one.name for one in bom.dependencies}
    unknown = [file.path for file in bom.files if not file.licence and file.comment != "Empty."]
    assert [path for path in unknown if "LICENSE" not in path] == []
    assert not [line for file in bom.files for line in file.copyrights if '"' in line or "\\" in line]
    assert json.loads(form(bom))


def test_the_repositorys_bill_is_the_same_in_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("2024 Somebody", "2023 Somebody Else", "2022 Another", "2021 A Fourth")
    for at in range(4):
        tags = "".join(f"# {COPYRIGHT_TAG} {one}\n" for one in names) + f"# {LICENCE_TAG} MIT\n# {LICENCE_TAG} Zlib\n"
        (tmp_path / f"{at}.py").write_text(tags)
    mine = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "c"]):
        subprocess.run([*mine, *words], check=True)
    bills = set()
    for seed in "0123":  # by which the reuse tool, another process, orders its sets
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        bills.add(to_spdx(of_repository(tmp_path)))
    assert len(bills) == 1
    assert {file.copyrights for file in of_repository(tmp_path).files} == {tuple(sorted(names))}


def wheel(
    path: Path, metadata: str = "Name: a\nVersion: 1\nLicense-Expression: MIT\nRequires-Dist: click>=8\n"
) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("a/b.py", (2020, 2, 2, 0, 0, 0)), f"# {LICENCE_TAG} Zlib\n# {COPYRIGHT_TAG} 1 B\n"
        )
        archive.writestr(zipfile.ZipInfo("a/c.py", (2020, 2, 3, 0, 0, 0)), "pass\n")
        archive.writestr(zipfile.ZipInfo("a-1.dist-info/METADATA", (2020, 2, 2, 0, 0, 0)), metadata)
    return path


def test_a_wheels_bill(tmp_path: Path) -> None:
    bom = of_wheel(wheel(tmp_path / "a.whl"))
    assert (bom.name, bom.version, bom.licence) == ("a", "1", "MIT AND Zlib")
    assert {file.path: file.licence for file in bom.files if file.path.startswith("a/")} == {
        "a/b.py": "Zlib",
        "a/c.py": "MIT",
    }
    assert bom.created.isoformat() == "2020-02-03T00:00:00+00:00"
    assert [(one.name, one.version, one.licence) for one in bom.dependencies] == [("click", ">=8", "BSD-3-Clause")]
    for form in FORMS:
        assert json.loads(form(bom))


def test_what_is_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.whl").write_text("text")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        pass
    for name in ("text.whl", "empty.whl", "missing.whl"):
        with pytest.raises(ArchiveError, match="no wheel"):
            of_wheel(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "corrupt.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-1.dist-info/METADATA", "Name: a\nVersion: 1\n" * 99)
    data = bytearray((tmp_path / "corrupt.whl").read_bytes())
    data[60:80] = b"\xff" * 20
    (tmp_path / "corrupt.whl").write_bytes(data)
    with pytest.raises(ArchiveError, match="no wheel"):
        of_wheel(tmp_path / "corrupt.whl")
    monkeypatch.setattr(bom_sources, "MAX_MEMBER", 3)
    with pytest.raises(ArchiveError, match="bytes"):
        of_wheel(wheel(tmp_path / "large.whl"))


@pytest.mark.parametrize(
    "metadata",
    [
        "Version: 1\n",
        "Name: a\n",
        "Name: a\nVersion: 1\nRequires-Dist: >>>\n",
        "Name: a\nVersion: 1\nLicense-Expression: MIT AND (\n",
        "Name: a\nVersion: 1\nLicense-Expression: as you like it\n",
    ],
)
def test_metadata_that_is_none(tmp_path: Path, metadata: str) -> None:
    with pytest.raises(ArchiveError, match="METADATA"):
        of_wheel(wheel(tmp_path / "a.whl", metadata))


def test_a_wheel_without_dates_is_of_1980(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(zipfile.ZipInfo("a-1.dist-info/METADATA", (1980, 0, 0, 0, 0, 0)), "Name: a\nVersion: 1\n")
    assert '"created": "1980-01-01T00:00:00Z"' in to_spdx(of_wheel(tmp_path / "a.whl"))


@pytest.mark.parametrize(
    ("text", "copyrights", "licence"),
    [
        (f"// {COPYRIGHT_TAG} 1 A\n// {LICENCE_TAG} MIT AND Zlib\n", ("1 A",), "MIT AND Zlib"),
        (f"{{# {COPYRIGHT_TAG} 1 A\n   {LICENCE_TAG} MIT #}}\n", ("1 A",), "MIT"),
        (f"<!-- {LICENCE_TAG} MIT -->\n", (), "MIT"),
        (f"/* {LICENCE_TAG} MIT */\n", (), "MIT"),
        (f'x = "{LICENCE_TAG} MIT"\n', (), ""),
        (f"# {COPYRIGHT_TAG} 1 A\n# {LICENCE_TAG} MIT\n\n# {LICENCE_TAG} Zlib\n", ("1 A",), "MIT"),
        ("\0\xff", (), ""),
    ],
)
def test_tags(text: str, copyrights: tuple[str, ...], licence: str) -> None:
    assert read_tags(text.encode("latin-1")) == (copyrights, licence)


def test_the_command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    out = tmp_path / "bom.json"
    done = run.invoke(command, ["overlay", "--root", str(root), "-o", str(out)], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, "")
    again = run.invoke(command, ["--root", str(root)], catch_exceptions=False)
    assert again.output == out.read_text()
    path = str(wheel(tmp_path / "a.whl"))
    done = run.invoke(command, ["wheel", path, "--format", "cyclonedx"], catch_exceptions=False)
    assert json.loads(done.output)["specVersion"] == "1.6"
    for words in (["wheel"], ["overlay", path]):
        assert isinstance(run.invoke(command, words).exception, UsageError)


def test_a_missing_library_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> str:
        raise ModuleNotFoundError("No module named 'spdx_tools'", name="spdx_tools")

    monkeypatch.setattr(bom_spdx, "to_spdx", missing)
    monkeypatch.setattr(bom_cyclonedx, "to_cyclonedx", missing)
    found = CliRunner().invoke(command, ["--root", str(root)]).exception
    assert "spdx_tools is not installed" in str(found)
    assert "steel-port[bom]" in str(found)
