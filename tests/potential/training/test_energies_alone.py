"""Trainings on energies without forces, as of QM9, and the configs of the published data sets."""

import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console
from typer.testing import CliRunner

from models import random_model
from spinconv.export.cli import app
from spinconv.potential.gradients import energies_alone, energy_and_forces
from spinconv.potential.training import callbacks
from spinconv.potential.training.checkpoint import load_checkpoint
from spinconv.potential.training.config import ConfigError, read_config
from spinconv.potential.training.data import GraphDataset
from spinconv.potential.training.frames import DataError, Frame
from spinconv.potential.training.qm9 import PROPERTIES, atom_references
from spinconv.potential.training.splits import Source
from spinconv.potential.training.trainer import fit

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "md17_qm9.md"
SMALL = {"channels": 8, "group": 4, "lmax": 1, "n_blocks": 1, "n_radial": 4, "cutoff": 4.0}


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Learning curves take most of a short training, and other tests look at them."""
    monkeypatch.setattr(callbacks, "draw_history", lambda *_: None)


def water(rng: np.random.Generator) -> ase.Atoms:
    return ase.Atoms("OH2", np.array([(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0)]) + rng.normal(scale=0.03, size=(3, 3)))


def qm9_text(number: int, atoms: ase.Atoms, **properties: float) -> str:
    """A molecule as QM9 writes it."""
    values = [properties.get(name, 0.0) for name in PROPERTIES]
    rows = ["\t".join([s, *(f"{x:.10f}" for x in r), "2.1*^-6"]) for s, r in zip(atoms.symbols, atoms.positions, strict=True)]
    lines = [str(len(atoms)), "\t".join([f"gdb {number}", *map(repr, values)]), *rows, "1\t2\t3", "O\tO", "InChI=1S/H2O\tInChI=1S/H2O"]
    return "\n".join(lines) + "\n"


def write_qm9(path: Path, n: int) -> None:
    """Waters and other molecules of two atoms; their energies are those of their atoms and of a spring."""
    rng, texts = np.random.default_rng(0), []
    alone = {z: energy / units.Hartree for z, energy in atom_references("U0").items()}
    for k in range(n):
        atoms = water(rng) if k % 2 else ase.Atoms(("CO", "HF", "N2")[k % 3], [(0, 0, 0), (0, 0, 1.1 + 0.01 * k)])
        spring = (atoms.get_distance(0, 1) - 1.0) ** 2
        energy = sum(alone[z] for z in atoms.numbers.tolist()) - 0.35 + spring
        texts.append(qm9_text(k + 1, atoms, U0=float(energy), alpha=float(3 * len(atoms) + spring)))
    path.write_text("".join(texts))


def write_md17(path: Path, n: int, names: tuple[str, str, str, str]) -> None:
    """Waters in an archive, in kcal/mol."""
    rng = np.random.default_rng(0)
    positions = np.array([water(rng).positions for _ in range(n)])
    arrays = np.array([8, 1, 1]), positions, rng.normal(-47000.0, 1.0, size=n), rng.normal(scale=20.0, size=(n, 3, 3))
    np.savez(path, **dict(zip(names, arrays, strict=True)))


def test_energies_alone_are_those_that_come_with_forces_and_so_are_their_gradients():
    rng = np.random.default_rng(1)
    frames = [Frame(water(rng), -1.0, None, None, "w") for _ in range(3)]
    batch = GraphDataset(frames, 4.0, torch.float64)[[0, 1, 2]]
    gradients = []
    for evaluate in (energies_alone, lambda model, graph: energy_and_forces(model, graph, create_graph=True)):
        model = random_model(elements=(1, 8), cutoff=4.0, weights_times=2.0)
        found = evaluate(model, batch.graph)
        gradients.append((found.energies, *torch.autograd.grad(found.energies.square().sum(), list(model.parameters()), allow_unused=True)))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0) if a is not None else None
        assert (a is None) == (b is None)


def test_a_training_on_energies_alone_learns_them_and_an_atom_alone_keeps_its_reference(tmp_path):
    write_qm9(tmp_path / "q.xyz", 40)
    config = {"data": {"train": "q.xyz", "energy_key": "U0", "validation": 8}, "reference_energies": {"atomref": "U0"}, "model": SMALL}
    config |= {"loss": {"forces_weight": 0.0}, "max_steps": 120, "epoch_steps": 60, "batch_size": 8, "ema_decay": 0.9, "threads": 1}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**config, "dtype": "float64", "accelerator": "cpu"}))
    said = Console(file=io.StringIO(), width=200, soft_wrap=True)
    best = fit(read_config(tmp_path / "c.yaml"), Source("c.yaml", tmp_path), tmp_path / "out", console=said)
    printed = said.file.getvalue()
    assert "q.xyz: 40 frames in Hartree and Angstrom (by the layout of QM9)" in printed
    assert "is not for dynamics" in printed
    assert "nan" not in printed
    model, metadata = load_checkpoint(best)
    assert metadata["training"]["validation"]["energy"] < 1000  # meV; without a network 9,000: the energies of atomization
    assert model.reference_energies == [atom_references("U0")[z] for z in (1, 6, 7, 8, 9)]


def test_a_model_of_no_energy_is_not_exported(tmp_path):
    write_qm9(tmp_path / "q.xyz", 12)
    config = {"data": {"train": "q.xyz", "energy_key": "alpha", "validation": 4}, "model": SMALL, "loss": {"forces_weight": 0.0}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**config, "max_epochs": 1, "accelerator": "cpu", "threads": 1}))
    fit(read_config(tmp_path / "c.yaml"), Source("c.yaml", tmp_path), tmp_path / "out", console=Console(file=io.StringIO()))
    done = CliRunner().invoke(app, ["export", str(tmp_path / "out"), "-o", str(tmp_path / "model.pt")])
    assert done.exit_code == 1
    assert "was trained on `alpha` (Bohr³), which is no energy, and engines would take it for eV" in " ".join(done.output.split())
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize(
    ("references", "sentence"),
    [
        ({"atomref": "G"}, r"`reference_energies.atomref` must be what is learned, `data.energy_key: U0`, got G"),
        ({"atomref": "mu"}, r"`reference_energies.atomref` must be one of U0, U, H, G, zpve or Cv, got 'mu'"),
        ({"atomref": "U0", "values": {"H": -13.6}}, r"takes one of `isolated_atoms`, `values` and `atomref`, got `values` and `atomref`"),
    ],
)
def test_references_of_something_else_are_refused(tmp_path, references, sentence):
    config = {"data": {"train": "q.xyz", "energy_key": "U0"}, "reference_energies": references, "max_epochs": 1}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=sentence):
        read_config(tmp_path / "c.yaml")


def test_an_element_that_qm9_does_not_have_is_refused(tmp_path):
    atoms = ase.Atoms("SH2", [(0, 0, 0), (1.3, 0, 0), (0, 1.3, 0)])
    atoms.calc = SinglePointCalculator(atoms, energy=-10800.0)
    ase.io.write(tmp_path / "s.xyz", [atoms] * 4)
    config = {"data": {"train": "s.xyz", "validation": 1}, "reference_energies": {"atomref": "U0"}, "loss": {"forces_weight": 0.0}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**config, "max_epochs": 1, "accelerator": "cpu"}))
    with pytest.raises(DataError, match=r"c.yaml: `reference_energies.atomref` lacks the S atom, an element of the training frames"):
        fit(read_config(tmp_path / "c.yaml"), Source("c.yaml", tmp_path), tmp_path / "out", console=Console(file=io.StringIO()))


def commands_of(page: Path) -> list[list[str]]:
    """The commands in a page, lines that end in a backslash joined."""
    text = page.read_text().replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in re.findall(r"^    (spinconv .*)$", text, re.MULTILINE)]


@pytest.fixture
def data_sets(tmp_path, monkeypatch):
    """A folder with the configs and with small files that are called as the published ones, in their layouts."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for folder in ("npz_data", "splits"):
        (tmp_path / "rmd17" / folder).mkdir(parents=True)
    write_md17(tmp_path / "md17_aspirin.npz", 80, ("z", "R", "E", "F"))
    write_md17(tmp_path / "rmd17" / "npz_data" / "rmd17_ethanol.npz", 80, ("nuclear_charges", "coords", "energies", "forces"))
    for name, numbers in (("train", range(60)), ("test", range(60, 80))):
        (tmp_path / "rmd17" / "splits" / f"index_{name}_01.csv").write_text("\n".join(map(str, numbers)))
    write_qm9(tmp_path / "qm9.xyz", 80)
    with tarfile.open(tmp_path / "dsgdb9nsd.xyz.tar.bz2", "w:bz2") as archive:
        archive.add(tmp_path / "qm9.xyz", "dsgdb9nsd_000001.xyz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page_run_on_files_in_the_published_layouts(data_sets):
    for name, numbers in (("train", range(60)), ("validation", range(60, 65)), ("test", range(65, 80))):
        (data_sets / f"{name}.csv").write_text("\n".join(map(str, numbers)))
    commands = commands_of(PAGE)
    assert {words[1] for words in commands} == {"train", "evaluate"}
    small = ["max_steps=2", "max_time=null", "epoch_steps=2", *(f"model.{key}={value}" for key, value in SMALL.items() if key != "cutoff")]
    for words in commands:
        changes = [word for change in small for word in ("--set", change)] if words[1] == "train" else ["--json"]
        done = CliRunner().invoke(app, [word.replace("$PWD", str(data_sets)).replace("3m", "1s") for word in words[1:]] + changes)
        assert done.exit_code == 0, f"{words}\n{done.output}"
        if words[1] == "evaluate":
            assert {error["quantity"] for error in json.loads(done.output)["errors"]} >= {"energy"}


def test_the_split_of_the_page_leaves_out_what_the_list_names(tmp_path):
    code = re.search(r"<!-- file: split.py -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    out = np.random.default_rng(0).choice(133885, size=3054, replace=False) + 1
    lines = [*["="] * 9, *(f"{number:6d}    CCO   0.1 InChI" for number in np.sort(out)), "", ""]
    (tmp_path / "uncharacterized.txt").write_text("\n".join(lines))
    subprocess.run([sys.executable, "-c", code[1]], cwd=tmp_path, check=True, timeout=60)
    train, validation, test = (np.loadtxt(tmp_path / f"{name}.csv", dtype=int) for name in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (110000, 10000, 10831)
    assert np.array_equal(np.sort(np.concatenate([train, validation, test, out - 1])), np.arange(133885))
