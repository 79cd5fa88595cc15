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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.errors import ConflictError, difference
from ganmf_fast.base.files import (
    make_folder,
    sync_file,
    sync_folder,
    try_lock,
    unlock,
    write_errors,
    write_whole,
)
from ganmf_fast.base.text import printable

__all__ = ["FORMAT", "ConflictError", "Store", "difference", "load", "npz"]

Record: TypeAlias = dict[str, Any]

FORMAT = 2
"""Of the folder of a run. Format 1 had one file beside each result, and is read as well."""

_RESULT, _PART = "result.json", ".part-"


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
        with write_errors(folder):
            is_file = folder.exists() and not folder.is_dir()
        if is_file:
            raise ValueError(f"output must be a folder, but {str(folder)!r:.400} is a file")

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
            yield
        finally:
            unlock(lock)

    def _experiment(self) -> str | None:
        """What the folder holds; None if it is nothing, or its configuration is damaged."""
        try:
            found = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
            return str(found["experiment"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def read(self, name: str) -> Record | None:
        """The record of a finished model, or None if there is none that is whole."""
        try:
            return load(self._models / name)
        except ValueError:
            return None

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
        """Arrays of a file beside a whole record, all or some; none if there is no such file."""
        path = self._models / name / file
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as stored:
            wanted = stored.files if keys is None else [key for key in keys if key in stored]
            return {key: stored[key] for key in wanted}

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
        with write_errors(target):
            self._models.mkdir(exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._models))
            try:
                part.chmod(0o755)
                for file, data in written.items():
                    (part / file).write_bytes(data)
                    sync_file(part / file)
                sync_folder(part)
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        sync_folder(self._models)

    def write_text(self, name: str, content: str | bytes) -> Path:
        """Write one file of the folder, complete or not at all; raises `WriteError`."""
        path = self.folder / name
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
        if _digest(_content(folder, file)) != expected:
            raise ValueError(f"{file} is damaged: its checksum is another")
    return record


def _record(folder: Path) -> Record:
    """As `load`, without a look at the files that go with the record."""
    content = _content(folder, _RESULT)
    try:
        record = json.loads(content)
        checksum, version = record.pop("sha256"), record["format"]
        if version not in (1, FORMAT):
            raise ValueError(f"{_RESULT} has format {version!r:.20}, and 1 and {FORMAT} are known")
        if checksum != _digest(_canonical(record)):
            raise ValueError(f"{_RESULT} is damaged: its checksum is another")
        record = _as_now(record)
        return {**record, "files": dict(record["files"])}
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError(f"{_RESULT} is damaged: it is not JSON") from None
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{_RESULT} is damaged: it is not a record of a finished model") from None


def _content(folder: Path, file: str) -> bytes:
    """A file that lies in this folder itself: what is read may come from anyone."""
    path = folder / file
    if path.name != file or not path.is_file():
        raise ValueError(f"{file:.80} is missing")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


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
