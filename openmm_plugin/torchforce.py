"""OpenMM's TorchForce as one of the engines that `spinconv check` compares, in an environment of its own."""

import atexit
import functools
import importlib.resources
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ase
import numpy as np

from spinconv.export.engines import EngineResult, EngineUnavailable, asked_by_name
from spinconv.export.evaluators import has_torch
from spinconv.export.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.openmm_plugin.engine import NO_SLABS, as_openmm_has_it

PYTHON_VARIABLE = "SPINCONV_TORCHFORCE_PYTHON"


def evaluate(model_path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    """Energy and forces by a TorchForce in a Context on OpenMM's Reference platform.

    Raises EngineUnavailable without a Python that has openmmtorch, and for cells periodic in one or two directions only.
    """
    if atoms.pbc.any() and not atoms.pbc.all():
        raise EngineUnavailable(NO_SLABS)
    if asked_by_name(model_path)["direct_forces"]:
        raise EngineUnavailable("OpenMM takes no direct forces")
    if not has_torch():
        raise EngineUnavailable("the file is bound by torch, which is not installed; `pip install torch`")
    from spinconv.export.bind import bind_model

    host = host_of(python_with_torchforce())
    turned, rotation = as_openmm_has_it(atoms)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bound.pt"
        bind_model(model_path, file, atoms.numbers.tolist(), periodic=bool(atoms.pbc.all()), dtype=dtype)
        answer = host.ask(file=str(file), **request_of(turned))
    forces = np.reshape(answer["forces"], (-1, 3)) @ rotation / (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)
    return EngineResult(answer["energy"] / KJ_PER_MOL_PER_EV, forces, None)


def request_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Positions, masses and box of `atoms`, whose cell must be as OpenMM wants it, as `Host.ask` takes them."""
    return {
        "positions": (atoms.positions / ANGSTROM_PER_NM).tolist(),
        "masses": atoms.get_masses().tolist(),
        "box": (atoms.cell.array / ANGSTROM_PER_NM).tolist() if atoms.pbc.all() else None,
    }


def python_with_torchforce() -> str:
    """A Python that can import openmmtorch: the one named by the variable SPINCONV_TORCHFORCE_PYTHON, or this one."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise EngineUnavailable(f"{PYTHON_VARIABLE} must be a Python with openmmtorch, there is no {named}")
        return named
    if importlib.util.find_spec("openmmtorch") is None:
        raise EngineUnavailable(f"openmmtorch is not installed here; set {PYTHON_VARIABLE} to a Python that has it (docs/openmm.md)")
    return sys.executable


@functools.cache
def host_of(python: str) -> "Host":
    """The host process of a Python, started once."""
    return Host(python)


class Host:
    """A process that runs torchforce_host.py."""

    def __init__(self, python: str) -> None:
        program = importlib.resources.files("spinconv.openmm_plugin").joinpath("torchforce_host.py")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (open as long as the process is)
        self._process = subprocess.Popen(
            [python, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )
        atexit.register(self.close)

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request of torchforce_host.py. Raises ValueError with its error, or with what it printed if it died."""
        whole = {"box": None, "platform": "Reference", "properties": {}, "outputs_forces": False, "numbers": None, **request}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(whole) + "\n")
            self._process.stdin.flush()
            line = next(line for line in self._process.stdout if line.startswith("ANSWER "))
        except (BrokenPipeError, StopIteration):
            self._errors.seek(0)
            raise ValueError(f"the process with TorchForce ended: {self._errors.read()[-2000:]}") from None
        answer: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
        atexit.unregister(self.close)
