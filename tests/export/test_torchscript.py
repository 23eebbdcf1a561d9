"""The TorchScript in a model file: whether it is ours, and what it does in a host that has set something in torch."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from structures import ethanol
from torch_states import TORCH_STATES

from models import random_model
from spinconv.export import export_model
from spinconv.export.torchscript import code, load_own_torchscript

CLASS = "class Model(Module):\n  __parameters__ = []\n{}  def forward(self) -> float:\n    return 1.\n"
A, B = "  a : Final[float] = 10.\n", "  b : Final[int] = 3\n"


def code_of(constants: str) -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("model/code/model.py", CLASS.format(constants))
    return dict(code(archive.getvalue()))


def test_the_order_of_constants_is_none_of_its_matters() -> None:
    assert code_of(A + B) == code_of(B + A)


def test_their_values_are() -> None:
    assert code_of(A + B) != code_of(A + B.replace("3", "4"))
    assert code_of(A + B) != code_of(A)


# ---- what the host has set in torch: right energies and forces, or torch's own sentence, never forces of 0

POSITIONS = torch.tensor(ethanol().positions / 10)  # nm


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("scripted") / "model.pt"
    export_model(random_model(weights_times=2.0, seed=2), file, dtype="float64")
    load_own_torchscript(file)  # the code is ours, and may be run
    return file


def loaded(path: Path) -> torch.jit.ScriptModule:
    module = torch.jit.load(path)
    module.numbers = torch.tensor(ethanol().numbers, dtype=torch.int64)
    return module


def by_backward(module: torch.jit.ScriptModule) -> tuple[float, torch.Tensor]:
    """As TorchForce does it."""
    positions = POSITIONS.clone().requires_grad_(True)
    energy = module(positions)
    energy.backward()
    assert positions.grad is not None
    return float(energy.detach()), -positions.grad


def by_output(module: torch.jit.ScriptModule) -> tuple[float, torch.Tensor]:
    """As it does after setOutputsForces(True)."""
    energy, forces = module.energy_and_forces(POSITIONS)
    return float(energy), forces


WITHOUT_GRADIENTS = "no_grad", "inference_mode"
OF_PYTHON = {"device", "hooks", "fake"}
"""What TorchForce, which is C++, never meets; our own doors, which are Python's too, do (test_calculator.py)."""


@pytest.mark.parametrize("within", [False, True], ids=["loaded before", "loaded within"])
@pytest.mark.parametrize("way", [by_backward, by_output])
@pytest.mark.parametrize("state", [state for state in TORCH_STATES if state not in OF_PYTHON])
def test_a_host_has_the_right_forces_or_none(
    path: Path, state: str, way: Callable[[torch.jit.ScriptModule], tuple[float, torch.Tensor]], within: bool
) -> None:
    module = loaded(path)
    energy, forces = way(module)
    assert forces.abs().max() > 1
    with TORCH_STATES[state]():
        if state in WITHOUT_GRADIENTS:
            with pytest.raises(RuntimeError, match=r"does not require grad|Inference tensors cannot be saved for backward"):
                way(loaded(path) if within else module)
        else:
            found = way(loaded(path) if within else module)
            assert found[0] == pytest.approx(energy, rel=1e-14)
            torch.testing.assert_close(found[1], forces, rtol=1e-12, atol=1e-9)
