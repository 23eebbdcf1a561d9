"""What a model is, on one screen: the card that `spinconv info` prints of a model file or a checkpoint."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ase.data import chemical_symbols
from rich.markup import escape
from rich.table import Table

from spinconv.export.container import Container, is_model_file, read_container
from spinconv.potential.kinds import forces_word, is_conservative, kind_named

WIDTH = 80
MOST = 6
"""So many elements or pairs are listed; `--full` has all."""
QUANTITIES = {
    "energy": ("energy", "meV"),
    "energy per atom": ("per atom", "meV/atom"),
    "forces": ("forces", "meV/Å"),
    "stress": ("stress", "meV/Å³"),
}
"""Of a table of errors: their short names and units; those of single elements have the unit of forces."""
MOST_ERRORS = 7
SIZES = {"n_blocks": "{} blocks", "channels": "{} channels", "lmax": "lmax {}"}


class About(NamedTuple):
    """What is known of a model."""

    metadata: dict[str, Any]
    """As spinconv.json of a model file has it; a checkpoint has no licence, citation or hash."""
    n_parameters: int
    is_checkpoint: bool


def about(path: Path) -> About:
    """What a model file or a checkpoint says of itself; ValueError or FileNotFoundError in words."""
    if not path.is_file() or is_model_file(path):
        file = read_container(path)
        return About({**file.metadata.plain(), "weights_sha256": file.weights_sha256}, n_learned(file, path), False)
    from spinconv.potential.model import count_parameters  # and torch, which a model file does not need
    from spinconv.potential.training.checkpoint import load_checkpoint

    model, _ = load_checkpoint(path)
    return About(metadata_of_checkpoint(path), count_parameters(model), True)


def n_learned(file: Container, path: Path) -> int:
    """The number of learned weights; ValueError for a kind that this spinconv does not know."""
    try:
        fixed = kind_named(file.metadata.kind).fixed
    except ValueError as error:
        raise ValueError(f"`{path}` {error}") from None
    return sum(
        values.size for name, values in file.weights.items() if not name.startswith("constants.") and name.rpartition(".")[2] not in fixed
    )


def metadata_of_checkpoint(path: Path) -> dict[str, Any]:
    """With the keys of a model file, as far as a checkpoint has what they say."""
    from spinconv.potential.training.checkpoint import KEY, read_checkpoint

    state = read_checkpoint(path)[KEY]
    config, training = state["config"], state["training"]
    symbols = [chemical_symbols[z] for z in config["elements"]]
    architecture = kind_named(state["kind"]).config_class.from_dict(config)
    weight = next(weight for weight in state["weights"].values() if weight.is_floating_point())
    return {
        "kind": state["kind"],
        "name": path.parent.resolve().name,
        "conservative": is_conservative(architecture),
        "forces": forces_word(architecture),
        "cutoff": config["cutoff"],
        "elements": symbols,
        "units": {"length": "angstrom", "energy": "eV"},
        "dtype": str(weight.dtype).removeprefix("torch."),
        "model": config,
        "reference_energies": dict(zip(symbols, state["reference_energies"], strict=True)),
        "scale": state["scale"],
        "average_neighbors": state["average_neighbors"],
        "coverage": state.get("coverage"),
        "training": training,
        "versions": {"torch": training["torch"]} if "torch" in training else {},
    }


def card(model: About, path: Path) -> Table:
    """The card as a table without lines, for a screen of 80 columns and 24 lines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, words in rows(model, path):
        table.add_row(key, escape(words))
    return table


def rows(model: About, path: Path) -> Iterator[tuple[str, str]]:
    """Every line of the card: its name, and what it says."""
    data = model.metadata
    yield "model", f"{data['name']}, kind {data['kind']}"
    yield "checkpoint" if model.is_checkpoint else "model file", str(path)
    yield "forces", forces_in_words(data)
    yield "elements", f"{', '.join(data['elements'])}; cutoff {data['cutoff']:g} Å"
    yield "size", f"{model.n_parameters:,} parameters: {size_in_words(data['model'])}"
    yield "precision", f"{data['dtype']}, unless told otherwise"
    yield "units", "Å and eV in the file and in ASE; LAMMPS and OpenMM see their own"
    yield "reference", "energies " + listed([f"{symbol} {energy:.3f}" for symbol, energy in data["reference_energies"].items()]) + " eV"
    yield from training_rows(data.get("training") or {})
    yield from coverage_rows(data.get("coverage"))
    if data.get("bound"):
        yield "bound to", bound_words(data["bound"])
    if not model.is_checkpoint:
        yield "licence", data["licence"] or "none given"
        yield "cite", data["citation"]
    versions = [f"{name} {version}" for name, version in data["versions"].items()]
    file = [f"format {data['format_version']}", f"weights {data['weights_sha256'][:12]}"] if not model.is_checkpoint else []
    yield "versions", ", ".join(versions + file)


def forces_in_words(data: dict[str, Any]) -> str:
    """What the forces of a model are."""
    if data["conservative"]:
        return "conservative: forces are minus the gradient of the energy"
    if data.get("forces") == "direct":
        return "DIRECT: said by the model, not the gradient of the energy; for relaxations"
    return "NOT conservative: not the gradient of the energy, which will drift"


def size_in_words(fields: dict[str, Any]) -> str:
    """The sizes of a network: those that most kinds have, or all fields of a kind that has none of them."""
    usual = [words.format(fields[name]) for name, words in SIZES.items() if name in fields]
    others = [f"{name} {value}" for name, value in fields.items() if name not in ("elements", "cutoff")]
    return ", ".join(usual or others)


def training_rows(training: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """On what it was trained, and its errors there."""
    data = training.get("data")
    if data:
        extra = f" and {data['n_extra']:,} of {training['settings']['data']['extra']}" if "n_extra" in data else ""
        yield "trained on", f"{data['n_train']:,} frames of {data['train_file']}{extra}, {data['n_validation']:,} more for validation"
    done = [f"{key} {training[key]:,}" for key in ("epoch", "step") if key in training]
    if done or "date" in training:
        yield "trained", ", ".join([*done, training.get("date", "")]).rstrip(", ")
    validation = {
        name: error for name, error in training.get("validation", {}).items() if name in QUANTITIES or name.startswith("forces on ")
    }
    test = training.get("test", {"n_frames": 0, "errors": []})
    sides = {
        "validation": validation,
        f"test ({test['n_frames']:,})": {figure["quantity"]: figure["mae"] for figure in test["errors"]},
    }
    yield from error_rows({name: errors for name, errors in sides.items() if errors})


def error_rows(sides: dict[str, dict[str, float]]) -> Iterator[tuple[str, str]]:
    """Mean absolute errors, a column a quantity: as many as 80 columns hold."""
    known = list(
        dict.fromkeys(name for errors in sides.values() for name, error in errors.items() if error is not None and math.isfinite(error))
    )
    quantities = [name for name in QUANTITIES if name in known] + [name for name in known if name not in QUANTITIES]
    quantities = quantities[:MOST_ERRORS]
    if not quantities:
        return
    names = [QUANTITIES.get(name, (name.removeprefix("forces "), "meV/Å")) for name in quantities]
    yield "errors (MAE)", "".join(f"{short:>9}" for short, _ in names)
    yield "", "".join(f"{unit:>9}" for _, unit in names)
    for side, errors in sides.items():
        yield f"  {side}", "".join(f"{three_digits(errors.get(name)):>9}" for name in quantities)


def three_digits(figure: float | None) -> str:
    """
    >>> three_digits(0.15074), three_digits(11.02), three_digits(1234.5), three_digits(None)
    ('0.151', '11.0', '1234', '-')
    """
    if figure is None or not math.isfinite(figure):
        return "-"
    return f"{figure:.0f}" if abs(figure) >= 1000 else f"{figure:#.3g}".rstrip(".")


def coverage_rows(coverage: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What the training frames covered: the shortest distances, and numbers of neighbours."""
    if not coverage:
        yield "training range", "not known: it does not say what its training frames covered"
        return
    pairs = sorted(coverage["shortest_distances"].items(), key=lambda pair: float(pair[1]))
    yield "training range", f"shortest (Å): {listed([f'{pair} {distance:.2f}' for pair, distance in pairs])}"
    counts = [f"{symbol} {least}" + (f" to {most}" if most != least else "") for symbol, (least, most) in coverage["neighbors"].items()]
    yield "", f"neighbours: {listed(counts)}"


def bound_words(bound: dict[str, Any]) -> str:
    """Of a file for TorchForce: whose atoms it computes."""
    boundary = {None: "free or periodic", False: "free", True: "periodic"}[bound["periodic"]]
    of = f" of {bound['n_particles']} particles" if bound["n_particles"] and bound["particles"] is not None else ""
    return f"{len(bound['numbers'])} atoms{of}, {boundary}, for TorchForce"


def listed(items: list[str]) -> str:
    """The first MOST items, and how many more there are."""
    more = len(items) - MOST
    return ", ".join(items[:MOST]) + (f" and {more} more (--full)" if more > 0 else "")
