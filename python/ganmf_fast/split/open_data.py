"""Data named by one text, as on a command line: a data set, a folder of splits, or a file."""

from pathlib import Path

from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.data import datasets
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import PARTS, Splits

__all__ = ["open_data"]


def open_data(
    spec: str, data_dir: str | Path | None = None, offline: bool = False
) -> Splits | Interactions:
    """Open data named by one text.

    Parameters
    ----------
    spec : str
        The name of a data set; a folder with five ``.npz`` splits; a ``.parquet`` file; or a
        delimited text file. A file's first two columns are user and item.
    data_dir : str or Path, optional
        Where data sets lie, see `ganmf_fast.datasets.load`; splits in ``data_dir/NAME`` are
        preferred to original files.
    offline : bool, default False
        Never use the network.

    Returns
    -------
    Splits or Interactions

    Raises
    ------
    DataError
        If nothing of that name exists, or what exists is damaged.
    """
    if spec in datasets.names():
        if data_dir is not None and _is_split_folder(Path(data_dir) / spec):
            return Splits.load(Path(data_dir) / spec)
        return datasets.load(spec, data_dir, download=not offline)
    path = Path(spec)
    if path.is_dir():
        return Splits.load(path)
    if path.is_file():
        if path.suffix == ".parquet":
            return Interactions.from_parquet(path)
        return Interactions.from_csv(path)
    raise DataError(
        f"{spec!r} is neither a data set ({', '.join(datasets.names())}) nor a folder or file"
        f"{suggestion(spec, datasets.names())}"
    )


def _is_split_folder(folder: Path) -> bool:
    return any((folder / f"{part}.npz").is_file() for part in PARTS)
