"""The paper's five sets: made, saved, loaded.

``train`` and ``test`` part all interactions; ``train_small``, ``validation`` and ``early_stop``
part ``train``. Tuning fits on ``train_small``, stops early on ``early_stop`` and scores on
``validation``; the final fit is on ``train`` and the final figure on ``test``.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr, fingerprint, to_scipy
from ganmf_fast.data.ids import object_array
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.cells import Source, check_seed, leakage

__all__ = ["PARTS", "Splits", "paper_protocol"]

PARTS = ("train", "test", "train_small", "validation", "early_stop")
_INFO = "splits.json"
_IDS = "ids.npz"
# Kinds of id arrays that numpy stores without pickling.
_PLAIN = "biufUM"


@dataclass(frozen=True, eq=False, repr=False)
class Splits:
    """Five matrices of one shape, rows are users and columns are items.

    Attributes
    ----------
    train, test, train_small, validation, early_stop : scipy.sparse.csr_array of float32
        Canonical, shape (n_users, n_items).
    user_ids, item_ids : array or None
        Ids of rows and columns. For splits of a plain matrix its row and column numbers; None if
        unknown, as for the published splits.
    name : str
        What reports call the data.
    simulated : bool
        Whether the data were generated instead of observed.
    warnings : tuple of str
        What a reader of figures on these sets must know, such as leakage from the future.

    Raises
    ------
    DataError
        If shapes differ, train and test share a cell, or a part of train is not inside it.
    """

    train: "sp.csr_array[np.float32]"
    test: "sp.csr_array[np.float32]"
    train_small: "sp.csr_array[np.float32]"
    validation: "sp.csr_array[np.float32]"
    early_stop: "sp.csr_array[np.float32]"
    user_ids: NDArray[Any] | None = None
    item_ids: NDArray[Any] | None = None
    name: str = "data"
    simulated: bool = False
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring the parts into canonical form and check how they lie in each other."""
        for part in PARTS:
            csr = as_csr(getattr(self, part), part, allow_empty=part != "train")
            object.__setattr__(self, part, to_scipy(csr))
        for part in PARTS[1:]:
            shape = getattr(self, part).shape
            if shape != self.train.shape:
                raise DataError(f"{part} has shape {shape}, but train has {self.train.shape}")
        if shared := _n_shared(self.train, self.test):
            raise DataError(f"train and test share {shared} cells; they must share none")
        for part in PARTS[2:]:
            outside = getattr(self, part).nnz - _n_shared(getattr(self, part), self.train)
            if outside:
                raise DataError(f"{part} holds {outside} cells that are not in train")
        for a, b in (
            ("train_small", "validation"),
            ("train_small", "early_stop"),
            ("validation", "early_stop"),
        ):
            if shared := _n_shared(getattr(self, a), getattr(self, b)):
                raise DataError(f"{a} and {b} share {shared} cells; they must share none")
        for ids, length in (("user_ids", self.n_users), ("item_ids", self.n_items)):
            array = getattr(self, ids)
            if array is not None and array.shape != (length,):
                raise DataError(f"{ids} must have shape ({length},), not {array.shape}")

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return int(self.train.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items (columns)."""
        return int(self.train.shape[1])

    @property
    def n_interactions(self) -> int:
        """Number of interactions in train and test together."""
        return int(self.train.nnz + self.test.nnz)

    @cached_property
    def urm(self) -> "sp.csr_array[np.float32]":
        """All interactions: train and test together."""
        return sp.csr_array(self.train + self.test)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over the five matrices (not the ids)."""
        digest = hashlib.sha256()
        for part in PARTS:
            csr = as_csr(getattr(self, part), part, allow_empty=True)
            digest.update(f"{part} {fingerprint(csr)} ".encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        """Name and sizes."""
        sizes = ", ".join(f"{part} {getattr(self, part).nnz:,}" for part in PARTS)
        simulated = ", simulated" if self.simulated else ""
        lines = [f"Splits({self.name!r}: {self.n_users:,} x {self.n_items:,}; {sizes}{simulated})"]
        return "\n".join(lines + [f"  warning: {warning}" for warning in self.warnings])

    def save(self, folder: str | Path) -> None:
        """Write ``train.npz`` ... ``early_stop.npz`` (scipy), name and ids into a folder.

        Each file appears complete or not at all. Nothing is pickled.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there; files of the same names are replaced.

        Raises
        ------
        TypeError
            If ids are neither numbers, strings nor dates.
        OSError
            If the folder cannot be written.
        """
        folder = Path(folder)
        info: dict[str, Any] = {"format": 1, "name": self.name, "simulated": self.simulated}
        if self.warnings:
            info["warnings"] = list(self.warnings)
        arrays = {}
        for key in ("user_ids", "item_ids"):
            ids = getattr(self, key)
            if ids is None:
                continue
            if ids.dtype.kind in _PLAIN:
                arrays[key] = ids
            else:
                info[key] = _jsonable(ids, key)
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            with _replacing(folder / f"{part}.npz") as file:
                sp.save_npz(file, getattr(self, part))
        if arrays:
            with _replacing(folder / _IDS) as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
        else:
            (folder / _IDS).unlink(missing_ok=True)
        with _replacing(folder / _INFO) as file:
            file.write(json.dumps(info, indent=1).encode())

    @classmethod
    def load(cls, folder: str | Path) -> "Splits":
        """Read a folder written by `save`, or the five published ``.npz`` files.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        Splits
            Named after the folder if it does not say otherwise.

        Raises
        ------
        DataError
            If a file is missing or damaged, or the sets do not fit together.
        """
        folder = Path(folder)
        missing = [f"{part}.npz" for part in PARTS if not (folder / f"{part}.npz").is_file()]
        if missing:
            what = "is no folder" if not folder.is_dir() else f"lacks {', '.join(missing)}"
            raise DataError(f"{folder} {what}; a split folder holds {_FILES}")
        matrices = {part: _load_matrix(folder / f"{part}.npz") for part in PARTS}
        info = _load_info(folder)
        try:
            return cls(
                **matrices,
                user_ids=info.get("user_ids"),
                item_ids=info.get("item_ids"),
                name=info.get("name", folder.resolve().name),
                simulated=info.get("simulated", False),
                warnings=tuple(map(str, info.get("warnings", ()))),
            )
        except (TypeError, ValueError) as error:
            raise DataError(f"{folder}: {error}") from None


_FILES = ", ".join(f"{part}.npz" for part in PARTS[:-1]) + f" and {PARTS[-1]}.npz"


def paper_protocol(X: object, seed: int = 1337) -> Splits:
    """Split as the GANMF paper does, with nothing lost.

    Users with fewer than two interactions are left out, then items left empty. Train and test
    part the rest 4:1; train parts into (rest, validation) 3:1, and rest into (train_small,
    early_stop) 0.85:0.15, every split per user. The draw depends on `seed` and the cell only, so
    not on the number of threads.

    Parameters
    ----------
    X : Interactions, scipy sparse matrix or array, or 2-D numpy array
        Interactions, rows are users; their values go along.
    seed : int, default 1337
        From 0 to 2**64 - 1.

    Returns
    -------
    Splits

    Raises
    ------
    TypeError, ValueError
        If `X` is not such a matrix (see `base.urm.as_csr`), no user has two interactions,
        or `seed` is out of range.

    References
    ----------
    Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems", SAC 2022.
    """
    source = Source.of(X)
    *parts, users, items = _core.paper_protocol(source.csr, check_seed(seed))
    train, test, train_small, validation, early_stop = (to_scipy(part) for part in parts)
    splits = Splits(train, test, train_small, validation, early_stop, users, items)
    if isinstance(X, Interactions):
        return replace(
            splits,
            user_ids=X.user_ids[users],
            item_ids=X.item_ids[items],
            name=X.name,
            simulated=X.simulated,
            warnings=_leakage(source, splits, users, items),
        )
    return splits


def _leakage(
    source: Source, splits: Splits, users: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[str, ...]:
    """The warning about timestamps, for which test is found again in what was split."""
    if source.data is None or source.data.timestamps is None:
        return ()
    rows = np.repeat(users, np.diff(splits.test.indptr))
    held = rows * source.csr.n_cols + items[splits.test.indices]
    of_cell = np.repeat(np.arange(source.csr.n_rows), np.diff(source.csr.indptr))
    cells = of_cell * source.csr.n_cols + source.csr.indices
    labels = np.zeros(len(cells), dtype=np.uint8)
    labels[np.searchsorted(cells, held)] = 1
    return leakage(source, labels, "paper_protocol")


def _n_shared(a: "sp.csr_array[np.float32]", b: "sp.csr_array[np.float32]") -> int:
    return int(a.multiply(b).nnz)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _jsonable(ids: NDArray[Any], key: str) -> list[Any]:
    values = ids.tolist()
    for value in values:
        if not isinstance(value, str | int | float):
            raise TypeError(f"{key} holds {value!r}; only numbers, strings and dates can be saved")
    return cast("list[Any]", values)


def _load_matrix(path: Path) -> Any:
    try:
        return sp.load_npz(path)
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged or no scipy sparse matrix: {error}") from None


# What zipfile, zlib, numpy and scipy raise on a cut or altered file.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError)


def _load_info(folder: Path) -> dict[str, Any]:
    info: dict[str, Any] = {}
    path = folder / _INFO
    try:
        if path.is_file():
            stored = json.loads(path.read_bytes())
            info |= {key: stored[key] for key in ("name", "simulated")}
            info["warnings"] = list(stored.get("warnings", []))
            info |= {k: object_array(stored[k]) for k in ("user_ids", "item_ids") if k in stored}
        path = folder / _IDS
        if path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                info |= {k: arrays[k] for k in ("user_ids", "item_ids") if k in arrays}
    except (*_DAMAGE, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    return info
