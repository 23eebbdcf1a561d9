"""The command `spinconv info`."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from spinconv.export.commands.arguments import ModelPath
from spinconv.export.console import console, errors_in_words


def info(
    model: ModelPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print spinconv.json as it stands in the file.")] = False,
) -> None:
    """Tell what a model file is: elements, cutoff, units, training data and errors, licence, versions."""
    from spinconv.export.reader import read_model

    with errors_in_words():
        metadata = read_model(model).metadata
    if as_json:
        print(json.dumps(metadata, indent=2))
        return
    table = Table(title=escape(str(model)), show_header=False)
    for key, value in metadata.items():
        table.add_row(key, escape(_in_words(value)))
    console.print(table)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_in_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
