"""What `spinconv check` found, an engine at a time: how far it is from ASE at most, where, and whether that is too far."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from spinconv.export.check import Difference, Tolerance


class Summary(NamedTuple):
    """One engine over all structures."""

    engine: str
    compared: list[Difference]
    tolerance: Tolerance
    skipped: dict[str, int]
    """Why some structures could not be compared, and how many."""

    @property
    def worst(self) -> Difference:
        """The structure that takes most of the tolerance."""
        return max(self.compared, key=self.tolerance.used_by)

    @property
    def failed(self) -> int:
        """Structures beyond the tolerance."""
        return sum(not self.tolerance.holds_for(row) for row in self.compared)

    @property
    def virial(self) -> float | None:
        """The largest difference, eV/atom; None where there was none to compare."""
        known = [row.virial for row in self.compared if row.virial is not None]
        return float(np.max(known)) if known else None

    def largest(self, what: Callable[[Difference], float]) -> float:
        """The largest of one kind of difference over all structures."""
        return float(np.max([what(row) for row in self.compared]))

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        figures = {}
        if self.compared:
            figures = {
                "energy_eV_per_atom": self.largest(lambda row: row.energy), "forces_eV_per_angstrom": self.largest(lambda row: row.forces),
                "virial_eV_per_atom": self.virial, "relative": self.largest(lambda row: row.relative), "worst": self.worst.structure,
            }  # fmt: skip
        return {"engine": self.engine, "compared": len(self.compared), "failed": self.failed, **figures, "skipped": self.skipped}


def summaries(rows: Iterable[Difference], tolerance: Tolerance) -> list[Summary]:
    """One an engine, in the order they came."""
    found: dict[str, Summary] = {}
    for row in rows:
        summary = found.setdefault(row.engine, Summary(row.engine, [], tolerance, {}))
        if row.unavailable:
            summary.skipped[row.unavailable] = summary.skipped.get(row.unavailable, 0) + 1
        else:
            summary.compared.append(row)
    return list(found.values())


def summary_table(found: Sequence[Summary], tolerance: Tolerance, title: str) -> Table:
    """A row for each engine that compared anything, the tolerance below them; 80 columns hold it."""
    table = Table(title=escape(title), box=box.SIMPLE_HEAD)
    table.add_column("engine")
    for heading in ("energy\neV/atom", "forces\neV/Å", "virial\neV/atom", "relative"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst at", no_wrap=True)
    table.add_column("", no_wrap=True)
    for s in found:
        if s.compared:
            virial = "-" if s.virial is None else f"{s.virial:.0e}"
            figures = (f"{s.largest(lambda row: row.energy):.0e}", f"{s.largest(lambda row: row.forces):.0e}", virial)
            relative = f"{s.largest(lambda row: row.relative):.0e}"
            table.add_row(escape(s.engine), *figures, relative, s.worst.structure, "DIFFERS" if s.failed else "ok")
    table.add_section()
    table.add_row("tolerance", *(f"{most:.0e}" for most in tolerance))
    return table


def skipped_in_words(found: Sequence[Summary]) -> list[str]:
    """A line for every reason of an engine not to compare, once."""
    return [
        f"{s.engine}: skipped{'' if n_all == n else f' for {n} of {n_all} structures'}, {reason}"
        for s in found
        for n_all in [len(s.compared) + sum(s.skipped.values())]
        for reason, n in s.skipped.items()
    ]


def verdict(found: Sequence[Summary], model: str) -> str:
    """The sentence at the end."""
    wrong = [s for s in found if s.failed]
    if wrong:
        where = "; ".join(f"{s.engine} in {s.failed} of {len(s.compared)} structures, most in {s.worst.structure}" for s in wrong)
        return f"ERROR: {model} differs from ASE beyond the tolerance: {where}; do not use this file"
    right = [s.engine for s in found if s.compared]
    without = [s.engine for s in found if not s.compared]
    not_compared = f"; not compared: {', '.join(without)}" if without else ""
    most = max(len(s.compared) for s in found)
    return f"All agree with ASE on {most} structures: {', '.join(right)}{not_compared}."
