"""SpinConvForce by kernels: `device="opencl"` on any platform of OpenMM."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from opencl import require_opencl
from structures import water_box

from models import random_model
from spinconv.export import SpinConvCalculator, export_model
from spinconv.openmm_plugin import evaluator_of, force

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_a_force_on_a_device_is_that_on_the_cpu(platform: str, model_file: Path, mm: SimpleNamespace) -> None:
    require_opencl()
    atoms = water_box()
    context = mm.context(mm.system(atoms, force(model_file, atoms.numbers, periodic=True, device="opencl")), atoms, platform)
    assert evaluator_of(context).startswith("native opencl, float64 on opencl:")
    energy, forces = mm.read(context)
    atoms.calc = SpinConvCalculator(model_file)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-9)  # units of OpenMM, to nine digits
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=1e-5 if platform == "CPU" else 1e-8)


def test_a_model_that_kernels_are_not_for_is_refused(tmp_path: Path, mm: SimpleNamespace) -> None:
    require_opencl()
    export_model(random_model(lmax=5), tmp_path / "model.pt")
    for device, words in {"context": "computing on the engine's device", "opencl": "`device` opencl without torch"}.items():
        with pytest.raises(openmm.OpenMMException, match=f"{words} is for harmonic models of `lmax` 4 at most, the model is none"):
            mm.context(mm.system(water_box(), force(tmp_path / "model.pt", water_box().numbers, device=device)), water_box(), "OpenCL")
