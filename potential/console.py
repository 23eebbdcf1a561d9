"""What the sub-commands of `spinconv` say, and how they end when a user's input is at fault."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120)


def say(sentence: str) -> None:
    """Prints a sentence in lines of 80 columns at most."""
    console.print(escape(sentence), highlight=False, soft_wrap=False, width=min(console.width, 80))


def warn(sentence: str, to: Console = console) -> None:
    """Prints what may be wrong."""
    to.print(f"[yellow]WARNING[/]: {escape(sentence)}", highlight=False)


@contextmanager
def errors_in_words(*others: type[Exception], to: Console = console) -> Iterator[None]:
    """Turns what a user can cause (ValueError, OSError and `others`, a full memory) into one line and exit code 1."""
    kinds: tuple[type[Exception], ...] = (ValueError, OSError, *others)
    try:
        yield
    except kinds as error:
        to.print(f"[bold red]ERROR[/]: {escape(told(error))}", highlight=False)
        raise typer.Exit(1) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        to.print("[bold red]ERROR[/]: there is not enough memory for this; take a smaller network or fewer atoms at once", highlight=False)
        raise typer.Exit(1) from None


def told(error: Exception) -> str:
    """The sentence of an error; of one that the system raised, which file it is about and why."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"`{os.fsdecode(error.filename)}` cannot be used: {error.strerror.lower()}"
    return str(error)


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, or torch on a CPU or a GPU, found no more memory."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """A bar on a terminal's stderr that is told the part that is done, 0 to 1, and what comes next; nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    columns = (BarColumn(20), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda done, what: progress.update(task, completed=done, description=what)
