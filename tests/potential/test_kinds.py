"""The table of kinds says what the folders have, in Python and in C++."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spinconv.potential import KINDS, Kind, PotentialModel
from spinconv.potential.config import KindConfig

ROOT = Path(__file__).parents[2]
STAGES = ("pairs", "tiles", "edges", "moments", "spin", "mix", "sums", "readout")
"""What export/src/evaluation.cpp calls."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_its_classes_are_what_they_must_be(kind: Kind) -> None:
    assert kind.name in KINDS
    assert issubclass(kind.config_class, KindConfig)
    assert isinstance(kind.model_class, type)
    assert issubclass(kind.model_class, PotentialModel)
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(kind.config_class) if field.name != "elements")


def test_its_equations_take_what_every_reader_gives_them(kind: Kind) -> None:
    names = ["w", "s", "numbers", "edge_index", "vectors"]
    assert list(inspect.signature(kind.equations.energies).parameters) == names
    if hasattr(kind.equations, "forces"):
        assert list(inspect.signature(kind.equations.forces).parameters) == names


def test_it_has_stages_where_the_table_says_so(kind: Kind) -> None:
    assert [hasattr(kind.equations, stage) for stage in STAGES] == [kind.has_stages] * len(STAGES)


def test_the_cpp_readers_have_every_kind() -> None:
    listed = re.findall(r"^spinconv_add_kind\((\w+) ", (ROOT / "export" / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert listed == list(KINDS)


def test_configs_are_read_without_torch() -> None:
    configs = "from spinconv.potential.kinds import KINDS; [kind.config_class for kind in KINDS.values()]"
    subprocess.run([sys.executable, "-c", f"import sys; {configs}; assert 'torch' not in sys.modules"], check=True)
