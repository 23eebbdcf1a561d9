"""Every bad input has its sentence, and the sentence is tested."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from structures import dimer

BOX = ("region cell block 0 9 0 9 0 9", "create_box 2 cell", "mass * 1.0", "create_atoms 1 single 1 1 1", "create_atoms 2 single 2 2 2")


def refused(lmp: Any, words: str, *lines: str) -> None:
    with pytest.raises(Exception, match=re.escape(words)) as caught:
        lmp(*lines)
    assert "Traceback" not in str(caught.value)


KEYWORDS = "chunk device halt nonconservative out_file out_freq precision threads"
SETTINGS = {
    "pair_style spinconv": "wants `model.pt [more models] [keyword value ...]`, got nothing",
    "pair_style spinconv precision float64": "wants `model.pt [more models] [keyword value ...]`, got no model before precision",
    "pair_style spinconv {model} precision": "keyword `precision` wants a value",
    "pair_style spinconv {model} precision half": "`precision` must be float32 or float64, got half",
    "pair_style spinconv {model} colour red": f"knows the keywords {KEYWORDS}, got colour, which is no file either",
    "pair_style spinconv {model} device gpu": "`device` must be auto, cpu, cuda or cuda:<index>, got gpu",
    "pair_style spinconv {model} device cuda:": "`device` must be auto, cpu, cuda or cuda:<index>, got cuda:",
    "pair_style spinconv {model} device cuda:99999999999": "`device` must be auto, cpu, cuda or cuda:<index>, got cuda:99999999999",
    "pair_style spinconv nowhere.pt device gpu": "`device` must be auto, cpu, cuda or cuda:<index>, got gpu",
    "pair_style spinconv {model} threads 0": "`threads` must be a number of threads, 1 or more, got 0",
    "pair_style spinconv {model} threads two": "`threads` must be a number of threads, 1 or more, got two",
    "pair_style spinconv {model} chunk -1": "`chunk` must be a number of edges, 0 for all at once, got -1",
    "pair_style spinconv {model} chunk 1e5": "`chunk` must be a number of edges, 0 for all at once, got 1e5",
    "pair_style spinconv {model} nonconservative maybe": "`nonconservative` must be yes or no, got maybe",
    "pair_style spinconv {model} out_freq 10": "`out_freq` is for several models, got one",
    "pair_style spinconv {model} halt 1.0": "`halt` is for several models, got one",
    "pair_style spinconv {model} {model} halt high": "`halt` must be a force deviation, 0 for never, got high",
    "pair_style spinconv {model} {model} out_freq -5": "`out_freq` must be a number of steps, 0 for no file, got -5",
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


class Scripted(torch.nn.Module):
    """Something TorchScript that is no model of ours, or says it is one of another time."""

    format_version: int
    kind: str
    cutoff: float
    elements: list[int]
    conservative: bool
    dtype: str
    n_blocks: int

    def __init__(self, **says: Any) -> None:
        super().__init__()
        self.format_version, self.kind, self.cutoff, self.elements, self.conservative, self.dtype = 1, "harmonic", 5.0, [1], True, "float64"
        self.n_blocks = 0
        for name, value in says.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Geometry(NamedTuple):
    vectors: torch.Tensor


class ScriptedModel(Scripted):
    """One that answers, with nonsense."""

    @torch.jit.export
    def edges(self, vectors: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor) -> tuple[Geometry, torch.Tensor, torch.Tensor]:
        return Geometry(vectors), vectors, vectors

    @torch.jit.export
    def moments(self, k: int, m: torch.Tensor, geometry: Geometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        return torch.zeros(n_atoms, 1, dtype=m.dtype)

    @torch.jit.export
    def spin(self, k: int, moments: torch.Tensor, geometry: Geometry, j: torch.Tensor) -> torch.Tensor:
        return moments

    @torch.jit.export
    def mix(
        self, k: int, h: torch.Tensor, m: torch.Tensor, t: torch.Tensor, numbers_j: torch.Tensor, numbers_i: torch.Tensor
    ) -> torch.Tensor:
        return m

    @torch.jit.export
    def sums(self, m: torch.Tensor, geometry: Geometry, i: torch.Tensor, n_atoms: int) -> torch.Tensor:
        return torch.zeros(n_atoms, 3, dtype=m.dtype).index_add(0, i, m)

    @torch.jit.export
    def readout(self, sums: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return sums.sum(dim=1) * float("nan")


def save(module: torch.nn.Module, path: Path, metadata: bool = True) -> Path:
    extra = {"spinconv.json": json.dumps({"format_version": 1})} if metadata else {}
    torch.jit.save(torch.jit.script(module), str(path), _extra_files=extra)
    return path


def text_file(path: Path) -> None:
    path.write_text("not a model")


def weights(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


FILES = {
    "a text": (text_file, "is not a model.pt (`spinconv export` writes one)"),
    "weights": (weights, "is not a model.pt (`spinconv export` writes one)"),
    "an empty file": (Path.touch, "must be a model file, is empty"),
    "another's TorchScript": (
        lambda path: save(Scripted(), path, False),
        "is a TorchScript file but not one of spinconv (it has no spinconv.json)",
    ),
    "another format": (
        lambda path: save(Scripted(format_version=3), path),
        "was written for format 3, this spinconv reads format 1; export it again",
    ),
    "another kind": (lambda path: save(Scripted(kind="grid"), path), "holds a model of kind `grid`, this spinconv runs `harmonic`"),
    "direct forces": (lambda path: save(ScriptedModel(conservative=False), path), "are not the gradient of its energy"),
    "another size": (
        lambda path: save(ScriptedModel(shortest_distances=[1.0, 2.0], neighbor_range=[1, 2]), path),
        "is damaged: it must have a shortest distance for each of its 1 pairs of elements, got 2; export it again",
    ),
    "without stages": (lambda path: save(Scripted(), path), "is damaged: it has no method `edges`; export it again"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(("make", "words"), FILES.values(), ids=FILES)
def test_pair_style_refuses_a_file_that_is(make: Any, words: str, lmp: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    make(path)
    lmp("units metal", *BOX)
    refused(lmp, f"{path} {words}" if "folder" not in words else words, f"pair_style spinconv {path}")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_direct_forces_are_refused_until_asked_for(lmp: Any, tmp_path: Path) -> None:
    path = save(ScriptedModel(conservative=False), tmp_path / "model.pt")
    lmp("units metal", *BOX)
    refused(
        lmp,
        "which will not be conserved; say `nonconservative yes` (in Python: nonconservative=True) to have that",
        f"pair_style spinconv {path}",
    )
    refused(lmp, "this version of spinconv runs only models whose are", f"pair_style spinconv {path} nonconservative yes")


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


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_result_that_is_not_a_number_names_atom_and_step(lmp: Any, tmp_path: Path) -> None:
    path = save(ScriptedModel(elements=[6, 8]), tmp_path / "model.pt")
    elements = lmp.place(dimer(1.2))
    lmp(f"pair_style spinconv {path}", f"pair_coeff * * {elements}", "reset_timestep 42")
    words = "energy or force of atom 1 is not a number; its nearest neighbor is at 1.2 A"
    refused(lmp, words, "run 0")


class FailsAlone(ScriptedModel):
    """One block, and on a rank with many edges no result."""

    @torch.jit.export
    def spin(self, k: int, moments: torch.Tensor, geometry: Geometry, j: torch.Tensor) -> torch.Tensor:
        if j.shape[0] > 2:
            raise RuntimeError("too many edges for me")
        return moments.index_select(0, j)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("way", ["fails", "is not a number"])
def test_what_goes_wrong_on_one_rank_ends_all(way: str, ranks: int, program: Any, tmp_path: Path) -> None:
    """A crowd at one end of a long box, and an atom or none at the other: the others wait for nobody."""
    save((FailsAlone if way == "fails" else ScriptedModel)(n_blocks=1), tmp_path / "model.pt")
    atoms = "\n".join(f"create_atoms 1 single {2 + n} 2 2" for n in range(4))
    box = "region cell block 0 60 0 9 0 9\ncreate_box 1 cell\nmass 1 1.0"
    done = program(f"units metal\n{box}\n{atoms}\npair_style spinconv model.pt\npair_coeff * * H\nrun 0", ranks=ranks)
    assert done.returncode != 0
    words = {"fails": "too many edges for me", "is not a number": "is not a number; its nearest neighbor is at 1 A"}
    assert "ERROR: pair_style spinconv at step 0: " in done.stdout
    assert words[way] in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_on_top_of_each_other_are_named_by_their_ids_and_end_all_ranks(ranks: int, program: Any, model_file: Path) -> None:
    box = "region cell block 0 60 0 9 0 9\ncreate_box 1 cell\nmass 1 1.0\n"
    atoms = "create_atoms 1 single 30 2 2\ncreate_atoms 1 single 2 2 2\ncreate_atoms 1 single 2.05 2 2"
    done = program(f"units metal\n{box}{atoms}\npair_style spinconv {model_file}\npair_coeff * * H\nrun 0", ranks=ranks)
    assert done.returncode != 0
    assert "at step 0: atoms 2 and 3 are 0.05 Å apart; atoms must be at least 0.1 Å apart" in done.stdout
