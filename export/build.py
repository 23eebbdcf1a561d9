"""What was compiled when spinconv was installed: the note that CMake left beside each plugin, and beside the evaluator by torch."""

import importlib.resources
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

BUILD = "pip install --force-reinstall --no-deps . in the folder of the sources"
"""What builds the plugins against the torch and the engines that are installed."""
PLUGINS = ("lammps_plugin", "openmm_plugin")
TORCH_EVALUATOR = "export"
"""The sub-package with libspinconv_torch.so, which the plugins load for `evaluator torch`, CUDA and models without a native one."""


class Build(NamedTuple):
    """A plugin, built or not."""

    plugin: str
    """What users call it."""
    engine: str
    """The engine and its version that it was built for."""
    torch: str
    """The version of PyTorch that the evaluator by torch was built against; empty where there was none."""
    not_built: str
    """Why it was not built; empty if it was."""
    kinds: Sequence[str] = ()
    """The kinds of models that it runs; empty where the note does not say."""

    def in_words(self) -> str:
        """A line for people."""
        if self.not_built:
            return f"{self.plugin}: not built: {self.not_built}; to build it once that is mended: {BUILD}"
        return f"{self.plugin}: built for {self.engine}"

    def kind_problem(self, kind: str) -> str:
        """Why it cannot run a model of a kind, or nothing."""
        if not self.kinds or kind in self.kinds:
            return ""
        return f"{self.plugin}: it runs models of kind {', '.join(self.kinds)}, not {kind}; to build it for what is here now: {BUILD}"

    def torch_problem(self, found: str) -> str:
        """Why it cannot run with the torch version `found`, or nothing: C++ interfaces change with the minor version.

        >>> Build("evaluator torch", "torch 2.13.0", "2.13.0", "").torch_problem("2.13.1+cpu")
        ''
        >>> Build("evaluator torch", "torch 2.13.0", "2.13.0", "").torch_problem("2.12.1")  # doctest: +ELLIPSIS
        'evaluator torch: it was built for torch 2.13, found torch 2.12; `pip install torch~=2.13.0`, or build it again ...'
        """
        if minor(self.torch) == minor(found):
            return ""
        built = minor(self.torch)
        return (
            f"{self.plugin}: it was built for torch {built}, found torch {minor(found)}; `pip install torch~={built}.0`, "
            f"or build it again for the one you have ({BUILD})"
        )


def torch_evaluator_problem(kind: str) -> str:
    """Why the engines' `evaluator torch` cannot run a model of a kind here, or nothing. Torch is not imported."""
    build = read_build(TORCH_EVALUATOR)
    if build.not_built:
        return build.in_words()
    try:
        return build.kind_problem(kind) or build.torch_problem(version("torch"))
    except PackageNotFoundError:
        return "evaluator torch: torch is not installed; `pip install torch`"


def minor(of: str) -> str:
    """Major and minor number.

    >>> minor("2.13.0+cpu")
    '2.13'
    """
    return ".".join(of.split(".")[:2])


def read_build(folder: str) -> Build:
    """The note of the plugin in the sub-package `folder`, as one that was not built if there is none."""
    note = importlib.resources.files("spinconv").joinpath(folder, "build.json")
    if not note.is_file():
        return Build(folder, "", "", "there is no build.json beside it")
    return Build(**json.loads(note.read_text()))
