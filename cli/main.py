"""The group `nicodec`: finds subcommands when they are needed, turns errors into one line and an exit code."""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from .. import __version__
from ..errors import NicodecError
from ..processors import keep_blas_calm
from .console import Console
from .failures import one_line

COMMANDS = (
    "encode",
    "decode",
    "truncate",
    "extract",
    "info",
    "models",
    "msssim",
    "compare",
    "verify",
    "train",
    "export",
    "import",
)
"""Subcommands in the order of the help; each is `command` in the file of its name, or in that of `FILES`."""

FILES = {"import": "import_model"}
"""Files of subcommands whose names Python keeps for itself."""

_INTERRUPTED = 128 + 2  # as shells count a process that SIGINT ended


class LazyGroup(click.Group):
    """A group that imports the file of a subcommand when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands' names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{FILES.get(cmd_name, cmd_name)}", __package__).command
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line and exits; every error leaves one line on stderr (NICODEC_DEBUG=1: a traceback)."""
        _accept_every_name()
        keep_blas_calm()
        try:
            code = super().main(args, prog_name or "nicodec", complete_var, standalone_mode=False, **extra)
        except click.exceptions.Abort:
            code = _report("interrupted", _INTERRUPTED)
        except click.ClickException as error:
            code = _report(_usage(error), error.exit_code)
        # Whatever else goes wrong: a user is told in one line, and only a developer sees where.
        except Exception as error:
            if os.environ.get("NICODEC_DEBUG"):
                raise
            code = _report(one_line(error), error.exit_code if isinstance(error, NicodecError) else 1)
        _drop_unwritten_output()
        if standalone_mode:
            sys.exit(code)
        return code


def _report(message: str, code: int) -> int:
    # stderr may be closed or full; the exit code still tells.
    with suppress(OSError):
        Console().error(message)
    return code


def _usage(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message} Try '{context.command_path} --help'."


def _accept_every_name() -> None:
    """Lets stdout print, as escapes, file names that its encoding lacks; stderr does so by itself."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_unwritten_output() -> None:
    """Discards output that cannot be written: Python would try again at exit and report it in its own words."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ..bitstream.signature import MAJOR, MINOR

        click.echo(f"nicodec {__version__} (format {MAJOR}.{MINOR}; {_installed_models()})")
        ctx.exit()


def _installed_models() -> str:
    from ..models import zoo

    models = zoo.installed()
    newest = {model.id: model for model in reversed(models)}
    found = [f"{model.id} r{model.revision} {model.hash.hex()[:8]}" for model in models if newest[model.id] is model]
    return f"models {', '.join(found)}" if found else "no models"


@click.group(
    name="nicodec",
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  nicodec encode photo.jpg
  nicodec encode --quality 75 in.png out.nic
  nicodec decode out.nic restored.png
  nicodec msssim in.png restored.png
  nicodec encode --out-dir coded *.jpg

Exit codes: 0 all done, 1 something failed, 2 the request makes no sense. 'nicodec COMMAND --help' explains a command.
""",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of nicodec, of the file format and of the models.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Neural image codecs: photos to .nic files and back."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
