"""Several inputs in one call: goes on after a failure, and ends with exit code 1 if there was one."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .console import Console
from .failures import EXPECTED, one_line, recorded

Item = TypeVar("Item")


def run(
    items: Sequence[Item],
    work: Callable[[Item], dict[str, Any]],
    *,
    command: str,
    name: Callable[[Item], str],
    console: Console,
) -> None:
    """Does the work for every item; with --json prints one record each, also for those that failed.

    The only item's error is passed on, so that it decides the exit code.

    Args:
        items: what to work on.
        work: does it for one item, and returns what to print with --json.
        command: the subcommand, for the records.
        name: an item's input, for records and progress.
        console: where to print.

    Raises:
        click.exceptions.Exit: with code 1, if any of several items failed.
    """
    failed = False
    with console.progress(command, "file") as advance:
        for done, item in enumerate(items):
            advance(done, len(items))
            head = {"command": command, "input": name(item)}
            try:
                with recorded(console, head):
                    console.record({**head, "ok": True, **work(item)})
            except BrokenPipeError:
                raise
            except EXPECTED as error:
                failed = True
                if len(items) == 1:
                    raise
                console.error(one_line(error))
    if failed:
        raise click.exceptions.Exit(1)
