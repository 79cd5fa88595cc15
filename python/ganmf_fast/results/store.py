"""The folder of a run: finished models, each whole or not at all.

A finished model is a folder ``models/NAME`` with ``result.json`` (its configuration, figures and
cost) and the files that go with it. It is written beside its place and renamed, so that a process
killed at any moment leaves finished models or nothing. Checksums tell a damaged one, which counts
as not there.
"""

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import ConflictError, DataError
from ganmf_fast.base.files import (
    make_folder,
    remove_parts,
    sync_file,
    sync_folder,
    try_lock,
    unlock,
    write_errors,
    write_whole,
)
from ganmf_fast.base.npz import read_npz
from ganmf_fast.base.text import printable, shown
from ganmf_fast.results.result_table import key_of

Record: TypeAlias = dict[str, Any]

FORMAT = 2
"""Of the folder of a run. Format 1 had one file beside each result, and is read as well."""

_RESULT, _PART = "result.json", ".part-"
_COSINE = "cosine.npz"
_MOST_COSINES = 2**26  # bytes
_Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Number: TypeAlias = _Whole | float
_ABSENT: Record = {
    "seed": None, "source": "", "reason": "", "params": {}, "values": {}, "cost": {}
}  # fmt: skip


class _Record(msgspec.Struct):
    """What others rely on in a record; there may be more."""

    row: str
    status: Literal["done", "failed"]
    config: dict[str, Any]
    files: dict[str, str]
    point: _Number | None = None
    seed: _Whole | None = None
    source: str = ""
    reason: str = ""
    params: dict[str, Any] = {}
    values: dict[str, _Number] = {}
    cost: dict[str, _Number] = {}
    epochs_found: _Whole | None = None
    pretrain_epochs_found: _Whole | None = None

    def __post_init__(self) -> None:
        """Check the names of figures, and those of parameters."""
        for name in self.values:
            key_of(name)
        if not isinstance(self.config.get("params", {}), dict):
            raise TypeError("params of its config is no table")


class Store:
    """Results under one folder.

    Parameters
    ----------
    folder : Path
        Made when something is written.

    Raises
    ------
    ValueError
        If it is a file.
    WriteError
        If it can be neither.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models = folder / "models"
        self._whole: dict[str, Record] | None = None
        """While the folder is locked, the records that were read and are whole."""
        with write_errors(folder):
            is_file = folder.exists() and not folder.is_dir()
        if is_file:
            raise ValueError(f"output must be a folder, but {shown(str(folder), 400)} is a file")

    @contextmanager
    def locked(self, experiment: str) -> Iterator[None]:
        """Keep the folder for one experiment, and other processes from writing to it.

        Raises
        ------
        RuntimeError
            If another process does at this moment.
        WriteError
            If the folder cannot be written.
        ConflictError
            If it holds another experiment, whose tables would be lost.
        """
        make_folder(self.folder)
        with write_errors(self.folder):
            lock = try_lock(self.folder / ".lock")
        if lock is None:
            raise RuntimeError(f"another process is writing to {printable(str(self.folder))}")
        try:
            if self._experiment() not in (None, experiment):
                raise ConflictError(
                    f"{self.folder} holds {self._experiment()}, not {experiment}: choose another "
                    "output folder"
                )
            for left in self._models.glob(f"{_PART}*"):
                shutil.rmtree(left, ignore_errors=True)
            self._whole = {}
            yield
        finally:
            self._whole = None
            unlock(lock)

    def _experiment(self) -> str | None:
        """What the folder holds; None if it is nothing, or its configuration is damaged."""
        try:
            found = json_files.parse(json_files.contents(self.folder / "config.json"))
            return str(found["experiment"])
        except (ValueError, KeyError, TypeError):
            return None

    def read(self, name: str) -> Record | None:
        """The record of a finished model, or None if there is none that is whole."""
        if self._whole is not None and name in self._whole:
            return self._whole[name]
        try:
            record = load(self._models / name)
        except ValueError:
            return None
        if self._whole is not None:
            self._whole[name] = record
        return record

    def _read_alone(self, name: str) -> Record | None:
        """The record, without a look at the files that go with it."""
        try:
            return _record(self._models / name)
        except ValueError:
            return None

    def _names(self) -> list[str]:
        folders = sorted(self._models.iterdir()) if self._models.is_dir() else []
        return [folder.name for folder in folders]

    def records(self) -> dict[str, Record]:
        """Every whole record, by its name."""
        found = ((name, self.read(name)) for name in self._names())
        return {name: record for name, record in found if record is not None}

    def find(self, config: Mapping[str, Any]) -> str | None:
        """Name of a finished model of exactly this configuration, if there is one."""
        for name in self._names():
            record = self._read_alone(name)
            same = record is not None and record["status"] == "done" and record["config"] == config
            if same and self.read(name) is not None:
                return name
        return None

    def files(self, name: str) -> dict[str, bytes]:
        """The files beside a whole record."""
        record = self._read_alone(name) or {"files": {}}
        return {file: (self._models / name / file).read_bytes() for file in record["files"]}

    def arrays(
        self, name: str, file: str = "per_user.npz", keys: Iterable[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Arrays of a file beside a whole record, all or some; none if there is no such file.

        Raises
        ------
        DataError
            If it is damaged.
        """
        path = self._models / name / file
        return read_npz(path, None if keys is None else set(keys)) if path.is_file() else {}

    def per_user(
        self, name: str, n_users: int, keys: Iterable[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """``users``, rows of a matrix of `n_users`, and values of each; empty if there are none.

        Raises
        ------
        DataError
            If the file is damaged, or of other data.
        """
        arrays = self.arrays(name, keys=None if keys is None else ["users", *keys])
        users = arrays.get("users", np.empty(0))
        if arrays and (
            users.dtype.kind not in "iu"
            or any(array.shape != (len(users),) for array in arrays.values())
            or (len(users) and not 0 <= users.min() <= users.max() < n_users)
        ):
            path = self._models / name / "per_user.npz"
            raise DataError(f"{path} is damaged: its users and values are not those of the data")
        return arrays

    def cosine(self, name: str) -> NDArray[np.float32] | None:
        """The cosines beside a whole record; None if there are none, or they are damaged."""
        return cosine(self._models / name)

    def write(self, name: str, record: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Put a record and the files that go with it into place, instead of earlier ones.

        Raises
        ------
        WriteError
            If they cannot be written; earlier ones stay.
        """
        sums = {file: _digest(content) for file, content in files.items()}
        content: Record = {**record, "format": FORMAT, "files": sums}
        content["sha256"] = _digest(_canonical(content))
        written = {**files, _RESULT: json.dumps(content, indent=1).encode()}
        target = self._models / name
        if self._whole is not None:
            self._whole.pop(name, None)
        with write_errors(target):
            self._models.mkdir(exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._models))
            try:
                part.chmod(0o755)
                for file, data in written.items():
                    (part / file).write_bytes(data)
                    sync_file(part / file)
                sync_folder(part)
                earlier = part.with_name(f"{part.name}-earlier")
                with suppress(FileNotFoundError):
                    target.rename(earlier)
                try:
                    part.rename(target)
                except OSError:
                    with suppress(FileNotFoundError):
                        earlier.rename(target)
                    raise
                shutil.rmtree(earlier, ignore_errors=True)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        sync_folder(self._models)

    def write_text(self, name: str, content: str | bytes) -> Path:
        """Write one file of the `locked` folder, complete or not at all; raises `WriteError`."""
        path = self.folder / name
        remove_parts(path)
        write_whole(path, content)
        return path


def load(folder: Path) -> Record:
    """The record in the folder of a finished model, in the form of the newest format.

    Raises
    ------
    ValueError
        If it, or a file that goes with it, is missing or damaged, or of an unknown format; the
        message is a phrase that says which.
    """
    record = _record(folder)
    for file, expected in record["files"].items():
        with _opened(folder, file) as content:
            if _digest(content.read()) != expected:
                raise ValueError(f"{file} is damaged: its checksum is another")
    return record


def cosine(folder: Path) -> NDArray[np.float32] | None:
    """A square of cosines in the folder of a finished model, or None if there is something else."""
    path = folder / _COSINE
    if not path.is_file():
        return None
    try:
        stored = read_npz(path, {"cosine"}, limit_bytes=_MOST_COSINES)
    except DataError:
        return None
    found = stored.get("cosine", np.empty(0))
    square = found.ndim == 2 and found.shape[0] == found.shape[1] > 0 and found.dtype.kind == "f"
    return found.astype(np.float32) if square and bool(np.isfinite(found).all()) else None


def _record(folder: Path) -> Record:
    """As `load`, without a look at the files that go with the record."""
    with _opened(folder, _RESULT) as file:
        content = file.read(json_files.MAX_BYTES + 1)
    try:
        record = json_files.parse(content)
    except ValueError as error:
        raise ValueError(f"{_RESULT} is damaged: {error}") from None
    try:
        checksum, version = record.pop("sha256"), record["format"]
        if version not in (1, FORMAT):
            raise ValueError(
                f"{_RESULT} has format {shown(version, 20)}, and 1 and {FORMAT} are known"
            )
        if checksum != _digest(_canonical(record)):
            raise ValueError(f"{_RESULT} is damaged: its checksum is another")
        record = _as_now(record)
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{_RESULT} is damaged: it is not a record of a finished model") from None
    try:
        json_files.typed(record, _Record)
    except ValueError as error:
        raise ValueError(f"{_RESULT} is damaged: {error}") from None
    return {**_ABSENT, **record}


def _opened(folder: Path, file: str) -> BufferedReader:
    """A file that lies in this folder itself: what is read may come from anyone."""
    path = folder / file
    try:
        if path.name == file and path.is_file():
            return path.open("rb")
    except OSError as error:  # of a name that is too long as well
        raise ValueError(f"{file:.80} cannot be read: {error.strerror}") from None
    raise ValueError(f"{file:.80} is missing")


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the content of an ``.npz`` file."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **dict(arrays))
    return content.getvalue()


def _as_now(record: Record) -> Record:
    """A record of any format in the form of the newest one."""
    record = {"point": None, **record}
    if record["format"] == 1:
        record["files"] = {}
        if record["status"] == "done":
            record["files"] = {"per_user.npz": record.pop("per_user_sha256")}
            record["config"] = {**record["config"], "quick": False}
    return record


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
