"""SpinConv in openmm-ml: `MLPotential("spinconv", modelPath="model.pt")`, found through the entry point "openmmml.potentials"."""

import os
from collections.abc import Iterable
from typing import Any

import openmm
import openmm.app
from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory


class SpinConvPotentialFactory(MLPotentialImplFactory):  # type: ignore[misc]  # openmm-ml has no types
    """What the entry point names; `import openmmml` makes one."""

    def createImpl(self, name: str, modelPath: str | os.PathLike[str] | None = None, **args: Any) -> MLPotentialImpl:  # noqa: N802
        """`precision` and `device` are passed on to `spinconv.openmm_plugin.force`; so they are from createSystem."""
        if modelPath is None:
            raise ValueError("`modelPath` must be given: MLPotential('spinconv', modelPath='model.pt')")
        return SpinConvPotential(modelPath, args)


class SpinConvPotential(MLPotentialImpl):  # type: ignore[misc]
    """Adds a SpinConvForce to the System that openmm-ml makes."""

    def __init__(self, model: str | os.PathLike[str], options: dict[str, Any]) -> None:
        self.model = model
        self.options = options

    def addForces(  # noqa: N802
        self, topology: openmm.app.Topology, system: openmm.System, atoms: Iterable[int] | None, forceGroup: int, **args: Any
    ) -> None:
        """Periodic where the topology has a box or a force already in the system is periodic, as openmm-ml's own potentials are."""
        from spinconv.openmm_plugin.forces import force

        options = {name: value for name, value in {**self.options, **args}.items() if name in ("precision", "device")}
        periodic = topology.getPeriodicBoxVectors() is not None or system.usesPeriodicBoundaryConditions()
        spinconv_force = force(self.model, topology, particles=None if atoms is None else list(atoms), periodic=periodic, **options)
        spinconv_force.setForceGroup(forceGroup)
        system.addForce(spinconv_force)

    def getMLLongRange(self) -> bool:  # noqa: N802
        """A SpinConv model sees as far as its cutoff times its blocks."""
        return False
