"""The C++ reader of model files finds what Python finds, and refuses what Python refuses, in the same words."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packed import DATA, WRONG_WEIGHTS, made, of_format_1, other_torchscript, packed, saved, saved_again

from models import random_model
from spinconv.export.container import read_container, unpack
from spinconv.potential.sealed import seal

ROOT = Path(__file__).parents[2]
SOURCES = ["container", "file", "json", "json_parser", "metadata", "safetensors", "sealed", "sha256"]
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")

Reader = Callable[..., list]


@pytest.fixture(scope="module")
def read_by_cpp(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """What the program says of files: it is compiled from these sources alone, without torch."""
    program = tmp_path_factory.mktemp("cpp") / "read_container"
    sources = [ROOT / "export" / "src" / f"{name}.cpp" for name in SOURCES]
    includes = [f"-I{ROOT}/export/include", f"-I{ROOT}/export/src"]
    main = ROOT / "tests" / "export" / "cpp" / "read_container.cpp"
    subprocess.run([COMPILER, "-std=c++17", "-O1", *includes, main, *sources, "-o", program], check=True)

    def read(*paths: Path) -> list:
        done = subprocess.run([program, *paths], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return read


def test_both_find_the_same(read_by_cpp: Reader, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(DATA)
    (found,), (metadata, weights, weights_sha256) = read_by_cpp(path), read_container(path)
    coverage = metadata.coverage
    assert coverage is not None
    assert (found["kind"], found["dtype"], found["conservative"]) == (metadata.kind, metadata.dtype, metadata.conservative)
    assert found["weights_sha256"] == weights_sha256
    assert found["text_sha256"] == hashlib.sha256(metadata.text().encode()).hexdigest()
    assert found["sizes"] == [metadata.model.cutoff, metadata.model.n_blocks, metadata.scale, metadata.average_neighbors]
    assert found["elements"] == metadata.model.elements
    assert found["reference_energies"] == [metadata.reference_energies[symbol] for symbol in metadata.elements]
    pairs = [(sorted((a, b), key=metadata.elements.index)) for a in metadata.elements for b in metadata.elements]
    assert found["shortest_distances"] == [coverage.shortest_distances.get(f"{a}-{b}") for a, b in pairs]
    assert found["neighbor_range"] == [count for symbol in metadata.elements for count in coverage.neighbors[symbol]]
    for name, values in metadata.probe.model_dump().items():
        np.testing.assert_array_equal(found[f"probe_{name}"], np.ravel(values))
    assert found["weights"].keys() == weights.keys()
    for name, values in weights.items():
        assert (found["weights"][name]["dtype"], found["weights"][name]["shape"]) == (values.dtype, list(values.shape))
        np.testing.assert_array_equal(found["weights"][name]["values"], np.ravel(values))


def test_a_file_without_coverage_says_nothing_of_it(read_by_cpp: Reader, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(packed(random_model(), coverage=None))
    (found,) = read_by_cpp(tmp_path / "model.pt")
    assert found["shortest_distances"] == found["neighbor_range"] == []


FILES = [
    b"text",
    saved_again(DATA),
    of_format_1(),
    other_torchscript(),
    saved({"a": 1}),
    seal(saved({"a": 1})),
    seal(saved({"a": 1}), "a note"),
    made("spinconv.json=0+99999 weights.safetensors=0+8"),
    made("spinconv.json=999999999999+1 weights.safetensors=0+8"),
    made("spinconv.json=0+8 weights.safetensors=8+99999"),
    made("spinconv.json=1+1 weights.safetensors=9999999999999+1"),
    b"",
    *(DATA[:size] for size in (1, 3, 4, 1000, len(DATA) - 65, len(DATA) - 1)),
    *(DATA[:place] + bytes([DATA[place] ^ 1]) + DATA[place + 1 :] for place in (0, 200, -1, -2, -70, -75, -80, -150, -160)),
]


def test_both_refuse_in_the_same_words(read_by_cpp: Reader, tmp_path: Path) -> None:
    paths = []
    for n, data in enumerate(FILES):
        paths.append(tmp_path / f"{n}.pt")
        paths[-1].write_bytes(data)
    paths += [tmp_path, Path("/dev/zero")]
    for path, sentence in zip(paths, read_by_cpp(*paths), strict=True):
        with pytest.raises(ValueError) as raised:  # noqa: PT011  # the words are compared below
            read_container(path)
        assert str(raised.value).replace(f"`{path}`", str(path)) == sentence


def test_both_refuse_the_same_weights(read_by_cpp: Reader, tmp_path: Path) -> None:
    """Each finds another fault first, so the words differ."""
    text, paths = unpack(DATA, "").metadata.text().encode(), []
    for n, weights in enumerate(WRONG_WEIGHTS):
        paths.append(tmp_path / f"{n}.pt")
        places = f"spinconv.json=0+{len(text)} weights.safetensors={len(text)}+{len(weights)}"
        paths[-1].write_bytes(seal(text + weights + saved({"a": 1}), places))
    for path, sentence in zip(paths, read_by_cpp(*paths), strict=True):
        assert sentence.startswith(f"{path} is damaged: its weights.safetensors "), sentence
        with pytest.raises(ValueError, match=f"^`{path}` is damaged: its weights"):
            read_container(path)
