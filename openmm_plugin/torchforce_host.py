"""A process with a real TorchForce: one JSON request a line in, one answer a line out. Runs where spinconv is not installed.

A request has `file`, `positions` (nm), `masses`, `box` (nm, or null), `platform`, `properties`, `outputs_forces`, and `numbers` to set
on an unbound module. With `timestep` (ps), `steps` and `every` it runs at constant energy by velocity Verlet: where `start` is true from
`positions` and `velocities` (nm/ps), else from where the last such request ended. The answer has `energy` (kJ/mol) and `forces`
(kJ/mol/nm), or of a run `total` and `kinetic` energies, the first before any step where `start` is true, and `seconds`
of its steps, or `error`.
"""

import json
import sys
import time
from typing import Any


def make_context(request: dict[str, Any]) -> Any:
    import openmm
    import torch
    from openmmtorch import TorchForce

    if request.get("numbers") is None:
        force = TorchForce(request["file"])
    else:
        module = torch.jit.load(request["file"])
        module.numbers = torch.tensor(request["numbers"])
        force = TorchForce(module)
    force.setUsesPeriodicBoundaryConditions(request["box"] is not None)
    force.setOutputsForces(request["outputs_forces"])
    system = openmm.System()
    for mass in request["masses"]:
        system.addParticle(mass)
    if request["box"] is not None:
        system.setDefaultPeriodicBoxVectors(*request["box"])
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName(request["platform"])
    return openmm.Context(system, velocity_verlet(request.get("timestep") or 0.0005), platform, request["properties"])


def velocity_verlet(timestep: float) -> Any:
    """OpenMM's VerletIntegrator is leapfrog: half a step between positions and velocities."""
    import openmm

    integrator = openmm.CustomIntegrator(timestep)
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addComputePerDof("x", "x+dt*v")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    return integrator


def evaluate(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    context.setPositions(request["positions"])
    state = context.getState(energy=True, forces=True)
    return {"energy": state.getPotentialEnergy()._value, "forces": state.getForces(asNumpy=True)._value.tolist()}


def run(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    if request["start"]:
        context.setPositions(request["positions"])
        context.setVelocities(request["velocities"])
    total, kinetic = [], []
    seconds = 0.0
    for n in range(0 if request["start"] else 1, request["steps"] // request["every"] + 1):
        begin = time.perf_counter()
        context.getIntegrator().step(request["every"] if n else 0)
        seconds += time.perf_counter() - begin
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value)
        total.append(state.getPotentialEnergy()._value + kinetic[-1])
    return {"total": total, "kinetic": kinetic, "seconds": seconds}


def main() -> None:
    contexts: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            key = json.dumps({name: value for name, value in request.items() if name not in ("positions", "velocities", "start")})
            if key not in contexts:
                contexts.clear()
                contexts[key] = make_context(request)
            answer = (run if request.get("steps") else evaluate)(contexts[key], request)
        except Exception as error:  # all that went wrong is the answer
            answer = {"error": str(error)}
        print("ANSWER " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
