"""The option `spinconv --version`."""

from importlib.metadata import PackageNotFoundError, version

import typer

from spinconv.export.build import PLUGINS, TORCH_EVALUATOR, read_build


def print_version(wanted: bool) -> None:
    """Prints the versions of spinconv and torch, and what was built against what; then leaves. Nothing is imported to find out."""
    if not wanted:
        return
    print(f"spinconv {version('spinconv')}")
    try:
        print(f"torch {version('torch')}")
    except PackageNotFoundError:
        print("torch: not installed; `pip install torch`")
    for plugin in (*PLUGINS, TORCH_EVALUATOR):
        print(read_build(plugin).in_words())
    raise typer.Exit
