"""Files of reference frames, read into checked frames in eV and Å."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.io
from ase.io.extxyz import key_val_str_to_dict

from spinconv.potential.memory import available_memory, in_words
from spinconv.potential.training.database import db_atoms, is_database, opened, read_db
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs, check, in_ev
from spinconv.potential.training.labels import check_keys, labelled
from spinconv.potential.training.npz import read_npz
from spinconv.potential.training.qm9 import has_properties, is_property, is_qm9, meaning, qm9_atoms, read_qm9, unit_of
from spinconv.potential.training.selection import chosen
from spinconv.potential.training.units import ENERGY, LENGTH
from spinconv.potential.words import in_one_line
from spinconv.potential.xyz import check_counts

VOIGT = re.compile(r"""(?<![^\s])(?P<name>stress|virial)=(?P<quote>["'])\s*(?P<numbers>(?:[^\s"']+\s+){5}[^\s"']+)\s*(?P=quote)""")

QUOTED, NAME = re.compile(r"""(["']).*?\1"""), re.compile(r"(?<![^\s])([^\s=]+)=")
"""What the comment line of an extended xyz is made of."""

Raw = tuple[list[Frame], str | None, str | None, str]  # frames, stated units of energy and length, who says so


class FrameFile(NamedTuple):
    """The frames of a file, in eV and Å, and the units it was in."""

    frames: list[Frame]
    units: str  # a sentence for the log
    energy: str = "eV"
    length: str = "Angstrom"
    is_told: bool = False  # the unit of energies, by the user, the file or its layout; otherwise it is ASE's
    notes: tuple[str, ...] = ()  # more sentences for the log: what was left out, and how virials were taken


def read_frames(
    path: str | Path,
    energy_unit: str | None = None,
    length_unit: str | None = None,
    keys: Keys = Keys(),  # noqa: B008  (immutable)
    needs: Needs = Needs(),  # noqa: B008  (immutable)
) -> FrameFile:
    """The checked frames of an .xyz, .extxyz (or anything else ASE reads), .db or .npz file, or of QM9's folder or tar, in eV and Å.

    Units not given are those that the file states, or of its layout (MD17 is in kcal/mol, QM9 in Hartree), or eV and Å.
    `path` may say which frames are meant: frames.npz@:1000, or frames.npz@index_train_01.csv (selection.py).
    Raises DataError that names the file and the frame, counted from 0 as in ase.io.read(path, index).
    """
    path, selection = chosen(Path(path))
    check_keys(keys)
    check_file(path)
    reader = in_data_errors(path, lambda: reader_of(path))
    raw, stated_energy, stated_length, why = in_data_errors(path, lambda: reader(path, keys, needs))
    if not raw:
        raise DataError(f"{path}: holds no frames")
    raw, of = (raw, "") if selection is None else (selection.of(raw, path), f" of {len(raw)}")
    for setting, wanted, stated in (("energy_unit", energy_unit, stated_energy), ("length_unit", length_unit, stated_length)):
        if wanted and stated and wanted != stated and (why == "stated in the file" or stated not in (*ENERGY, *LENGTH)):
            name = keys.setting(setting)
            raise DataError(f"{path}: the file says its unit is {stated}, {name} says {wanted}; take {name} out or mend the file")
    energy, length = energy_unit or stated_energy or "eV", length_unit or stated_length or "Angstrom"
    frames = [in_ev(frame, ENERGY.get(energy, 1.0), LENGTH[length]) for frame in raw]  # what is no energy stays as it is
    for frame in frames:
        check(frame)
    is_told = bool(energy_unit or stated_energy)
    origin = f"as {keys.setting('energy_unit')} says" if energy_unit else why if is_told else "ASE's units"
    which = "" if selection is None else f" (`@{selection.name}`)"
    units = f"{path.name}: {len(frames)}{of} frames{which} in {energy} and {length} ({origin})"
    what = [f"{path.name}: {meaning(keys.energy)}"] if reader in (read_qm9, read_qm9_extxyz) and is_property(keys.energy) else []
    return FrameFile(frames, units, energy, length, is_told, (*what, *notes(path.name, frames, keys, needs)))


def check_file(path: Path) -> None:
    """Refuse what is no file, is empty, or is larger than the memory."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if path.is_dir() and is_qm9(path):
        return
    if not path.is_file() or path.stat().st_size == 0:
        raise DataError(f"{path}: {'the file is empty' if path.is_file() else 'is a folder or a device, not a file'}")
    if (size := path.stat().st_size) > (free := available_memory()):
        raise DataError(
            f"{path}: has {in_words(size)}, needs as much memory at least, and {in_words(free)} are free; cut it into smaller files"
        )


def in_data_errors(path: Path, read: Callable[[], Any]) -> Any:
    """What `read` gives; whatever else than DataError it raises becomes one."""
    try:
        return read()
    except DataError:
        raise
    except Exception as error:  # parsers raise anything at all on a broken file
        raise DataError(f"{path}: cannot be read: {in_one_line(error)}") from error


def reader_of(path: Path) -> Callable[[Path, Keys, Needs], Raw]:
    """How to read a file or folder: databases by their content, so that ASE never opens one to write."""
    if path.suffix == ".db" or (path.is_file() and is_database(path)):
        return read_db
    if path.suffix == ".npz":
        return read_npz
    if is_qm9(path):
        return read_qm9
    return read_qm9_extxyz if has_properties(path) else read_ase


def read_ase(path: Path, keys: Keys, needs: Needs) -> Raw:
    """Whatever ase.io reads; its readers convert to eV and Å, and extxyz is taken to be in them."""
    return [labelled(atoms, keys, needs, f"{path.name}, frame {k}") for k, atoms in enumerate(ase_atoms(path))], None, None, ""


def read_qm9_extxyz(path: Path, keys: Keys, needs: Needs) -> Raw:
    """QM9's molecules in an extended xyz, where its properties have kept their names, and so their units."""
    if not is_property(keys.energy):  # another energy that somebody has computed for them
        return read_ase(path, keys, needs)
    unit = unit_of(keys, needs, path)
    frames, *_ = read_ase(path, keys, needs)
    return frames, unit, None, "by QM9's properties in its comment lines"


def ase_atoms(path: Path) -> Iterator[ase.Atoms]:
    """The structures that ASE reads from a file."""
    check_counts(path)
    if ase.io.formats.filetype(str(path)) == "extxyz":
        return iter(ase.io.iread(path, ":", format="extxyz", do_not_split_by_at_sign=True, properties_parser=comments_of(path)))
    return iter(ase.io.iread(path, ":", do_not_split_by_at_sign=True))


def comments_of(path: Path) -> Callable[[str], dict[str, Any]]:
    """Takes the comment lines of an extended xyz apart, one after the other; errors name the frame."""
    frames = itertools.count()

    def parse(line: str) -> dict[str, Any]:
        frame = next(frames)
        try:
            return checked_properties(VOIGT.sub(nine_numbers, line))
        except ValueError as error:
            raise DataError(f"{path.name}, frame {frame}: cannot be read: {in_one_line(error)}") from error

    return parse


def nine_numbers(six: re.Match[str]) -> str:
    """ASE wants nine numbers under these names, and other programs write Voigt's six (xx, yy, zz, yz, xz, xy)."""
    xx, yy, zz, yz, xz, xy = six["numbers"].split()
    return f'{six["name"]}="{xx} {xy} {xz} {xy} {yy} {yz} {xz} {yz} {zz}"'


def checked_properties(line: str) -> dict[str, Any]:
    """The comment line of an extended xyz, as ASE takes it apart; it would cut atomic numbers that are no whole ones, and take the last of
    two values."""
    names = NAME.findall(QUOTED.sub("", line))
    if len(names) > len(set(names)):
        raise ValueError(f"the comment line has `{next(name for name in names if names.count(name) > 1)}` twice")
    found: dict[str, Any] = key_val_str_to_dict(line)
    columns = str(found.get("Properties", "")).split(":")
    for name, kind in zip(columns[::3], columns[1::3], strict=False):
        if name in ("Z", "numbers") and kind != "I":
            raise ValueError(f"the column `{name}` must be whole atomic numbers (`{name}:I:1`), got `{name}:{kind}` in `Properties`")
    return found


def first_atoms(path: Path, most: int | None = None) -> list[ase.Atoms]:
    """The first structures of a file (.npz aside), with everything that it says of them and nothing checked; all that are meant without
    `most`."""

    def read() -> list[ase.Atoms]:
        reader = reader_of(file)
        if reader is not read_db:
            return list(itertools.islice((qm9_atoms if reader is read_qm9 else ase_atoms)(file), most))
        with opened(file) as database:
            return [db_atoms(row) for row in database.select(limit=most)]

    file, selection = chosen(path)
    check_file(file)
    found: list[ase.Atoms] = in_data_errors(file, read)
    return selection.of(found, file) if selection is not None and most is None else found


def notes(name: str, frames: list[Frame], keys: Keys, needs: Needs) -> Iterator[str]:
    """What a user should know of how the labels were taken."""
    if keys.virial is not None:
        yield f"{name}: the stress is -`{keys.virial}` / volume"
    for what, n in Counter(what for frame in frames for what in frame.left_out).items():
        yield f"{name}: {n} of {len(frames)} frames {what}"
    without = sum(frame.stress is None for frame in frames)
    if needs.stress and without > 0:
        yield f"{name}: {without} of {len(frames)} frames have no stress, and are left out of its error"
