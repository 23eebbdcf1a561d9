"""The deviation file of a committee: a line is that of its step's frame, a file its committee's, what cannot be written an error."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structures import ethanol, water_box

DISPLACE = "displace_atoms all random 0.05 0.05 0.05 {}"

ONE_ATOM = """units metal
    region box block 0 9 0 9 0 9
    create_box 1 box
    mass 1 1.0
    create_atoms 1 single 1 1 1"""


def committee(lmp: Any, *models: Path, words: str) -> None:
    """A committee for water that is placed already."""
    lmp(f"pair_style spinconv {' '.join(map(str, models))} {words}", "pair_coeff * * H O")


def place(lmp: Any) -> None:
    lmp.place(water_box())
    lmp("mass * 4.0", "timestep 1e-5")


def lines(path: Path) -> np.ndarray:
    """step, three of the virial, three of the forces."""
    return np.loadtxt(path, ndmin=2)


def deviations(lmp: Any) -> np.ndarray:
    """Largest, smallest, mean, as thermo has them."""
    return np.array(lmp.engine.numpy.extract_compute("d", 0, 1))[:3]


def output(lmp: Any) -> None:
    lmp("compute d all pair spinconv", "thermo_style custom step pe c_d[1] c_d[2] c_d[3]")


def test_a_line_is_that_of_the_frame_which_monte_carlo_leaves(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    atoms = ethanol()
    atoms.set_cell([12, 12, 12])
    atoms.pbc = True
    elements = lmp.place(atoms)
    devi = tmp_path / "md.devi"
    lmp("mass * 4.0", "timestep 1e-5", f"pair_style spinconv {model_file} {other_model_file} out_freq 1 out_file {devi}")
    lmp(f"pair_coeff * * {elements}", "fix nve all nve", "fix swap all atom/swap 1 3 29494 1e9 ke no types 1 2")
    output(lmp)
    lmp("run 0 post no")
    found = [deviations(lmp)]
    for _ in range(3):
        lmp("run 1 post no")
        found.append(deviations(lmp))
    rows = lines(devi)
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(rows[:, 4:], found, rtol=1e-6)
    assert len({tuple(row) for row in rows[:, 4:]}) == 4, "nothing was swapped"


def test_every_frame_of_a_step_has_its_line_once(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    devi = tmp_path / "zero.devi"
    place(lmp)
    committee(lmp, model_file, other_model_file, words=f"out_freq 1 out_file {devi}")
    output(lmp)
    found = []
    for seed in (1, 2, 3):
        lmp("run 0 post no", "run 0 post no")
        found.append(deviations(lmp))
        lmp(DISPLACE.format(seed))
    rows = lines(devi)
    assert rows[:, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(rows[:, 4:], found, rtol=1e-6)


def test_a_minimisation_has_a_line_a_step(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    devi = tmp_path / "min.devi"
    place(lmp)
    committee(lmp, model_file, other_model_file, words=f"out_freq 1 out_file {devi}")
    output(lmp)
    lmp("min_modify dmax 0.01", "minimize 0 0 4 100")
    rows = lines(devi)
    assert rows[:, 0].tolist() == list(range(len(rows)))
    assert len(rows) == lmp.engine.get_thermo("step") + 1 > 2
    np.testing.assert_allclose(rows[-1, 4:], deviations(lmp), rtol=1e-6)


def test_another_style_has_another_file(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    place(lmp)
    lmp("fix 1 all nve")
    for name, models in {"first": (model_file, other_model_file), "second": (model_file, other_model_file, model_file)}.items():
        committee(lmp, *models, words=f"out_freq 1 out_file {tmp_path / name}")
        lmp("run 2 post no")
    assert lines(tmp_path / "first")[:, 0].tolist() == [0, 1, 2]
    assert lines(tmp_path / "second")[:, 0].tolist() == [2, 3, 4]


def test_a_style_that_comes_back_goes_on_with_its_file(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    devi = tmp_path / "md.devi"
    devi.write_text("of another program\n")
    words = f"out_freq 1 out_file {devi}"
    place(lmp)
    lmp("fix 1 all nve")
    committee(lmp, model_file, other_model_file, words=words)
    lmp("run 1 post no", "pair_style zero 4.0", "pair_coeff * *", "run 2 post no")
    committee(lmp, model_file, other_model_file, words=words)
    lmp("run 1 post no")
    assert lines(devi)[:, 0].tolist() == [0, 1, 3, 4]
    assert devi.read_text().count("max_devi_v") == 1
    assert "of another program" not in devi.read_text()


def test_a_file_stays_where_the_style_was_given(
    lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    place(lmp)
    committee(lmp, model_file, other_model_file, words="out_freq 1 out_file md.devi")
    lmp(f"shell cd {tmp_path / 'elsewhere'}", "run 0 post no")
    assert lines(tmp_path / "md.devi")[:, 0].tolist() == [0]


def test_two_committees_share_no_file(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    place(lmp)
    one = f"spinconv {model_file} {other_model_file} out_file"
    both = f"pair_style hybrid/overlay {one} {tmp_path}/md.devi {one} {tmp_path}/{{}}"
    words = f"`out_file` must be another for every committee, got {tmp_path}/./md.devi for two"
    with pytest.raises(Exception, match=re.escape(words)):
        lmp(both.format("./md.devi"))
    lmp(both.format("other.devi"), "pair_coeff * * spinconv 1 H O", "pair_coeff * * spinconv 2 H O", "run 0 post no")
    np.testing.assert_array_equal(lines(tmp_path / "md.devi"), lines(tmp_path / "other.devi"))


def test_a_link_is_the_file_that_it_leads_to(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    place(lmp)
    (tmp_path / "link.devi").symlink_to("md.devi")
    one = f"spinconv {model_file} {other_model_file} out_file"
    lmp(f"pair_style hybrid/overlay {one} {tmp_path}/md.devi {one} {tmp_path}/link.devi")
    lmp("pair_coeff * * spinconv 1 H O", "pair_coeff * * spinconv 2 H O")
    words = f"`out_file` must be another for every committee, got {tmp_path}/link.devi, which one is writing already"
    with pytest.raises(Exception, match=re.escape(words)):
        lmp("run 0 post no")


def test_partitions_share_no_file(program: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    text = f"""
    {ONE_ATOM}
    pair_style spinconv {model_file} {other_model_file} out_freq 1{{}}
    pair_coeff * * H
    run 0
    """
    done = program(
        text.format(" out_file ${name}").replace("units", "variable name world a.devi b.devi\nunits", 1), "-partition", "2x1", ranks=2
    )
    assert done.returncode == 0, done.stdout
    assert len(lines(tmp_path / "a.devi")) == len(lines(tmp_path / "b.devi")) == 1
    together = text.format("").replace("run 0", "run 200000")  # the first one is still writing when the second one begins
    done = program(together, "-partition", "2x1", ranks=2)
    assert done.returncode != 0
    said = "".join(path.read_text() for path in tmp_path.glob("screen.*"))
    assert "`out_file` must be another for every committee, got" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_full_disk_ends_the_run(ranks: int, program: Any, model_file: Path, other_model_file: Path) -> None:
    text = f"""
    {ONE_ATOM}
    create_atoms 1 single 2 1 1
    pair_style spinconv {model_file} {other_model_file} out_file /dev/full
    pair_coeff * * H
    run 0
    """
    done = program(text, ranks=ranks)
    assert done.returncode != 0
    assert "ERROR: pair_style spinconv: cannot write `out_file` /dev/full: No space left on device" in done.stdout


def test_a_file_in_no_folder_is_refused(lmp: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    place(lmp)
    committee(lmp, model_file, other_model_file, words=f"out_file {tmp_path}/nowhere/md.devi")
    with pytest.raises(Exception, match=r"cannot write `out_file` .*nowhere/md\.devi: No such file or directory"):
        lmp("run 0")


@pytest.mark.parametrize("halts", ["1.0 1.0", "0 1.0"])
def test_halt_is_refused_with_partitions(halts: str, program: Any, model_file: Path, other_model_file: Path, tmp_path: Path) -> None:
    text = f"""
    variable halt world {halts}
    {ONE_ATOM}
    pair_style spinconv {model_file} {other_model_file} out_freq 0 halt ${{halt}}
    pair_coeff * * H
    fix beads all pimd/langevin method nmpimd ensemble nvt integrator obabo temp 300 thermostat PILE_L 1234 tau 0.1
    run 5
    """
    done = program(text, "-partition", "2x1", ranks=2)
    assert done.returncode != 0
    said = "".join(path.read_text() for path in tmp_path.glob("screen.*"))  # where both worlds refuse, the first to do so ends the other
    assert "`halt` must be 0 with `-partition`, where others would wait for the one that ends; got 1" in said
