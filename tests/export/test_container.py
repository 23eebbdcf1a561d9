"""Model files of format 2: the data part is what was packed, and nothing else is read as one, or runs."""

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from packed import (
    CONFIG,
    DATA,
    WRONG_WEIGHTS,
    made,
    metadata_of,
    of_format_1,
    other_torchscript,
    packed,
    saved,
    saved_again,
)

from models import random_model
from spinconv.export.container import MOST_METADATA, pack, pack_weights, read_container, unpack, unpack_weights
from spinconv.export.probe import probe_difference
from spinconv.export.reader import network
from spinconv.export.writer import stored_weights
from spinconv.potential.sealed import seal


def test_the_data_part_is_what_was_packed() -> None:
    model = random_model(weights_times=2.0)
    metadata, weights, _ = unpack(DATA, "model.pt")
    assert metadata == metadata_of(model)
    assert weights.keys() == stored_weights(model).keys()
    for name, values in stored_weights(model).items():
        np.testing.assert_array_equal(weights[name], values)


def test_the_data_part_makes_the_model() -> None:
    found = unpack(DATA, "model.pt")
    assert probe_difference(network(found, "model.pt"), found.metadata.probe, CONFIG.cutoff) == (0.0, 0.0)


def test_the_torchscript_beside_it_computes_the_same() -> None:
    probe = unpack(DATA, "model.pt").metadata.probe
    # the same operations in another order: rounding of energies of thousands of eV
    assert max(probe_difference(torch.jit.load(io.BytesIO(DATA)), probe, CONFIG.cutoff)) < 1e-9


def test_another_model_does_not_pass_for_it() -> None:
    probe = unpack(DATA, "model.pt").metadata.probe
    assert min(probe_difference(random_model(weights_times=2.0, seed=1), probe, CONFIG.cutoff)) > 1e-3


def test_equal_weights_have_equal_hashes() -> None:
    model = random_model(weights_times=2.0)
    again, renamed, other = (
        unpack(data, "model.pt") for data in (packed(model), packed(model, name="another"), packed(random_model(seed=1)))
    )
    assert unpack(DATA, "model.pt").weights_sha256 == again.weights_sha256 == renamed.weights_sha256 != other.weights_sha256


def test_the_members_of_the_archive_are_the_data_part() -> None:
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        names = {name.rpartition("/")[2]: name for name in archive.namelist()}
        assert archive.read(names["spinconv.json"]) == unpack(DATA, "model.pt").metadata.text().encode()
        assert safetensors.numpy.load(archive.read(names["weights.safetensors"])).keys() == unpack(DATA, "model.pt").weights.keys()
        assert all(archive.getinfo(names[name]).compress_type == zipfile.ZIP_STORED for name in ("spinconv.json", "weights.safetensors"))


def test_weights_lie_where_eight_bytes_may_be_read_at_once() -> None:
    at = int(re.search(rb"weights\.safetensors=(\d+)", DATA)[1])  # type: ignore[index]
    assert (at + 8 + struct.unpack_from("<Q", DATA, at)[0]) % 8 == 0


# ---- damage


def test_changed_bytes_and_cuts_are_found_everywhere() -> None:
    """A thousand places; that of every byte of a small file is the law of sealed files."""
    for place in np.random.default_rng(0).integers(0, len(DATA), 1000).tolist():
        changed = DATA[:place] + bytes([DATA[place] ^ 0x20]) + DATA[place + 1 :]
        for data in (changed, DATA[:place]):
            with pytest.raises(ValueError, match=r"^`model.pt` (is damaged|must be a model file|has no seal)"):
                unpack(data, "model.pt")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"text", "must be a model file written by `spinconv export`, is of another kind"),
        (lambda: saved_again(DATA), "was saved again by torch and has lost its seal; use the file that `spinconv export` wrote"),
        (other_torchscript, "must be a model file written by `spinconv export`, is a TorchScript file without spinconv.json"),
        (lambda: saved({"a": 1}), "must be a model file written by `spinconv export`, is an archive without spinconv.json"),
        (lambda: seal(saved({"a": 1})), "must be a model file written by `spinconv export`, is another file of spinconv"),
        (lambda: DATA[:-1], "is damaged: it is cut short, or its end is changed; take another copy of it"),
        (lambda: DATA[:10_000], "is damaged: it is cut short, or its end is changed; take another copy of it"),
        (lambda: DATA.replace(b"harmonic", b"harmOnic", 1), "is damaged: its bytes do not have the hash that is written in it"),
    ],
)
def test_what_is_no_model_file_is_refused_in_words(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(ValueError, match=f"^`model.pt` {words}"):
        unpack(make(), "model.pt")


def test_files_of_format_1_are_to_be_exported_again() -> None:
    with pytest.raises(ValueError, match=r"`model.pt` was written for format 1 by spinconv 0.1; export it again from its checkpoint"):
        unpack(of_format_1(), "model.pt")


def test_a_path_is_read_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(DATA)
    assert read_container(tmp_path / "model.pt").metadata == unpack(DATA, "").metadata
    with pytest.raises(FileNotFoundError, match=f"`{tmp_path}/none.pt`: there is no such model file"):
        read_container(tmp_path / "none.pt")
    with pytest.raises(ValueError, match="must be a model file, is a pipe or a device"):
        read_container("/dev/zero")


# ---- files that somebody made and sealed


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ("spinconv.json=0+99999 weights.safetensors=0+8", "its seal names places that it does not have"),
        ("spinconv.json=999999999999+1 weights.safetensors=0+8", "its seal names places that it does not have"),
        ("spinconv.json=0+8 weights.safetensors=8+99999", "its seal names places that it does not have"),
        ("spinconv.json=0+8 weights.safetensors=8+8", "its spinconv.json must be strict JSON"),
        ("spinconv.json=-1+8 weights.safetensors=8+8", "is another file of spinconv"),
        ("spinconv.json=1+1 weights.safetensors=9999999999999+1", "is another file of spinconv"),
    ],
)
def test_places_outside_the_file_are_refused(places: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^`model.pt` .*{words}"):
        unpack(made(places), "model.pt")


@pytest.mark.parametrize("data", WRONG_WEIGHTS)
def test_weights_that_are_none_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^its weights(\.safetensors cannot be read: | `w` must be finite numbers of float64 or int64)"):
        unpack_weights(data)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones(2, dtype=np.float32), "`w` must be of float64 or int64, got float32"),
        (np.array([1.0, np.inf]), "`w` must be finite numbers"),
    ],
)
def test_weights_that_no_reader_takes_are_not_written(values: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pack_weights({"w": values})


@pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3).T, np.array(2.5), np.ones((0, 3)), np.array([2**62 + 1])])
def test_weights_of_any_shape_survive(values: np.ndarray) -> None:
    (read,) = unpack_weights(pack_weights({"w": values})).values()
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values, strict=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [("x" * 100_000, r"x{50,300} ?\.\.\."), ("red\n\x1b[31m", r"`dtype` must be one of float32 or float64, got 'red\\n\\x1b\[31m'")],
)
def test_a_sentence_can_be_read_whatever_a_file_says(value: str, words: str) -> None:
    text = unpack(DATA, "").metadata.model_dump() | {"dtype": value}
    metadata, weights = json.dumps(text).encode(), pack_weights({})
    data = seal(metadata + weights + saved({}), f"spinconv.json=0+{len(metadata)} weights.safetensors={len(metadata)}+{len(weights)}")
    with pytest.raises(ValueError, match=rf"^`model.pt` is damaged: .*{words}; export it again$"):
        unpack(data, "model.pt")


def test_metadata_that_no_reader_takes_are_not_written() -> None:
    module = torch.jit.script(torch.nn.Linear(1, 1))
    metadata = metadata_of(random_model(), training={"notes": "x" * MOST_METADATA})
    with pytest.raises(ValueError, match=r"`spinconv.json` must take at most 1 MB, takes 1 MB; shorten `training`"):
        pack(module, metadata, {})


# ---- nothing in the file runs


class Marker:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_reading_runs_nothing_of_a_file(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    evil = saved(Marker(marker))
    torch.load(io.BytesIO(evil), weights_only=False)
    assert marker.exists()  # the file does what it is made for
    marker.rmdir()
    for note in ("", re.search(rb"(spinconv\.json=.*) sha256", DATA)[1].decode()):  # type: ignore[index]
        with pytest.raises(ValueError, match=r"^`model.pt` "):
            unpack(seal(evil, note), "model.pt")
    with pytest.raises(ValueError, match=r"^`model.pt` "):
        unpack(evil, "model.pt")
    assert not marker.exists()


def test_reading_asks_no_reader_of_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose readers would have to be safe too."""
    for owner, name in ((torch, "load"), (torch.jit, "load"), (torch._C, "PyTorchFileReader"), (zipfile, "ZipFile")):
        monkeypatch.delattr(owner, name)
    assert unpack(DATA, "model.pt").weights
