"""Fitted models in one safetensors file: arrays, and a description in JSON; no code is in it.

The file holds the scorer, the matrix that was fitted (to exclude seen items), ids, parameters, and
a SHA-256 of all of it. Files are not trusted: scorers and matrices are validated as new ones are.
`ModelFile` holds plain data; `ganmf_fast.models.load` makes an estimator of it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import checksum, read_tensors, remove_parts, write_tensors
from ganmf_fast.base.text import one_line, printable, shown
from ganmf_fast.base.unpacking import check_fits
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.data.frames import FrameType
from ganmf_fast.data.ids import object_array
from ganmf_fast.models.ids import Ids
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DenseWeights, DualEase
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.popularity import Popularity
from ganmf_fast.scorers.random import RandomScores
from ganmf_fast.scorers.tensors import Tensors, csr_from_tensors, csr_tensors
from ganmf_fast.scorers.weights import ItemWeights, UserWeights

FORMAT = 1
"""Version of the file format."""

_SCORERS: dict[str, type[Scorer]] = {
    form.kind: form
    for form in (
        ItemWeights,
        UserWeights,
        DenseWeights,
        Factors,
        Popularity,
        DualEase,
        Autoencoder,
        RandomScores,
    )
}
_META = "ganmf_fast"

# Errors that a truncated, damaged or forged file can cause while it is read.
_DAMAGE = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
)


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A fitted model as plain data.

    Attributes
    ----------
    model : str
        Name of the class.
    params : dict
        Parameters.
    learned : dict
        Learned attributes: numbers, strings, and lists and dicts of them.
    urm : Csr
        The matrix that was fitted.
    scorer : Scorer
    ids : Ids or None
    """

    model: str
    params: dict[str, Any]
    learned: dict[str, Any]
    urm: Csr
    scorer: Scorer
    ids: Ids | None

    def write(self, path: str | Path) -> None:
        """Write the file as a whole.

        Raises
        ------
        TypeError
            If an id is neither a number nor a string nor a date.
        WriteError
            If the file cannot be written.
        """
        write_tensors(Path(path), _META, *self._content())
        remove_parts(Path(path), left_alone=True)

    def fingerprint(self) -> str:
        """SHA-256 of what `write` would write.

        Raises
        ------
        TypeError
            If an id is neither a number nor a string nor a date.
        """
        return checksum(*self._content())

    def _content(self) -> tuple[str, Tensors]:
        tensors = {f"scorer.{name}": array for name, array in self.scorer.tensors().items()}
        tensors |= csr_tensors("urm", self.urm)
        ids = None
        if self.ids is not None:
            ids = {
                "frame_type": self.ids.frame_type,
                "users": _ids_to_tensors(self.ids.users, "users", tensors),
                "items": _ids_to_tensors(self.ids.items, "items", tensors),
            }
        tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        meta = json.dumps(
            {
                "format": FORMAT,
                "version": version("ganmf-fast"),
                "model": self.model,
                "params": self.params,
                "learned": self.learned,
                "scorer": self.scorer.kind,
                "data_hash": fingerprint(self.urm),
                "ids": ids,
            },
            default=_plain,
        )
        return meta, tensors

    @classmethod
    def read(cls, path: str | Path) -> "ModelFile":
        """Read and check a file that `write` wrote; to be called within `damage_refused`.

        Raises
        ------
        DataError
            If it is no model file, or of another format.
        OSError
            If it cannot be read.
        """
        path = Path(path)
        text, tensors, sound = read_tensors(path, _META)
        if text is None:
            raise DataError(f"{path} is not a model of ganmf-fast")
        meta = _parsed(text, path)
        if not sound:
            raise ValueError("its contents do not match their checksum")
        model, form = _text(meta, "model"), _SCORERS[_text(meta, "scorer")]
        params, learned = meta["params"], meta["learned"]
        if not isinstance(params, dict) or not isinstance(learned, dict):
            raise TypeError("params and learned must be mappings")
        urm = csr_from_tensors("urm", tensors)
        # What lists and scores hold of each item.
        check_fits(16 * urm.n_cols, f"{path}, of {urm.n_cols:,} items,", "leave out those unused")
        urm.check_non_negative()
        if fingerprint(urm) != _text(meta, "data_hash"):
            raise ValueError("its matrix does not match its data_hash")
        prefix = "scorer."
        scorer = form.from_tensors(
            {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
        )
        if isinstance(scorer, DualEase) and fingerprint(scorer.urm) != fingerprint(urm):
            raise ValueError("its scorer is of another matrix")
        ids = None if meta["ids"] is None else _ids(meta["ids"], tensors)
        return cls(model, params, learned, urm, scorer, ids)


@contextmanager
def damage_refused(path: str | Path) -> Iterator[None]:
    """Turn every error of a file that is missing or damaged into a `DataError` that names it."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no model file {path}") from None
    except OSError as error:
        raise DataError(f"the model file {path} cannot be read: {error.strerror}") from None
    except _DAMAGE as error:
        what = f"{one_line(error, 300)}{' is missing' if isinstance(error, KeyError) else ''}"
        raise DataError(f"the model file {path} is damaged or cut short: {what}") from None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    meta = json_files.parse(text)
    if not isinstance(meta, dict) or type(meta.get("format")) is not int:
        raise ValueError("its description is not that of a model")
    if meta["format"] != FORMAT:
        raise DataError(
            f"the model file {path} has format {meta['format']}, written by ganmf-fast "
            f"{printable(str(meta.get('version')), 20)}; this version reads format {FORMAT}: "
            "upgrade ganmf-fast"
        )
    return meta


def _ids(meta: Any, tensors: Mapping[str, NDArray[Any]]) -> Ids:
    frame_type: FrameType = _text(meta, "frame_type")  # checked on the next line
    if frame_type not in get_args(FrameType):
        raise ValueError(f"there is no frame type {shown(frame_type)}")
    return Ids(
        _ids_from_tensors(_text(meta, "users"), "users", tensors),
        _ids_from_tensors(_text(meta, "items"), "items", tensors),
        frame_type,
    )


def _text(mapping: Any, key: str) -> Any:
    value = mapping[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a string, not {shown(value)}")
    return value


def _plain(value: object) -> object:
    """Numpy scalars as JSON writes them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{shown(value)} cannot be saved: parameters are numbers, strings or None")


def _ids_to_tensors(ids: NDArray[Any], name: str, tensors: dict[str, NDArray[Any]]) -> str:
    """Add the arrays of `ids` to `tensors` and return the type to read them as."""
    if ids.dtype.kind in "biuf" and ids.dtype.itemsize <= 8:
        tensors[f"ids.{name}"] = ids.astype(ids.dtype.newbyteorder("="), copy=False)
    elif ids.dtype.kind in "mM":
        tensors[f"ids.{name}"] = ids.view(np.int64)
    elif all(isinstance(text, str) for text in ids.tolist()):
        encoded = [text.encode() for text in ids.tolist()]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        tensors[f"ids.{name}"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        tensors[f"ids.{name}.ends"] = np.cumsum(lengths)
        return "U"
    else:
        odd = next(value for value in ids.tolist())
        raise TypeError(
            f"the {name[:-1]} id {shown(odd)} cannot be saved: a model file holds ids that are all "
            "numbers, all strings or all dates"
        )
    return str(ids.dtype)


def _ids_from_tensors(kind: str, name: str, tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    stored = tensors[f"ids.{name}"]
    if stored.ndim != 1:
        raise ValueError(f"ids of {name} have {stored.ndim} dimensions")
    if kind == "U":
        ends = tensors[f"ids.{name}.ends"]
        starts = np.concatenate(([0], ends[:-1]))
        if stored.dtype != np.uint8 or ends.dtype != np.int64 or ends.ndim != 1:
            raise ValueError(f"ids of {name} are not text")
        if (ends < starts).any() or (int(ends[-1]) if len(ends) else 0) != len(stored):
            raise ValueError(f"ids of {name} do not fit their lengths")
        raw = stored.tobytes()
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        ids = object_array([raw[start:end].decode() for start, end in pairs])
    elif kind.startswith(("datetime64[", "timedelta64[")) and stored.dtype == np.int64:
        ids = stored.view(np.dtype(kind))
    elif kind == str(stored.dtype):
        ids = stored
    else:
        raise ValueError(f"ids of {name} are {stored.dtype}, not {shown(kind, 30)}")
    if ids.dtype.kind in "fmM" and np.isnan(ids).any():
        raise ValueError(f"ids of {name} hold NaN")
    if len(set(ids.tolist())) != len(ids):
        raise ValueError(f"ids of {name} are not distinct")
    return ids
