"""What README and docs show is run: Python blocks as they stand, shell lines as far as their words go."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(path, code, id=f"{path.name}-{name}")
    for path in DOCUMENTS
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
    assert text.count("```python") == len(re.findall(r"<!-- run: \w+ -->\n```python", text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_scripts_and_commands_exist(path: Path) -> None:
    text = path.read_text()
    for script in re.findall(r"bash ([\w./]+)", text):
        assert (ROOT / script).exists(), script
    from spinconv.export.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    for command in re.findall(r"^    spinconv (\w+)", text, re.MULTILINE):
        assert command in commands


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


def test_training_document_lists_every_key_of_the_config() -> None:
    from spinconv.potential.training.config import config_keys

    text = (ROOT / "docs" / "training.md").read_text()
    for key, kind, default, sentence in config_keys():
        assert f"| `{key}` | {kind} | {default} | {sentence} |" in text
