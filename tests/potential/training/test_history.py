import math
import struct

import pytest
from matplotlib.figure import Figure

from spinconv.potential.training.history import (
    Record,
    add_time_axis,
    draw_history,
    plain_log_scale,
    read_history,
    time_ticks,
    write_history,
)


def record(epoch: int, step: int, seconds: float, **changes) -> Record:
    found = Record(epoch, step, 0.5 / epoch, 0.4 / epoch, 20.0, 2.0 / epoch, 50.0 / epoch, math.nan, 1e-3 / epoch, seconds)
    return found._replace(**changes)


@pytest.mark.parametrize(
    ("seconds", "unit", "last"),
    [
        (0.05, "seconds", 0.05),
        (100, "seconds", 100),
        (130, "minutes", 2),
        (3600, "minutes", 60),
        (3 * 3600, "hours", 3),
        (5 * 86400, "days", 5),
    ],
)
def test_times_have_the_unit_in_which_they_are_read_best(seconds, unit, last):
    found, times = time_ticks(seconds)
    assert found == unit
    assert times[0] == 0
    assert times[-1] == pytest.approx(last)


def test_times_stand_above_the_steps_that_were_reached_then():
    axes = Figure().subplots()
    axes.set_xlim(0, 3000)
    add_time_axis(axes, [record(1, 1000, 60.0), record(2, 2000, 240.0), record(3, 3000, 300.0)])  # the second epoch was slow
    (above,) = axes.child_axes
    labels = {label.get_text(): tick for label, tick in zip(above.get_xticklabels(), above.get_xticks(), strict=True)}
    assert above.get_xlabel() == "minutes"
    assert labels == {"0": 0, "1": 1000, "2": pytest.approx(4000 / 3), "3": pytest.approx(5000 / 3), "4": 2000, "5": 3000}


@pytest.mark.parametrize(("values", "wanted"), [([20, 300], {50, 100, 200}), ([0.001, 10], {0.01, 0.1, 1})])
def test_logarithmic_numbers_can_be_read(values, wanted):
    figure = Figure()
    axes = figure.subplots()
    axes.plot(values)
    plain_log_scale(axes)
    figure.draw_without_rendering()
    assert {f"{value:g}" for value in wanted} <= {label.get_text() for label in axes.get_yticklabels()}


@pytest.mark.parametrize("n_records", [1, 3, 40])
def test_every_history_can_be_drawn(tmp_path, n_records):
    draw_history(tmp_path / "curve.png", [record(k, 500 * k, 70.0 * k) for k in range(1, n_records + 1)], "a title")
    width, height = struct.unpack(">II", (tmp_path / "curve.png").read_bytes()[16:24])
    assert width > 2 * height


def test_a_history_is_read_as_it_was_written(tmp_path):
    records = [record(1, 5, 0.25, stress_mae_mev_per_cubic_angstrom=1.0), record(2, 10, 0.5, stress_mae_mev_per_cubic_angstrom=0.5)]
    write_history(tmp_path / "log.csv", records)
    assert read_history(tmp_path / "log.csv") == records
    assert read_history(tmp_path / "nothing.csv") == []


@pytest.mark.parametrize("cut", [2, 4, 20, 40])
def test_a_last_line_that_was_cut_short_is_left_out(tmp_path, cut):
    records = [record(epoch, 1000 * epoch, 60.0 * epoch) for epoch in (1, 2, 3)]
    write_history(tmp_path / "log.csv", records)
    whole = (tmp_path / "log.csv").read_bytes()
    for broken in (whole[:-cut], whole[:-cut] + bytes(cut), whole[:-cut] + bytes(cut) + b"\n"):
        (tmp_path / "log.csv").write_bytes(broken)
        assert [r.epoch for r in read_history(tmp_path / "log.csv")] == [1, 2]
    for nothing in (b"", b"epo", bytes(50)):
        (tmp_path / "log.csv").write_bytes(nothing)
        assert read_history(tmp_path / "log.csv") == []
