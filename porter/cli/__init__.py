# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The command line. One module per command; each is imported only when it is called, so that `--help` is quick."""

from __future__ import annotations

import importlib
import sys

import click

from porter.errors import SteelPortError

COMMANDS = {
    "sync": "Port one MLX revision and prove the port.",
    "verify": "Run the rings of proof on what stands in generated/.",
    "list": "List what the vendored sources declare.",
    "show": "Show one kernel, template, params struct, constant or file.",
    "instantiate": "Print the ported source of one kernel, for compilation at run time.",
    "audit": "Find what in a tree is derived from MLX, and judge its notices.",
    "cache": "Say what is kept of compiled kernels, or remove it.",
    "bom": "Print the bill of materials of the overlay, of this repository, or of a built wheel.",
    "metallib": "Look into a compiled Metal library: its functions, one kernel, its LLVM IR.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `porter.cli.<name>:command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"porter.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steel-port", prog_name="steel-port")
def cli() -> None:
    """Port MLX's Metal kernels to PyTorch by machine, and prove the port."""


def main() -> None:
    """Run the command line; every error on purpose becomes one message and its exit status."""
    try:
        status = cli(standalone_mode=False)
    except SteelPortError as error:
        click.echo(f"steel-port: {error}", err=True)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("steel-port: stopped; nothing was left half done", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `steel-port list ... | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"steel-port: {place}{error.strerror or error}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
