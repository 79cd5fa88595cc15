"""Fitted models in one safetensors file: arrays, and one JSON text; nothing in it is ever run.

The file holds the form that ranks, the matrix that was fitted (so that seen items can be left
out), ids, parameters, and a SHA-256 of all of it. What is read is not trusted: the class is looked
up among the models of the library, sparse rows and factors go through the checks of new ones.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import read_tensors, write_tensors
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.data.frames import FrameType
from ganmf_fast.models import model_class
from ganmf_fast.models.ids import Ids
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.base import Factors, ItemWeights, Popularity, Scorer, UserWeights
from ganmf_fast.scorers.dense import DenseWeights, DualEase
from ganmf_fast.scorers.random import RandomScores
from ganmf_fast.scorers.tensors import csr_from_tensors, csr_tensors

if TYPE_CHECKING:
    from ganmf_fast.models.base import Recommender

__all__ = ["FORMAT", "load", "save"]

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

# What a file cut short, damaged or made up can raise on its way into a model.
_DAMAGE = (
    SafetensorError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
)


def save(model: "Recommender", path: str | Path) -> None:
    """Write a fitted model; see `Recommender.save`.

    The file is written beside its place and moved there once it is safely on the disk.

    Raises
    ------
    TypeError
        If an id is neither a number nor a string nor a date.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    scorer = model.scorer_
    tensors = {f"scorer.{name}": array for name, array in scorer.tensors().items()}
    tensors |= csr_tensors("urm", model.urm_)
    ids = None
    if model.ids_ is not None:
        ids = {
            "frame_type": model.ids_.frame_type,
            "users": _ids_to_tensors(model.ids_.users, "users", tensors),
            "items": _ids_to_tensors(model.ids_.items, "items", tensors),
        }
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    meta = json.dumps(
        {
            "format": FORMAT,
            "version": version("ganmf-fast"),
            "model": type(model).__name__,
            "params": model.get_params(deep=False),
            "learned": {name: getattr(model, name) for name in model.saved_attributes},
            "scorer": scorer.kind,
            "data_hash": fingerprint(model.urm_),
            "ids": ids,
        },
        default=_plain,
    )
    write_tensors(path, _META, meta, tensors)


def load(path: str | Path) -> "Recommender":
    """Read a model that `Recommender.save` wrote; torch is not needed.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Recommender
        Fitted, of the class that was saved.

    Raises
    ------
    DataError
        (a ``ValueError``) If the file does not exist, is cut short or damaged, comes from a newer
        version, or names a model that does not exist. The message names the file.
    """
    path = Path(path)
    try:
        return _restored(*_read(path))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no model file {path}") from None
    except OSError as error:
        raise DataError(f"the model file {path} cannot be read: {error.strerror}") from None
    except _DAMAGE as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"the model file {path} is damaged or cut short: {what}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Description and arrays of a file whose checksum is right."""
    text, tensors, sound = read_tensors(path, _META)
    if text is None:
        raise DataError(f"{path} is not a model of ganmf-fast")
    meta = _parsed(text, path)
    if not sound:
        raise ValueError("its contents do not match their checksum")
    return meta, tensors


def _parsed(text: str, path: Path) -> dict[str, Any]:
    meta = json.loads(text)
    if not isinstance(meta, dict) or type(meta.get("format")) is not int:
        raise ValueError("its description is not that of a model")
    if meta["format"] != FORMAT:
        raise DataError(
            f"the model file {path} has format {meta['format']}, written by ganmf-fast "
            f"{meta.get('version')!s:.20}; this version reads format {FORMAT}: upgrade ganmf-fast"
        )
    return meta


def _restored(meta: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> "Recommender":
    cls = model_class(_text(meta, "model"))
    form = _SCORERS[_text(meta, "scorer")]
    params, learned = meta["params"], meta["learned"]
    if not isinstance(params, dict) or not isinstance(learned, dict):
        raise TypeError("params and learned must be mappings")
    urm = csr_from_tensors("urm", tensors)
    urm.check_non_negative()
    if fingerprint(urm) != _text(meta, "data_hash"):
        raise ValueError("its matrix does not match its data_hash")
    prefix = "scorer."
    scorer = form.from_tensors(
        {name.removeprefix(prefix): a for name, a in tensors.items() if name.startswith(prefix)}
    )
    ids = None
    if meta["ids"] is not None:
        frame_type: FrameType = _text(meta["ids"], "frame_type")  # checked on the next line
        if frame_type not in get_args(FrameType):
            raise ValueError(f"there is no frame type {frame_type!r}")
        ids = Ids(
            _ids_from_tensors(_text(meta["ids"], "users"), "users", tensors),
            _ids_from_tensors(_text(meta["ids"], "items"), "items", tensors),
            frame_type,
        )
    model = cls.from_parts(params, urm, scorer, ids)
    for name in model.saved_attributes:
        setattr(model, name, learned[name])
    return model


def _text(mapping: Any, key: str) -> Any:
    value = mapping[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a string, not {value!r:.40}")
    return value


def _plain(value: object) -> object:
    """Numpy scalars as JSON writes them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.60} cannot be saved: parameters are numbers, strings or None")


def _ids_to_tensors(ids: NDArray[Any], name: str, tensors: dict[str, NDArray[Any]]) -> str:
    """Add the arrays of `ids` to `tensors` and return the type to read them as."""
    if ids.dtype.kind in "biuf" and ids.dtype.itemsize <= 8:
        tensors[f"ids.{name}"] = ids.astype(ids.dtype.newbyteorder("="), copy=False)
    elif ids.dtype.kind in "mM":
        tensors[f"ids.{name}"] = ids.view(np.int64)
    elif ids.dtype.kind == "U":
        encoded = [text.encode() for text in ids.tolist()]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        tensors[f"ids.{name}"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        tensors[f"ids.{name}.ends"] = np.cumsum(lengths)
        return "U"
    else:
        odd = next(value for value in ids.tolist())
        raise TypeError(
            f"the {name[:-1]} id {odd!r:.60} cannot be saved: a model file holds ids that are all "
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
        ids = np.array([raw[start:end].decode() for start, end in pairs], dtype=np.str_)
    elif kind.startswith(("datetime64[", "timedelta64[")):
        ids = stored.view(np.dtype(kind))
    elif kind == str(stored.dtype):
        ids = stored
    else:
        raise ValueError(f"ids of {name} are {stored.dtype}, not {kind!r:.30}")
    if len(np.unique(ids)) != len(ids):
        raise ValueError(f"ids of {name} are not distinct")
    return ids
