"""Every bad input has its sentence, and the sentence is tested."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packed import astray, lone_atom, of_format_1, other_torchscript, repacked, saved, saved_again
from structures import dimer

from spinconv.export.container import read_container

BOX = ("region cell block 0 9 0 9 0 9", "create_box 2 cell", "mass * 1.0", "create_atoms 1 single 1 1 1", "create_atoms 2 single 2 2 2")


def refused(lmp: Any, words: str, *lines: str) -> None:
    with pytest.raises(Exception, match=re.escape(words)) as caught:
        lmp(*lines)
    assert "Traceback" not in str(caught.value)


KEYWORDS = "chunk device direct_forces evaluator halt nonconservative out_file out_freq precision threads"
DEVICES = "`device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got "
SETTINGS = {
    "pair_style spinconv": "wants `model.pt [more models] [keyword value ...]`, got nothing",
    "pair_style spinconv precision float64": "wants `model.pt [more models] [keyword value ...]`, got no model before precision",
    "pair_style spinconv {model} precision": "keyword `precision` wants a value",
    "pair_style spinconv {model} precision half": "`precision` must be float32 or float64, got half",
    "pair_style spinconv {model} colour red": f"knows the keywords {KEYWORDS}, got colour, which is no file either",
    "pair_style spinconv {model} device gpu": DEVICES + "gpu",
    "pair_style spinconv {model} device cuda:": DEVICES + "cuda:",
    "pair_style spinconv {model} device cuda:99999999999": DEVICES + "cuda:99999999999",
    "pair_style spinconv nowhere.pt device gpu": DEVICES + "gpu",
    "pair_style spinconv {model} threads 0": "`threads` must be a number of threads, 1 or more, got 0",
    "pair_style spinconv {model} threads two": "`threads` must be a number of threads, 1 or more, got two",
    "pair_style spinconv {model} chunk -1": "`chunk` must be a number of edges, 0 for all at once, got -1",
    "pair_style spinconv {model} chunk 1e5": "`chunk` must be a number of edges, 0 for all at once, got 1e5",
    "pair_style spinconv {model} nonconservative maybe": "`nonconservative` must be yes or no, got maybe",
    "pair_style spinconv {model} direct_forces 1": "`direct_forces` must be yes or no, got 1",
    "pair_style spinconv {model} out_freq 10": "`out_freq` is for several models, got one",
    "pair_style spinconv {model} halt 1.0": "`halt` is for several models, got one",
    "pair_style spinconv {model} {model} halt high": "`halt` must be a force deviation, 0 for never, got high",
    "pair_style spinconv {model} {model} out_freq -5": "`out_freq` must be a number of steps, 0 for no file, got -5",
    "pair_style spinconv {model} {model} out_file ''": "`out_file` must be a path, got nothing",
    "pair_style spinconv {model} {model} out_file {model}": "`out_file` must not be one of the models, got {model}",
    "pair_style spinconv {model} nowhere.pt": "cannot open model file nowhere.pt: No such file or directory",
    "pair_style spinconv nowhere.pt": "cannot open model file nowhere.pt: No such file or directory",
    "pair_style spinconv /tmp": "/tmp must be a model file, is a folder",
}


@pytest.mark.parametrize(("line", "words"), SETTINGS.items())
def test_pair_style_refuses(line: str, words: str, lmp: Any, model_file: Path) -> None:
    lmp("units metal", *BOX)
    refused(lmp, "pair_style spinconv: " + words.format(model=model_file), line.format(model=model_file))


def test_a_model_may_have_any_name(lmp: Any, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dot and slash, too, where it is there."""
    shutil.copy(model_file, tmp_path / "second")
    monkeypatch.chdir(tmp_path)
    lmp("units metal", *BOX, f"pair_style spinconv {model_file} second", "pair_coeff * * H O", "run 0 post no")


@pytest.mark.parametrize("style", ["nowhere.pt", "{model} colour red", "{model} {model} halt high"])
def test_a_style_that_fails_leaves_the_one_before(style: str, lmp: Any, model_file: Path) -> None:
    """As where a notebook catches the error and goes on."""
    lmp("units metal", *BOX, f"pair_style spinconv {model_file}", "pair_coeff * * H O", "run 0 post no")
    with pytest.raises(Exception, match="pair_style spinconv"):
        lmp(f"pair_style spinconv {style.format(model=model_file)}")
    before = lmp.energy
    lmp("displace_atoms all random 0.1 0.1 0.1 1", "run 0 post no")
    after = lmp.energy, lmp.forces
    lmp(f"pair_style spinconv {model_file}", "pair_coeff * * H O", "run 0 post no")
    assert before != after[0] == lmp.energy
    np.testing.assert_array_equal(after[1], lmp.forces)
    assert np.abs(lmp.forces).max() > 0


def test_without_a_model_everything_says_so(lmp: Any, model_file: Path) -> None:
    lmp("units metal", *BOX)
    refused(lmp, "cannot open model file", "pair_style spinconv nowhere.pt")
    words = "pair_style spinconv has no model, because its `pair_style` line failed; give that again"
    refused(lmp, words, "run 0 post no")
    refused(lmp, words, "pair_coeff * * H O")
    refused(lmp, words, "minimize 0 0 10 10")
    lmp(f"pair_style spinconv {model_file}")
    refused(lmp, "All pair coeffs are not set", "run 0 post no")
    lmp("pair_coeff * * H O", "run 0 post no")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_pair_style_refuses_cuda_where_there_is_none(lmp: Any, model_file: Path) -> None:
    lmp("units metal", *BOX)
    refused(lmp, "`device` is cuda, but this torch finds no CUDA device; use cpu", f"pair_style spinconv {model_file} device cuda")


def as_bytes(make: Callable[[], bytes]) -> Callable[[Path, Path], object]:
    return lambda model, path: path.write_bytes(make())


def flipped(model: Path, path: Path) -> None:
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(model: Path, path: Path) -> None:
    path.write_bytes(model.read_bytes()[:-1000])


FILES = {
    "a text": (lambda model, path: path.write_text("not a model"), "must be a model file written by `spinconv export`, is of another kind"),
    "weights": (as_bytes(lambda: saved({"weight": torch.zeros(3)})), "is an archive without spinconv.json"),
    "a pipe": (lambda model, path: os.mkfifo(path), "must be a model file, is a pipe or a device"),
    "an empty file": (lambda model, path: path.touch(), "must be a model file, is empty"),
    "another's TorchScript": (as_bytes(other_torchscript), "is a TorchScript file without spinconv.json"),
    "of format 1": (as_bytes(of_format_1), "was written for format 1 by spinconv 0.1; export it again from its checkpoint"),
    "saved again": (
        lambda model, path: path.write_bytes(saved_again(model.read_bytes())),
        "was saved again by torch and has lost its seal; use the file that `spinconv export` wrote",
    ),
    "another kind": (
        lambda model, path: repacked(model, path, kind="cube"),
        "holds a model of kind `cube`, this spinconv runs `harmonic`",
    ),
    "damaged": (flipped, "is damaged: its bytes do not have the hash that is written in it"),
    "cut": (cut, "is damaged: it is cut short"),
    "of other shapes": (lambda model, path: repacked(model, path, weights={"energy.first.bias": np.zeros(3)}), "is damaged: "),
}


@pytest.mark.parametrize(("make", "words"), FILES.values(), ids=FILES)
def test_pair_style_refuses_a_file_that_is(make: Any, words: str, lmp: Any, model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    make(model_file, path)
    lmp("units metal", *BOX)
    refused(lmp, words, f"pair_style spinconv {path}")


def test_forces_that_are_no_gradient_are_refused_until_asked_for(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    path = repacked(model_file, tmp_path / "model.pt", conservative=False)
    lmp("units metal", *BOX)
    refused(
        lmp,
        "which will not be conserved; say `nonconservative yes` (in Python: nonconservative=True) to have that",
        f"pair_style spinconv {path}",
    )
    energies = []
    for style in (f"{path} nonconservative yes", f"{model_file}"):
        lmp(f"pair_style spinconv {style}", "pair_coeff * * H O", "run 0 post no")
        energies.append(lmp.energy)
    assert energies[0] == energies[1] != 0


COEFFICIENTS = {
    "pair_coeff * * H": "pair_coeff wants `* * <element of type 1> ...` with 2 elements (or NULL), got `* * H`",
    "pair_coeff * * H C O": "with 2 elements (or NULL), got `* * H C O`",
    "pair_coeff 1 2 H C": "Pair_coeff must start with * * for pair style spinconv",
    "pair_coeff * *": "with 2 elements (or NULL), got `* *`",
    "pair_coeff * * H Au": "does not know element `Au`; it knows H C O Cu",
    "pair_coeff * * H carbon": "does not know element `carbon`; it knows H C O Cu",
    "pair_coeff * * NULL NULL": "pair_coeff: at least one type must be an element, got NULL for all 2",
    "run 0": "All pair coeffs are not set",
}


@pytest.mark.parametrize(("line", "words"), COEFFICIENTS.items())
def test_pair_coeff_refuses(line: str, words: str, lmp: Any, model_file: Path) -> None:
    lmp("units metal", *BOX, f"pair_style spinconv {model_file}")
    refused(lmp, words, line)


RUNS = {
    "units lj": "so `units` must be metal, real, si, cgs, electron, micro or nano, got lj",
    "newton off": "pair_style spinconv wants `newton on` for pairs, got off",
    "atom_modify id no": "pair_style spinconv finds periodic images by atom IDs, which `atom_modify id no` took away",
}


@pytest.mark.parametrize(("line", "words"), RUNS.items())
def test_a_run_is_refused_with(line: str, words: str, lmp: Any, model_file: Path) -> None:
    lmp(*(["units metal"] if "units" not in line else []), line, *BOX)
    lmp(f"pair_style spinconv {model_file}", "pair_coeff * * H O")
    refused(lmp, words, "run 0")


def broken_for_copper(model: Path, path: Path) -> Path:
    """A model that fails, after its first exchange, where two copper atoms are neighbours: its last pair of elements has no factors."""
    name = "blocks.0.of_neighborhood.factors"
    return repacked(model, path, weights={name: read_container(model).weights[name][:-1]}, probe=lone_atom(model))


def test_weights_of_another_shape_are_refused_when_the_file_is_read(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    """A seal says that a file is whole, not that it makes sense: what code of our own reads must have the size that it counts on."""
    name = "blocks.0.of_neighborhood.factors"
    path = broken_for_copper(model_file, tmp_path / "model.pt")
    refused(lmp, f"is damaged: weights `{name}` must be 16 x 16, are 15 x 16", f"pair_style spinconv {path}")
    weights = read_container(model_file).weights
    for name, change in (("constants.row_component", 99), ("constants.row_kernel", -1), ("constants.monomials.0", 4)):
        path = repacked(model_file, tmp_path / "model.pt", weights={name: np.full_like(weights[name], change)})
        refused(lmp, "model.pt is damaged: ", f"pair_style spinconv {path} evaluator native")


def test_a_result_that_is_not_a_number_names_atom_and_step(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    path = astray(model_file, tmp_path / "model.pt")
    elements = lmp.place(dimer(1.2))
    lmp(f"pair_style spinconv {path}", f"pair_coeff * * {elements}", "reset_timestep 42")
    words = "energy or force of atom 1 is not a number; its nearest neighbor is at 1.2 A"
    refused(lmp, words, "run 0")


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("way", ["fails", "is not a number"])
def test_what_goes_wrong_on_one_rank_ends_all(way: str, ranks: int, program: Any, model_file: Path, tmp_path: Path) -> None:
    """A crowd at one end of a long box, and an atom or none at the other: the others wait for nobody."""
    (broken_for_copper if way == "fails" else astray)(model_file, tmp_path / "model.pt")
    atoms = "\n".join(f"create_atoms 1 single {2 + n} 2 2" for n in range(4))
    box = "region cell block 0 60 0 9 0 9\ncreate_box 1 cell\nmass 1 1.0"
    words = " evaluator torch" if way == "fails" else ""  # the native evaluator refuses such a file when it reads it
    done = program(f"units metal\n{box}\n{atoms}\npair_style spinconv model.pt{words}\npair_coeff * * Cu\nrun 0", ranks=ranks)
    assert done.returncode != 0
    said = {"fails": "index out of range", "is not a number": "is not a number; its nearest neighbor is at 1 A"}
    assert "ERROR: pair_style spinconv at step 0: " in done.stdout
    assert said[way] in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_on_top_of_each_other_are_named_by_their_ids_and_end_all_ranks(ranks: int, program: Any, model_file: Path) -> None:
    box = "region cell block 0 60 0 9 0 9\ncreate_box 1 cell\nmass 1 1.0\n"
    atoms = "create_atoms 1 single 30 2 2\ncreate_atoms 1 single 2 2 2\ncreate_atoms 1 single 2.005 2 2"
    done = program(f"units metal\n{box}{atoms}\npair_style spinconv {model_file}\npair_coeff * * H\nrun 0", ranks=ranks)
    assert done.returncode != 0
    assert "at step 0: atoms 2 and 3 are 0.005 Å apart; atoms must be at least 0.01 Å apart" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_an_atom_on_top_of_its_own_image_is_called_that(ranks: int, program: Any, model_file: Path) -> None:
    box = "region cell block 0 60 0 9 0 0.09\ncreate_box 1 cell\nmass 1 1.0\ncreate_atoms 1 single 2 2 0.04"
    done = program(f"units metal\n{box}\npair_style spinconv {model_file}\npair_coeff * * H\nrun 0", ranks=ranks)
    assert done.returncode != 0
    assert "at step 0: atom 1 and its own image are 0.09 Å apart; atoms must be at least 0.1 Å apart" in done.stdout
