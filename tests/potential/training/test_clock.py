import math
import re

import pytest

from spinconv.potential.training.clock import Clock, clock_time, duration


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("max_time", "total_steps", "left", "steps"),
    [
        (None, 50, 80.0, 50),  # 2 s a step: 40 steps more
        (60.0, -1, 30.0, 25),  # of 60 s, 10 are of an earlier run and 20 of this one
        (60.0, 50, 40.0, 30),  # beside steps the time is that of this run
        (600.0, 50, 80.0, 50),
        (15.0, -1, 0.0, 10),
    ],
)
def test_the_end_is_told_from_the_speed_so_far(max_time, total_steps, left, steps):
    now = Time()
    clock = Clock(max_time, total_steps, now)
    clock.load_state_dict({"seconds": 10.0})
    now.seconds += 20.0
    assert clock.forecast(10) == (left, steps)


def test_the_part_of_the_time_is_none_where_steps_are_the_budget():
    clock = Clock(60.0, 50)
    clock.load_state_dict({"seconds": 30.0})
    assert clock.done == 0.0
    clock = Clock(60.0, -1)
    clock.load_state_dict({"seconds": 30.0})
    assert clock.done == 0.5
    clock.load_state_dict({"seconds": 300.0})
    assert clock.done == 1.0
    assert math.isnan(clock.step_milliseconds)  # no epoch yet


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (725, "12 min 05 s"),
        (12000, "3 h 20 min"),
        (7200, "2 h"),
        (7265, "2 h 01 min"),
        (183700, "2 d 3 h"),
    ],
)
def test_times_are_said_in_two_units(seconds, words):
    assert duration(seconds) == words


def test_another_day_is_named():
    assert re.fullmatch(r"at \d\d:\d\d:\d\d|on \w+ at \d\d:\d\d", clock_time(1))  # it may be midnight
    assert re.fullmatch(r"on \w+ at \d\d:\d\d", clock_time(3 * 86400))
    assert re.fullmatch(r"on \d{4}-\d\d-\d\d", clock_time(30 * 86400))
