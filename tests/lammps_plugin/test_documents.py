"""docs/lammps.md is true: its examples run, and its keywords and sentences are those of the source."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from structures import water_box

from models import SHIPPED_CHECKPOINT, SHIPPED_MODEL, random_model
from spinconv.export import export_model

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "lammps.md").read_text()
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```lammps\n(.*?)```", TEXT, re.DOTALL))
SOURCES = [
    ROOT / "export" / "include" / "spinconv" / "torch_version.h",
    *(ROOT / "lammps_plugin").glob("*.cpp"),
    *(ROOT / "export" / "src").glob("*.cpp"),
    *(ROOT / "export" / "src" / "gpu").glob("*.cpp"),
]

SYSTEM = """
units metal
region cell block 0 6.2 0 6.2 0 6.2
create_box 2 cell
mass 1 1.008
mass 2 15.999
{atoms}
{block}
thermo_style custom step pe press
run 0
"""


def test_every_block_is_run() -> None:
    assert TEXT.count("```lammps") == len(BLOCKS) >= 5


@pytest.mark.parametrize("name", BLOCKS)
def test_example_runs(name: str, program: Any, tmp_path: Path) -> None:
    if not (SHIPPED_MODEL.exists() and SHIPPED_CHECKPOINT.exists()):
        pytest.skip("the shipped models are not here")
    shutil.copytree(ROOT / "models", tmp_path / "models")
    shutil.copy(ROOT / "examples" / "lammps" / "ethanol_nve" / "data.ethanol", tmp_path)
    for seed, letter in enumerate("abc"):
        fields = {"channels": 16, "n_blocks": 2}
        export_model(random_model((1, 8), seed=seed, **fields), tmp_path / f"{letter}.pt")
    atoms = "\n".join(
        f"create_atoms {1 if z == 1 else 2} single {x!r} {y!r} {z_!r} units box"
        for z, (x, y, z_) in zip(water_box().numbers, water_box().get_positions(wrap=True).tolist(), strict=True)
    )
    block = re.sub(r"run +2000", "run 20", BLOCKS[name])
    done = program(block if "run " in block else SYSTEM.format(atoms=atoms, block=block))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Total wall time" in done.stdout


def test_the_table_has_every_keyword_and_its_default() -> None:
    source = (ROOT / "lammps_plugin" / "pair_settings.cpp").read_text()
    keywords = set(re.findall(r'^      \{"(\w+)",', source, re.MULTILINE))
    assert keywords == set(re.findall(r"^\| `(\w+)` \|", TEXT.split("## Examples")[0], re.MULTILINE))
    header = (ROOT / "lammps_plugin" / "pair_settings.h").read_text()
    assert "default_chunk = 100000;" in (ROOT / "export" / "include" / "spinconv" / "model.h").read_text()
    assert "out_freq = 100;" in header


def test_every_sentence_of_the_table_is_said() -> None:
    source = re.sub(r'"\s*\n\s*"', "", "\n".join(path.read_text() for path in SOURCES))
    source = re.sub(r'" \+ \w+ \+ "|\{\}', " ", source)
    table = TEXT.split("What the style says, and what to do:")[1].split("## Related")[0]
    sentences = [row.split(" | ")[0].removeprefix("| ").strip() for row in table.splitlines() if row.startswith("| `")]
    assert len(sentences) > 20
    for sentence in sentences:
        words = (
            sentence.strip("`").strip() if not sentence.endswith("``") else sentence.removeprefix("`").removeprefix("`").removesuffix("`")
        )
        for part in re.split(r"`", words):
            assert part.strip() in source, sentence
