"""The example that comes with the package: a trained model of ethanol, and inputs that run it."""

import importlib.resources
import os
from pathlib import Path

from spinconv.potential.safe_write import in_a_sentence, write_file


def example_model(name: str = "ethanol") -> Path:
    """The path of a model file that comes with spinconv; ValueError names those that there are.

    >>> example_model("ethanol").name
    'model.pt'
    """
    examples = _examples()
    if name not in examples:
        raise ValueError(f"`name` must be one of {', '.join(sorted(examples))}, got {name!r}")
    return examples[name] / "model.pt"


def write_example(folder: str | os.PathLike[str], name: str = "ethanol") -> list[Path]:
    """Copies the model and inputs for LAMMPS and OpenMM into `folder`, made if missing, and returns what it wrote.

    Raises FileExistsError before anything is written if a file of that name is there already.
    """
    sources = sorted(path for path in example_model(name).parent.iterdir() if path.is_file())
    targets = [Path(folder, source.name) for source in sources]
    for target in targets:
        if target.exists():
            raise FileExistsError(f"`{target}` exists already; choose another folder")
    with in_a_sentence(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for source, target in zip(sources, targets, strict=True):
        write_file(target, source.read_bytes())
    return targets


def _examples() -> dict[str, Path]:
    root = Path(str(importlib.resources.files("spinconv").joinpath("examples")))
    return {folder.name: folder for folder in root.iterdir()} if root.is_dir() else {}
