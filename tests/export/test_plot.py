"""spinconv plot as a person runs it, of both kinds of files; docs/paper.md has it for the harmonic model that is shipped."""

from pathlib import Path

import ase.io
import pytest
from click.testing import Result
from grid_models import grid_model
from structures import ethanol
from typer.testing import CliRunner

from models import random_model
from spinconv.export import export_model
from spinconv.export.cli import app
from spinconv.potential.model import PotentialModel
from spinconv.potential.training.checkpoint import KEY, model_state, write_checkpoint

MODELS: dict[str, PotentialModel] = {
    "harmonic": random_model(),
    "grid": grid_model(),
    "harmonics": grid_model(convolution="harmonics", lmax=2),
    "direct": grid_model(forces="fixed"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each model and a structure."""
    folder = tmp_path_factory.mktemp("plot")
    for name, model in MODELS.items():
        export_model(model, folder / f"{name}.pt")
    model = MODELS["harmonic"]
    write_checkpoint(folder / "harmonic.ckpt", {KEY: {**model_state(model, model.config, model.state_dict()), "training": {}}})
    ase.io.write(folder / "ethanol.xyz", ethanol())
    return folder


def spinconv(folder: Path, *words: str) -> Result:
    """Runs a command whose words may name files of the folder."""
    return CliRunner().invoke(app, ["plot", *(str(folder / word) if (folder / word.split("@")[0]).exists() else word for word in words)])


def size_of(picture: Path) -> tuple[int, int]:
    """Pixels of a PNG."""
    header = picture.read_bytes()[:24]
    assert header[1:4] == b"PNG"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


@pytest.mark.parametrize(
    "what",
    [
        "embeddings harmonic.ckpt",
        "embeddings grid.pt",
        "filters grid.pt --most 2",
        "filters harmonics.pt --most 2",
        "sphere direct.pt ethanol.xyz@0 --edge 2,1 --channels 2",
    ],
)
def test_every_picture_of_every_model(folder: Path, tmp_path: Path, what: str) -> None:
    done = spinconv(folder, *what.split(), "-o", str(tmp_path / "picture.png"))
    assert done.exit_code == 0, done.output
    assert "picture.png: written" in done.output.replace("\n", "")
    assert min(size_of(tmp_path / "picture.png")) > 300


def test_the_ending_says_the_format(folder: Path, tmp_path: Path) -> None:
    done = spinconv(folder, "filters", "grid.pt", "--most", "1", "-o", str(tmp_path / "picture.svg"))
    assert done.exit_code == 0, done.output
    assert "<svg" in (tmp_path / "picture.svg").read_text()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("embeddings grid.pt --embedding energy", "`embedding` must be one of all, initial_message.sender"),
        ("embeddings harmonic.pt --element U", "`element` must be one of the model's, H, C, O, Cu, got 'U'"),
        ("filters harmonic.pt --block 7", "`block` must be from 0 to 1, got 7"),
        ("filters ethanol.xyz", "ethanol.xyz"),
        ("sphere harmonic.pt ethanol.xyz --edge 2", "`--edge` must be two atoms from 0 to 8, as 1,0, got '2'"),
        ("sphere harmonic.pt ethanol.xyz --edge 2,9", "`--edge` must be two atoms from 0 to 8, as 1,0, got '2,9'"),
        ("sphere harmonic.pt ethanol.xyz --edge 2,2", "`edge` must be between neighbours, atoms 2 (O) and 2 (O) are none"),
        ("sphere harmonic.pt nothing.xyz --edge 2,1", "nothing.xyz: there is no such file"),
        ("sphere harmonic.pt water.xyz --edge 0,1", "`atoms` must consist of the model's elements H, C, O, Cu, got N"),
        ("embeddings grid.pt -o picture.doc", "`--output` must be a picture, as .png, .pdf or .svg, got 'picture.doc'"),
    ],
)
def test_a_mistake_is_one_sentence(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    ase.io.write(folder / "water.xyz", ase.Atoms("NHH", [(0, 0, 0), (1, 0, 0), (0, 1, 0)]))
    done = spinconv(folder, *what.split())
    assert done.exit_code == 1
    assert words in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["", "embeddings", "filters", "sphere"])
def test_help_is_there(what: str) -> None:
    done = CliRunner().invoke(app, ["plot", *what.split(), "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output
