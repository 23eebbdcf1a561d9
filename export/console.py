"""What the sub-commands of `spinconv` say, and how they end when a user's input is at fault."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turns what a user can cause into one line and exit code 1."""
    try:
        yield
    except (ValueError, OSError) as error:
        console.print(f"[bold red]ERROR[/]: {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
