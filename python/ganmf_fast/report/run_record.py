"""Records of runs in the folder ``models``, with histories and cosines, checked when read."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.models.history import with_current_names
from ganmf_fast.results import document, store
from ganmf_fast.results.document import DamagedError
from ganmf_fast.results.result_table import Key, key_of

MOST_RECORDS = 2000
_STAGES = ("search", "final")


@dataclass(frozen=True)
class History:
    """One training, epoch by epoch."""

    stage: str
    """"search" for the one that found the number of epochs on validation data, or "final"."""
    columns: Mapping[str, NDArray[np.float64]]
    """Name -> value of each epoch, NaN where there is none; "epoch" is among them."""

    def last(self, name: str) -> float | None:
        """The last value of a column, or None."""
        found = self.columns.get(name, np.empty(0))
        found = found[~np.isnan(found)]
        return float(found[-1]) if len(found) else None


@dataclass(frozen=True)
class RunRecord:
    """One model with one seed, as its own folder describes it."""

    name: str
    row: str
    point: float | None
    seed: int | None
    model: str
    """Name of the class."""
    done: bool
    reason: str
    """Why it failed; empty if it did not."""
    params: Mapping[str, Any]
    """Every parameter, defaults as well."""
    given: Mapping[str, Any]
    """Those that are not defaults of the class."""
    source: str
    """Where they come from."""
    versions: Mapping[str, str]
    values: Mapping[Key, float]
    cost: Mapping[str, float]
    epochs_found: int | None
    histories: tuple[History, ...] = ()
    cosine: NDArray[np.float32] | None = None
    """Cosines between the made profiles of some users."""


def file_content(path: Path) -> bytes:
    """Bytes of a file of reasonable size.

    Raises
    ------
    ValueError
        If it is not there or cannot be read; the message is a phrase.
    """
    if not path.is_file():
        raise ValueError("missing")
    try:
        return json_files.contents(path)
    except TooLargeError:
        raise ValueError("too large") from None
    except DataError as error:
        raise ValueError(f"unreadable ({error.args[0].rpartition(': ')[2]})") from None


def read_records(models: Path, missing: Callable[[str, str], None]) -> Iterator[RunRecord]:
    """Every record that can be read; `missing` is called with a path and a phrase for others."""
    if not models.is_dir():
        missing("models", "missing: parameters, seeds, cost and training curves are not known")
        return
    folders = sorted(path for path in models.iterdir() if not path.name.startswith("."))
    if len(folders) > MOST_RECORDS:
        missing("models", f"holds {len(folders)} folders, of which {MOST_RECORDS} are shown")
    for folder in folders[:MOST_RECORDS]:
        try:
            yield _record(folder)
        except ValueError as error:
            missing(f"models/{folder.name}", str(error))


def _record(folder: Path) -> RunRecord:
    record = store.load(folder)
    config = document.table(record.get("config"), "config")
    values = {
        key: document.number(value, "values")
        for name, value in document.table(record.get("values", {}), "values").items()
        if (key := _key(name))
    }
    point, seed, epochs = (record.get(name) for name in ("point", "seed", "epochs_found"))
    files = document.table(record.get("files", {}), "files")
    return RunRecord(
        name=folder.name,
        row=document.text(record, "row"),
        point=None if point is None else document.number(point, "point"),
        seed=None if seed is None else document.whole(seed, "seed"),
        model=document.text(config, "model"),
        done=record.get("status") == "done",
        reason=document.text(record, "reason"),
        params=document.table(config.get("params", {}), "params"),
        given=document.table(record.get("params", {}), "params"),
        source=document.text(record, "source"),
        versions=texts(record.get("versions")),
        values=values,
        cost={
            name: document.number(value, "cost")
            for name, value in document.table(record.get("cost", {}), "cost").items()
            if not (isinstance(value, float) and math.isnan(value))
        },
        epochs_found=None if epochs is None else document.whole(epochs, "epochs_found"),
        histories=_histories(folder / "history.json") if "history.json" in files else (),
        cosine=store.cosine(folder) if "cosine.npz" in files else None,
    )


def _key(name: str) -> Key | None:
    try:
        return key_of(name[:80])
    except ValueError:
        return None


def texts(value: object) -> dict[str, str]:
    """The texts of an object, by name; empty for anything else."""
    found = value if isinstance(value, dict) else {}
    return {name: document.text(found, name) for name, v in found.items() if isinstance(v, str)}


def _histories(path: Path) -> tuple[History, ...]:
    stages = document.table(document.plain(file_content(path)), "history.json")
    return tuple(
        History(stage, columns)
        for stage in _STAGES
        if (columns := _columns(stages.get(stage))) and len(columns["epoch"])
    )


def _columns(rows: object) -> dict[str, NDArray[np.float64]]:
    """Lists of records as arrays; what is not a number is NaN."""
    found = rows if isinstance(rows, list) else []
    records = with_current_names(row for row in found if isinstance(row, dict))
    names = list(dict.fromkeys(name for row in records for name in list(row)[:50]))[:50]
    if "epoch" not in names:
        return {}
    return {name: np.array([_number(row.get(name)) for row in records]) for name in names}


def _number(value: object) -> float:
    try:
        return document.number(value, "")
    except DamagedError:
        return math.nan
