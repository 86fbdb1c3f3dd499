# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A bill of materials as CycloneDX 1.6 JSON, by the library of the CycloneDX project, held to its strict schema."""

from __future__ import annotations

import json
import uuid
import warnings
from typing import Any

from porter.audit.bom import TOOL, Bom, BomFile, Origin
from porter.audit.dependencies import DEVELOPMENT, Dependency
from porter.errors import EmitError

# Name-based identifiers (RFC 9562, version 5) in the namespace of addresses.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/steel-port")


def to_cyclonedx(bom: Bom) -> str:
    """CycloneDX 1.6 JSON, keys sorted. Raises EmitError where the strict schema finds anything wrong with it."""
    from cyclonedx.output.json import JsonV1Dot6
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with warnings.catch_warnings():
        # An overlay asks for no package, so that nothing hangs on its root: the library warns of that.
        warnings.filterwarnings("ignore", message=".*has no defined dependencies", category=UserWarning)
        text = JsonV1Dot6(_bom(bom)).output_as_string()
    text = json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise EmitError(f"not valid CycloneDX 1.6: {str(wrong)[:300]}", where=bom.name)
    return text


def _bom(bom: Bom) -> Any:
    from cyclonedx.model.bom import Bom as Document
    from cyclonedx.model.bom import BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.dependency import Dependency as Link
    from cyclonedx.model.tool import ToolRepository

    subject = Component(
        name=bom.name,
        version=bom.version,
        type=ComponentType.LIBRARY,
        bom_ref=bom.name,
        licenses=_licences(bom.licence),
    )
    packages = {one.name: _package(one) for one in bom.dependencies}
    links = [Link(subject.bom_ref, [Link(packages[one.name].bom_ref) for one in bom.dependencies if _direct(one)])]
    for one in bom.dependencies:
        links.append(
            Link(packages[one.name].bom_ref, [Link(packages[n].bom_ref) for n in one.requires if n in packages])
        )
    tools = ToolRepository(components=[Component(name=TOOL, type=ComponentType.APPLICATION, bom_ref="tool")])
    return Document(
        serial_number=uuid.uuid5(_NAMESPACE, bom.digest),
        metadata=BomMetaData(timestamp=bom.created, component=subject, tools=tools),
        components=[*map(_file, bom.files), *packages.values()],
        dependencies=links,
    )


def _direct(one: Dependency) -> bool:
    return bool(one.groups)


def _file(file: BomFile) -> Any:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType, Pedigree

    return Component(
        name=file.path,
        type=ComponentType.FILE,
        bom_ref=f"file:{file.path}",
        hashes=_hashes(file.sha1, file.sha256),
        licenses=_licences(file.licence),
        copyright="\n".join(file.copyrights) or None,
        pedigree=Pedigree(ancestors=map(_ancestor, file.origins)) if file.origins else None,
        properties=[Property(name=f"{TOOL}:comment", value=file.comment)] if file.comment else None,
    )


def _ancestor(origin: Origin) -> Any:
    """An upstream file, named by a package URL with its commit and path. Addresses would do too, but checking one of
    them by the schema's grammar of IRIs takes 0.3 s, and an overlay names 400."""
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    owner, name = origin.repository.rstrip("/").rsplit("/", 2)[1:]
    return Component(
        name=origin.path,
        version=origin.revision,
        type=ComponentType.FILE,
        hashes=_hashes(origin.sha1, origin.sha256),
        purl=PackageURL("github", namespace=owner, name=name, version=origin.revision, subpath=origin.path),
    )


def _package(one: Dependency) -> Any:
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    exact = one.version if one.version[:1].isdigit() else None
    optional = "" not in one.groups
    return Component(
        name=one.name,
        version=one.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=f"pypi:{one.name}",
        purl=PackageURL("pypi", name=one.name.lower(), version=exact),
        licenses=_licences(one.licence),
        scope=ComponentScope.EXCLUDED
        if set(one.groups) <= DEVELOPMENT
        else (ComponentScope.OPTIONAL if optional else ComponentScope.REQUIRED),
    )


def _licences(expression: str) -> list[Any] | None:
    """An SPDX expression, or the licence's name where SPDX has no identifier for it."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if not expression:
        return None
    if expression.startswith("LicenseRef-"):
        return [DisjunctiveLicense(name=expression)]
    return [LicenseExpression(expression)]


def _hashes(sha1: str, sha256: str) -> list[Any]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_1, content=sha1), HashType(alg=HashAlgorithm.SHA_256, content=sha256)]
