# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port cache info` and `steel-port cache clear`: the compiled kernels that are kept."""

from __future__ import annotations

from typing import Any

import click

from porter.cli.common import json_option, print_json


@click.command("cache")
@click.argument("action", type=click.Choice(["info", "clear"]))
@json_option
def command(action: str, as_json: bool) -> None:
    """Say what is kept of compiled kernels, or remove it. It can all be made again."""
    from porter.metal import kernel_cache

    usage = kernel_cache.usage() if action == "info" else kernel_cache.clear()
    data: dict[str, Any] = {"folder": str(usage.folder), "kernels": usage.entries, "bytes": usage.bytes}
    if as_json:
        print_json({"action": action, **data, "limit": usage.limit})
    else:
        done = "" if action == "info" else "removed: "
        click.echo(f"{done}{usage.entries} compiled kernels, {usage.bytes} bytes, in {usage.folder}")
        if action == "info":
            click.echo(f"at most {usage.limit} bytes are kept (STEEL_PORT_CACHE_LIMIT)")
