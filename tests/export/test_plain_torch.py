"""Products are made in full precision whatever the host allows torch, and afterwards all is allowed that was."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from structures import water_box, with_calculator

from models import random_model
from spinconv.export import SpinConvCalculator, export_model
from spinconv.export.plain_torch import plain_torch


def allowed() -> list[str]:
    return [torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision]


def mkldnn_alone() -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")


HOSTS: dict[str, Callable[[], None]] = {
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "one backend": mkldnn_alone,
}


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_less_than_float32_is_used_and_the_host_finds_what_it_has_set(host: str) -> None:
    HOSTS[host]()
    before = allowed()
    assert {"tf32", "bf16"}.intersection(before)
    with plain_torch():
        assert allowed() == ["ieee", "ieee"]
        assert torch.get_float32_matmul_precision() == "highest"
    assert allowed() == before
    if host != "one backend":
        assert torch.get_float32_matmul_precision() == host


def test_of_two_threads_the_last_restores_what_the_first_has_found() -> None:
    torch.set_float32_matmul_precision("medium")
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with plain_torch():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with plain_torch():
        thread.start()
        assert entered.wait(10)
    assert allowed() == ["ieee", "ieee"]  # the other is still at work
    leave.set()
    thread.join()
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("host", ["medium", "one backend"])
def test_a_number_in_float32_is_the_same_to_the_last_bit(host: str, tmp_path) -> None:
    """Of 24 atoms of water: on CPUs with bfloat16 a matrix is large enough to be multiplied otherwise when it is allowed."""
    export_model(random_model(weights_times=2.0, seed=1), tmp_path / "model.pt")
    calculator = SpinConvCalculator(tmp_path / "model.pt", dtype="float32")
    atoms = with_calculator(water_box(), calculator)
    forces = atoms.get_forces()
    HOSTS[host]()
    calculator.reset()
    np.testing.assert_array_equal(atoms.get_forces(), forces)
