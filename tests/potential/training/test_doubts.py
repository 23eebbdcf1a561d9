import ase
import ase.build
import numpy as np
import pytest

from spinconv.potential.training.doubts import implausible_energies, implausible_forces, implausible_stresses, undetermined_references
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.readers import FrameFile


def frame_of(formula: str, forces: float = 1.0, pbc: bool = False) -> Frame:
    atoms = ase.Atoms(formula, pbc=pbc)
    return Frame(atoms, -1.0, np.full((len(atoms), 3), forces), None, "t.xyz, frame 0")


@pytest.mark.parametrize(
    ("formulas", "elements", "why"),
    [
        (
            ["C2H6O", "C2H6O"],
            [1, 6, 8],
            "all frames have the composition C2H6O: least squares cannot tell the reference energies of H, C, O",
        ),
        (["H2O", "H4O2"], [1, 8], "all frames have the composition H2O"),  # another number of molecules tells nothing new
        (["CH4", "C2H6O", "H2O", "CH4"], [1, 6, 8], None),
        (["CH4", "C2H6", "C2H4"], [1, 6], None),
        (["Si8", "Si2"], [14], None),
        (["CO2", "CH4", "C2H4O2"], [1, 6, 8], "the compositions of the frames are not independent"),
    ],
)
def test_reference_energies_are_told_apart_by_independent_compositions_only(formulas, elements, why):
    found = undetermined_references([frame_of(formula) for formula in formulas], elements)
    assert found is None if why is None else found.startswith(why)


def test_a_liquid_is_called_by_its_molecule():
    assert "the composition H2O:" in undetermined_references([frame_of("H128O64", pbc=True)], [1, 8])
    assert "the composition C6H6:" in undetermined_references([frame_of("C6H6")], [1, 6])


@pytest.mark.parametrize(
    ("rms", "energy", "length", "sentence"),
    [
        (1.0, "eV", "Angstrom", None),
        (0.05, "eV", "Angstrom", None),
        (0.0, "eV", "Angstrom", None),  # relaxed structures, or none at all
        (25.0, "eV", "Angstrom", "rms of 25 eV/Å, which is implausibly large; in kcal/mol and Angstrom it would be 1.08"),
        (90.0, "eV", "Angstrom", "implausibly large; in kJ/mol and Angstrom it would be 0.933"),
        (0.015, "eV", "Angstrom", "implausibly small; in Hartree and Bohr it would be 0.771"),
        (0.015, "kcal/mol", "Angstrom", "t.xyz: read in kcal/mol and Angstrom, the forces have an rms of 0.015 eV/Å"),
    ],
)
def test_forces_of_another_unit_are_noticed(rms, energy, length, sentence):
    found = implausible_forces(FrameFile([frame_of("H2", rms)], "", energy, length))
    assert found is None if sentence is None else sentence in found


def test_nothing_is_said_of_frames_without_forces():
    assert implausible_forces(FrameFile([Frame(ase.Atoms("H"), -1.0, None, None, "t.xyz, frame 0")], "")) is None


@pytest.mark.parametrize(
    ("formula", "energy", "sentence"),
    [
        ("C2H6O", -4193.0, None),  # all electrons
        ("C2H6O", -45.0, None),  # pseudopotentials
        ("C2H6O", -4193.0 * 23.06, "its energy is -1.074e+04 eV per atom, below -61"),
        ("C2H6O", 9 * 25.0, "its energy is 25 eV per atom, and most frames lie so far above their atoms apart"),
        ("Au4", -4 * 518e3, None),
    ],
)
def test_energies_of_another_unit_are_noticed(formula, energy, sentence):
    found = implausible_energies(FrameFile([frame_of(formula)._replace(energy=energy)], ""))
    assert found is None if sentence is None else sentence in found
    assert found is None or found.startswith("t.xyz, frame 0: read in eV")


def test_a_virial_that_is_called_a_stress_is_noticed():
    frames = [frame_of("Si2")._replace(stress=np.full((3, 3), size)) for size in (0.9, -2.7, 0.1)]
    found = implausible_stresses(FrameFile(frames, ""))
    assert "its stress is 2.7 eV/Å³ (433 GPa); a virial, which is an energy, belongs in `data.virial_key`" in found
    assert implausible_stresses(FrameFile(frames[:1], "")) is None
    assert implausible_stresses(FrameFile([frame_of("Si2")], "")) is None
