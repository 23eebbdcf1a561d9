"""The command `spinconv info`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from spinconv.export.console import console, errors_in_words


def info(
    model: Annotated[
        Path, typer.Argument(help="A model file of `spinconv export` or a checkpoint of `spinconv train`.", show_default=False)
    ],
    full: Annotated[bool, typer.Option("--full", help="Print all that the file says of itself.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print spinconv.json of a model file as it stands there; of a checkpoint what it has of the same keys."
        ),
    ] = False,
) -> None:
    """Tell what a model is, on one screen: elements, cutoff, units, training data and errors, what it has seen, licence, versions."""
    from spinconv.export.card import WIDTH, about, card

    with errors_in_words():
        found = about(model)
    if as_json:
        print(json.dumps(found.metadata, indent=2))
    elif full:
        import yaml

        print(yaml.safe_dump(found.metadata, sort_keys=False, allow_unicode=True, width=WIDTH), end="")
    else:
        console.print(card(found, model), soft_wrap=False, width=min(console.width, WIDTH), highlight=False)
