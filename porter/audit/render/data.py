# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""An audit as JSON, for scripts. All of it is ASCII: whatever a tree holds, a terminal shows the JSON as it stands."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from porter.audit.model import Audit
from porter.audit.render.shown import printable
from porter.model import to_data

if TYPE_CHECKING:
    from porter.audit.fix import Fixes

SCHEMA = 1
"""Goes up when a key is taken away or means something else; a key that is added leaves it."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def audit_data(audit: Audit, fixes: Fixes | None = None) -> dict[str, Any]:
    """`schema` (SCHEMA), then the fields of Audit and of the nouns in it, by their names; `fixes`, where any were
    asked for: the audit is then that of the tree with them."""
    data = {"schema": SCHEMA, **to_data(audit), "seconds": dict(audit.seconds)}
    if fixes is not None:
        data["fixes"] = to_data(fixes)
    whole: dict[str, Any] = _whole(data)
    return whole


def to_json(audit: Audit, fixes: Fixes | None = None) -> str:
    return json.dumps(audit_data(audit, fixes), indent=2, ensure_ascii=True)


def _whole(data: Any) -> Any:
    """`data` with bytes that are not UTF-8 written out, in names of files: JSON has no way to say them, and strict
    readers refuse a lone surrogate and with it the whole document."""
    if isinstance(data, str):
        return _SURROGATE.sub(lambda found: printable(found[0]), data)
    if isinstance(data, dict):
        return {key: _whole(value) for key, value in data.items()}
    return [_whole(one) for one in data] if isinstance(data, list) else data
