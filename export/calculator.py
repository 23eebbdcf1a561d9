"""Exported files as an ASE calculator."""

import os
from collections.abc import Sequence
from typing import Any

import ase
import ase.data
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress

from spinconv.export.evaluators import Numbers, OpenModel, open_model
from spinconv.export.extrapolation import Alarm
from spinconv.export.guards import check_elements, check_finite
from spinconv.export.native_library import NativeModel
from spinconv.potential.edges import Edges, VerletList
from spinconv.potential.searchable import check_searchable
from spinconv.potential.stress import along_periodic, has_stress

OF_COMMITTEES = ("force_deviation", "energy_deviation")


class SpinConvCalculator(Calculator):
    """Energy, per-atom energies, forces and stress of a model file in any cell: free, mixed, periodic, triclinic, small.

    `model` is the path of a file written by `spinconv export`, `dtype` "float32", "float64" or None for the file's own choice,
    `device` "cpu", "cuda", "opencl", one of several as "cuda:1", or "auto", CUDA where there is one. `evaluator` is "native", code of our
    own, "torch", or None for native where that can be (on CUDA: torch); `threads` are those of the native one on a CPU, 0 for
    OMP_NUM_THREADS or as many as there are processors.

    The stress exists where a direction is periodic and the cell has a volume; across the directions that are not, as out of the plane of
    a slab, it is zero. It pickles by the paths of its files, which must be the same when it is read again.

    Several files make a committee: all results are the mean of theirs, and the properties `force_deviation` (eV/Å) and
    `energy_deviation` (eV) tell for every atom how far they are apart, the root of the mean squared difference from the mean.

    `outside` marks the atoms of the last structure with a pair closer, or another number of neighbours, than in all training frames;
    it is None where the file does not know. The first structure with such an atom brings an ExtrapolationWarning.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012  (ASE declares it so)
    default_parameters: dict[str, Any] = {"dtype": None, "device": "cpu", "evaluator": None, "threads": 0}  # noqa: RUF012
    name = "spinconv"

    def __init__(
        self,
        model: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        dtype: str | None = None,
        device: str = "cpu",
        evaluator: str | None = None,
        threads: int = 0,
        **kwargs: Any,
    ) -> None:
        self.outside: np.ndarray | None = None
        names = os.fspath(model) if isinstance(model, str | os.PathLike) else [os.fspath(file) for file in model]
        super().__init__(model=names, dtype=dtype, device=device, evaluator=evaluator, threads=threads, **kwargs)

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Changes parameters, as ASE's calculators do; the files are then read again."""
        unknown = sorted(set(kwargs) - {"model", *self.default_parameters})
        if unknown:
            known = ", ".join(f"`{name}`" for name in self.default_parameters)
            raise ValueError(f"the parameters of SpinConvCalculator are `model`, {known}, got `{unknown[0]}`")
        changed: dict[str, Any] = super().set(**kwargs)
        if changed:
            self.reset()
            self._read()
        return changed

    def _read(self) -> None:
        paths = [self.parameters["model"]] if isinstance(self.parameters["model"], str) else self.parameters["model"]
        if not paths:
            raise ValueError("`model` must be a model file or several, got an empty list")
        options = {name: self.parameters[name] for name in self.default_parameters}
        self.models = [open_model(path, **options) for path in paths]
        self._hashes = [file.metadata["weights_sha256"] for file in self.models]
        every = [file.metadata["elements"] for file in self.models]
        self._elements = [symbol for symbol in every[0] if all(symbol in elements for elements in every)]
        farthest = max(file.metadata["cutoff"] for file in self.models)  # a model takes no notice of edges beyond its own
        self._neighbors = VerletList(farthest)
        self._alarm = Alarm([file.metadata for file in self.models])
        properties = [name for name in type(self).implemented_properties if name != "stress" or not self.direct_forces]
        self.implemented_properties = [*properties, *(OF_COMMITTEES if len(self.models) > 1 else ())]

    def __getstate__(self) -> dict[str, Any]:
        model = self.parameters["model"]
        absolute = os.path.abspath(model) if isinstance(model, str) else [os.path.abspath(path) for path in model]
        state = {name: value for name, value in self.__dict__.items() if name not in ("models", "_neighbors")}
        return {**state, "parameters": type(self.parameters)({**self.parameters, "model": absolute})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._read()
        if self._hashes != state["_hashes"]:
            raise ValueError(
                f"`model` must be the file that the pickled calculator was made of, {self.parameters['model']} has other weights"
            )

    def get_spin_polarized(self) -> bool:
        """No model knows of spins.

        Without this method ASE would set one, and so make of the calculator a cycle, whose memory waits for the garbage collector.
        """
        return False

    @property
    def direct_forces(self) -> bool:
        """Whether a model says its forces itself: for relaxations; dynamics with them conserves no energy, and there is no stress."""
        return any(file.said.forces == "direct" for file in self.models)

    @property
    def conservative(self) -> bool:
        """Whether the forces are the gradient of the energy."""
        return all(file.said.conservative for file in self.models)

    @property
    def model(self) -> OpenModel:
        """The file, or the first of a committee."""
        return self.models[0]

    def __repr__(self) -> str:
        precision, device, evaluator = (
            " and ".join(sorted({getattr(file, name) for file in self.models})) for name in ("dtype", "device", "evaluator")
        )
        return (
            f"SpinConvCalculator({self.parameters['model']!r}, elements {' '.join(self._elements)}, {precision} on {device}, {evaluator})"
        )

    def get_property(self, name: str, atoms: ase.Atoms | None = None, allow_calculation: bool = True) -> Any:
        """See ASE; what models with direct forces do not have is refused in words."""
        if name == "stress" and self.direct_forces:
            raise PropertyNotImplementedError(
                f"`stress` is a derivative of the energy, and the forces of {self.parameters['model']} are direct, which know of none; "
                "relax in a fixed cell"
            )
        return super().get_property(name, atoms, allow_calculation)

    def check_state(self, atoms: ase.Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last structure, to the last bit, of all that results depend on.

        See ASE, whose own compares with a tolerance of 1e-15, which takes as long as the search for the neighbours of a molecule.
        """
        last = self.atoms
        if last is None or len(last) != len(atoms):
            return list(all_changes)
        pairs = {name: (last.arrays[name], atoms.arrays[name]) for name in ("positions", "numbers")}
        pairs |= {"cell": (last.cell.array, atoms.cell.array), "pbc": (last.pbc, atoms.pbc)}
        return [name for name, (one, other) in pairs.items() if not np.array_equal(one, other)]

    def calculate(
        self, atoms: ase.Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Fills `results`: eV, eV/Å, eV/Å^3 (Voigt order of ASE)."""
        super().calculate(atoms, properties or ["energy"], system_changes)
        assert self.atoms is not None  # the base class has just set them
        atoms = self.atoms
        self._check(atoms, properties or [])
        if len(self.models) == 1 and isinstance(self.model, NativeModel) and self.model.finds_neighbors:
            self.results = results_of(atoms, self._evaluate_there(self.model, atoms))
        else:
            edges = self._edges(atoms)
            self.outside = self._alarm.look(edges)
            self.results = _mean([results_of(atoms, file.evaluate(edges)) for file in self.models])
        check_finite(self.results["energy"], self.results["forces"])

    def _edges(self, atoms: ase.Atoms) -> Edges:
        return self._neighbors.edges(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)

    def _evaluate_there(self, model: NativeModel, atoms: ase.Atoms) -> Numbers:
        """Where neighbours are found too: nothing of an edge is ever here."""
        where = atoms.positions, atoms.cell.array, atoms.pbc
        check_searchable(*where, model.metadata["cutoff"])
        found, outside = model.evaluate_atoms(atoms.numbers, *where)
        self.outside = self._alarm.hear(outside, lambda: self._edges(atoms))
        return found

    def _check(self, atoms: ase.Atoms, properties: list[str]) -> None:
        check_elements(atoms, [ase.data.atomic_numbers[symbol] for symbol in self._elements])
        if "stress" in properties and not has_stress(atoms):
            raise PropertyNotImplementedError(
                "`stress` needs `atoms` that are periodic, in a cell with three vectors, because it is an energy per volume, "
                f"got pbc {' '.join('T' if periodic else 'F' for periodic in atoms.pbc)} and a cell of rank {atoms.cell.rank}; "
                "molecules have energy and forces"
            )

    def export_properties(self) -> Properties:
        """What ASE has a name for."""
        return Properties({name: value for name, value in self.results.items() if name in all_outputs})


def results_of(atoms: ase.Atoms, found: Numbers) -> dict[str, Any]:
    """Of one model, under ASE's names."""
    energy = float(found.energies.sum())
    results = {"energy": energy, "free_energy": energy, "energies": found.energies, "forces": found.forces}
    if found.virial is not None and has_stress(atoms):
        stress = -(found.virial + found.virial.T) / 2 / atoms.get_volume()
        results["stress"] = full_3x3_to_voigt_6_stress(along_periodic(stress, atoms))
    return results


def _mean(of_models: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over models, and of several how far they are apart: sqrt(mean |F_m - mean F|^2) and sqrt(mean (E_m - mean E)^2) by atom."""
    if len(of_models) == 1:
        return of_models[0]
    mean: dict[str, Any] = {
        name: np.mean([results[name] for results in of_models], axis=0) for name in set.intersection(*map(set, of_models))
    }
    mean["energy"] = mean["free_energy"] = float(mean["energy"])
    forces = np.array([results["forces"] for results in of_models]) - mean["forces"]  # (n_models, n_atoms, 3)
    energies = np.array([results["energies"] for results in of_models]) - mean["energies"]  # (n_models, n_atoms)
    mean["force_deviation"] = np.sqrt((forces**2).sum(axis=2).mean(axis=0))
    mean["energy_deviation"] = np.sqrt((energies**2).mean(axis=0))
    return mean
