"""The TorchScript of a model file, for those of our own checks that run it: loaded only where its code is what this package writes."""

import io
import os
import re
import zipfile
from collections.abc import Iterator

import torch

from spinconv.export.container import MOST_FILE, unpack
from spinconv.export.module import exported_model
from spinconv.export.reader import network
from spinconv.potential.sealed import read_bounded

MOST_CODE = 10_000_000
"""Bytes of all code in an archive, unpacked."""
MANGLED = re.compile(rb"[./]?___torch_mangle_\d+")
CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
"""Of a class, one a line. Torch writes them in the order of a set, which is another in every process."""


def load_own_torchscript(path: str | os.PathLike[str]) -> torch.jit.ScriptModule:
    """The scripted module in a model file; ValueError, before anything of it is run, where its code is not ours.

    Loading TorchScript runs code of the archive. So the code, which is text, is compared with that of the same model as this package
    writes it; an archive made by another version of torch may differ.
    """
    name = os.fspath(path)
    data = read_bounded(path, MOST_FILE, "model file")
    container = unpack(data, name)
    bound = container.metadata.bound
    exported = exported_model(network(container, name), outputs_forces=bound is not None and bound.outputs_forces)
    ours = io.BytesIO()
    torch.jit.save(torch.jit.script(exported), ours)
    if dict(code(data)) != dict(code(ours.getvalue())):
        made = container.metadata.versions.get("torch", "another")
        raise ValueError(
            f"the TorchScript in `{name}` is not the code that this spinconv writes with torch {torch.__version__} (it was made with torch "
            f"{made}), and is not run; export it again"
        )
    module: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(data), map_location="cpu")
    return module


def code(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Names, without the archive's own folder, and texts of all members that may hold code, without the numbers that torch gives to types
    of equal name, and with the constants of a class in the order of their names."""
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        infos = [info for info in members.infolist() if "/code/" in info.filename and info.filename.endswith(".py")]
        if sum(info.file_size for info in infos) > MOST_CODE or len({info.filename for info in infos}) < len(infos):
            raise ValueError(f"its code must be at most {MOST_CODE // 1_000_000} MB, each file once")
        for info in infos:
            name = info.filename.partition("/")[2]
            yield MANGLED.sub(b"", name.encode()).decode(), CONSTANTS.sub(sorted_lines, MANGLED.sub(b"", members.read(info)))


def sorted_lines(found: re.Match[bytes]) -> bytes:
    """The lines of a match in alphabetical order."""
    return b"".join(sorted(found[0].splitlines(keepends=True)))
