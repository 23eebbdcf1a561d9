"""The doors through which files and numbers come in, and whole files to begin with."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.db
import ase.io
import numpy as np
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from .worker import RefusedError

SIZES = {"model": {"cutoff": 3.0, "channels": 8, "lmax": 1, "n_blocks": 1}, "data": {"train": "frames.xyz", "validation": 2}}
SIZES |= {"batch_size": 4, "max_epochs": 1, "dtype": "float64", "accelerator": "cpu", "threads": 1}
HEAVY = ("spinconv.potential.training.trainer", "spinconv.export.calculator", "spinconv.export.check", "openmm", "lammps", "scipy.spatial")
PROPERTIES = (
    "799.58812 437.90386 282.94545 1.8511 6.31 -0.2928 0.0687 0.3615 19.0002 0.021375 -76.404702 -76.401867 -76.400922 -76.422349 6.002"
)
QM9 = f"""3
gdb 3\t{PROPERTIES}
O\t-3.436*^-2\t 0.9775395\t 0.0076015\t-0.589706
H\t 0.0647666\t 2.0572*^-2\t 0.0015346\t 0.294853
H\t 0.8717903\t 1.3007924\t 0.0006931\t 0.294853
1671.4222\t3803.6305\t3907.698
O\tO
InChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2
"""  # water, in the layout of the data set
PAIR = "spinconv model.pt precision float64 threads 1\n* * H O\n"


class Door(NamedTuple):
    """A way in, and the files on it that are worth changing."""

    open: Callable[[Path], Any]
    inputs: tuple[str, ...]
    weight: int = 1


def write_whole_files(folder: Path) -> None:
    """Files as they should be, made by the commands that make them."""
    atoms = ase.Atoms("OH2OH2", [(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0), (0, 0, 2.8), (0.96, 0, 2.8), (-0.24, 0.93, 2.8)])
    chance = np.random.default_rng(0)
    frames = []
    for _ in range(10):
        frame = atoms.copy()
        frame.rattle(0.05, rng=chance)
        frame.calc = SinglePointCalculator(frame, energy=-8.0 + chance.normal(scale=0.1), forces=chance.normal(scale=0.3, size=(6, 3)))
        frames.append(frame)
    ase.io.write(folder / "frames.xyz", frames)
    with ase.db.connect(folder / "frames.db") as database:
        for frame in frames:
            database.write(frame)
    np.savez(
        folder / "frames.npz",
        R=np.array([frame.positions for frame in frames]),
        z=atoms.numbers,
        E=np.array([frame.get_potential_energy() for frame in frames]),
        F=np.array([frame.get_forces() for frame in frames]),
    )
    (folder / "numbers.txt").write_text("7\n0\n3\n")
    (folder / "qm9.xyz").write_text(2 * QM9)
    crystal = {"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist(), "cell": [6.0, 6.0, 6.0], "pbc": True}
    (folder / "structure.json").write_text(json.dumps(crystal))
    ase.io.write(folder / "structure.xyz", atoms)
    (folder / "pair.txt").write_text(PAIR)
    in_folder(folder, ["new", "frames.xyz", "-o", "drawn.yaml"])
    config = {key: value for key, value in yaml.safe_load((folder / "drawn.yaml").read_text()).items() if key != "max_time"}
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, **SIZES}))
    for words in (["train", "config.yaml", "-o", "run"], ["export", "run/best.ckpt", "-o", "model.pt", "--dtype", "float64"]):
        in_folder(folder, words)
    for name in ("best.ckpt", "last.ckpt"):
        (folder / name).write_bytes((folder / "run" / name).read_bytes())
    write_force(folder)


def write_force(folder: Path) -> None:
    """A SpinConvForce as XML, where OpenMM and its plugin are there."""
    try:
        import openmm

        from spinconv.openmm_plugin import force
    except ImportError:
        return
    made = force(str(folder / "model.pt"), ase.io.read(folder / "structure.xyz").numbers.tolist(), periodic=False, precision="float64")
    (folder / "force.xml").write_text(openmm.XmlSerializer.serialize(made))


def import_all() -> None:
    """What the doors will need, imported once for all forks; nothing of it is run, as threads would not live on in them."""
    for name in HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)


def in_folder(folder: Path, words: list[str]) -> None:
    """A command in a folder; it has to succeed."""
    import subprocess

    program = [sys.executable, "-c", "from spinconv.export.cli import app; app()"]
    subprocess.run([*program, *words], cwd=folder, check=True, capture_output=True, timeout=300)


def command(*words: str) -> str:
    """What a command prints; RefusedError with its sentence."""
    from spinconv.export.cli import app

    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:
        raise RefusedError(done.output)
    return done.stdout


def refusing(*kinds: type[BaseException]) -> Any:
    """Turns errors that are meant for users into a RefusedError."""

    class Refusing:
        def __enter__(self) -> None: ...

        def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
            if kind is not None and issubclass(kind, (ValueError, OSError, *kinds)) and not issubclass(kind, UnicodeError):
                raise RefusedError(str(error)) from error

    return Refusing()


def structure() -> ase.Atoms:
    """The atoms of structure.json; ASE's own refusals are no answers of ours."""
    try:
        return ase.Atoms(**json.loads(Path("structure.json").read_text()))
    except Exception as error:
        raise RefusedError(f"`structure.json` is refused by ASE: {type(error).__name__}") from error


def python(folder: Path) -> Any:
    from spinconv.export.reader import read_model

    with refusing():
        file = read_model("model.pt", "float64")
    return sorted(parameter.detach().double().sum().item() for parameter in file.module.parameters())


def calculator(folder: Path) -> Any:
    from spinconv.export import SpinConvCalculator

    atoms = structure()
    with refusing():
        atoms.calc = SpinConvCalculator("model.pt", dtype="float64")
        return [atoms.get_potential_energy(), *atoms.get_forces().ravel().tolist()]


def openmm_force(folder: Path) -> Any:
    import openmm

    from spinconv.openmm_plugin.engine import evaluate

    atoms = structure()
    with refusing(openmm.OpenMMException):
        result = evaluate("model.pt", atoms, "float64")
    return [result.energy, *np.ravel(result.forces).tolist()]


def openmm_xml(folder: Path) -> Any:
    import openmm

    from spinconv.openmm_plugin import load_library
    from spinconv.openmm_plugin.engine import system_of

    load_library()
    text = Path("force.xml").read_text(errors="replace")
    atoms = ase.io.read("structure.xyz")
    with refusing(openmm.OpenMMException):
        force = openmm.XmlSerializer.deserialize(text)
        if not isinstance(force, openmm.Force):
            raise RefusedError("`force.xml` is no force any more")
        context = openmm.Context(system_of(atoms, force), openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
        context.setPositions(atoms.positions / 10)
        return context.getState(energy=True).getPotentialEnergy()._value


def lammps(folder: Path) -> Any:
    from spinconv.lammps_plugin.engine import box_of, open_lammps, place_atoms

    atoms = structure()
    style, _, coefficients = Path("pair.txt").read_text(errors="replace").partition("\n")
    engine = open_lammps()
    try:
        with refusing(Exception):
            place_atoms(engine, atoms, box_of(atoms), "array")
            engine.command(f"pair_style {style}")
            engine.command(f"pair_coeff {coefficients.strip()}")
            engine.command("run 0")
        return engine.get_thermo("pe")
    except RefusedError as error:
        raise RefusedError(str(error).split("\n")[0]) from error


def evaluate(frames: str, *options: str) -> Callable[[Path], Any]:
    def door(folder: Path) -> Any:
        return json.loads(command("evaluate", "model.pt", frames, "--json", "--output", "out.xyz", *options))["errors"]

    return door


def resume(folder: Path) -> Any:
    (folder / "run" / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes())
    command("train", "config.yaml", "-o", "run", "--resume", "--set", "max_epochs=2", "--set", "max_time=2")


def export(folder: Path) -> Any:
    command("export", "best.ckpt", "-o", "exported.pt", "--dtype", "float64")
    return json.loads(command("info", "exported.pt", "--json"))["reference_energies"]


def train(folder: Path) -> Any:
    command("train", "config.yaml", "-o", "other", "--set", "max_time=1")


DOORS: dict[str, Door] = {
    "read_model": Door(python, ("model.pt",), 3),
    "ASE": Door(calculator, ("model.pt", "structure.json", "structure.json"), 4),
    "SpinConvForce": Door(openmm_force, ("model.pt", "structure.json"), 4),
    "OpenMM XML": Door(openmm_xml, ("force.xml",), 2),
    "pair_style": Door(lammps, ("model.pt", "pair.txt", "structure.json"), 4),
    "info model.pt": Door(lambda folder: json.loads(command("info", "model.pt", "--json")), ("model.pt",), 2),
    "info best.ckpt": Door(lambda folder: json.loads(command("info", "best.ckpt", "--json")), ("best.ckpt",), 4),
    "info": Door(lambda folder: command("info", "best.ckpt") and None, ("best.ckpt",), 2),
    "evaluate .xyz": Door(evaluate("frames.xyz"), ("frames.xyz",), 3),
    "evaluate .npz": Door(evaluate("frames.npz"), ("frames.npz",), 2),
    "evaluate .db": Door(evaluate("frames.db"), ("frames.db",), 2),
    "evaluate QM9": Door(evaluate("qm9.xyz", "--energy-key", "U0"), ("qm9.xyz",), 2),
    "evaluate @": Door(evaluate("frames.xyz@numbers.txt"), ("numbers.txt",)),
    "export": Door(export, ("best.ckpt",)),
    "bind": Door(lambda folder: command("bind", "model.pt", "structure.xyz", "-o", "bound.pt") and None, ("model.pt", "structure.xyz")),
    "check": Door(lambda folder: command("check", "model.pt", "structure.xyz") and None, ("model.pt", "structure.xyz")),
    "train": Door(train, ("config.yaml", "config.yaml", "frames.xyz"), 4),
    "train --resume": Door(resume, ("last.ckpt",)),
    "new": Door(lambda folder: command("new", "frames.xyz", "-o", "new.yaml") and None, ("frames.xyz",)),
    "lammps-data": Door(lambda folder: command("lammps-data", "structure.xyz", "-o", "out.data") and None, ("structure.xyz",)),
}
