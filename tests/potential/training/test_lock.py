"""Two trainings are never at work in one folder."""

import signal
import subprocess
import sys

import pytest

from spinconv.potential.training.config import ConfigError
from spinconv.potential.training.lock import locked

HOLD = "import sys, time; from pathlib import Path; from spinconv.potential.training.lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"


def test_the_second_is_refused_until_the_first_has_ended_however_it_does(tmp_path):
    folder = tmp_path / "runs" / "a"
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "held\n"
    with (
        pytest.raises(ConfigError, match=r"a: another training is at work there; wait for its end or choose"),
        locked(folder),
    ):
        pass
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with locked(folder):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_a_training_that_comes_to_nothing_leaves_no_folder(tmp_path):
    with locked(tmp_path / "a"):
        assert (tmp_path / "a").is_dir()
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    with locked(tmp_path / "b"):
        pass
    assert (tmp_path / "b").is_dir()  # it was there before
