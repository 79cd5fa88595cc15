"""Data named by one text, as on a command line: a data set, a folder of splits, or a file."""

from dataclasses import dataclass, field
from pathlib import Path

from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.base.files import is_file, is_folder
from ganmf_fast.base.text import shown
from ganmf_fast.data import builders, datasets
from ganmf_fast.data.builders import Repeated
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.readers import Options
from ganmf_fast.data.roles import Roles
from ganmf_fast.data.sources import name_of, refuse_pipe
from ganmf_fast.data.streaming import scanned
from ganmf_fast.split import PARTS, Splits

_LARGE = 1 << 30
"""Bytes from which on a file is read with its rows on the disk instead of in memory."""


@dataclass(frozen=True)
class FileReading:
    """How a file of interactions is to be read; what is not given is found.

    Attributes
    ----------
    roles : Roles
        Columns of users, items, ratings and times.
    options : Options
        Separator, header, quotes and encoding.
    duplicates : {"error", "sum", "first", "last", "max", "mean"}, optional
        As for `Interactions.from_csv`.
    """

    roles: Roles = field(default_factory=Roles)
    options: Options = field(default_factory=Options)
    duplicates: Repeated | None = None


def open_data(
    spec: str,
    data_dir: str | Path | None = None,
    offline: bool = False,
    reading: FileReading | None = None,
) -> Splits | Interactions:
    """Open data named by one text.

    Parameters
    ----------
    spec : str
        The name of a data set; a folder with five ``.npz`` splits; or a file of interactions:
        delimited text, JSON lines or parquet, or a folder of parquet files.
    data_dir : str or Path, optional
        Where data sets lie, see `ganmf_fast.datasets.load`; splits in ``data_dir/NAME`` are
        preferred to original files.
    offline : bool, default False
        Never use the network.
    reading : FileReading, optional
        How a file is to be read. Memory holds each distinct id once and four bytes for each of
        its uses, never the text; files of 1 GiB and more are scanned (`Interactions.scan`).

    Returns
    -------
    Splits or Interactions

    Raises
    ------
    DataError
        If nothing of that name exists, or what exists is damaged.
    ValueError
        If `reading` is given with a data set or splits, whose form is known.
    """
    if reading == FileReading():
        reading = None
    path = Path(spec)
    if names_file(spec):
        how = reading or FileReading()
        read = scanned if _size(path) >= _LARGE else builders.from_file
        built = read(path, how.roles, how.options, how.duplicates)
        return Interactions(**built._asdict(), name=name_of(path))
    if reading is not None and (spec in datasets.names() or is_folder(path)):
        what = "a data set" if spec in datasets.names() else "a folder of splits"
        raise ValueError(
            f"{shown(spec)} is {what}, whose columns are known: options for reading a file, such "
            "as user or separator, cannot go with it"
        )
    if spec in datasets.names():
        folder = datasets.splits_folder(spec, data_dir)
        if _is_split_folder(folder):
            return Splits.load(folder)
        return datasets.load(spec, data_dir, download=not offline)
    if is_folder(path / "fold-0"):
        raise DataError(f"{spec} holds folds: name one of them, such as {path / 'fold-0'}")
    if is_folder(path):
        return Splits.load(path)
    refuse_pipe(path, shown(spec))
    raise DataError(
        f"{shown(spec)} is neither a data set ({', '.join(datasets.names())}) nor a folder or file"
        f"{suggestion(spec, datasets.names())}"
    )


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder."""
    files = path.iterdir() if is_folder(path) else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def names_file(spec: str) -> bool:
    """Whether `open_data` reads this as a file: not a data set, nor a folder of splits."""
    path = Path(spec)
    if spec in datasets.names():
        return False
    if is_folder(path):
        return not _is_split_folder(path) and any(path.glob("*.parquet"))
    return is_file(path)


def _is_split_folder(folder: Path) -> bool:
    return any((folder / f"{part}.npz").is_file() for part in PARTS)
