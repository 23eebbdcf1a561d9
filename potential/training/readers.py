"""Files of reference frames, read into checked frames in eV and Å."""

from __future__ import annotations

import io
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
from spinconv.potential.training.aselmdb import aselmdb_atoms, read_aselmdb
from spinconv.potential.training.database import db_atoms, is_database, opened, read_db
from spinconv.potential.training.frames import DataError, Frame, Keys, Needs, check, in_ev
from spinconv.potential.training.labels import check_keys, labelled
from spinconv.potential.training.lmdb_file import is_lmdb
from spinconv.potential.training.npz import npz_atoms, read_npz
from spinconv.potential.training.qm9 import has_properties, is_property, is_qm9, meaning, qm9_atoms, read_qm9, unit_of
from spinconv.potential.training.s2ef import Line, check_number, lines_beside, lines_of, shards, text_of
from spinconv.potential.training.selection import chosen
from spinconv.potential.training.units import ENERGY, LENGTH
from spinconv.potential.words import in_one_line
from spinconv.potential.xyz import check_counts, check_counts_of

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
    """The checked frames, in eV and Å, of an .xyz, .extxyz (or anything else ASE reads), .db, .aselmdb or .npz file, of QM9's folder or
    tar, or of a folder of OC20's S2EF files or of .aselmdb files.

    Units not given are those that the file states, or of its layout (MD17 is in kcal/mol, QM9 in Hartree), or eV and Å.
    `path` may say which frames are meant: frames.npz@:1000, or frames.npz@index_train_01.csv (selection.py).
    Raises DataError that names the file and the frame, counted from 0 as in ase.io.read(path, index).
    """
    path, selection = chosen(Path(path))
    check_keys(keys)
    check_file(path)
    kind = in_data_errors(path, lambda: kind_of(path))
    raw, stated_energy, stated_length, why = in_data_errors(path, lambda: kind.read(path, keys, needs))
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
    what = [f"{path.name}: {meaning(keys.energy)}"] if kind in (QM9, QM9_XYZ) and is_property(keys.energy) else []
    return FrameFile(frames, units, energy, length, is_told, (*what, *notes(path.name, frames, keys, needs)))


def check_file(path: Path) -> None:
    """Refuse what is no file and no folder of files, is empty, or is larger than the memory."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if path.is_dir() and is_qm9(path):
        return
    if path.is_dir() and not (files := files_of(path)):
        raise DataError(
            f"{path}: is a folder, and has neither .aselmdb files nor N.extxyz or N.extxyz.xz with an N.txt beside, as OC20's S2EF"
        )
    if not path.is_dir() and (not path.is_file() or path.stat().st_size == 0):
        raise DataError(f"{path}: {'the file is empty' if path.is_file() else 'is a device, not a file'}")
    size = sum(file.stat().st_size for file in (files if path.is_dir() else [path]))
    if size > (free := available_memory()):
        raise DataError(
            f"{path}: has {in_words(size)}, needs as much memory at least, and {in_words(free)} are free; cut it into smaller files"
        )


def files_of(folder: Path) -> list[Path]:
    """The files of frames in a folder, in their order: OC20's S2EF, or ASE databases in LMDB."""
    return shards(folder) or sorted(folder.glob("*.aselmdb"))


def in_data_errors(path: Path, read: Callable[[], Any]) -> Any:
    """What `read` gives; whatever else than DataError it raises becomes one."""
    try:
        return read()
    except DataError:
        raise
    except Exception as error:  # parsers raise anything at all on a broken file
        raise DataError(f"{path}: cannot be read: {in_one_line(error)}") from error


class Kind(NamedTuple):
    """How frames are read from a path, and how structures alone with all that is said of them."""

    read: Callable[[Path, Keys, Needs], Raw]
    structures: Callable[[Path], Iterator[ase.Atoms]]


def kind_of(path: Path) -> Kind:
    """What a path is: databases by their content, so that ASE never opens one to write or unpickles it."""
    if path.is_file() and is_lmdb(path):
        return LMDB
    if path.suffix == ".db" or (path.is_file() and is_database(path)):
        return DATABASE
    if path.suffix == ".npz":
        return NPZ
    if is_qm9(path):
        return QM9
    if path.is_dir():
        return FOLDER
    if lines_beside(path):
        return S2EF
    return QM9_XYZ if has_properties(path) else ASE


def read_folder(path: Path, keys: Keys, needs: Needs) -> Raw:
    """The frames of all files of a folder, which must be in the same units."""
    found = [kind_of(file).read(file, keys, needs) for file in files_of(path)]
    for file, raw in zip(files_of(path), found, strict=True):
        if raw[1:] != found[0][1:]:
            raise DataError(f"{file}: says that its units are others than those of {files_of(path)[0].name}; read them one by one")
    return [frame for raw in found for frame in raw[0]], *found[0][1:]


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


def read_s2ef(path: Path, keys: Keys, needs: Needs) -> Raw:
    """A file of OC20's S2EF, energies less the reference energies beside it unless `keys` says otherwise."""
    frames, *_ = raw = read_ase(path, keys, needs)
    lines = lines_of(path)
    check_number(path, lines, len(frames))
    return [referred(frame, line, keys) for frame, line in zip(frames, lines, strict=True)], *raw[1:]


def referred(frame: Frame, line: Line, keys: Keys) -> Frame:
    """The frame with its system in its name, and its energy less the reference energy if that is asked for."""
    name, setting = f"{frame.name} ({line.system}, {line.frame})", keys.setting("ref_energy")
    if not keys.ref_energy:
        what = f"keep their total energies, the reference energies of the .txt are not taken off ({setting})"
        return frame._replace(name=name, left_out=(*frame.left_out, what))
    if line.energy is None:
        raise DataError(f"{name}: has no reference energy in its .txt; without {setting} its energy is taken as it is")
    what = f"have adsorption energies: the reference energies of the .txt are taken off ({setting})"
    return frame._replace(name=name, energy=frame.energy - line.energy, left_out=(*frame.left_out, what))


def db_structures(path: Path) -> Iterator[ase.Atoms]:
    """The structures of an ASE database."""
    with opened(path) as database:
        yield from map(db_atoms, database.select())


def folder_structures(path: Path) -> Iterator[ase.Atoms]:
    """The structures of all files of a folder."""
    for file in files_of(path):
        yield from kind_of(file).structures(file)


def ase_atoms(path: Path) -> Iterator[ase.Atoms]:
    """The structures that ASE reads from a file."""
    check_counts(path)
    if ase.io.formats.filetype(str(path)) != "extxyz":
        return iter(ase.io.iread(path, ":", do_not_split_by_at_sign=True))
    if path.suffix != ".xz":
        return iter(ase.io.iread(path, ":", format="extxyz", do_not_split_by_at_sign=True, properties_parser=comments_of(path)))
    text = text_of(path)
    check_counts_of(io.BytesIO(text.encode()))
    return iter(ase.io.iread(io.StringIO(text), ":", format="extxyz", properties_parser=comments_of(path)))


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
    """The first structures of a file, with everything that it says of them and nothing checked; all that are meant without `most`."""
    file, selection = chosen(path)
    check_file(file)
    found: list[ase.Atoms] = in_data_errors(file, lambda: list(itertools.islice(kind_of(file).structures(file), most)))
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


ASE = Kind(read_ase, ase_atoms)
S2EF = Kind(read_s2ef, ase_atoms)
QM9 = Kind(read_qm9, qm9_atoms)
QM9_XYZ = Kind(read_qm9_extxyz, ase_atoms)
DATABASE = Kind(read_db, db_structures)
LMDB = Kind(read_aselmdb, aselmdb_atoms)
NPZ = Kind(read_npz, npz_atoms)
FOLDER = Kind(read_folder, folder_structures)
