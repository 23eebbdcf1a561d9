"""A run in the host of TorchForce, with a spring in place of the TorchForce: what it does around the force is the same."""

import pytest

openmm = pytest.importorskip("openmm")

from spinconv.openmm_plugin.torchforce_host import run, velocity_verlet  # noqa: E402

MASS, SPEED = 12.0, 0.5  # dalton, nm/ps


def spring() -> "openmm.Context":
    system = openmm.System()
    system.addParticle(MASS)
    force = openmm.CustomExternalForce("500*x^2")
    force.addParticle(0)
    system.addForce(force)
    return openmm.Context(system, velocity_verlet(0.0005), openmm.Platform.getPlatformByName("Reference"))


def request(steps: int, start: bool) -> dict[str, object]:
    return {"positions": [[0, 0, 0]], "velocities": [[SPEED, 0, 0]], "start": start, "steps": steps, "every": 10}


def test_a_run_begins_with_the_velocities_it_is_given() -> None:
    answer = run(spring(), request(20, start=True))
    assert len(answer["total"]) == 3  # the start and two samples
    assert answer["kinetic"][0] == pytest.approx(MASS * SPEED**2 / 2)
    assert answer["total"] == pytest.approx([answer["kinetic"][0]] * 3, rel=1e-4)


def test_a_run_goes_on_where_the_last_one_ended() -> None:
    context = spring()
    first, second = run(context, request(20, start=True)), run(context, request(20, start=False))
    assert first["kinetic"] + second["kinetic"] == run(spring(), request(40, start=True))["kinetic"]
