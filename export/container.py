"""The model file: a TorchScript archive with a data part, under a seal that says where in the file the data part is.

    spinconv.json          metadata (metadata.py)
    weights.safetensors    the weights in float64, in the layout of the package safetensors

Both are members of the archive that are stored as they are. Our readers take everything from these two ranges of bytes, once the seal holds
for the whole file; they open no archive, unpickle nothing and run no code of the file. The TorchScript beside them is for TorchForce and
for people who load the file with torch alone. The C++ twin is src/container.cpp.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import safetensors.numpy

from spinconv.export.metadata import METADATA_FILE, Metadata, read_metadata
from spinconv.potential.memory import in_words
from spinconv.potential.sealed import is_whole_archive, open_sealed, read_bounded, seal

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "weights.safetensors"
WHAT = "model file written by `spinconv export`"
MOST_FILE = 1 << 30
"""Bytes of a model file."""
MOST_METADATA = 1 << 20
"""Bytes of its metadata."""
MOST_CHARACTERS = 300
"""Of a sentence about it."""
PLACES = re.compile(r"spinconv\.json=(\d{1,12})\+(\d{1,12}) weights\.safetensors=(\d{1,12})\+(\d{1,12})")
DTYPES = ("float64", "int64")
"""What weights are stored in."""


class Container(NamedTuple):
    """The data part of a model file."""

    metadata: Metadata
    weights: dict[str, np.ndarray]
    """float64 and int64, by name."""
    weights_sha256: str
    """Of weights.safetensors: equal for equal weights, whatever else two files say."""


def pack(module: "torch.jit.ScriptModule", metadata: Metadata, weights: Mapping[str, np.ndarray]) -> bytes:
    """The model file of a scripted module and its data part."""
    import torch

    members = {METADATA_FILE: metadata.text().encode(), WEIGHTS_FILE: pack_weights(weights)}
    if (size := len(members[METADATA_FILE])) > MOST_METADATA:
        raise ValueError(f"`{METADATA_FILE}` must take at most {in_words(MOST_METADATA)}, takes {in_words(size)}; shorten `training`")
    file = io.BytesIO()
    torch.jit.save(module, file, _extra_files=dict(members))
    archive = file.getvalue()
    return seal(archive, " ".join(f"{name}={archive.index(member)}+{len(member)}" for name, member in members.items()))


def unpack(data: bytes, name: str) -> Container:
    """The data part of the model file `data`, which errors call `name`; ValueError in words for anything else."""
    metadata, weights = data_part(data, name)
    with naming(name):
        return Container(read_metadata(metadata), unpack_weights(weights), hashlib.sha256(weights).hexdigest())


def unpack_metadata(data: bytes, name: str) -> tuple[Metadata, str]:
    """What the file says of itself, and the hash of its weights, which are not looked at."""
    metadata, weights = data_part(data, name)
    with naming(name):
        return read_metadata(metadata), hashlib.sha256(weights).hexdigest()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Says of what is wrong in which file it is."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{name}` is damaged: {printable(str(error))}; export it again") from None


def printable(sentence: str) -> str:
    """A sentence with words out of a file, which may be of any length and steer a terminal."""
    words = "".join(character if character.isprintable() else "?" for character in sentence)
    return words if len(words) <= MOST_CHARACTERS else words[:MOST_CHARACTERS] + " ..."


def read_container(path: str | os.PathLike[str]) -> Container:
    """The data part of a model file; FileNotFoundError, or ValueError in words for what is none."""
    return unpack(read_bounded(path, MOST_FILE, "model file"), os.fspath(path))


def refuse_unsealed(data: bytes, name: str) -> NoReturn:
    """Says what an archive without a seal is."""
    if f"/extra/{WEIGHTS_FILE}".encode() in data:
        raise ValueError(f"`{name}` was saved again by torch and has lost its seal; use the file that `spinconv export` wrote")
    if f"/extra/{METADATA_FILE}".encode() in data:
        raise ValueError(f"`{name}` was written for format 1 by spinconv 0.1; export it again from its checkpoint")
    what = "a TorchScript file" if b"/constants.pkl" in data else "an archive"
    raise ValueError(f"`{name}` must be a {WHAT}, is {what} without {METADATA_FILE}")


def data_part(data: bytes, name: str) -> tuple[bytes, bytes]:
    """The bytes of the metadata and of the weights, once the seal holds."""
    if is_whole_archive(data):
        refuse_unsealed(data, name)
    places = PLACES.fullmatch(open_sealed(data, name, WHAT))
    if not places:
        raise ValueError(f"`{name}` must be a {WHAT}, is another file of spinconv; export it if it is a checkpoint")
    at, size, weights_at, weights_size = (int(number) for number in places.groups())
    if size > MOST_METADATA or at + size > len(data) or weights_at + weights_size > len(data):
        raise ValueError(f"`{name}` is damaged: its seal names places that it does not have; export it again")
    return data[at : at + size], data[weights_at : weights_at + weights_size]


def pack_weights(weights: Mapping[str, np.ndarray]) -> bytes:
    """Weights in the layout of safetensors."""
    for name, values in weights.items():
        if str(values.dtype) not in DTYPES:
            raise ValueError(f"`{name}` must be of {' or '.join(DTYPES)}, got {values.dtype}")
        if not np.isfinite(values).all():
            raise ValueError(f"`{name}` must be finite numbers")
    return safetensors.numpy.save({name: np.asarray(values, order="C") for name, values in weights.items()})


def unpack_weights(data: bytes) -> dict[str, np.ndarray]:
    """The inverse of `pack_weights`."""
    try:
        weights = safetensors.numpy.load(data)
    except Exception as error:  # the package raises anything from KeyError to its own SafetensorError
        raise ValueError(f"its {WEIGHTS_FILE} cannot be read: {error}") from None
    for name, values in weights.items():
        if str(values.dtype) not in DTYPES or not np.isfinite(values).all():
            raise ValueError(f"its weights `{name}` must be finite numbers of {' or '.join(DTYPES)}")
    return weights


def is_model_file(path: Path) -> bool:
    """Whether a file is one of `spinconv export` and no checkpoint, as its seal says."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2000))
        return b" weights.safetensors=" in file.read()
