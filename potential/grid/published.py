"""Published models: a grid SpinConv of the constructor arguments and the weights of the original (`spinconv` of OCP, 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from spinconv.potential.grid import network
from spinconv.potential.grid.config import GridConfig
from spinconv.potential.grid.constants import harmonics_on_grid
from spinconv.potential.grid.model import GridSpinConv
from spinconv.potential.words import shown

DEFAULTS: dict[str, Any] = {
    "hidden_channels": 32,
    "mid_hidden_channels": 200,
    "num_interactions": 1,
    "num_basis_functions": 200,
    "basis_width_scalar": 1.0,
    "max_num_neighbors": 20,
    "sphere_size_lat": 15,
    "sphere_size_long": 9,
    "cutoff": 10.0,
    "distance_block_scalar_max": 2.0,
    "max_num_elements": 90,
    "embedding_size": 32,
    "sphere_message": "fullconv",
    "output_message": "fullconv",
    "lmax": False,
    "force_estimator": "random",
    "num_rand_rotations": 5,
    "scale_distances": True,
    "use_pbc": True,
    "otf_graph": False,
    "regress_forces": True,
}
"""The original's arguments that change numbers, with its defaults."""
OTHER_NAMES = {"regress_forces_as_grad": "regress_forces"}
WITHOUT_EFFECT = ("name", "num_atoms", "bond_feat_dim", "num_targets", "show_timing_info", "model_ref_number", "readout")
FIELDS = {
    "hidden_channels": "channels",
    "mid_hidden_channels": "hidden_channels",
    "num_interactions": "n_blocks",
    "num_basis_functions": "n_radial",
    "basis_width_scalar": "radial_width",
    "max_num_neighbors": "max_neighbors",
    "sphere_size_lat": "n_latitude",
    "sphere_size_long": "n_longitude",
    "cutoff": "cutoff",
    "distance_block_scalar_max": "distance_scale_max",
    "embedding_size": "embedding_channels",
    "num_rand_rotations": "n_rotations",
    "scale_distances": "scale_distances",
}
"""Which field of `GridConfig` an argument is."""
CENTERS = "dist_block.distance_expansion.offset"
FRAME_OFFSET = 0.0001
SPHERES = {"fullconv": "grid", "rotspharmwd": "harmonics"}
HEADS = {"random": ("random", "fixed"), "grad": ("gradient",)}

PLACES = [
    ("distance.linear", "dist_block.fc1"),
    ("distance.scale", "dist_block.dist_scalar"),
    ("distance.offset", "dist_block.dist_offset"),
    ("initial_distance.first", "distfc1"),
    ("initial_distance.last", "distfc2"),
    ("initial_message", "embeddingblock2"),
    ("energy", "energyembeddingblock"),
    ("force.convolution", "force_output_block.spinconvblock"),
    ("force.of_neighborhood", "force_output_block.block1"),
    ("force.to_force", "force_output_block.block2"),
]
OF_A_BLOCK = [
    ("convolution", "spinconvblock"),
    ("of_neighborhood", "embeddingblock1"),
    ("of_distance.first", "distfc1"),
    ("of_distance.last", "distfc2"),
    ("to_message", "embeddingblock2"),
]
PARTS = {
    "first": "fc1",
    "middle": "fc2",
    "last": "fc3",
    "sender": "source_embedding",
    "receiver": "target_embedding",
    "mixture": "embed_fc1",
    "norm": "GroupNorm",
}
"""Where a weight of ours, by the beginning of its name and by its part, stands in the original."""


class Mapped(NamedTuple):
    """Where a tensor of the original went."""

    original: str
    ours: str
    """Name of the weight, or what became of it, in words."""
    shape: tuple[int, ...]


class Published(NamedTuple):
    """A published model, and how it was read."""

    model: GridSpinConv
    mapped: list[Mapped]
    remarks: list[str]
    """What the original did otherwise, in sentences."""


class Units(NamedTuple):
    """What the original's numbers are multiplied by, and its energies then added to."""

    energy: float = 1.0
    """eV."""
    offset: float = 0.0
    """eV of every structure."""
    force: float = 1.0
    """eV/Å."""


def published_model(
    arguments: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    units: Units | None = None,
    *,
    elements: Sequence[int] | None = None,
    forces: str | None = None,
    gradient: str = "published",
) -> Published:
    """The model of constructor `arguments` and of a `state` with the original's names; ValueError says what does not fit.

    `elements` are those it is to know, all of the original's if None; `forces` is `random` or `fixed` for a force-centric one. An atom
    without neighbours has the energy that the original gives it: that becomes its reference energy.
    """
    units = units or Units()
    known = checked_arguments(arguments)
    config = config_of(known, units, elements, forces, gradient)
    state, remarks = dict(state), remarks_on(known, units)
    if config.least_weights() > (there := sum(value.numel() for value in state.values())):
        raise ValueError(f"has {there} numbers in its weights, its config wants at least {config.least_weights()}")
    model = GridSpinConv(config, [0.0] * len(config.elements)).to(torch.float64).to(precision(state))
    mapped = [load(name, parameter, state, known, config) for name, parameter in model.named_parameters()]
    mapped += [constant(name, state[name], config) for name in sorted(state) if is_constant(name)]
    load_gaussians(model, state, known["basis_width_scalar"])
    left = [name for name in state if name not in {row.original for row in mapped}]
    if not known["regress_forces"]:
        mapped += [Mapped(name, "left out: never trained", tuple(state[name].shape)) for name in left if name.startswith("force_output")]
        left = [name for name in left if not name.startswith("force_output")]
    if left:
        raise ValueError(f"has `{left[0]}`, which is no weight of the published SpinConv with this config ({len(left)} such)")
    final = GridSpinConv(config, isolated(model, units.energy), units.energy, known["max_num_neighbors"] / 2 + 1)
    final.to(torch.float64).to(precision(state)).load_state_dict(model.state_dict())
    return Published(final.eval(), mapped, remarks)


def checked_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that change numbers, by the original's defaults where none is given."""
    given = {OTHER_NAMES.get(name, name): value for name, value in arguments.items() if name not in WITHOUT_EFFECT}
    if unknown := [name for name in given if name not in DEFAULTS]:
        raise ValueError(f"has `{unknown[0]}`, which is no argument of the published SpinConv: it is of another model")
    known = {**DEFAULTS, **given}
    for name in ("sphere_message", "output_message"):
        if known[name] not in list(SPHERES):
            raise ValueError(f"`{name}` must be one of {', '.join(SPHERES)}, got {shown(known[name])}: the original had nothing else")
    if known["force_estimator"] not in list(HEADS):
        raise ValueError(f"`force_estimator` must be one of {', '.join(HEADS)}, got {shown(known['force_estimator'])}")
    if not isinstance(known["max_num_neighbors"], int) or known["max_num_neighbors"] < 1:
        raise ValueError(f"`max_num_neighbors` must be a whole number from 1 on, got {shown(known['max_num_neighbors'])}")
    if not isinstance(known["max_num_elements"], int) or known["max_num_elements"] < 2:
        raise ValueError(f"`max_num_elements` must be a whole number from 2 on, got {shown(known['max_num_elements'])}")
    return known


def config_of(known: Mapping[str, Any], units: Units, elements: Sequence[int] | None, forces: str | None, gradient: str) -> GridConfig:
    """Our config of the original's arguments."""
    all_elements = range(1, min(known["max_num_elements"], 119))
    chosen = tuple(all_elements if elements is None else elements)
    if missing := [z for z in chosen if z not in all_elements]:
        raise ValueError(f"`elements` must be among those of the model, 1 to {all_elements[-1]}, got {missing[0]}")
    heads = HEADS["grad" if not known["regress_forces"] else known["force_estimator"]]
    if forces is not None and forces not in heads:
        raise ValueError(f"`forces` of this model must be {' or '.join(heads)}, got {forces!r}")
    fields = {ours: known[name] for name, ours in FIELDS.items()}
    if (forces or heads[-1]) == "fixed" and isinstance(fields["n_rotations"], int):
        fields["n_rotations"] = (fields["n_rotations"] + 3) // 4 * 4  # that they add up to zero
    return GridConfig.from_dict(
        {
            "elements": chosen,
            "convolution": SPHERES[known["sphere_message"]],
            "force_convolution": SPHERES[known["output_message"]],
            "lmax": known["lmax"] or 0,
            "forces": forces or heads[-1],
            "gradient": gradient,
            "envelope": False,
            "frame_offset": FRAME_OFFSET,
            "energy_offset": units.offset,
            "force_scale": units.force / units.energy,
            **fields,
        }
    )


def remarks_on(known: Mapping[str, Any], units: Units) -> list[str]:
    """What the original did otherwise with such arguments."""
    remarks = []
    if not known["use_pbc"]:
        remarks.append("`use_pbc` was off: the original saw no periodic images and 32 neighbours at most; here periodic images are seen")
    if not known["otf_graph"]:
        remarks.append(
            "`otf_graph` was off: the original took the neighbours that stood in its data; here they are those within the cutoff"
        )
    if not known["regress_forces"]:
        remarks.append("`regress_forces` was off: only energies were trained; forces are the gradient of the energy")
    elif known["force_estimator"] == "grad" and abs(units.force / units.energy - 1) > 1e-6:
        times = units.force / units.energy
        remarks.append(f"the original multiplied the gradient by {times:.6g} (its normalisers differ); here forces are the gradient")
    return remarks


def original_name(ours: str, config: GridConfig) -> str:
    """The name that a weight has in the original.

    >>> original_name("blocks.1.to_message.middle.bias", GridConfig((1,)))
    'message_blocks.1.embeddingblock2.fc2.bias'
    """
    places, begin, name = PLACES, "", ours
    if ours.startswith("blocks."):
        _, number, name = ours.split(".", 2)
        places, begin = OF_A_BLOCK, f"message_blocks.{number}."
    place, theirs = next((place, theirs) for place, theirs in places if name.startswith(place + "."))
    *parts, last = name.removeprefix(place + ".").split(".")
    if theirs.endswith("spinconvblock") and not parts:
        parts = ["mlp" if (config.force_convolution if begin == "" else config.convolution) == "harmonics" else "conv1"]
    return begin + ".".join([theirs, *(PARTS.get(part, part) for part in parts), last])


def load(name: str, parameter: torch.nn.Parameter, state: Mapping[str, Any], known: Mapping[str, Any], config: GridConfig) -> Mapped:
    """Copies one weight; ValueError where it is missing or of another shape."""
    theirs = original_name(name, config)
    if theirs not in state:
        raise ValueError(f"lacks `{theirs}`, which the published SpinConv with this config has")
    value, rows = state[theirs], element_rows(name, known["max_num_elements"], config.elements)
    expected = (
        tuple(parameter.shape) if rows is None else (known["max_num_elements"] ** (2 if "distance." in name else 1), parameter.shape[1])
    )
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or tuple(value.shape) != expected:
        came = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(f"`{theirs}` must be real numbers of the shape {expected} by its config, got {came}")
    if not torch.isfinite(value).all():
        raise ValueError(f"`{theirs}` must be finite numbers")
    with torch.no_grad():
        parameter.copy_(value if rows is None else value[rows])
    return Mapped(theirs, name, expected)


def element_rows(name: str, n: int, elements: Sequence[int]) -> torch.Tensor | None:
    """Rows of a table of the original, by atomic number or by sending * n + receiving one, that ours has; None for no such table."""
    chosen = torch.tensor(elements)
    if name.endswith((".sender.weight", ".receiver.weight")):
        return chosen
    if name in ("distance.scale.weight", "distance.offset.weight"):
        return (chosen[:, None] * n + chosen).flatten()
    return None


def is_constant(name: str) -> bool:
    """Whether a tensor of the original follows from its config."""
    return name in ("distance_expansion_forces.offset", CENTERS) or ".sph_froms2grid." in name


def constant(name: str, value: torch.Tensor, config: GridConfig) -> Mapped:
    """Says where a constant of the original is; ValueError where it is not what its config makes of it."""
    if name.endswith(".offset"):
        expected = torch.linspace(0, config.cutoff, config.n_radial, dtype=torch.float64)
        ours = "distance.centers" if name == CENTERS else "not used, as in the original"
    elif name.endswith(".shb"):
        expected, ours = latitude_factors(config), "constants.harmonics"
    else:
        return Mapped(name, "follows from the config", tuple(value.shape))
    if value.shape != expected.shape or not torch.allclose(value.double(), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max())):
        raise ValueError(f"`{name}` must follow from the config, but has other numbers: the model is another")
    return Mapped(name, ours, tuple(value.shape))


def load_gaussians(model: GridSpinConv, state: Mapping[str, torch.Tensor], width: float) -> None:
    """Centres and rate with the original's rounding, which for most models is that of single precision, whatever they run in."""
    if CENTERS not in state:
        raise ValueError(f"lacks `{CENTERS}`, which the published SpinConv has")
    centers = state[CENTERS]
    single = centers.float()
    steps = single if torch.equal(single.to(centers.dtype), centers) else centers
    model.distance.centers.copy_(centers)
    model.distance.rate.fill_(-0.5 / (width * (steps[1] - steps[0])).item() ** 2)


def latitude_factors(config: GridConfig) -> torch.Tensor:
    """The factor of our harmonics on the grid that depends on the row, as the original stores it, [2 lmax + 1, n_latitude, harmonics]."""
    rows, columns = config.n_latitude, 4 * config.lmax + 4  # enough columns to tell all orders from each other
    on_grid = harmonics_on_grid(rows, columns, config.lmax).view(rows, columns, -1)
    angle = torch.arange(columns, dtype=torch.float64) * (2 * torch.pi / columns)
    orders = torch.arange(-config.lmax, config.lmax + 1)
    waves = torch.where(orders[:, None] < 0, torch.sin(-orders[:, None] * angle), torch.cos(orders[:, None] * angle))
    waves = waves * torch.where(orders == 0, 1.0, 2**0.5).double()[:, None]
    return torch.einsum("ma,bai->mbi", waves, on_grid) / config.n_longitude


def isolated(model: GridSpinConv, scale: float) -> list[float]:
    """Energies (eV) of atoms without neighbours, of every element."""
    w = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    each = torch.arange(model.n_elements)
    nothing = torch.zeros(model.n_elements, model.config.channels, dtype=torch.float64)
    return [scale * value for value in network.embedding_block(w, "energy", nothing, each, each).squeeze(1).tolist()]


def precision(state: Mapping[str, torch.Tensor]) -> torch.dtype:
    """float64 if all weights are that, else float32."""
    real = all(isinstance(value, torch.Tensor) and value.dtype == torch.float64 for value in state.values())
    return torch.float64 if real else torch.float32
