"""python -m tests.fuzz [--seconds 120] [--seed 0] [--case N] [--doors ASE,train]: see tests/fuzz/runner.py."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .doors import DOORS
from .runner import Report, Runner, in_words


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Damaged files and odd numbers at every door.")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="one case again; the doors must be those of before")
    parser.add_argument("--doors", default="", help=f"of {', '.join(DOORS)}")
    parser.add_argument("--keep", type=Path, help="folder of failing inputs")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="spinconv-fuzz-"))
    runner = Runner(folder, options.seed, [name for name in options.doors.split(",") if name])
    if options.case is None:
        report = runner.fuzz(options.seconds)
    else:
        tries: Counter[tuple[str, str]] = Counter()
        failure = runner.try_one(runner.case(options.case), tries)
        report = Report(tries, runner.left_out, [failure] if failure else [])
    print(in_words(report, options.seed, folder))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
