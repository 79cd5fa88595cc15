"""Five sets, of the GANMF paper's protocol or of any other split: made, saved, loaded.

``train`` and ``test`` partition all interactions; ``train_small``, ``validation`` and
``early_stop`` partition ``train``. Tuning fits on ``train_small``, stops early on ``early_stop``
and scores on ``validation``; the final fit is on ``train`` and the final figure on ``test``.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base import json_files
from ganmf_fast.base.checks import check_path
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import (
    CHECKSUM,
    all_written,
    checksum,
    make_folder,
    remove_parts,
    write_errors,
)
from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.npz import read_npz, read_sparse
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, fingerprint, read_only, to_scipy
from ganmf_fast.data.frames import FrameType
from ganmf_fast.data.ids import object_array
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.input import SplitInput, check_seed, leakage
from ganmf_fast.split.methods import holdout, temporal
from ganmf_fast.split.result import ColdSplit, Split

PARTS = ("train", "test", "train_small", "validation", "early_stop")
_PROFILE = "profile"
_USES = {
    "train": "the final fit",
    "test": "the final figure",
    "train_small": "fits of a search",
    "validation": "figures of a search",
    "early_stop": "stopping a training early",
}
_SIDES = ("user_ids", "item_ids")
_INFO = "splits.json"
_IDS = "ids.npz"
_FORMAT = 2
"""Version of the folder: 1 had no checksums."""
# Kinds of id arrays that numpy stores without pickling.
_PLAIN = "biufUM"
# Text ids are in the JSON file.
_MAX_INFO_BYTES = 2**30


@dataclass(frozen=True, eq=False, repr=False)
class Splits:
    """Five matrices of one shape; rows are users, columns are items.

    Attributes
    ----------
    train, test, train_small, validation, early_stop : scipy.sparse.csr_array of float32
        Canonical and read-only, shape (n_users, n_items). If `Interactions` with ids were split,
        the ids go along: a model that is fitted on ``train`` answers by id.
    user_ids, item_ids : array or None
        Ids of rows and columns. For splits of a plain matrix its row and column numbers; None if
        unknown, as for the published splits.
    name : str
        Name of the data in reports.
    simulated : bool
        Whether the data were generated instead of observed.
    warnings : tuple of str
        Limits of figures on these sets, such as leakage from the future.
    frame_type : {"polars", "pandas", "pyarrow", "dict"} or None
        Type of frame that models return, as of the `Interactions` that were split; None if no ids
        were given: then models return arrays of row and column numbers.
    profile : scipy.sparse.csr_array of float32 or None
        Of users held out whole (`cold_users`), what is known of them; it is in no other set.
    rule : str
        Rule and arguments of the split; empty if unknown.

    Raises
    ------
    DataError
        If shapes differ, train and test share an interaction, or a part of train is not inside it.
    TypeError, ValueError
        If ids are missing or not distinct, of several types, or not one for each row and column.
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
    frame_type: FrameType | None = None
    profile: "sp.csr_array[np.float32] | None" = None
    rule: str = ""
    # Parts that are known to be one partition.
    _checked: tuple[Csr, ...] = ()

    def __post_init__(self) -> None:
        """Validate the parts, and how they lie in each other, where that is not known."""
        names = PARTS if self.profile is None else (*PARTS, _PROFILE)
        parts = {
            part: as_csr(getattr(self, part), part, allow_empty=part != "train") for part in names
        }
        checked = tuple(parts.values())
        if list(map(id, checked)) != list(map(id, self._checked)):
            _check_partition(parts)
            object.__setattr__(self, "_checked", checked)
        named = Interactions.from_matrix(parts["train"], self.user_ids, self.item_ids)
        for ids in _SIDES:
            if getattr(self, ids) is not None:
                object.__setattr__(self, ids, read_only(getattr(named, ids)))
        for part, csr in parts.items():
            object.__setattr__(self, part, to_scipy(csr, self._with_ids(csr)))

    def _with_ids(self, csr: Csr) -> Interactions | None:
        if self.frame_type is None or self.user_ids is None or self.item_ids is None:
            return None
        return Interactions(
            csr,
            self.user_ids,
            self.item_ids,
            frame_type=self.frame_type,
            name=self.name,
            simulated=self.simulated,
        )

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
        """All interactions: train, test and profile together."""
        known, test = (to_scipy(as_csr(X, allow_empty=True)) for X in (self.known, self.test))
        return to_scipy(as_csr(known + test))

    @cached_property
    def known(self) -> "sp.csr_array[np.float32]":
        """What lists for the users of `test` are made from: train, and profiles where there are."""
        if self.profile is None:
            return self.train
        train, profile = (to_scipy(as_csr(X, allow_empty=True)) for X in (self.train, self.profile))
        both = as_csr(train + profile)
        return to_scipy(both, self._with_ids(both))

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of the matrices (not of the ids)."""
        digest = hashlib.sha256()
        for part, csr in zip((*PARTS, _PROFILE), self._checked, strict=False):
            digest.update(f"{part} {fingerprint(csr)} ".encode())
        return digest.hexdigest()

    @classmethod
    def from_split(cls, split: Split, seed: int = 0) -> "Splits":
        """Five sets from a train and a test: train is divided for tuning as the paper's is.

        A quarter of train is validation, and 15 % of the rest early_stop: the latest ones, in the
        way of the split itself, where it is by time, else drawn for each user.

        Parameters
        ----------
        split : Split
            Such as `holdout` returns, or one of `k_fold` or `rolling`.
        seed : int, default 0
            Of the draw, from 0 to 2**64 - 1.

        Raises
        ------
        TypeError
            If `split` is no `Split`.
        ValueError
            If train has no two moments by which it could be divided, or no user with two
            interactions.
        """
        if not isinstance(split, Split):
            raise TypeError(f"split must be a Split, not {type(split).__name__}")

        def divided(X: Interactions, size: float, stream: int) -> Split:
            try:
                if split.by_time is None:
                    # Other draws than those of the split itself, which has small seeds.
                    return holdout(X, size, seed=(check_seed(seed) + stream * 2**32) % 2**64)
                return temporal(X, size, per_user=split.by_time == "user")
            except ValueError as error:
                raise ValueError(f"train cannot be divided for tuning: {error}") from None

        outer = divided(split.train_data, 0.25, 1)
        inner = divided(outer.train_data, 0.15, 2)
        data = split.train_data
        return cls(
            split.train,
            split.test,
            inner.train,
            outer.test,
            inner.test,
            data.user_ids,
            data.item_ids,
            data.name,
            data.simulated,
            split.warnings,
            None if data.numbered else data.frame_type,
            split.profile if isinstance(split, ColdSplit) else None,
            split.rule,
        )

    def __repr__(self) -> str:
        """Name and sizes."""
        sizes = ", ".join(f"{part} {getattr(self, part).nnz:,}" for part in PARTS)
        simulated = ", simulated" if self.simulated else ""
        lines = [
            f"Splits({shown(self.name)}: {self.n_users:,} x {self.n_items:,}; {sizes}{simulated})"
        ]
        return "\n".join(lines + [f"  warning: {warning}" for warning in self.warnings])

    def _repr_html_(self) -> str:
        """What notebooks show: the parts, with their sizes and purposes."""
        parts = [(part, getattr(self, part).nnz, use) for part, use in _USES.items()]
        title = f"Splits of {self.name}: {self.n_users:,} users, {self.n_items:,} items"
        notes = [f"warning: {warning}" for warning in self.warnings]
        simulated = ["simulated, not observed"] if self.simulated else []
        return html_table(title, ("part", "interactions", "use"), parts, [*simulated, *notes])

    def save(self, folder: str | Path) -> None:
        """Write ``train.npz`` ... ``early_stop.npz`` (scipy), name and ids into a folder.

        Profiles of users held out whole are in ``profile.npz``.

        Each file appears complete, and none does if one cannot be written. Checksums of all are
        in ``splits.json``: where a folder is written over and the process is killed meanwhile, it
        holds files of both and is refused by `load`. Nothing is pickled.

        Parameters
        ----------
        folder : str or Path
            Made if it is not there; files of the same names are replaced. ``~`` is not expanded.

        Raises
        ------
        TypeError
            If `folder` is no path, or ids are neither numbers, strings nor dates.
        ValueError
            If `folder` is empty or begins with ``~``.
        WriteError
            (an ``OSError``) If the folder cannot be written.
        """
        folder = _folder(folder)
        info: dict[str, Any] = {"format": _FORMAT, "name": self.name, "simulated": self.simulated}
        if self.warnings:
            info["warnings"] = list(self.warnings)
        if self.rule:
            info["rule"] = self.rule
        if self.frame_type is not None:
            info["frame_type"] = self.frame_type
        arrays = {}
        given = {key: ids for key in _SIDES if (ids := getattr(self, key)) is not None}
        for key, ids in given.items():
            if ids.dtype.kind in _PLAIN:
                arrays[key] = ids
            else:
                info[key] = _jsonable(ids, key)
        parts = PARTS if self.profile is None else (*PARTS, _PROFILE)
        info[CHECKSUM] = _checksums(dict(zip(parts, self._checked, strict=True)), given)
        make_folder(folder)
        # The checksums first: what is written over in part never fits them. An archive of ids
        # always, even of none: it tells a folder that has lost its checksums from published files.
        names = [_INFO, *(f"{part}.npz" for part in parts), _IDS]
        with all_written([folder / name for name in names]) as paths:
            at = dict(zip(names, paths, strict=True))
            for part in parts:
                with at[f"{part}.npz"].open("wb") as file:
                    sp.save_npz(file, getattr(self, part))
            with at[_IDS].open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            at[_INFO].write_text(json.dumps(info, indent=1), encoding="utf-8")
        for name in names:
            remove_parts(folder / name, left_alone=True)
        if self.profile is None:
            with write_errors(folder):
                (folder / f"{_PROFILE}.npz").unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> "Splits":
        """Read a folder written by `save`, or the five published ``.npz`` files.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        Splits
            Named after the folder if no name is stored.

        Raises
        ------
        TypeError, ValueError
            If `folder` is no path, empty, or begins with ``~``, which is not expanded.
        DataError
            If a file is missing, damaged or of another save, or the sets do not fit together.
        """
        folder = _folder(folder)
        missing = [f"{part}.npz" for part in PARTS if not (folder / f"{part}.npz").is_file()]
        if missing:
            what = "is no folder" if not folder.is_dir() else f"lacks {', '.join(missing)}"
            raise DataError(f"{folder} {what}; a split folder holds {_FILES}")
        found: tuple[str, ...] = PARTS
        if (folder / f"{_PROFILE}.npz").is_file():
            found = (*PARTS, _PROFILE)
        info, expected = _load_info(folder)
        info = {"name": folder.resolve().name, **info}
        try:
            parts = {part: _load_matrix(folder, part) for part in found}
            if expected is not None:
                ids = {key: info[key] for key in _SIDES if key in info}
                _refuse_other(expected, _checksums(parts, ids))
            return cls(**cast("dict[str, Any]", parts), **info)
        except (TypeError, ValueError) as error:
            raise DataError(f"{folder}: {error}") from None


_FILES = ", ".join(f"{part}.npz" for part in PARTS[:-1]) + f" and {PARTS[-1]}.npz"


def paper_protocol(X: object, seed: int = 1337) -> Splits:
    """Split by the protocol of the GANMF paper.

    Users with fewer than two interactions are left out, then items left empty. Train and test
    partition the remaining interactions 4:1; train is split into (rest, validation) 3:1, and rest
    into (train_small, early_stop) 0.85:0.15, every time per user. The draw depends on `seed`, row
    and column only, not on the number of threads.

    Parameters
    ----------
    X : Interactions, scipy sparse matrix or array, or 2-D numpy array
        Interactions, rows are users; values are kept.
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
    source = SplitInput.of(X)
    *parts, users, items = _core.paper_protocol(source.csr, check_seed(seed))
    rule = f"paper, seed {seed}"
    about: dict[str, Any] = {"user_ids": users, "item_ids": items, "rule": rule}
    warnings = _left_out(source.csr, users, items)
    if (data := source.data) is not None:
        warnings = _leakage(source, parts[1], users, items) + warnings
        about |= {
            "user_ids": data.user_ids[users],
            "item_ids": data.item_ids[items],
            "name": data.name,
            "simulated": data.simulated,
            "frame_type": None if data.numbered else data.frame_type,
        }
    about |= {part: to_scipy(csr) for part, csr in zip(PARTS, parts, strict=True)}
    return Splits(**about, warnings=warnings, _checked=tuple(parts))


def _left_out(csr: Csr, users: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[str, ...]:
    """The warning about users with fewer than two interactions, and items that only they have."""
    n_users, n_items = csr.n_rows - len(users), csr.n_cols - len(items)
    if not (n_users or n_items):
        return ()
    said = (
        f"left out: {n_users:,} of {csr.n_rows:,} users, who have fewer than two interactions, and "
        f"{n_items:,} of {csr.n_cols:,} items, which no other user has"
    )
    return (said,)


def _leakage(
    source: SplitInput, test: Csr, users: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[str, ...]:
    """The warning about timestamps; the interactions of `test` are located in the source."""
    if source.data is None or source.data.timestamps is None:
        return ()
    n_cols = source.csr.n_cols
    held_out = np.repeat(users, np.diff(test.indptr)) * n_cols + items[test.indices]
    rows = np.repeat(np.arange(source.csr.n_rows), np.diff(source.csr.indptr))
    labels = np.zeros(source.csr.nnz, dtype=np.uint8)
    labels[np.searchsorted(rows * n_cols + source.csr.indices, held_out)] = 1
    return leakage(source, labels, "paper_protocol")


def _check_partition(parts: Mapping[str, Csr]) -> None:
    """Refuse parts of several shapes, or that do not lie in each other as `Splits` says."""
    shapes = {part: (csr.n_rows, csr.n_cols) for part, csr in parts.items()}
    for part, shape in shapes.items():
        if shape != shapes["train"]:
            raise DataError(f"{part} has shape {shape}, but train has {shapes['train']}")
    matrices = {part: to_scipy(csr) for part, csr in parts.items()}

    def shared(a: str, b: str) -> int:
        # Not the product, in which small values vanish.
        return int(matrices[a].minimum(matrices[b]).nnz)

    def refuse_shared(a: str, b: str) -> None:
        if n := shared(a, b):
            raise DataError(f"{a} and {b} share {n} interactions; they must share none")

    refuse_shared("train", "test")
    if _PROFILE in parts:
        refuse_shared("train", _PROFILE)
        refuse_shared("test", _PROFILE)
    for part in PARTS[2:]:
        outside = parts[part].nnz - shared(part, "train")
        if outside:
            raise DataError(f"{part} holds {outside} interactions that are not in train")
    refuse_shared("train_small", "validation")
    refuse_shared("train_small", "early_stop")
    refuse_shared("validation", "early_stop")


def _jsonable(ids: NDArray[Any], key: str) -> list[Any]:
    values = ids.tolist()
    for value in values:
        if not isinstance(value, str | int | float):
            raise TypeError(
                f"{key} holds {shown(value)}; only numbers, strings and dates can be saved"
            )
    return cast("list[Any]", values)


def _folder(given: str | Path) -> Path:
    folder = check_path("folder", given)
    if not os.fspath(given):
        raise ValueError("folder must name a folder, not '': the working folder is '.'")
    if folder.parts[:1] == ("~",) and not folder.is_dir():
        raise ValueError(
            f"folder must not begin with ~, which is not expanded, as {shown(str(folder), 400)} "
            "does: pass Path(folder).expanduser()"
        )
    return folder


def _checksums(parts: Mapping[str, Csr], ids: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """SHA-256 of each matrix, and of the ids of each side."""
    sums = {part: fingerprint(csr) for part, csr in parts.items()}
    for key, array in ids.items():
        text = array.dtype == object
        sums[key] = checksum(json.dumps(array.tolist()), {}) if text else checksum("", {key: array})
    return sums


def _refuse_other(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse matrices and ids other than those that the checksums are of."""
    for key in {**expected, **found}:
        if expected.get(key) == found.get(key):
            continue
        what = f"{key} in {_IDS} or {_INFO}" if key in _SIDES else f"{key}.npz"
        how = "missing" if key not in found else f"not what was saved with {_INFO}"
        verb = "are" if key in _SIDES else "is"
        raise DataError(
            f"{what} {verb} {how}: {_MEND}; a matrix that was changed on purpose goes into "
            "Splits(...) in Python, to be saved again"
        )


_MEND = "copy the whole folder again, or split again"


def _load_matrix(folder: Path, part: str) -> Csr:
    stored = read_sparse(folder / f"{part}.npz")
    return as_csr(stored, part, allow_empty=part != "train")


_JsonIds = list[bool | int | float | str]


class _Info(msgspec.Struct):
    """Content of the JSON file."""

    format: int
    name: str
    simulated: bool
    warnings: tuple[str, ...] = ()
    rule: str = ""
    frame_type: FrameType | None = None
    user_ids: _JsonIds | None = None
    item_ids: _JsonIds | None = None
    sha256: dict[str, str] | None = None


def _load_info(folder: Path) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Arguments of `Splits` other than the matrices, as far as they are stored; checksums."""
    path, archive = folder / _INFO, folder / _IDS
    arrays = read_npz(archive, _SIDES) if archive.is_file() else None
    if not path.is_file():
        if arrays is not None:
            raise DataError(
                f"{folder} holds {_IDS} but not the {_INFO} that was saved with it: {_MEND}, or "
                f"delete {_IDS} if rows and columns have no ids"
            )
        return {}, None
    stored = json_files.read(path, _Info, _MAX_INFO_BYTES)
    if not 1 <= stored.format <= _FORMAT:
        raise DataError(
            f"{path} has format {stored.format}; this version reads formats up to {_FORMAT}: use "
            "a newer ganmf-fast, or split again"
        )
    if stored.format > 1 and stored.sha256 is None:
        raise DataError(f"{path} is damaged: it lacks {CHECKSUM}")
    info: dict[str, Any] = {
        key: getattr(stored, key) for key in ("name", "simulated", "warnings", "rule", "frame_type")
    }
    ids = {key: object_array(ids) for key in _SIDES if (ids := getattr(stored, key)) is not None}
    for key in ids.keys() & (arrays or {}):
        raise DataError(f"{folder} holds {key} twice, in {_IDS} and {_INFO}: {_MEND}")
    ids |= arrays or {}
    if stored.sha256 is None and stored.frame_type is not None and len(ids) < len(_SIDES):
        raise DataError(f"{folder} has lost {_IDS}, with ids of users or items: {_MEND}")
    return info | ids, stored.sha256
