# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A bill of materials as SPDX 2.3 JSON, by the library of the SPDX project, and held to its own validation."""

from __future__ import annotations

import json
from typing import Any

from porter.audit.bom import TOOL, Bom, BomFile, Origin
from porter.audit.dependencies import licensing
from porter.errors import EmitError
from porter.model import sha256

_PURL = "pkg:pypi/"


def to_spdx(bom: Bom) -> str:
    """SPDX 2.3 JSON, keys sorted. Raises EmitError where the library finds anything wrong with it."""
    from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    document = _document(bom)
    wrong = validate_full_spdx_document(document)
    if wrong:
        raise EmitError(
            f"not valid SPDX 2.3: {wrong[0].validation_message}", where=f"{bom.name} ({len(wrong)} problems)"
        )
    return json.dumps(DocumentConverter().convert(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _document(bom: Bom) -> Any:
    from spdx_tools.spdx.model import Actor, ActorType, CreationInfo, Document, Relationship, RelationshipType

    creation = CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id="SPDXRef-DOCUMENT",
        name=f"{bom.name}-{bom.version}",
        # A URI that nothing need stand at; the digest makes it another for other contents.
        document_namespace=f"https://spdx.org/spdxdocs/{bom.name}-{bom.version}-{bom.digest}",
        creators=[Actor(ActorType.TOOL, TOOL)],
        created=bom.created.replace(tzinfo=None),
    )
    subject = _package_id(bom.name)
    pairs = [("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, subject)]
    pairs += [(subject, RelationshipType.CONTAINS, _file_id(file.path)) for file in bom.files]
    for file in bom.files:
        pairs += [(_file_id(file.path), RelationshipType.GENERATED_FROM, _origin_id(origin)) for origin in file.origins]
    for one in bom.dependencies:
        pairs += [_asks(bom, subject, one.name, one.groups)]
        pairs += [
            (_package_id(one.name), RelationshipType.DEPENDS_ON, _package_id(name))
            for name in one.requires
            if name in {other.name for other in bom.dependencies}
        ]
    return Document(
        creation,
        packages=[_subject(bom), *map(_package, bom.dependencies)],
        files=[*map(_file, bom.files), *map(_origin, bom.origins)],
        relationships=[Relationship(*pair) for pair in pairs],
    )


def _asks(bom: Bom, subject: str, name: str, groups: tuple[str, ...]) -> tuple[str, Any, str]:
    from spdx_tools.spdx.model import RelationshipType

    if "" in groups:
        return subject, RelationshipType.DEPENDS_ON, _package_id(name)
    kind = RelationshipType.DEV_DEPENDENCY_OF if "bom" not in groups else RelationshipType.OPTIONAL_DEPENDENCY_OF
    return _package_id(name), kind, subject


def _subject(bom: Bom) -> Any:
    from spdx_tools.spdx.model import Package, SpdxNoAssertion
    from spdx_tools.spdx.spdx_element_utils import calculate_package_verification_code

    files = [_file(file) for file in bom.files]
    licences = sorted({part for file in bom.files for part in file.licence.split(" AND ") if part})
    return Package(
        spdx_id=_package_id(bom.name),
        name=bom.name,
        version=bom.version,
        download_location=bom.address or SpdxNoAssertion(),
        files_analyzed=True,
        verification_code=calculate_package_verification_code(files),
        license_concluded=_expression(bom.licence),
        license_declared=_expression(bom.licence),
        license_info_from_files=[_expression(one) for one in licences],
        copyright_text=_copyright(sorted({line for file in bom.files for line in file.copyrights})),
        supplier=SpdxNoAssertion(),
    )


def _package(one: Any) -> Any:
    from spdx_tools.spdx.model import ExternalPackageRef, ExternalPackageRefCategory, Package, SpdxNoAssertion

    exact = one.version and one.version[0].isdigit()
    purl = f"{_PURL}{one.name.lower()}" + (f"@{one.version}" if exact else "")
    return Package(
        spdx_id=_package_id(one.name),
        name=one.name,
        version=one.version or None,
        download_location=f"https://pypi.org/project/{one.name}/",
        files_analyzed=False,
        license_concluded=_expression(one.licence),
        license_declared=_expression(one.licence),
        license_comment=f"Its metadata says: {one.says}",
        copyright_text=SpdxNoAssertion(),
        external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)],
    )


def _file(file: BomFile) -> Any:
    from spdx_tools.spdx.model import File, SpdxNoAssertion

    parts = [part for part in file.licence.split(" AND ") if part]
    return File(
        name=f"./{file.path}",
        spdx_id=_file_id(file.path),
        checksums=_checksums(file.sha1, file.sha256),
        license_concluded=_expression(file.licence),
        license_info_in_file=[_expression(part) for part in parts] or [SpdxNoAssertion()],
        copyright_text=_copyright(list(file.copyrights)),
        comment=file.comment or None,
    )


def _origin(origin: Origin) -> Any:
    """An upstream file. It is not among the files of the tree: no package contains it."""
    from spdx_tools.spdx.model import File, SpdxNoAssertion

    return File(
        name=f"./{origin.path}",
        spdx_id=_origin_id(origin),
        checksums=_checksums(origin.sha1, origin.sha256),
        license_concluded=SpdxNoAssertion(),
        license_info_in_file=[SpdxNoAssertion()],
        copyright_text=SpdxNoAssertion(),
        comment=f"Not in this tree: {origin.address}",
    )


def _checksums(sha1: str, sha256_: str) -> list[Any]:
    from spdx_tools.spdx.model import Checksum, ChecksumAlgorithm

    return [Checksum(ChecksumAlgorithm.SHA1, sha1), Checksum(ChecksumAlgorithm.SHA256, sha256_)]


def _expression(text: str) -> Any:
    from spdx_tools.spdx.model import SpdxNoAssertion

    if not text or text.startswith("LicenseRef-"):
        return SpdxNoAssertion()
    return licensing().parse(text)


def _copyright(lines: list[str]) -> Any:
    from spdx_tools.spdx.model import SpdxNoAssertion

    return "\n".join(lines) or SpdxNoAssertion()


def _file_id(path: str) -> str:
    """Letters, digits, dot and hyphen are all that an identifier may hold, and two paths may not become one."""
    return f"SPDXRef-File-{sha256(path.encode())[:32]}"


def _origin_id(origin: Origin) -> str:
    return f"SPDXRef-Upstream-{sha256(f'{origin.revision} {origin.path}'.encode())[:32]}"


def _package_id(name: str) -> str:
    return f"SPDXRef-Package-{name.replace('_', '-')}"
