"""Models that are computed as a whole, and such as say their forces themselves: on one rank, and where they are asked for by name."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from grid_models import grid_model

from spinconv.export import SpinConvCalculator, export_model
from spinconv.export.extrapolation import allow_extrapolation

WATER = ase.Atoms("OHH", [(1, 1, 1), (1.96, 1, 1), (0.76, 1.93, 1)], cell=[8, 8, 8], pbc=True)


@pytest.fixture(params=["gradient", "direct"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of a grid model; of the direct forces of random weights, those of this seed lead to rest."""
    says = {"envelope": True} if request.param == "gradient" else {"forces": "fixed"}
    export_model(grid_model(seed=4, **says), tmp_path / f"{request.param}.pt", dtype="float64")
    return tmp_path / f"{request.param}.pt"


def test_energy_and_forces_are_those_of_ase(file: Path, lmp: Any) -> None:
    elements = lmp.place(WATER)
    asked = "direct_forces yes" if file.stem == "direct" else ""
    lmp(f"pair_style spinconv {file} {asked}", f"pair_coeff * * {elements}", "thermo_style custom step pe press", "run 0 post no")
    atoms = WATER.copy()
    atoms.calc = SpinConvCalculator(file)
    assert lmp.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert np.abs(lmp.forces).max() > 0.01
    np.testing.assert_allclose(lmp.forces, atoms.get_forces(), atol=1e-9)
    assert np.isnan(lmp.engine.get_thermo("press")) == (file.stem == "direct")


def test_direct_forces_are_for_those_who_ask(file: Path, lmp: Any) -> None:
    lmp.place(WATER)
    if file.stem == "gradient":
        return lmp(f"pair_style spinconv {file}")
    with pytest.raises(Exception, match=r"the forces of .*direct.pt are direct, no gradient of any energy: .* say `direct_forces yes`"):
        lmp(f"pair_style spinconv {file}")
    with pytest.raises(Exception, match=r"a committee must be of models whose forces are gradients, those of .*direct.pt are direct"):
        lmp(f"pair_style spinconv {file} {file} direct_forces yes")


def test_a_relaxation_takes_them(file: Path, lmp: Any) -> None:
    elements = lmp.place(WATER)
    asked = "direct_forces yes" if file.stem == "direct" else ""
    with allow_extrapolation():
        lmp(f"pair_style spinconv {file} {asked}", f"pair_coeff * * {elements}", "run 0 post no")
        before = np.abs(lmp.forces).max()
        lmp("min_style fire", "minimize 0 1e-3 200 400")
    assert np.abs(lmp.forces).max() < before


def test_several_ranks_are_refused(file: Path, program: Any) -> None:
    asked = "direct_forces yes" if file.stem == "direct" else ""
    done = program(
        f"units metal\nregion cell block 0 9 0 9 0 9\ncreate_box 2 cell\nmass * 1.0\ncreate_atoms 1 single 1 1 1\n"
        f"pair_style spinconv {file} {asked}\n",
        ranks=2,
    )
    assert done.returncode != 0
    words = "is of kind `grid`, which is computed as a whole on one MPI rank, got 2; run LAMMPS on one rank, or take a model of a kind with"
    assert words in done.stdout + done.stderr
