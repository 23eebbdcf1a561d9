"""SpinConv in openmm-ml: `MLPotential("spinconv", modelPath="model.pt")`, found through the entry point "openmmml.potentials"."""

import os
import warnings
from collections.abc import Iterable
from typing import Any

import openmm
import openmm.app
from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

from spinconv.export.engines import EngineUnavailable

OPTIONS = ("precision", "device", "evaluator", "threads", "nonconservative")
IMPLEMENTATIONS = ("auto", "cpp", "python")


class SpinConvPotentialFactory(MLPotentialImplFactory):  # type: ignore[misc]  # openmm-ml has no types
    """What the entry point names; `import openmmml` makes one."""

    def createImpl(self, name: str, modelPath: str | os.PathLike[str] | None = None, **args: Any) -> MLPotentialImpl:  # noqa: N802
        """The potential; `precision`, `device`, `evaluator`, `threads` and `nonconservative` are those of `spinconv.openmm_plugin.force`.

        `implementation` is "cpp" (SpinConvForce), "python" (PythonForce) or "auto": cpp, or with a warning python where that is not
        built for this OpenMM. createSystem and createMixedSystem take the same options.
        """
        if modelPath is None:
            raise ValueError("`modelPath` must be given: MLPotential('spinconv', modelPath='model.pt')")
        return SpinConvPotential(modelPath, args)


class SpinConvPotential(MLPotentialImpl):  # type: ignore[misc]
    """Adds a SpinConvForce, or a PythonForce with the same energy, to the System that openmm-ml makes."""

    def __init__(self, model: str | os.PathLike[str], options: dict[str, Any]) -> None:
        self.model = model
        self.options = options

    def addForces(  # noqa: N802
        self, topology: openmm.app.Topology, system: openmm.System, atoms: Iterable[int] | None, forceGroup: int, **args: Any
    ) -> None:
        """Periodic where the topology has a box or a force already in the system is periodic, as openmm-ml's own potentials are."""
        from spinconv.export.particles import whole_numbers
        from spinconv.openmm_plugin.forces import has_box

        given = {**self.options, **args}
        options = {name: given[name] for name in OPTIONS if name in given}
        periodic = has_box(topology) or system.usesPeriodicBoundaryConditions()
        particles = None if atoms is None else whole_numbers("atoms", list(atoms))
        spinconv_force = self._force(given.get("implementation", "auto"), topology, particles, periodic, options)
        spinconv_force.setForceGroup(forceGroup)
        system.addForce(spinconv_force)

    def _force(
        self, implementation: str, topology: openmm.app.Topology, particles: list[int] | None, periodic: bool, options: dict[str, Any]
    ) -> openmm.Force:
        from spinconv.openmm_plugin.forces import force, numbers_of_topology
        from spinconv.openmm_plugin.python_force import python_force

        if implementation not in IMPLEMENTATIONS:
            raise ValueError(f"`implementation` must be one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}")
        if implementation != "python":
            try:
                return force(self.model, topology, particles=particles, periodic=periodic, **options)
            except EngineUnavailable as reason:
                if implementation == "cpp":
                    raise
                warnings.warn(f"{reason}; running the model in a PythonForce, which is slower", stacklevel=2)
        options = {name: value for name, value in options.items() if name in ("precision", "device")}
        return python_force(self.model, numbers_of_topology(topology, particles), particles=particles, periodic=periodic, **options)

    def getMLLongRange(self) -> bool:  # noqa: N802
        """A SpinConv model sees as far as its cutoff times its blocks."""
        return False
