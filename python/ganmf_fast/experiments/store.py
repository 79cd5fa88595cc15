"""The folder of a run: finished models, each whole or not at all.

A finished model is a folder ``models/NAME`` or ``models/NAME-SEED`` with ``result.json`` (its
configuration, figures and cost) and ``per_user.npz``. It is written beside its place and renamed,
so that a process killed at any moment leaves finished models or nothing. Checksums tell a damaged
one, which counts as not there.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.errors import ConflictError, difference
from ganmf_fast.files import try_lock

__all__ = ["ConflictError", "Store", "difference"]

Record: TypeAlias = dict[str, Any]

FORMAT = 1
_RESULT, _PER_USER, _PART = "result.json", "per_user.npz", ".part-"


class Store:
    """Results under one folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models = folder / "models"
        try:
            self._models.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"output must be a folder, but {str(folder)!r} is a file") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to the same folder.

        Raises
        ------
        RuntimeError
            If another process does at this moment.
        """
        with (self.folder / ".lock").open("a", encoding="ascii") as file:
            if not try_lock(file.fileno()):
                raise RuntimeError(f"another process is writing to {self.folder}")
            for left in self._models.glob(f"{_PART}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def read(self, name: str) -> Record | None:
        """The record of a finished model, or None if there is none that is whole."""
        folder = self._models / name
        try:
            record = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
            checksum = record.pop("sha256")
            if record["format"] != FORMAT or checksum != _digest(_canonical(record)):
                return None
            if record["status"] == "done":
                content = (folder / _PER_USER).read_bytes()
                if _digest(content) != record["per_user_sha256"]:
                    return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return dict(record)

    def records(self) -> dict[str, Record]:
        """Every whole record, by its name."""
        found = ((path.name, self.read(path.name)) for path in sorted(self._models.iterdir()))
        return {name: record for name, record in found if record is not None}

    def write(
        self, name: str, record: Mapping[str, Any], per_user: Mapping[str, NDArray[Any]] | None
    ) -> None:
        """Put a record into place, instead of an earlier one of the same name."""
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=self._models))
        part.chmod(0o755)
        content: Record = {"format": FORMAT, **record}
        if per_user is not None:
            with (part / _PER_USER).open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **dict(per_user))
                _flush(file)
            content["per_user_sha256"] = _digest((part / _PER_USER).read_bytes())
        content["sha256"] = _digest(_canonical(content))
        with (part / _RESULT).open("wb") as file:
            file.write(json.dumps(content, indent=1).encode())
            _flush(file)
        target = self._models / name
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)

    def write_text(self, name: str, content: str | bytes) -> Path:
        """Write one file of the folder, complete or not at all."""
        path = self.folder / name
        part = path.with_name(f".{name}.{os.getpid()}")
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
